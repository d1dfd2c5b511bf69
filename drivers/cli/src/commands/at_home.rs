//! Commands that need a home: done on it, or handed to the process that has it open.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chumwire_async_std::async_std::task;

use super::tls::trust;
use crate::args::Use;
use crate::control::{Client, Request, Server};
use crate::failure::Failure;
use crate::home::{Home, Kept, in_use};
use crate::operations::{Emit, perform};
use crate::peer::{Options, Peer};
use crate::signals::Signals;

/// A process that has just opened the home, or is about to close it, does not answer. That is over soon.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a home may be taken by another command, for a process that has to have it.
const BRIEFLY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Does a request at a home.
///
/// # Errors
/// Its own; `home_in_use`, `interrupted`.
pub(super) async fn at_home(
    dir: &Path,
    how: Use,
    request: Request,
    emit: Emit,
) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let tls = trust(how.tls_ca.as_deref())?;
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some((home, kept)) = Home::open(dir)? {
            let options = Options {
                tls,
                traces: how.traces,
                reorder_window: how.reorder_window,
                ..Options::default()
            };
            let peer = Arc::new(Peer::start(home, kept, options)?);
            return serve(peer, request, &emit, &signals).await;
        }
        if let Ok(client) = Client::connect(dir).await {
            if let Some(option) = how.first_option() {
                return Err(Failure::new(
                    "home_in_use",
                    format_args!("another process has this home open: give {option} to that one"),
                ));
            }
            if let Some(result) = signals.unless(client.perform(&request, &emit)).await? {
                return result;
            }
        }
        if Instant::now() >= give_up {
            return Err(in_use(dir));
        }
        task::sleep(PAUSE).await;
    }
}

/// Opens a home, and waits a little if another command is about to be done with it.
///
/// # Errors
/// `home_in_use`; whatever else keeps it from being opened.
pub(super) async fn open(dir: &Path) -> Result<(Home, Kept), Failure> {
    let give_up = Instant::now() + BRIEFLY;
    loop {
        if let Some(opened) = Home::open(dir)? {
            return Ok(opened);
        }
        if Instant::now() >= give_up {
            return Err(in_use(dir));
        }
        task::sleep(PAUSE).await;
    }
}

/// Does the request here. Others that use the home meanwhile are served to their end.
async fn serve(
    peer: Arc<Peer>,
    request: Request,
    emit: &Emit,
    signals: &Signals,
) -> Result<(), Failure> {
    let server = match Server::start(peer.clone()).await {
        Ok(server) => server,
        Err(failure) => {
            peer.stop().await;
            return Err(failure);
        }
    };
    let result = signals.unless(perform(&peer, request, emit)).await;
    if result.is_ok() {
        // A signal now only ends the waiting for others: the request is done.
        let _ = signals.unless(server.idle()).await;
    }
    server.stop().await;
    peer.stop().await;
    result?
}
