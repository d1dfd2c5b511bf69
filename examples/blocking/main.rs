//! Two machines that talk over a real socket, on threads and without any async runtime.
//!
//! `driver.rs` beside this file is the whole driver. Run it with `cargo run --example blocking`.

mod driver;

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;

use chumwire::io::{Closed, ConnId, Effect, Full, Kind, Machine, Message, NotStored};
use chumwire::io::{Source, StoreId};
use chumwire::time::{Deadline, Now};

/// The smallest machine worth driving: one side asks, the other one answers in capitals, then it is over.
#[derive(Default)]
struct Shout {
    ask: Option<String>,
    next: u64,
    effects: std::collections::VecDeque<(Effect<String, ()>, Vec<u8>)>,
}

impl Shout {
    fn asking(url: &str, question: &str) -> Self {
        let dial = Effect::Dial { conn: ConnId(0), url: url.into() };
        Self { ask: Some(question.into()), next: 1, effects: [(dial, Vec::new())].into() }
    }

    fn send(&mut self, conn: ConnId, text: &str) {
        self.effects.push_back((Effect::Send { conn, kind: Kind::Text }, text.into()));
    }

    fn tell(&mut self, text: String) {
        self.effects.push_back((Effect::Event(text), Vec::new()));
    }
}

impl Machine for Shout {
    type Event = String;
    type Record = ();

    fn accept(&mut self, _now: Now, _from: Source) -> Option<ConnId> {
        self.next += 1;
        Some(ConnId(self.next))
    }

    fn opened(&mut self, _now: Now, conn: ConnId) {
        if let Some(question) = self.ask.clone() {
            self.send(conn, &question);
        }
    }

    fn message(&mut self, _now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        let Message::Text(text) = message else { return Ok(()) };
        self.tell(format!("heard: {text}"));
        if self.ask.is_none() {
            self.send(conn, &text.to_uppercase());
        } else {
            let close = Effect::Close { conn, code: 1000, reason: "thanks".into() };
            self.effects.push_back((close, Vec::new()));
        }
        Ok(())
    }

    fn drained(&mut self, _now: Now, _conn: ConnId) {}

    fn closed(&mut self, _now: Now, _conn: ConnId, how: Closed) {
        self.tell(format!("closed: {how:?}"));
    }

    fn stored(&mut self, _now: Now, _id: StoreId, _result: Result<(), NotStored>) {}

    fn tick(&mut self, _now: Now) {}

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Effect<String, ()>> {
        let (effect, content) = self.effects.pop_front()?;
        *bytes = content;
        Some(effect)
    }

    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

/// Runs a machine in a thread until its first connection is closed.
fn start(
    name: &'static str,
    machine: Shout,
    listener: Option<TcpListener>,
) -> thread::JoinHandle<Shout> {
    let (inputs, incoming) = channel();
    let stop = inputs.clone();
    let event = move |event: String| {
        println!("{name} {event}");
        if event.starts_with("closed") {
            let _ = stop.send(driver::Input::Stop);
        }
    };
    thread::spawn(move || driver::run(machine, listener, (inputs, incoming), event, |()| Ok(())))
}

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}", listener.local_addr()?);
    let answering = start("answering:", Shout::default(), Some(listener));
    let asking = start("asking:   ", Shout::asking(&url, "is anybody there?"), None);
    for thread in [asking, answering] {
        thread.join().map_err(|_| std::io::Error::other("a driver failed"))?;
    }
    Ok(())
}
