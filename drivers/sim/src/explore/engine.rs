//! The parties' states by number, and what each input does to each: a machine runs once for each of these, however many
//! states of the world they are part of.

use std::rc::Rc;

use chumwire::io::{ConnId, Effect};
use chumwire::node::Record;
use chumwire::time::{Micros, Millis, Now};
use chumwire_trace::What;

use super::notebook::{Checked, Sealed};
use super::party::{Facts, Input, Role, Setup, State};
use super::play::{Cast, Play};
use super::print::{Memo, Print, Prints};
use super::store::{Item, Items, Queues};
use crate::invariants::{Ledger, secrets};
use crate::party::PartyId;
use crate::store::Store;

/// An input, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Start,
    Crash,
    Accept,
    Opened(u32),
    Message(u32, u32),
    /// Two messages in one read.
    Burst(u32, u32, u32),
    Drained(u32),
    Closed(u32, u32),
    Commit(u32),
    Stored(u32),
    Tick(Micros),
    /// Its number, and the item that was said last (0 if none was).
    Act(u32, u32),
}

impl Key {
    fn packed(self, state: u32) -> [u32; 4] {
        let pack = |kind: u32, a: u32, b: u32, c: u32| [state, kind << 24 | a, b, c];
        match self {
            Self::Start => pack(0, 0, 0, 0),
            Self::Crash => pack(1, 0, 0, 0),
            Self::Accept => pack(2, 0, 0, 0),
            Self::Opened(conn) => pack(3, conn, 0, 0),
            Self::Message(conn, item) => pack(4, conn, item, 0),
            Self::Burst(conn, one, two) => pack(5, conn, one, two),
            Self::Drained(conn) => pack(6, conn, 0, 0),
            Self::Closed(conn, item) => pack(7, conn, item, 0),
            Self::Commit(item) => pack(8, 0, item, 0),
            Self::Stored(item) => pack(9, 0, item, 0),
            Self::Tick(time) => pack(10, 0, (time.0 >> 32) as u32, time.0 as u32),
            Self::Act(act, item) => pack(11, act, item, 0),
        }
    }
}

/// What a party wants done, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Send(u32, u32),
    Close(u32, u32),
    /// A connection, and whom it is dialled to, if there is anybody.
    Dial(u32, Option<u32>),
    Pause(u32),
    Resume(u32),
    Store(u32),
    /// It waits for the news that all was sent here.
    Drain(u32),
}

/// What an input does.
pub(super) struct Outcome {
    /// The state after it.
    pub(super) state: u32,
    pub(super) wants: Box<[Want]>,
    pub(super) accepted: Option<u32>,
    /// How many of the messages were not taken, from which one on.
    pub(super) full: Option<u32>,
    /// What was said to the script.
    pub(super) said: Option<u32>,
    pub(super) fact: bool,
    /// What must not be.
    pub(super) wrong: Option<String>,
    pub(super) lines: Vec<What>,
}

/// The most connections of one life of a party that are told apart.
const CONNS: u64 = 1 << 22;

/// All that was found out about the parties of a play.
pub(super) struct Engine {
    pub(super) play: &'static Play,
    names: Vec<String>,
    setups: Vec<Setup>,
    ledger: Rc<Ledger>,
    sealed: Sealed,
    pub(super) items: Items,
    pub(super) queues: Queues,
    prints: Prints,
    states: Vec<(State, Facts)>,
    /// Whether nothing is left of a party that ends in a state, once somebody has asked.
    ends: Vec<Option<Checked>>,
    memo: Memo<[u32; 4]>,
    outcomes: Vec<Outcome>,
    agreed: Memo<[u32; 2]>,
    traced: bool,
}

impl Engine {
    /// The cast of a play, before anybody has started: and the states in which they are.
    pub(super) fn new(play: &'static Play, traced: bool) -> (Self, Vec<u32>) {
        let mut cast = Cast::default();
        (play.cast)(&mut cast);
        let (names, setups): (Vec<_>, Vec<_>) = cast.parties.into_iter().unzip();
        let mut engine = Self {
            play,
            names,
            setups,
            ledger: Ledger::listing(),
            sealed: Sealed::default(),
            items: Items::default(),
            queues: Queues::default(),
            prints: Prints::default(),
            states: Vec::new(),
            ends: Vec::new(),
            memo: Memo::default(),
            outcomes: Vec::new(),
            agreed: Memo::default(),
            traced,
        };
        // Number 0 stands for none.
        engine.items.number(Item::Said(String::new()));
        let now = Now {
            mono: Micros::secs(1),
            wall: Millis(1_700_000_000_000),
        };
        let numbers = (0..engine.parties())
            .map(|who| {
                let mut store = Store::default();
                if let Setup::Node(config, ..) = &engine.setups[who] {
                    for contact in config.contacts.iter().cloned() {
                        store.apply(Record::Contact(contact));
                    }
                }
                engine.number(who, State::new(store, now))
            })
            .collect();
        (engine, numbers)
    }

    pub(super) fn parties(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, who: usize) -> &str {
        &self.names[who]
    }

    pub(super) fn state(&self, number: u32) -> &State {
        &self.states[number as usize].0
    }

    pub(super) fn facts(&self, number: u32) -> Facts {
        self.states[number as usize].1
    }

    pub(super) fn print(&self, number: u32) -> Print {
        self.prints.get(number)
    }

