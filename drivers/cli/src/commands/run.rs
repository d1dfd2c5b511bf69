//! `chumwire run`.

use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use chumwire::node::Event as NodeEvent;
use chumwire_async_std::async_std::future::timeout;

use super::at_home::open;
use super::tls::trust;
use crate::args::Run;
use crate::control::Server;
use crate::event::Event;
use crate::failure::Failure;
use crate::operations::Emit;
use crate::operations::invite::go_online;
use crate::operations::sync::{Told, keep_in_touch, once};
use crate::output::Output;
use crate::peer::{Notice, Options, Peer};
use crate::signals::Signals;

/// A relay that takes longer is not waited for.
const REGISTRATION: Duration = Duration::from_secs(3);

/// Stays online until a signal comes, or until everything was exchanged once.
///
/// # Errors
/// If the home is in use, or it cannot listen.
pub(super) async fn run(args: Run, output: Output) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let (home, kept) = open(&args.home.home).await?;
    let options = Options {
        tls: trust(args.how.tls_ca.as_deref())?,
        traces: args.how.traces.clone(),
        reorder_window: args.how.reorder_window,
        one_round: args.once,
        serve_debug: args.serve_debug,
        ..Options::default()
    };
    let peer = Arc::new(Peer::start(home, kept, options)?);
    let result = stay(&peer, &args, output, &signals).await;
    peer.stop().await;
    result
}

async fn stay(
    peer: &Arc<Peer>,
    args: &Run,
    output: Output,
    signals: &Signals,
) -> Result<(), Failure> {
    let notices = peer.subscribe();
    let server = Server::start(peer.clone()).await?;
    let mut reachable = args.relay.clone();
    if let Some(place) = &args.listen {
        let url = peer.listen(place).await?;
        let url = args.url.clone().unwrap_or(url);
        peer.set_direct(&url).await?;
        reachable = Some(url.clone());
        output.event(&Event::Online { url });
    }
    if let Some(relay) = &args.relay {
        go_online(peer, relay.clone()).await?;
        // Who dials only once it can be reached finds the other one, or is found: two that start at the same time
        // would miss each other else, and try again after seconds.
        let waiting = timeout(REGISTRATION, registered(peer));
        if signals.unless(waiting).await.is_err() {
            server.stop().await;
            return Ok(());
        }
    }
    // From now on the own profile says so, to those who may see it.
    if let Some(url) = reachable {
        peer.with_all(move |machine, now| machine.reachable_at(now, &url))
            .await?;
    }
    let emit: Emit = Arc::new(move |event| output.event(&event));
    let result = if args.once {
        let limit = Duration::from_secs(args.timeout);
        let once = signals.unless(once(peer, &notices, limit, &emit)).await;
        once.and_then(|result| result)
    } else {
        keep_in_touch(peer).await?;
        // A signal is the way to end this.
        let _ = signals.unless(tell(&notices, &emit)).await;
        Ok(())
    };
    server.stop().await;
    result
}

/// Waits until the instance can be reached through its relay.
async fn registered(peer: &Peer) {
    let notices = peer.subscribe();
    while !peer.with(|node, _| node.is_online()).await.unwrap_or(true) {
        if notices.recv().await.is_err() {
            return;
        }
    }
}

/// Tells what happens, for as long as anything does.
async fn tell(notices: &Receiver<Notice>, emit: &Emit) {
    let mut told = Told::default();
    while let Ok(notice) = notices.recv().await {
        match notice {
            Notice::Node(NodeEvent::Online { url }) => emit(Event::Online { url }),
            Notice::Node(NodeEvent::Offline { url, fault }) => emit(Event::offline(url, &fault)),
            Notice::Node(NodeEvent::Paired { role, contact, .. }) => {
                emit(Event::paired(role, &contact));
            }
            Notice::Chum(_, person, event) => told.hear(person, &event, emit),
            Notice::Node(_)
            | Notice::Book(_)
            | Notice::Said(_)
            | Notice::Accessible(..)
            | Notice::Revoked(_) => {}
        }
    }
}
