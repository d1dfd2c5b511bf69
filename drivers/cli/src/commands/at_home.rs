//! Commands that need a home: done on it, or handed to the process that has it open.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_std::task;

use super::tls::trust;
use crate::control::{Client, Request, Server};
use crate::failure::Failure;
use crate::home::{Home, Opening, in_use};
use crate::operations::{Emit, perform};
use crate::output::Output;
use crate::peer::{Options, Peer};
use crate::signals::Signals;

/// A process that has just opened the home, or is about to close it, does not answer. That is over soon.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Does a request at a home.
///
/// # Errors
/// Its own; `home_in_use`, `interrupted`.
pub(super) async fn at_home(
    dir: &Path,
    ca: Option<&Path>,
    request: Request,
    output: Output,
) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let emit: Emit = Arc::new(move |event| output.event(&event));
    let give_up = Instant::now() + PATIENCE;
    loop {
        let tls = trust(ca)?;
        if let Opening::Open(home, kept) = Home::open(dir)? {
            let peer = Arc::new(Peer::start(home, kept, Options { tls, ..Options::default() })?);
            return serve(peer, request, &emit, &signals).await;
        }
        if let Ok(client) = Client::connect(dir).await {
            if ca.is_some() {
                return Err(Failure::new(
                    "home_in_use",
                    "another process has this home open: give --tls-ca to that one",
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
    let waited = match result {
        Ok(_) => signals.unless(server.idle()).await,
        Err(_) => Ok(()),
    };
    server.stop().await;
    peer.stop().await;
    // A signal after the request was done only ends the waiting for others.
    drop(waited);
    result?
}
