//! Two CHUMs, a pipe, and a store for each.

use std::collections::VecDeque;
use std::sync::Arc;

use chumwire::chum::{
    Chum, ChumConfig, ChumEvent, ChumOutput, DefaultPolicy, MemoryStore, Peer, Policy, Verdict,
};
use chumwire::io::{Kind, Message};
use chumwire::objects::{Instance, Kind as Value, Object, Person, PersonId, Recipe, Recipes, Rule};
use chumwire::time::{Micros, Millis, Now};

/// A person of the tests.
pub(crate) fn person(name: &str) -> PersonId {
    Person {
        email: format!("{name}@example.com"),
    }
    .id()
}

/// An instance of that person, as it is known to another person.
pub(crate) fn peer(own: &str, name: &str) -> Peer {
    let (own, person) = (person(own), person(name));
    Peer {
        own,
        person,
        instance: person.0,
    }
}

/// The known recipes, and two of the tests: a note without and a document with versions.
pub(crate) fn recipes() -> Recipes {
    let mut recipes = Recipes::known();
    let note = Recipe::new(
        "Note",
        [
            Rule::new("text", Value::TEXT),
            Rule::new("about", Value::id(&["Person"])).optional(),
            Rule::new("picture", Value::BLOB).optional(),
            Rule::new("body", Value::CLOB).optional(),
            Rule::new("uses", Value::object(&[]).bag()).optional(),
        ],
    );
    let document = Recipe::new(
        "Doc",
        [
            Rule::new("id", Value::TEXT).id(),
            Rule::new("title", Value::TEXT).optional(),
            Rule::new("tags", Value::TEXT.bag()).optional(),
            Rule::new("note", Value::object(&["Note"])).optional(),
        ],
    );
    recipes.register(note).expect("a recipe");
    recipes.register(document).expect("a recipe");
    recipes
}

/// A policy that takes documents of anybody.
pub(crate) fn policy(own: &str) -> DefaultPolicy {
    let owner = person(own);
    let instance = Instance {
        name: own.into(),
        owner,
    };
    let mut policy = DefaultPolicy::new(owner, instance.id());
    policy.take_versions("Doc", Arc::new(|_, _| Verdict::Accept));
    policy
}

/// A document.
pub(crate) fn doc(id: &str, title: &str) -> Object {
    Object::new("Doc").with("id", id).with("title", title)
}

/// A note.
pub(crate) fn note(text: &str) -> Object {
    Object::new("Note").with("text", text)
}

/// One side.
pub(crate) struct End {
    pub(crate) chum: Chum,
    pub(crate) store: MemoryStore,
    recipes: Recipes,
    pub(crate) events: Vec<ChumEvent>,
    pub(crate) inbox: VecDeque<(Kind, Vec<u8>)>,
    pub(crate) sent: Vec<(Kind, Vec<u8>)>,
}

impl End {
    pub(crate) fn new(
        config: ChumConfig,
        peer: Peer,
        store: MemoryStore,
        policy: impl Policy + 'static,
        now: Now,
    ) -> Self {
        Self {
            chum: Chum::new(now, config, peer, recipes(), Arc::new(policy)),
            store,
            recipes: recipes(),
            events: Vec::new(),
            inbox: VecDeque::new(),
            sent: Vec::new(),
        }
    }

    /// Takes one message, if there is one.
    fn take(&mut self, now: Now) -> bool {
        let Some((kind, bytes)) = self.inbox.pop_front() else {
            return false;
        };
        self.chum
            .message(now, Message::of(kind, &bytes).expect("UTF-8"));
        true
    }

    /// Does what it wants done; what it sends goes to the other one.
    pub(crate) fn poll(&mut self, now: Now, to: &mut VecDeque<(Kind, Vec<u8>)>) {
        let mut bytes = Vec::new();
        while let Some(output) = self.chum.poll(now, &mut bytes) {
            match output {
                ChumOutput::Send(kind) => {
                    let message = (kind, core::mem::take(&mut bytes));
                    self.sent.push(message.clone());
                    to.push_back(message);
                }
                ChumOutput::Ask { id, ask } => {
                    let answer = self.store.answer(&self.recipes, 0, id, ask);
                    self.chum.answered(now, id, answer);
                }
                ChumOutput::Event(event) => self.events.push(event),
            }
        }
    }
}

/// Both.
pub(crate) struct Pair {
    pub(crate) now: Now,
    pub(crate) ends: [End; 2],
}

impl Pair {
    /// Of alice and bob.
    pub(crate) fn new(config: ChumConfig, stores: [MemoryStore; 2]) -> Self {
        let now = Now {
            mono: Micros::secs(1),
            wall: Millis(1_700_000_000_000),
        };
        let [a, b] = stores;
        let ends = [
            End::new(
                config.clone(),
                peer("alice", "bob"),
                a,
                policy("alice"),
                now,
            ),
            End::new(config, peer("bob", "alice"), b, policy("bob"), now),
        ];
        Self { now, ends }
    }

    /// Lets both talk until nobody has anything to say; then time passes, up to `limit`.
    pub(crate) fn run(&mut self, limit: Micros) {
        let until = self.now.mono + limit;
        loop {
            let [a, b] = &mut self.ends;
            a.poll(self.now, &mut b.inbox);
            b.poll(self.now, &mut a.inbox);
            if a.take(self.now) | b.take(self.now) {
                continue;
            }
            let next = [a.chum.deadline(), b.chum.deadline()];
            let Some(next) = next.into_iter().flatten().map(|next| next.at).min() else {
                return;
            };
            if next > until {
                return;
            }
            let passed = next.since(self.now.mono);
            self.now.mono = next;
            self.now.wall.0 += passed.as_millis();
            a.chum.tick(self.now);
            b.chum.tick(self.now);
        }
    }
}
