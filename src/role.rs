//! Who asked and who answered.

/// The two sides of a session. It decides the parity of the nonces, here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sent `communication_request`; seals with odd counters.
    Initiator,
    /// Answered `communication_ready`; seals with even counters.
    Acceptor,
}

impl Role {
    /// The other side's role.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Initiator => Self::Acceptor,
            Self::Acceptor => Self::Initiator,
        }
    }

    /// The counter of this side's first frame.
    #[must_use]
    pub const fn first_counter(self) -> u64 {
        match self {
            Self::Initiator => 1,
            Self::Acceptor => 0,
        }
    }

    /// Its name, as scripts see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Acceptor => "acceptor",
        }
    }
}
