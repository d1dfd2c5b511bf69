//! CHUM between two machines in memory.

mod lists;
mod losses;
mod net;
mod pair;
mod syncing;
mod transcript;
#[path = "../support/vectors.rs"]
#[allow(dead_code)]
mod vectors;
mod versions;
