//! Identities for tests, recorded ones and made-up ones.

use std::sync::Arc;

use chumwire::crypto::{KeyPair, KeyUse, Nacl, Random, Secret, Suite};
use chumwire::identity::Identity;
use serde_json::Value;

use super::vectors::{array, text};

/// A recorded key pair.
pub(crate) fn key_pair<S: Suite, U: KeyUse>(recorded: &Value) -> KeyPair<U> {
    let pair = KeyPair::from_secret::<S>(Secret::take(&mut array(&recorded["secret"])));
    assert_eq!(*pair.public().bytes(), array::<32>(&recorded["public"]));
    pair
}

/// A recorded identity. A recorded signing secret is seed and public key.
pub(crate) fn recorded<S: Suite>(person: &Value) -> Arc<Identity> {
    let mut secrets = [0; 128];
    let parts = [
        array::<32>(&person["person"]["box"]["secret"]),
        array::<32>(&person["instance"]["box"]["secret"]),
        seed(&person["person"]["sign"]["secret"]),
        seed(&person["instance"]["sign"]["secret"]),
    ];
    secrets.copy_from_slice(parts.as_flattened());
    let (email, name) = (text(&person["email"]), text(&person["instanceName"]));
    let identity = Identity::import::<S>(email, name, &Secret::take(&mut secrets));
    let sign: [u8; 32] = array(&person["person"]["sign"]["public"]);
    assert_eq!(
        identity.person_sign_key().0,
        sign,
        "the signing key follows from its seed"
    );
    Arc::new(identity)
}

fn seed(secret: &Value) -> [u8; 32] {
    *array::<64>(secret).first_chunk().expect("a seed and a key")
}

/// A made-up identity, the same for the same name.
pub(crate) fn made_up(name: &str) -> Identity {
    named(&format!("{name}@example.org"), &format!("{name}'s laptop"))
}

/// A made-up identity of a given email and instance name, with keys of its own.
pub(crate) fn named(email: &str, instance: &str) -> Identity {
    let mut seed = [7_u8; 32];
    for (i, byte) in email.bytes().chain([0]).chain(instance.bytes()).enumerate() {
        seed[i % 32] = seed[i % 32].wrapping_mul(31).wrapping_add(byte);
    }
    Identity::generate::<Nacl>(&mut Random::new(seed), email, instance).expect("good names")
}
