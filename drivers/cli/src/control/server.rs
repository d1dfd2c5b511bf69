//! The side of the control socket that has the home open: it runs requests of other processes on its instance.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded, unbounded};
use chumwire_async_std::async_std::future::timeout;
use chumwire_async_std::async_std::os::unix::net::UnixStream;
use chumwire_async_std::async_std::task;
use futures_util::future::{self, Either};
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::protocol::{Envelope, Reply, Request, Spoken, VERSION, line, read_line};
use super::socket::Bound;
use crate::failure::Failure;
use crate::log;
use crate::operations::{Emit, perform};
use crate::peer::Peer;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// After an error of accept (no file handles left, mostly).
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// Serves the clients of an instance.
pub(crate) struct Server {
    accepting: task::JoinHandle<()>,
    clients: Arc<AtomicUsize>,
    one_left: Receiver<()>,
}

impl Server {
    /// Binds the home's control socket and serves.
    ///
    /// # Errors
    /// If the socket cannot be bound.
    pub(crate) async fn start(peer: Arc<Peer>) -> Result<Self, Failure> {
        let bound = Bound::bind(peer.dir()).await.map_err(|error| {
            let dir = peer.dir().display();
            Failure::new(
                "home_unusable",
                format_args!("the control socket of {dir} cannot be bound: {error}"),
            )
        })?;
        let clients = Arc::new(AtomicUsize::new(0));
        let (leave, one_left) = bounded(1);
        let accepting = task::spawn(accept_all(bound, peer, clients.clone(), leave));
        Ok(Self {
            accepting,
            clients,
            one_left,
        })
    }

    /// Waits until no client is being served.
    pub(crate) async fn idle(&self) {
        let clients = self.clients.load(Ordering::SeqCst);
        if clients > 0 {
            log::info(format_args!(
                "{clients} other commands are using this home; waiting for them"
            ));
        }
        while self.clients.load(Ordering::SeqCst) > 0 && self.one_left.recv().await.is_ok() {}
    }

    /// Takes no more clients, and removes the socket.
    pub(crate) async fn stop(self) {
        self.accepting.cancel().await;
    }
}

async fn accept_all(bound: Bound, peer: Arc<Peer>, clients: Arc<AtomicUsize>, leave: Sender<()>) {
    loop {
        match bound.listener.accept().await {
            Ok((stream, _)) => {
                clients.fetch_add(1, Ordering::SeqCst);
                let (peer, clients, leave) = (peer.clone(), clients.clone(), leave.clone());
                task::spawn(async move {
                    if let Err(error) = serve(&peer, stream).await {
                        log::info(format_args!("a control connection failed: {error}"));
                    }
                    drop(peer);
                    clients.fetch_sub(1, Ordering::SeqCst);
                    // If there is a word in it already, that one will do.
                    let _ = leave.try_send(());
                });
            }
            Err(_) => task::sleep(AFTER_ERROR).await,
        }
    }
}

async fn serve(peer: &Peer, stream: UnixStream) -> io::Result<()> {
    let mut writer = stream.clone();
    let mut reader = BufReader::new(stream);
    let Ok(asked) = timeout(PATIENCE, read_line(&mut reader)).await else {
        return Ok(());
    };
    let Some(asked) = asked? else { return Ok(()) };
    let (told, telling) = unbounded();
    let emit: Emit = Arc::new(move |event| drop(told.try_send(Reply::Event(event))));
    let work = async {
        let result = match read_request(&asked) {
            Ok(request) => perform(peer, request, &emit).await,
            Err(failure) => Err(failure),
        };
        // The last sender goes, so that what was told comes to its end.
        drop(emit);
        match result {
            Ok(()) => Reply::Done,
            Err(failure) => Reply::Failed(failure),
        }
    };
    let answering = async {
        let telling = async {
            while let Ok(reply) = telling.recv().await {
                writer.write_all(&line(&reply)?).await?;
            }
            io::Result::Ok(())
        };
        let (last, told) = future::join(work, telling).await;
        told?;
        writer.write_all(&line(&last)?).await?;
        writer.close().await
    };
    // A client says nothing more; when it goes, nobody wants the rest.
    let mut more = [0];
    match future::select(pin!(answering), pin!(reader.read(&mut more))).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Ok(()),
    }
}

fn read_request(asked: &[u8]) -> Result<Request, Failure> {
    let bad = |error| Failure::new("control_version", format_args!("not understood: {error}"));
    let spoken: Spoken = serde_json::from_slice(asked).map_err(bad)?;
    if spoken.version != VERSION {
        return Err(Failure::new(
            "control_version",
            "the process that has this home open is of another version; end it, and start it anew",
        ));
    }
    serde_json::from_slice(asked)
        .map(|envelope: Envelope<Request>| envelope.request)
        .map_err(bad)
}
