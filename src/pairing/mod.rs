//! Pairing by invitation: tokens that are used once, and the exchange of identities. Follows spec 06.

mod invitation;
mod machine;
mod registry;
mod wire;

pub(crate) use invitation::ALPHABET;
pub use invitation::{BadInvitation, Invitation, InvitationId, LINK_BASE, TOKEN, Token};
pub use machine::{Pairing, PairingConfig, PairingEvent};
pub use registry::{InvitationRecord, InvitationState, Invitations, TooMany};
pub use wire::{PeerIdentity, identity, read_identity};
