//! Connections that open, and those that do not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use chumwire::io::{Closed, ConnId, Kind, Source};
use tungstenite::Message;

use super::{Dialler, Sink};
use crate::DriverUnderTest;
use crate::observe::{Observed, Outcome, Peer, ensure, listener, text};
use crate::probe::{Behaviour, Io};

/// Dials and says hello.
struct Hello(String);

impl Behaviour for Hello {
    fn start(&mut self, io: &mut Io) {
        io.dial(&self.0);
    }

    fn opened(&mut self, io: &mut Io, conn: ConnId) {
        io.send(conn, Kind::Text, b"hello");
    }
}

pub(super) fn dial<D: DriverUnderTest>(driver: &D) -> Outcome {
    // To a plain peer...
    let (listener, url) = listener()?;
    let client = Observed::dialling(driver, Hello(url));
    let mut peer = Peer::accept(&listener)?;
    client.opened()?;
    ensure(peer.receive()? == Message::text("hello"), || {
        "something else came".into()
    })?;
    client.finish()?;
    // ... and to another driver, which knows from where.
    let server = Observed::listening(driver, Sink);
    let client = Observed::dialling(driver, Hello(server.url()?));
    let (_, from) = server.accepted()?;
    let here = Source::Address(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
    ensure(from == here || from == Source::Unknown, || {
        format!("it came from {from:?}")
    })?;
    ensure(server.message()? == b"hello", || {
        "something else came".into()
    })?;
    client.finish()?;
    server.closed()?;
    server.finish()
}

/// The sentence for a connection that could not be opened.
fn not_opened(client: &Observed) -> Outcome<String> {
    match client.closed()?.1 {
        Closed::NotOpened(why) if !why.is_empty() => Ok(why),
        how => Err(format!("it was told as {how:?}")),
    }
}

pub(super) fn refused<D: DriverUnderTest>(driver: &D) -> Outcome {
    let (listener, url) = listener()?;
    drop(listener);
    let client = Observed::dialling(driver, Dialler(url));
    let why = not_opened(&client)?.to_lowercase();
    ensure(why.contains("refused"), || {
        format!("the reason does not tell: {why}")
    })?;
    client.finish()
}

pub(super) fn not_websocket<D: DriverUnderTest>(driver: &D) -> Outcome {
    for (answer, word) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        ("", ""),
    ] {
        let (listener, url) = listener()?;
        let client = Observed::dialling(driver, Dialler(url));
        let (mut stream, _) = listener.accept().map_err(text)?;
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).map_err(text)?;
        stream.write_all(answer.as_bytes()).map_err(text)?;
        drop(stream);
        let why = not_opened(&client)?;
        ensure(why.contains(word), || {
            format!("the reason does not tell {word}: {why}")
        })?;
        client.finish()?;
    }
    Ok(())
}

pub(super) fn bad_url<D: DriverUnderTest>(driver: &D) -> Outcome {
    for url in [
        "",
        "ftp://127.0.0.1",
        "ws://",
        "127.0.0.1:80",
        "ws://127.0.0.1:99999",
    ] {
        let client = Observed::dialling(driver, Dialler(url.into()));
        not_opened(&client).map_err(|why| format!("{url:?}: {why}"))?;
        client.finish()?;
    }
    Ok(())
}

pub(super) fn silent<D: DriverUnderTest>(driver: &D) -> Outcome {
    let (listener, url) = listener()?;
    let start = Instant::now();
    let client = Observed::dialling(driver, Dialler(url));
    let (stream, _) = listener.accept().map_err(text)?;
    not_opened(&client)?;
    let time = start.elapsed();
    ensure(time > Duration::from_secs(4), || {
        format!("it was given only {time:?}")
    })?;
    ensure(time < Duration::from_secs(7), || {
        format!("it took {time:?}")
    })?;
    drop(stream);
    client.finish()
}

/// Dials, and thinks better of it.
struct Fickle(String);

impl Behaviour for Fickle {
    fn start(&mut self, io: &mut Io) {
        let conn = io.dial(&self.0);
        io.close(conn, 1000, "");
    }
}

pub(super) fn given_up<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Sink);
    let client = Observed::dialling(driver, Fickle(server.url()?));
    not_opened(&client)?;
    let more = client.within(Duration::from_millis(200))?;
    ensure(more.is_none(), || format!("after the end came {more:?}"))?;
    client.finish()?;
    server.finish()
}

/// Wants every second connection.
#[derive(Default)]
struct Choosy {
    asked: u32,
}

impl Behaviour for Choosy {
    fn accept(&mut self, io: &mut Io, conn: ConnId) -> bool {
        self.asked += 1;
        let wanted = self.asked.is_multiple_of(2);
        if wanted {
            io.send(conn, Kind::Text, b"welcome");
        }
        wanted
    }
}

pub(super) fn unwanted<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Choosy::default());
    for _ in 0..3 {
        let mut peer = Peer::connect(server.address()?)?;
        ensure(peer.receive().is_err(), || "it got a message".into())?;
        let mut peer = Peer::connect(server.address()?)?;
        ensure(peer.receive()? == Message::text("welcome"), || {
            "something else came".into()
        })?;
    }
    server.finish()
}

pub(super) fn rubbish<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Sink);
    let address = server.address()?;
    let mut streams = Vec::new();
    for rubbish in [
        &b""[..],
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ] {
        let mut stream = TcpStream::connect(address).map_err(text)?;
        stream.write_all(rubbish).map_err(text)?;
        streams.push(stream);
    }
    // Those that say nothing more stay connected meanwhile.
    thread::sleep(Duration::from_millis(20));
    let mut peer = Peer::connect(address)?;
    peer.send("x")?;
    server.message()?;
    let seen = server.within(Duration::from_millis(50))?;
    ensure(seen.is_none(), || format!("the machine heard of {seen:?}"))?;
    drop(streams);
    server.finish()
}
