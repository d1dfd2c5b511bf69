//! A whole driver on std and tungstenite alone, for any machine. Copy it and change what you need.
//!
//! One thread owns the machine and all open sockets and looks after them by turns. Only what has to wait, a
//! dial or a handshake, has a thread of its own. When nothing moves, the loop sleeps for `TURN`: this polling
//! keeps the example short, delays a message by up to that and costs some CPU time; an event queue would not.
#![expect(clippy::disallowed_methods, reason = "the bans are for the core")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, ErrorKind::WouldBlock};
use std::net::{IpAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant, UNIX_EPOCH};
use std::{mem, thread};

use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, Source};
use chumwire::limits::FRAME;
use chumwire::time::{Micros, Millis, Now};
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Message as Ws, WebSocket};

const TURN: Duration = Duration::from_millis(5);
const OPEN_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

type Failure = Box<dyn Error + Send + Sync>;

/// What other threads tell the loop.
pub(crate) enum Input {
    Accepted(Box<Conn>, IpAddr),
    Dialled(ConnId, Result<Box<Conn>, Failure>),
    Stop,
}

pub(crate) struct Conn {
    socket: WebSocket<TcpStream>,
    /// Something was sent and has not all been handed to the system yet.
    unsent: bool,
    /// Read, and not taken by the machine yet.
    waiting: Option<Ws>,
    /// Paused or full: nothing is read or offered until `Resume`, so that the other side has to wait.
    blocked: bool,
    /// It is closing: messages that still come are dropped, and then it is lost.
    close_limit: Option<Instant>,
}

/// Runs `machine` until `Input::Stop` comes.
pub(crate) fn run<M: Machine>(
    mut machine: M,
    listener: Option<TcpListener>,
    (inputs, inbox): (Sender<Input>, Receiver<Input>),
    mut event: impl FnMut(M::Event, &[u8]),
    mut store: impl FnMut(M::Record) -> M::Answer,
) -> M {
    let start = Instant::now();
    let now = || Now {
        mono: Micros(start.elapsed().as_micros() as u64),
        wall: Millis(UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64),
    };
    if let Some(listener) = listener {
        let inputs = inputs.clone();
        thread::spawn(move || accept_all(&listener, &inputs));
    }
    let mut conns = BTreeMap::<ConnId, Box<Conn>>::new();
    let (mut dialling, mut bytes) = (BTreeSet::new(), Vec::new());
    loop {
        while let Some(effect) = machine.poll(&mut bytes) {
            match effect {
                Effect::Dial { conn, url } => {
                    dialling.insert(conn);
                    let inputs = inputs.clone();
                    thread::spawn(move || inputs.send(Input::Dialled(conn, dial(&url))));
                }
                Effect::Send { conn, kind } => {
                    // If it is gone, the machine has been told. What goes wrong here shows when it is flushed.
                    if let Some(conn) = conns.get_mut(&conn) {
                        conn.unsent = true;
                        let _ = conn.socket.write(match kind {
                            Kind::Text => Ws::text(String::from_utf8_lossy(&bytes).into_owned()),
                            Kind::Binary => Ws::binary(bytes.clone()),
                        });
                    }
                }
                Effect::Close { conn, .. } if dialling.remove(&conn) => {
                    machine.closed(now(), conn, Closed::NotOpened("given up".into()));
                }
                Effect::Close { conn, code, reason } => {
                    if let Some(conn) = conns.get_mut(&conn) {
                        let (code, end) = (code.into(), reason.floor_char_boundary(123));
                        let reason = reason[..end].into();
                        let _ = conn.socket.close(Some(CloseFrame { code, reason }));
                        conn.close_limit = Some(Instant::now() + CLOSE_LIMIT);
                        (conn.waiting, conn.blocked) = (None, false);
                    }
                }
                Effect::Pause(conn) => {
                    conns.entry(conn).and_modify(|conn| conn.blocked = true);
                }
                Effect::Resume(conn) => {
                    conns.entry(conn).and_modify(|conn| conn.blocked = false);
                }
                Effect::Store { id, record } => machine.stored(now(), id, store(record)),
                Effect::Event(it) => event(it, &bytes),
                _ => {}
            }
        }
        let mut wait = TURN;
        conns.retain(|&id, conn| {
            let moved = conn.turn(id, &mut machine, now());
            if moved != Ok(false) {
                wait = Duration::ZERO;
            }
            moved.map_err(|how| machine.closed(now(), id, how)).is_ok()
        });
        match inbox.recv_timeout(wait) {
            Ok(Input::Accepted(conn, from)) => {
                if let Some(id) = machine.accept(now(), Source::from(from)) {
                    conns.insert(id, conn);
                }
            }
            Ok(Input::Dialled(id, result)) if dialling.remove(&id) => match result {
                Ok(conn) => {
                    conns.insert(id, conn);
                    machine.opened(now(), id);
                }
                Err(why) => machine.closed(now(), id, Closed::NotOpened(why.to_string())),
            },
            Ok(Input::Stop) => return machine,
            _ => {}
        }
        if machine.deadline().is_some_and(|due| due.at <= now().mono) {
            machine.tick(now());
        }
    }
}

