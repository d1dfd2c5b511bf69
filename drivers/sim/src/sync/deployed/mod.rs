//! A double of the deployed peer's CHUM: written from the specification (10 and 11) alone, and sharing no code with
//! `Chum` but objects, hashes and the merge of data. It is driven as `Chum` is.

mod fetch;
mod serve;

use std::collections::{BTreeMap, VecDeque};

use chumwire::chum::{Answer, Ask, AskId, ChumEvent, ChumFault, ChumLog, ChumOutput, VersionNode};
use chumwire::io::{Kind, Message};
use chumwire::objects::{ObjectHash, PersonId, ReadLimits, Recipes, Reference};
use chumwire::time::{Alarm, Deadline, Micros, Now};
use serde_json::Value;

use fetch::Importer;
use serve::Exporter;

/// How `undefined` is written.
const UNDEFINED: &str = "$__undefined$";
/// The layer of requests is there so long after the peer's `synchronisation`; its services again so long after that.
const MOMENT: Micros = Micros::millis(5);
/// Messages that may wait for the layer of requests; one more closes the connection.
const EARLY: usize = 10;

/// What is wrong with a deployed peer, each as the specification tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeployedChumFaults {
    /// What comes before its layer of requests is there is lost without an answer.
    pub loses_start: bool,
    /// Every request before its services are there is answered UNKNOWN-SERVICE.
    pub unknown_at_start: bool,
    /// It does not list the versions that join others.
    pub unlisted_merges: bool,
    /// A version is stored first and merged after that: one that was not merged in time never is.
    pub merge_apart: bool,
    /// Every binary chunk goes out as an empty message.
    pub empty_chunks: bool,
}

