//! All randomness, expanded from one 32-byte seed that the caller gives (spec 01).
//!
//! Fast key erasure: each refill replaces the key by the first 32 bytes of its own output, and what is handed out
//! is wiped here. Who reads the generator later cannot derive what it gave before.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::Secret;

/// What a draw is for. A scripted generator keeps the recorded values apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A long-term secret key or signing seed of a new identity, or a relay's key: 32 bytes.
    StaticKey,
    /// The secret of a session's ephemeral key pair: 32 bytes.
    EphemeralKey,
    /// The nonce of a challenge's or an answer's box: 24 bytes.
    BoxNonce,
    /// The nonce of a handshake's key message: 24 bytes.
    KeyNonce,
    /// A challenge of a relay or of a person: 64 bytes.
    Challenge,
    /// The bits of an invitation's token: 48 bytes.
    Token,
    /// The `someoneId` of a new contact: 32 bytes.
    SomeoneId,
    /// The stand-in for a key that is not ours: 32 bytes.
    DummyKey,
    /// How long the padding of a frame is: 1 byte.
    PadLength,
    /// The padding itself: up to 254 bytes.
    PadBytes,
    /// Spreading of delays: 8 bytes.
    Jitter,
    /// The seed of another generator: 32 bytes.
    Fork,
}

const KEY: usize = 32;
/// With the key, sixteen blocks of the cipher.
const POOL: usize = 992;

/// The seeded generator. Two generators compare equal whatever their position: what is still to be drawn is
/// arbitrary, and states are compared without it.
#[derive(Clone)]
pub struct Random {
    /// The next key, then bytes not yet handed out; those handed out are zero.
    pool: Box<[u8; KEY + POOL]>,
    /// Bytes of the pool that were handed out.
    used: usize,
    script: Option<Box<Script>>,
    #[cfg(test)]
    _live: super::live::Counted,
}

type Script = BTreeMap<Purpose, VecDeque<Vec<u8>>>;

impl Random {
    /// A generator from fresh entropy. Draw the seed from the operating system at each start; never store it.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        let mut seed = seed;
        let mut random = Self {
            pool: Box::new([0; KEY + POOL]),
            used: POOL,
            script: None,
            #[cfg(test)]
            _live: super::live::Counted::new(),
        };
        random.pool[..KEY].copy_from_slice(&seed);
        seed.zeroize();
        random
    }

    /// For replays: a generator that gives the recorded values of each purpose in their order, and then goes on
    /// from `seed`. A recorded value of another length than the draw's is skipped.
    #[must_use]
    pub fn scripted(seed: [u8; 32], draws: impl IntoIterator<Item = (Purpose, Vec<u8>)>) -> Self {
        let mut script = Script::new();
        for (purpose, value) in draws {
            script.entry(purpose).or_default().push_back(value);
        }
        let mut random = Self::new(seed);
        random.script = Some(Box::new(script));
        random
    }

    /// Fills `out` for `purpose`.
    pub fn fill(&mut self, purpose: Purpose, out: &mut [u8]) {
        if let Some(script) = &mut self.script
            && let Some(mut value) = script.get_mut(&purpose).and_then(VecDeque::pop_front)
        {
            let fits = value.len() == out.len();
            if fits {
                out.copy_from_slice(&value);
            }
            value.zeroize();
            if fits {
                return;
            }
        }
        let mut filled = 0;
        while filled < out.len() {
            if self.used == POOL {
                self.refill();
            }
            let n = (out.len() - filled).min(POOL - self.used);
            let from = &mut self.pool[KEY + self.used..KEY + self.used + n];
            out[filled..filled + n].copy_from_slice(from);
            // A plain fill does here: the pool lives on, so these writes are not dead.
            from.fill(0);
            self.used += n;
            filled += n;
        }
    }

    /// An array of random bytes.
    pub fn array<const N: usize>(&mut self, purpose: Purpose) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(purpose, &mut bytes);
        bytes
    }

    /// Random bytes that are a secret from the start.
    pub fn secret<const N: usize>(&mut self, purpose: Purpose) -> Secret<N> {
        Secret::filled(|bytes| self.fill(purpose, bytes))
    }

    /// A number below `bound`, or 0 if `bound` is 0. Good for spreading delays; slightly biased for huge bounds.
    pub fn below(&mut self, purpose: Purpose, bound: u64) -> u64 {
        u64::from_le_bytes(self.array(purpose))
            .checked_rem(bound)
            .unwrap_or(0)
    }

    /// A generator of its own, for a child machine: what the child draws moves nothing here. Each child gets a copy of
    /// a script: of the machines of one session, each draws for purposes of its own.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        let mut child = Self::new(self.array(Purpose::Fork));
        child.script = self.script.clone();
        child
    }

    /// Mixes fresh entropy in.
    pub fn reseed(&mut self, entropy: &[u8; 32]) {
        let mut key: [u8; KEY] = Sha256::new()
            .chain_update(b"chumwire reseed")
            .chain_update(&self.pool[..KEY])
            .chain_update(entropy)
            .finalize()
            .into();
        self.pool.zeroize();
        self.pool[..KEY].copy_from_slice(&key);
        key.zeroize();
        self.used = POOL;
    }

    fn refill(&mut self) {
        let mut key = [0; KEY];
        key.copy_from_slice(&self.pool[..KEY]);
        self.pool[..KEY].fill(0);
        // All of the pool is zero now: what was handed out was wiped then. The key is used once, so the nonce may be
        // constant.
        ChaCha20::new(&key.into(), &[0; 12].into()).apply_keystream(&mut self.pool[..]);
        key.zeroize();
        self.used = 0;
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        self.pool.zeroize();
        for value in self
            .script
            .iter_mut()
            .flat_map(|s| s.values_mut())
            .flatten()
        {
            value.zeroize();
        }
    }
}

