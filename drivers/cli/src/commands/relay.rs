//! `chumwire relay`.

use chumwire::crypto::Nacl;
use chumwire::io::NotStored;
use chumwire::relay::{Relay, RelayConfig, RelayEvent};
use chumwire::time::{Micros, Now};
use chumwire_async_std::{Config, Handle, JoinHandle, spawn};
use chumwire_trace::{RelayStart, Start, Traced};
use zeroize::Zeroizing;

use super::tls::show;
use crate::args::Relay as Args;
use crate::event::Event;
use crate::failure::Failure;
use crate::log;
use crate::output::Output;
use crate::peer::{cannot_listen, resolve, seed, url};
use crate::signals::Signals;
use crate::traces::Traces;

type Machine = Traced<Relay<Nacl>>;

/// Runs a relay until a signal comes.
///
/// # Errors
/// If it cannot listen.
pub(super) async fn relay(args: Args, output: Output) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(show(certificate, key)?),
        _ => None,
    };
    let address = resolve(&args.listen)?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let mut config = config(&args, address.ip().is_loopback());
    config.notes = args.traces.any();
    let relay = Running::start(config, &args.traces, |event| write_down(&event))?;
    let listening = relay.handle.listen(address, tls).await;
    let bound = listening.map_err(|error| cannot_listen(&args.listen, &error))?;
    output.event(&Event::Listening {
        url: url(scheme, &args.listen, bound),
    });
    signals.next().await;
    relay.stop().await;
    Ok(())
}

/// A relay on its driver.
pub(super) struct Running {
    pub(super) handle: Handle<Machine>,
    task: JoinHandle<Machine>,
}

impl Running {
    /// Starts it. `event` hears everything it tells.
    ///
    /// # Errors
    /// If the system has no entropy; `trace_unusable`.
    pub(super) fn start(
        config: RelayConfig,
        traces: &Traces,
        mut event: impl FnMut(RelayEvent) + Send + 'static,
    ) -> Result<Self, Failure> {
        let now = Now {
            wall: crate::time::wall(),
            ..Now::default()
        };
        let seed = Zeroizing::new(seed()?);
        let start = Start::Relay(RelayStart::of(&config, &seed, now));
        let relay = Relay::new(config, *seed, now);
        let machine = traces.of(relay, start, now.wall)?;
        let host = (move |told, _: &[u8]| event(told), |_| Err(NotStored));
        let (handle, task) = spawn(machine, host, Config::default());
        Ok(Self { handle, task })
    }

    /// Tells everybody and ends.
    pub(super) async fn stop(self) {
        // It fails only if the driver has ended already.
        let _ = self.handle.call(|relay, now| relay.shutdown(now)).await;
        self.handle.shutdown().await;
        let stats = self.task.await.stats();
        log::info(format_args!(
            "{} connections, {} registrations, {} pairs, {} messages with {} bytes",
            stats.accepted, stats.registered, stats.handed_over, stats.messages, stats.bytes
        ));
    }
}

fn config(args: &Args, loopback: bool) -> RelayConfig {
    let mut config = RelayConfig::default();
    // Behind a loopback address everybody has the same one: the whole machine, or whatever is behind a proxy.
    let per_address = args.per_address.or(loopback.then_some(0));
    let rate = args.rate.or(loopback.then_some(0));
    match per_address {
        Some(0) => config.connections_per_address = usize::MAX,
        Some(limit) => config.connections_per_address = limit,
        None => {}
    }
    match rate {
        Some(0) => config.rate = Micros::ZERO,
        Some(rate) => {
            config.rate = Micros(1_000_000 / u64::from(rate));
            config.burst = config
                .burst
                .max(usize::try_from(rate).unwrap_or(usize::MAX));
        }
        None => {}
    }
    config.connections = args.max_connections;
    config.spares_per_key = args.spares_per_key;
    config.ping_interval = Micros::secs(args.ping_interval);
    config.idle = Micros::secs(args.idle);
    config
}

fn write_down(event: &RelayEvent) {
    match event {
        RelayEvent::Registered { conn, key } => {
            log::info(format_args!("connection {conn} listens for {key}"));
        }
        RelayEvent::HandedOver {
            spare,
            initiator,
            target,
            ..
        } => {
            log::info(format_args!(
                "connection {initiator} is relayed to {spare} of {target}"
            ));
        }
        RelayEvent::Ended { conn, fault } => {
            log::info(format_args!("connection {conn} ended: {fault}"));
        }
        _ => {}
    }
}
