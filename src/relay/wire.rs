//! The messages of layer 1, relay control (spec 02). All are JSON texts.

use alloc::string::String;

use crate::crypto::{Instance, PublicKey, Relay, SEALED_CHALLENGE, Static};
use crate::fault::{JsonFault, Why};
use crate::handshake::CommunicationRequest;
use crate::json::{Object, Writer};

/// What a relay asks a listener to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationRequest {
    /// The key pair that the relay made when it started.
    pub relay_key: PublicKey<Relay>,
    /// 64 random bytes, sealed with their nonce.
    pub challenge: [u8; SEALED_CHALLENGE],
}

/// Listener to relay: `register`.
#[must_use]
pub fn register(key: &PublicKey<Instance>) -> String {
    Writer::command("register")
        .hex("publicKey", key.bytes())
        .finish()
}

/// Relay to listener: `authentication_request`.
#[must_use]
pub fn authentication_request(request: &AuthenticationRequest) -> String {
    Writer::command("authentication_request")
        .hex("publicKey", request.relay_key.bytes())
        .hex("challenge", &request.challenge)
        .finish()
}

/// Listener to relay: `authentication_response`.
#[must_use]
pub fn authentication_response(response: &[u8; SEALED_CHALLENGE]) -> String {
    Writer::command("authentication_response")
        .hex("response", response)
        .finish()
}

/// Relay to listener: `authentication_success`, with the ping interval in milliseconds.
#[must_use]
pub fn authentication_success(ping_interval_ms: u64) -> String {
    Writer::command("authentication_success")
        .integer("pingInterval", ping_interval_ms)
        .finish()
}

/// Relay to listener: `connection_handover`.
#[must_use]
pub fn connection_handover() -> String {
    Writer::command("connection_handover").finish()
}

/// Relay to listener: `ping`.
#[must_use]
pub fn ping() -> String {
    Writer::command("ping").finish()
}

/// Listener to relay: `pong`.
#[must_use]
pub fn pong() -> String {
    Writer::command("pong").finish()
}

/// Listener to relay, the answer to a `comm_ping`: `comm_pong`.
#[must_use]
pub fn comm_pong() -> String {
    Writer::command("comm_pong").finish()
}

/// What can come first on a connection to the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// `register`: a listener.
    Register(PublicKey<Static>),
    /// `communication_request`: an initiator.
    Request(CommunicationRequest),
}

/// Reads the first message on a connection to the relay.
///
/// # Errors
/// What is wrong with it.
pub fn read_first(text: &str) -> Result<First, JsonFault> {
    let object = Object::parse(text)?;
    match object.command() {
        Some("communication_request") => {
            CommunicationRequest::from_object(&object).map(First::Request)
        }
        _ => Ok(First::Register(object.due("register")?.key("publicKey")?)),
    }
}

/// Reads `authentication_request`.
///
/// # Errors
/// What is wrong with it; a challenge of another length than 104 bytes is refused here, unopened.
pub fn read_authentication_request(text: &str) -> Result<AuthenticationRequest, JsonFault> {
    let object = Object::message(text, "authentication_request")?;
    Ok(AuthenticationRequest {
        relay_key: object.key("publicKey")?,
        challenge: object.hex("challenge", "208 hex digits")?,
    })
}

/// Reads `authentication_response`.
///
/// # Errors
/// What is wrong with it.
pub fn read_authentication_response(text: &str) -> Result<[u8; SEALED_CHALLENGE], JsonFault> {
    Object::message(text, "authentication_response")?.hex("response", "208 hex digits")
}

/// The longest ping interval that a listener believes, in milliseconds.
pub const MAX_PING_INTERVAL_MS: u64 = 3_600_000;

/// Reads `authentication_success`; gives the ping interval in milliseconds.
///
/// # Errors
/// What is wrong with it.
pub fn read_authentication_success(text: &str) -> Result<u64, Why> {
    let object = Object::message(text, "authentication_success")?;
    match object.integer("pingInterval") {
        Ok(interval @ 1..=MAX_PING_INTERVAL_MS) => Ok(interval),
        _ => Err(Why::PingInterval),
    }
}

/// What a relay may say to a spare connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToSpare {
    /// `ping`.
    Ping,
    /// `comm_ping`, which documents name and nothing sends.
    CommPing,
    /// `connection_handover`.
    Handover,
}

/// Reads what a relay says to a spare connection.
///
/// # Errors
/// What is wrong with it.
pub fn read_to_spare(text: &str) -> Result<ToSpare, JsonFault> {
    let object = Object::parse(text)?;
    match object.command() {
        Some("ping") => Ok(ToSpare::Ping),
        Some("comm_ping") => Ok(ToSpare::CommPing),
        _ => object.due("connection_handover").map(|_| ToSpare::Handover),
    }
}

/// Reads `pong`.
///
/// # Errors
/// What is wrong with it.
pub fn read_pong(text: &str) -> Result<(), JsonFault> {
    Object::message(text, "pong").map(|_| ())
}
