//! Fingerprints: 128 bits that stand for a state, the same in every process.
//!
//! Two states of one campaign share a fingerprint by accident with a probability of 2^-128 times the pairs there are:
//! of 10^8 states, less than 10^-22.

use core::hash::{Hash, Hasher};

use hashbrown::HashTable;

/// What stands for a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Print(pub [u64; 2]);

impl Print {
    /// Of anything that can be hashed. Equal values have equal prints.
    pub(super) fn of(value: &(impl Hash + ?Sized)) -> Self {
        let mut printer = Printer::default();
        value.hash(&mut printer);
        printer.print()
    }
}

/// Both halves of the product, folded.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// A hasher of 128 bits without a secret: it is for states, which nobody chooses to collide.
pub(super) struct Printer([u64; 2]);

impl Default for Printer {
    fn default() -> Self {
        Self([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344])
    }
}

impl Printer {
    pub(super) const fn word(&mut self, word: u64) {
        self.add(Print([word, word.rotate_left(29)]));
    }

    /// Each half of a print goes into one half of this one, and both halves into each other.
    pub(super) const fn add(&mut self, print: Print) {
        let ([a, b], [one, other]) = (self.0, print.0);
        self.0 = [
            fold(a ^ one ^ 0xa409_3822_299f_31d0, b ^ 0x082e_fa98_ec4e_6c89) ^ b,
            fold(b ^ other ^ 0x4528_21e6_38d0_1377, a ^ 0xbe54_66cf_34e9_0c6c).wrapping_add(a),
        ];
    }

    pub(super) const fn print(&self) -> Print {
        Print(self.0)
    }
}

impl Hasher for Printer {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length keeps zeros at the end apart.
        self.word(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }

    fn finish(&self) -> u64 {
        self.0[0] ^ self.0[1]
    }
}

/// Numbers of prints, in the order of their coming.
#[derive(Default)]
pub(super) struct Prints {
    all: Vec<Print>,
    table: HashTable<u32>,
}

impl Prints {
    /// The number of a print; whether it is new.
    pub(super) fn number(&mut self, print: Print) -> (u32, bool) {
        let Self { all, table } = self;
        let entry = table.entry(
            print.0[0],
            |n| all[*n as usize] == print,
            |n| all[*n as usize].0[0],
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => (*entry.get(), false),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let number = u32::try_from(all.len()).unwrap_or(u32::MAX);
                entry.insert(number);
                all.push(print);
                (number, true)
            }
        }
    }

    pub(super) fn get(&self, number: u32) -> Print {
        self.all[number as usize]
    }

    pub(super) fn all(&self) -> &[Print] {
        &self.all
    }

    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }
}

/// Answers that were given before, by small keys.
pub(super) struct Memo<K> {
    table: HashTable<(K, u32)>,
}

impl<K> Default for Memo<K> {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
        }
    }
}

impl<const N: usize> Memo<[u32; N]> {
    fn hash(key: &[u32; N]) -> u64 {
        let mut hash = 0x9e37_79b9_7f4a_7c15;
        for word in key {
            hash = fold(hash ^ u64::from(*word), 0xff51_afd7_ed55_8ccd);
        }
        hash
    }

    pub(super) fn get(&self, key: &[u32; N]) -> Option<u32> {
        let found = self.table.find(Self::hash(key), |(k, _)| k == key);
        found.map(|(_, answer)| *answer)
    }

    pub(super) fn put(&mut self, key: [u32; N], answer: u32) {
        self.table
            .insert_unique(Self::hash(&key), (key, answer), |(k, _)| Self::hash(k));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_keep_apart_what_differs() {
        let texts = ["", "a", "b", "ab", "a\0", "abcdefgh", "abcdefgh\0"];
        for one in texts {
            for other in texts {
                let same = Print::of(one.as_bytes()) == Print::of(other.as_bytes());
                assert_eq!(same, one == other, "{one:?} {other:?}");
            }
        }
        assert_ne!(Print::of(&(1_u8, 2_u8)), Print::of(&(2_u8, 1_u8)));
    }

    #[test]
    fn a_print_has_one_number() {
        let mut prints = Prints::default();
        let all: Vec<Print> = (0..1000_u64).map(|n| Print::of(&n)).collect();
        for print in all.iter().chain(&all) {
            let (number, _) = prints.number(*print);
            assert_eq!(prints.get(number), *print);
        }
        assert_eq!(prints.len(), all.len());
        let mut memo = Memo::default();
        memo.put([1, 2], 3);
        assert_eq!((memo.get(&[1, 2]), memo.get(&[2, 1])), (Some(3), None));
    }
}
