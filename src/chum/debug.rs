//! Group `debug`: a contact looks at what it may see (spec 05, "Group `debug`"). Off unless the node serves it.
//!
//! ```text
//! initiator: start_protocol getAccessibleObjects ──>     <── accessible_objects, and the acceptor closes
//! initiator: start_protocol getData, request_data ──>    <── data, and the acceptor closes
//! ```

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::entry::{ListFault, Root, read_roots, write_roots};
use super::store::{Answer, Ask, AskId, Grant};
use super::walk::Walk;
use crate::hex;
use crate::limits;
use crate::objects::{FileHash, IdHash, ObjectHash, PersonId, RefKind, Reference};

/// The version of both protocols of the group.
const VERSION: &str = "1.0";

/// What one connection of the group wants done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum DebugOutput {
    Send(String),
    Ask(AskId, Ask),
    /// What the other side lets this one see.
    Accessible(Vec<Root>),
    /// It is over: close the connection.
    Close,
}

/// One connection of the group.
#[derive(Clone, Debug)]
pub(super) struct Debug {
    person: PersonId,
    state: State,
    out: VecDeque<DebugOutput>,
    next: u64,
}

#[derive(Clone, Debug)]
enum State {
    /// The initiator waits for the list.
    Looking,
    /// The acceptor waits for what is wanted.
    Serving,
    /// It waits for a hash.
    Data,
    /// The grants are being looked up, to be listed.
    Listing,
    /// Likewise, to see whether this is among them, or reached from one.
    Seeking {
        what: Reference,
    },
    Walking {
        what: Reference,
        walk: Walk,
        left: Vec<Reference>,
    },
    /// What is wanted is being read.
    Reading(Reference),
    Over,
}

impl Debug {
    /// Asks what the other side lets this one see.
    pub(super) fn look(person: PersonId) -> Self {
        let mut debug = Self::serve(person);
        debug.state = State::Looking;
        let mut start = Map::new();
        start.insert("type".into(), "start_protocol".into());
        start.insert("protocol".into(), "getAccessibleObjects".into());
        start.insert("version".into(), VERSION.into());
        debug.send(start);
        debug
    }

    /// Shows a person what it may see.
    pub(super) const fn serve(person: PersonId) -> Self {
        Self {
            person,
            state: State::Serving,
            out: VecDeque::new(),
            next: 0,
        }
    }

    pub(super) fn poll(&mut self) -> Option<DebugOutput> {
        self.out.pop_front()
    }

    fn send(&mut self, members: Map<String, Value>) {
        let text = Value::Object(members).to_string();
        self.out.push_back(DebugOutput::Send(text));
    }

    fn ask(&mut self, ask: Ask) {
        let id = AskId(self.next);
        self.next += 1;
        self.out.push_back(DebugOutput::Ask(id, ask));
    }

    fn over(&mut self) {
        self.state = State::Over;
        self.out.push_back(DebugOutput::Close);
    }

