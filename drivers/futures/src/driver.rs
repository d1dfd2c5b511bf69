//! The loop: one task that owns the machine, feeds it and does what it wants done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::mem;
use std::net::IpAddr;
use std::task::Poll;

use async_channel::{Receiver, Sender, bounded, unbounded};
use async_tungstenite::tungstenite;
use chumwire::io::{Closed, ConnId, Effect, Full, Machine, Message, Source};
use chumwire::time::Micros;
use futures_util::Stream;

use crate::clock::{Clock, Timer};
use crate::config::Config;
use crate::connection::{Batch, Command, Connection};
use crate::dial::dial;
use crate::handle::{Handle, Request};
use crate::host::Host;
use crate::listen::{Listener, Permit};
use crate::runtime::{Runtime, unless};
use crate::transport::Socket;

/// How many inputs are taken before the machine is asked what it wants done.
const INPUTS_AT_ONCE: usize = 64;
/// The close code for "this endpoint goes away".
const GOING_AWAY: u16 = 1001;

/// What the other tasks tell the loop. The channel is unbounded, but not what is in it: a connection has one
/// batch of input in it at most, and a report for what it was given to send.
pub(crate) enum Input<S> {
    Accepted {
        socket: Box<Socket<S>>,
        from: IpAddr,
        permit: Permit,
    },
    Dialled {
        conn: ConnId,
        result: Result<Box<Socket<S>>, String>,
    },
    Batch {
        conn: ConnId,
        messages: Vec<tungstenite::Message>,
    },
    Drained {
        conn: ConnId,
        count: u64,
    },
    Closed {
        conn: ConnId,
        how: Closed,
    },
}

/// A connection as the loop sees it.
enum Slot {
    /// Dropping the sender gives the dial up.
    Dialling {
        _give_up: Sender<()>,
    },
    Open(Open),
}

struct Open {
    commands: Sender<Command>,
    /// What goes to the connection's task after the current round of effects.
    outbox: Batch,
    /// Messages handed to the task so far, and how many of them have left.
    sent: u64,
    drained: u64,
    /// Read, but not taken by the machine yet.
    stash: VecDeque<tungstenite::Message>,
    /// The machine said `Full`, or `Pause`; either ends with `Resume`.
    full: bool,
    paused: bool,
    /// The task may be reading a batch.
    reading: bool,
    closing: bool,
    /// It has ended, but there are messages from before that the machine has to take first.
    ended: Option<Closed>,
}

impl Open {
    fn new(commands: Sender<Command>) -> Self {
        Self {
            commands,
            outbox: Batch::default(),
            sent: 0,
            drained: 0,
            stash: VecDeque::new(),
            full: false,
            paused: false,
            reading: false,
            closing: false,
            ended: None,
        }
    }

    fn command(&self, command: Command) {
        // Fails only if the task has ended, and then its last report is on the way.
        let _ = self.commands.try_send(command);
    }

    fn hand_over(&mut self) {
        if !self.outbox.is_empty() {
            let batch = mem::take(&mut self.outbox);
            self.command(Command::Send(batch));
        }
    }
}

