//! The encrypted channel: sealed frames, keepalive, fragmentation. Follows spec 04.
//!
//! ```text
//! send ──> fragments ──> escape ──> padding, seal ──> poll
//! received <── assemble <── keepalive, unescape <── open, in order <── message
//! ```
//!
//! A channel comes out of a finished handshake, or of [`Channel::from_session_key`].

mod diagnosis;
mod escape;
mod fragment;
mod frame;
mod keepalive;
mod machine;
mod nonce;
mod order;
mod padding;

pub use diagnosis::{Diagnosis, Sibling};
pub use escape::{BadEscape, END, FRAGMENTATION, KEEPALIVE, START_BINARY, START_TEXT};
pub use escape::{escape, marks, unescape};
pub use fragment::{Assembled, Assembler, FragmentFault, is_fragmented};
pub use frame::{Exhausted, FrameFault, Opened, Opener, Sealer};
pub use keepalive::{Due, Keepalive};
pub use machine::{Channel, ChannelConfig, SendError};
pub use nonce::{COUNTER_END, Counter, nonce};
pub use order::OrderStats;
pub use padding::{MAX_PADDING, PaddingFault, pad, strip};
