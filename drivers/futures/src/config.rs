//! What an embedder may set.

use std::time::Duration;

use async_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::tls::ClientTls;

/// The settings of a driver.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Whom to trust when a `wss://` URL is dialled.
    pub client_tls: ClientTls,
    /// Times and sizes.
    pub limits: Limits,
}

/// Times and sizes of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// For a dial: name look-up, TCP, TLS and the WebSocket handshake together.
    pub open: Duration,
    /// For an incoming connection, until its WebSocket is open.
    pub accept: Duration,
    /// For what is queued on a connection that is to be closed.
    pub flush: Duration,
    /// For the other side's answer to a close.
    pub close: Duration,
    /// For everything that is still open when the driver is told to stop.
    pub stop: Duration,
    /// The longest incoming message, in bytes. A longer one ends its connection.
    pub max_message: usize,
    /// How much is read from a socket at once. Every connection has a buffer of this size.
    pub read_buffer: usize,
    /// How much is gathered before it is written to a socket.
    pub write_buffer: usize,
    /// How many messages of a connection are read before the machine has to have taken them.
    pub batch_messages: usize,
    /// The same in bytes. The message that goes beyond it still counts as within.
    pub batch_bytes: usize,
    /// How many incoming connections of a listener may be without an open WebSocket. More have to wait.
    pub pending_accepts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open: Duration::from_secs(5),
            accept: Duration::from_secs(10),
            flush: Duration::from_secs(3),
            close: Duration::from_secs(2),
            stop: Duration::from_secs(3),
            max_message: 131_072,
            read_buffer: 8 * 1024,
            write_buffer: 32 * 1024,
            batch_messages: 64,
            batch_bytes: 256 * 1024,
            pending_accepts: 256,
        }
    }
}

impl Limits {
    pub(crate) fn websocket(&self) -> WebSocketConfig {
        // The library panics if its two write limits contradict each other; the cap rules that out.
        WebSocketConfig::default()
            .read_buffer_size(self.read_buffer)
            .write_buffer_size(self.write_buffer.min(1 << 24))
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(self.max_message))
            .max_frame_size(Some(self.max_message))
    }
}
