//! Running probes and plain peers, and waiting for what they see.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chumwire::io::{Closed, ConnId, NotStored, Source};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use crate::probe::{Behaviour, Probe, Seen};
use crate::{DriverUnderTest, Running, TestHost};

/// Why a case failed.
pub type Outcome<T = ()> = Result<T, String>;

/// How long to wait for something that has to come. Generous: a busy machine is not a broken driver.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// Fails a case unless `condition` holds.
pub(crate) fn ensure(condition: bool, why: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(why()) }
}

/// A probe in a running driver.
#[derive(Debug)]
pub(crate) struct Observed {
    running: Running,
    seen: Receiver<Seen>,
}

impl Observed {
    /// Starts a probe that listens.
    pub(crate) fn listening<D: DriverUnderTest>(driver: &D, behaviour: impl Behaviour) -> Self {
        Self::start(driver, behaviour, true, Box::new(|_| Ok(())))
    }

    /// Starts a probe that does not.
    pub(crate) fn dialling<D: DriverUnderTest>(driver: &D, behaviour: impl Behaviour) -> Self {
        Self::start(driver, behaviour, false, Box::new(|_| Ok(())))
    }

    pub(crate) fn start<D: DriverUnderTest>(
        driver: &D,
        behaviour: impl Behaviour,
        listen: bool,
        store: Box<dyn FnMut(u32) -> Result<(), NotStored> + Send>,
    ) -> Self {
        let (tell, seen) = channel();
        let event = Box::new(move |event, bytes: &[u8]| {
            if matches!(&event, Seen::Message(_, _, content) if content != bytes) {
                let why = "an event came without the buffer that was given to poll";
                let _ = tell.send(Seen::Broken(why.into()));
            }
            let _ = tell.send(event);
        });
        let running = driver.start(Probe::new(behaviour), listen, TestHost { event, store });
        Self { running, seen }
    }

    pub(crate) fn address(&self) -> Outcome<SocketAddr> {
        self.running
            .address
            .ok_or_else(|| "the driver told no address".into())
    }

    pub(crate) fn url(&self) -> Outcome<String> {
        Ok(format!("ws://{}", self.address()?))
    }

    /// The next thing seen, if it comes in time. A broken rule is an error.
    pub(crate) fn within(&self, time: Duration) -> Outcome<Option<Seen>> {
        match self.seen.recv_timeout(time) {
            Ok(Seen::Broken(why)) => Err(why),
            Ok(seen) => Ok(Some(seen)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("the driver has stopped by itself".into()),
        }
    }

    /// The first thing that `wanted` makes something of.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        mut wanted: impl FnMut(Seen) -> Option<T>,
    ) -> Outcome<T> {
        let end = Instant::now() + PATIENCE;
        while let Some(seen) = self.within(end.saturating_duration_since(Instant::now()))? {
            if let Some(found) = wanted(seen) {
                return Ok(found);
            }
        }
        Err(format!("waited in vain for {what}"))
    }

    pub(crate) fn accepted(&self) -> Outcome<(ConnId, Source)> {
        self.until("an accepted connection", |seen| match seen {
            Seen::Accepted(conn, from) => Some((conn, from)),
            _ => None,
        })
    }

    pub(crate) fn opened(&self) -> Outcome<ConnId> {
        self.until("an opened connection", |seen| match seen {
            Seen::Opened(conn) => Some(conn),
            _ => None,
        })
    }

    /// The next message's content.
    pub(crate) fn message(&self) -> Outcome<Vec<u8>> {
        self.until("a message", |seen| match seen {
            Seen::Message(_, _, bytes) => Some(bytes),
            _ => None,
        })
    }

    /// The next end of a connection.
    pub(crate) fn closed(&self) -> Outcome<(ConnId, Closed)> {
        self.until("the end of a connection", |seen| match seen {
            Seen::Closed(conn, how) => Some((conn, how)),
            _ => None,
        })
    }

    /// Stops the driver. From now on only what has been seen before is left; no rule may have been broken.
    pub(crate) fn finish(self) -> Outcome {
        drop(self.running);
        while let Ok(seen) = self.seen.recv_timeout(PATIENCE) {
            if let Seen::Broken(why) = seen {
                return Err(why);
            }
        }
        Ok(())
    }
}

/// Ends what [`Peer::talk`] began.
pub(crate) fn hush((line, thread): (TcpStream, JoinHandle<()>)) -> Outcome {
    // It may have been ended by the driver already.
    let _ = line.shutdown(Shutdown::Both);
    thread.join().map_err(|_| "the peer failed".into())
}

/// A plain WebSocket peer, made without any driver.
pub(crate) struct Peer {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Peer {
    /// Connects to a driver.
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).map_err(text)?;
        patient(&stream)?;
        let url = format!("ws://{address}");
        let (socket, _) =
            tungstenite::client::client_with_config(url, stream, Some(config())).map_err(text)?;
        Ok(Self { socket })
    }

    /// Takes the next connection of a driver.
    pub(crate) fn accept(listener: &TcpListener) -> Outcome<Self> {
        let (stream, _) = listener.accept().map_err(text)?;
        patient(&stream)?;
        let socket = tungstenite::accept_with_config(stream, Some(config())).map_err(text)?;
        Ok(Self { socket })
    }

    pub(crate) fn send(&mut self, message: impl Into<Message>) -> Outcome {
        self.socket.send(message.into()).map_err(text)
    }

    /// The next message, whatever its kind.
    pub(crate) fn receive(&mut self) -> Outcome<Message> {
        self.socket.read().map_err(text)
    }

    /// Sends without a break in a thread of its own. The socket that is returned can end it.
    pub(crate) fn talk(mut self) -> Outcome<(TcpStream, JoinHandle<()>)> {
        let line = self.socket.get_ref().try_clone().map_err(text)?;
        let thread = thread::spawn(move || {
            let mut said = 0;
            while self.send(numbered(said, 1000)).is_ok() {
                said += 1;
            }
        });
        Ok((line, thread))
    }

    /// Sends without a break, until the driver takes nothing more for a while or `limit` is reached. Returns
    /// how many bytes went away.
    pub(crate) fn push(&mut self, size: usize, limit: usize) -> Outcome<usize> {
        self.socket
            .get_ref()
            .set_write_timeout(Some(Duration::from_millis(300)))
            .map_err(text)?;
        let mut gone = 0;
        let mut number = 0_u64;
        while gone < limit {
            let message = Message::binary(numbered(number, size));
            match self.socket.send(message) {
                Ok(()) => gone += size,
                Err(tungstenite::Error::Io(error)) if would_block(&error) => break,
                Err(error) => return Err(text(error)),
            }
            number += 1;
        }
        Ok(gone)
    }
}

/// A message that says which one it is.
pub(crate) fn numbered(number: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![number.to_le_bytes()[0]; size.max(8)];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The number in such a message.
pub(crate) fn number(bytes: &[u8]) -> Outcome<u64> {
    let start = bytes
        .first_chunk()
        .ok_or("a message is shorter than it was sent")?;
    Ok(u64::from_le_bytes(*start))
}

/// A listening socket and its URL.
pub(crate) fn listener() -> Outcome<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(text)?;
    let url = format!("ws://{}", listener.local_addr().map_err(text)?);
    Ok((listener, url))
}

pub(crate) fn text(error: impl ToString) -> String {
    error.to_string()
}

pub(crate) fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn patient(stream: &TcpStream) -> Outcome {
    stream.set_nodelay(true).map_err(text)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(text)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(text)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(16 * 1024)
}
