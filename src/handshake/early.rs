//! Binary messages that came before there was a channel to take them (spec 03 and 04).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::channel::Channel;
use crate::crypto::{SEALED_KEY, Suite};
use crate::fault::Why;
use crate::io::Message;
use crate::limits;
use crate::time::{Micros, Now};

/// They wait in the order in which they came, few and short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Early {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Early {
    /// Takes one more, if that many may wait.
    pub(super) fn hold(&mut self, most: usize, frame: &[u8]) -> Result<(), Why> {
        let limit = |what, limit| Err(Why::Limit { what, limit });
        if self.frames.len() >= most {
            return limit("frames before the channel is there", most);
        }
        if frame.len() > limits::EARLY_BYTES - self.bytes {
            return limit(
                "bytes of frames before the channel is there",
                limits::EARLY_BYTES,
            );
        }
        self.bytes += frame.len();
        self.frames.push_back(frame.into());
        Ok(())
    }

    /// Takes what came between the end of the handshake and the moment at which the channel is taken.
    pub(super) fn behind_key(&mut self, window: usize, message: Message<'_>) -> Result<(), Why> {
        match message {
            Message::Binary(frame) => self.hold(window.max(limits::EARLY_FRAMES), frame),
            Message::Text(_) => Err(Why::PlainText),
        }
    }

    /// Why no key message came in time, as far as what came instead tells.
    pub(super) fn instead_of_key(&self) -> Why {
        if self.frames.iter().any(|frame| frame.len() == SEALED_KEY) {
            Why::KeyMessage
        } else if self.frames.is_empty() {
            Why::Timeout
        } else {
            Why::FrameBeforeKey
        }
    }

    /// Gives them to the channel.
    pub(super) fn give<S: Suite>(&self, mono: Micros, channel: &mut Channel<S>) {
        let now = Now {
            mono,
            ..Now::default()
        };
        for frame in &self.frames {
            channel.early(now, frame);
        }
    }
}
