//! The catalogue of what goes wrong (`docs/races.md`): each row a scenario, by its name there.
//!
//! Where a row names a faulty peer or relay, that is a double by configuration
//! ([`DeployedFaults`](crate::deployed::DeployedFaults), [`Wire`](crate::Wire), a
//! [stranger](crate::stranger::Stranger)); the machines of ours are always the real ones.

mod dial;
mod duties;
mod ends;
mod federation;
mod frames;
mod order;
mod roles;
mod spares;
mod strangers;
pub(crate) use strangers::claim;
mod time;
mod tokens;
mod weather;

use crate::link::Side;
use crate::party::PartyId;
use crate::scenario::{Meeting, Scenario};

const CATALOGUE: &[Scenario] = &[
    roles::NO_INVITATION,
    roles::WRONG_KEY_IN_INVITATION,
    roles::BOTH_ACCEPT,
    roles::BOTH_CONNECT,
    roles::NONCE_MINUS_ONE,
    roles::SAME_PARITY,
    spares::HANDOVER_BURST,
    spares::HANDOVER_ANSWER_EARLY,
    spares::PING_IN_FLIGHT,
    order::GROUP_BEFORE_KEY,
    order::FRAME_OVERTAKES_KEY,
    order::REORDER_FRAMES,
    order::DUPLICATE_FRAME,
    order::DUPLICATE_FLOOD,
    order::LOST_FRAME,
    frames::TRUNCATED_FRAME,
    frames::BIT_FLIP,
    frames::MIRROR,
    strangers::CHALLENGE_REFLECTION,
    spares::UNASKED_PONG,
    spares::SPARE_DRAIN,
    frames::CROSS_CONNECTION,
    spares::PAIRING_ON_ALL_SPARES,
    frames::PLAINTEXT_AFTER_HANDSHAKE,
    roles::MISSING_SYNC,
    ends::CLOSE_MID_STEP,
    spares::SPARE_DIES_AT_HANDOVER,
    spares::TWO_INITIATORS_ONE_SPARE,
    tokens::TOKEN_DOUBLE_SPEND,
    tokens::TOKEN_EXPIRES_MIDWAY,
    tokens::TOKEN_REPLAYED,
    dial::SIMULTANEOUS_DIAL,
    time::KEEPALIVE_EDGE,
    time::NONCE_EXHAUSTION,
    strangers::HALF_OPEN_REPLAY,
    // Not of the table.
    weather::PAIRING,
    weather::SWARM,
    weather::CHAT_UNDER_FAULTS,
    ends::CRASH_RESTART,
    ends::RELAY_RESTART,
    roles::SILENT_PEER,
    duties::LYING_PEER,
    duties::IMPOSTOR,
    duties::RELEASED_TOKEN,
    duties::REVOKED_TOKEN,
    duties::LONG_TALK,
    duties::FULL_SEND,
    duties::CLOSE_REASON,
    duties::HALF_OPEN_LINK,
    duties::DROPPED_ROUTE,
    duties::UNANSWERED_DIAL,
    duties::SPARE_ORDER,
    duties::SPARE_REPLACED,
    duties::HALF_OPEN_BOUND,
    federation::FEDERATION,
];

/// All scenarios, in the order of the table.
#[must_use]
pub const fn catalogue() -> &'static [Scenario] {
    CATALOGUE
}

/// The scenario of this name.
#[must_use]
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    CATALOGUE.iter().find(|scenario| scenario.name == name)
}

/// Who of a meeting gets what comes from that side of a faulty relay: the joiner is its dialler.
const fn receiver(meeting: &Meeting, from: Side) -> PartyId {
    match from {
        Side::Dialler => meeting.inviter,
        Side::Listener => meeting.joiner,
    }
}

/// The first frame of an initiator that wants to pair.
pub(crate) const GROUP: &str = r#"{"command":"connection_group","connectionGroupName":"pairing"}"#;
