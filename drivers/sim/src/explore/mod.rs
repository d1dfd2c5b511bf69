//! Every schedule of a small world: all orders in which things can come, and up to so many faults, on the real
//! machines.
//!
//! ```text
//! play ──> search ──> moves of a state ──> step ──> engine ──> party: the machine, its store, what is checked
//!            │                              │         └ a machine runs once for each of its states and inputs
//!            └ fingerprints, who sleeps     └ queues and messages by number
//! ```
//!
//! A *complete* exploration is complete over a stated alphabet ([`ALPHABET`]): whatever else may happen was not looked
//! at. What has to hold in every state is what a [`World`](crate::World) checks after every step; what has to hold when
//! all has been done is the goal of the [`Play`].

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/exploring.md")]
struct Documented;

mod checkpoint;
mod engine;
mod moves;
mod notebook;
mod party;
mod play;
mod plays;
mod print;
mod replay;
mod search;
mod state;
mod step;
mod store;

pub use checkpoint::NotResumed;
pub use moves::ALPHABET;
pub use party::Actor;
pub use play::{Act, Cast, Does, Fault, Play, View};
pub use plays::{play, plays};
pub use print::Print;
pub use replay::Replay;
pub use search::{Bounds, Counts, Ending, Found, Pruning, Search};
