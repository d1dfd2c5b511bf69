//! One thing that happened: an input of a machine, an effect of it, or what the world did to a link.
//!
//! The names are those of `chumwire::io`: a machine takes *inputs* and puts out *effects*; a trace keeps both in the
//! order in which they were.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::passing::Passing;

/// A line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The monotonic clock, in microseconds.
    pub at: u64,
    /// The wall clock in milliseconds, where it does not follow from the lines before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<u64>,
    /// The party: whose input or effect it is.
    pub who: Arc<str>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// How a connection ended, as the driver told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By a close of the other side.
    ByPeer,
    /// It broke off.
    Lost,
    /// It could not be opened.
    NotOpened,
}

/// Why a connection ended, as its machine told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultLine {
    /// The step, by its name.
    pub step: String,
    /// The cause, by its stable code.
    pub code: String,
    /// What the cause says beyond its code, by a stable code too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The sentence.
    pub message: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    // --- the party -------------------------------------------------------------------------------------------------
    /// It starts.
    Started {
        /// `node`, `relay`, or the name of a double.
        machine: String,
        /// The reorder window; 0 is strict order.
        #[serde(default, skip_serializing_if = "is_zero")]
        window: usize,
    },
    /// It crashes, or ends.
    Stopped,

    // --- inputs ----------------------------------------------------------------------------------------------------
    /// A connection came in; without a name it was refused.
    Accepted {
        /// The machine's name for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conn: Option<u64>,
        /// Its address (secrets only), in hex.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// A dialled connection is open.
    Opened {
        /// The connection.
        conn: u64,
    },
    /// A message came.
    Received {
        /// The connection.
        conn: u64,
        /// The message.
        #[serde(flatten)]
        message: Passing,
        /// The machine answered `Full`.
        #[serde(default, skip_serializing_if = "is_false")]
        full: bool,
    },
    /// All that was sent on a connection has been handed to the socket.
    Drained {
        /// The connection.
        conn: u64,
    },
    /// A connection is gone.
    Closed {
        /// The connection.
        conn: u64,
        /// How.
        how: How,
        /// The close code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        /// The close reason, or the driver's words.
        reason: String,
    },
    /// The storage answered.
    Stored {
        /// The number of the record.
        id: u64,
        /// Whether it was stored.
        ok: bool,
    },
    /// Time has passed.
    Tick,
    /// The embedder called a method.
    Called {
        /// Its name.
        call: String,
        /// What it was given (secrets only).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        args: Option<serde_json::Value>,
        /// It was refused, with this sentence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },

    // --- effects ---------------------------------------------------------------------------------------------------
    /// A WebSocket is to be opened.
    Dialled {
        /// The connection.
        conn: u64,
        /// Where to.
        url: String,
    },
    /// A message is to be sent.
    Sent {
        /// The connection.
        conn: u64,
        /// The message.
        #[serde(flatten)]
        message: Passing,
    },
    /// A connection is to be closed.
    Closing {
        /// The connection.
        conn: u64,
        /// The close code.
        code: u16,
        /// The close reason.
        reason: String,
    },
    /// A connection is not to be read from.
    Paused {
        /// The connection.
        conn: u64,
    },
    /// A connection is to be read from again.
    Resumed {
        /// The connection.
        conn: u64,
    },
    /// A record is to be stored.
    Storing {
        /// Its number.
        id: u64,
        /// Its kind.
        record: String,
        /// The record itself (secrets only).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<serde_json::Value>,
    },
    /// The machine tells of a message that passed: what the wire does not show.
    Noted {
        /// The connection.
        conn: u64,
        /// The layer, by its name.
        layer: String,
        /// The message's name.
        name: String,
        /// Whether the machine sent it.
        sent: bool,
        /// Its length on the wire.
        bytes: usize,
        /// The nonce counter of a sealed frame.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Option<u64>,
    },
    /// The node can be reached through the relay.
    Online {
        /// The relay.
        url: String,
    },
    /// The node can no longer be reached through the relay.
    Offline {
        /// The relay.
        url: String,
        /// Why.
        fault: FaultLine,
    },
    /// A relay: a listener proved its key.
    Registered {
        /// The connection.
        conn: u64,
        /// The first digits of the key.
        key: String,
    },
    /// A relay: a pair is relayed from here on.
    HandedOver {
        /// The listener's connection.
        spare: u64,
        /// The initiator's connection.
        initiator: u64,
    },
    /// A pairing has succeeded.
    Paired {
        /// The connection.
        conn: u64,
        /// `initiator` or `acceptor`.
        role: String,
        /// The first digits of the person's id.
        person: String,
    },
    /// An invitation expired unused.
    Expired,
    /// A connection to a contact is established.
    Connected {
        /// The connection.
        conn: u64,
        /// `initiator` or `acceptor`.
        role: String,
        /// The first digits of the person's id.
        person: String,
        /// The group.
        group: String,
    },
    /// A message goes to the embedder.
    Delivered {
        /// The connection.
        conn: u64,
        /// The message.
        #[serde(flatten)]
        message: Passing,
    },
    /// A connection has ended.
    Ended {
        /// The connection.
        conn: u64,
        /// What it was for: `listen`, `incoming`, `join`, `route`, or `relayed`.
        purpose: String,
        /// `initiator` or `acceptor`, once a session had begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        /// The cause; without one, all was said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<FaultLine>,
    },
    /// Frames that waited behind a gap when their connection ended were dropped.
    Undelivered {
        /// The connection.
        conn: u64,
        /// How many.
        frames: usize,
    },
    /// Why a frame failed.
    Diagnosed {
        /// The connection.
        conn: u64,
        /// The stable code.
        diagnosis: String,
        /// The sentence, with its numbers.
        message: String,
    },
    /// A record could not be stored.
    NotStored {
        /// Its kind.
        record: String,
    },
    /// A double of another implementation tells something, in its words.
    Says {
        /// The words.
        words: String,
    },

    // --- the world -------------------------------------------------------------------------------------------------
    /// A dialled connection and an accepted one are the two ends of one WebSocket. Simulated worlds only.
    Linked {
        /// The dialler's connection.
        conn: u64,
        /// The party that was dialled.
        to: Arc<str>,
        /// Its name for the connection.
        accepted: u64,
    },
    /// The world did something to a link or a clock. Nobody in it knows.
    Interfered {
        /// What.
        fault: String,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl What {
    /// The word for it, as `what` in the format.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stopped => "stopped",
            Self::Accepted { .. } => "accepted",
            Self::Opened { .. } => "opened",
            Self::Received { .. } => "received",
            Self::Drained { .. } => "drained",
            Self::Closed { .. } => "closed",
            Self::Stored { .. } => "stored",
            Self::Tick => "tick",
            Self::Called { .. } => "called",
            Self::Dialled { .. } => "dialled",
            Self::Sent { .. } => "sent",
            Self::Closing { .. } => "closing",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Storing { .. } => "storing",
            Self::Noted { .. } => "noted",
            Self::Online { .. } => "online",
            Self::Offline { .. } => "offline",
            Self::Registered { .. } => "registered",
            Self::HandedOver { .. } => "handed_over",
            Self::Paired { .. } => "paired",
            Self::Expired => "expired",
            Self::Connected { .. } => "connected",
            Self::Delivered { .. } => "delivered",
            Self::Ended { .. } => "ended",
            Self::Undelivered { .. } => "undelivered",
            Self::Diagnosed { .. } => "diagnosed",
            Self::NotStored { .. } => "not_stored",
            Self::Says { .. } => "says",
            Self::Linked { .. } => "linked",
            Self::Interfered { .. } => "interfered",
        }
    }

    /// Whether it is an input of a machine.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Accepted { .. }
                | Self::Opened { .. }
                | Self::Received { .. }
                | Self::Drained { .. }
                | Self::Closed { .. }
                | Self::Stored { .. }
                | Self::Tick
                | Self::Called { .. }
        )
    }

    /// Whether it is an effect of a machine.
    #[must_use]
    pub const fn is_effect(&self) -> bool {
        !self.is_input()
            && !matches!(
                self,
                Self::Started { .. }
                    | Self::Stopped
                    | Self::Says { .. }
                    | Self::Linked { .. }
                    | Self::Interfered { .. }
            )
    }
}