    /// A text of the connection. What makes no sense ends it.
    pub(super) fn message(&mut self, text: &str) {
        let message = match serde_json::from_str(text) {
            Ok(Value::Object(members)) => members,
            _ => return self.over(),
        };
        let word = |name: &str| {
            message
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match (&self.state, word("type"), word("protocol")) {
            (State::Looking, "accessible_objects", _) => {
                let list = message.get("objects").map(Value::to_string);
                let roots = read_roots(&list.unwrap_or_default(), limits::CHUM_ROOTS);
                let known = roots.unwrap_or_default().into_iter().filter_map(Result::ok);
                self.out.push_back(DebugOutput::Accessible(known.collect()));
                self.over();
            }
            (State::Serving, "start_protocol", "getAccessibleObjects") => {
                self.state = State::Listing;
                self.ask(Ask::Granted(self.person));
            }
            (State::Serving, "start_protocol", "getData") => self.state = State::Data,
            (State::Data, "request_data", _) => match wanted(word("hashType"), word("hash")) {
                Ok(what) => {
                    self.state = State::Seeking { what };
                    self.ask(Ask::Granted(self.person));
                }
                Err(_) => self.over(),
            },
            _ => self.over(),
        }
    }

    /// The store's answer.
    pub(super) fn answered(&mut self, answer: Answer) {
        let state = core::mem::replace(&mut self.state, State::Over);
        match (state, answer) {
            (State::Listing, Answer::Granted(grants)) => {
                let roots: Vec<Root> = grants.into_iter().map(root).collect();
                let mut members = Map::new();
                members.insert("type".into(), "accessible_objects".into());
                let list = serde_json::from_str(&write_roots(&roots)).unwrap_or_default();
                members.insert("objects".into(), list);
                self.send(members);
                self.over();
            }
            (State::Seeking { what }, Answer::Granted(grants)) => {
                let left = grants.into_iter().map(|grant| root(grant).reference());
                self.seek(what, left.collect());
            }
            (
                State::Walking {
                    what,
                    mut walk,
                    left,
                },
                Answer::Texts(texts),
            ) => match walk.came(&texts) {
                Ok(()) if walk.children().contains(&what) => self.read(what),
                Ok(()) => match walk.wants() {
                    Some(wanted) => {
                        self.ask(Ask::Texts(wanted));
                        self.state = State::Walking { what, walk, left };
                    }
                    None => self.seek(what, left),
                },
                Err(_) => self.seek(what, left),
            },
            (State::Reading(what), Answer::Bytes(Some(piece))) => {
                let data = match core::str::from_utf8(&piece.bytes) {
                    Ok(text) if !matches!(what, Reference::Blob(_)) => text.to_string(),
                    _ => hex::encode(&piece.bytes),
                };
                let mut members = Map::new();
                members.insert("type".into(), "data".into());
                members.insert("data".into(), data.into());
                self.send(members);
                self.over();
            }
            _ => self.over(),
        }
    }

    /// Looks for it among the grants, then in what each of them reaches.
    fn seek(&mut self, what: Reference, mut left: Vec<Reference>) {
        if left.contains(&what) {
            return self.read(what);
        }
        let Some(root) = left.pop() else {
            return self.over();
        };
        let mut walk = Walk::new(root, limits::CHUM_CHILDREN);
        if let Some(wanted) = walk.wants() {
            self.ask(Ask::Texts(wanted));
        }
        self.state = State::Walking { what, walk, left };
    }

    fn read(&mut self, what: Reference) {
        self.ask(Ask::Bytes {
            hash: FileHash(*what.bytes()),
            offset: 0,
            length: limits::OBJECT_BYTES,
        });
        self.state = State::Reading(what);
    }
}

fn wanted(kind: &str, hash: &str) -> Result<Reference, ListFault> {
    let hash = ObjectHash::parse_strict(hash).ok_or(ListFault::NotAHash)?.0;
    match kind {
        "object" => Ok(RefKind::Object.to(hash)),
        "id" => Ok(RefKind::Id.to(hash)),
        "blob" => Ok(RefKind::Blob.to(hash)),
        "clob" => Ok(RefKind::Clob.to(hash)),
        _ => Err(ListFault::UnknownType),
    }
}

/// A grant as an entry of a list.
pub(super) fn root(grant: Grant) -> Root {
    match grant {
        Grant::Object {
            hash,
            type_name,
            id: None,
        } => Root::Unversioned { hash, type_name },
        Grant::Object {
            hash,
            type_name,
            id: Some(id),
        } => Root::Versioned {
            hash,
            id,
            type_name,
        },
        Grant::Id { id, type_name, .. } => Root::Id {
            id: IdHash(id.0),
            type_name,
        },
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::chum::MemoryStore;
    use crate::objects::{Kind, Object, Person, Recipe, Recipes, Rule};

    fn recipes() -> Recipes {
        let mut recipes = Recipes::known();
        let rules = [
            Rule::new("text", Kind::TEXT),
            Rule::new("picture", Kind::BLOB).optional(),
            Rule::new("uses", Kind::object(&[]).bag()).optional(),
        ];
        recipes.register(Recipe::new("Note", rules)).expect("good");
        recipes
    }

    fn alice() -> PersonId {
        let email = "alice@example.com".into();
        Person { email }.id()
    }

    /// What alice is given when she asks for this.
    fn data(store: &mut MemoryStore, kind: &str, hash: &[u8; 32]) -> Option<String> {
        let (mut debug, mut given) = (Debug::serve(alice()), None);
        debug.message(r#"{"type":"start_protocol","protocol":"getData","version":"1.0"}"#);
        let hash = hex::encode(hash);
        debug.message(&format!(
            r#"{{"type":"request_data","hashType":"{kind}","hash":"{hash}"}}"#
        ));
        loop {
            match debug.poll().expect("it comes to an end") {
                DebugOutput::Ask(id, ask) => {
                    let answer = store.answer(&recipes(), 0, id, ask);
                    debug.answered(answer);
                }
                DebugOutput::Send(text) => {
                    let json: Value = serde_json::from_str(&text).expect("JSON");
                    given = json["data"].as_str().map(Into::into);
                }
                DebugOutput::Close => return given,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn only_what_is_granted_and_what_it_uses_is_given() {
        let (mut store, recipes) = (MemoryStore::new(), recipes());
        let picture = store.put_file(b"\x89PNG");
        let leaf = Object::new("Note").with("text", "leaf");
        let leaf = leaf.with("picture", Reference::Blob(picture));
        let leaf = store.put(&recipes, &leaf).expect("a note");
        let uses = crate::objects::Value::list([leaf]);
        let root = Object::new("Note").with("text", "root").with("uses", uses);
        let root = store.put(&recipes, &root).expect("a note");
        let other = Object::new("Note").with("text", "other");
        let other = store.put(&recipes, &other).expect("a note");
        assert_eq!(
            data(&mut store, "object", &root.0),
            None,
            "nothing is granted"
        );
        store.share(Reference::Object(root), alice());
        for hash in [root, leaf] {
            let text = store.text(&Reference::Object(hash)).map(Into::into);
            assert_eq!(data(&mut store, "object", &hash.0), text);
            assert_eq!(data(&mut store, "id", &hash.0), None);
        }
        let digits = data(&mut store, "blob", &picture.0);
        assert_eq!(digits.as_deref(), Some("89504e47"));
        assert_eq!(data(&mut store, "object", &other.0), None);
        assert_eq!(data(&mut store, "planet", &root.0), None);
        assert_eq!(data(&mut store, "clob", &[7; 32]), None);
    }

    #[test]
    fn what_makes_no_sense_ends_it() {
        for text in ["", "[]", "{}", r#"{"type":"request_data"}"#] {
            let mut debug = Debug::serve(alice());
            debug.message(text);
            assert_eq!(debug.poll(), Some(DebugOutput::Close), "{text}");
        }
    }
}
