//! One party of an explored world: its machine, what it has stored, and one input after the other.

use core::hash::{Hash, Hasher};
use core::panic::AssertUnwindSafe;
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::rc::Rc;

use chumwire::crypto::Random;
use chumwire::io::{ConnId, Effect, Machine, Message};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::pairing::InvitationState;
use chumwire::relay::{Relay, RelayConfig};
use chumwire::step::Step;
use chumwire::time::{Micros, Now};
use chumwire_trace::{Passing, What};

use super::notebook::{Checked, Notebook};
use super::play::Act;
use super::print::Printer;
use super::store::Item;
use crate::Insecure;
use crate::insecure::mix;
use crate::invariants::{Call, Entry, Known, Ledger, secrets};
use crate::party::{Action, Party, PartyId, Told};
use crate::store::Store;

/// A party of another kind than nodes and relays: an attacker, say. It has to be a value: cloned, and hashed.
pub trait Actor: Party {
    /// A copy.
    fn copy(&self) -> Box<dyn Actor>;
    /// Hashes all of it that matters.
    fn hash_into(&self, hasher: &mut dyn Hasher);
    /// What it has got that it must never get, if it has.
    fn got(&self) -> Option<String> {
        None
    }
}

/// How a party is started.
pub(super) enum Setup {
    Node(Box<NodeConfig>, Option<String>, Known),
    Relay(Box<RelayConfig>),
    Actor(Box<dyn Actor>),
}

enum Running {
    Node(Box<Node<Insecure>>),
    Relay(Box<Relay<Insecure>>),
    Actor(Box<dyn Actor>),
}

impl Clone for Running {
    fn clone(&self) -> Self {
        match self {
            Self::Node(node) => Self::Node(node.clone()),
            Self::Relay(relay) => Self::Relay(relay.clone()),
            Self::Actor(actor) => Self::Actor(actor.copy()),
        }
    }
}

impl Hash for Running {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Node(node) => node.hash(state),
            Self::Relay(relay) => relay.hash(state),
            Self::Actor(actor) => actor.hash_into(state),
        }
    }
}

impl Running {
    fn party(&mut self) -> &mut dyn Party {
        match self {
            Self::Node(party) => &mut **party,
            Self::Relay(party) => &mut **party,
            Self::Actor(party) => &mut **party,
        }
    }
}

/// What can happen to a party.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    Start,
    Crash,
    Accept,
    Opened(ConnId),
    /// Messages that are read at once: the party is asked what it wants done after the last one.
    Messages(ConnId, &'a [&'a Item]),
    Drained(ConnId),
    Closed(ConnId, &'a Item),
    Commit(&'a Item),
    Stored(&'a Item),
    /// Time has passed.
    Tick(Micros),
    /// It does its part of the script: its number, and what others have said so far.
    Act(&'a Act, usize, Option<&'a str>),
}

impl Input<'_> {
    const fn conn(self) -> Option<ConnId> {
        match self {
            Self::Opened(conn)
            | Self::Messages(conn, _)
            | Self::Drained(conn)
            | Self::Closed(conn, _) => Some(conn),
            _ => None,
        }
    }

    /// Keeps the draws of different inputs apart.
    const fn salt(self) -> u64 {
        let (kind, more) = match self {
            Self::Start => (0, 0),
            Self::Crash => (1, 0),
            Self::Accept => (2, 0),
            Self::Opened(conn) => (3, conn.0),
            Self::Messages(conn, _) => (4, conn.0),
            Self::Drained(conn) => (5, conn.0),
            Self::Closed(conn, _) => (6, conn.0),
            Self::Commit(_) => (7, 0),
            Self::Stored(_) => (8, 0),
            Self::Tick(_) => (9, 0),
            Self::Act(_, number, _) => (10, number as u64),
        };
        kind << 48 | more
    }
}

/// What came of an input.
#[derive(Default)]
pub(super) struct Done {
    /// What it wants done, in order; messages with their bytes.
    pub(super) actions: Vec<(Action, Vec<u8>)>,
    /// It took the connection, under this name.
    pub(super) accepted: Option<ConnId>,
    /// It answered `Full` to this one of the messages, and took none from it on.
    pub(super) full: Option<usize>,
    /// The connections on which it waits for the news that all was sent.
    pub(super) undrained: Vec<ConnId>,
    /// What it said to the script.
    pub(super) said: Option<String>,
    /// It told something that has to be compared with what others tell.
    pub(super) fact: bool,
    /// What the suite did.
    pub(super) entries: Vec<Entry>,
    /// For a trace, if one is wanted.
    pub(super) lines: Vec<What>,
}

/// A state of a party.
#[derive(Clone)]
pub(super) struct State {
    running: Option<Running>,
    pub(super) store: Store,
    pub(super) notebook: Notebook,
    /// Its clocks at the latest input. Another way to the same state may have come later or earlier: times count from
    /// here.
    now: Now,
    /// How often it was started.
    pub(super) life: u32,
    /// Its connections: machines are equal whatever these are called, but links know them by these names.
    conns: BTreeSet<ConnId>,
    /// How many names it has given in this life: the next one is not used yet.
    named: u64,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.running {
            Some(running) => running.hash(state),
            None => state.write_u8(0),
        }
        self.store.contacts().hash(state);
        self.store.invitations().hash(state);
        self.store.spent().hash(state);
        if !matches!(self.running, Some(Running::Relay(_) | Running::Actor(_))) {
            // Invitations expire by this clock, and contacts are stamped by it.
            self.now.wall.hash(state);
        }
        self.notebook.hash(state);
        self.life.hash(state);
        self.conns.hash(state);
        self.named.hash(state);
    }
}

