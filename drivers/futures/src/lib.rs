//! Drives a [`chumwire`] machine over WebSocket, TLS and TCP, on any runtime of the `futures` traits.
//!
//! ```text
//!                       ┌──────────── the loop: one task ────────────┐
//!  Handle ──requests──> │  machine   poll ──effects──> Host, sockets │
//!                       └──^───────────────────────────────┬─────────┘
//!             batches, drained, closed                 sends, credit
//!                       ┌──┴───────────────────────────────v─────────┐
//!                       │        a task for every connection         │
//!                       └────────────────────────────────────────────┘
//! ```
//! It knows nothing of the protocols: it moves messages, arms timers, and passes on back-pressure in both
//! directions. [`driver`] makes one; a [`Runtime`] says how to sleep, spawn and open sockets; a [`Host`] hears
//! events and keeps records; a [`Handle`] reaches the running machine.

mod clock;
mod config;
mod connection;
mod dial;
mod driver;
mod handle;
mod host;
mod listen;
mod runtime;
mod tls;
mod transport;

pub use config::{Config, Limits};
pub use driver::driver;
pub use handle::{Handle, Stopped};
pub use host::Host;
pub use runtime::Runtime;
pub use tls::{ClientTls, ServerTls, TlsError};
