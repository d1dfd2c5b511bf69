//! A whole driver on threads and blocking sockets, for any machine. Copy it and change what you need.
//!
//! The loop in `run` owns the machine and has an inbox. Every connection has a thread that owns its WebSocket
//! and takes orders, writes and reads by turns, none for longer than `TURN`. This polling keeps the example
//! short; it delays a message by up to `TURN` and wakes idle threads.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver reads clocks and spawns; the bans are for the core"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{mem, thread};

use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, NotStored, Source};
use chumwire::limits;
use chumwire::time::{Micros, Millis, Now};
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Message as Ws, WebSocket};

const TURN: Duration = Duration::from_millis(5);
const OPEN_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

type Socket = WebSocket<TcpStream>;

/// What the other threads tell the loop.
pub(crate) enum Input {
    Accepted(Box<Socket>, IpAddr),
    Opened(ConnId),
    Message(ConnId, Ws),
    /// So many more messages have been handed to the socket.
    Drained(ConnId, usize),
    Closed(ConnId, Closed),
    Stop,
}

/// What the loop tells the thread of a connection. `Read` is for one message: without it nothing is read, and
/// the other side has to wait.
enum Order {
    Write(Ws),
    Read,
}

/// A connection as the loop sees it.
struct Conn {
    orders: Sender<Order>,
    open: bool,
    reading: bool,
    /// Read, but not taken by the machine yet.
    waiting: Option<Ws>,
    /// Paused, full or closing: nothing is offered or read until `Resume`.
    blocked: bool,
    /// Messages that have not been handed to the socket yet.
    queued: usize,
}

/// Runs `machine` until `Input::Stop` comes.
pub(crate) fn run<M: Machine>(
    mut machine: M,
    listener: Option<TcpListener>,
    (inputs, inbox): (Sender<Input>, Receiver<Input>),
    mut event: impl FnMut(M::Event, &[u8]),
    mut store: impl FnMut(M::Record) -> Result<(), NotStored>,
) -> M {
    if let Some(listener) = listener {
        let inputs = inputs.clone();
        thread::spawn(move || accept_all(&listener, &inputs));
    }
    let start = Instant::now();
    let now = || {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            mono: Micros(start.elapsed().as_micros() as u64),
            wall: Millis(wall.unwrap_or_default().as_millis() as u64),
        }
    };
    let mut conns = BTreeMap::<ConnId, Conn>::new();
    let mut bytes = Vec::new();
    loop {
        while let Some(effect) = machine.poll(&mut bytes) {
            match effect {
                Effect::Dial { conn, url } => {
                    let dial = move || dial(&url).map_err(|error| error.to_string());
                    conns.insert(conn, connect(conn, false, &inputs, dial));
                }
                Effect::Send { conn, kind } => {
                    let Some(conn) = conns.get_mut(&conn) else {
                        continue;
                    };
                    conn.queued += 1;
                    conn.order(Order::Write(match kind {
                        Kind::Text => Ws::text(String::from_utf8_lossy(&bytes)),
                        Kind::Binary => Ws::binary(bytes.clone()),
                    }));
                }
                Effect::Close {
                    conn: id,
                    code,
                    reason,
                } => match conns.get_mut(&id) {
                    Some(conn) if conn.open => {
                        let reason = reason[..reason.floor_char_boundary(123)].into();
                        let frame = CloseFrame {
                            code: code.into(),
                            reason,
                        };
                        conn.order(Order::Write(Ws::Close(Some(frame))));
                        conn.blocked = true;
                    }
                    Some(_) => {
                        conns.remove(&id);
                        machine.closed(now(), id, Closed::NotOpened("given up".into()));
                    }
                    None => {}
                },
                Effect::Pause(id) => conns
                    .get_mut(&id)
                    .into_iter()
                    .for_each(|it| it.blocked = true),
                Effect::Resume(id) => conns
                    .get_mut(&id)
                    .into_iter()
                    .for_each(|it| it.blocked = false),
                Effect::Store { id, record } => machine.stored(now(), id, store(record)),
                Effect::Event(it) => event(it, &bytes),
                _ => {}
            }
        }
        // The machine has said by now whom to pause. Offer it what waits, and let the others read on.
        let mut offered = false;
        for (&id, conn) in conns.iter_mut().filter(|(_, conn)| !conn.blocked) {
            let taken = match &conn.waiting {
                Some(Ws::Text(text)) => machine.message(now(), id, Message::Text(text)),
                Some(message) => {
                    machine.message(now(), id, Message::Binary(&message.clone().into_data()))
                }
                None if conn.reading => continue,
                None => {
                    conn.reading = true;
                    conn.order(Order::Read);
                    continue;
                }
            };
            offered = true;
            match taken {
                Ok(()) => conn.waiting = None,
                Err(_full) => conn.blocked = true,
            }
        }
        if offered {
            continue;
        }
        let due = machine.deadline().map(|deadline| deadline.at);
        let wait = due.map_or(60_000_000, |at| at.since(now().mono).0);
        match inbox.recv_timeout(Duration::from_micros(wait)) {
            Ok(Input::Accepted(socket, from)) => {
                if let Some(id) = machine.accept(now(), Source::from(from)) {
                    conns.insert(id, connect(id, true, &inputs, || Ok(*socket)));
                }
            }
            Ok(Input::Opened(id)) => {
                if let Some(conn) = conns.get_mut(&id).filter(|conn| !conn.open) {
                    conn.open = true;
                    machine.opened(now(), id);
                }
            }
            Ok(Input::Message(id, message)) => {
                if let Some(conn) = conns.get_mut(&id) {
                    conn.reading = false;
                    conn.waiting = Some(message);
                }
            }
            Ok(Input::Drained(id, count)) => {
                let Some(conn) = conns.get_mut(&id) else {
                    continue;
                };
                conn.queued -= count;
                if conn.queued == 0 {
                    machine.drained(now(), id);
                }
            }
            Ok(Input::Closed(id, how)) => {
                if conns.remove(&id).is_some() {
                    machine.closed(now(), id, how);
                }
            }
            // The threads of the connections find out that nobody gives orders any more.
            Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return machine,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if due.is_some_and(|at| at <= now().mono) {
            machine.tick(now());
        }
    }
}

