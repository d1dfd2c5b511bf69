//! Drives a [`chumwire`] machine on async-std: the sockets, timers and tasks that `chumwire-futures` wants.
//!
//! async-std is not maintained any more. This crate alone depends on it, and it is one page: a binding to
//! another runtime is the same page with other names.
//!
//! ```
//! # use chumwire::io::{Machine, NotStored};
//! # async fn example<M>(machine: M) -> std::io::Result<()>
//! # where M: Machine<Answer = Result<(), NotStored>> + Send + 'static, M::Event: std::fmt::Debug + 'static, M::Record: 'static {
//! use chumwire_async_std::{Config, spawn};
//!
//! let host = (|event, _: &[u8]| println!("{event:?}"), |_record| Err(NotStored));
//! let (handle, task) = spawn(machine, host, Config::default());
//! let address = handle.listen(([127, 0, 0, 1], 0).into(), None).await?;
//! println!("listening on {address}");
//! handle.shutdown().await;
//! let _machine = task.await;
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use chumwire::io::Machine;
use futures_util::io::{AsyncRead, AsyncWrite};

/// The runtime itself, for programs on this driver: so this crate alone depends on it.
pub use async_std;
pub use async_std::task::{JoinHandle, block_on};
pub use chumwire_futures::{
    ClientTls, Config, Handle, Host, Limits, Runtime, ServerTls, Stopped, TlsError,
};

/// async-std as a [`Runtime`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd;

/// Runs `machine` in a task of its own. The task gives the machine back after a
/// [`shutdown`](Handle::shutdown).
pub fn spawn<M, H>(machine: M, host: H, config: Config) -> (Handle<M>, JoinHandle<M>)
where
    M: Machine + Send + 'static,
    H: Host<M> + 'static,
{
    let (handle, run) = chumwire_futures::driver(AsyncStd, machine, host, config);
    (handle, task::spawn(run))
}

/// A TCP connection. Closing it ends its outgoing half, which async-std's own stream does not do.
#[derive(Debug)]
pub struct Stream(TcpStream);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(Shutdown::Write))
    }
}

impl Runtime for AsyncStd {
    type Stream = Stream;
    type Listener = TcpListener;

    async fn connect(&self, host: &str, port: u16) -> io::Result<Stream> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Stream(stream))
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    fn local_address(&self, listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Stream, IpAddr)> {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Stream(stream), peer.ip()))
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static {
        task::sleep(time)
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        task::spawn(work);
    }
}
