//! `chumwire run`.

use std::sync::Arc;

use chumwire::node::Event as NodeEvent;

use super::at_home::open;
use super::tls::trust;
use crate::args::Run;
use crate::control::Server;
use crate::event::Event;
use crate::failure::Failure;
use crate::operations::invite::go_online;
use crate::output::Output;
use crate::peer::{Notice, Options, Peer};
use crate::signals::Signals;

/// Stays online until a signal comes.
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
    if let Some(place) = &args.listen {
        let url = peer.listen(place).await?;
        let url = args.url.clone().unwrap_or(url);
        peer.set_direct(&url).await?;
        output.event(&Event::Online { url });
    }
    if let Some(relay) = &args.relay {
        go_online(peer, relay.clone()).await?;
    }
    let telling = async {
        while let Ok(notice) = notices.recv().await {
            let Notice::Node(event) = notice else {
                continue;
            };
            match event {
                NodeEvent::Online { url } => output.event(&Event::Online { url }),
                NodeEvent::Offline { url, fault } => output.event(&Event::offline(url, &fault)),
                NodeEvent::Paired { role, contact, .. } => {
                    output.event(&Event::paired(role, &contact));
                }
                _ => {}
            }
        }
    };
    // A signal is the way to end this.
    let _ = signals.unless(telling).await;
    server.stop().await;
    Ok(())
}
