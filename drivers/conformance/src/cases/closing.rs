//! The ends of connections: told once, in due form, in time.

use std::time::{Duration, Instant};

use chumwire::io::{Closed, ConnId, Full, Kind, Message};
use tungstenite::Message as Ws;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::Sink;
use crate::DriverUnderTest;
use crate::observe::{Observed, Outcome, Peer, ensure, hush, number, numbered, text};
use crate::probe::{Behaviour, Io};

/// Says a few things and closes.
struct Closer {
    messages: u64,
    code: u16,
    reason: String,
}

impl Behaviour for Closer {
    fn accept(&mut self, io: &mut Io, conn: ConnId) -> bool {
        for i in 0..self.messages {
            io.send(conn, Kind::Binary, &numbered(i, 10_000));
        }
        io.close(conn, self.code, &self.reason);
        true
    }
}

/// Reads to the end, and returns the close frame.
fn read_close(peer: &mut Peer) -> Outcome<(u64, CloseFrame)> {
    let mut messages = 0;
    loop {
        match peer.receive()? {
            Ws::Close(Some(frame)) => return Ok((messages, frame)),
            Ws::Close(None) => return Err("the close has no code".into()),
            message => {
                let found = number(&message.into_data())?;
                ensure(found == messages, || {
                    format!("message {found} instead of {messages}")
                })?;
                messages += 1;
            }
        }
    }
}

pub(super) fn orderly<D: DriverUnderTest>(driver: &D) -> Outcome {
    let closer = Closer {
        messages: 100,
        code: 4321,
        reason: "enough said".into(),
    };
    let server = Observed::listening(driver, closer);
    let mut peer = Peer::connect(server.address()?)?;
    let (messages, frame) = read_close(&mut peer)?;
    ensure(messages == 100, || {
        format!("{messages} of 100 messages came before the close")
    })?;
    ensure(u16::from(frame.code) == 4321, || {
        format!("the code is {}", frame.code)
    })?;
    ensure(frame.reason.as_str() == "enough said", || {
        format!("the reason is {}", frame.reason)
    })?;
    // The answer is sent by the next read; then the server ends the TCP connection.
    ensure(peer.receive().is_err(), || {
        "something came after the close".into()
    })?;
    let (_, how) = server.closed()?;
    ensure(matches!(how, Closed::ByPeer { .. }), || {
        format!("it was told as {how:?}")
    })?;
    server.finish()
}

pub(super) fn long_reason<D: DriverUnderTest>(driver: &D) -> Outcome {
    let reason = format!("ab{}", "é".repeat(100));
    let server = Observed::listening(
        driver,
        Closer {
            messages: 0,
            code: 1008,
            reason,
        },
    );
    let mut peer = Peer::connect(server.address()?)?;
    let (_, frame) = read_close(&mut peer)?;
    let expected = format!("ab{}", "é".repeat(60));
    ensure(frame.reason.as_str() == expected, || {
        format!("it was cut to {}", frame.reason)
    })?;
    drop(peer);
    server.closed()?;
    server.finish()
}

pub(super) fn by_peer<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Sink);
    let frame = CloseFrame {
        code: CloseCode::Library(4004),
        reason: "bye".into(),
    };
    let with_code = Closed::ByPeer {
        code: 4004,
        reason: "bye".into(),
    };
    let without = Closed::ByPeer {
        code: 1005,
        reason: String::new(),
    };
    for (frame, expected) in [(Some(frame), with_code), (None, without)] {
        let mut peer = Peer::connect(server.address()?)?;
        peer.socket.close(frame).map_err(text)?;
        let (_, how) = server.closed()?;
        ensure(how == expected, || {
            format!("it was told as {how:?} instead of {expected:?}")
        })?;
        let answer = peer.receive()?;
        ensure(answer.is_close(), || {
            format!("the close was answered by {answer}")
        })?;
    }
    server.finish()
}

pub(super) fn lost<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Sink);
    let mut peer = Peer::connect(server.address()?)?;
    peer.send("x")?;
    server.message()?;
    drop(peer);
    let (_, how) = server.closed()?;
    match how {
        Closed::Lost(why) => ensure(!why.is_empty(), || "no reason is told".into())?,
        how => return Err(format!("it was told as {how:?}")),
    }
    server.finish()
}

pub(super) fn unanswered<D: DriverUnderTest>(driver: &D) -> Outcome {
    let closer = Closer {
        messages: 0,
        code: 1000,
        reason: String::new(),
    };
    let server = Observed::listening(driver, closer);
    let peer = Peer::connect(server.address()?)?;
    server.accepted()?;
    let start = Instant::now();
    let (_, how) = server.closed()?;
    let time = start.elapsed();
    ensure(matches!(how, Closed::Lost(_)), || {
        format!("it was told as {how:?}")
    })?;
    ensure(time > Duration::from_millis(1500), || {
        format!("it was given only {time:?}")
    })?;
    ensure(time < Duration::from_millis(5000), || {
        format!("it took {time:?}")
    })?;
    drop(peer);
    server.finish()
}

pub(super) fn talkative<D: DriverUnderTest>(driver: &D) -> Outcome {
    let closer = Closer {
        messages: 0,
        code: 1000,
        reason: String::new(),
    };
    let server = Observed::listening(driver, closer);
    // It never reads, so it never learns of the close.
    let peer = Peer::connect(server.address()?)?.talk()?;
    server.closed()?;
    server.finish()?;
    hush(peer)
}

/// Closes at the first message.
struct CloseAtOnce;

impl Behaviour for CloseAtOnce {
    fn message(&mut self, io: &mut Io, conn: ConnId, _message: Message<'_>) -> Result<(), Full> {
        io.close(conn, 1000, "mine");
        Ok(())
    }
}

pub(super) fn crossing<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, CloseAtOnce);
    for _ in 0..20 {
        let mut peer = Peer::connect(server.address()?)?;
        peer.send("x")?;
        peer.socket.close(None).map_err(text)?;
        let (_, how) = server.closed()?;
        ensure(matches!(how, Closed::ByPeer { .. }), || {
            format!("it was told as {how:?}")
        })?;
    }
    server.finish()
}

/// Uses a connection that is gone.
struct Stubborn;

impl Behaviour for Stubborn {
    fn closed(&mut self, io: &mut Io, conn: ConnId) {
        for conn in [conn, ConnId(999)] {
            io.send(conn, Kind::Text, b"are you there?");
            io.pause(conn);
            io.resume(conn);
            io.close(conn, 1000, "");
        }
    }
}

pub(super) fn too_late<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Stubborn);
    for _ in 0..2 {
        drop(Peer::connect(server.address()?)?);
        server.closed()?;
    }
    server.finish()
}
