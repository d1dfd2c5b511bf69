//! Who this instance is: a person and an instance, each with keys to encrypt and to sign (spec 00, "Words").

use alloc::string::String;
use core::fmt;

use ed25519_dalek::SigningKey;

use crate::crypto::{
    Instance as InstanceUse, KEY, KeyPair, Person as PersonUse, Purpose, Random, Secret, Suite,
};
use crate::objects::signature::{self, SIGNATURE};
use crate::objects::{
    Instance, InstanceId, Keys, ObjectHash, Person, PersonId, SignKey, is_good_name,
};

/// One's own identity, with its four secret keys.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    person: Person,
    person_id: PersonId,
    instance: Instance,
    instance_id: InstanceId,
    person_key: KeyPair<PersonUse>,
    instance_key: KeyPair<InstanceUse>,
    person_sign: (Secret<KEY>, SignKey),
    instance_sign: (Secret<KEY>, SignKey),
}

/// Length of [`Identity::export_secrets`], in bytes.
pub const IDENTITY_SECRETS: usize = 4 * KEY;

/// A new email or name is not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// The email.
    #[error("an email is 1 to 1024 bytes without control characters and without & < >")]
    Email,
    /// The instance name.
    #[error("an instance name is 1 to 1024 bytes without control characters and without & < >")]
    Name,
}

impl Identity {
    /// A new identity with new keys.
    ///
    /// # Errors
    /// [`BadIdentity`]: deployed peers compute other ids for some characters.
    pub fn generate<S: Suite>(
        random: &mut Random,
        email: &str,
        name: &str,
    ) -> Result<Self, BadIdentity> {
        if !is_good_name(email) {
            return Err(BadIdentity::Email);
        }
        if !is_good_name(name) {
            return Err(BadIdentity::Name);
        }
        let secrets = random.secret(Purpose::StaticKey);
        Ok(Self::import::<S>(email, name, &secrets))
    }

    /// An identity that exists: its names, and its secrets as exported.
    #[must_use]
    pub fn import<S: Suite>(email: &str, name: &str, secrets: &Secret<IDENTITY_SECRETS>) -> Self {
        let part = |i: usize| {
            Secret::<KEY>::filled(|to| {
                to.copy_from_slice(&secrets.expose()[i * KEY..(i + 1) * KEY]);
            })
        };
        let signing = |seed: Secret<KEY>| {
            let public = SigningKey::from_bytes(seed.expose())
                .verifying_key()
                .to_bytes();
            (seed, SignKey(public))
        };
        let person = Person {
            email: email.into(),
        };
        let person_id = person.id();
        let instance = Instance {
            name: name.into(),
            owner: person_id,
        };
        Self {
            person_id,
            instance_id: instance.id(),
            person,
            instance,
            person_key: KeyPair::from_secret::<S>(part(0)),
            instance_key: KeyPair::from_secret::<S>(part(1)),
            person_sign: signing(part(2)),
            instance_sign: signing(part(3)),
        }
    }

    /// The four secrets, for storing them: person key, instance key, and the seeds of the person's and the
    /// instance's signing key, 32 bytes each.
    #[must_use]
    pub fn export_secrets(&self) -> Secret<IDENTITY_SECRETS> {
        Secret::filled(|out| {
            let parts = [
                self.person_key.expose_secret(),
                self.instance_key.expose_secret(),
                &self.person_sign.0,
                &self.instance_sign.0,
            ];
            for (to, part) in out.chunks_exact_mut(KEY).zip(parts) {
                to.copy_from_slice(part.expose());
            }
        })
    }

    /// The person.
    #[must_use]
    pub const fn person(&self) -> &Person {
        &self.person
    }

    /// The person's id.
    #[must_use]
    pub const fn person_id(&self) -> PersonId {
        self.person_id
    }

    /// The instance.
    #[must_use]
    pub const fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The instance's id.
    #[must_use]
    pub const fn instance_id(&self) -> InstanceId {
        self.instance_id
    }

    /// The person's encryption key pair.
    #[must_use]
    pub const fn person_key(&self) -> &KeyPair<PersonUse> {
        &self.person_key
    }

    /// The instance's encryption key pair.
    #[must_use]
    pub const fn instance_key(&self) -> &KeyPair<InstanceUse> {
        &self.instance_key
    }

    /// The person's public signing key.
    #[must_use]
    pub const fn person_sign_key(&self) -> SignKey {
        self.person_sign.1
    }

    /// The instance's public signing key.
    #[must_use]
    pub const fn instance_sign_key(&self) -> SignKey {
        self.instance_sign.1
    }

    /// Signs the hash of an object as the person.
    #[must_use]
    pub fn sign(&self, data: ObjectHash) -> [u8; SIGNATURE] {
        signature::sign(&self.person_sign.0, data)
    }

    /// The keys object of the person.
    #[must_use]
    pub fn person_keys(&self) -> Keys {
        Keys {
            owner: self.person_id,
            public_key: self.person_key.public(),
            sign_key: self.person_sign.1,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("email", &self.person.email)
            .field("name", &self.instance.name)
            .finish_non_exhaustive()
    }
}

/// The URL of a WebSocket, `ws://` or `wss://`, not longer than [`limits::URL`](crate::limits::URL).
#[must_use]
pub(crate) fn is_websocket_url(url: &str) -> bool {
    let rest = url
        .strip_prefix("ws://")
        .or_else(|| url.strip_prefix("wss://"));
    url.len() <= crate::limits::URL
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !url.chars().any(|c| c.is_control() || c == ' ')
}

/// Reads a URL of a peer.
pub(crate) fn read_url(url: &str) -> Option<String> {
    is_websocket_url(url).then(|| url.into())
}
