//! The side of the control socket that wants something.

use std::io;
use std::path::Path;

use chumwire_async_std::async_std::os::unix::net::UnixStream;
use futures_util::io::{AsyncWriteExt as _, BufReader};

use super::protocol::{Envelope, Reply, Request, VERSION, line, read_line};
use super::socket;
use crate::failure::Failure;
use crate::operations::Emit;

/// A connection to whoever has the home open.
pub(crate) struct Client(UnixStream);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// If nobody is there, or not yet.
    pub(crate) async fn connect(home: &Path) -> io::Result<Self> {
        socket::connect(home).await.map(Self)
    }

    /// Has a request done there. `None`: that process ended before it said a word.
    ///
    /// # Errors
    /// The request's own.
    pub(crate) async fn perform(
        mut self,
        request: &Request,
        emit: &Emit,
    ) -> Option<Result<(), Failure>> {
        let mut heard = false;
        let result = self.converse(request, emit, &mut heard).await;
        match result {
            Ok(Some(result)) => Some(result),
            _ if !heard => None,
            _ => Some(Err(Failure::new(
                "home_gone",
                "the process that has this home open has ended before this was done; try again",
            ))),
        }
    }

    async fn converse(
        &mut self,
        request: &Request,
        emit: &Emit,
        heard: &mut bool,
    ) -> io::Result<Option<Result<(), Failure>>> {
        self.0
            .write_all(&line(&Envelope {
                version: VERSION,
                request,
            })?)
            .await?;
        let mut reader = BufReader::new(self.0.clone());
        while let Some(reply) = read_line(&mut reader).await? {
            *heard = true;
            match serde_json::from_slice(&reply)? {
                Reply::Event(event) => emit(event),
                Reply::Done => return Ok(Some(Ok(()))),
                Reply::Failed(failure) => return Ok(Some(Err(failure))),
            }
        }
        Ok(None)
    }
}
