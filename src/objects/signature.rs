//! Signatures: Ed25519 over the 64 characters of a hash (spec 12, "Signatures and certificates").

use alloc::string::ToString;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::SignKey;
use super::ids::{ObjectHash, PersonId};
use super::value::Object;
use crate::crypto::{KEY, Secret};
use crate::hex;

/// Length of a signature, in bytes.
pub const SIGNATURE: usize = 64;

/// Signs the hash of an object, with the seed of a signing key.
#[must_use]
pub fn sign(seed: &Secret<KEY>, data: ObjectHash) -> [u8; SIGNATURE] {
    SigningKey::from_bytes(seed.expose())
        .sign(data.to_string().as_bytes())
        .to_bytes()
}

/// Whether a signature, as the property `signature` has it, was made with this key over the hash of an object.
///
/// Strict: keys and points of small order, and a scalar that is not reduced, verify nothing.
#[must_use]
pub fn verify(key: &SignKey, data: &ObjectHash, signature: &str) -> bool {
    let Some(signature) = hex::decode::<SIGNATURE>(signature) else {
        return false;
    };
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| {
        let signature = Signature::from_bytes(&signature);
        key.verify_strict(data.to_string().as_bytes(), &signature)
            .is_ok()
    })
}

/// The `Signature` object of an issuer over the hash of an object.
#[must_use]
pub fn object(issuer: PersonId, data: ObjectHash, signature: &[u8; SIGNATURE]) -> Object {
    Object::new("Signature")
        .with("issuer", issuer)
        .with("data", data)
        .with("signature", hex::encode(signature))
}
