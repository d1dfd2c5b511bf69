//! Whole worlds: pairings, races and failures of nodes, relays and the deployed peer's double on virtual time.

mod choosers;
mod clocks;
mod common;
mod crashes;
mod lax;
mod links;
mod pairing;
mod races;
mod replay;
mod silence;
mod talk;
