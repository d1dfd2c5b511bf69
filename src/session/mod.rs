//! One connection from the first message of the handshake on: handshake, channel, establishment, then pairing or the
//! messages of its group (spec 03 to 06).
//!
//! ```text
//! Initiating ─┐
//!             ├─> Establishing ─> Pairing ─> end
//! Accepting ──┘          └──────> Connected
//! ```

mod machine;
mod pump;

pub use machine::{Opening, Session, SessionConfig, SessionEvent};
