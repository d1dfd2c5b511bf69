//! The relay (CommServer) and its listeners: layer 1. Follows spec 02.
//!
//! [`Registration`] is the listener's side of one spare connection, [`Relay`] a whole relay, [`wire`] the messages
//! between them.

mod registration;
mod server;
pub mod wire;

pub use registration::{NotTaken, Registration, RegistrationEvent};
pub use server::{Relay, RelayConfig, RelayEvent, RelayStats};
