//! One CHUM of ours, bob's, and a peer alice whose every message is written by the test.

use std::collections::BTreeMap;
use std::sync::Arc;

use chumwire::chum::{Ask, Chum, ChumConfig, ChumEvent, ChumOutput, MemoryStore, Policy};
use chumwire::io::{Kind, Message};
use chumwire::objects::{ObjectHash, Recipes, Reference};
use chumwire::time::{Micros, Millis, Now};
use serde_json::{Value as Json, json};

use crate::net::{assert_whole, open_files};
use crate::pair::{peer, policy, recipes};

/// Ours, and what it did.
pub(crate) struct Ours {
    pub(crate) now: Now,
    pub(crate) chum: Chum,
    pub(crate) store: MemoryStore,
    pub(crate) recipes: Recipes,
    pub(crate) events: Vec<ChumEvent>,
    /// Bytes that the store was asked for, and that it was given, as parts of files.
    pub(crate) read: usize,
    pub(crate) appended: usize,
}

impl Ours {
    pub(crate) fn with_policy(
        config: ChumConfig,
        store: MemoryStore,
        policy: impl Policy + 'static,
    ) -> Self {
        let now = Now {
            mono: Micros::secs(1),
            wall: Millis(1_700_000_000_000),
        };
        Self {
            now,
            chum: Chum::new(
                now,
                config,
                peer("bob", "alice"),
                recipes(),
                Arc::new(policy),
            ),
            store,
            recipes: recipes(),
            events: Vec::new(),
            read: 0,
            appended: 0,
        }
    }

    pub(crate) fn new(config: ChumConfig, store: MemoryStore) -> Self {
        Self::with_policy(config, store, policy("bob"))
    }

    pub(crate) fn hears(&mut self, text: &str) {
        self.chum.message(self.now, Message::Text(text));
    }

    pub(crate) fn hears_bytes(&mut self, id: u64, bytes: &[u8]) {
        let message = [&(id as f64).to_le_bytes()[..], bytes].concat();
        self.chum.message(self.now, Message::Binary(&message));
    }

    /// Does the next thing; gives it if it is a message.
    pub(crate) fn step(&mut self) -> Option<Option<(Kind, Vec<u8>)>> {
        let mut bytes = Vec::new();
        match self.chum.poll(self.now, &mut bytes)? {
            ChumOutput::Send(kind) => return Some(Some((kind, bytes))),
            ChumOutput::Ask { id, ask } => {
                match &ask {
                    Ask::Bytes { length, .. } => self.read += length,
                    Ask::Append { bytes, .. } => self.appended += bytes.len(),
                    _ => {}
                }
                let answer = self.store.answer(&self.recipes, 0, id, ask);
                self.chum.answered(self.now, id, answer);
            }
            ChumOutput::Event(event) => self.events.push(event),
        }
        Some(None)
    }

    /// All that it says now.
    pub(crate) fn poll(&mut self) -> Vec<(Kind, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(step) = self.step() {
            sent.extend(step);
        }
        sent
    }

    /// The same, where all are texts.
    pub(crate) fn says(&mut self) -> Vec<String> {
        let text = |(_, bytes): (_, Vec<u8>)| String::from_utf8(bytes).expect("UTF-8");
        self.poll().into_iter().map(text).collect()
    }

    /// The next deadline, if it is not behind `until`.
    pub(crate) fn wait(&mut self, until: Micros) -> bool {
        match self.chum.deadline().map(|next| next.at) {
            Some(next) if next <= until => {
                let next = next.max(self.now.mono);
                self.now.wall.0 += next.since(self.now.mono).as_millis();
                self.now.mono = next;
                self.chum.tick(self.now);
                true
            }
            _ => {
                self.now.mono = self.now.mono.max(until);
                false
            }
        }
    }

    /// The name of what ended it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        self.events.iter().find_map(|event| match event {
            ChumEvent::Ended { fault, .. } => fault.as_ref().map(|fault| fault.code()),
            _ => None,
        })
    }

    /// The names of what went wrong with roots, in their order.
    pub(crate) fn troubles(&self) -> Vec<&'static str> {
        let name = |event: &ChumEvent| match event {
            ChumEvent::RootFailed { trouble, .. } => Some(trouble.code()),
            ChumEvent::EntryFailed(fault) => Some(fault.code()),
            ChumEvent::RootRefused {
                unknown_type: true, ..
            } => Some("unknown type"),
            ChumEvent::RootRefused { .. } => Some("refused"),
            _ => None,
        };
        self.events.iter().filter_map(name).collect()
    }
}

/// What the peer answers to a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A value.
    Data(Json),
    /// An error with this code.
    Error(&'static str),
    /// A file in binary chunks of this length.
    File(Vec<u8>, usize),
    /// As many bytes as are taken, for ever.
    Endless,
    /// Nothing.
    Silence,
}

