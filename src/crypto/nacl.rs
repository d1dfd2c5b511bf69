//! The suite for use: X25519 by x25519-dalek, XSalsa20-Poly1305 by dryoc.

use dryoc::classic::crypto_core::crypto_core_hsalsa20;
use dryoc::classic::crypto_onetimeauth::crypto_onetimeauth_verify;
use dryoc::classic::crypto_secretbox::{crypto_secretbox_easy, crypto_secretbox_open_easy};
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroize;

use super::Secret;
use super::suite::{Forged, KEY, NONCE, PairKey, RawKey, SmallOrder, Suite, TAG};

/// X25519 and XSalsa20-Poly1305, fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nacl;

/// The symmetric key of a pair, 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NaclKey(Secret<KEY>);

/// The static secret in the library's own type; it wipes itself.
pub(super) fn dalek(secret: &Secret<KEY>) -> StaticSecret {
    StaticSecret::from(*secret.expose())
}

impl Suite for Nacl {
    type Pair = NaclKey;

    const NAME: &'static str = "nacl";

    fn public_key(secret: &Secret<KEY>) -> [u8; KEY] {
        PublicKey::from(&dalek(secret)).to_bytes()
    }

    fn before(public: &[u8; KEY], secret: &Secret<KEY>) -> Result<NaclKey, SmallOrder> {
        let shared = dalek(secret).diffie_hellman(&PublicKey::from(*public));
        if !shared.was_contributory() {
            return Err(SmallOrder);
        }
        Ok(NaclKey(Secret::filled(|key| {
            crypto_core_hsalsa20(key, &[0; 16], shared.as_bytes(), None);
        })))
    }
}

impl RawKey for NaclKey {
    fn from_raw(key: Secret<KEY>) -> Self {
        Self(key)
    }
}

impl PairKey for NaclKey {
    fn seal(&self, nonce: &[u8; NONCE], plain: &[u8], sealed: &mut [u8]) {
        // It refuses only lengths that do not fit each other; the trait's contract rules those out.
        let sealed = crypto_secretbox_easy(sealed, plain, nonce, self.0.expose());
        debug_assert!(sealed.is_ok(), "the lengths fit");
    }

    fn open(&self, nonce: &[u8; NONCE], sealed: &[u8], plain: &mut [u8]) -> Result<(), Forged> {
        crypto_secretbox_open_easy(plain, sealed, nonce, self.0.expose()).map_err(|_| Forged)
    }

    fn verify(&self, nonce: &[u8; NONCE], sealed: &[u8]) -> bool {
        let Some((tag, ciphertext)) = sealed.split_first_chunk::<TAG>() else {
            return false;
        };
        // The first 32 bytes of the key stream are the key of the tag.
        let mut mac_key = [0; KEY];
        XSalsa20::new(self.0.expose().into(), nonce.into()).apply_keystream(&mut mac_key);
        let right = crypto_onetimeauth_verify(tag, ciphertext, &mac_key).is_ok();
        mac_key.zeroize();
        right
    }
}
