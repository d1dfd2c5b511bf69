//! Whole worlds: pairings, races and failures of nodes, relays and the deployed peer's double on virtual time.

mod common;
mod crashes;
mod lax;
mod pairing;
mod races;
mod replay;
mod silence;
