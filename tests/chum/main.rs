//! CHUM between two machines in memory.

mod explore;
mod greedy;
mod hostile;
mod lists;
mod losses;
mod net;
mod no_loss;
mod pair;
mod puppet;
mod since;
mod syncing;
mod third_person;
mod transcript;
#[path = "../support/vectors.rs"]
#[allow(dead_code)]
mod vectors;
mod versions;
mod world;
