//! Sealed frames: padding, nonce, box (spec 04). The hot path: one copy, one pass of the cipher, no allocation once
//! the buffers have grown.

use alloc::vec::Vec;

use super::nonce::{Counter, nonce};
use super::padding::{self, MAX_PADDING, PaddingFault};
use crate::canon::Ignored;
use crate::crypto::{Forged, PairKey, Random, TAG, Wiped};
use crate::fault::Why;
use crate::limits;
use crate::role::Role;

/// How many tags of sent frames are kept for the diagnosis, and how far it looks (spec 07).
pub(super) const DISTANCE: usize = 16;

/// The nonces of this direction are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the nonces of this session are used up")]
pub struct Exhausted;

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// Shorter than a tag and one byte.
    #[error("a frame of {0} bytes is too short")]
    TooShort(usize),
    /// Longer than the limit.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// It does not open with the next nonce.
    #[error("a frame does not open at counter {0}")]
    DoesNotOpen(u64),
    /// Its padding is malformed; the sender did that, nobody on the way.
    #[error("the padding of a frame is malformed: {0}")]
    Padding(#[from] PaddingFault),
    /// The nonces are used up.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

impl From<FrameFault> for Why {
    fn from(fault: FrameFault) -> Self {
        match fault {
            FrameFault::TooShort(got) => Self::FrameTooShort { got },
            FrameFault::TooLong(got) => Self::FrameTooLong { got },
            FrameFault::DoesNotOpen(counter) => Self::Frame { counter },
            FrameFault::Padding(_) => Self::Padding,
            FrameFault::Exhausted(Exhausted) => Self::NonceExhausted,
        }
    }
}

/// Seals the frames of one direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sealer<K: PairKey> {
    key: K,
    counter: Counter,
    random: Random,
    plain: Ignored<Wiped>,
    /// The tags of the frames sent last, the newest at `sent % DISTANCE`.
    tags: [[u8; TAG]; DISTANCE],
    sent: u64,
}

impl<K: PairKey> Sealer<K> {
    /// For frames that `role` sends.
    #[must_use]
    pub fn new(key: K, role: Role, random: Random) -> Self {
        Self::at(key, Counter::of(role), random)
    }

    /// For tests and replays: goes on at a counter. Never seal twice with one key and counter.
    #[must_use]
    pub fn at(key: K, counter: Counter, random: Random) -> Self {
        Self {
            key,
            counter,
            random,
            plain: Ignored::default(),
            tags: [[0; TAG]; DISTANCE],
            sent: 0,
        }
    }

    /// Seals one message into `frame`, which is replaced. Gives the counter that was used.
    ///
    /// # Errors
    /// [`Exhausted`]
    pub fn seal(
        &mut self,
        text: bool,
        message: &[u8],
        marks: usize,
        frame: &mut Vec<u8>,
    ) -> Result<u64, Exhausted> {
        let counter = self.counter.peek().ok_or(Exhausted)?;
        self.counter.advance();
        self.plain.make_room(MAX_PADDING + message.len() + marks, 0);
        self.plain.clear();
        padding::pad(text, &mut self.random, &mut self.plain);
        self.plain.extend_from_slice(message);
        self.plain.extend(core::iter::repeat_n(b'x', marks));
        // Only what the buffer grows by is filled with zeros.
        frame.resize(self.plain.len() + TAG, 0);
        self.key.seal(&nonce(counter), &self.plain, frame);
        self.sent += 1;
        if let Some(tag) = frame.first_chunk() {
            self.tags[(self.sent % DISTANCE as u64) as usize] = *tag;
        }
        Ok(counter)
    }

    /// Whether this is the tag of one of the frames sent last.
    pub(super) fn sent_lately(&self, tag: &[u8]) -> bool {
        let kept = self.sent.min(DISTANCE as u64);
        (0..kept).any(|back| self.tags[((self.sent - back) % DISTANCE as u64) as usize] == tag)
    }

    pub(super) const fn counter(&self) -> &Counter {
        &self.counter
    }
}

/// What was in a frame: the text flag, and where the message starts in the plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Whether it is a text.
    pub text: bool,
    /// Where the message starts.
    pub start: usize,
    /// The counter that opened it.
    pub counter: u64,
}

/// Opens the frames of one direction, in strict order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opener<K: PairKey> {
    key: K,
    counter: Counter,
    accepted: u64,
}

impl<K: PairKey> Opener<K> {
    /// For frames that `role` (the other side) sends.
    #[must_use]
    pub const fn new(key: K, role: Role) -> Self {
        Self::at(key, Counter::of(role))
    }

    /// For tests and replays: goes on at a counter.
    #[must_use]
    pub const fn at(key: K, counter: Counter) -> Self {
        Self {
            key,
            counter,
            accepted: 0,
        }
    }

    /// Opens one frame into `plain`, which is replaced.
    ///
    /// # Errors
    /// [`FrameFault`]; the channel is over then.
    pub fn open(&mut self, frame: &[u8], plain: &mut Vec<u8>) -> Result<Opened, FrameFault> {
        if frame.len() <= TAG {
            return Err(FrameFault::TooShort(frame.len()));
        }
        if frame.len() > limits::FRAME {
            return Err(FrameFault::TooLong(frame.len()));
        }
        let counter = self.counter.peek().ok_or(Exhausted)?;
        plain.resize(frame.len() - TAG, 0);
        self.key
            .open(&nonce(counter), frame, plain)
            .map_err(|_| FrameFault::DoesNotOpen(counter))?;
        self.advance();
        let (text, start) = padding::strip(plain)?;
        Ok(Opened {
            text,
            start,
            counter,
        })
    }

    /// Whether a frame opens at a counter; its lengths have been looked at.
    pub(super) fn verifies(&self, counter: u64, frame: &[u8]) -> bool {
        self.key.verify(&nonce(counter), frame)
    }

    /// Opens a frame ahead of its turn, into a buffer that is shorter by a tag.
    pub(super) fn open_at(
        &self,
        counter: u64,
        frame: &[u8],
        plain: &mut [u8],
    ) -> Result<(), Forged> {
        self.key.open(&nonce(counter), frame, plain)
    }

    /// The next frame was accepted.
    pub(super) const fn advance(&mut self) {
        self.counter.advance();
        self.accepted += 1;
    }

    pub(super) const fn key(&self) -> &K {
        &self.key
    }

    pub(super) const fn counter(&self) -> &Counter {
        &self.counter
    }

    pub(super) const fn accepted(&self) -> u64 {
        self.accepted
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::crypto::{Nacl, RawKey, Secret, Suite};

    /// A buffer that grew would have left plaintext behind. The first of a sealer is made for the first message.
    #[test]
    fn room_for_a_plaintext_is_made_before_it_is_written() {
        let key = <<Nacl as Suite>::Pair as RawKey>::from_raw(Secret::take(&mut [7; 32]));
        for (length, marks) in [(0, 0), (1, 0), (100, 70), (1000, 1)] {
            let random = Random::new([length as u8; 32]);
            let mut sealer = Sealer::new(key.clone(), Role::Initiator, random);
            let mut frame = Vec::new();
            let sealed = sealer.seal(true, &vec![b'm'; length], marks, &mut frame);
            assert_eq!(sealed, Ok(1));
            assert_eq!(sealer.plain.capacity(), MAX_PADDING + length + marks);
        }
    }
}
