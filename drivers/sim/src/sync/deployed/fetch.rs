//! The importer of the deployed peer: one request at a time.

use std::collections::VecDeque;

use chumwire::chum::{
    Answer, Ask, AskId, ChumEvent, NewHead, Presence, Round, Service, Side, Trouble, VersionNode,
    Write, merge,
};
use chumwire::objects::{
    FileHash, IdHash, Object, ObjectHash, ReadLimits, Reference, references, type_of,
};
use chumwire::time::{Micros, Now};
use serde_json::Value;

use super::{Base, History, UNDEFINED};

/// How long it waits after a round.
const POLL: Micros = Micros::secs(5);
/// How long until the version is asked again, and how often it is asked.
const AGAIN: Micros = Micros::millis(300);
const TRIES: u32 = 16;

/// What it waits for.
#[derive(Debug, Default)]
enum State {
    #[default]
    Off,
    Version,
    VersionAgain(Micros),
    Roots,
    /// Whether the root of the goal is stored.
    HaveRoot,
    Children,
    HaveChild(Reference),
    Child(Reference, Stream),
    /// A child is being stored: these questions are still to come.
    Storing(VecDeque<Ask>),
    RootStored,
    Root,
    /// The data of the version node whose text this is.
    NodeData(VersionNode, String),
    Head,
    History(ObjectHash, History),
    Versions(ObjectHash, VersionNode),
    Merged,
    Asleep(Micros),
}

#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    /// The encoding, if text comes.
    encoding: Option<String>,
    has_begun: bool,
}

/// Something to be had.
#[derive(Debug)]
struct Goal {
    what: Reference,
    type_name: String,
    /// The place of its entry in the list.
    entry: usize,
    /// It is a version of this, and perhaps the last one.
    node: Option<(IdHash, bool)>,
}

#[derive(Debug, Default)]
pub(super) struct Importer {
    state: State,
    next: u64,
    request: Option<u64>,
    ask: Option<AskId>,
    tries: u32,
    plan: VecDeque<Goal>,
    goal: Option<Goal>,
    /// Children of the goal that were not looked at, and all of them.
    todo: Vec<Reference>,
    listed: Vec<Reference>,
    /// The deepest new version of the thing, and what is stored with the head.
    taken: Option<(ObjectHash, VersionNode)>,
    with: Vec<(Reference, String)>,
    round: Round,
    rounds: u64,
}

impl Importer {
    pub(super) const fn is_asleep(&self) -> bool {
        matches!(self.state, State::Asleep(_))
    }

    pub(super) const fn at(&self) -> Option<Micros> {
        match self.state {
            State::Asleep(at) | State::VersionAgain(at) => Some(at),
            _ => None,
        }
    }

    pub(super) fn tick(&mut self, base: &mut Base, now: Now) {
        match self.state {
            State::VersionAgain(at) if now.mono >= at => self.ask_version(base),
            State::Asleep(at) if now.mono >= at => self.ask_roots(base),
            _ => {}
        }
    }

    fn request(&mut self, base: &mut Base, service: u8, args: &str, state: State) {
        let id = self.next;
        self.next += 1;
        self.request = Some(id);
        self.state = state;
        base.text(format!(
            r#"{{"requestId":{id},"type":"request","serviceId":{service},"args":[{args}]}}"#
        ));
    }

    fn ask(&mut self, base: &mut Base, ask: Ask, state: State) {
        self.ask = Some(base.ask(ask));
        self.state = state;
    }

    pub(super) fn ask_version(&mut self, base: &mut Base) {
        self.tries += 1;
        self.request(base, 1, "", State::Version);
    }

    fn ask_roots(&mut self, base: &mut Base) {
        self.round = Round {
            first: self.rounds == 0,
            ..Round::default()
        };
        self.request(base, 2, "", State::Roots);
    }

    // --- answers of the peer -------------------------------------------------------------------------------------

