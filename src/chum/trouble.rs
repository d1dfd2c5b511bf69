//! Why a root could not be taken, or a whole CHUM failed (spec 11, "Checks on a fetched object").

use alloc::string::String;

use super::entry::ListFault;
use super::services::Service;
use crate::objects::ReadFault;
use crate::rpc::Failed;

/// Why one root could not be taken. The rest goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// A request failed.
    #[error("{service}: {failed}")]
    Request {
        /// Which.
        service: Service,
        /// Why.
        failed: Failed,
    },
    /// The answer to a request is of another kind than it has to be.
    #[error("{0}: the answer is not a text")]
    NotText(Service),
    /// What came has another hash than what was asked for.
    #[error("what came has another hash")]
    WrongHash,
    /// What came is no object that is known here.
    #[error("{0}")]
    Object(ReadFault),
    /// An id object came for an object, or the reverse.
    #[error("an id object came for an object, or the reverse")]
    IdForObject,
    /// A type that no peer may write.
    #[error("objects of this type are not taken from peers")]
    ForbiddenType,
    /// The object is of another type than the list said.
    #[error("the object is not of the type that the list names")]
    WrongType,
    /// It refers to something that was neither listed nor stored before it.
    #[error("it refers to something that was neither listed before it nor is stored")]
    Unlisted,
    /// It refers to something as of another kind than the list said.
    #[error("it refers to something as of another kind than the list names")]
    WrongKind,
    /// The list of its children is none.
    #[error("the list of its children: {0}")]
    Children(ListFault),
    /// The entry in the list of roots is none.
    #[error("the entry: {0}")]
    Entry(ListFault),
    /// It was to be a version node.
    #[error("it is not a version node, or its numbers are out of range")]
    NotANode,
    /// The data of a version node are a version of something else.
    #[error("the version node's data belong to another thing")]
    NodeId,
    /// The data of a version node are of another type.
    #[error("the version node's data are of another type")]
    NodeType,
    /// The data of a version node cannot be read.
    #[error("the version node's data cannot be read")]
    NodeData,
    /// The policy does not take it.
    #[error("the policy refuses it")]
    Refused,
    /// The policy does not take it now.
    #[error("the policy takes it later")]
    Later,
    /// A BLOB or CLOB is longer than it may be.
    #[error("a file is longer than the limit")]
    FileTooLong,
    /// The peer sends empty chunks in place of a BLOB (spec 10, "A fault of the deployed sender").
    #[error("the peer sends BLOBs as empty chunks")]
    EmptyChunks,
    /// More bytes came in one round than may.
    #[error("more bytes than the limit of a round")]
    RoundTooLong,
    /// The store failed.
    #[error("it could not be stored")]
    Store,
    /// The two versions cannot be merged.
    #[error("the versions cannot be merged")]
    Merge,
}

impl Trouble {
    /// Its name for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Request { failed, .. } => failed.code(),
            Self::NotText(_) => "answer_not_text",
            Self::WrongHash => "wrong_hash",
            Self::Object(fault) => fault.code(),
            Self::IdForObject => "id_for_object",
            Self::ForbiddenType => "forbidden_type",
            Self::WrongType => "wrong_type",
            Self::Unlisted => "missing_child",
            Self::WrongKind => "wrong_kind",
            Self::Children(fault) | Self::Entry(fault) => fault.code(),
            Self::NotANode => "not_a_version_node",
            Self::NodeId => "version_of_another_thing",
            Self::NodeType => "version_of_another_type",
            Self::NodeData => "version_data_unreadable",
            Self::Refused => "refused_by_policy",
            Self::Later => "deferred_by_policy",
            Self::FileTooLong => "file_too_long",
            Self::EmptyChunks => "empty_chunks",
            Self::RoundTooLong => "round_too_long",
            Self::Store => "not_stored",
            Self::Merge => "not_mergeable",
        }
    }
}

/// Why a whole CHUM failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChumFault {
    /// The peer did not say `synchronisation` first.
    #[error("`synchronisation` was due as the first message, another message came")]
    NotSynchronised,
    /// The peer did not say `synchronisation` in time.
    #[error("the peer did not say `synchronisation` in time")]
    SilentStart,
    /// The peer did not tell its version in time, or serves nothing.
    #[error("the peer did not tell its version: {0}")]
    NoVersion(String),
    /// The peer speaks another version.
    #[error("the peer speaks another version of CHUM than 8")]
    Version,
    /// The peer's list of roots is none, or could not be had.
    #[error("the peer's list of roots: {0}")]
    Roots(Trouble),
    /// The peer has ended its exporter.
    #[error("the peer gives nothing any more")]
    RemoteExporterEnded,
    /// The peer makes requests faster than it takes answers.
    #[error("the peer makes requests faster than it takes answers")]
    Flooded,
    /// The store failed where the whole depends on it.
    #[error("the store failed")]
    Store,
}

impl ChumFault {
    /// Its name for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSynchronised => "not_synchronised",
            Self::SilentStart => "silent_start",
            Self::NoVersion(_) => "no_version",
            Self::Version => "version_mismatch",
            Self::Roots(trouble) => trouble.code(),
            Self::RemoteExporterEnded => "remote_exporter_ended",
            Self::Flooded => "flooded",
            Self::Store => "not_stored",
        }
    }
}
