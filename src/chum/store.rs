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
use crate::objects::{FileHash, IdHash, ObjectHash, PersonId, Reference};

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
    /// A new head.
    pub head: Option<NewHead>,
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