    fn is_ours(&mut self, id: f64) -> bool {
        self.request
            .take_if(|request| *request as f64 == id)
            .is_some()
    }

    pub(super) fn answered(&mut self, base: &mut Base, now: Now, id: f64, data: Option<&Value>) {
        if !self.is_ours(id) {
            return;
        }
        let text = data.and_then(Value::as_str);
        match (core::mem::take(&mut self.state), text) {
            (State::Version, _) => match data.and_then(Value::as_f64) == Some(8.0) {
                true => self.ask_roots(base),
                false => base.fail(format!(
                    "Chum protocol mismatch, local: 8, remote: {}",
                    data.unwrap_or(&Value::Null)
                )),
            },
            (State::Roots, text) => match text.and_then(plan) {
                Some((entries, plan)) => {
                    self.round.roots = entries;
                    self.plan = plan;
                    self.next_goal(base, now);
                }
                None => base.fail("DAH-PAO: the list of roots is none"),
            },
            (State::Children, text) => match text.and_then(children) {
                Some(children) => {
                    self.listed.clone_from(&children);
                    self.todo = children;
                    self.next_child(base);
                }
                None => self.goal_failed(base, now, Trouble::NotText(Service::GetObjectChildren)),
            },
            (State::Child(what, _), Some(text)) => match read(base, what, text, None) {
                Ok(_) => {
                    let then = State::Storing(VecDeque::new());
                    self.store_text(base, what, text.into(), then);
                }
                Err(trouble) => self.goal_failed(base, now, trouble),
            },
            (State::Root, Some(text)) => self.root_came(base, now, text),
            _ => self.goal_failed(base, now, Trouble::NotText(Service::GetObject)),
        }
    }

    pub(super) fn refused(&mut self, base: &mut Base, now: Now, id: f64, error: Option<&Value>) {
        if !self.is_ours(id) {
            return;
        }
        let Some(error) = error else {
            return base.fail("onMsgHandler error: TypeError: an answer without its error");
        };
        let code = error.get("code").and_then(Value::as_str);
        match core::mem::take(&mut self.state) {
            State::Version if code == Some("UNKNOWN-SERVICE") && self.tries < TRIES => {
                self.state = State::VersionAgain(now.mono + AGAIN);
            }
            State::Version | State::Roots => base.fail(format!("a request failed: {error}")),
            _ => self.goal_failed(base, now, Trouble::Refused),
        }
    }

    fn stream(&mut self, id: f64) -> Option<&mut Stream> {
        match &mut self.state {
            State::Child(_, stream) if self.request.is_some_and(|own| own as f64 == id) => {
                Some(stream)
            }
            _ => None,
        }
    }

