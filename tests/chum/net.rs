//! Several stores, and connections between them that can be lost.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use chumwire::chum::{Answer, Ask, Chum, ChumConfig, ChumEvent, ChumOutput, MemoryStore};
use chumwire::io::{Kind, Message};
use chumwire::objects::{Recipes, Reference, references};
use chumwire::time::{Micros, Millis, Now};

use crate::pair::{self, person, policy, recipes};

/// What happens to a store before it answers.
pub(crate) type Before<'a> = &'a mut dyn FnMut(&mut MemoryStore, &Recipes, &Ask);

/// One end of a connection.
pub(crate) struct Seat {
    pub(crate) chum: Chum,
    /// Whose store it works on.
    pub(crate) store: usize,
    /// The end at the other side.
    pub(crate) peer: usize,
    pub(crate) events: Vec<ChumEvent>,
    pub(crate) inbox: VecDeque<(Kind, Vec<u8>)>,
    pub(crate) sent: Vec<(Kind, Vec<u8>)>,
}

/// All of it.
pub(crate) struct Net {
    pub(crate) now: Now,
    pub(crate) recipes: Recipes,
    pub(crate) names: Vec<&'static str>,
    pub(crate) stores: Vec<MemoryStore>,
    pub(crate) seats: Vec<Seat>,
    /// Questions so far, and the one that the store cannot answer.
    pub(crate) asks: usize,
    pub(crate) fail_at: Option<usize>,
    /// Messages delivered so far, and after how many all connections are lost.
    pub(crate) messages: usize,
    pub(crate) cut_at: Option<usize>,
}

