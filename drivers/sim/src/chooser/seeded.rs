//! Choices from a seed.

use super::{Choice, Chooser};
use crate::insecure::mix;

/// Choices from a seed (splitmix64).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seeded(u64);

impl Seeded {
    /// The source of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Neighbouring seeds start far apart.
        Self(mix(seed.wrapping_add(0x5851_f42d_4c95_7f2d)))
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

impl Chooser for Seeded {
    fn choose(&mut self, _: Choice, options: usize) -> usize {
        // Options are few, so the bias is nil. The multiplication spares a division.
        ((u128::from(self.next()) * options.max(1) as u128) >> 64) as usize
    }
}
