//! relay
pub mod wire;
