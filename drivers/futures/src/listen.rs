//! Listening: TCP in, TLS if wanted, WebSocket handshake, and on to the loop.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_tungstenite::accept_async_with_config;

use crate::config::Limits;
use crate::driver::Input;
use crate::runtime::{Runtime, unless, within};
use crate::tls::ServerTls;
use crate::transport::{Socket, Transport};

/// After an error of `accept` (no file handles left, mostly) it is tried again, but not at once.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// Where a listener's connections go, and under which conditions.
pub(crate) struct Listener<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) inputs: Sender<Input<R::Stream>>,
    /// Closed when it is time to stop.
    pub(crate) stop: Receiver<()>,
}

/// The right to be among the pending handshakes. Given back when dropped.
pub(crate) struct Permit(Receiver<()>);

impl Drop for Permit {
    fn drop(&mut self) {
        let _ = self.0.try_recv();
    }
}

impl<R: Runtime> Listener<R> {
    /// Listens, tells where, and accepts until it is told to stop.
    pub(crate) async fn run(self, address: SocketAddr, reply: Sender<io::Result<SocketAddr>>) {
        let listening = self.runtime.listen(address).await;
        let listening =
            listening.and_then(|listener| Ok((self.runtime.local_address(&listener)?, listener)));
        let listener = match listening {
            Ok((bound, listener)) => {
                let _ = reply.send(Ok(bound)).await;
                listener
            }
            Err(error) => {
                let _ = reply.send(Err(error)).await;
                return;
            }
        };
        let (taken, pending) = bounded(self.limits.pending_accepts.max(1));
        let stop = self.stop.clone();
        let _ = unless(stop.recv(), self.accept_all(&listener, taken, pending)).await;
    }

    async fn accept_all(&self, listener: &R::Listener, taken: Sender<()>, pending: Receiver<()>) {
        while taken.send(()).await.is_ok() {
            let permit = Permit(pending.clone());
            match self.runtime.accept(listener).await {
                Ok((stream, from)) => self.shake_hands(stream, from, permit),
                Err(_) => self.runtime.sleep(AFTER_ERROR).await,
            }
        }
    }

    /// In a task of its own: a slow peer keeps nobody else waiting.
    fn shake_hands(&self, stream: R::Stream, from: IpAddr, permit: Permit) {
        let (runtime, limits) = (self.runtime.clone(), self.limits);
        let (tls, inputs) = (self.tls.clone(), self.inputs.clone());
        self.runtime.spawn(async move {
            let opening = Box::pin(open::<R>(stream, tls, limits));
            // Whoever fails here has not been seen by the machine yet: nobody needs to hear of it.
            if let Some(Some(socket)) = within(&runtime, limits.accept, opening).await {
                let _ = inputs
                    .send(Input::Accepted {
                        socket,
                        from,
                        permit,
                    })
                    .await;
            }
        });
    }
}

async fn open<R: Runtime>(
    stream: R::Stream,
    tls: Option<ServerTls>,
    limits: Limits,
) -> Option<Box<Socket<R::Stream>>> {
    let transport = match tls {
        Some(tls) => Transport::Tls(Box::new(tls.acceptor().accept(stream).await.ok()?.into())),
        None => Transport::Plain(stream),
    };
    let socket = accept_async_with_config(transport, Some(limits.websocket()))
        .await
        .ok()?;
    Some(Box::new(socket))
}
