//! CHUM between two machines in memory.

mod losses;
mod net;
mod pair;
mod syncing;
mod versions;
