//! handshake
mod wire;
pub use wire::{CommunicationRequest, communication_ready, read_communication_ready};
