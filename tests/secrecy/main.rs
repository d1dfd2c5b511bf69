//! Where secrets must not be: in what is told, and in memory when they are gone.

#[path = "../support/mod.rs"]
mod support;

mod residue;
mod told;
