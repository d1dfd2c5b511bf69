//! The plays that are explored, by the names of the catalogue's scenarios where they explore what one requires.

mod cast;
mod friends;
mod pairing;
mod reflection;
mod reflector;
mod spares;
mod tokens;

use super::play::Play;

const PLAYS: &[Play] = &[
    pairing::PAIRING,
    pairing::PAIRING_DIRECT,
    pairing::PAIRING_TWO_SPARES,
    spares::HANDOVER_BURST,
    spares::PING_IN_FLIGHT,
    spares::INITIATOR_LEAVES,
    spares::SPARE_DIES_AT_HANDOVER,
    spares::TWO_INITIATORS_ONE_SPARE,
    tokens::TOKEN_DOUBLE_SPEND,
    tokens::TOKEN_DOUBLE_SPEND_RELAY,
    tokens::TOKEN_EXPIRES_MIDWAY,
    tokens::TOKEN_REPLAYED,
    reflection::CHALLENGE_REFLECTION,
    friends::SIMULTANEOUS_DIAL,
    friends::SIMULTANEOUS_DIAL_RELAY,
    friends::REDIAL,
    friends::PAIRING_AGAIN,
    friends::REORDER_FRAMES,
    friends::REORDER_FRAMES_WIDE,
    friends::CHAT,
];

/// All plays.
#[must_use]
pub const fn plays() -> &'static [Play] {
    PLAYS
}

/// The play of this name.
#[must_use]
pub fn play(name: &str) -> Option<&'static Play> {
    PLAYS.iter().find(|play| play.name == name)
}
