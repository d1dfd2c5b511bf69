//! When a sign of life has to be given, and when one is missed (spec 04, "Keepalive").

use crate::limits;
use crate::time::{Alarm, Deadline, Micros};

/// The two timers of a channel. Both start when the handshake ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keepalive {
    send_at: Micros,
    give_up_at: Micros,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A keepalive has to be sent.
    Send,
    /// The other side has been silent for too long. This one wins when both are due.
    GiveUp,
}

impl Keepalive {
    /// Starts both timers.
    #[must_use]
    pub fn start(now: Micros) -> Self {
        Self {
            send_at: now + limits::KEEPALIVE_SEND,
            give_up_at: now + limits::KEEPALIVE_GIVE_UP,
        }
    }

    /// A message was sent.
    pub fn sent(&mut self, now: Micros) {
        self.send_at = now + limits::KEEPALIVE_SEND;
    }

    /// A message was received and authentic.
    pub fn received(&mut self, now: Micros) {
        self.give_up_at = now + limits::KEEPALIVE_GIVE_UP;
    }

    /// What is due.
    #[must_use]
    pub fn due(&self, now: Micros) -> Due {
        if now >= self.give_up_at {
            Due::GiveUp
        } else if now >= self.send_at {
            Due::Send
        } else {
            Due::Nothing
        }
    }

    /// Whether the moment to give up has passed already.
    #[must_use]
    pub fn is_overdue(&self, now: Micros) -> bool {
        now > self.give_up_at
    }

    /// The earlier of the two timers.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        let send = Deadline {
            at: self.send_at,
            why: Alarm::KeepaliveSend,
        };
        let give_up = Deadline {
            at: self.give_up_at,
            why: Alarm::KeepaliveGiveUp,
        };
        send.min(give_up)
    }

    pub(super) fn rebase(&mut self, now: Micros) {
        self.send_at = self.send_at.since(now);
        self.give_up_at = self.give_up_at.since(now);
    }
}
