//! What happened at a machine, line by line: recorded by the simulator or by a live driver, in one text format.
//!
//! ```text
//! machine ──inputs, effects──> lines ──> file ──> read ──> draw, diff, explain
//!                                                   └────> replay (with secrets)
//! ```
//!
//! A trace is a [`Header`] and then [`Line`]s, each one JSON object on a line of its own. Without secrets it holds
//! names, lengths and hashes of messages, no contents: it can be shown to others. With secrets it holds what a node
//! or relay needs to be run again, bit for bit.
#![forbid(unsafe_code)]

mod call;
mod diagram;
mod diff;
mod draw;
mod event;
mod explain;
mod flights;
mod header;
mod lanes;
mod line;
mod merge;
mod names;
mod page;
mod passing;
mod read;
mod replay;
mod show;
mod start;
mod traced;
mod write;

pub use diagram::{Diagram, Stroke};
pub use diff::{Difference, diff};
pub use draw::draw;
pub use explain::{Cause, Explanation, Fault, Finding, explain};
pub use header::{Header, Origin, Scene, VERSION};
pub use line::{FaultLine, How, Line, What};
pub use merge::{Merged, merge};
pub use page::page;
pub use passing::{Passing, Sort, command_of};
pub use read::{BadTrace, Trace};
pub use replay::{NotReplayed, Replayed, replay};
pub use start::{BadStart, NodeStart, RelayStart, Start};
pub use traced::{Sink, Traced};
pub use write::{Writer, text_of};
