//! Why a frame failed, for the local log alone (spec 07, "How a failed frame is told apart").

use alloc::vec::Vec;
use core::fmt;

use super::frame::{DISTANCE, Opener, Sealer};
use super::nonce::{COUNTER_END, nonce};
use crate::crypto::{NONCE, PairKey, SEALED_KEY, TAG};
use crate::role::Role;

/// Bytes of MAC input that one failure may cost.
const WORK: usize = 1024 * 1024;
/// Siblings that are looked at.
const SIBLINGS: usize = 16;

/// What is known about the frame that ended a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Diagnosis {
    /// Shorter than a tag and one byte.
    TooShort,
    /// One of the frames that this side sent last.
    Mirrored,
    /// It opens with a later counter: frames before it are missing or late.
    Ahead {
        /// How many frames are missing.
        distance: u64,
    },
    /// It opens with a counter that has passed: it came twice.
    Duplicate {
        /// How many frames ago it came first.
        distance: u64,
    },
    /// Nothing was accepted yet, and it opens with this counter: the peer starts at the wrong number, or plays the
    /// same role. -1 stands for eight bytes of 0xff.
    WrongStart(i8),
    /// It opens with this side's own parity: an older frame of ours came back.
    MirroredOlder,
    /// A handshake key message.
    KeyMessage,
    /// Sealed for another connection of this node.
    OtherConnection,
    /// Altered, cut, or sealed with a key that is not known here.
    TamperedOrForeign,
    /// The frame is too long to be looked at within the bound on work.
    NotExamined,
}

impl Diagnosis {
    /// A stable name in snake_case, for scripts. The sentence may change.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::Mirrored => "mirrored",
            Self::Ahead { .. } => "ahead",
            Self::Duplicate { .. } => "duplicate",
            Self::WrongStart(_) => "wrong_start",
            Self::MirroredOlder => "mirrored_older",
            Self::KeyMessage => "key_message",
            Self::OtherConnection => "other_connection",
            Self::TamperedOrForeign => "tampered_or_foreign",
            Self::NotExamined => "not_examined",
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("too short to be a frame"),
            Self::Mirrored => f.write_str("mirrored: one of our own frames came back"),
            Self::Ahead { distance } => write!(f, "reordered or lost, distance {distance}"),
            Self::Duplicate { distance } => write!(f, "duplicate of {distance} frames ago"),
            Self::WrongStart(at) => {
                write!(
                    f,
                    "the peer starts at counter {at}: a wrong start, or a role conflict"
                )
            }
            Self::MirroredOlder => f.write_str("mirrored: an older frame of ours came back"),
            Self::KeyMessage => f.write_str("a key message of a handshake"),
            Self::OtherConnection => f.write_str("sealed for another connection"),
            Self::TamperedOrForeign => f.write_str("tampered with, truncated, or of a wrong key"),
            Self::NotExamined => f.write_str("not examined: too long"),
        }
    }
}

/// Another channel of the same node, as the diagnosis sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sibling<'a, K> {
    pub(super) key: &'a K,
    pub(super) next: u64,
}

/// The frame that failed, kept until it is diagnosed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PostMortem(Vec<u8>);

impl PostMortem {
    pub(super) fn new(frame: &[u8]) -> Self {
        // A longer one is not examined; its first bytes are enough to say so.
        Self(frame[..frame.len().min(crate::limits::FRAME + 1)].into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Openings that are tried, until the work is used up.
struct Search<'a> {
    frame: &'a [u8],
    left: usize,
}

impl Search<'_> {
    fn opens<K: PairKey>(&mut self, key: &K, nonce: &[u8; NONCE]) -> bool {
        match self.left.checked_sub(self.frame.len()) {
            Some(left) => {
                self.left = left;
                key.verify(nonce, self.frame)
            }
            None => false,
        }
    }

    fn opens_at<K: PairKey>(&mut self, key: &K, counter: u64) -> bool {
        counter < COUNTER_END && self.opens(key, &nonce(counter))
    }
}

/// The causes are looked for in the order of the spec.
pub(super) fn diagnose<K: PairKey>(
    frame: &[u8],
    role: Role,
    window: usize,
    sealer: &Sealer<K>,
    opener: &Opener<K>,
    static_key: Option<&K>,
    siblings: &[Sibling<'_, K>],
) -> Diagnosis {
    if frame.len() <= TAG {
        return Diagnosis::TooShort;
    }
    if sealer.sent_lately(&frame[..TAG]) {
        return Diagnosis::Mirrored;
    }
    if frame.len() > crate::limits::FRAME {
        return Diagnosis::NotExamined;
    }
    let mut search = Search { frame, left: WORK };
    let (key, next) = (opener.key(), opener.counter().raw());
    // What a reorder window covers was tried when the frame came.
    let tried = window as u64;
    for distance in tried + 1..=tried + DISTANCE as u64 {
        if search.opens_at(key, next.saturating_add(2 * distance)) {
            return Diagnosis::Ahead { distance };
        }
    }
    for distance in 1..=opener.accepted().min(DISTANCE as u64) {
        if search.opens_at(key, next - 2 * distance) {
            return Diagnosis::Duplicate { distance };
        }
    }
    if opener.accepted() == 0 {
        let mut minus_one = [0; NONCE];
        minus_one[16..].fill(0xff);
        if search.opens(key, &minus_one) {
            return Diagnosis::WrongStart(-1);
        }
        for start in 0..=2_u8 {
            if search.opens_at(key, u64::from(start)) {
                return Diagnosis::WrongStart(start as i8);
            }
        }
    } else {
        // The last ones were recognised by their tags: those before them are tried.
        let mut own = sealer.counter().raw().checked_sub(2 * DISTANCE as u64);
        for _ in 0..DISTANCE {
            own = own.and_then(|counter| counter.checked_sub(2));
            let Some(counter) = own.filter(|counter| *counter >= role.first_counter()) else {
                break;
            };
            if search.opens_at(key, counter) {
                return Diagnosis::MirroredOlder;
            }
        }
    }
    if frame.len() == SEALED_KEY
        && let Some(static_key) = static_key
        && let Some((nonce, body)) = frame.split_first_chunk::<NONCE>()
        && static_key.verify(nonce, body)
    {
        return Diagnosis::KeyMessage;
    }
    for sibling in siblings.iter().take(SIBLINGS) {
        for counter in [
            Some(sibling.next),
            sibling.next.checked_sub(2),
            sibling.next.checked_add(2),
        ]
        .into_iter()
        .flatten()
        {
            if search.opens_at(sibling.key, counter) {
                return Diagnosis::OtherConnection;
            }
        }
    }
    if search.left < frame.len() {
        Diagnosis::NotExamined
    } else {
        Diagnosis::TamperedOrForeign
    }
}