/// What is asked of a party's state often.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) up: bool,
    /// How long it is until its next deadline.
    pub(super) due: Option<Micros>,
    /// Nothing of it is under way.
    pub(super) settled: bool,
}

/// Who runs, and what belongs to it.
pub(super) struct Role<'a> {
    pub(super) id: PartyId,
    pub(super) setup: &'a Setup,
    pub(super) ledger: &'a Rc<Ledger>,
    /// Whether lines of a trace are wanted.
    pub(super) traced: bool,
    /// Whether the causes of ends are part of the state.
    pub(super) remembers: bool,
}

/// Effects of one input. More are a loop.
const MOST: usize = 10_000;

impl State {
    pub(super) fn new(store: Store, now: Now) -> Self {
        Self {
            running: None,
            store,
            notebook: Notebook::default(),
            now,
            life: 0,
            conns: BTreeSet::new(),
            named: 0,
        }
    }

    pub(super) fn node(&self) -> Option<&Node<Insecure>> {
        match &self.running {
            Some(Running::Node(node)) => Some(node),
            _ => None,
        }
    }

    pub(super) fn relay(&self) -> Option<&Relay<Insecure>> {
        match &self.running {
            Some(Running::Relay(relay)) => Some(relay),
            _ => None,
        }
    }

    pub(super) fn print(&self) -> super::print::Print {
        let mut printer = Printer::default();
        self.hash(&mut printer);
        printer.print()
    }

