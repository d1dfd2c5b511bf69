//! Between whom a CHUM is.

use crate::objects::PersonId;

/// Who is at both ends of a connection: what an importer has settled is kept for each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The person of this side.
    pub own: PersonId,
    /// The person of the other side, as proven.
    pub person: PersonId,
    /// The instance of the other side: the key that it presented. Two instances of a person have two lists settled.
    pub instance: [u8; 32],
}
