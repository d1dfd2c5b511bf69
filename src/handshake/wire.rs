//! The two plain texts of layer 2, the handshake (spec 03).

use alloc::string::String;

use crate::crypto::{Instance, PublicKey, Static};
use crate::fault::{JsonFault, Why};
use crate::json::{Object, Writer};

/// `communication_request`: who wants to speak to whom. It also travels through the relay (spec 02).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommunicationRequest {
    /// The initiator's static key.
    pub source: PublicKey<Static>,
    /// The acceptor's instance key.
    pub target: PublicKey<Instance>,
}

impl CommunicationRequest {
    /// Its text: exactly these members, in this order, hex in lower case.
    #[must_use]
    pub fn text(&self) -> String {
        Writer::command("communication_request")
            .hex("sourcePublicKey", self.source.bytes())
            .hex("targetPublicKey", self.target.bytes())
            .finish()
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, JsonFault> {
        Self::from_object(&Object::message(text, "communication_request")?)
    }

    pub(crate) fn from_object(object: &Object) -> Result<Self, JsonFault> {
        Ok(Self {
            source: object.key("sourcePublicKey")?,
            target: object.key("targetPublicKey")?,
        })
    }
}

/// `communication_ready`.
#[must_use]
pub fn communication_ready() -> String {
    Writer::command("communication_ready").finish()
}

/// Reads `communication_ready`.
///
/// # Errors
/// What is wrong with it; a `communication_request` instead is a [`Why::RoleConflict`].
pub fn read_communication_ready(text: &str) -> Result<(), Why> {
    let object = Object::parse(text)?;
    if object.command() == Some("communication_request") {
        return Err(Why::RoleConflict);
    }
    object.due("communication_ready")?;
    Ok(())
}
