//! Back-pressure in both directions.

use std::time::Duration;

use chumwire::io::{Closed, ConnId, Full, Kind, Message};

use crate::DriverUnderTest;
use crate::observe::{Observed, Outcome, PATIENCE, Peer, ensure, number, numbered, text};
use crate::probe::{Behaviour, Io, Seen};

/// More than any system's socket buffers hold, with what a driver may have in hand.
const MUCH: usize = 48 << 20;

/// Takes a few messages, then none until some time has passed.
#[derive(Default)]
struct Slow {
    room: usize,
    conn: Option<ConnId>,
}

impl Behaviour for Slow {
    fn accept(&mut self, _io: &mut Io, conn: ConnId) -> bool {
        self.conn = Some(conn);
        self.room = 3;
        true
    }

    fn message(&mut self, io: &mut Io, _conn: ConnId, _message: Message<'_>) -> Result<(), Full> {
        if self.room == 0 {
            io.tick_in(2);
            return Err(Full);
        }
        self.room -= 1;
        Ok(())
    }

    fn tick(&mut self, io: &mut Io) {
        self.room = 3;
        if let Some(conn) = self.conn {
            io.resume(conn);
        }
    }
}

pub(super) fn full<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Slow::default());
    let mut peer = Peer::connect(server.address()?)?;
    for i in 0..200 {
        peer.send(numbered(i, 1000))?;
    }
    for i in 0..200 {
        let found = number(&server.message()?)?;
        ensure(found == i, || {
            format!("message {found} came instead of {i}")
        })?;
    }
    server.finish()
}

pub(super) fn full_then_closed<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Slow::default());
    let mut peer = Peer::connect(server.address()?)?;
    for i in 0..40 {
        peer.send(numbered(i, 100))?;
    }
    peer.socket.close(None).map_err(text)?;
    let mut taken = 0;
    let how = server.until("the end", |seen| match seen {
        Seen::Message(..) => {
            taken += 1;
            None
        }
        Seen::Closed(_, how) => Some(how),
        _ => None,
    })?;
    ensure(taken == 40, || {
        format!("{taken} of 40 messages were offered before the end")
    })?;
    ensure(matches!(how, Closed::ByPeer { .. }), || {
        format!("it was told as {how:?}")
    })?;
    server.finish()
}

/// Pauses every connection at its first message, for a while.
struct Pauser {
    conn: Option<ConnId>,
    millis: u64,
}

impl Behaviour for Pauser {
    fn message(&mut self, io: &mut Io, conn: ConnId, _message: Message<'_>) -> Result<(), Full> {
        if self.conn.is_none() {
            self.conn = Some(conn);
            io.pause(conn);
            io.tick_in(self.millis);
        }
        Ok(())
    }

    fn tick(&mut self, io: &mut Io) {
        if let Some(conn) = self.conn {
            io.resume(conn);
        }
    }
}

pub(super) fn pause<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(
        driver,
        Pauser {
            conn: None,
            millis: 1500,
        },
    );
    let mut peer = Peer::connect(server.address()?)?;
    let gone = peer.push(64 * 1024, MUCH)?;
    ensure(gone < MUCH, || {
        format!("{gone} bytes were taken while the connection was paused")
    })?;
    // It goes on where it stopped, with nothing lost.
    peer.socket
        .get_ref()
        .set_write_timeout(Some(PATIENCE))
        .map_err(text)?;
    peer.socket.flush().map_err(text)?;
    peer.send(numbered(u64::MAX, 8))?;
    let mut expected = 0;
    loop {
        let found = number(&server.message()?)?;
        if found == u64::MAX {
            break;
        }
        ensure(found == expected, || {
            format!("message {found} came instead of {expected}")
        })?;
        expected += 1;
    }
    let sent = u64::try_from(gone / (64 * 1024)).map_err(text)?;
    // The message at which the sending came to a halt was sent, too.
    ensure(expected == sent + 1, || {
        format!("{expected} messages came of {}", sent + 1)
    })?;
    server.finish()
}

/// Sends for as long as it is drained.
struct Flood {
    next: u64,
}

impl Flood {
    fn portion(&mut self, io: &mut Io, conn: ConnId) {
        for _ in 0..4 {
            io.send(conn, Kind::Binary, &numbered(self.next, 64 * 1024));
            self.next += 1;
        }
    }
}

impl Behaviour for Flood {
    fn accept(&mut self, io: &mut Io, conn: ConnId) -> bool {
        self.portion(io, conn);
        true
    }

    fn drained(&mut self, io: &mut Io, conn: ConnId) {
        if self.next * 64 * 1024 < (MUCH as u64) {
            self.portion(io, conn);
        }
    }
}

pub(super) fn drained<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Flood { next: 0 });
    let mut peer = Peer::connect(server.address()?)?;
    server.accepted()?;
    // The peer does not read: at some point nothing is drained any more.
    let mut drains = 0;
    while server.within(Duration::from_millis(300))?.is_some() {
        drains += 1;
    }
    let gone = drains * 4 * 64 * 1024;
    ensure(gone < MUCH, || {
        format!("{gone} bytes were called sent, and nobody has read them")
    })?;
    // Now it does, and gets everything.
    for expected in 0..(MUCH as u64) / (64 * 1024) {
        let found = number(&peer.receive()?.into_data())?;
        ensure(found == expected, || {
            format!("message {found} came instead of {expected}")
        })?;
    }
    server.until("the last drain", |seen| {
        matches!(seen, Seen::Drained(_)).then_some(())
    })?;
    server.finish()
}

/// Sends more than the system takes, and takes nothing until that has left.
struct Stuck;

impl Behaviour for Stuck {
    fn accept(&mut self, io: &mut Io, conn: ConnId) -> bool {
        for i in 0..(MUCH as u64) / (64 * 1024) {
            io.send(conn, Kind::Binary, &numbered(i, 64 * 1024));
        }
        true
    }

    fn message(&mut self, _io: &mut Io, _conn: ConnId, _message: Message<'_>) -> Result<(), Full> {
        Err(Full)
    }
}

pub(super) fn stuck_then_closed<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Stuck);
    let mut peer = Peer::connect(server.address()?)?;
    peer.send("wait for me")?;
    server.until("the refusal", |seen| {
        matches!(seen, Seen::Refused(_)).then_some(())
    })?;
    drop(peer);
    server.closed()?;
    server.finish()
}
