//! A whole driver on threads and blocking sockets, for any machine: what a driver has to do, in one file.
//!
//! Every connection has two threads. The reader has one message on credit at a time, so that a machine that
//! takes nothing keeps the socket from being read. The writer flushes when it has nothing left to write.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the core may not read clocks, spawn or lock; a driver has to"
)]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, NotStored, Source};
use chumwire::time::{Micros, Millis, Now};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Message as Ws, WebSocket};

const OPEN_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
const LONGEST_MESSAGE: usize = 131_072;

/// What the other threads tell the loop.
pub(crate) enum Input {
    Accepted(Box<Socket>, IpAddr),
    Dialled(ConnId, Result<Box<Socket>, String>),
    Message(ConnId, Ws),
    Drained(ConnId, u64),
    Closed(ConnId, Closed),
    #[allow(
        dead_code,
        reason = "the example stops when it is done; the tests use this"
    )]
    Stop,
}

/// An open WebSocket, in two halves.
pub(crate) struct Socket {
    stream: TcpStream,
    reader: WebSocket<Wire>,
    writer: WebSocket<Wire>,
}

impl Socket {
    fn split(reader: WebSocket<Wire>, role: Role) -> io::Result<Box<Self>> {
        let Wire { stream, writing } = reader.get_ref();
        stream.set_read_timeout(None)?;
        let wire = Wire {
            stream: stream.try_clone()?,
            writing: writing.clone(),
        };
        let writer = WebSocket::from_raw_socket(wire, role, config());
        Ok(Box::new(Self {
            stream: stream.try_clone()?,
            reader,
            writer,
        }))
    }
}

/// A TCP stream that two WebSocket halves share: a write is whole before the next one begins.
pub(crate) struct Wire {
    stream: TcpStream,
    writing: Arc<Mutex<()>>,
}

impl Wire {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(OPEN_LIMIT))?;
        Ok(Self {
            stream,
            writing: Arc::default(),
        })
    }
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.read(bytes)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _whole = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.stream.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection as the loop sees it.
struct Conn {
    stream: TcpStream,
    outgoing: Sender<Ws>,
    /// Without it the reader reads on and throws away: that is how a closing connection is read.
    credit: Option<Sender<()>>,
    sent: u64,
    drained: u64,
    /// Read, but not taken by the machine yet.
    waiting: Option<Ws>,
    full: bool,
    paused: bool,
    reading: bool,
    /// It has ended, but the machine has to take what waits first.
    ended: Option<Closed>,
    /// Its end tells the watchdog of a close that all is well.
    watched: Option<Sender<()>>,
}

