//! Two who write into one channel, at any times, and whatever else may stand in such a list.

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::Arbitrary;
use chumwire::channels::{channel, line, say, topic_name};
use chumwire::chum::{Chum, ChumConfig, ChumOutput, MemoryStore};
use chumwire::crypto::Nacl;
use chumwire::identity::Identity;
use chumwire::io::{Kind, Message};
use chumwire::objects::{IdHash, Object, ObjectHash, ReadLimits, Reference, Value};
use chumwire::time::{Micros, Millis, Now};

use crate::people::{alice, bob};
use crate::store::{RECIPES, assert_whole, peer, policy};

/// What one of them writes. The flag is who: alice, or else bob.
#[derive(Arbitrary, Debug)]
pub(crate) enum Writes {
    /// A message at a time.
    Message(bool, u8),
    /// An entry that is none of a message: of anything that is there, behind anything that is there.
    Entry(bool, u8, Option<u8>, Vec<u8>),
    /// A time of anything that is there: negative, of a fraction, or late.
    Time(bool, u8, i8),
    /// The head becomes anything that is there.
    Head(bool, u8),
    /// They meet, and synchronise.
    Meet,
}

/// Messages between the two, in one meeting, before it counts as one that never ends.
const MESSAGES: usize = 4_000;

struct Writer {
    store: MemoryStore,
    name: &'static str,
    own: &'static Identity,
    /// Everything that it has written, to be named again.
    made: Vec<ObjectHash>,
}

fn id() -> IdHash {
    let name = topic_name(alice::<Nacl>().person_id(), bob::<Nacl>().person_id());
    let info = channel(&name.expect("two"));
    RECIPES.id_hash(&info).expect("an id")
}

fn object(store: &MemoryStore, hash: ObjectHash) -> Option<Object> {
    let text = store.text(&Reference::Object(hash))?;
    RECIPES.read(text, &ReadLimits::default()).ok()
}

fn head(store: &MemoryStore) -> Option<ObjectHash> {
    let (_, info) = store.newest(&RECIPES, &id())?;
    match info.get("head")?.as_reference()? {
        Reference::Object(hash) => Some(hash),
        _ => None,
    }
}

impl Writer {
    fn put(&mut self, object: &Object) -> Option<ObjectHash> {
        let hash = self.store.put(&RECIPES, object).ok()?;
        self.made.push(hash);
        Some(hash)
    }

    fn nth(&self, n: u8) -> Option<ObjectHash> {
        let count = self.made.len().max(1);
        self.made.get(usize::from(n) % count).copied()
    }

    fn set_head(&mut self, head: ObjectHash, at: u64) {
        let name = topic_name(alice::<Nacl>().person_id(), bob::<Nacl>().person_id());
        let info = channel(&name.expect("two")).with("head", head);
        let put = self.store.put_version(&RECIPES, &info, Millis(at));
        put.expect("a version");
    }

    fn says(&mut self, at: u8) {
        let head = head(&self.store);
        // Two messages of one text and one moment are one.
        let text = format!("{} {} at {at}", self.name, self.made.len());
        let said = say(&RECIPES, self.own, &text, Millis(at.into()), head).expect("a message");
        for (reference, text) in said.texts {
            let read = RECIPES.read(&text, &ReadLimits::default());
            let hash = self.put(&read.expect("ours")).expect("ours");
            assert!(reference.bytes() == &hash.0 || matches!(reference, Reference::Id(_)));
        }
        self.set_head(said.entry, at.into());
    }

    /// What a reader sees, newest first; a list that goes in a circle cannot be made.
    fn read(&self, is_good: bool) -> Vec<String> {
        let (mut lines, mut next) = (Vec::new(), head(&self.store));
        while let Some(entry) = next.and_then(|hash| object(&self.store, hash)) {
            let key = |person| match person == alice::<Nacl>().person_id() {
                true => Some(alice::<Nacl>().person_sign_key()),
                false => Some(bob::<Nacl>().person_sign_key()),
            };
            let (said, previous) = line(&entry, |hash| object(&self.store, hash), key);
            lines.extend(said.map(|said| {
                // An entry of other hands may name a message and leave its signature out.
                assert!(said.affirmed || !is_good, "each has signed");
                said.text
            }));
            next = previous;
        }
        lines
    }
}

