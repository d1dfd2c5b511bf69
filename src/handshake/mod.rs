//! The encryption handshake: two plain texts, two sealed ephemeral keys. Follows spec 03.

mod acceptor;
mod arrival;
mod early;
mod initiator;
mod wire;

pub use acceptor::{Acceptor, Asked};
pub use arrival::{Arrival, HandedOver};
pub use initiator::Initiator;
pub use wire::{CommunicationRequest, communication_ready, read_communication_ready};

use crate::channel::{Channel, ChannelConfig};
use crate::crypto::{self, Ephemeral, OpenError, PublicKey, SEALED_KEY, Static, Suite};
use crate::fault::Why;
use crate::io::{Kind, Message};
use crate::limits;
use crate::time::Micros;

/// What a handshake needs to know besides keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HandshakeConfig {
    /// The time limit of each step.
    pub step: Micros,
    /// The bounds of the channel that comes out.
    pub channel: ChannelConfig,
    /// Whether passing messages are told as notes.
    pub notes: bool,
}

impl Default for HandshakeConfig {
    fn default() -> Self {
        Self {
            step: limits::STEP,
            channel: ChannelConfig::default(),
            notes: false,
        }
    }
}

/// What comes out of a finished handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handshaken<S: Suite> {
    /// The encrypted channel.
    pub channel: Channel<S>,
    /// The key that the peer presented. That it owns it is proven by its first frame.
    pub peer: PublicKey<Static>,
    /// The static-static key, for the diagnosis of failed frames.
    pub static_key: S::Pair,
}

/// Opens a key message. `own` is what this side has sent already: neither may come back.
fn open_key<S: Suite>(
    static_key: &S::Pair,
    message: Message<'_>,
    own: Option<(&[u8; SEALED_KEY], &PublicKey<Ephemeral>)>,
) -> Result<PublicKey<Ephemeral>, Why> {
    let Message::Binary(sealed) = message else {
        return Err(Why::Kind {
            expected: Kind::Binary,
        });
    };
    if own.is_some_and(|(sent, _)| sent == sealed) {
        return Err(Why::Reflected);
    }
    let key = crypto::open::<32>(static_key, sealed).map_err(|error| match error {
        OpenError::Length { .. } => Why::FrameBeforeKey,
        OpenError::Forged => Why::KeyMessage,
    })?;
    let key = PublicKey::new(*key.expose());
    if own.is_some_and(|(_, ephemeral)| *ephemeral == key) {
        return Err(Why::Reflected);
    }
    Ok(key)
}
