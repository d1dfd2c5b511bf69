//! A deterministic world for the machines of `chumwire`: nodes, relays, links between them and virtual time.
//!
//! ```text
//!            chooser (seed, schedule, …)
//!                 |  every choice
//!   party ── link ── relay ── link ── party        party: a node of ours, the deployed peer's double, a puppet
//!     |                                  |
//!   store                              store
//! ```
//!
//! A [`World`] runs the same `Node` and `Relay` that drivers run. It reads no clock, starts no thread and draws from
//! no generator but its [`Chooser`]: the same source of choices gives the same [`Trace`], byte for byte.
//!
//! Nothing here is safe to use outside of tests: [`Insecure`] is no cryptography.
#![forbid(unsafe_code)]

pub mod catalogue;
mod chooser;
pub mod deployed;
pub mod explore;
mod insecure;
mod invariants;
mod link;
mod party;
mod puppet;
pub mod scenario;
pub mod shrink;
mod store;
pub mod stranger;
pub mod sync;
mod trace;
mod wire;
mod world;

pub use chooser::{
    Actor, Bytes, Choice, Chooser, Enumerate, Enumerated, Mood, Pct, Recording, Scheduled, Seeded,
    Swarm,
};
pub use insecure::{Insecure, InsecureKey};
pub use link::{
    Act, FaultKind, Faults, Layer, LinkId, LinkInfo, Match, NoFault, Parcel, Passage, Profile,
    Rule, RuleId, Side,
};
pub use party::{Action, Party, PartyId, Told};
pub use puppet::{Heard, Puppet};
pub use store::{Store, StoreFault};
pub use trace::Trace;
pub use wire::{Meddle, Onward, Passing, Wire};
pub use world::{Config, Invariant, Skew, Violation, World};