    /// Gives it an input, and looks at all that must never happen. The state is another one then.
    pub(super) fn take(&mut self, role: &Role<'_>, input: Input<'_>) -> (Done, Checked) {
        let mut done = Done::default();
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(role, input, &mut done)));
        role.ledger.enter(None);
        done.entries = role.ledger.take();
        let checked = match ran {
            Ok(checked) => checked,
            Err(panic) => Err(format!("it panics: {}", words_of(&*panic))),
        };
        (done, checked)
    }

    fn run(&mut self, role: &Role<'_>, input: Input<'_>, done: &mut Done) -> Checked {
        role.ledger.enter(Some(Call {
            party: role.id,
            start: self.life,
            conn: input.conn(),
            ours: !matches!(role.setup, Setup::Actor(_)),
        }));
        if let Input::Tick(time) = input {
            self.now.mono = self.now.mono + time;
            self.now.wall.0 += time.as_millis();
        }
        match input {
            Input::Crash => {
                self.running = None;
                self.conns.clear();
                self.named = 0;
                self.notebook.crashed();
                if role.traced {
                    done.lines.push(What::Stopped);
                }
                return Ok(());
            }
            Input::Start => self.start(role, done),
            Input::Commit(item) => {
                if let Item::Commit(_, record) = item {
                    self.store.apply(record.clone());
                }
                return Ok(());
            }
            _ => {}
        }
        let (now, seed) = (self.now, self.seed(role.id, input));
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        match running {
            Running::Node(node) => node.replace_random(Random::new(seed)),
            Running::Relay(relay) => relay.replace_random(Random::new(seed)),
            Running::Actor(_) => {}
        }
        let due = running.party().deadline();
        give(running, now, input, role.traced, done);
        self.drain(role, done)?;
        match input {
            Input::Accept => {
                if let Some(conn) = done.accepted {
                    self.name(conn);
                }
            }
            Input::Closed(conn, _) => {
                self.conns.remove(&conn);
            }
            _ => {}
        }
        if let (Input::Tick(_), Some(running)) = (input, &mut self.running)
            && let Some(after) = running.party().deadline()
            && after.at <= now.mono
        {
            return Err(format!("a tick at {due:?} left the deadline at {after:?}"));
        }
        self.check()
    }

    fn start(&mut self, role: &Role<'_>, done: &mut Done) {
        self.life += 1;
        let (seed, now) = (self.seed(role.id, Input::Start), self.now);
        let (running, machine, window) = match role.setup {
            Setup::Node(config, relay, _) => {
                let mut config = (**config).clone();
                config.notes = role.traced;
                let window = config.reorder_window;
                config.contacts = self.store.contacts().values().cloned().collect();
                config.invitations = self.store.invitations().values().cloned().collect();
                let node = Node::new(config, seed, now).and_then(|mut node| {
                    node.listen(now, relay.as_deref())?;
                    Ok(node)
                });
                (
                    node.ok().map(|node| Running::Node(node.into())),
                    "node",
                    window,
                )
            }
            Setup::Relay(config) => {
                let mut config = (**config).clone();
                config.notes = role.traced;
                let relay = Relay::new(config, seed, now);
                (Some(Running::Relay(relay.into())), "relay", 0)
            }
            Setup::Actor(actor) => (Some(Running::Actor(actor.copy())), "other", 0),
        };
        self.running = running;
        if role.traced {
            done.lines.push(What::Started {
                machine: machine.into(),
                window,
            });
        }
    }

    fn name(&mut self, conn: ConnId) {
        self.conns.insert(conn);
        self.named = self.named.max(conn.0 + 1);
    }

    /// What it draws depends on the connection and the kind of the input alone, not on what it did before for others:
    /// so orders that commute end in one state.
    fn seed(&self, id: PartyId, input: Input<'_>) -> [u8; 32] {
        let next = match input {
            // The name that the connection is going to have.
            Input::Accept => self.named << 20,
            _ => 0,
        };
        let mut state = mix(input.salt() ^ mix((id.0 as u64) << 32 | u64::from(self.life)) ^ next);
        let mut seed = [0; 32];
        for word in seed.as_chunks_mut::<8>().0 {
            state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
            *word = state.to_le_bytes();
        }
        seed
    }

    /// Asks for all that is wanted. Sockets take everything at once; but while a relay hands over, the news that all
    /// was sent is a move of its own, since only then it matters when it comes.
    fn drain(&mut self, role: &Role<'_>, done: &mut Done) -> Checked {
        let (mut bytes, mut sent) = (Vec::new(), Vec::new());
        loop {
            let Some(running) = &mut self.running else {
                return Ok(());
            };
            let Some(action) = running.party().poll(&mut bytes) else {
                if sent.is_empty() || is_handing_over(running) {
                    done.undrained = sent;
                    return Ok(());
                }
                for conn in sent.drain(..) {
                    running.party().drained(self.now, conn);
                }
                continue;
            };
            if done.actions.len() > MOST {
                return Err("one input has effects without end".into());
            }
            match action {
                Effect::Event(told) => {
                    if role.traced
                        && let Some(what) = told.what()
                    {
                        done.lines.push(what);
                    }
                    self.told(role, &told, done)?;
                }
                Effect::Send { conn, kind } => {
                    if role.traced {
                        let message = Passing::of(kind, &bytes, false);
                        done.lines.push(What::Sent {
                            conn: conn.0,
                            message,
                        });
                    }
                    if !sent.contains(&conn) {
                        sent.push(conn);
                    }
                    done.actions
                        .push((Effect::Send { conn, kind }, core::mem::take(&mut bytes)));
                }
                action => {
                    if let Effect::Dial { conn, .. } = &action {
                        self.name(*conn);
                    }
                    if role.traced
                        && let Some(what) = what_of(&action)
                    {
                        done.lines.push(what);
                    }
                    done.actions.push((action, Vec::new()));
                }
            }
        }
    }

    fn told(&mut self, role: &Role<'_>, told: &Told, done: &mut Done) -> Checked {
        match told {
            Told::Node(event) => {
                if let Event::Paired {
                    invitation: Some(id),
                    ..
                } = event
                    && !self.store.spent().contains(id)
                {
                    return Err("paired before it was stored".into());
                }
                if let Setup::Node(_, _, own) = role.setup {
                    done.fact |= self.notebook.event(event, own, role.remembers)?;
                }
                Ok(())
            }
            Told::Relay(event) => self.notebook.relay_event(event, role.remembers),
            Told::Message(_, bytes) => {
                if role.remembers {
                    self.notebook.message(bytes);
                }
                Ok(())
            }
            Told::Deployed(_) => Ok(()),
        }
    }

    /// Looks at the machine's own tables, and at what it has and has stored.
    fn check(&self) -> Checked {
        match &self.running {
            Some(Running::Node(node)) => {
                node.self_check()?;
                for contact in node.contacts() {
                    let stored = self.store.contacts().get(&contact.person_id);
                    let same = stored.is_some_and(|stored| {
                        let keys = |c: &chumwire::contact::Contact| -> Vec<_> {
                            let all = c.instances.iter();
                            all.map(|i| (i.instance_id, i.instance_key)).collect()
                        };
                        keys(stored) == keys(contact)
                    });
                    if !same {
                        return Err("a contact that is not stored".into());
                    }
                }
                Ok(())
            }
            Some(Running::Relay(relay)) => Ok(relay.self_check()?),
            Some(Running::Actor(actor)) => actor.got().map_or(Ok(()), Err),
            None => Ok(()),
        }
    }

    /// Forgets what belongs to connections that are gone, and counts the keys that are held for those that are there.
    /// `keys` are those of this state alone.
    pub(super) fn tidy(&mut self, keys: usize) -> Checked {
        let connections = match &self.running {
            Some(Running::Node(node)) => {
                let live: Vec<ConnId> = node.connections().map(|info| info.conn).collect();
                self.notebook.forget(|conn| live.contains(&conn));
                live.len()
            }
            Some(Running::Relay(relay)) => relay.stats().connections,
            Some(Running::Actor(_)) => return Ok(()),
            None => 0,
        };
        if keys > connections * secrets::PER_CONNECTION {
            return Err(format!("{keys} keys live with {connections} connections"));
        }
        Ok(())
    }

    pub(super) fn facts(&mut self) -> Facts {
        let now = self.now.mono;
        let deadline = self.running.as_mut().and_then(|r| r.party().deadline());
        let settled = match &self.running {
            None => false,
            Some(Running::Node(node)) => {
                let at_rest = |step: Step| matches!(step, Step::Spare | Step::Connected);
                node.connections().all(|info| at_rest(info.step))
                    && (node.relay().is_none() || node.is_online())
            }
            Some(Running::Relay(relay)) => {
                let stats = relay.stats();
                stats.waiting + stats.picked + stats.handed + stats.ending == 0
            }
            Some(Running::Actor(_)) => true,
        };
        Facts {
            up: self.running.is_some(),
            due: deadline.map(|deadline| deadline.at.since(now)),
            settled,
        }
    }

    /// Nothing is left when it ends here: asked of a copy.
    pub(super) fn ends_well(mut self, role: &Role<'_>) -> Checked {
        let Some(Running::Node(node)) = &mut self.running else {
            return Ok(());
        };
        for (_, state) in node.invitations() {
            if let InvitationState::Held(conn) = state
                && node.connections().all(|info| info.conn != conn)
            {
                return Err("an invitation is held by nobody".into());
            }
        }
        role.ledger.enter(None);
        let conns: Vec<ConnId> = node.connections().map(|info| info.conn).collect();
        node.shutdown(self.now);
        let mut bytes = Vec::new();
        while Machine::poll(&mut **node, &mut bytes).is_some() {}
        for conn in conns {
            let how = chumwire::io::Closed::Lost("the end".into());
            Machine::closed(&mut **node, self.now, conn, how);
            while Machine::poll(&mut **node, &mut bytes).is_some() {}
        }
        let idle = node.is_idle();
        drop(role.ledger.take());
        match idle {
            true => Ok(()),
            false => Err("something is left after the end".into()),
        }
    }
}

