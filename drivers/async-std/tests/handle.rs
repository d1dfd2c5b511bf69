//! What the handle can do with a running machine.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use chumwire::io::{Closed, ConnId, Full, Kind, Message, NotStored};
use chumwire_async_std::{Config, Handle, Stopped, block_on, spawn};
use chumwire_conformance::probe::{Behaviour, Io, Probe, Seen};

/// Greets whoever comes, with a lot; and dials if it is told to.
struct Greeter {
    dial: Option<String>,
}

impl Behaviour for Greeter {
    fn start(&mut self, io: &mut Io) {
        if let Some(url) = &self.dial {
            io.dial(url);
        }
    }

    fn accept(&mut self, io: &mut Io, conn: ConnId) -> bool {
        for _ in 0..50 {
            io.send(conn, Kind::Binary, &[1; 100_000]);
        }
        true
    }

    fn message(&mut self, _io: &mut Io, _conn: ConnId, _message: Message<'_>) -> Result<(), Full> {
        Ok(())
    }
}

type Running = (Handle<Probe<Greeter>>, std::sync::mpsc::Receiver<Seen>);

fn start(dial: Option<String>) -> Running {
    let (tell, seen) = channel();
    let host = (
        move |event, _: &[u8]| drop(tell.send(event)),
        |_| Err(NotStored),
    );
    let (handle, _task) = spawn(Probe::new(Greeter { dial }), host, Config::default());
    (handle, seen)
}

#[test]
fn a_call_runs_inside_the_loop_and_what_the_machine_wants_is_done_after() {
    let (handle, seen) = start(None);
    let answer = block_on(handle.call(|machine, now| {
        // Any input will do; this one makes the machine say something.
        let accepted = chumwire::io::Machine::accept(machine, now, Default::default());
        (accepted, now.wall.0 > 0)
    }));
    assert_eq!(answer, Ok((Some(ConnId(1)), true)));
    let told = seen.recv_timeout(Duration::from_secs(5));
    assert!(matches!(told, Ok(Seen::Accepted(ConnId(1), _))), "{told:?}");
}

#[test]
fn a_shutdown_lets_all_leave_and_says_going_away() {
    let (server, heard) = start(None);
    let address = block_on(server.listen(([127, 0, 0, 1], 0).into(), None)).expect("a port");
    let (client, seen) = start(Some(format!("ws://{address}")));
    let first = heard.recv_timeout(Duration::from_secs(5));
    assert!(matches!(first, Ok(Seen::Accepted(..))), "{first:?}");
    let begin = Instant::now();
    block_on(server.shutdown());
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "it took {:?}",
        begin.elapsed()
    );
    let mut messages = 0;
    let how = loop {
        match seen.recv_timeout(Duration::from_secs(5)).expect("an end") {
            Seen::Message(..) => messages += 1,
            Seen::Closed(_, how) => break how,
            _ => {}
        }
    };
    assert_eq!(messages, 50);
    assert_eq!(
        how,
        Closed::ByPeer {
            code: 1001,
            reason: String::new()
        }
    );
    // It has stopped, and says so.
    assert_eq!(block_on(server.call(|_, _| ())), Err(Stopped));
    assert!(block_on(server.listen(address, None)).is_err());
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "it still listens"
    );
    block_on(client.shutdown());
}

#[test]
fn an_address_in_use_is_an_error_and_several_are_possible() {
    let (handle, _seen) = start(None);
    let any = ([127, 0, 0, 1], 0).into();
    let one = block_on(handle.listen(any, None)).expect("a port");
    let two = block_on(handle.listen(any, None)).expect("another port");
    assert_ne!(one, two);
    let error = block_on(handle.listen(one, None)).expect_err("it is in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
