//! What a node tells and what it stores.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::channel::Diagnosis;
use crate::contact::Contact;
use crate::establish::Group;
use crate::fault::Fault;
use crate::io::{ConnId, Kind};
use crate::note::Note;
use crate::objects::PersonId;
use crate::pairing::{InvitationId, InvitationRecord};
use crate::role::Role;
use crate::time::Millis;

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// A spare connection at a relay, or one that a relay handed over.
    Listen,
    /// It came in directly.
    Incoming,
    /// It uses an invitation.
    Join,
    /// It goes to a contact, for a group.
    Route(PersonId, Group),
}

/// What a node tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// It can be reached through a relay: at least one spare connection is registered.
    Online {
        /// The relay.
        url: String,
    },
    /// It can no longer be reached through the relay, or never could; it keeps trying.
    Offline {
        /// The relay.
        url: String,
        /// Why.
        fault: Fault,
    },
    /// A pairing has succeeded; the contact is stored.
    Paired {
        /// The connection.
        conn: ConnId,
        /// This side's role: the acceptor made the invitation.
        role: Role,
        /// With whom.
        contact: Contact,
        /// By which invitation, on the side that made it.
        invitation: Option<InvitationId>,
    },
    /// An invitation expired unused.
    Expired(InvitationId),
    /// A connection to a contact is established: messages can be sent.
    Connected {
        /// The connection.
        conn: ConnId,
        /// This side's role.
        role: Role,
        /// With whom.
        person: PersonId,
        /// What for.
        group: Group,
        /// Whether the other side is one of ours: both have announced our extensions.
        extensions: bool,
    },
    /// A message of an established connection; its bytes are in the buffer that was given to `poll`.
    Message {
        /// The connection.
        conn: ConnId,
        /// Text bytes are valid UTF-8.
        kind: Kind,
    },
    /// A connection has ended, by a fault or, without one, because all was said. It is closed as soon as what
    /// was sent on it is out.
    Ended {
        /// The connection.
        conn: ConnId,
        /// What it was for.
        purpose: Purpose,
        /// This side's role, once a session had begun.
        role: Option<Role>,
        /// The cause, if it is one.
        fault: Option<Fault>,
    },
    /// Frames had come on a connection that has ended, but others before them had not: they were dropped. Only with
    /// [`reorder_window`](super::NodeConfig::reorder_window).
    Undelivered {
        /// The connection.
        conn: ConnId,
        /// How many.
        frames: usize,
    },
    /// Why a frame failed that ended a connection: for the local log alone.
    Diagnosed {
        /// The connection.
        conn: ConnId,
        /// The cause.
        diagnosis: Diagnosis,
    },
    /// A record could not be stored; what it stood for did not happen.
    StoreFailed(Record),
    /// A message passed; only if the configuration asks for notes.
    Note {
        /// The connection.
        conn: ConnId,
        /// What passed.
        note: Note,
    },
}

/// What a node stores, each as one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// A pairing: this contact replaces what is stored of that person, and the address book is to have it (spec 13);
    /// the invitation, if one is named, is used up.
    Paired {
        /// The contact, whole.
        contact: Contact,
        /// To be removed from the open invitations.
        spent: Option<InvitationId>,
    },
    /// This contact replaces what is stored of that person: a key was proven, or a device has become known.
    Contact(Contact),
    /// A contact is removed, with its keys.
    Forgotten {
        /// Who.
        person: PersonId,
        /// What was said up to then is not to be shown any more, even if the person is paired with again.
        hide_before: Option<Millis>,
    },
    /// An invitation was made.
    Invited(InvitationRecord),
    /// An invitation was taken back or has expired.
    Withdrawn(InvitationId),
}
