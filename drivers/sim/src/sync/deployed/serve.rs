//! The exporter of the deployed peer.

use std::collections::{BTreeMap, BTreeSet};

use chumwire::chum::{Answer, Ask, AskId, Before, Grant};
use chumwire::hex;
use chumwire::io::Kind;
use chumwire::objects::{FileHash, IdHash, ObjectHash, RefKind, Reference, references, type_of};
use serde_json::Value;

use super::{Base, History, UNDEFINED, integer, quoted};

/// Bytes of a chunk.
const CHUNK: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Exporter {
    /// It only grows.
    accessible: BTreeMap<[u8; 32], RefKind>,
    /// Each waits for one answer of the store.
    jobs: BTreeMap<AskId, Job>,
    lists: usize,
    ended: bool,
}

#[derive(Debug)]
struct Job {
    id: Value,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    Grants,
    Histories(Vec<Grant>, History),
    Children(Children),
    Text { id_only: bool, hash: String },
    Stream(Stream),
}

#[derive(Debug)]
struct Children {
    root: Reference,
    uses: BTreeMap<Reference, Vec<Reference>>,
    asked: Vec<Reference>,
}

#[derive(Debug)]
struct Stream {
    hash: FileHash,
    offset: u64,
    /// As text: what was cut of a character, and whether something was sent.
    text: Option<(Vec<u8>, bool)>,
}

