//! A suite without security, for mass runs: same lengths, same failures, a hundredth of the cost.
//!
//! It is a type of this crate so that no feature and no configuration can bring it into a real connection.

use chumwire::crypto::{Forged, KEY, NONCE, PairKey, RawKey, Secret, SmallOrder, Suite, TAG};

use crate::invariants::ledger::{self, Words};
use crate::invariants::secrets::Counted;

/// Keyed checksums in the place of cryptography. Anybody can break it; nobody meets it by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Insecure;

/// The key of a pair. Worlds count how many of them live, and whose they are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InsecureKey {
    words: Words,
    counted: Counted,
}

impl core::fmt::Debug for InsecureKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("InsecureKey").field(&self.words).finish()
    }
}

/// A permutation of 64 bits in which every input bit moves every output bit (the finisher of splitmix64).
pub(crate) const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn words(bytes: &[u8; KEY]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

impl Suite for Insecure {
    type Pair = InsecureKey;

    const NAME: &'static str = "insecure";

    fn public_key(secret: &Secret<KEY>) -> [u8; KEY] {
        let mut public = [0; KEY];
        for (i, (to, word)) in public
            .as_chunks_mut()
            .0
            .iter_mut()
            .zip(words(secret.expose()))
            .enumerate()
        {
            // The index keeps equal words apart, and the public key of the zero secret from being zero.
            *to = mix(word.wrapping_add(i as u64 + 1)).to_le_bytes();
        }
        public
    }

    fn before(public: &[u8; KEY], secret: &Secret<KEY>) -> Result<InsecureKey, SmallOrder> {
        if *public == [0; KEY] {
            return Err(SmallOrder);
        }
        let (own, peer) = (words(&Self::public_key(secret)), words(public));
        let mut key = [0; 4];
        for (i, word) in key.iter_mut().enumerate() {
            // Symmetric in the two public keys, so both sides get the same.
            *word = mix(mix(own[i]).wrapping_add(mix(peer[i])) ^ i as u64);
        }
        Ok(InsecureKey::of(key))
    }
}

impl RawKey for InsecureKey {
    fn from_raw(key: Secret<KEY>) -> Self {
        Self::of(words(key.expose()))
    }
}

/// Both halves of the product, folded: every bit of either number moves about half of the result.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Numbers without a pattern.
const ODD: [u64; 4] = [
    0x2d35_8dcc_aa6c_78a5,
    0x8bb8_4b93_962e_acc9,
    0x4b33_a62e_d433_d4a3,
    0x9e37_79b9_7f4a_7c15,
];

/// What a key and a nonce give: the start of the key stream, and of the checksum.
#[derive(Clone, Copy)]
struct State([u64; 2]);

impl InsecureKey {
    fn of(words: Words) -> Self {
        let counted = Counted::new();
        Self { words, counted }
    }

    fn state(&self, nonce: &[u8; NONCE]) -> State {
        let [a, b, c, d] = self.words;
        let nonce = nonce.as_chunks::<8>().0;
        let word = |i: usize| u64::from_le_bytes(nonce[i]);
        State([
            fold(a ^ word(0) ^ ODD[0], c ^ word(2) ^ ODD[1]),
            fold(b ^ word(1) ^ ODD[2], d ^ word(2).rotate_left(32) ^ ODD[3]),
        ])
    }
}

impl State {
    /// Puts the key stream over the bytes, or takes it off.
    fn crypt(self, bytes: &mut [u8]) {
        let Self([mut stream, step]) = self;
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            stream = stream.wrapping_add(step | 1);
            *word = (u64::from_le_bytes(*word) ^ stream).to_le_bytes();
        }
        let last = stream.wrapping_add(step | 1).to_le_bytes();
        for (byte, key) in rest.iter_mut().zip(last) {
            *byte ^= key;
        }
    }

    /// The checksum: two sums side by side, of the even and of the odd blocks.
    fn tag(self, ciphertext: &[u8]) -> [u8; TAG] {
        let Self(mut sums) = self;
        let (blocks, rest) = ciphertext.as_chunks::<16>();
        let mut take = |i: usize, block: &[u8; 16]| {
            let words = block.as_chunks::<8>().0;
            let word = |i: usize| u64::from_le_bytes(words[i]);
            let sum = &mut sums[i % 2];
            *sum = fold(word(0) ^ ODD[0], word(1) ^ *sum ^ ODD[1]).wrapping_add(*sum);
        };
        for (i, block) in blocks.iter().enumerate() {
            take(i, block);
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        take(blocks.len(), &last);
        let [even, odd] = sums;
        let end = fold(even ^ ODD[2], odd ^ ciphertext.len() as u64 ^ ODD[3]);
        let mut tag = [0; TAG];
        tag[..8].copy_from_slice(&end.to_le_bytes());
        tag[8..].copy_from_slice(&mix(end ^ even.rotate_left(32) ^ odd).to_le_bytes());
        tag
    }
}

impl PairKey for InsecureKey {
    fn seal(&self, nonce: &[u8; NONCE], plain: &[u8], sealed: &mut [u8]) {
        let Some((tag, body)) = sealed.split_first_chunk_mut::<TAG>() else {
            return;
        };
        let state = self.state(nonce);
        body.copy_from_slice(plain);
        state.crypt(body);
        *tag = state.tag(body);
        ledger::sealed(&self.words, nonce, *tag, body.len());
    }

    fn open(&self, nonce: &[u8; NONCE], sealed: &[u8], plain: &mut [u8]) -> Result<(), Forged> {
        let (tag, body) = sealed.split_first_chunk::<TAG>().ok_or(Forged)?;
        let state = self.state(nonce);
        if *tag != state.tag(body) {
            return Err(Forged);
        }
        plain.copy_from_slice(body);
        state.crypt(plain);
        ledger::opened(&self.words, nonce, *tag, body.len());
        Ok(())
    }

    fn verify(&self, nonce: &[u8; NONCE], sealed: &[u8]) -> bool {
        sealed
            .split_first_chunk::<TAG>()
            .is_some_and(|(tag, body)| *tag == self.state(nonce).tag(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(n: u8) -> Secret<KEY> {
        Secret::take(&mut [n; KEY])
    }

    #[test]
    fn both_sides_get_the_same_key_and_others_another() {
        let public = |n| Insecure::public_key(&secret(n));
        let (ab, ba) = (
            Insecure::before(&public(2), &secret(1)),
            Insecure::before(&public(1), &secret(2)),
        );
        assert_eq!(ab, ba);
        assert_ne!(ab, Insecure::before(&public(3), &secret(1)));
        assert_ne!(public(0), [0; KEY]);
        assert_eq!(Insecure::before(&[0; KEY], &secret(1)), Err(SmallOrder));
    }

    #[test]
    fn a_box_opens_whole_under_its_key_and_nonce_alone() {
        let key = InsecureKey::of([1, 2, 3, 4]);
        for length in [0, 1, 7, 8, 9, 100] {
            let plain: Vec<u8> = (0..length).collect();
            let mut sealed = vec![0; plain.len() + TAG];
            key.seal(&[7; NONCE], &plain, &mut sealed);
            let mut opened = vec![0; plain.len()];
            assert_eq!(key.open(&[7; NONCE], &sealed, &mut opened), Ok(()));
            assert_eq!(opened, plain);
            assert!(key.verify(&[7; NONCE], &sealed));
            assert!(!key.verify(&[8; NONCE], &sealed));
            assert!(!InsecureKey::of([1, 2, 3, 5]).verify(&[7; NONCE], &sealed));
            for bit in 0..sealed.len() * 8 {
                let mut altered = sealed.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.open(&[7; NONCE], &altered, &mut opened), Err(Forged));
            }
            assert!(!key.verify(&[7; NONCE], &sealed[..sealed.len() - 1]));
        }
    }
}
