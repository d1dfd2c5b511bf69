//! What deployed peers say when they close. Nothing is decided by these words, because some come from their engine;
//! but who asks why a connection failed may be told what the other side said (recorded in `errors_close` and
//! `pairing_errors`).

use super::cause::Cause;

const REASONS: &[(&str, Cause)] = &[
    ("No listening connection", Cause::NobodyListening),
    (
        "Authentication token is not existing",
        Cause::InvitationUnknown,
    ),
    (
        "We do not accept connections for this target",
        Cause::UnknownTarget,
    ),
    (
        "I do not want to communicate with you",
        Cause::GroupNotServed,
    ),
    ("ConnectionRoutesGroupName", Cause::GroupNotServed),
    ("you are unknown", Cause::NotPaired),
    ("Duplicate connection", Cause::DuplicateConnection),
    (
        "New connection replaced old one",
        Cause::DuplicateConnection,
    ),
    ("No lifesign of the other side", Cause::Keepalive),
];

/// The cause that a close reason names, if it is a known one.
pub(super) fn named(reason: &str) -> Option<Cause> {
    REASONS
        .iter()
        .find(|(words, _)| reason.contains(words))
        .map(|(_, cause)| *cause)
}