impl Conn {
    fn order(&self, order: Order) {
        // If its thread has ended, `Input::Closed` is on its way.
        let _ = self.orders.send(order);
    }
}

/// Starts the thread of a connection.
fn connect(
    id: ConnId,
    open: bool,
    inputs: &Sender<Input>,
    socket: impl FnOnce() -> Result<Socket, String> + Send + 'static,
) -> Conn {
    let (orders, queue) = channel();
    let inputs = inputs.clone();
    thread::spawn(move || {
        let how = match socket() {
            Ok(socket) => {
                let _ = inputs.send(Input::Opened(id));
                serve(id, socket, &queue, &inputs)
                    .unwrap_or_else(|error| Closed::Lost(error.to_string()))
            }
            Err(why) => Closed::NotOpened(why),
        };
        let _ = inputs.send(Input::Closed(id, how));
    });
    Conn {
        orders,
        open,
        reading: false,
        waiting: None,
        blocked: false,
        queued: 0,
    }
}

/// Reads and writes until the connection ends.
fn serve(
    id: ConnId,
    mut socket: Socket,
    orders: &Receiver<Order>,
    inputs: &Sender<Input>,
) -> tungstenite::Result<Closed> {
    socket.get_ref().set_read_timeout(Some(TURN))?;
    socket.get_ref().set_write_timeout(Some(TURN))?;
    let (mut reading, mut unsent, mut close_limit) = (false, 0, None);
    loop {
        let idle = !reading && unsent == 0;
        let mut wait = if idle { TURN } else { Duration::ZERO };
        loop {
            match orders.recv_timeout(mem::take(&mut wait)) {
                Ok(Order::Read) => reading = true,
                Ok(Order::Write(message)) => {
                    if message.is_close() {
                        (reading, close_limit) = (true, Some(Instant::now() + CLOSE_LIMIT));
                    } else {
                        unsent += 1;
                    }
                    in_time(socket.write(message))?;
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(Closed::Lost("stopped".into())),
            }
        }
        if in_time(socket.flush())?.is_some() && unsent > 0 {
            let _ = inputs.send(Input::Drained(id, mem::take(&mut unsent)));
        }
        match if reading {
            in_time(socket.read())?
        } else {
            None
        } {
            Some(Ws::Close(frame)) => {
                // The answer, if this is not one. Either way it is over.
                let _ = socket.flush();
                return Ok(Closed::ByPeer {
                    code: frame.as_ref().map_or(1005, |frame| frame.code.into()),
                    reason: frame.map_or(String::new(), |frame| frame.reason.to_string()),
                });
            }
            // After our close, what still comes is dropped.
            Some(message @ (Ws::Text(_) | Ws::Binary(_))) if close_limit.is_none() => {
                reading = false;
                let _ = inputs.send(Input::Message(id, message));
            }
            _ => {}
        }
        if close_limit.is_some_and(|limit| limit < Instant::now()) {
            return Ok(Closed::Lost("the close was not answered".into()));
        }
    }
}

/// `None` if the turn was over before it was done; the WebSocket remembers where it stopped.
fn in_time<T>(result: tungstenite::Result<T>) -> tungstenite::Result<Option<T>> {
    match result {
        Err(tungstenite::Error::Io(error))
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
        {
            Ok(None)
        }
        result => result.map(Some),
    }
}

/// Accepts until the process ends. The handshakes have their own threads: one of them may hang.
fn accept_all(listener: &TcpListener, inputs: &Sender<Input>) {
    for stream in listener.incoming().flatten() {
        let inputs = inputs.clone();
        thread::spawn(move || -> Result<(), Box<dyn Error>> {
            stream.set_read_timeout(Some(OPEN_LIMIT))?;
            stream.set_nodelay(true)?;
            let from = stream.peer_addr()?.ip();
            let socket = tungstenite::accept_with_config(stream, config())?;
            Ok(inputs.send(Input::Accepted(Box::new(socket), from))?)
        });
    }
}

fn dial(url: &str) -> Result<Socket, Box<dyn Error>> {
    let rest = url
        .strip_prefix("ws://")
        .ok_or("only ws:// is spoken here")?;
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let mut addresses = host
        .to_socket_addrs()
        .or_else(|_| format!("{host}:80").to_socket_addrs())?;
    let address = addresses.next().ok_or("no such host")?;
    let stream = TcpStream::connect_timeout(&address, OPEN_LIMIT)?;
    stream.set_read_timeout(Some(OPEN_LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(tungstenite::client::client_with_config(url, stream, config())?.0)
}

/// Longer messages are refused. All writing is left to `flush`: what a machine sends ahead is bounded.
fn config() -> Option<WebSocketConfig> {
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
    let config = config.write_buffer_size(usize::MAX - 1);
    Some(
        config
            .max_message_size(Some(limits::FRAME))
            .max_frame_size(Some(limits::FRAME)),
    )
}