    pub(super) fn chunk(&mut self, id: f64, bytes: &[u8]) {
        if let Some(stream) = self.stream(id) {
            stream.has_begun = true;
            stream.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn text_chunk(&mut self, base: &mut Base, now: Now, id: f64, chunk: &Value) {
        let Some(stream) = self.stream(id) else {
            return;
        };
        if !core::mem::replace(&mut stream.has_begun, true) {
            let encoding = chunk.get("encoding").and_then(Value::as_str);
            stream.encoding = encoding.map(Into::into);
        }
        let text = chunk.get("chunk").and_then(Value::as_str);
        match (stream.encoding.as_deref(), text) {
            (Some("utf8"), Some(text)) => stream.bytes.extend_from_slice(text.as_bytes()),
            // Nobody here sends base64.
            _ => {
                base.text(format!(
                    r#"{{"requestId":{id},"type":"write-stream-error"}}"#
                ));
                self.request = None;
                self.goal_failed(base, now, Trouble::Refused);
            }
        }
    }

    pub(super) fn stream_end(&mut self, base: &mut Base, now: Now, id: f64) {
        if !self.is_ours(id) {
            return;
        }
        match core::mem::take(&mut self.state) {
            State::Child(what @ (Reference::Blob(hash) | Reference::Clob(hash)), stream)
                if FileHash::of(&stream.bytes) == hash =>
            {
                let file = base.ask(Ask::Open);
                self.ask = Some(file);
                self.count(stream.bytes.len());
                let bytes = stream.bytes;
                let reference = what;
                self.state = State::Storing(
                    [Ask::Append { file, bytes }, Ask::Close { file, reference }].into(),
                );
            }
            _ => self.goal_failed(base, now, Trouble::WrongHash),
        }
    }

    pub(super) fn stream_failed(&mut self, base: &mut Base, now: Now, id: f64) {
        if self.is_ours(id) {
            self.goal_failed(base, now, Trouble::Refused);
        }
    }

    // --- goals ---------------------------------------------------------------------------------------------------

    fn next_goal(&mut self, base: &mut Base, now: Now) {
        self.goal = self.plan.pop_front();
        match &self.goal {
            Some(goal) => {
                let ask = have(goal.what);
                self.ask(base, ask, State::HaveRoot);
            }
            None => {
                self.rounds += 1;
                base.events.push_back(ChumEvent::RoundEnded(self.round));
                self.state = State::Asleep(now.mono + POLL);
            }
        }
    }

    fn goal_failed(&mut self, base: &mut Base, now: Now, trouble: Trouble) {
        let Some(goal) = self.goal.take() else {
            return base.fail(trouble.to_string());
        };
        if goal.node.is_some() {
            return base.fail(format!("a version node failed: {trouble}"));
        }
        self.round.failed += 1;
        let (root, type_name) = (goal.what, goal.type_name);
        base.events.push_back(ChumEvent::RootFailed {
            root,
            type_name,
            trouble,
        });
        self.plan.retain(|other| other.entry != goal.entry);
        self.next_goal(base, now);
    }

    fn next_child(&mut self, base: &mut Base) {
        // From the end: what is used comes before its users.
        match (self.todo.pop(), &self.goal) {
            (Some(child), _) => self.ask(base, have(child), State::HaveChild(child)),
            (None, Some(goal)) => {
                let (service, args) = getting(goal.what);
                self.request(base, service, &args, State::Root);
            }
            (None, None) => {}
        }
    }

    fn count(&mut self, bytes: usize) {
        self.round.stored += 1;
        self.round.bytes += bytes as u64;
    }

    fn store_text(&mut self, base: &mut Base, what: Reference, text: String, then: State) {
        self.count(text.len());
        let texts = [(what, text)].into();
        let write = Write {
            texts,
            ..Write::default()
        };
        self.ask(base, Ask::Write(write), then);
    }

    fn root_came(&mut self, base: &mut Base, now: Now, text: &str) {
        let Some(goal) = &self.goal else { return };
        let (what, is_node) = (goal.what, goal.node.is_some());
        let type_name = (!is_node).then_some(goal.type_name.as_str());
        let object = match read(base, what, text, type_name) {
            Ok(object) => object,
            Err(trouble) => return self.goal_failed(base, now, trouble),
        };
        // Of the references only those to files are compared with the list.
        let uses = references(text, 100_000).unwrap_or_default();
        let mut files =
            (uses.iter()).filter(|used| matches!(used, Reference::Blob(_) | Reference::Clob(_)));
        if files.any(|file| !self.listed.contains(file)) {
            return self.goal_failed(base, now, Trouble::Unlisted);
        }
        match object.as_ref().and_then(VersionNode::of) {
            Some(node) if is_node => {
                let data = Ask::Texts([Reference::Object(node.data)].into());
                self.ask(base, data, State::NodeData(node, text.into()));
            }
            None if is_node => self.goal_failed(base, now, Trouble::NotANode),
            _ => self.store_text(base, what, text.into(), State::RootStored),
        }
    }

    fn node_checked(&mut self, base: &mut Base, now: Now, node: VersionNode, text: String) {
        let Some(Goal {
            what: what @ Reference::Object(hash),
            node: Some((_, is_last)),
            ..
        }) = self.goal
        else {
            return self.goal_failed(base, now, Trouble::NotANode);
        };
        // The first of equals stays.
        if (self.taken.as_ref()).is_none_or(|(_, taken)| taken.depth < node.depth) {
            self.taken = Some((hash, node));
        }
        if is_last && !base.faults.merge_apart {
            self.count(text.len());
            self.with = [(what, text)].into();
            return self.ask_head(base);
        }
        self.store_text(base, what, text, State::RootStored);
    }

    // --- answers of the store ------------------------------------------------------------------------------------

    pub(super) fn told(&mut self, base: &mut Base, now: Now, id: AskId, answer: Answer) {
        if self.ask.take_if(|ask| *ask == id).is_none() {
            return;
        }
        match (core::mem::take(&mut self.state), answer) {
            (State::HaveRoot, Answer::Presence(there)) => match (is_there(&there), &self.goal) {
                (false, Some(goal)) => {
                    let service = match goal.what {
                        Reference::Id(_) => 5,
                        _ => 4,
                    };
                    let args = getting(goal.what).1;
                    self.request(base, service, &args, State::Children);
                }
                _ => self.goal_done(base, now),
            },
            (State::HaveChild(what), Answer::Presence(there)) => match is_there(&there) {
                true => self.next_child(base),
                false => {
                    let (service, args) = getting(what);
                    let state = State::Child(what, Stream::default());
                    self.request(base, service, &args, state);
                }
            },
            (State::Storing(mut rest), Answer::Done) => match rest.pop_front() {
                Some(ask) => self.ask(base, ask, State::Storing(rest)),
                None => self.next_child(base),
            },
            (State::RootStored, Answer::Done) => self.goal_done(base, now),
            (State::NodeData(node, text), Answer::Texts(texts)) => {
                let data = texts.into_iter().next().flatten();
                match self.check_data(base, data.as_deref()) {
                    Ok(()) => self.node_checked(base, now, node, text),
                    Err(trouble) => self.goal_failed(base, now, trouble),
                }
            }
            (State::Head, Answer::Head(head)) => match head {
                None => self.join(base, now, None),
                Some(head) => {
                    let mut history = History::default();
                    history.wants([head]);
                    self.history(base, now, head, history);
                }
            },
            (State::History(head, mut history), Answer::Texts(texts)) => {
                match history.came(&base.recipes, &texts) {
                    true => self.history(base, now, head, history),
                    false => self.goal_failed(base, now, Trouble::NodeData),
                }
            }
            (State::Versions(head, node), Answer::Texts(texts)) => {
                self.join(base, now, Some((head, node, texts)));
            }
            (State::Merged, Answer::Conflict) => self.ask_head(base),
            (State::Merged, Answer::Done) => self.merged(base, now),
            _ => self.goal_failed(base, now, Trouble::Store),
        }
    }

    fn goal_done(&mut self, base: &mut Base, now: Now) {
        let is_last = (self.goal.as_ref()).is_some_and(|goal| matches!(goal.node, Some((_, true))));
        match is_last && self.taken.is_some() {
            true => self.ask_head(base),
            false => self.next_goal(base, now),
        }
    }

    /// The data of a version are of the thing and type that the list named.
    fn check_data(&self, base: &Base, text: Option<&str>) -> Result<(), Trouble> {
        let Some(goal) = &self.goal else {
            return Ok(());
        };
        let data = text.and_then(|text| base.recipes.read(text, &ReadLimits::default()).ok());
        let data = data.ok_or(Trouble::NodeData)?;
        if base.recipes.id_hash(&data).ok() != goal.node.map(|(id, _)| id) {
            return Err(Trouble::NodeId);
        }
        match data.type_name == goal.type_name {
            true => Ok(()),
            false => Err(Trouble::NodeType),
        }
    }

    // --- the merge -----------------------------------------------------------------------------------------------

    fn ask_head(&mut self, base: &mut Base) {
        if let Some((id, _)) = self.goal.as_ref().and_then(|goal| goal.node) {
            self.ask(base, Ask::Head(id), State::Head);
        }
    }

    fn history(&mut self, base: &mut Base, now: Now, head: ObjectHash, mut history: History) {
        if let Some(ask) = history.next() {
            return self.ask(base, ask, State::History(head, history));
        }
        let Some((_, taken)) = &self.taken else {
            return;
        };
        let edge = VersionNode::edge(taken.data, taken.created).write(&base.recipes);
        match (edge, history.nodes.remove(&head)) {
            (Ok((edge, _)), Some(node)) => {
                if edge == head || history.nodes.contains_key(&edge) {
                    let write = Write {
                        texts: self.with.clone(),
                        ..Write::default()
                    };
                    return match write.texts.is_empty() {
                        true => self.merged(base, now),
                        false => self.ask(base, Ask::Write(write), State::Merged),
                    };
                }
                let both = [node.data, taken.data].map(Reference::Object);
                let ask = Ask::Texts(both.into());
                self.ask(base, ask, State::Versions(head, node));
            }
            _ => self.goal_failed(base, now, Trouble::Merge),
        }
    }

    /// Makes the new head: an edge, or what joins it to the head that is there.
    fn join(
        &mut self,
        base: &mut Base,
        now: Now,
        with: Option<(ObjectHash, VersionNode, Vec<Option<String>>)>,
    ) {
        match self.joined(base, with) {
            Some(write) => self.ask(base, Ask::Write(write), State::Merged),
            None => self.goal_failed(base, now, Trouble::Merge),
        }
    }

    fn joined(
        &self,
        base: &Base,
        with: Option<(ObjectHash, VersionNode, Vec<Option<String>>)>,
    ) -> Option<Write> {
        let recipes = &base.recipes;
        let id = self.goal.as_ref()?.node?.0;
        let (_, taken) = self.taken.as_ref()?;
        let edge = VersionNode::edge(taken.data, taken.created);
        let (edge_hash, edge_text) = edge.write(recipes).ok()?;
        let mut texts = self.with.clone();
        texts.push((Reference::Object(edge_hash), edge_text));
        let Some((old, head, both)) = with else {
            let head = NewHead {
                id,
                old: None,
                new: edge_hash,
            };
            return Some(Write {
                texts,
                heads: [head].into(),
                ..Write::default()
            });
        };
        let mut objects = both.iter().map(|text| {
            let text = text.as_deref()?;
            recipes.read(text, &ReadLimits::default()).ok()
        });
        let [own, other] = [objects.next()??, objects.next()??];
        let side = |object, node: &VersionNode| Side {
            object,
            created: node.created,
        };
        let data = merge(recipes, side(&own, &head), side(&other, &edge))?;
        let data = recipes.write(&data).ok()?;
        let data_hash = ObjectHash::of(&data);
        texts.push((Reference::Object(data_hash), data));
        let node = VersionNode::merge([(old, &head), (edge_hash, &edge)], data_hash);
        let (new, text) = node.write(recipes).ok()?;
        texts.push((Reference::Object(new), text));
        let old = Some(old);
        Some(Write {
            texts,
            heads: [NewHead { id, old, new }].into(),
            ..Write::default()
        })
    }

    fn merged(&mut self, base: &mut Base, now: Now) {
        self.taken = None;
        self.with.clear();
        self.next_goal(base, now);
    }
}

/// Something is stored under the hash, whatever it is.
fn have(what: Reference) -> Ask {
    let hash = *what.bytes();
    Ask::Presence(
        [
            Reference::Object(ObjectHash(hash)),
            Reference::Id(IdHash(hash)),
            Reference::Blob(FileHash(hash)),
        ]
        .into(),
    )
}

fn is_there(presence: &[Presence]) -> bool {
    presence.iter().any(|there| *there != Presence::Absent)
}

/// The service that gives something, and its arguments.
fn getting(what: Reference) -> (u8, String) {
    match what {
        Reference::Object(hash) => (6, format!(r#""{hash}""#)),
        Reference::Id(id) => (7, format!(r#""{id}""#)),
        Reference::Blob(hash) => (8, format!(r#""{hash}","{UNDEFINED}""#)),
        Reference::Clob(hash) => (8, format!(r#""{hash}","utf8""#)),
    }
}

/// Checks a text that has come; files come otherwise.
fn read(
    base: &Base,
    what: Reference,
    text: &str,
    type_name: Option<&str>,
) -> Result<Option<Object>, Trouble> {
    if ObjectHash::of(text).0 != *what.bytes() {
        return Err(Trouble::WrongHash);
    }
    let object = base.recipes.read(text, &ReadLimits::default());
    let object = object.map_err(Trouble::Object)?;
    let id_only = type_of(text).is_some_and(|(_, id_only)| id_only);
    if id_only != matches!(what, Reference::Id(_)) {
        return Err(Trouble::IdForObject);
    }
    if matches!(object.type_name.as_str(), "Access" | "IdAccess" | "Group") {
        return Err(Trouble::ForbiddenType);
    }
    match type_name.is_none_or(|name| object.type_name == name) {
        true => Ok(Some(object)),
        false => Err(Trouble::WrongType),
    }
}

/// What a list of roots asks for, and its length. Version nodes come last, by what they are versions of.
fn plan(text: &str) -> Option<(u64, VecDeque<Goal>)> {
    let list: Value = serde_json::from_str(text).ok()?;
    let list = list.as_array()?;
    let (mut plan, mut nodes) = (VecDeque::new(), Vec::new());
    for (entry, root) in list.iter().enumerate() {
        let member = |name: &str| root.get(name).and_then(Value::as_str);
        let hash = |name: &str| ObjectHash::parse_strict(member(name)?);
        let goal = |what, type_name: &str| Goal {
            what,
            type_name: type_name.into(),
            entry,
            node: None,
        };
        let object = |name| hash(name).map(Reference::Object);
        let id = |name| hash(name).map(|hash| IdHash(hash.0));
        match member("type")? {
            "unversioned" => plan.push_back(goal(object("hash")?, member("oneType")?)),
            "versioned" => {
                let name = member("oneType")?;
                plan.push_back(goal(Reference::Id(id("idHash")?), name));
                plan.push_back(goal(object("hash")?, name));
            }
            "id" => plan.push_back(goal(Reference::Id(id("idHash")?), member("oneType")?)),
            "version_node" => {
                let mut goal = goal(object("node")?, member("dataType")?);
                goal.node = Some((id("dataIdHash")?, false));
                nodes.push(goal);
            }
            _ => return None,
        }
    }
    // The order within a group stays.
    nodes.sort_by_key(|goal| goal.node);
    let ids: Vec<_> = nodes.iter().map(|goal| goal.node).collect();
    for (i, mut goal) in nodes.into_iter().enumerate() {
        let is_last = ids.get(i + 1) != ids.get(i);
        goal.node = goal.node.map(|(id, _)| (id, is_last));
        plan.push_back(goal);
    }
    Some((list.len() as u64, plan))
}

fn children(text: &str) -> Option<Vec<Reference>> {
    let list: Value = serde_json::from_str(text).ok()?;
    let child = |child: &Value| {
        let hash = ObjectHash::parse_strict(child.get("hash")?.as_str()?)?.0;
        Some(match child.get("type")?.as_str()? {
            "object" => Reference::Object(ObjectHash(hash)),
            "id" => Reference::Id(IdHash(hash)),
            "clob" => Reference::Clob(FileHash(hash)),
            "blob" => Reference::Blob(FileHash(hash)),
            _ => return None,
        })
    };
    list.as_array()?.iter().map(child).collect()
}
