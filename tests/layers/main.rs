//! The layers one by one, against peers that say what they must not, and nodes with several of them in memory.

#[path = "../support/mod.rs"]
mod support;

mod establishment;
mod handshakes;
mod identities;
mod listeners;
mod nodes;
mod pairings;
mod values;