impl PartialEq for Random {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Random {}

impl Hash for Random {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(<secret>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Demands: M1.4.
    #[test]
    fn same_seed_same_bytes_however_drawn() {
        let (mut one, mut two) = (Random::new([7; 32]), Random::new([7; 32]));
        let mut long = [0; 3 * POOL + 5];
        one.fill(Purpose::Token, &mut long);
        for chunk in long.chunks(41) {
            let mut piece = [0; 41];
            two.fill(Purpose::Token, &mut piece[..chunk.len()]);
            assert_eq!(&piece[..chunk.len()], chunk);
        }
        assert!(long.windows(32).all(|w| w != [0; 32]));
    }

    #[test]
    fn what_was_drawn_is_no_longer_in_the_generator() {
        let mut random = Random::new([1; 32]);
        for _ in 0..100 {
            let drawn: [u8; 32] = random.array(Purpose::EphemeralKey);
            assert!(
                random
                    .pool
                    .windows(8)
                    .all(|w| !drawn.windows(8).any(|d| d == w))
            );
        }
    }

    #[test]
    fn a_script_serves_each_purpose_and_then_the_seed_goes_on() {
        let draws = [
            (Purpose::Challenge, [1; 64].to_vec()),
            (Purpose::BoxNonce, [2; 24].to_vec()),
            (Purpose::Challenge, [3; 64].to_vec()),
        ];
        let mut random = Random::scripted([0; 32], draws);
        assert_eq!(random.array::<24>(Purpose::BoxNonce), [2; 24]);
        assert_eq!(random.array::<64>(Purpose::Challenge), [1; 64]);
        assert_eq!(random.array::<64>(Purpose::Challenge), [3; 64]);
        assert_eq!(
            random.array(Purpose::Challenge),
            Random::new([0; 32]).array::<64>(Purpose::Token)
        );
    }

    #[test]
    fn every_child_has_the_script() {
        let mut random = Random::scripted([0; 32], [(Purpose::Challenge, [1; 64].to_vec())]);
        for mut child in [random.fork(), random.fork()] {
            assert_eq!(child.array::<64>(Purpose::Challenge), [1; 64]);
            assert_ne!(child.array::<64>(Purpose::Challenge), [1; 64]);
        }
    }

    /// Demands: M1.4.
    #[test]
    fn reseeding_changes_what_comes() {
        let (mut one, mut two) = (Random::new([7; 32]), Random::new([7; 32]));
        two.reseed(&[0; 32]);
        assert_ne!(
            one.array::<16>(Purpose::Jitter),
            two.array::<16>(Purpose::Jitter)
        );
    }
}
