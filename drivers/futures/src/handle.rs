//! How the rest of a program reaches a machine that a driver runs.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_channel::{Sender, bounded};
use chumwire::time::Now;

use crate::tls::ServerTls;

/// The driver has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the driver has stopped")]
pub struct Stopped;

/// Something to be done with the machine.
pub(crate) type Job<M> = Box<dyn FnOnce(&mut M, Now) + Send>;

/// What a handle asks of the loop.
pub(crate) enum Request<M> {
    Job(Job<M>),
    Listen {
        address: SocketAddr,
        tls: Option<ServerTls>,
        reply: Sender<io::Result<SocketAddr>>,
    },
    Stop,
}

/// Reaches a running machine. Cheap to clone.
pub struct Handle<M> {
    pub(crate) requests: Sender<Request<M>>,
}

impl<M> Handle<M> {
    /// Runs `job` inside the loop and gives its result. What the machine then wants done is done right after.
    ///
    /// # Errors
    /// [`Stopped`] if the driver has stopped, or stops before it comes to this.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut M, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = bounded(1);
        self.post(move |machine, now| {
            let _ = reply.try_send(job(machine, now));
        })?;
        answer.recv().await.map_err(|_| Stopped)
    }

    /// Runs `job` inside the loop, some time soon. Usable from everywhere, a [`Host`](crate::Host) included.
    ///
    /// # Errors
    /// [`Stopped`] if the driver has stopped.
    pub fn post(&self, job: impl FnOnce(&mut M, Now) + Send + 'static) -> Result<(), Stopped> {
        self.requests
            .try_send(Request::Job(Box::new(job)))
            .map_err(|_| Stopped)
    }

    /// Starts to listen, for TLS if a certificate is given. Port 0 lets the system pick one; told is the
    /// address with the real port.
    ///
    /// # Errors
    /// The system's, or [`io::ErrorKind::NotConnected`] if the driver has stopped.
    pub async fn listen(
        &self,
        address: SocketAddr,
        tls: Option<ServerTls>,
    ) -> io::Result<SocketAddr> {
        let stopped = || io::Error::new(io::ErrorKind::NotConnected, Stopped);
        let (reply, answer) = bounded(1);
        self.requests
            .try_send(Request::Listen {
                address,
                tls,
                reply,
            })
            .map_err(|_| stopped())?;
        answer.recv().await.map_err(|_| stopped())?
    }

    /// Stops the driver: no new connections; what the machine has said still leaves; every connection that the
    /// machine has not closed is closed with code 1001 as soon as it has nothing left to send; after the time
    /// limit for it, whatever is left is dropped. Returns when the loop has ended.
    ///
    /// It tells the machine nothing. A machine that has a way to say goodbye is told so by a
    /// [`call`](Self::call) before.
    pub async fn shutdown(&self) {
        let _ = self.requests.try_send(Request::Stop);
        self.stopped().await;
    }

    /// Returns when the loop has ended.
    pub async fn stopped(&self) {
        self.requests.closed().await;
    }
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
        }
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