impl Conn {
    /// Writes what it can, then reads and offers at most one message. Tells whether anything moved.
    fn turn(&mut self, id: ConnId, machine: &mut impl Machine, now: Now) -> Result<bool, Closed> {
        let drained = unless_blocked(self.socket.flush())?.is_some() && mem::take(&mut self.unsent);
        if drained {
            machine.drained(now, id);
        }
        if self.close_limit.is_some_and(|limit| limit < Instant::now()) {
            return Err(Closed::Lost("the close was not answered".into()));
        }
        if self.waiting.is_none() && !self.blocked {
            self.waiting = unless_blocked(self.socket.read())?;
        }
        let open = self.close_limit.is_none();
        let taken = match &self.waiting {
            it if self.blocked || it.is_none() => return Ok(drained),
            Some(Ws::Text(text)) if open => machine.message(now, id, Message::Text(text)),
            Some(Ws::Binary(bytes)) if open => machine.message(now, id, Message::Binary(bytes)),
            Some(Ws::Close(frame)) => {
                // The answer, unless this is one.
                let _ = self.socket.flush();
                let code = frame.as_ref().map_or(1005, |frame| frame.code.into());
                let reason = frame.as_ref().map_or("", |frame| &frame.reason).into();
                return Err(Closed::ByPeer { code, reason });
            }
            _ => Ok(()),
        };
        match taken {
            Ok(()) => self.waiting = None,
            Err(_full) => self.blocked = true,
        }
        Ok(true)
    }
}

/// `None` if it cannot go on now; the WebSocket knows where it stopped.
fn unless_blocked<T>(result: tungstenite::Result<T>) -> Result<Option<T>, Closed> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(tungstenite::Error::Io(error)) if error.kind() == WouldBlock => Ok(None),
        Err(error) => Err(Closed::Lost(error.to_string())),
    }
}

/// Accepts until the process ends. Every handshake has its own thread: one of them may hang.
fn accept_all(listener: &TcpListener, inputs: &Sender<Input>) {
    for stream in listener.incoming().flatten() {
        let inputs = inputs.clone();
        thread::spawn(move || {
            let from = stream.peer_addr().ok()?.ip();
            stream.set_read_timeout(Some(OPEN_LIMIT)).ok()?;
            let socket = tungstenite::accept_with_config(stream, config()).ok()?;
            let conn = opened(socket).ok()?;
            inputs.send(Input::Accepted(conn, from)).ok()
        });
    }
}

fn dial(url: &str) -> Result<Box<Conn>, Failure> {
    let rest = url.strip_prefix("ws://").ok_or("not a ws:// URL")?;
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let full = format!("{host}:80");
    let mut addresses = host.to_socket_addrs().or_else(|_| full.to_socket_addrs())?;
    let stream = TcpStream::connect_timeout(&addresses.next().ok_or("no such host")?, OPEN_LIMIT)?;
    stream.set_read_timeout(Some(OPEN_LIMIT))?;
    let (socket, _) = tungstenite::client::client_with_config(url, stream, config())?;
    Ok(opened(socket)?)
}

fn opened(socket: WebSocket<TcpStream>) -> io::Result<Box<Conn>> {
    socket.get_ref().set_nodelay(true)?;
    socket.get_ref().set_nonblocking(true)?;
    Ok(Box::new(Conn {
        socket,
        unsent: false,
        waiting: None,
        blocked: false,
        close_limit: None,
    }))
}

/// All writing is left to `flush`; what a machine sends before it is drained is bounded.
fn config() -> Option<WebSocketConfig> {
    let config = WebSocketConfig::default().write_buffer_size(usize::MAX - 1);
    let config = config.max_message_size(Some(FRAME));
    Some(config.max_frame_size(Some(FRAME)))
}
