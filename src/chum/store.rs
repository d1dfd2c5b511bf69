//! What CHUM asks of the object store, as data: each [`Ask`] is answered by one [`Answer`].
//!
//! A store keeps four things: texts of objects and id objects by their hash, files by theirs, for each versioned thing
//! its head, and what was granted to whom; and, if it will, what the extension "roots since" remembers, without which
//! every list is a whole one. Two promises of a store are part of the protocol here:
//!
//! * An [`Ask::Write`] is one transaction, and a crash leaves a beginning of the writes, in their order: nothing that
//!   was answered before is missing while something after it is there.
//! * A file is there whole or not at all, and what was answered [`Answer::Done`] after [`Ask::Close`] is there.
//!
//! Children are written before what refers to them, so no crash leaves an object without its children.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::peer::Peer;
use super::version::VersionNode;
use crate::objects::{
    FileHash, IdHash, Object, ObjectHash, PersonId, ReadLimits, Recipes, Reference, WriteFault,
};
use crate::time::Millis;

/// Names an [`Ask`] in its answer. Never used twice by one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// A file that is being received, named by the [`Ask::Open`] that began it.
pub type FileNo = AskId;

/// What is asked of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ask {
    /// What this person was granted and is stored: [`Answer::Granted`], as one snapshot.
    Granted(PersonId),
    /// Which of these are stored: [`Answer::Presence`], in the same order.
    Presence(Vec<Reference>),
    /// The texts of these objects and id objects: [`Answer::Texts`], in the same order.
    Texts(Vec<Reference>),
    /// The head of a versioned thing: [`Answer::Head`].
    Head(IdHash),
    /// The newest versions of these things: [`Answer::Newest`], in the same order.
    Newest(Vec<IdHash>),
    /// What was listed for this person: [`Answer::Journal`]. It is asked after [`Ask::Granted`], and need not be of the
    /// same snapshot: a journal is right with any list.
    Journal(PersonId),
    /// What was settled with this peer: [`Answer::Cursor`].
    Cursor(Peer),
    /// Some bytes of what is stored under a hash, a file or else a text: [`Answer::Bytes`].
    Bytes {
        /// Whose.
        hash: FileHash,
        /// From where on.
        offset: u64,
        /// At most how many.
        length: usize,
    },
    /// One transaction: [`Answer::Done`], or [`Answer::Conflict`] if a head is another one by now; then nothing of it
    /// was written.
    Write(Write),
    /// A file begins. It is not there before it is closed: [`Answer::Done`].
    Open,
    /// More of a file: [`Answer::Done`].
    Append {
        /// Which.
        file: FileNo,
        /// Its next bytes.
        bytes: Vec<u8>,
    },
    /// A file is whole, and has this hash (it was checked): [`Answer::Done`] when it is there.
    Close {
        /// Which.
        file: FileNo,
        /// A BLOB or a CLOB.
        reference: Reference,
    },
    /// A file is not wanted after all: [`Answer::Done`].
    Discard(FileNo),
}

/// What is written at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Write {
    /// Objects and id objects, with their microdata.
    pub texts: Vec<(Reference, String)>,
    /// Version nodes that are merged from now on. Each is stored, or among `texts`.
    pub merged: Vec<ObjectHash>,
    /// New heads, each of another thing.
    pub heads: Vec<NewHead>,
    /// What was listed for this person, as a whole; the bytes mean nothing to the store.
    pub journal: Option<Box<(PersonId, Vec<u8>)>>,
    /// What was settled with this peer; the text means nothing to the store.
    pub cursor: Option<Box<(Peer, String)>>,
    /// The store's generation becomes the next one: all that was settled is looked at again. It is to be raised, too,
    /// whenever something is deleted that was received, or the store was repaired.
    pub raise: bool,
}

/// The head of a thing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NewHead {
    /// Of what.
    pub id: IdHash,
    /// The head that it has to be until now.
    pub old: Option<ObjectHash>,
    /// The new head, a version node.
    pub new: ObjectHash,
}

/// The newest version of a thing, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Newest {
    /// The hash of its version node.
    pub head: ObjectHash,
    /// The microdata of the node.
    pub node: String,
    /// The microdata of the version.
    pub data: String,
}

impl Newest {
    /// The newest version of a thing with this head. `read` gives the texts of the store; `None` if they are not what
    /// they have to be: the store is damaged.
    #[must_use]
    pub fn of(
        recipes: &Recipes,
        head: ObjectHash,
        read: impl Fn(ObjectHash) -> Option<String>,
    ) -> Option<Self> {
        let node = read(head)?;
        let object = recipes.read(&node, &ReadLimits::default()).ok()?;
        let data = read(VersionNode::of(&object)?.data)?;
        Some(Self { head, node, data })
    }

