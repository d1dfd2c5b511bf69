//! What a CHUM tells.

use alloc::string::String;

use super::entry::ListFault;
use super::log::ChumLog;
use super::trouble::{ChumFault, Trouble};
use crate::objects::{IdHash, ObjectHash, Reference};

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChumEvent {
    /// Something came and is stored.
    Stored {
        /// What.
        reference: Reference,
        /// Its bytes.
        bytes: u64,
    },
    /// A root is stored, with everything that it refers to.
    RootStored {
        /// Its hash.
        root: Reference,
        /// Its type.
        type_name: String,
    },
    /// One version of a thing is stored. It makes no head.
    VersionReceived {
        /// The thing.
        id: IdHash,
        /// The version.
        hash: ObjectHash,
    },
    /// A thing has a new version.
    NewVersion {
        /// The thing.
        id: IdHash,
        /// Its type.
        type_name: String,
        /// The data of the version.
        data: ObjectHash,
        /// What of the peer it is made of: its own version, which is the same unless there was another one here.
        came: ObjectHash,
    },
    /// A version was made later than now, by the clock here.
    FromTheFuture {
        /// The thing.
        id: IdHash,
        /// By how much, in milliseconds.
        ahead: u64,
    },
    /// A root could not be taken. It is tried again, at longer and longer intervals.
    RootFailed {
        /// Its hash.
        root: Reference,
        /// Its type.
        type_name: String,
        /// Why.
        trouble: Trouble,
    },
    /// An entry in the list of roots is none. Told of the first ones of a round; [`Round::failed`] counts all.
    EntryFailed(ListFault),
    /// A root is not taken, and not tried again. Told once.
    RootRefused {
        /// Its hash.
        root: Reference,
        /// Its type.
        type_name: String,
        /// There is no recipe for it; else the policy refuses it.
        unknown_type: bool,
    },
    /// All that the peer offers was looked at.
    RoundEnded(Round),
    /// The peer's importer wants nothing more for now: all that it asked for was given.
    PeerQuiet {
        /// Objects and files that it was given since this was told last.
        sent: u64,
    },
    /// The peer's importer has said that it is done.
    PeerDone,
    /// The peer gives nothing any more.
    RemoteExporterEnded,
    /// It is over, in due form or by a fault. The last event.
    Ended {
        /// Why, if it is one.
        fault: Option<ChumFault>,
        /// What was done.
        log: alloc::boxed::Box<ChumLog>,
    },
}

/// What came of one look at the peer's roots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Round {
    /// Whether it was the first one on this connection.
    pub first: bool,
    /// Whether the list was a whole one; else it had what is new since the last one that was settled, and what is
    /// pending was looked at besides.
    pub full: bool,
    /// Roots that were looked at.
    pub roots: u64,
    /// Objects and files that were stored.
    pub stored: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Roots that failed.
    pub failed: u64,
    /// Roots that are refused.
    pub refused: u64,
    /// Roots that failed before and are tried later.
    pub waiting: u64,
}