    /// States of single parties, and how often a machine has run.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.states.len(), self.outcomes.len())
    }

    fn number(&mut self, who: usize, mut state: State) -> u32 {
        let mut printer = super::print::Printer::default();
        printer.word(who as u64);
        printer.add(state.print());
        let (number, new) = self.prints.number(printer.print());
        if new {
            let facts = state.facts();
            self.states.push((state, facts));
            self.ends.push(None);
        }
        number
    }

    /// What an input does to a party in a state. Asked again it is looked up.
    pub(super) fn run(&mut self, who: usize, state: u32, key: Key) -> u32 {
        let packed = key.packed(state);
        if let Some(known) = self.memo.get(&packed) {
            return known;
        }
        let outcome = self.first_run(who, state, key);
        let number = u32::try_from(self.outcomes.len()).unwrap_or(u32::MAX);
        self.outcomes.push(outcome);
        self.memo.put(packed, number);
        number
    }

    pub(super) fn outcome(&self, number: u32) -> &Outcome {
        &self.outcomes[number as usize]
    }

    fn role(&self, who: usize) -> Role<'_> {
        Role {
            id: PartyId(who),
            setup: &self.setups[who],
            ledger: &self.ledger,
            traced: self.traced,
            remembers: self.play.remembers,
        }
    }

    fn first_run(&mut self, who: usize, state: u32, key: Key) -> Outcome {
        let conn = |conn: u32| ConnId(u64::from(conn));
        let before = secrets::live(self.ledger.number, PartyId(who));
        let mut next = self.states[state as usize].0.clone();
        let item = |number: u32| self.items.get(number);
        let messages;
        let input = match key {
            Key::Start => Input::Start,
            Key::Crash => Input::Crash,
            Key::Accept => Input::Accept,
            Key::Opened(of) => Input::Opened(conn(of)),
            Key::Message(of, one) => {
                messages = [item(one), item(one)];
                Input::Messages(conn(of), &messages[..1])
            }
            Key::Burst(of, one, two) => {
                messages = [item(one), item(two)];
                Input::Messages(conn(of), &messages)
            }
            Key::Drained(of) => Input::Drained(conn(of)),
            Key::Closed(of, how) => Input::Closed(conn(of), item(how)),
            Key::Commit(record) => Input::Commit(item(record)),
            Key::Stored(answer) => Input::Stored(item(answer)),
            Key::Tick(time) => Input::Tick(time),
            Key::Act(number, heard) => {
                let heard = match item(heard) {
                    Item::Said(text) if heard != 0 => Some(text.as_str()),
                    _ => None,
                };
                let number = number as usize;
                Input::Act(&self.play.acts[number], number, heard)
            }
        };
        let (done, mut checked) = next.take(&self.role(who), input);
        let keys = secrets::live(self.ledger.number, PartyId(who)).saturating_sub(before);
        for entry in &done.entries {
            if entry.sealed {
                self.sealed.note(PartyId(who), entry);
            }
            if entry.by.is_some_and(|call| call.ours) && checked.is_ok() {
                let by_others = entry.sealed || self.sealed.by_others(PartyId(who), entry);
                checked = next.notebook.entry(entry, by_others);
            }
        }
        checked = checked.and_then(|()| next.tidy(keys));
        let mut wants = Vec::with_capacity(done.actions.len());
        for (action, bytes) in done.actions {
            if let Some(want) = self.want(action, bytes) {
                wants.push(want);
            }
        }
        wants.extend(done.undrained.iter().map(|conn| Want::Drain(short(*conn))));
        let said = done.said.map(|text| self.items.number(Item::Said(text)));
        Outcome {
            state: self.number(who, next),
            wants: wants.into(),
            accepted: done.accepted.map(short),
            full: done.full.map(|number| number as u32),
            said,
            fact: done.fact,
            wrong: checked
                .err()
                .map(|what| format!("{}: {what}", self.names[who])),
            lines: done.lines,
        }
    }

    fn want(&mut self, action: crate::Action, bytes: Vec<u8>) -> Option<Want> {
        Some(match action {
            Effect::Send { conn, kind } => {
                Want::Send(short(conn), self.items.number(Item::Message(kind, bytes)))
            }
            Effect::Close { conn, code, reason } => {
                let how = chumwire::io::Closed::ByPeer { code, reason };
                Want::Close(short(conn), self.items.number(Item::End(how)))
            }
            Effect::Dial { conn, url } => {
                let host = url.trim_start_matches("wss://").trim_start_matches("ws://");
                let host = host.split('/').next().unwrap_or_default();
                let whom = self.names.iter().position(|name| name == host);
                Want::Dial(short(conn), whom.map(|whom| whom as u32))
            }
            Effect::Pause(conn) => Want::Pause(short(conn)),
            Effect::Resume(conn) => Want::Resume(short(conn)),
            Effect::Store { id, record } => {
                Want::Store(self.items.number(Item::Commit(id.0, record)))
            }
            _ => return None,
        })
    }

    /// Whether what two parties tell of their sessions agrees.
    pub(super) fn agree(&mut self, one: u32, other: u32) -> Checked {
        let key = [one.min(other), one.max(other)];
        if self.agreed.get(&key).is_some() {
            return Ok(());
        }
        let (a, b) = (self.state(one), self.state(other));
        a.notebook.compare(&b.notebook)?;
        self.agreed.put(key, 1);
        Ok(())
    }

    /// Whether nothing is left when a party ends in this state.
    pub(super) fn ends_well(&mut self, who: usize, state: u32) -> Checked {
        if let Some(known) = &self.ends[state as usize] {
            return known.clone();
        }
        let copy = self.states[state as usize].0.clone();
        let checked = copy
            .ends_well(&self.role(who))
            .map_err(|what| format!("{}: {what}", self.names[who]));
        self.ends[state as usize] = Some(checked.clone());
        checked
    }
}

fn short(conn: ConnId) -> u32 {
    debug_assert!(conn.0 < CONNS, "a play has few connections");
    conn.0 as u32
}
