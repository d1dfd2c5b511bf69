//! An exporter and two importing instances of one person: each has a store that can crash, fail and be put back, and a
//! clock of its own.

use std::collections::VecDeque;
use std::sync::Arc;

use chumwire::chum::{
    Answer, Ask, AskId, Before, Chum, ChumConfig, ChumOutput, DefaultPolicy, Grant, MemoryStore,
    Offer, Peer, Policy, Presence, Verdict, VersionNode, Write,
};
use chumwire::io::{Kind, Message};
use chumwire::objects::{Object, ObjectHash, ReadLimits, Recipes, Reference};
use chumwire::time::{Micros, Millis, Now};
use serde_json::{Value as Json, json};

use crate::pair::{person, policy, recipes};

/// The exporter's place; those of the importers follow.
pub(crate) const ALICE: usize = 0;
/// How many of the last writes a crash may take.
const LOSABLE: usize = 3;

/// What is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Nothing.
    No,
    /// The stamp decides, not the digest.
    StampAlone,
    /// The cursor is written before the round is settled.
    Early,
}

/// A crash of one place, at its n-th write from now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    pub(crate) place: usize,
    pub(crate) writes: usize,
    /// Behind the write; else before it.
    pub(crate) behind: bool,
    /// So many of the last writes are lost with it.
    pub(crate) lost: usize,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) recipes: Recipes,
    pub(crate) stores: [MemoryStore; 3],
    pub(crate) walls: [u64; 3],
    mono: Micros,
    before: [VecDeque<MemoryStore>; 3],
    pub(crate) control: Control,
    pub(crate) crash: Option<Crash>,
    /// The store of a place fails at its n-th question from now.
    pub(crate) fail: Option<(usize, usize)>,
    /// All connections are lost after so many messages.
    pub(crate) cut: Option<usize>,
    /// Importers refuse, or put off, what has such a first byte.
    pub(crate) mood: Option<(u8, Verdict)>,
    /// Of each list that was given: whether it was a whole one, and how many entries it had.
    pub(crate) lists: Vec<(bool, usize)>,
    pub(crate) writes: [usize; 3],
}

/// A connection; its ends are the importer's and the exporter's.
struct Link {
    chums: [Chum; 2],
    places: [usize; 2],
    inbox: [VecDeque<(Kind, Vec<u8>)>; 2],
    /// The cursor of the last request.
    asked: Option<Json>,
}

/// A policy that takes some things some of the time.
#[derive(Debug)]
struct Moody(DefaultPolicy, Option<(u8, Verdict)>);

impl Policy for Moody {
    fn offered(&self, offer: &Offer<'_>) -> Verdict {
        match self.1 {
            Some((byte, verdict)) if offer.reference.bytes()[0] % 4 == byte => verdict,
            _ => self.0.offered(offer),
        }
    }

    fn arrived(&self, offer: &Offer<'_>, object: &Object) -> Verdict {
        self.0.arrived(offer, object)
    }
}

impl World {
    pub(crate) fn new(control: Control) -> Self {
        Self {
            recipes: recipes(),
            stores: Default::default(),
            walls: [1_700_000_000_000; 3],
            mono: Micros::secs(1),
            before: Default::default(),
            control,
            crash: None,
            fail: None,
            cut: None,
            mood: None,
            lists: Vec::new(),
            writes: [0; 3],
        }
    }

    /// What an importer has kept.
    pub(crate) fn kept(&mut self, place: usize) -> (u64, Option<Json>) {
        kept(&self.recipes, &mut self.stores[place], place)
    }

    pub(crate) fn lose_journal(&mut self) {
        lose_journal(&self.recipes, &mut self.stores[ALICE]);
    }

    /// Another state of a store; what was losable is not any more.
    pub(crate) fn restore(&mut self, place: usize, store: MemoryStore) {
        self.stores[place] = store;
        self.before[place].clear();
    }

    fn now(&self, place: usize) -> Now {
        Now {
            mono: self.mono,
            wall: Millis(self.walls[place]),
        }
    }

    fn link(&self, place: usize) -> Link {
        let takes = Arc::new(Moody(policy("bob"), self.mood));
        Link {
            chums: ends(
                &self.recipes,
                place,
                [self.now(place), self.now(ALICE)],
                takes,
            ),
            places: [place, ALICE],
            inbox: Default::default(),
            asked: None,
        }
    }

    /// These importers are connected for this long, unless something happens.
    pub(crate) fn meet(&mut self, importers: &[usize], time: Micros) {
        let mut links: Vec<Link> = importers.iter().map(|place| self.link(*place)).collect();
        let until = self.mono + time;
        let _ = self.talk(&mut links, until);
        for no in 0..links.len() as u64 * 2 {
            for store in &mut self.stores {
                store.forget(no);
            }
        }
        (self.crash, self.fail, self.cut) = (None, None, None);
    }