fn is_handing_over(running: &Running) -> bool {
    matches!(running, Running::Relay(relay) if relay.stats().handed > 0)
}

/// Hands an input to a machine.
fn give(running: &mut Running, now: Now, input: Input<'_>, traced: bool, done: &mut Done) {
    let lines = &mut done.lines;
    let mut line = |what: &dyn Fn() -> What| {
        if traced {
            lines.push(what());
        }
    };
    match input {
        Input::Start | Input::Crash | Input::Commit(_) => {}
        Input::Accept => {
            done.accepted = running.party().accept(now);
            let conn = done.accepted.map(|conn| conn.0);
            line(&|| What::Accepted { conn, source: None });
        }
        Input::Opened(conn) => {
            line(&|| What::Opened { conn: conn.0 });
            running.party().opened(now, conn);
        }
        Input::Messages(conn, items) => {
            for (number, item) in items.iter().enumerate() {
                let Item::Message(kind, bytes) = item else {
                    continue;
                };
                let Ok(message) = Message::of(*kind, bytes) else {
                    continue;
                };
                let full = running.party().message(now, conn, message).is_err();
                line(&|| What::Received {
                    conn: conn.0,
                    message: Passing::of(*kind, bytes, false),
                    full,
                });
                if full {
                    done.full = Some(number);
                    break;
                }
            }
        }
        Input::Drained(conn) => {
            line(&|| What::Drained { conn: conn.0 });
            running.party().drained(now, conn);
        }
        Input::Closed(conn, item) => {
            if let Item::End(how) = item {
                line(&|| What::of_close(conn, how));
                running.party().closed(now, conn, how.clone());
            }
        }
        Input::Stored(item) => {
            if let Item::Stored(id) = item {
                line(&|| What::Stored { id: *id, ok: true });
                running
                    .party()
                    .stored(now, chumwire::io::StoreId(*id), Ok(()));
            }
        }
        Input::Tick(_) => {
            line(&|| What::Tick);
            running.party().tick(now);
        }
        Input::Act(act, _, heard) => {
            if let Running::Node(node) = running {
                let said = (act.does)(node, now, heard);
                let refused = said.as_ref().err().cloned();
                line(&|| What::Called {
                    call: act.name.into(),
                    args: None,
                    refused: refused.clone(),
                });
                done.said = said.ok().flatten();
            }
        }
    }
}

fn what_of(action: &Action) -> Option<What> {
    Some(match action {
        Effect::Dial { conn, url } => What::Dialled {
            conn: conn.0,
            url: url.clone(),
        },
        Effect::Close { conn, code, reason } => What::Closing {
            conn: conn.0,
            code: *code,
            reason: reason.clone(),
        },
        Effect::Pause(conn) => What::Paused { conn: conn.0 },
        Effect::Resume(conn) => What::Resumed { conn: conn.0 },
        Effect::Store { id, record } => What::of_record(id.0, record, false),
        _ => return None,
    })
}

/// The words of a panic.
fn words_of(panic: &(dyn core::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
