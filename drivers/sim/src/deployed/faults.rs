//! Faults that a double can be given, each one that some implementation has had or could have.

use chumwire::time::Micros;

/// What a double does wrong. All off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeployedFaults {
    /// Its first frame is sealed with this counter. `u64::MAX` is the -1 of a counter that is raised before its first
    /// use.
    pub send_start: Option<u64>,
    /// It expects this counter in the first frame.
    pub receive_start: Option<u64>,
    /// As acceptor it sends a keepalive right behind its key message. That is allowed, and nobody does it.
    pub keepalive_at_once: bool,
    /// This message behind its key message (from 0) goes out unsealed, if it is a text.
    pub unsealed: Option<u32>,
    /// Its invitations carry its person key.
    pub person_key_in_invitation: bool,
    /// How long it is deaf after a handover, because it exchanges its handlers.
    pub deaf_after_handover: Micros,
    /// Pongs that it sends unasked when it has registered.
    pub unasked_pongs: u32,
    /// A request on one spare connection is answered on all of them.
    pub ready_on_all_spares: bool,
    /// What it says of itself that is not so.
    pub lie: Option<Lie>,
}

/// Something that a peer says of itself and that does not agree with what it has proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lie {
    /// Its keys are another person's.
    KeysOwner,
    /// Its instance is another person's.
    InstanceOwner,
    /// In its identity: another email.
    Email,
    /// In its identity: another name of the instance.
    Name,
    /// In its identity: another person key.
    PersonKey,
    /// In its identity: another signing key of the person.
    SignKey,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::KeysOwner,
        Self::InstanceOwner,
        Self::Email,
        Self::Name,
        Self::PersonKey,
        Self::SignKey,
    ];
}