/// Both come to one list, with all that either has said, and then make no other version.
pub(crate) fn channels(writes: Vec<Writes>) {
    let mut writers = [("bob", bob::<Nacl>()), ("alice", alice::<Nacl>())].map(|(name, own)| {
        let mut store = MemoryStore::new();
        for name in ["alice", "bob"] {
            let email = format!("{name}@example.org");
            let put = store.put(&RECIPES, &Object::new("Person").with("email", email));
            put.expect("a person");
        }
        let other = if name == "bob" {
            alice::<Nacl>()
        } else {
            bob::<Nacl>()
        };
        store.share(Reference::Id(id()), other.person_id());
        Writer {
            store,
            name,
            own,
            made: Vec::new(),
        }
    });
    // Whether nobody has written anything but messages.
    let (mut is_good, mut said) = (true, 0);
    for write in writes.iter().take(24) {
        is_good &= matches!(write, Writes::Message(..) | Writes::Meet);
        said += usize::from(matches!(write, Writes::Message(..)));
        act(&mut writers, write);
    }
    // The names of both are in all stores: a first meeting, one after a merge, and one in which nothing is new.
    meet(&mut writers);
    meet(&mut writers);
    let before = writers.each_ref().map(|writer| writer.store.head(&id()));
    meet(&mut writers);
    let after = writers.each_ref().map(|writer| writer.store.head(&id()));
    assert_eq!(before, after, "they make versions for ever");
    let read = writers.each_ref().map(|writer| writer.read(is_good));
    if is_good {
        assert_eq!(read[0], read[1], "both come to one list");
        assert!(read[0].len() <= said);
    }
}

fn act(writers: &mut [Writer; 2], write: &Writes) {
    match write {
        Writes::Message(who, at) => writers[usize::from(*who)].says(*at),
        Writes::Entry(who, data, previous, metadata) => {
            let writer = &mut writers[usize::from(*who)];
            let Some(data) = writer.nth(*data) else {
                return;
            };
            let mut entry = Object::new("LinkedListEntry").with("data", data);
            let metadata = metadata.iter().take(3);
            let metadata: Vec<_> = metadata.filter_map(|n| writer.nth(*n)).collect();
            if !metadata.is_empty() {
                entry = entry.with("metadata", Value::list(metadata));
            }
            if let Some(previous) = previous.and_then(|n| writer.nth(n)) {
                entry = entry.with("previous", previous);
            }
            if let Some(hash) = writer.put(&entry) {
                writer.set_head(hash, 300);
            }
        }
        Writes::Time(who, data, at) => {
            let writer = &mut writers[usize::from(*who)];
            let Some(data) = writer.nth(*data) else {
                return;
            };
            let time = Object::new("CreationTime")
                .with("timestamp", f64::from(*at) * 0.5)
                .with("data", data);
            let _ = writer.put(&time);
        }
        Writes::Head(who, n) => {
            let writer = &mut writers[usize::from(*who)];
            if let Some(head) = writer.nth(*n) {
                writer.set_head(head, 300);
            }
        }
        Writes::Meet => meet(writers),
    }
}

/// They synchronise until nothing is left to do, for a minute.
fn meet(writers: &mut [Writer; 2]) {
    let mut now = Now {
        mono: Micros::secs(1),
        wall: Millis(10_000),
    };
    let until = now.mono + Micros::secs(30);
    let config = || ChumConfig::default();
    let mut chums = [("bob", "alice"), ("alice", "bob")].map(|(own, other)| {
        let policy = Arc::new(policy(own));
        Chum::new(now, config(), peer(own, other), RECIPES.clone(), policy)
    });
    let mut inbox: [VecDeque<(Kind, Vec<u8>)>; 2] = Default::default();
    let mut messages = 0;
    loop {
        let mut is_quiet = true;
        for no in 0..2 {
            let mut bytes = Vec::new();
            while let Some(output) = chums[no].poll(now, &mut bytes) {
                match output {
                    ChumOutput::Send(kind) => {
                        messages += 1;
                        assert!(messages < MESSAGES, "it never ends");
                        inbox[1 - no].push_back((kind, core::mem::take(&mut bytes)));
                    }
                    ChumOutput::Ask { id, ask } => {
                        let answer = writers[no].store.answer(&RECIPES, 0, id, ask);
                        chums[no].answered(now, id, answer);
                    }
                    ChumOutput::Event(_) => {}
                }
            }
            if let Some((kind, bytes)) = inbox[no].pop_front() {
                is_quiet = false;
                let message = Message::of(kind, &bytes).expect("UTF-8");
                chums[no].message(now, message);
            }
        }
        if !is_quiet || inbox.iter().any(|inbox| !inbox.is_empty()) {
            continue;
        }
        let next = chums.iter().filter_map(|chum| chum.deadline()).min();
        match next.map(|next| next.at).filter(|at| *at <= until) {
            Some(at) => now.mono = now.mono.max(at),
            None => break,
        }
        chums.iter_mut().for_each(|chum| chum.tick(now));
    }
    for writer in writers {
        assert_whole(&writer.store);
    }
}
