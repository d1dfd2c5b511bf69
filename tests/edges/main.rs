//! What holds at a bound, and no longer one beyond it. Most of these were found missing by changing the code
//! (`tests/mutants`).

#[path = "../support/mod.rs"]
mod support;

mod channel;
mod establishment;
mod node;
mod objects;
mod pairing;