impl Default for DeployedChumFaults {
    fn default() -> Self {
        Self {
            loses_start: true,
            unknown_at_start: true,
            unlisted_merges: true,
            merge_apart: false,
            empty_chunks: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The own `synchronisation` waits to be polled; whether the peer has said something.
    Greeting {
        heard: bool,
    },
    /// Any message of the peer is awaited.
    Waiting,
    /// The layer of requests is not there yet.
    Building(Micros),
    /// It is there, its services are not.
    Unregistered(Micros),
    Running,
}

/// What both parts work with.
#[derive(Debug)]
struct Base {
    person: PersonId,
    recipes: Recipes,
    faults: DeployedChumFaults,
    out: VecDeque<(Kind, Vec<u8>)>,
    asks: VecDeque<(AskId, Ask)>,
    next_ask: u64,
    events: VecDeque<ChumEvent>,
    fault: Option<ChumFault>,
}

impl Base {
    fn text(&mut self, text: String) {
        self.out.push_back((Kind::Text, text.into_bytes()));
    }

    fn ask(&mut self, ask: Ask) -> AskId {
        let id = AskId(self.next_ask);
        self.next_ask += 1;
        self.asks.push_back((id, ask));
        id
    }

    /// What closes the connection.
    fn fail(&mut self, why: impl Into<String>) {
        let why = why.into();
        self.fault.get_or_insert(ChumFault::NoVersion(why));
    }

    fn error(&mut self, id: &Value, name: &str, message: &str, code: &str) {
        let [name, message, code] = [name, message, code].map(quoted);
        self.text(format!(
            r#"{{"responseId":{id},"type":"error","error":{{"name":{name},"message":{message},"code":{code}}}}}"#
        ));
    }

    fn data(&mut self, id: &Value, data: &Value) {
        self.text(format!(
            r#"{{"responseId":{id},"type":"data","data":{data}}}"#
        ));
    }

    fn unknown_service(&mut self, id: &Value, service: &Value) {
        let message = format!("Not a function: Servcie ID {service} [number]");
        self.error(id, "TypeError", &message, "UNKNOWN-SERVICE");
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// An integral number.
fn integer(value: Option<&Value>) -> Option<f64> {
    let number = value?.as_f64()?;
    (number % 1.0 == 0.0).then_some(number)
}

/// CHUM of a deployed peer on one connection.
#[derive(Debug)]
pub(super) struct DeployedChum {
    base: Base,
    start: Start,
    early: usize,
    exporter: Exporter,
    importer: Importer,
    ended: bool,
}

impl DeployedChum {
    pub(super) fn new(person: PersonId, recipes: Recipes, faults: DeployedChumFaults) -> Self {
        Self {
            base: Base {
                person,
                recipes,
                faults,
                out: VecDeque::new(),
                asks: VecDeque::new(),
                next_ask: 0,
                events: VecDeque::new(),
                fault: None,
            },
            start: Start::Greeting { heard: false },
            early: 0,
            exporter: Exporter::default(),
            importer: Importer::default(),
            ended: false,
        }
    }

    pub(super) const fn faults(&self) -> DeployedChumFaults {
        self.base.faults
    }

    pub(super) fn message(&mut self, now: Now, message: Message<'_>) {
        if self.ended {
            return;
        }
        match self.start {
            // Whatever it is.
            Start::Greeting { heard: false } => self.start = Start::Greeting { heard: true },
            Start::Waiting => self.start = Start::Building(now.mono + MOMENT),
            Start::Greeting { .. } | Start::Building(_) if self.base.faults.loses_start => {
                self.early += 1;
                if self.early > EARLY {
                    self.base.fail("more messages than may wait unread");
                }
            }
            _ => match message {
                Message::Text(text) => self.text(now, text),
                Message::Binary(bytes) => self.binary(bytes),
            },
        }
        self.settle();
    }

    fn text(&mut self, now: Now, text: &str) {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return;
        };
        let (request, response) = (value.get("requestId"), value.get("responseId"));
        let service = value.get("serviceId");
        match value.get("type").and_then(Value::as_str) {
            Some("request") => {
                let (Some(id), Some(service)) = (request, service) else {
                    return;
                };
                if integer(request).is_none() || integer(Some(service)).is_none() {
                    return;
                }
                let is_registered =
                    self.start == Start::Running || !self.base.faults.unknown_at_start;
                match is_registered {
                    true => {
                        let args = value.get("args");
                        self.exporter.request(&mut self.base, id, service, args);
                    }
                    false => self.base.unknown_service(id, service),
                }
            }
            Some("write-stream-error") => self.exporter.cancelled(&mut self.base, request),
            Some(kind) => {
                let Some(id) = integer(response) else { return };
                let base = &mut self.base;
                match kind {
                    "data" => self.importer.answered(base, now, id, value.get("data")),
                    "error" => self.importer.refused(base, now, id, value.get("error")),
                    "stream" => self.importer.text_chunk(base, now, id, &value),
                    "stream-end" => self.importer.stream_end(base, now, id),
                    "stream-error" => self.importer.stream_failed(base, now, id),
                    _ => {}
                }
            }
            None => {}
        }
    }

    fn binary(&mut self, bytes: &[u8]) {
        match bytes.split_first_chunk::<8>() {
            None => self
                .base
                .fail("onMsgHandler error: RangeError: Invalid typed array length"),
            Some((id, chunk)) => self.importer.chunk(f64::from_le_bytes(*id), chunk),
        }
    }

    pub(super) fn answered(&mut self, now: Now, id: AskId, answer: Answer) {
        if self.ended {
            return;
        }
        if let Some(answer) = self.exporter.told(&mut self.base, id, answer) {
            self.importer.told(&mut self.base, now, id, answer);
        }
        self.settle();
    }

    pub(super) fn tick(&mut self, now: Now) {
        if self.ended {
            return;
        }
        match self.start {
            Start::Building(at) if now.mono >= at => {
                self.start = Start::Unregistered(now.mono + MOMENT);
            }
            Start::Unregistered(at) if now.mono >= at => {
                self.start = Start::Running;
                self.importer.ask_version(&mut self.base);
            }
            _ => self.importer.tick(&mut self.base, now),
        }
        self.settle();
    }

    pub(super) fn closed(&mut self) {
        self.base.out.clear();
        self.base.asks.clear();
        if !self.ended {
            self.end(None);
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let at = match self.start {
            _ if self.ended => None,
            Start::Building(at) | Start::Unregistered(at) => Some(at),
            _ => self.importer.at(),
        };
        let why = Alarm::Chum;
        at.map(|at| Deadline { at, why })
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.importer.is_asleep() && !self.exporter.is_busy()
    }

    pub(super) fn poll(&mut self, now: Now, bytes: &mut Vec<u8>) -> Option<ChumOutput> {
        if let Start::Greeting { heard } = self.start
            && !self.ended
        {
            self.start = match heard {
                true => Start::Building(now.mono + MOMENT),
                false => Start::Waiting,
            };
            *bytes = b"synchronisation".to_vec();
            return Some(ChumOutput::Send(Kind::Text));
        }
        if let Some(event) = self.base.events.pop_front() {
            return Some(ChumOutput::Event(event));
        }
        if let Some((id, ask)) = self.base.asks.pop_front() {
            return Some(ChumOutput::Ask { id, ask });
        }
        let (kind, message) = self.base.out.pop_front()?;
        *bytes = message;
        Some(ChumOutput::Send(kind))
    }

    fn settle(&mut self) {
        if let Some(fault) = self.base.fault.take()
            && !self.ended
        {
            self.base.out.clear();
            self.base.asks.clear();
            self.end(Some(fault));
        }
    }

    fn end(&mut self, fault: Option<ChumFault>) {
        self.ended = true;
        let log = Box::new(ChumLog::default());
        self.base.events.push_back(ChumEvent::Ended { fault, log });
    }
}

/// The history of a version, while it is being read.
#[derive(Debug, Default)]
struct History {
    nodes: BTreeMap<ObjectHash, VersionNode>,
    asked: Vec<ObjectHash>,
}

impl History {
    fn wants(&mut self, nodes: impl IntoIterator<Item = ObjectHash>) {
        let nodes = nodes.into_iter();
        self.asked
            .extend(nodes.filter(|node| !self.nodes.contains_key(node)));
        self.asked.sort_unstable();
        self.asked.dedup();
    }

    /// What to ask next; nothing if it is known whole.
    fn next(&self) -> Option<Ask> {
        let asked = self.asked.iter().map(|node| Reference::Object(*node));
        (!self.asked.is_empty()).then(|| Ask::Texts(asked.collect()))
    }

    /// False if something is not there.
    fn came(&mut self, recipes: &Recipes, texts: &[Option<String>]) -> bool {
        let mut before = Vec::new();
        for (hash, text) in core::mem::take(&mut self.asked).into_iter().zip(texts) {
            let object = text
                .as_deref()
                .and_then(|text| recipes.read(text, &ReadLimits::default()).ok());
            let Some(node) = object.as_ref().and_then(VersionNode::of) else {
                return false;
            };
            before.extend(node.predecessors());
            self.nodes.insert(hash, node);
        }
        self.wants(before);
        true
    }
}