/// Runs `machine` until it is `done`, or `Input::Stop` comes.
pub(crate) fn run<M: Machine>(
    machine: M,
    listener: Option<TcpListener>,
    (inputs, incoming): (Sender<Input>, Receiver<Input>),
    mut event: impl FnMut(M::Event, &[u8]),
    mut store: impl FnMut(M::Record) -> Result<(), NotStored>,
    done: impl Fn(&M) -> bool,
) -> M {
    if let Some(listener) = listener {
        let inputs = inputs.clone();
        thread::spawn(move || accept_all(&listener, &inputs));
    }
    let conns = BTreeMap::new();
    let mut driver = Driver {
        machine,
        conns,
        inputs,
        start: Instant::now(),
    };
    let mut bytes = Vec::new();
    loop {
        while let Some(effect) = driver.machine.poll(&mut bytes) {
            match effect {
                Effect::Event(it) => event(it, &bytes),
                Effect::Store { id, record } => {
                    let result = store(record);
                    driver.machine.stored(driver.now(), id, result);
                }
                effect => driver.apply(effect, &bytes),
            }
        }
        if done(&driver.machine) {
            break;
        }
        driver.read_on();
        let deadline = driver.machine.deadline().map(|deadline| deadline.at);
        let wait = deadline.map_or(Duration::from_secs(60), |at| {
            Duration::from_micros(at.since(driver.now().mono).0)
        });
        match incoming.recv_timeout(wait) {
            Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Ok(input) => driver.input(input),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if deadline.is_some_and(|at| at <= driver.now().mono) {
            driver.machine.tick(driver.now());
        }
    }
    for conn in driver.conns.values().flatten() {
        let _ = conn.stream.shutdown(Shutdown::Both);
    }
    driver.machine
}

struct Driver<M> {
    machine: M,
    /// `None` while it is dialled.
    conns: BTreeMap<ConnId, Option<Conn>>,
    inputs: Sender<Input>,
    start: Instant,
}

impl<M: Machine> Driver<M> {
    fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono: Micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)),
            wall: Millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn conn(&mut self, conn: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(&conn)?.as_mut()
    }

    fn apply(&mut self, effect: Effect<M::Event, M::Record>, bytes: &[u8]) {
        match effect {
            Effect::Dial { conn, url } => {
                self.conns.insert(conn, None);
                let inputs = self.inputs.clone();
                thread::spawn(move || {
                    let _ = inputs.send(Input::Dialled(conn, dial(&url)));
                });
            }
            Effect::Send { conn: id, kind } => {
                let Some(conn) = self.conn(id) else { return };
                conn.sent += 1;
                let _ = conn.outgoing.send(match kind {
                    Kind::Text => Ws::text(String::from_utf8_lossy(bytes).into_owned()),
                    Kind::Binary => Ws::binary(bytes.to_vec()),
                });
                // It cannot leave any more: whoever waits for that has to hear of the end now.
                if let Some(how) = conn.ended.take() {
                    self.gone(id, how);
                }
            }
            Effect::Close {
                conn: id,
                code,
                reason,
            } => match self.conns.get_mut(&id) {
                Some(Some(conn)) if conn.ended.is_none() => conn.close(code, &reason),
                Some(Some(conn)) => {
                    let how = conn.ended.take().unwrap_or(Closed::Lost(String::new()));
                    self.gone(id, how);
                }
                Some(None) => self.gone(id, Closed::NotOpened("closed before it was open".into())),
                None => {}
            },
            Effect::Pause(id) => {
                if let Some(conn) = self.conn(id) {
                    conn.paused = true;
                }
            }
            Effect::Resume(id) => {
                if let Some(conn) = self.conn(id) {
                    (conn.paused, conn.full) = (false, false);
                    self.offer(id);
                }
            }
            _ => {}
        }
    }

    fn input(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Accepted(socket, from) => {
                if let Some(id) = self.machine.accept(now, Source::from(from)) {
                    self.open(id, *socket);
                }
            }
            Input::Dialled(id, result) if self.conns.contains_key(&id) => match result {
                Ok(socket) => {
                    self.open(id, *socket);
                    self.machine.opened(now, id);
                }
                Err(why) => self.gone(id, Closed::NotOpened(why)),
            },
            Input::Message(id, message) => {
                if let Some(conn) = self.conn(id).filter(|conn| conn.credit.is_some()) {
                    conn.reading = false;
                    conn.waiting = Some(message);
                    self.offer(id);
                }
            }
            Input::Drained(id, count) => {
                let Some(conn) = self.conn(id) else { return };
                conn.drained = count;
                // Unless more has been sent meanwhile.
                if conn.sent == count {
                    self.machine.drained(now, id);
                }
            }
            Input::Closed(id, how) => {
                let Some(conn) = self.conn(id) else { return };
                if conn.waiting.is_some() && conn.sent == conn.drained {
                    conn.ended = Some(how);
                } else {
                    self.gone(id, how);
                }
            }
            Input::Dialled(..) | Input::Stop => {}
        }
    }

    /// Offers the machine what waits.
    fn offer(&mut self, id: ConnId) {
        let now = self.now();
        let Some(Some(conn)) = self.conns.get_mut(&id) else {
            return;
        };
        if conn.paused || conn.full {
            return;
        }
        let taken = match &conn.waiting {
            Some(Ws::Text(text)) => self.machine.message(now, id, Message::Text(text)),
            Some(Ws::Binary(bytes)) => self.machine.message(now, id, Message::Binary(bytes)),
            _ => Ok(()),
        };
        conn.full = taken.is_err();
        if taken.is_ok() {
            conn.waiting = None;
            if let Some(how) = conn.ended.take() {
                self.gone(id, how);
            }
        }
    }

    /// Lets those read on whose message was taken and who are not paused.
    fn read_on(&mut self) {
        for conn in self.conns.values_mut().flatten() {
            if !conn.reading && !conn.paused && conn.waiting.is_none() {
                conn.reading = true;
                let _ = conn.credit.as_ref().map(|credit| credit.send(()));
            }
        }
    }

    fn gone(&mut self, id: ConnId, how: Closed) {
        if let Some(Some(conn)) = self.conns.remove(&id) {
            let _ = conn.stream.shutdown(Shutdown::Both);
        }
        self.machine.closed(self.now(), id, how);
    }

    fn open(&mut self, id: ConnId, socket: Socket) {
        let (credit, may_read) = channel();
        let (outgoing, queue) = channel();
        let (reports, more_reports) = (self.inputs.clone(), self.inputs.clone());
        let Socket {
            stream,
            reader,
            writer,
        } = socket;
        thread::spawn(move || {
            let how = read_all(id, reader, &may_read, &reports);
            let _ = reports.send(Input::Closed(id, how));
        });
        // If both threads report the end, the loop hears the first one.
        thread::spawn(move || {
            if let Err(why) = write_all(id, writer, &queue, &more_reports) {
                let _ = more_reports.send(Input::Closed(id, Closed::Lost(why.to_string())));
            }
        });
        let conn = Conn {
            stream,
            outgoing,
            credit: Some(credit),
            sent: 0,
            drained: 0,
            waiting: None,
            full: false,
            paused: false,
            reading: false,
            ended: None,
            watched: None,
        };
        self.conns.insert(id, Some(conn));
    }
}

