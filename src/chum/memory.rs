//! A store in memory: for tests, simulations, and embedders that keep nothing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::peer::Peer;
use super::store::{Answer, Ask, AskId, Grant, NewHead, Newest, Piece, Presence, Write};
use super::version::VersionNode;
use crate::book::{Plan, Someone};
use crate::objects::{
    FileHash, IdHash, Object, ObjectHash, PersonId, ReadLimits, Recipes, Reference, SomeoneId,
    WriteFault, type_of,
};
use crate::time::Millis;

/// Objects, files, heads and grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryStore {
    texts: BTreeMap<[u8; 32], String>,
    files: BTreeMap<[u8; 32], Vec<u8>>,
    merged: BTreeSet<ObjectHash>,
    heads: BTreeMap<IdHash, ObjectHash>,
    grants: BTreeMap<PersonId, BTreeSet<Reference>>,
    journals: BTreeMap<PersonId, Vec<u8>>,
    cursors: BTreeMap<Peer, String>,
    generation: u64,
    someones: BTreeMap<SomeoneId, Someone>,
    /// Files that are being received, by connection.
    open: BTreeMap<(u64, AskId), Vec<u8>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a question of the CHUM on a connection, whose name is `of`.
    pub fn answer(&mut self, recipes: &Recipes, of: u64, id: AskId, ask: Ask) -> Answer {
        match ask {
            Ask::Granted(person) => Answer::Granted(self.granted_to(recipes, person)),
            Ask::Presence(what) => {
                Answer::Presence(what.iter().map(|what| self.presence(what)).collect())
            }
            Ask::Texts(what) => Answer::Texts(
                what.iter()
                    .map(|what| self.texts.get(what.bytes()).cloned())
                    .collect(),
            ),
            Ask::Head(id) => Answer::Head(self.heads.get(&id).copied()),
            Ask::Newest(ids) => self
                .newests(recipes, &ids)
                .map_or(Answer::Failed, Answer::Newest),
            Ask::Journal(person) => Answer::Journal(self.journals.get(&person).cloned()),
            Ask::Cursor(peer) => Answer::Cursor {
                generation: self.generation,
                kept: self.cursors.get(&peer).cloned(),
            },
            Ask::Bytes {
                hash,
                offset,
                length,
            } => Answer::Bytes(self.piece(&hash, offset, length)),
            Ask::Write(write) => self.write(write),
            Ask::Open => {
                self.open.insert((of, id), Vec::new());
                Answer::Done
            }
            Ask::Append { file, bytes } => match self.open.get_mut(&(of, file)) {
                Some(open) => {
                    open.extend_from_slice(&bytes);
                    Answer::Done
                }
                None => Answer::Failed,
            },
            Ask::Close { file, reference } => match self.open.remove(&(of, file)) {
                Some(bytes) => {
                    self.files.insert(*reference.bytes(), bytes);
                    Answer::Done
                }
                None => Answer::Failed,
            },
            Ask::Discard(file) => {
                self.open.remove(&(of, file));
                Answer::Done
            }
        }
    }

    /// A connection has ended: its unfinished files are dropped.
    pub fn forget(&mut self, of: u64) {
        self.open.retain(|(owner, _), _| *owner != of);
    }

    /// Stores a change of the address book, but for a record of the node, as one.
    pub fn change(&mut self, plan: &Plan, write: Write) -> Answer {
        let answer = self.write(write);
        if answer == Answer::Done {
            for id in &plan.gone {
                self.someones.remove(id);
            }
            let put = plan
                .put
                .iter()
                .map(|someone| (someone.id(), someone.clone()));
            self.someones.extend(put);
            for person in &plan.withdrawn {
                self.grants.remove(person);
            }
        }
        answer
    }

    /// The contacts that are kept, as a [`Synchroniser`](super::Synchroniser) wants them at its start.
    #[must_use]
    pub fn someones(&self) -> Vec<Someone> {
        self.someones.values().cloned().collect()
    }

    fn piece(&self, hash: &FileHash, offset: u64, length: usize) -> Option<Piece> {
        let bytes = match self.files.get(&hash.0) {
            Some(bytes) => bytes.as_slice(),
            None => self.texts.get(&hash.0)?.as_bytes(),
        };
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let to = from.saturating_add(length).min(bytes.len());
        Some(Piece {
            bytes: bytes.get(from..to)?.to_vec(),
            last: to == bytes.len(),
        })
    }

    /// Writes as one: [`Answer::Done`], or [`Answer::Conflict`] if a head is another one; then nothing is written.
    pub fn write(&mut self, write: Write) -> Answer {
        let is_head = |head: &NewHead| self.heads.get(&head.id).copied() == head.old;
        if !write.heads.iter().all(is_head) {
            return Answer::Conflict;
        }
        let heads = write.heads.iter().map(|head| (head.id, head.new));
        self.heads.extend(heads);
        for (reference, text) in write.texts {
            self.texts.entry(*reference.bytes()).or_insert(text);
        }
        self.merged.extend(write.merged);
        self.journals.extend(write.journal.map(|journal| *journal));
        self.cursors.extend(write.cursor.map(|cursor| *cursor));
        self.generation += u64::from(write.raise);
        Answer::Done
    }

    /// What a person was granted, as far as it is stored: what a person sees follows from this alone.
    #[must_use]
    pub fn granted_to(&self, recipes: &Recipes, person: PersonId) -> Vec<Grant> {
        let grants = self.grants.get(&person).into_iter().flatten();
        grants
            .filter_map(|what| {
                let text = self.texts.get(what.bytes())?;
                let (name, _) = type_of(text)?;
                match *what {
                    Reference::Object(hash) => {
                        let id = match recipes.is_versioned(name) {
                            true => {
                                let object = recipes.read(text, &ReadLimits::default()).ok()?;
                                Some(recipes.id_hash(&object).ok()?)
                            }
                            false => None,
                        };
                        Some(Grant::Object {
                            hash,
                            type_name: name.into(),
                            id,
                        })
                    }
                    Reference::Id(id) => Some(Grant::Id {
                        id,
                        type_name: name.into(),
                        head: self.heads.get(&id).copied(),
                    }),
                    Reference::Blob(_) | Reference::Clob(_) => None,
                }
            })
            .collect()
    }

    // --- for those who own it ------------------------------------------------------------------------------------

    /// How much of something is there.
    #[must_use]
    pub fn presence(&self, what: &Reference) -> Presence {
        let id_only = |text: &String| type_of(text).is_some_and(|(_, id_only)| id_only);
        let is_there = match what {
            Reference::Object(ObjectHash(hash)) => {
                self.texts.get(hash).is_some_and(|text| !id_only(text))
            }
            Reference::Id(IdHash(hash)) => self.texts.get(hash).is_some_and(id_only),
            Reference::Blob(hash) | Reference::Clob(hash) => self.files.contains_key(&hash.0),
        };
        match what {
            _ if !is_there => Presence::Absent,
            Reference::Object(hash) if self.merged.contains(hash) => Presence::Merged,
            _ => Presence::Stored,
        }
    }

    /// The text of an object or id object.
    #[must_use]
    pub fn text(&self, what: &Reference) -> Option<&str> {
        self.texts.get(what.bytes()).map(String::as_str)
    }

    /// The bytes of a file.
    #[must_use]
    pub fn file(&self, hash: &FileHash) -> Option<&[u8]> {
        self.files.get(&hash.0).map(Vec::as_slice)
    }

    /// The hashes of all objects and id objects.
    pub fn objects(&self) -> impl Iterator<Item = (&[u8; 32], &str)> {
        self.texts.iter().map(|(hash, text)| (hash, text.as_str()))
    }

    /// The hashes of all files.
    pub fn files(&self) -> impl Iterator<Item = FileHash> {
        self.files.keys().map(|hash| FileHash(*hash))
    }

    /// The head of a thing.
    #[must_use]
    pub fn head(&self, id: &IdHash) -> Option<ObjectHash> {
        self.heads.get(id).copied()
    }

    /// The newest version of a thing: its node and its data.
    #[must_use]
    pub fn newest(&self, recipes: &Recipes, id: &IdHash) -> Option<(VersionNode, Object)> {
        self.newest_of(recipes, self.head(id)?)?.read(recipes)
    }

    fn newest_of(&self, recipes: &Recipes, head: ObjectHash) -> Option<Newest> {
        Newest::of(recipes, head, |hash| self.texts.get(&hash.0).cloned())
    }

    fn newests(&self, recipes: &Recipes, ids: &[IdHash]) -> Option<Vec<Option<Newest>>> {
        ids.iter()
            .map(|id| match self.head(id) {
                Some(head) => self.newest_of(recipes, head).map(Some),
                None => Some(None),
            })
            .collect()
    }

    /// Stores a file.
    pub fn put_file(&mut self, bytes: &[u8]) -> FileHash {
        let hash = FileHash::of(bytes);
        self.files.insert(hash.0, bytes.to_vec());
        hash
    }

    /// Stores an object; of a versioned type, its id object as well. What it refers to has to be stored before.
    ///
    /// # Errors
    /// If its recipe does not allow it.
    pub fn put(&mut self, recipes: &Recipes, object: &Object) -> Result<ObjectHash, WriteFault> {
        let mut write = Write::default();
        let hash = write.object(recipes, object)?;
        self.write(write);
        Ok(hash)
    }

    /// Stores an id object.
    ///
    /// # Errors
    /// If its recipe does not allow it.
    pub fn put_id(&mut self, recipes: &Recipes, object: &Object) -> Result<IdHash, WriteFault> {
        let text = recipes.write(object)?;
        let id = IdHash::of(&text);
        self.texts.insert(id.0, text);
        Ok(id)
    }

    /// Stores a new version of a thing, and makes it the head.
    ///
    /// # Errors
    /// If its recipe does not allow it.
    pub fn put_version(
        &mut self,
        recipes: &Recipes,
        object: &Object,
        now: Millis,
    ) -> Result<IdHash, WriteFault> {
        let id = recipes.id_hash(object)?;
        let before = self.newest(recipes, &id).map(|(node, _)| node);
        let mut write = Write::default();
        write.version(recipes, object, self.head(&id).zip(before.as_ref()), now)?;
        self.write(write);
        Ok(id)
    }

    /// Deletes an object, or a file. What was settled is looked at again: it comes again if it is still granted.
    pub fn delete(&mut self, what: &Reference) {
        self.texts.remove(what.bytes());
        self.files.remove(what.bytes());
        self.merged.remove(&ObjectHash(*what.bytes()));
        self.generation += 1;
    }

    /// Grants something to a person: an object with its children, or a thing with all its versions.
    pub fn share(&mut self, what: Reference, person: PersonId) {
        self.grants.entry(person).or_default().insert(what);
    }

    /// Takes a grant back.
    pub fn unshare(&mut self, what: &Reference, person: PersonId) {
        if let Some(grants) = self.grants.get_mut(&person) {
            grants.remove(what);
        }
    }
}
