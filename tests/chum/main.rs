//! CHUM between two machines in memory.

mod pair;
mod syncing;
