//! Somebody tests a node of their own. It greets whoever says its name, after a moment's work; and in some schedules,
//! not in all, it greets the wrong one. `cargo run -p chumwire-sim --example find_a_planted_bug`

use std::collections::VecDeque;

use chumwire::io::{Closed, ConnId, Effect, Full, Kind, Message, NotStored, StoreId};
use chumwire::time::{Alarm, Deadline, Micros, Now};
use chumwire_sim::scenario::{Scenario, Setting, Stage, Stop, Truth};
use chumwire_sim::shrink::steps;
use chumwire_sim::{Action, Heard, Party, Scheduled, Seeded};

/// The node under test. Its bug: it remembers who asked last, not who asked what.
#[derive(Default)]
struct Desk {
    conns: u64,
    asker: Option<ConnId>,
    work: VecDeque<(Micros, String)>,
    out: VecDeque<(String, ConnId)>,
}

impl Party for Desk {
    fn accept(&mut self, _: Now) -> Option<ConnId> {
        self.conns += 1;
        Some(ConnId(self.conns))
    }
    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        self.asker = Some(conn);
        let name = String::from_utf8_lossy(message.bytes()).into_owned();
        self.work.push_back((now.mono + Micros::millis(5), name));
        Ok(())
    }
    fn tick(&mut self, now: Now) {
        while let Some((_, name)) = self.work.pop_front_if(|(at, _)| *at <= now.mono) {
            self.out.extend(self.asker.map(|asker| (name, asker)));
        }
    }
    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Action> {
        let (name, conn) = self.out.pop_front()?;
        *bytes = format!("hello {name}").into_bytes();
        let kind = Kind::Text;
        Some(Effect::Send { conn, kind })
    }
    fn deadline(&self) -> Option<Deadline> {
        let (at, why) = (self.work.front()?.0, Alarm::StepLimit);
        Some(Deadline { at, why })
    }
    fn opened(&mut self, _: Now, _: ConnId) {}
    fn drained(&mut self, _: Now, _: ConnId) {}
    fn closed(&mut self, _: Now, _: ConnId, _: Closed) {}
    fn stored(&mut self, _: Now, _: StoreId, _: Result<(), NotStored>) {}
}

fn two_at_the_desk(stage: &mut Stage) -> Result<Truth, Stop> {
    stage.world.add_party("desk", Box::new(Desk::default()));
    let guests = ["bob", "carol"].map(|name| {
        let id = stage.world.add_puppet(name);
        let conn = stage.world.on_puppet(id, |puppet| puppet.dial("ws://desk"));
        stage.world.on_puppet(id, |puppet| puppet.text(conn, name));
        (name, id, conn)
    });
    stage.run(200)?;
    for (name, id, conn) in guests {
        let mut heard = stage.world.puppet(id).heard(conn);
        let greeted = heard.any(|heard| *heard == Heard::Text(format!("hello {name}")));
        stage.require(greeted, "who says its name is greeted by it")?;
    }
    Ok(Truth::nothing())
}

const SCENARIO: Scenario = Scenario {
    name: "two-at-the-desk",
    about: "two come at about the same time",
    required: "each is greeted by its name",
    script: two_at_the_desk,
};

fn main() {
    let setting = Setting::default();
    let run = |seed| SCENARIO.run(&setting, Seeded::new(seed));
    let failing = (0..1_000).map(run).find(|run| run.outcome.is_err());
    let found = failing.expect("some schedule shows the bug").schedule;
    let shortest = SCENARIO.shrink(&setting, found.clone(), 10_000);
    let shortest = shortest.expect("it fails again");
    let choices = shortest.shrunk.choices;
    println!(
        "{} steps became {}: {choices:?}",
        steps(&found),
        shortest.shrunk.steps
    );
    println!("{}", shortest.failure);
    let again = SCENARIO.run(&setting, Scheduled::new(choices));
    assert_eq!(
        again.trace, shortest.run.trace,
        "its choices are the same run again"
    );
}