impl Exporter {
    pub(super) fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }

    pub(super) fn request(
        &mut self,
        base: &mut Base,
        id: &Value,
        service: &Value,
        args: Option<&Value>,
    ) {
        let args: &[Value] = match args {
            None => &[],
            Some(Value::Array(args)) => args,
            Some(_) => {
                let text = "Spread syntax requires ...iterable[Symbol.iterator] to be a function";
                return base.error(id, "TypeError", text, UNDEFINED);
            }
        };
        let number = integer(Some(service)).unwrap_or_default() as i64;
        // The importer's.
        if number == 3 {
            return base.data(id, &UNDEFINED.into());
        }
        if self.ended || !matches!(number, 1 | 2 | 4..=8 | 10) {
            return base.unknown_service(id, service);
        }
        match number {
            1 => base.data(id, &8.into()),
            2 => self.job(base, id, Doing::Grants, Ask::Granted(base.person)),
            10 => {
                self.ended = true;
                base.data(id, &UNDEFINED.into());
            }
            _ => self.of_hash(base, id, number, args),
        }
    }

    fn job(&mut self, base: &mut Base, id: &Value, doing: Doing, ask: Ask) {
        let job = Job {
            id: id.clone(),
            doing,
        };
        self.jobs.insert(base.ask(ask), job);
    }

    fn of_hash(&mut self, base: &mut Base, id: &Value, number: i64, args: &[Value]) {
        let argument = args.first().and_then(Value::as_str).unwrap_or(UNDEFINED);
        let Some(hash) = ObjectHash::parse_strict(argument) else {
            let code = match number {
                5 | 7 => "UTC-EIDHASH",
                _ => "UTC-EHASH",
            };
            let text = format!("{code}: Value {} is not a SHA-256 hash", quoted(argument));
            return base.error(id, "Error", &text, code);
        };
        let Some(kind) = self.accessible.get(&hash.0).copied() else {
            let (code, what) = match number {
                4 => ("CES-GOC1", format!("obj children for {argument}")),
                5 => ("CES-GIDOC1", "id-obj children for $hash".into()),
                6 => ("CES-GO1", format!("obj {argument}")),
                7 => ("CES-GIDO1", "id-obj undefined".into()),
                _ => ("CES-GBL1", format!("BLOB {argument}")),
            };
            return base.error(id, "Error", &format!("{code}: Unauthorized, {what}"), code);
        };
        match number {
            4 | 5 => {
                let root = match number {
                    4 => Reference::Object(hash),
                    _ => Reference::Id(IdHash(hash.0)),
                };
                let children = Children {
                    root,
                    uses: BTreeMap::new(),
                    asked: [root].into(),
                };
                self.job(
                    base,
                    id,
                    Doing::Children(children),
                    Ask::Texts([root].into()),
                );
            }
            6 | 7 => {
                let (id_only, code) =
                    [(false, "CES-GO2"), (true, "CES-GIDO2")][number as usize - 6];
                if matches!(kind, RefKind::Blob | RefKind::Clob) {
                    return no_object(base, id, code, argument);
                }
                let hash = argument.into();
                let what = match ObjectHash::parse_strict(argument) {
                    Some(hash) => Reference::Object(hash),
                    None => return,
                };
                let text = Doing::Text { id_only, hash };
                self.job(base, id, text, Ask::Texts([what].into()));
            }
            _ => {
                let text = match args.get(1) {
                    None => None,
                    Some(Value::String(text)) if text == UNDEFINED => None,
                    Some(Value::String(text)) if text == "utf8" => Some((Vec::new(), false)),
                    Some(other) => {
                        let other = other.as_str().unwrap_or("null");
                        let text = format!(
                            "CES-GBL2: Bad request: Invalid \"encoding\" parameter: {other}"
                        );
                        return base.error(id, "Error", &text, "CES-GBL2");
                    }
                };
                if self
                    .jobs
                    .values()
                    .any(|job| job.id == *id && matches!(job.doing, Doing::Stream(_)))
                {
                    let text = format!("WSRQ-CRSTH1: Read stream already exists for #{id}");
                    return base.error(id, "Error", &text, "WSRQ-CRSTH1");
                }
                let stream = Stream {
                    hash: FileHash(hash.0),
                    offset: 0,
                    text,
                };
                self.read_on(base, id, stream);
            }
        }
    }

    fn read_on(&mut self, base: &mut Base, id: &Value, stream: Stream) {
        let ask = Ask::Bytes {
            hash: stream.hash,
            offset: stream.offset,
            length: CHUNK,
        };
        self.job(base, id, Doing::Stream(stream), ask);
    }

    /// The receiver of a stream does not want it any more.
    pub(super) fn cancelled(&mut self, base: &mut Base, id: Option<&Value>) {
        let is_it = |job: &Job| Some(&job.id) == id && matches!(job.doing, Doing::Stream(_));
        let stopped: Vec<AskId> = (self.jobs.iter())
            .filter_map(|(ask, job)| is_it(job).then_some(*ask))
            .collect();
        for ask in stopped {
            if let Some(job) = self.jobs.remove(&ask) {
                stream_error(base, &job.id);
            }
        }
    }

    /// The store's answer; it comes back if it is none of this part.
    pub(super) fn told(&mut self, base: &mut Base, ask: AskId, answer: Answer) -> Option<Answer> {
        let Some(Job { id, doing }) = self.jobs.remove(&ask) else {
            return Some(answer);
        };
        match (doing, answer) {
            (Doing::Grants, Answer::Granted(mut grants)) => {
                // The order is not specified, and changes.
                let turn = self.lists % grants.len().max(1);
                grants.rotate_left(turn);
                self.lists += 1;
                let mut history = History::default();
                history.wants(grants.iter().filter_map(|grant| match grant {
                    Grant::Id { head, .. } => *head,
                    Grant::Object { .. } => None,
                }));
                self.histories(base, &id, grants, history);
            }
            (Doing::Histories(grants, mut history), Answer::Texts(texts)) => {
                match history.came(&base.recipes, &texts) {
                    true => self.histories(base, &id, grants, history),
                    false => missing(base, &id),
                }
            }
            (Doing::Children(children), Answer::Texts(texts)) => {
                self.children(base, &id, children, &texts);
            }
            (Doing::Text { id_only, hash }, Answer::Texts(texts)) => {
                let text = texts.into_iter().next().flatten();
                let code = match id_only {
                    true => "CES-GIDO2",
                    false => "CES-GO2",
                };
                match text {
                    None => missing(base, &id),
                    Some(text) if type_of(&text).is_some_and(|(_, is)| is == id_only) => {
                        base.data(&id, &text.into());
                    }
                    Some(_) => no_object(base, &id, code, &hash),
                }
            }
            (Doing::Stream(stream), Answer::Bytes(Some(piece))) => {
                self.piece(base, &id, stream, &piece.bytes, piece.last);
            }
            (Doing::Stream(stream), _) if stream.offset > 0 => stream_error(base, &id),
            _ => missing(base, &id),
        }
        None
    }

    fn histories(&mut self, base: &mut Base, id: &Value, grants: Vec<Grant>, history: History) {
        if let Some(ask) = history.next() {
            return self.job(base, id, Doing::Histories(grants, history), ask);
        }
        let merges = !base.faults.unlisted_merges;
        let (mut entries, mut keys) = (Vec::new(), BTreeSet::new());
        let mut add = |hash: [u8; 32], kind, entry: String| {
            self.accessible.entry(hash).or_insert(kind);
            if keys.insert(hash) {
                entries.push(entry);
            }
        };
        let mut versions = BTreeSet::new();
        for grant in grants {
            match grant {
                Grant::Object {
                    hash,
                    type_name,
                    id,
                } => {
                    let name = quoted(&type_name);
                    let entry = match id {
                        None => {
                            format!(r#"{{"type":"unversioned","hash":"{hash}","oneType":{name}}}"#)
                        }
                        Some(id) => {
                            versions.insert(id);
                            format!(
                                r#"{{"type":"versioned","hash":"{hash}","idHash":"{id}","oneType":{name}}}"#
                            )
                        }
                    };
                    add(hash.0, RefKind::Object, entry);
                }
                Grant::Id {
                    id,
                    type_name,
                    head,
                } => {
                    let name = quoted(&type_name);
                    let entry = format!(r#"{{"type":"id","idHash":"{id}","oneType":{name}}}"#);
                    add(id.0, RefKind::Id, entry);
                    let (mut listed, mut seen) = (Vec::new(), BTreeSet::new());
                    if let Some(head) = head {
                        listing(head, &history, merges, &mut seen, &mut listed);
                    }
                    for node in listed {
                        let entry = format!(
                            r#"{{"type":"version_node","node":"{node}","dataIdHash":"{id}","dataType":{name}}}"#
                        );
                        add(node.0, RefKind::Object, entry);
                    }
                }
            }
        }
        for id in versions {
            self.accessible.entry(id.0).or_insert(RefKind::Id);
        }
        base.data(id, &format!("[{}]", entries.join(",")).into());
    }

    fn children(
        &mut self,
        base: &mut Base,
        id: &Value,
        mut of: Children,
        texts: &[Option<String>],
    ) {
        for (what, text) in core::mem::take(&mut of.asked).into_iter().zip(texts) {
            let uses = text
                .as_ref()
                .and_then(|text| references(text, 100_000).ok());
            let Some(uses) = uses else {
                return missing(base, id);
            };
            let texts = uses
                .iter()
                .filter(|used| matches!(used, Reference::Object(_) | Reference::Id(_)));
            of.asked.extend(texts.copied());
            of.uses.insert(what, uses);
        }
        of.asked.sort_unstable();
        of.asked.dedup();
        of.asked.retain(|what| !of.uses.contains_key(what));
        if !of.asked.is_empty() {
            let ask = Ask::Texts(of.asked.clone());
            return self.job(base, id, Doing::Children(of), ask);
        }
        let (mut seen, mut finished) = (BTreeSet::new(), Vec::new());
        walk(of.root, &of.uses, &mut seen, &mut finished);
        finished.pop();
        finished.reverse();
        let entry = |child: &Reference| {
            let kind = match child.kind() {
                RefKind::Object => "object",
                RefKind::Id => "id",
                RefKind::Clob => "clob",
                RefKind::Blob => "blob",
            };
            let hash = hex::encode(child.bytes());
            format!(r#"{{"type":"{kind}","hash":"{hash}"}}"#)
        };
        let list: Vec<String> = finished.iter().map(entry).collect();
        for child in finished {
            self.accessible
                .entry(*child.bytes())
                .or_insert(child.kind());
        }
        base.data(id, &format!("[{}]", list.join(",")).into());
    }

    fn piece(&mut self, base: &mut Base, id: &Value, mut stream: Stream, bytes: &[u8], last: bool) {
        stream.offset += bytes.len() as u64;
        match &mut stream.text {
            None if bytes.is_empty() => {}
            None if base.faults.empty_chunks => base.out.push_back((Kind::Binary, Vec::new())),
            None => {
                let number = integer(Some(id)).unwrap_or_default();
                let mut chunk = number.to_le_bytes().to_vec();
                chunk.extend_from_slice(bytes);
                base.out.push_back((Kind::Binary, chunk));
            }
            Some((carry, sent)) => {
                carry.extend_from_slice(bytes);
                let whole = match core::str::from_utf8(carry) {
                    Err(error) if error.error_len().is_none() && !last => error.valid_up_to(),
                    _ => carry.len(),
                };
                let rest = carry.split_off(whole);
                // What is no text is replaced.
                let text = quoted(&String::from_utf8_lossy(carry));
                if !carry.is_empty() {
                    let encoding = match core::mem::replace(sent, true) {
                        false => "utf8",
                        true => UNDEFINED,
                    };
                    base.text(format!(
                        r#"{{"responseId":{id},"type":"stream","chunk":{text},"encoding":"{encoding}"}}"#
                    ));
                }
                *carry = rest;
            }
        }
        match last {
            true => base.text(format!(r#"{{"responseId":{id},"type":"stream-end"}}"#)),
            false => self.read_on(base, id, stream),
        }
    }
}

/// Nodes to be listed, oldest first.
fn listing(
    of: ObjectHash,
    history: &History,
    merges: bool,
    seen: &mut BTreeSet<ObjectHash>,
    listed: &mut Vec<ObjectHash>,
) {
    let Some(node) = history.nodes.get(&of).filter(|_| seen.insert(of)) else {
        return;
    };
    for before in node.predecessors() {
        listing(before, history, merges, seen, listed);
    }
    if merges || !matches!(node.before, Before::Merge(_)) {
        listed.push(of);
    }
}

/// A walk, depth first; in the end `finished` holds what is used before its users.
fn walk(
    at: Reference,
    uses: &BTreeMap<Reference, Vec<Reference>>,
    seen: &mut BTreeSet<Reference>,
    finished: &mut Vec<Reference>,
) {
    if seen.insert(at) {
        for used in uses.get(&at).into_iter().flatten() {
            walk(*used, uses, seen, finished);
        }
        finished.push(at);
    }
}

fn stream_error(base: &mut Base, id: &Value) {
    base.text(format!(
        r#"{{"responseId":{id},"type":"stream-error","error":"Error while reading the file stream"}}"#
    ));
}

fn missing(base: &mut Base, id: &Value) {
    let text = "SB-READ2: File not found";
    base.error(id, "FileNotFoundError", text, "SB-READ2");
}

fn no_object(base: &mut Base, id: &Value, code: &str, hash: &str) {
    let text = format!("{code}: Requested file {hash} is not a ONE microdata object");
    base.error(id, "Error", &text, code);
}
