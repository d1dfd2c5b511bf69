//! The reference suite: the crate `crypto_box`, slower and independent of the fast one. Every vector and property
//! runs with both; no connection mixes them.

use alloc::sync::Arc;

use crypto_box::aead::{AeadInPlace, generic_array::GenericArray};
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use crypto_secretbox::{KeyInit, XSalsa20Poly1305};

use super::Secret;
use super::nacl::dalek;
use super::suite::{Forged, KEY, NONCE, PairKey, RawKey, SmallOrder, Suite, TAG};

/// The boxes of the crate `crypto_box`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reference;

/// A pair's key in `crypto_box`.
#[derive(Clone)]
pub struct ReferenceKey {
    cipher: Cipher,
    /// `SalsaBox` cannot be compared; this can.
    identity: Secret<KEY>,
}

/// Shared, because the library's types cannot be cloned; the last owner wipes them.
#[derive(Clone)]
enum Cipher {
    Pair(Arc<SalsaBox>),
    Raw(Arc<XSalsa20Poly1305>),
}

impl Suite for Reference {
    type Pair = ReferenceKey;

    const NAME: &'static str = "crypto_box";

    fn public_key(secret: &Secret<KEY>) -> [u8; KEY] {
        *SecretKey::from_bytes(*secret.expose())
            .public_key()
            .as_bytes()
    }

    fn before(public: &[u8; KEY], secret: &Secret<KEY>) -> Result<ReferenceKey, SmallOrder> {
        // crypto_box does not look for small-order keys.
        let shared = dalek(secret).diffie_hellman(&x25519_dalek::PublicKey::from(*public));
        if !shared.was_contributory() {
            return Err(SmallOrder);
        }
        let secret = SecretKey::from_bytes(*secret.expose());
        Ok(ReferenceKey {
            cipher: Cipher::Pair(SalsaBox::new(&PublicKey::from_bytes(*public), &secret).into()),
            identity: Secret::filled(|bytes| bytes.copy_from_slice(shared.as_bytes())),
        })
    }
}

impl RawKey for ReferenceKey {
    fn from_raw(key: Secret<KEY>) -> Self {
        let cipher = XSalsa20Poly1305::new(GenericArray::from_slice(key.expose()));
        Self {
            cipher: Cipher::Raw(cipher.into()),
            identity: key,
        }
    }
}

impl PairKey for ReferenceKey {
    fn seal(&self, nonce: &[u8; NONCE], plain: &[u8], sealed: &mut [u8]) {
        let Some((tag, body)) = sealed.split_first_chunk_mut::<TAG>() else {
            return;
        };
        body.copy_from_slice(plain);
        let nonce = GenericArray::from_slice(nonce);
        let computed = match &self.cipher {
            Cipher::Pair(cipher) => cipher.encrypt_in_place_detached(nonce, b"", body),
            Cipher::Raw(cipher) => cipher.encrypt_in_place_detached(nonce, b"", body),
        };
        // It refuses only associated data, of which there is none.
        if let Ok(computed) = computed {
            tag.copy_from_slice(&computed);
        }
    }

    fn open(&self, nonce: &[u8; NONCE], sealed: &[u8], plain: &mut [u8]) -> Result<(), Forged> {
        let (tag, body) = sealed.split_first_chunk::<TAG>().ok_or(Forged)?;
        plain.copy_from_slice(body);
        let (nonce, tag) = (
            GenericArray::from_slice(nonce),
            GenericArray::from_slice(tag),
        );
        match &self.cipher {
            Cipher::Pair(cipher) => cipher.decrypt_in_place_detached(nonce, b"", plain, tag),
            Cipher::Raw(cipher) => cipher.decrypt_in_place_detached(nonce, b"", plain, tag),
        }
        .map_err(|_| Forged)
    }

    fn verify(&self, nonce: &[u8; NONCE], sealed: &[u8]) -> bool {
        let mut plain = alloc::vec![0; sealed.len().saturating_sub(TAG)];
        let right = self.open(nonce, sealed, &mut plain).is_ok();
        zeroize::Zeroize::zeroize(&mut plain);
        right
    }
}

impl core::fmt::Debug for ReferenceKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ReferenceKey(<secret>)")
    }
}

impl PartialEq for ReferenceKey {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for ReferenceKey {}

impl core::hash::Hash for ReferenceKey {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}