impl Conn {
    fn close(&mut self, code: u16, reason: &str) {
        if self.credit.take().is_none() {
            return;
        }
        self.waiting = None;
        let reason = &reason[..reason.floor_char_boundary(123)];
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        };
        let _ = self.outgoing.send(Ws::Close(Some(frame)));
        let (watched, end) = channel::<()>();
        self.watched = Some(watched);
        if let Ok(stream) = self.stream.try_clone() {
            thread::spawn(move || {
                if end.recv_timeout(CLOSE_LIMIT) == Err(RecvTimeoutError::Timeout) {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            });
        }
    }
}

fn read_all(
    id: ConnId,
    mut socket: WebSocket<Wire>,
    credit: &Receiver<()>,
    inputs: &Sender<Input>,
) -> Closed {
    let closing = || credit.recv().err().map(|_| Instant::now() + CLOSE_LIMIT);
    let mut discard_until = closing();
    loop {
        match socket.read() {
            Ok(Ws::Text(_) | Ws::Binary(_))
                if discard_until.is_some_and(|t| t < Instant::now()) =>
            {
                return Closed::Lost("the other side goes on instead of closing".into());
            }
            Ok(Ws::Text(_) | Ws::Binary(_)) if discard_until.is_some() => {}
            Ok(message @ (Ws::Text(_) | Ws::Binary(_))) => {
                let _ = inputs.send(Input::Message(id, message));
                discard_until = closing();
            }
            Ok(Ws::Close(frame)) => {
                // The answer; but not if this is the answer to ours, which this half knows nothing of.
                if credit.try_recv() != Err(TryRecvError::Disconnected) {
                    let _ = socket.flush();
                }
                return match frame {
                    Some(CloseFrame { code, reason }) => Closed::ByPeer {
                        code: code.into(),
                        reason: reason.as_str().into(),
                    },
                    None => Closed::ByPeer {
                        code: 1005,
                        reason: String::new(),
                    },
                };
            }
            Ok(_) => {}
            Err(error) => return Closed::Lost(error.to_string()),
        }
    }
}

fn write_all(
    id: ConnId,
    mut socket: WebSocket<Wire>,
    queue: &Receiver<Ws>,
    inputs: &Sender<Input>,
) -> tungstenite::Result<()> {
    let mut count = 0;
    while let Ok(first) = queue.recv() {
        for message in std::iter::once(first).chain(queue.try_iter()) {
            if message.is_close() {
                return socket.send(message);
            }
            socket.write(message)?;
            count += 1;
        }
        socket.flush()?;
        let _ = inputs.send(Input::Drained(id, count));
    }
    Ok(())
}

fn accept_all(listener: &TcpListener, inputs: &Sender<Input>) {
    for stream in listener.incoming() {
        let (Ok(stream), inputs) = (stream, inputs.clone()) else {
            continue;
        };
        thread::spawn(move || {
            let from = stream.peer_addr().ok()?.ip();
            let socket = tungstenite::accept_with_config(Wire::new(stream).ok()?, config()).ok()?;
            let socket = Socket::split(socket, Role::Server).ok()?;
            inputs.send(Input::Accepted(socket, from)).ok()
        });
    }
}

fn dial(url: &str) -> Result<Box<Socket>, String> {
    let rest = url
        .strip_prefix("ws://")
        .ok_or("only ws:// is spoken here")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let with_port = format!("{authority}:80");
    let addresses = authority
        .to_socket_addrs()
        .or_else(|_| with_port.to_socket_addrs());
    let address = addresses
        .map_err(|error| error.to_string())?
        .next()
        .ok_or("no such host")?;
    let stream = TcpStream::connect_timeout(&address, OPEN_LIMIT).map_err(|e| e.to_string())?;
    let wire = Wire::new(stream).map_err(|error| error.to_string())?;
    let opened = tungstenite::client::client_with_config(url, wire, config());
    let (socket, _) = opened.map_err(|error| error.to_string())?;
    Socket::split(socket, Role::Client).map_err(|error| error.to_string())
}

fn config() -> Option<WebSocketConfig> {
    let config = WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(32 * 1024);
    Some(
        config
            .max_message_size(Some(LONGEST_MESSAGE))
            .max_frame_size(Some(LONGEST_MESSAGE)),
    )
}
