//! What a node is given at the start.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::contact::Contact;
use crate::establish::Group;
use crate::identity::Identity;
use crate::limits;
use crate::pairing::InvitationRecord;
use crate::time::Micros;

/// The configuration of a [`Node`](super::Node).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NodeConfig {
    /// Who this instance is.
    pub identity: Arc<Identity>,
    /// The contacts that were stored.
    pub contacts: Vec<Contact>,
    /// The open invitations that were stored.
    pub invitations: Vec<InvitationRecord>,
    /// Where this instance can be dialled; told to peers in a pairing.
    pub url: Option<String>,
    /// Spare connections that are kept at a relay.
    pub spares: usize,
    /// The groups, besides pairing, whose messages the embedder handles itself.
    pub serve: BTreeSet<Group>,
    /// The time limit of each step.
    pub step: Micros,
    /// The longest message of an established connection, in bytes.
    pub max_message: usize,
    /// How many frames ahead of the next one a frame may come: 0 for the strict order
    /// of deployed peers, up to [`limits::REORDER_WINDOW`] (spec 04).
    pub reorder_window: usize,
    /// Sessions of strangers that are not established yet, at a time.
    pub half_open: usize,
    /// Connections in all.
    pub max_connections: usize,
    /// Whether a known person may pair with an instance that is not on record.
    pub new_instances: bool,
    /// Whether our extensions are announced to peers (spec 00).
    pub extensions: bool,
    /// Whether passing messages are told as [`Event::Note`](super::Event::Note).
    pub notes: bool,
}

impl NodeConfig {
    /// The defaults, for an identity.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity: identity.into(),
            contacts: Vec::new(),
            invitations: Vec::new(),
            url: None,
            spares: limits::SPARES,
            serve: BTreeSet::new(),
            step: limits::STEP,
            max_message: limits::ASSEMBLED,
            reorder_window: 0,
            half_open: limits::HALF_OPEN,
            max_connections: limits::NODE_CONNECTIONS,
            new_instances: false,
            extensions: true,
            notes: false,
        }
    }
}