    /// `None` if something happened.
    fn talk(&mut self, links: &mut [Link], until: Micros) -> Option<()> {
        loop {
            let mut quiet = true;
            for no in 0..links.len() {
                for end in 0..2 {
                    self.poll(links, no, end)?;
                    let link = &mut links[no];
                    let Some((kind, bytes)) = link.inbox[end].pop_front() else {
                        continue;
                    };
                    quiet = false;
                    if let Some(left) = &mut self.cut {
                        *left = left.checked_sub(1)?;
                    }
                    self.look(link, end, &bytes);
                    let now = self.now(link.places[end]);
                    let message = Message::of(kind, &bytes).expect("UTF-8");
                    link.chums[end].message(now, message);
                }
            }
            let is_empty = |link: &Link| link.inbox.iter().all(VecDeque::is_empty);
            if !quiet || !links.iter().all(is_empty) {
                continue;
            }
            let chums = links.iter().flat_map(|link| &link.chums);
            let next = chums.filter_map(|chum| chum.deadline()).map(|due| due.at);
            let next = next.min().filter(|at| *at <= until)?;
            for wall in &mut self.walls {
                *wall += next.since(self.mono).as_millis();
            }
            self.mono = self.mono.max(next);
            for link in links.iter_mut() {
                for end in 0..2 {
                    let now = self.now(link.places[end]);
                    link.chums[end].tick(now);
                }
            }
        }
    }

    /// Reads along; a control does here what it must not.
    fn look(&mut self, link: &mut Link, end: usize, bytes: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Json>(bytes) else {
            return;
        };
        if end == 1 && message["serviceId"] == 100 {
            link.asked = message["args"].get(0).cloned();
        }
        let Some(list) = list_in(&message).filter(|_| end == 0) else {
            return;
        };
        let count = list["roots"].as_array().expect("a list").len();
        self.lists.push((list["full"] == true, count));
        if self.control == Control::Early {
            let place = link.places[0];
            let (store, wall) = (&mut self.stores[place], self.walls[place]);
            write_early(&self.recipes, store, place, wall, &list);
        }
    }

    fn poll(&mut self, links: &mut [Link], no: usize, end: usize) -> Option<()> {
        let mut bytes = Vec::new();
        let place = links[no].places[end];
        let now = self.now(place);
        while let Some(output) = links[no].chums[end].poll(now, &mut bytes) {
            match output {
                ChumOutput::Send(kind) => {
                    links[no].inbox[1 - end].push_back((kind, core::mem::take(&mut bytes)));
                }
                ChumOutput::Ask { id, ask } => {
                    let mut answer = self.ask(place, (no * 2 + end) as u64, id, ask)?;
                    if let (Control::StampAlone, Answer::Journal(Some(journal))) =
                        (self.control, &mut answer)
                    {
                        by_stamp_alone(journal, links[no].asked.as_ref());
                    }
                    links[no].chums[end].answered(now, id, answer);
                }
                ChumOutput::Event(_) => {}
            }
        }
        Some(())
    }

    /// `None` if it crashed.
    fn ask(&mut self, place: usize, of: u64, id: AskId, ask: Ask) -> Option<Answer> {
        if let Some((at, left)) = &mut self.fail
            && *at == place
        {
            if *left == 0 {
                self.fail = None;
                return Some(Answer::Failed);
            }
            *left -= 1;
        }
        if !matches!(ask, Ask::Write(_) | Ask::Close { .. }) {
            return Some(self.stores[place].answer(&self.recipes, of, id, ask));
        }
        let crash = self.crash.as_mut().filter(|crash| crash.place == place);
        let now = match crash {
            Some(Crash { writes: 0, .. }) => self.crash.take(),
            Some(crash) => {
                crash.writes -= 1;
                None
            }
            None => None,
        };
        let mut answer = None;
        if now.is_none_or(|crash| crash.behind) {
            self.writes[place] += 1;
            let before = &mut self.before[place];
            before.push_back(self.stores[place].clone());
            if before.len() > LOSABLE {
                before.pop_front();
            }
            answer = Some(self.stores[place].answer(&self.recipes, of, id, ask));
        }
        if let Some(crash) = now {
            for _ in 0..crash.lost {
                if let Some(store) = self.before[place].pop_back() {
                    self.stores[place] = store;
                }
            }
            self.before[place].clear();
            return None;
        }
        answer
    }

    /// What is granted, and not there.
    pub(crate) fn missing(&self, place: usize) -> Vec<Reference> {
        missing(&self.recipes, &self.stores[ALICE], &self.stores[place])
    }
}

