//! SIGINT and SIGTERM.

use std::future::Future;
use std::pin::pin;

use async_channel::{Receiver, bounded};
use async_signal::Signal;
use chumwire_async_std::async_std::task;
use futures_util::StreamExt as _;
use futures_util::future::{self, Either};

use crate::failure::Failure;

/// Hears the signals that ask a process to end.
pub(crate) struct Signals(Receiver<()>);

impl Signals {
    /// Hears them from now on: they do not end the process on their own any more.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut signals =
            async_signal::Signals::new([Signal::Int, Signal::Term]).map_err(|error| {
                Failure::new(
                    "no_signals",
                    format_args!("signals cannot be heard: {error}"),
                )
            })?;
        let (heard, hearing) = bounded(1);
        task::spawn(async move {
            // Each is handed to one who waits; the sender ends with those who wait.
            while signals.next().await.is_some() && heard.send(()).await.is_ok() {}
        });
        Ok(Self(hearing))
    }

    /// Returns at the next signal.
    pub(crate) async fn next(&self) {
        // The task above never ends before this does.
        let _ = self.0.recv().await;
    }

    /// Whether there was one since this was last asked.
    pub(crate) fn came(&self) -> bool {
        self.0.try_recv().is_ok()
    }

    /// What `work` gives, unless a signal comes first.
    ///
    /// # Errors
    /// `interrupted`
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        match future::select(pin!(work), pin!(self.next())).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right(_) => Err(Failure::new(
                "interrupted",
                "interrupted; an open invitation stays open until it expires",
            )),
        }
    }
}
