//! Which seeds there are, without a list of them.

use std::ops::Range;

/// Every `step`-th seed from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seeds {
    first: u64,
    step: u64,
    /// How many.
    pub(super) count: u64,
}

impl Seeds {
    /// The seeds of a range that leave `part` when they are divided by `parts`.
    pub(super) fn of(range: &Range<u64>, (part, parts): (u64, u64)) -> Self {
        let ahead = (part + parts - range.start % parts) % parts;
        let rest = (range.end - range.start).saturating_sub(ahead);
        Self {
            first: range.start.saturating_add(ahead),
            step: parts,
            count: rest.div_ceil(parts),
        }
    }

    /// The seed of this number, from 0.
    pub(super) fn get(&self, number: u64) -> Option<u64> {
        (number < self.count).then(|| self.first + number * self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_range_are_the_range() {
        for range in [0..10, 3..4, 7..29, 0..0, u64::MAX - 5..u64::MAX] {
            for parts in 1..6 {
                let mut all: Vec<u64> = (0..parts)
                    .map(|part| Seeds::of(&range, (part, parts)))
                    .flat_map(|seeds| (0..seeds.count).filter_map(move |n| seeds.get(n)))
                    .collect();
                all.sort_unstable();
                assert_eq!(
                    all,
                    range.clone().collect::<Vec<_>>(),
                    "{range:?} in {parts}"
                );
            }
        }
        assert_eq!(Seeds::of(&(0..u64::MAX), (0, 1)).count, u64::MAX);
    }
}