/// What is granted, and not there: the same for all importers. A listed version has to be merged.
pub(crate) fn missing(
    recipes: &Recipes,
    exporter: &MemoryStore,
    importer: &MemoryStore,
) -> Vec<Reference> {
    let ask = Ask::Granted(person("bob"));
    // An answer changes nothing; the store of a test is small.
    let answer = exporter.clone().answer(recipes, 99, AskId(0), ask);
    let Answer::Granted(grants) = answer else {
        panic!("{answer:?}");
    };
    let mut missing = Vec::new();
    let mut want = |what: Reference, least: Presence| {
        if importer.presence(&what) < least {
            missing.push(what);
        }
    };
    for grant in grants {
        match grant {
            Grant::Object { hash, id, .. } => {
                want(Reference::Object(hash), Presence::Stored);
                if let Some(id) = id {
                    want(Reference::Id(id), Presence::Stored);
                }
            }
            Grant::Id { id, mut head, .. } => {
                want(Reference::Id(id), Presence::Stored);
                while let Some(hash) = head {
                    want(Reference::Object(hash), Presence::Merged);
                    head = match node(recipes, exporter, hash).before {
                        Before::Change(previous) => previous,
                        _ => None,
                    };
                }
            }
        }
    }
    missing
}

fn node(recipes: &Recipes, store: &MemoryStore, hash: ObjectHash) -> VersionNode {
    let text = store.text(&Reference::Object(hash));
    let object = recipes.read(text.expect("a node"), &ReadLimits::default());
    VersionNode::of(&object.expect("an object")).expect("a node")
}

/// An importing instance of bob, to alice.
pub(crate) fn bob(place: usize) -> Peer {
    Peer {
        own: person("bob"),
        person: person("alice"),
        instance: [place as u8; 32],
    }
}

/// Both ends of a connection: the importer's and the exporter's.
pub(crate) fn ends(
    recipes: &Recipes,
    place: usize,
    now: [Now; 2],
    takes: Arc<dyn Policy>,
) -> [Chum; 2] {
    let alice = Peer {
        own: person("alice"),
        person: person("bob"),
        instance: [place as u8; 32],
    };
    let chum = |now: Now, peer: Peer, imports: bool, policy: Arc<dyn Policy>| {
        let mut config = ChumConfig::default();
        (config.import, config.export) = (imports, !imports);
        (config.roots_since, config.start_delay) = (true, Micros::ZERO);
        Chum::new(now, config, peer, recipes.clone(), policy)
    };
    [
        chum(now[0], bob(place), true, takes),
        chum(now[1], alice, false, Arc::new(policy("alice"))),
    ]
}

/// What an importer has kept: the store's generation, and the text.
pub(crate) fn kept(
    recipes: &Recipes,
    store: &mut MemoryStore,
    place: usize,
) -> (u64, Option<Json>) {
    match store.answer(recipes, 99, AskId(0), Ask::Cursor(bob(place))) {
        Answer::Cursor { generation, kept } => {
            let kept = kept.map(|text| serde_json::from_str(&text).expect("JSON"));
            (generation, kept)
        }
        other => panic!("{other:?}"),
    }
}

/// A list of roots since a cursor, if this message is one.
pub(crate) fn list_in(message: &Json) -> Option<Json> {
    let list = message["data"].as_str().unwrap_or_default();
    let list = list.starts_with("{\"ext\"").then_some(list)?;
    Some(serde_json::from_str(list).expect("JSON"))
}

/// What an importer does that writes its cursor before the round is settled.
pub(crate) fn write_early(
    recipes: &Recipes,
    store: &mut MemoryStore,
    place: usize,
    wall: u64,
    list: &Json,
) {
    let (generation, kept) = kept(recipes, store, place);
    let pending = kept.map_or(json!([]), |kept| kept["pending"].clone());
    let text = format!(
        "{{\"digest\":{},\"stamp\":{},\"generation\":{generation},\"full\":{wall},\"pending\":{pending}}}",
        list["digest"], list["stamp"],
    );
    let write = Write {
        cursor: Some(Box::new((bob(place), text))),
        ..Write::default()
    };
    store.answer(recipes, 99, AskId(0), Ask::Write(write));
}

/// The journal of bob's lists is lost.
pub(crate) fn lose_journal(recipes: &Recipes, store: &mut MemoryStore) {
    let write = Write {
        journal: Some(Box::new((person("bob"), Vec::new()))),
        ..Write::default()
    };
    store.answer(recipes, 99, AskId(0), Ask::Write(write));
}

/// The journal as if the list that the importer has settled were that of its stamp, whatever its digest.
pub(crate) fn by_stamp_alone(journal: &mut Vec<u8>, asked: Option<&Json>) {
    let Some(cursor) = asked.filter(|_| journal.len() >= 10) else {
        return;
    };
    let digest = chumwire::hex::decode::<32>(cursor["digest"].as_str().expect("a digest"));
    let last = u64::from_be_bytes(journal[1..9].try_into().expect("8 bytes"));
    let stamp = cursor["stamp"].as_u64().expect("a number").min(last);
    let pair = [
        &digest.expect("a digest")[..],
        stamp.to_be_bytes().as_slice(),
    ]
    .concat();
    match journal[9] {
        64 => drop(journal.splice(10..50, pair)),
        count => {
            journal[9] = count + 1;
            journal.splice(10..10, pair);
        }
    }
}
