//! The clocks of a party, which are not those of the world: shifted, too fast or slow, jumping.

use chumwire::time::Micros;

/// How a party's clocks differ from the world's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Skew {
    /// The monotonic clock is ahead by this; negative: behind. Its zero is anybody's choice.
    pub mono: i64,
    /// The monotonic clock gains so many microseconds in a second; negative: it loses them.
    pub ppm: i32,
    /// The wall clock is ahead by so many milliseconds; negative: behind.
    pub wall: i64,
}

/// A party's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// The world's time when the clock was last set, and what the clock said then less that.
    set_at: Micros,
    ahead: i64,
    ppm: i64,
    pub(super) wall: i64,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// Sets the clock anew.
    pub(super) fn skew(&mut self, now: Micros, skew: Skew) {
        *self = Self {
            set_at: now,
            ahead: skew.mono,
            ppm: i64::from(skew.ppm.max(-999_999)),
            wall: skew.wall,
        };
    }

    /// Moves the monotonic clock; negative: back.
    pub(super) fn jump(&mut self, by: i64) {
        self.ahead = self.ahead.saturating_add(by);
    }

    const fn is_right(&self) -> bool {
        self.ahead == 0 && self.ppm == 0
    }

    /// What the monotonic clock says at a moment of the world.
    pub(super) fn says(&self, at: Micros) -> Micros {
        if self.is_right() {
            return at;
        }
        let since = i128::from(at.0) - i128::from(self.set_at.0);
        let local =
            i128::from(at.0) + i128::from(self.ahead) + since * i128::from(self.ppm) / MILLION;
        Micros(u64::try_from(local.max(0)).unwrap_or(u64::MAX))
    }

    /// The first moment of the world, not before `now`, at which the clock says this or more.
    pub(super) fn when(&self, now: Micros, local: Micros) -> Micros {
        if self.is_right() {
            return local;
        }
        let wanted = i128::from(local.0) - i128::from(self.set_at.0) - i128::from(self.ahead);
        let since = wanted * MILLION / (MILLION + i128::from(self.ppm));
        let at = i128::from(self.set_at.0) + since;
        let mut at = Micros(u64::try_from(at.max(0)).unwrap_or(u64::MAX)).max(now);
        // The divisions round; the error is a microsecond or two.
        while at > now && self.says(Micros(at.0 - 1)) >= local {
            at.0 -= 1;
        }
        while self.says(at) < local && at.0 < u64::MAX {
            at.0 += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_at_the_first_moment_that_the_clock_says_it() {
        for (mono, ppm) in [
            (0, 0),
            (7_000_000, 0),
            (-999_000, 300),
            (5, -300),
            (0, -90_000),
        ] {
            let (mut clock, now) = (Clock::default(), Micros::secs(1));
            clock.skew(now, Skew { mono, ppm, wall: 0 });
            for after in [1, 2, 999, 1_000_003, 86_400_000_000] {
                let local = Micros(clock.says(now).0 + after);
                let at = clock.when(now, local);
                assert!(clock.says(at) >= local, "{mono} {ppm} {after}");
                assert!(clock.says(Micros(at.0 - 1)) < local, "{mono} {ppm} {after}");
            }
            assert_eq!(
                clock
                    .when(Micros::secs(2), Micros::ZERO)
                    .max(Micros::secs(2)),
                Micros::secs(2)
            );
        }
    }

    #[test]
    fn a_fast_clock_gains_and_a_jump_moves_it() {
        let mut clock = Clock::default();
        clock.skew(
            Micros::ZERO,
            Skew {
                mono: 0,
                ppm: 100,
                wall: 0,
            },
        );
        assert_eq!(clock.says(Micros::secs(10)), Micros(10_001_000));
        clock.jump(-2_000);
        assert_eq!(clock.says(Micros::secs(10)), Micros(9_999_000));
    }
}