    /// The node and the version. `None` if they are none: the store is damaged.
    #[must_use]
    pub fn read(&self, recipes: &Recipes) -> Option<(VersionNode, Object)> {
        let object = |text: &str| recipes.read(text, &ReadLimits::default()).ok();
        Some((VersionNode::of(&object(&self.node)?)?, object(&self.data)?))
    }
}

impl Write {
    /// Adds an object, and its id object if it is a version of something. What it refers to has to come before it.
    ///
    /// # Errors
    /// If its recipe does not allow it.
    pub fn object(&mut self, recipes: &Recipes, object: &Object) -> Result<ObjectHash, WriteFault> {
        let text = recipes.write(object)?;
        let hash = ObjectHash::of(&text);
        if recipes.is_versioned(&object.type_name) {
            let id_text = recipes.write(&recipes.id_object(object)?)?;
            let id = Reference::Id(IdHash::of(&id_text));
            self.texts.push((id, id_text));
        }
        self.texts.push((Reference::Object(hash), text));
        Ok(hash)
    }

    /// Adds a version node that is merged from now on, with the edge that an importer makes of it: when that comes
    /// back it is nothing new. Gives the node's hash.
    ///
    /// # Errors
    /// If the recipes have no version nodes.
    pub fn node(
        &mut self,
        recipes: &Recipes,
        node: &VersionNode,
    ) -> Result<ObjectHash, WriteFault> {
        let (hash, text) = node.write(recipes)?;
        let (same, edge) = VersionNode::edge(node.data, node.created).write(recipes)?;
        self.merged.extend([hash, same]);
        // What is marked is stored: nobody fetches it any more.
        if same != hash {
            self.texts.push((Reference::Object(same), edge));
        }
        self.texts.push((Reference::Object(hash), text));
        Ok(hash)
    }

    /// Adds the next version of a thing, which has this head so far. Gives the hash of the version.
    ///
    /// # Errors
    /// If its recipe does not allow it.
    pub fn version(
        &mut self,
        recipes: &Recipes,
        object: &Object,
        head: Option<(ObjectHash, &VersionNode)>,
        now: Millis,
    ) -> Result<ObjectHash, WriteFault> {
        let id = recipes.id_hash(object)?;
        let data = self.object(recipes, object)?;
        let new = self.node(recipes, &VersionNode::next(head, data, now))?;
        let old = head.map(|(hash, _)| hash);
        self.heads.push(NewHead { id, old, new });
        Ok(data)
    }
}

/// How much of something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// Nothing.
    Absent,
    /// It is stored, with its children.
    Stored,
    /// It is a version node that is stored, and its data are in the head.
    Merged,
}

/// What a person was granted, as far as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Grant {
    /// One object.
    Object {
        /// Its hash.
        hash: ObjectHash,
        /// Its type.
        type_name: String,
        /// Its id hash, if the type is versioned.
        id: Option<IdHash>,
    },
    /// A versioned thing with all its versions.
    Id {
        /// Its id hash.
        id: IdHash,
        /// Its type.
        type_name: String,
        /// The newest version node, if there is a version.
        head: Option<ObjectHash>,
    },
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Answer {
    /// To [`Ask::Granted`].
    Granted(Vec<Grant>),
    /// To [`Ask::Presence`].
    Presence(Vec<Presence>),
    /// To [`Ask::Texts`].
    Texts(Vec<Option<String>>),
    /// To [`Ask::Head`].
    Head(Option<ObjectHash>),
    /// To [`Ask::Newest`]; `None` for a thing without a version. A store that is damaged answers [`Answer::Failed`].
    Newest(Vec<Option<Newest>>),
    /// To [`Ask::Journal`]; `None` if nothing is kept.
    Journal(Option<Vec<u8>>),
    /// To [`Ask::Cursor`].
    Cursor {
        /// How often the store was raised.
        generation: u64,
        /// What was written; `None` if nothing is kept.
        kept: Option<String>,
    },
    /// To [`Ask::Bytes`]; `None` if nothing is stored under the hash.
    Bytes(Option<Piece>),
    /// It is done, and stays so.
    Done,
    /// The head is another one by now.
    Conflict,
    /// The store could not do it. Nothing of it happened.
    Failed,
}

/// Some bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// They.
    pub bytes: Vec<u8>,
    /// Whether the file ends with them.
    pub last: bool,
}
