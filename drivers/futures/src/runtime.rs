//! What the driver wants from an async runtime. A binding is one small implementation of this.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, Either};
use futures_util::io::{AsyncRead, AsyncWrite};

/// TCP, timers and tasks of an async runtime.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A TCP connection. `TCP_NODELAY` is to be set: the driver gathers what it writes itself. Closing it has to
    /// end its outgoing half, so that the other side sees the end.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// A listening TCP socket.
    type Listener: Send + Sync + 'static;

    /// Resolves `host` (a name or an IP address without brackets) and connects.
    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    /// Starts to listen; port 0 lets the system pick one.
    fn listen(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send;
    /// Where a listener listens.
    ///
    /// # Errors
    /// The system's.
    fn local_address(&self, listener: &Self::Listener) -> io::Result<SocketAddr>;
    /// The next incoming connection, and where it comes from. May be dropped half-way.
    fn accept(
        &self,
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, IpAddr)>> + Send;
    /// Done after this time.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static;
    /// Runs a task that nobody waits for.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// What `work` gives, unless it takes longer than `limit`.
pub(crate) async fn within<R: Runtime, T>(
    runtime: &R,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    unless(runtime.sleep(limit), work).await
}

/// What `work` gives, unless `stop` is done first.
pub(crate) async fn unless<T, U>(
    stop: impl Future<Output = U>,
    work: impl Future<Output = T>,
) -> Option<T> {
    match future::select(pin!(work), pin!(stop)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
