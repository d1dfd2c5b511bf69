//! Messages arrive whole, unchanged and in order.

use std::io::Write;

use chumwire::io::{Closed, ConnId, Kind};
use tungstenite::Message;

use super::{Echo, Sink};
use crate::DriverUnderTest;
use crate::observe::{Observed, Outcome, Peer, ensure, number, numbered, text};
use crate::probe::{Behaviour, Io};

/// The longest message of the protocol.
const LONGEST: usize = 131_072;

pub(super) fn kinds<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Echo::default());
    let mut peer = Peer::connect(server.address()?)?;
    let messages = [
        Message::text("hello"),
        Message::binary(vec![0, 159, 146, 150]),
        Message::text(""),
        Message::binary(vec![]),
        Message::text("ключ 鍵 🗝"),
    ];
    for message in messages {
        peer.send(message.clone())?;
        let back = peer.receive()?;
        ensure(back == message, || {
            format!("{message:?} came back as {back:?}")
        })?;
    }
    server.finish()
}

/// Sends numbered messages in bounded portions.
struct Counter {
    url: String,
    conn: Option<ConnId>,
    next: u64,
    end: u64,
}

impl Counter {
    fn portion(&mut self, io: &mut Io) {
        let Some(conn) = self.conn else { return };
        for _ in 0..200.min(self.end - self.next) {
            let size = 8 + usize::try_from(self.next * 37 % 3000).unwrap_or(0);
            io.send(conn, Kind::Binary, &numbered(self.next, size));
            self.next += 1;
        }
    }
}

impl Behaviour for Counter {
    fn start(&mut self, io: &mut Io) {
        io.dial(&self.url);
    }

    fn opened(&mut self, io: &mut Io, conn: ConnId) {
        self.conn = Some(conn);
        self.portion(io);
    }

    fn drained(&mut self, io: &mut Io, _conn: ConnId) {
        self.portion(io);
    }
}

pub(super) fn order<D: DriverUnderTest>(driver: &D) -> Outcome {
    const COUNT: u64 = 5000;
    let server = Observed::listening(driver, Echo::default());
    let counter = Counter {
        url: server.url()?,
        conn: None,
        next: 0,
        end: COUNT,
    };
    let client = Observed::dialling(driver, counter);
    for expected in 0..COUNT {
        let bytes = client.message()?;
        let found = number(&bytes)?;
        ensure(found == expected, || {
            format!("message {found} came instead of {expected}")
        })?;
        ensure(bytes == numbered(found, bytes.len()), || {
            format!("message {found} is damaged")
        })?;
    }
    client.finish()?;
    server.finish()
}

pub(super) fn large<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Echo::default());
    let mut peer = Peer::connect(server.address()?)?;
    for message in [
        Message::binary(numbered(7, LONGEST)),
        Message::text("x".repeat(LONGEST)),
    ] {
        peer.send(message.clone())?;
        ensure(peer.receive()? == message, || "it came back changed".into())?;
    }
    server.finish()
}

pub(super) fn too_long<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Echo::default());
    let mut other = Peer::connect(server.address()?)?;
    let mut peer = Peer::connect(server.address()?)?;
    peer.send("before")?;
    peer.receive()?;
    // The driver may end the connection before all of it is sent.
    let _ = peer.send(Message::binary(vec![0; LONGEST + 1]));
    let (_, how) = server.closed()?;
    ensure(matches!(how, Closed::Lost(_)), || {
        format!("it was told as {how:?}")
    })?;
    while let Ok(message) = peer.receive() {
        ensure(message.is_close(), || "the message was taken".into())?;
    }
    other.send("still here")?;
    other.receive()?;
    server.finish()
}

pub(super) fn not_utf8<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Sink);
    let mut peer = Peer::connect(server.address()?)?;
    // A final text frame of two masked bytes; the mask is zero.
    let frame = [0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28];
    peer.socket.get_mut().write_all(&frame).map_err(text)?;
    let (_, how) = server.closed()?;
    ensure(matches!(how, Closed::Lost(_)), || {
        format!("it was told as {how:?}")
    })?;
    server.finish()
}

pub(super) fn many<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Echo::default());
    let address = server.address()?;
    let mut peers = (0..50)
        .map(|_| Peer::connect(address))
        .collect::<Outcome<Vec<_>>>()?;
    for round in 0..5 {
        for (i, peer) in peers.iter_mut().enumerate() {
            peer.send(format!("{round} {i}"))?;
        }
        for (i, peer) in peers.iter_mut().enumerate() {
            let back = peer.receive()?;
            ensure(back == Message::text(format!("{round} {i}")), || {
                format!("got {back}")
            })?;
        }
    }
    server.finish()
}

pub(super) fn ping<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Echo::default());
    let mut peer = Peer::connect(server.address()?)?;
    peer.send(Message::Ping("are you there".into()))?;
    let pong = peer.receive()?;
    ensure(pong == Message::Pong("are you there".into()), || {
        format!("got {pong}")
    })?;
    peer.send("x")?;
    ensure(server.message()? == b"x", || {
        "the machine got something else".into()
    })?;
    server.finish()
}
