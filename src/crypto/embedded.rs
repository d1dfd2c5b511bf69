//! Boxes that carry their nonce: `nonce(24) ‖ tag(16) ‖ ciphertext` (spec 01).

use zeroize::Zeroize;

use super::Secret;
use super::random::{Purpose, Random};
use super::suite::{Forged, NONCE, PairKey, TAG};

/// What the embedded nonce and the tag add.
pub const OVERHEAD: usize = NONCE + TAG;
/// A sealed key of 32 bytes.
pub const SEALED_KEY: usize = 32 + OVERHEAD;
/// A sealed challenge of 64 bytes.
pub const SEALED_CHALLENGE: usize = 64 + OVERHEAD;

/// Seals `plain` under a fresh nonce. `B` is `P` + 40.
#[must_use]
pub fn seal<const P: usize, const B: usize>(
    key: &impl PairKey,
    random: &mut Random,
    plain: &[u8; P],
) -> [u8; B] {
    seal_for(Purpose::BoxNonce, key, random, plain)
}

/// Seals `plain` under a fresh nonce that is drawn for `purpose`.
pub(crate) fn seal_for<const P: usize, const B: usize>(
    purpose: Purpose,
    key: &impl PairKey,
    random: &mut Random,
    plain: &[u8; P],
) -> [u8; B] {
    const { assert!(B == P + OVERHEAD) };
    let mut sealed = [0; B];
    let nonce: [u8; NONCE] = random.array(purpose);
    sealed[..NONCE].copy_from_slice(&nonce);
    key.seal(&nonce, plain, &mut sealed[NONCE..]);
    sealed
}

/// Opens a box of exactly the right length; the length is looked at first.
///
/// # Errors
/// [`OpenError::Length`], [`OpenError::Forged`].
pub fn open<const P: usize>(key: &impl PairKey, sealed: &[u8]) -> Result<Secret<P>, OpenError> {
    if sealed.len() != P + OVERHEAD {
        return Err(OpenError::Length {
            expected: P + OVERHEAD,
            got: sealed.len(),
        });
    }
    let (nonce, body) = sealed
        .split_first_chunk::<NONCE>()
        .ok_or(OpenError::Length {
            expected: P + OVERHEAD,
            got: sealed.len(),
        })?;
    let mut result = Ok(());
    let plain = Secret::filled(|plain| {
        result = key.open(nonce, body, plain);
        if result.is_err() {
            plain.zeroize();
        }
    });
    result?;
    Ok(plain)
}

/// Why a box with its nonce does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It has not the one right length.
    #[error("{expected} bytes are due, {got} came")]
    Length {
        /// The right length.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// It was altered or sealed with another key.
    #[error("the box does not open")]
    Forged,
}

impl From<Forged> for OpenError {
    fn from(_: Forged) -> Self {
        Self::Forged
    }
}

/// The answer to a challenge: every bit of it inverted (spec 02 and 05).
#[must_use]
pub fn inverted(challenge: &Secret<64>) -> Secret<64> {
    Secret::filled(|answer| {
        for (to, from) in answer.iter_mut().zip(challenge.expose()) {
            *to = !from;
        }
    })
}