impl Net {
    pub(crate) fn new(names: &[&'static str], stores: Vec<MemoryStore>) -> Self {
        Self {
            now: Now {
                mono: Micros::secs(1),
                wall: Millis(1_700_000_000_000),
            },
            recipes: recipes(),
            names: names.to_vec(),
            stores,
            seats: Vec::new(),
            asks: 0,
            fail_at: None,
            messages: 0,
            cut_at: None,
        }
    }

    /// Connects two of them.
    pub(crate) fn connect(&mut self, a: usize, b: usize, config: &ChumConfig) {
        let at = self.seats.len();
        for (own, other, peer) in [(a, b, at + 1), (b, a, at)] {
            let (own_name, other_name) = (self.names[own], self.names[other]);
            self.seats.push(Seat {
                chum: Chum::new(
                    self.now,
                    config.clone(),
                    pair::peer(own_name, other_name),
                    self.recipes.clone(),
                    Arc::new(policy(own_name)),
                ),
                store: own,
                peer,
                events: Vec::new(),
                inbox: VecDeque::new(),
                sent: Vec::new(),
            });
        }
    }

    /// All connections are lost at once.
    pub(crate) fn cut(&mut self) -> Vec<Seat> {
        let mut seats = core::mem::take(&mut self.seats);
        for (no, seat) in seats.iter_mut().enumerate() {
            seat.chum.closed();
            let mut bytes = Vec::new();
            while let Some(output) = seat.chum.poll(self.now, &mut bytes) {
                match output {
                    ChumOutput::Event(event) => seat.events.push(event),
                    other => panic!("{other:?} behind the end"),
                }
            }
            let last = seat.events.last();
            assert!(matches!(last, Some(ChumEvent::Ended { .. })), "{last:?}");
            self.stores[seat.store].forget(no as u64);
        }
        for store in &self.stores {
            assert_eq!(open_files(store), 0);
        }
        seats
    }

    fn poll(&mut self, no: usize, before: Before<'_>) {
        let mut bytes = Vec::new();
        while let Some(output) = self.seats[no].chum.poll(self.now, &mut bytes) {
            match output {
                ChumOutput::Send(kind) => {
                    let message = (kind, core::mem::take(&mut bytes));
                    self.seats[no].sent.push(message.clone());
                    let peer = self.seats[no].peer;
                    self.seats[peer].inbox.push_back(message);
                }
                ChumOutput::Ask { id, ask } => {
                    let writes = matches!(ask, Ask::Write(_) | Ask::Close { .. });
                    let store = &mut self.stores[self.seats[no].store];
                    before(store, &self.recipes, &ask);
                    let answer = match self.fail_at == Some(self.asks) {
                        true => Answer::Failed,
                        false => store.answer(&self.recipes, no as u64, id, ask),
                    };
                    self.asks += 1;
                    if writes {
                        assert_whole(store);
                    }
                    self.seats[no].chum.answered(self.now, id, answer);
                }
                ChumOutput::Event(event) => self.seats[no].events.push(event),
            }
        }
    }

    /// Lets all talk until nobody has anything to say; then time passes, up to `limit`, or the connections are lost.
    pub(crate) fn run(&mut self, limit: Micros) {
        self.run_with(limit, &mut |_, _, _| {});
    }

    /// The same; before the store answers a question, something else happens to it.
    pub(crate) fn run_with(&mut self, limit: Micros, before: Before<'_>) {
        let until = self.now.mono + limit;
        loop {
            let mut quiet = true;
            for no in 0..self.seats.len() {
                self.poll(no, before);
                if self.cut_at == Some(self.messages) {
                    return;
                }
                let seat = &mut self.seats[no];
                if let Some((kind, bytes)) = seat.inbox.pop_front() {
                    quiet = false;
                    self.messages += 1;
                    let message = Message::of(kind, &bytes).expect("UTF-8");
                    seat.chum.message(self.now, message);
                }
            }
            if !quiet || self.seats.iter().any(|seat| !seat.inbox.is_empty()) {
                continue;
            }
            let deadlines = self.seats.iter().filter_map(|seat| seat.chum.deadline());
            let Some(next) = deadlines
                .map(|next| next.at)
                .min()
                .filter(|at| *at <= until)
            else {
                self.now.wall.0 += until.since(self.now.mono).as_millis();
                self.now.mono = until;
                return;
            };
            self.now.wall.0 += next.since(self.now.mono).as_millis();
            self.now.mono = self.now.mono.max(next);
            for seat in &mut self.seats {
                seat.chum.tick(self.now);
            }
        }
    }
}

/// Files that are being received. The store does not tell, but shows.
pub(crate) fn open_files(store: &MemoryStore) -> usize {
    let shown = format!("{store:?}");
    let (_, open) = shown.rsplit_once("open: ").expect("the last field");
    open.matches("AskId(").count()
}

/// Whatever an object refers to is stored, too.
pub(crate) fn assert_whole(store: &MemoryStore) {
    for (hash, text) in store.objects() {
        for used in references(text, usize::MAX).expect("references") {
            let hash = chumwire::hex::encode(hash);
            // Not by its marks, but by what is there.
            let is_there = match used {
                Reference::Object(_) | Reference::Id(_) => store.text(&used).is_some(),
                Reference::Blob(file) | Reference::Clob(file) => store.file(&file).is_some(),
            };
            assert!(is_there, "{used:?} of {hash}: {text}");
        }
    }
}

/// The hashes that were asked for as objects, id objects or files.
pub(crate) fn fetched(sent: &[(Kind, Vec<u8>)]) -> Vec<(u64, String)> {
    let mut fetched = Vec::new();
    for (kind, bytes) in sent {
        if *kind != Kind::Text || !bytes.starts_with(b"{\"requestId\"") {
            continue;
        }
        let request: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
        let service = request["serviceId"].as_u64().expect("a service");
        if (6..=8).contains(&service) {
            let hash = request["args"][0].as_str().expect("a hash");
            fetched.push((service, hash.into()));
        }
    }
    fetched
}

/// Everything that a store has, by hash.
pub(crate) fn contents(store: &MemoryStore) -> BTreeSet<String> {
    let texts = store.objects().map(|(hash, _)| *hash);
    let files = store.files().map(|file| file.0);
    texts
        .chain(files)
        .map(|hash| chumwire::hex::encode(&hash))
        .collect()
}

/// A person's id object, so that what refers to a person is whole.
pub(crate) fn put_person(store: &mut MemoryStore, recipes: &Recipes, name: &str) -> Reference {
    let email = format!("{name}@example.com");
    let object = chumwire::objects::Object::new("Person").with("email", email);
    store.put(recipes, &object).expect("a person");
    Reference::Id(person(name).into())
}