/// An exporter by the script of a test.
pub(crate) struct Puppet {
    pub(crate) ours: Ours,
    pub(crate) roots: Vec<Json>,
    pub(crate) replies: BTreeMap<(u64, String), Reply>,
    /// The requests that came.
    pub(crate) requests: Vec<(u64, String)>,
    /// Messages that go out in front of an answer to this service.
    pub(crate) noise: Vec<(u64, Kind, Vec<u8>)>,
    pub(crate) cancelled: usize,
}

impl Puppet {
    pub(crate) fn new(config: ChumConfig) -> Self {
        Self::of(Ours::new(config, MemoryStore::new()))
    }

    pub(crate) fn of(ours: Ours) -> Self {
        let mut puppet = Self {
            ours,
            roots: Vec::new(),
            replies: BTreeMap::new(),
            requests: Vec::new(),
            noise: Vec::new(),
            cancelled: 0,
        };
        puppet.reply(1, "", Reply::Data(json!(8)));
        puppet
    }

    pub(crate) fn reply(&mut self, service: u64, hash: &str, reply: Reply) {
        self.replies.insert((service, hash.into()), reply);
    }

    /// An object, or id object, with its list of children.
    pub(crate) fn serve(&mut self, text: &str, children: &Json) -> ObjectHash {
        let hash = ObjectHash::of(text);
        let (of_object, of_children) = match text.contains("data-id-object") {
            true => (7, 5),
            false => (6, 4),
        };
        let name = hash.to_string();
        self.reply(of_object, &name, Reply::Data(json!(text)));
        self.reply(of_children, &name, Reply::Data(json!(children.to_string())));
        hash
    }

    fn answer(&mut self, request: &Json) {
        let id = request["requestId"].as_u64().expect("a number");
        if request["type"] == "write-stream-error" {
            self.cancelled += 1;
            return;
        }
        let service = request["serviceId"].as_u64().expect("a service");
        let hash = request["args"][0].as_str().unwrap_or_default().to_string();
        self.requests.push((service, hash.clone()));
        for (of, kind, bytes) in self.noise.clone() {
            if of == service {
                let message = Message::of(kind, &bytes).expect("UTF-8");
                self.ours.chum.message(self.ours.now, message);
            }
        }
        let reply = match service {
            2 if !self.replies.contains_key(&(2, String::new())) => {
                Reply::Data(json!(Json::Array(self.roots.clone()).to_string()))
            }
            _ => {
                let reply = self.replies.get(&(service, hash)).cloned();
                reply.unwrap_or(Reply::Error("CES-GO1"))
            }
        };
        match reply {
            Reply::Data(data) => {
                let answer = json!({"responseId": id, "type": "data", "data": data});
                self.ours.hears(&answer.to_string());
            }
            Reply::Error(code) => {
                let error = json!({"name": "Error", "message": "no", "code": code});
                let answer = json!({"responseId": id, "type": "error", "error": error});
                self.ours.hears(&answer.to_string());
            }
            Reply::File(bytes, pieces) => {
                for piece in bytes.chunks(pieces) {
                    self.ours.hears_bytes(id, piece);
                }
                self.ours
                    .hears(&json!({"responseId": id, "type": "stream-end"}).to_string());
            }
            Reply::Endless => {
                let before = self.cancelled;
                for _ in 0..40_000 {
                    self.ours.hears_bytes(id, &[7; 65_528]);
                    let mut sent = Vec::new();
                    while let Some(step) = self.ours.step() {
                        sent.extend(step);
                    }
                    for (_, bytes) in sent {
                        let request = serde_json::from_slice(&bytes).expect("JSON");
                        self.answer(&request);
                    }
                    if self.cancelled > before {
                        break;
                    }
                }
            }
            Reply::Silence => {}
        }
    }

    /// Both say `synchronisation`; then it is run for this long.
    pub(crate) fn start(&mut self, time: Micros) {
        assert_eq!(self.ours.says(), ["synchronisation"]);
        self.ours.hears("synchronisation");
        self.run(time);
    }

    pub(crate) fn run(&mut self, time: Micros) {
        let until = self.ours.now.mono + time;
        loop {
            let sent = self.ours.says();
            for text in &sent {
                let request: Json = serde_json::from_str(text).expect("JSON");
                if request.get("requestId").is_some() {
                    self.answer(&request);
                }
            }
            if sent.is_empty() && !self.ours.wait(until) {
                return;
            }
        }
    }

    /// Nothing of what came is half there, and none of these is.
    pub(crate) fn assert_absent(&self, absent: &[ObjectHash], of: &str) {
        assert_whole(&self.ours.store);
        assert_eq!(open_files(&self.ours.store), 0, "{of}");
        for hash in absent {
            let text = self.ours.store.text(&Reference::Object(*hash));
            assert_eq!(text, None, "{of}");
        }
    }
}
