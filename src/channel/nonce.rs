//! Nonces: a counter that is never on the wire (spec 04, "Nonces").

use crate::crypto::NONCE;
use crate::role::Role;

/// No counter reaches this: the deployed peer counts in a double.
pub const COUNTER_END: u64 = (1 << 53) - 2;

/// The 24 bytes of a counter: sixteen zeros, then the counter, big-endian.
#[must_use]
pub const fn nonce(counter: u64) -> [u8; NONCE] {
    let bytes = counter.to_be_bytes();
    let mut nonce = [0; NONCE];
    let mut i = 0;
    while i < 8 {
        nonce[16 + i] = bytes[i];
        i += 1;
    }
    nonce
}

/// The counter of one direction: goes up by two, never wraps, never comes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    next: u64,
}

impl Counter {
    /// The counter of frames that `role` sends.
    #[must_use]
    pub const fn of(role: Role) -> Self {
        Self {
            next: role.first_counter(),
        }
    }

    /// For tests and replays: a counter that stands at `next`.
    #[must_use]
    pub const fn at(next: u64) -> Self {
        Self { next }
    }

    /// The next counter; `None` when they are used up.
    #[must_use]
    pub const fn peek(&self) -> Option<u64> {
        if self.next < COUNTER_END {
            Some(self.next)
        } else {
            None
        }
    }

    /// Moves past the next counter.
    pub const fn advance(&mut self) {
        self.next = self.next.saturating_add(2);
    }

    /// The raw value of what comes next, also beyond the end.
    #[must_use]
    pub const fn raw(&self) -> u64 {
        self.next
    }
}
