//! What an exporter has listed for a person, and when (spec 11, "roots since", rules 1 to 3).
//!
//! Right is whatever keeps this: *an entry whose stamp is not greater than that of a pair is in the list of the pair's
//! digest.* Any list may be taken next, an older one too: so the journal and the grants need no common snapshot, two
//! connections may each take what they read, and a journal may be lost, or be an old one, at any time. It must only
//! be written as a whole.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::since::STAMP;
use crate::time::Millis;

/// How many lists are remembered by their digests.
const PAIRS: usize = 64;
/// The form of the bytes.
const FORM: u8 = 1;

type Hash = [u8; 32];

/// The lists of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Journal {
    last: u64,
    /// Lists and their stamps, the last one at the end.
    pairs: Vec<(Hash, u64)>,
    /// Entries of the last list, by the SHA-256 of their texts: when each was listed first.
    entries: BTreeMap<Hash, u64>,
}

impl Journal {
    /// Rule 1: this is the list now.
    pub(super) fn listed(&mut self, list: impl Iterator<Item = Hash>, clock: Millis) {
        let mut stamp = self.last + 1;
        // A clock that runs mad takes no stamps away.
        if clock.0 <= STAMP / 2 {
            stamp = stamp.max(clock.0);
        }
        if stamp > STAMP {
            // No stamp is left. Without pairs, all is new.
            (*self, stamp) = (Self::default(), 1);
        }
        let mut entries = BTreeMap::new();
        let mut differs = self.pairs.is_empty();
        for entry in list {
            let known = self.entries.get(&entry).copied();
            differs |= known.is_none();
            entries.insert(entry, known.unwrap_or(stamp));
        }
        differs |= entries.len() != self.entries.len();
        self.entries = entries;
        if differs {
            self.last = stamp;
        }
    }

    /// Rule 3: the stamp of the list with this digest, if it is known.
    pub(super) fn stamp_of_list(&self, digest: &Hash) -> Option<u64> {
        let pair = self.pairs.iter().find(|(of, _)| of == digest);
        pair.map(|(_, stamp)| *stamp)
    }

    /// When an entry was listed first.
    pub(super) fn stamp_of_entry(&self, entry: &Hash) -> u64 {
        self.entries.get(entry).copied().unwrap_or(self.last)
    }

    /// Rule 3: the list has this digest.
    pub(super) fn remember(&mut self, digest: Hash) {
        self.pairs.retain(|(of, _)| *of != digest);
        self.pairs.push((digest, self.last));
        let over = self.pairs.len().saturating_sub(PAIRS);
        self.pairs.drain(..over);
    }

    /// The last stamp.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// As bytes: the form, the last stamp, the number of pairs, the pairs, the entries. Numbers have eight bytes, the
    /// greatest first; a hash stands before its stamp.
    pub(super) fn write(&self) -> Vec<u8> {
        let length = 10 + 40 * (self.pairs.len() + self.entries.len());
        let mut bytes = Vec::with_capacity(length);
        bytes.push(FORM);
        bytes.extend_from_slice(&self.last.to_be_bytes());
        bytes.push(u8::try_from(self.pairs.len()).unwrap_or_default());
        let pairs = self.pairs.iter().map(|(hash, stamp)| (hash, stamp));
        for (hash, stamp) in pairs.chain(&self.entries) {
            bytes.extend_from_slice(hash);
            bytes.extend_from_slice(&stamp.to_be_bytes());
        }
        bytes
    }

    /// From such bytes. What is no journal is as good as a lost one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[form], bytes) = bytes.split_first_chunk()?;
        let (last, bytes) = number(bytes)?;
        let (&[count], mut bytes) = bytes.split_first_chunk()?;
        let count = usize::from(count);
        if form != FORM || last > STAMP || count > PAIRS {
            return None;
        }
        let mut pairs = Vec::with_capacity(count);
        let mut entries = BTreeMap::new();
        while let Some((hash, rest)) = bytes.split_first_chunk::<32>() {
            let (stamp, rest) = number(rest)?;
            bytes = rest;
            if stamp > last {
                return None;
            }
            if pairs.len() < count {
                pairs.push((*hash, stamp));
            } else {
                entries.insert(*hash, stamp);
            }
        }
        (bytes.is_empty() && pairs.len() == count).then_some(Self {
            last,
            pairs,
            entries,
        })
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[u8]) -> impl Iterator<Item = Hash> {
        entries.iter().map(|entry| [*entry; 32])
    }

    #[test]
    fn it_is_read_as_it_was_written_and_nothing_else_is() {
        let mut journal = Journal::default();
        for n in 0..100 {
            journal.listed(list(&[1, 2, n]), Millis(5));
            journal.remember([n; 32]);
        }
        let bytes = journal.write();
        assert_eq!(journal.pairs.len(), PAIRS);
        assert_eq!(Journal::read(&bytes), Some(journal));
        for cut in 0..bytes.len() {
            // A whole entry less is a journal that never was; the store writes all or nothing.
            if (bytes.len() - cut) % 40 != 0 {
                assert_eq!(Journal::read(&bytes[..cut]), None, "{cut}");
            }
        }
    }

    #[test]
    fn a_stamp_belongs_to_the_first_listing_and_never_goes_back() {
        let mut journal = Journal::default();
        journal.listed(list(&[1]), Millis(1_000));
        journal.remember([101; 32]);
        assert_eq!(
            (journal.last(), journal.stamp_of_entry(&[1; 32])),
            (1_000, 1_000)
        );
        // The same list: no new stamp, however late it is.
        journal.listed(list(&[1]), Millis(2_000));
        assert_eq!(journal.last(), 1_000);
        // The clock goes back.
        journal.listed(list(&[1, 2]), Millis(10));
        assert_eq!(journal.stamp_of_entry(&[2; 32]), 1_001);
        // Withdrawn, and granted again.
        journal.listed(list(&[2]), Millis(10));
        journal.listed(list(&[1, 2]), Millis(10));
        assert_eq!(journal.stamp_of_entry(&[1; 32]), 1_003);
        assert_eq!(journal.stamp_of_list(&[101; 32]), Some(1_000));
    }

    #[test]
    fn a_mad_clock_uses_no_stamps_up_and_without_stamps_all_is_new() {
        let mut journal = Journal::default();
        journal.listed(list(&[1]), Millis(u64::MAX));
        assert_eq!(journal.last(), 1);
        journal.last = STAMP;
        journal.remember([101; 32]);
        journal.listed(list(&[1, 2]), Millis(7));
        assert_eq!(journal.stamp_of_list(&[101; 32]), None);
        assert_eq!(journal.last(), 1);
    }

    #[test]
    fn whatever_is_listed_what_a_pair_does_not_have_is_newer() {
        // Short lists of few entries in any order: what the file promises at its top.
        let mut seed = 7_u64;
        for _ in 0..2_000 {
            let mut journal = Journal::default();
            let mut lists = BTreeMap::new();
            for _ in 0..20 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let mask = (seed >> 40) as u8 & 31;
                let entries: Vec<u8> = (0..5).filter(|bit| mask >> bit & 1 == 1).collect();
                journal.listed(list(&entries), Millis(seed >> 60));
                for (digest, had) in &lists {
                    let Some(stamp) = journal.stamp_of_list(&[*digest; 32]) else {
                        continue;
                    };
                    for entry in &entries {
                        let had: &Vec<u8> = had;
                        let sent = journal.stamp_of_entry(&[*entry; 32]) > stamp;
                        assert!(sent || had.contains(entry));
                    }
                }
                journal.remember([mask; 32]);
                lists.insert(mask, entries);
            }
        }
    }
}