/// Makes a driver for `machine`: the handle, and the loop as a future that has to be run. The loop ends when a
/// handle says [`shutdown`](Handle::shutdown), and gives the machine back.
pub fn driver<R, M, H>(
    runtime: R,
    machine: M,
    host: H,
    config: Config,
) -> (Handle<M>, impl Future<Output = M> + Send + 'static)
where
    R: Runtime,
    M: Machine + Send + 'static,
    H: Host<M> + 'static,
{
    let (requests, asked) = unbounded();
    let (inputs, incoming) = unbounded();
    let driver = Driver {
        runtime,
        machine,
        host,
        config,
        clock: Clock::new(),
        inputs,
        slots: BTreeMap::new(),
        touched: BTreeSet::new(),
        listeners: Vec::new(),
        bytes: Vec::new(),
        stopping: None,
    };
    (Handle { requests }, driver.run(asked, incoming))
}

struct Driver<R: Runtime, M, H> {
    runtime: R,
    machine: M,
    host: H,
    config: Config,
    clock: Clock,
    inputs: Sender<Input<R::Stream>>,
    slots: BTreeMap<ConnId, Slot>,
    /// Connections with something to settle after the current round of effects.
    touched: BTreeSet<ConnId>,
    /// Dropping a sender stops its listener.
    listeners: Vec<Sender<()>>,
    /// The buffer of `poll`, used again and again.
    bytes: Vec<u8>,
    /// When to stop at the latest, once it has been asked for.
    stopping: Option<Micros>,
}

enum Wake<M, S> {
    Request(Request<M>),
    Input(Input<S>),
    Time,
}

impl<R, M, H> Driver<R, M, H>
where
    R: Runtime,
    M: Machine + Send + 'static,
    H: Host<M> + 'static,
{
    async fn run(
        mut self,
        requests: Receiver<Request<M>>,
        incoming: Receiver<Input<R::Stream>>,
    ) -> M {
        let mut requests = Box::pin(requests);
        let mut incoming = Box::pin(incoming);
        let mut timer = Timer::default();
        // Without handles a machine still runs.
        let mut handles = true;
        loop {
            self.serve();
            if self.stopped() {
                return self.machine;
            }
            let now = self.clock.now().mono;
            let deadline = self.machine.deadline().map(|deadline| deadline.at);
            if let Some(at) = deadline.into_iter().chain(self.stopping).min() {
                timer.arm(&self.runtime, at, now);
            }
            let wake = poll_fn(|cx| {
                if handles {
                    match requests.as_mut().poll_next(cx) {
                        Poll::Ready(Some(request)) => return Poll::Ready(Wake::Request(request)),
                        Poll::Ready(None) => handles = false,
                        Poll::Pending => {}
                    }
                }
                if let Poll::Ready(Some(input)) = incoming.as_mut().poll_next(cx) {
                    return Poll::Ready(Wake::Input(input));
                }
                timer.poll(cx).map(|()| Wake::Time)
            });
            match wake.await {
                Wake::Request(request) => self.request(request),
                Wake::Input(input) => {
                    self.input(input);
                    for _ in 1..INPUTS_AT_ONCE {
                        let Ok(input) = incoming.try_recv() else {
                            break;
                        };
                        self.input(input);
                    }
                }
                Wake::Time => {}
            }
            let now = self.clock.now();
            if self
                .machine
                .deadline()
                .is_some_and(|deadline| deadline.at <= now.mono)
            {
                self.machine.tick(now);
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stopping
            .is_some_and(|latest| self.slots.is_empty() || latest <= self.clock.now().mono)
    }

    fn request(&mut self, request: Request<M>) {
        match request {
            Request::Job(job) => job(&mut self.machine, self.clock.now()),
            Request::Listen {
                address,
                tls,
                reply,
            } => {
                let (keep, stop) = bounded(1);
                if self.stopping.is_none() {
                    self.listeners.push(keep);
                    let listener = Listener {
                        runtime: self.runtime.clone(),
                        limits: self.config.limits,
                        tls,
                        inputs: self.inputs.clone(),
                        stop,
                    };
                    self.runtime.spawn(listener.run(address, reply));
                }
            }
            Request::Stop => {
                self.listeners.clear();
                let limit = u64::try_from(self.config.limits.stop.as_micros()).unwrap_or(u64::MAX);
                self.stopping
                    .get_or_insert(self.clock.now().mono + Micros(limit));
            }
        }
    }

    fn input(&mut self, input: Input<R::Stream>) {
        let now = self.clock.now();
        match input {
            Input::Accepted {
                socket,
                from,
                permit,
            } => {
                drop(permit);
                if self.stopping.is_none()
                    && let Some(conn) = self.machine.accept(now, Source::from(from))
                {
                    self.open(conn, *socket);
                }
            }
            Input::Dialled { conn, result } => {
                // Absent if the machine has given it up meanwhile.
                if self.slots.remove(&conn).is_some() {
                    match result {
                        Ok(socket) => {
                            self.open(conn, *socket);
                            self.machine.opened(now, conn);
                        }
                        Err(why) => self.machine.closed(now, conn, Closed::NotOpened(why)),
                    }
                }
            }
            Input::Batch { conn, messages } => {
                if let Some(Slot::Open(open)) = self.slots.get_mut(&conn)
                    && !open.closing
                {
                    open.reading = false;
                    open.stash.extend(messages);
                    self.offer(conn);
                }
            }
            Input::Drained { conn, count } => {
                if let Some(Slot::Open(open)) = self.slots.get_mut(&conn) {
                    open.drained = count;
                    // While this was on its way, more may have been sent; then it is not true any more.
                    if open.sent == count {
                        self.machine.drained(now, conn);
                    }
                }
            }
            Input::Closed { conn, how } => {
                if let Some(Slot::Open(open)) = self.slots.get_mut(&conn) {
                    // If there is still something to send here, it will never leave; a machine that waits
                    // for that before it takes more would wait for ever.
                    if open.stash.is_empty() || open.closing || open.sent != open.drained {
                        self.gone(conn, how);
                    } else {
                        open.ended = Some(how);
                    }
                }
            }
        }
    }

    fn open(&mut self, conn: ConnId, socket: Socket<R::Stream>) {
        let (commands, orders) = unbounded();
        let (runtime, limits) = (self.runtime.clone(), self.config.limits);
        let inputs = self.inputs.clone();
        let task = Connection::new(runtime, limits, conn, socket, orders, inputs);
        self.runtime.spawn(task.run());
        self.slots.insert(conn, Slot::Open(Open::new(commands)));
        self.touched.insert(conn);
    }

    fn gone(&mut self, conn: ConnId, how: Closed) {
        self.slots.remove(&conn);
        self.machine.closed(self.clock.now(), conn, how);
    }

    /// Offers the machine what it has not taken yet, in order, until it refuses.
    fn offer(&mut self, conn: ConnId) {
        let Some(Slot::Open(open)) = self.slots.get_mut(&conn) else {
            return;
        };
        let now = self.clock.now();
        while !open.full
            && !open.paused
            && let Some(message) = open.stash.front()
        {
            let taken = match message {
                tungstenite::Message::Text(text) => {
                    self.machine.message(now, conn, Message::Text(text))
                }
                tungstenite::Message::Binary(bytes) => {
                    self.machine.message(now, conn, Message::Binary(bytes))
                }
                _ => Ok(()),
            };
            match taken {
                Ok(()) => drop(open.stash.pop_front()),
                Err(Full) => open.full = true,
            }
        }
        if !open.stash.is_empty() {
            return;
        }
        match open.ended.take() {
            Some(how) => self.gone(conn, how),
            None => drop(self.touched.insert(conn)),
        }
    }

    /// Does what the machine wants done, until it wants nothing more.
    fn serve(&mut self) {
        loop {
            let mut bytes = mem::take(&mut self.bytes);
            while let Some(effect) = self.machine.poll(&mut bytes) {
                self.apply(effect, &bytes);
            }
            self.bytes = bytes;
            self.settle();
            if self.stopping.is_none() || !self.send_away() {
                return;
            }
        }
    }

    fn apply(&mut self, effect: Effect<M::Event, M::Record>, bytes: &[u8]) {
        match effect {
            Effect::Dial { conn, url } => self.dial(conn, url),
            Effect::Send { conn, kind } => {
                if let Some(Slot::Open(open)) = self.slots.get_mut(&conn)
                    && !open.closing
                {
                    open.sent += 1;
                    match open.ended.take() {
                        // It cannot be sent; see `Input::Closed`.
                        Some(how) => self.gone(conn, how),
                        None => {
                            open.outbox.push(kind, bytes);
                            self.touched.insert(conn);
                        }
                    }
                }
            }
            Effect::Close { conn, code, reason } => self.close(conn, code, reason),
            Effect::Pause(conn) => {
                if let Some(Slot::Open(open)) = self.slots.get_mut(&conn) {
                    open.paused = true;
                }
            }
            Effect::Resume(conn) => {
                if let Some(Slot::Open(open)) = self.slots.get_mut(&conn) {
                    open.paused = false;
                    open.full = false;
                    self.offer(conn);
                }
            }
            Effect::Store { id, record } => {
                let result = self.host.store(record);
                self.machine.stored(self.clock.now(), id, result);
            }
            Effect::Event(event) => self.host.event(event, bytes),
            // A kind of effect that this driver does not know cannot be done by it.
            _ => {}
        }
    }

    fn dial(&mut self, conn: ConnId, url: String) {
        if self.stopping.is_some() {
            let how = Closed::NotOpened("this program is about to end".into());
            return self.machine.closed(self.clock.now(), conn, how);
        }
        let (give_up, given_up) = bounded(1);
        self.slots
            .insert(conn, Slot::Dialling { _give_up: give_up });
        let (runtime, inputs) = (self.runtime.clone(), self.inputs.clone());
        let Config { client_tls, limits } = self.config.clone();
        self.runtime.spawn(async move {
            let dialling = dial(&runtime, &url, &client_tls, &limits);
            if let Some(result) = unless(given_up.recv(), dialling).await {
                let result = result.map_err(|error| error.to_string());
                let _ = inputs.try_send(Input::Dialled { conn, result });
            }
        });
    }

    fn close(&mut self, conn: ConnId, code: u16, reason: String) {
        match self.slots.get_mut(&conn) {
            Some(Slot::Dialling { .. }) => {
                self.gone(conn, Closed::NotOpened("closed before it was open".into()));
            }
            Some(Slot::Open(open)) => {
                open.stash.clear();
                if let Some(how) = open.ended.take() {
                    return self.gone(conn, how);
                }
                if !open.closing {
                    open.closing = true;
                    open.hand_over();
                    open.command(Command::Close { code, reason });
                }
            }
            None => {}
        }
    }

    /// Hands over what is to be sent, and lets those read on whose messages were all taken. Only now, after
    /// the machine's last word, is it known who is paused.
    fn settle(&mut self) {
        while let Some(conn) = self.touched.pop_first() {
            if let Some(Slot::Open(open)) = self.slots.get_mut(&conn) {
                open.hand_over();
                if !open.reading && !open.paused && !open.closing && open.stash.is_empty() {
                    open.reading = true;
                    open.command(Command::Read);
                }
            }
        }
    }

    /// While stopping: closes whatever has nothing left to send. Tells whether the machine heard of it.
    fn send_away(&mut self) -> bool {
        let done = self.slots.iter().filter(|(_, slot)| match slot {
            Slot::Dialling { .. } => true,
            Slot::Open(open) => !open.closing && open.sent == open.drained,
        });
        let done: Vec<_> = done.map(|(conn, _)| *conn).collect();
        let before = self.slots.len();
        for conn in done {
            self.close(conn, GOING_AWAY, String::new());
        }
        self.slots.len() != before
    }
}
