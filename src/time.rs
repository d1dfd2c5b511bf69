//! Time as the caller tells it. No machine reads a clock.
//!
//! Deadlines use the monotonic part alone; the wall part is for expiry and stamps.

use core::fmt;
use core::ops::Add;

/// A length of time, or a moment on the caller's monotonic clock, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// Nothing at all; also the moment at which a simulation usually starts.
    pub const ZERO: Self = Self(0);

    /// `n` seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Self {
        Self(n.saturating_mul(1_000_000))
    }

    /// `n` milliseconds.
    #[must_use]
    pub const fn millis(n: u64) -> Self {
        Self(n.saturating_mul(1_000))
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// The time from `earlier` until here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Micros {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000, self.0 / 1_000 % 1_000)
    }
}

/// Wall-clock time: milliseconds since 1970 UTC.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// The caller's two clocks, read at the moment of an input.
///
/// A `mono` that lies before the latest one seen is taken as the latest one seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Now {
    /// Monotonic time; its zero point is the caller's.
    pub mono: Micros,
    /// Wall-clock time; it may jump.
    pub wall: Millis,
}

impl Now {
    /// This moment, but never before `latest`, which is moved up to it.
    pub(crate) fn not_before(mut self, latest: &mut Micros) -> Self {
        self.mono = self.mono.max(*latest);
        *latest = self.mono;
        self
    }
}

/// Why a machine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// A step of a connection has its time limit then.
    StepLimit,
    /// A keepalive has to be sent.
    KeepaliveSend,
    /// The other side has been silent for too long.
    KeepaliveGiveUp,
    /// A frame that others have overtaken has to have come.
    GapLimit,
    /// A relay has to ping a spare connection.
    Ping,
    /// A pong has to have come.
    PongLimit,
    /// A ping has to have come.
    PingLimit,
    /// A spare connection is registered anew.
    Register,
    /// A route is dialled again.
    Redial,
    /// An invitation expires.
    Expiry,
    /// A relayed pair has been idle for too long.
    Idle,
    /// A rate limit lets the next one through.
    Rate,
    /// A connection that was told to close has not done so.
    CloseLimit,
    /// CHUM starts, asks again, or looks for new roots.
    Chum,
    /// A request has to have its answer.
    RequestLimit,
    /// The next chunk of a stream has to have come.
    StreamLimit,
}

/// The next moment at which a machine wants a tick, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    /// When, on the monotonic clock.
    pub at: Micros,
    /// What for.
    pub why: Alarm,
}

impl Deadline {
    /// The earlier of two deadlines that may be absent.
    #[must_use]
    pub fn earlier(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
