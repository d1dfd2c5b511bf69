//! What a connection needs of cryptography, as a type (spec 01).

use core::fmt::Debug;
use core::hash::Hash;

use super::Secret;

/// Length of a Poly1305 tag, which comes before the ciphertext.
pub const TAG: usize = 16;
/// Length of a nonce.
pub const NONCE: usize = 24;
/// Length of a key, public or secret.
pub const KEY: usize = 32;

/// The peer's public key is of small order: the shared secret would be known to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the public key is of small order")]
pub struct SmallOrder;

/// A box does not open: altered, cut, or sealed with another key or nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the box does not open")]
pub struct Forged;

/// X25519 and XSalsa20-Poly1305 from one source. A whole connection, node or relay uses one suite, fixed by type.
pub trait Suite: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// The key of a pair of key pairs.
    type Pair: PairKey;

    /// A name for logs.
    const NAME: &'static str;

    /// The public key of a secret one.
    fn public_key(secret: &Secret<KEY>) -> [u8; KEY];

    /// `before(public, secret)`: the symmetric key of a pair.
    ///
    /// # Errors
    /// [`SmallOrder`] if X25519 yields zero.
    fn before(public: &[u8; KEY], secret: &Secret<KEY>) -> Result<Self::Pair, SmallOrder>;
}

/// A symmetric key that seals and opens. A box is `tag(16) ‖ ciphertext`.
pub trait PairKey: Clone + Debug + Eq + Hash + Send + Sync {
    /// Seals `plain` into `sealed`, which is longer by [`TAG`] exactly.
    fn seal(&self, nonce: &[u8; NONCE], plain: &[u8], sealed: &mut [u8]);

    /// Opens `sealed` into `plain`, which is shorter by [`TAG`] exactly. On error `plain` holds nothing of use.
    ///
    /// # Errors
    /// [`Forged`] if it does not open, or is shorter than a tag.
    fn open(&self, nonce: &[u8; NONCE], sealed: &[u8], plain: &mut [u8]) -> Result<(), Forged>;

    /// Whether `sealed` would open; computes the tag alone.
    fn verify(&self, nonce: &[u8; NONCE], sealed: &[u8]) -> bool;
}

/// A pair key that can be made from its 32 raw bytes, for channels whose key was established elsewhere.
pub trait RawKey: PairKey {
    /// The key of these bytes.
    fn from_raw(key: Secret<KEY>) -> Self;
}
