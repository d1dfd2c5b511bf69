//! What a machine saw pass, told message by message when asked for: the raw material of sequence diagrams and
//! traces. Names and lengths only, no contents.

use core::fmt;

/// A layer of the protocol (spec 00, "Layers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// 1: relay control.
    Relay,
    /// 2: the handshake.
    Handshake,
    /// 4: keepalive.
    Keepalive,
    /// 5: the pieces of a long message, and the words around them.
    Fragmentation,
    /// 6: establishment.
    Establishment,
    /// 7a: pairing.
    Pairing,
    /// 7b: messages of an established connection.
    Group,
    /// A copy that a relay made without looking.
    Relayed,
}

impl Layer {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Handshake => "handshake",
            Self::Keepalive => "keepalive",
            Self::Fragmentation => "fragmentation",
            Self::Establishment => "establishment",
            Self::Pairing => "pairing",
            Self::Group => "group",
            Self::Relayed => "relayed",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One message that passed. The connection is named by whoever hands it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    /// Whether this machine sent it; otherwise it received it.
    pub sent: bool,
    /// Its layer.
    pub layer: Layer,
    /// Its name: the `command`, or a word for a binary message.
    pub name: &'static str,
    /// Its length on the wire (of the WebSocket message), in bytes.
    pub bytes: usize,
    /// The nonce counter, for a sealed frame.
    pub nonce: Option<u64>,
}
