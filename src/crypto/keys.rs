//! Keys by what they are for, so that one cannot stand for another.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use subtle::ConstantTimeEq;

use super::Secret;
use super::random::{Purpose, Random};
use super::suite::{KEY, SmallOrder, Suite};

/// What a key is for.
pub trait KeyUse: 'static {
    /// Its name, for `Debug` and errors.
    const NAME: &'static str;
}

macro_rules! key_uses {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl KeyUse for $name { const NAME: &'static str = $text; }
    )+};
}

key_uses! {
    /// The key of a running node: connections use it.
    Instance = "instance",
    /// The key of an identity: it proves a person.
    Person = "person",
    /// The key that a peer presents in the handshake. It is its instance key, or, for deployed initiators of a
    /// pairing, its person key; only pairing can tell.
    Static = "static",
    /// The key of one session.
    Ephemeral = "ephemeral",
    /// The key that a relay made when it started.
    Relay = "relay",
}

/// An X25519 public key of use `U`, 32 bytes.
pub struct PublicKey<U: KeyUse>(pub [u8; KEY], PhantomData<fn() -> U>);

impl<U: KeyUse> PublicKey<U> {
    /// The key of these bytes; they are checked when the key is used.
    #[must_use]
    pub const fn new(bytes: [u8; KEY]) -> Self {
        Self(bytes, PhantomData)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    /// Its 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> alloc::string::String {
        crate::hex::encode(&self.0)
    }
}

impl PublicKey<Instance> {
    /// The same key where it is presented in a handshake.
    #[must_use]
    pub const fn presented(&self) -> PublicKey<Static> {
        PublicKey::new(self.0)
    }
}

impl<U: KeyUse> Clone for PublicKey<U> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<U: KeyUse> Copy for PublicKey<U> {}

impl<U: KeyUse> PartialEq for PublicKey<U> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<U: KeyUse> Eq for PublicKey<U> {}

impl<U: KeyUse> PartialOrd for PublicKey<U> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<U: KeyUse> Ord for PublicKey<U> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl<U: KeyUse> Hash for PublicKey<U> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<U: KeyUse> fmt::Debug for PublicKey<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {}", U::NAME, self.hex())
    }
}

impl<U: KeyUse> fmt::Display for PublicKey<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// An X25519 key pair of use `U`. The secret half is wiped when it goes.
pub struct KeyPair<U: KeyUse> {
    secret: Secret<KEY>,
    public: PublicKey<U>,
}

impl<U: KeyUse> KeyPair<U> {
    /// The pair of a known secret.
    #[must_use]
    pub fn from_secret<S: Suite>(secret: Secret<KEY>) -> Self {
        let public = PublicKey::new(S::public_key(&secret));
        Self { secret, public }
    }

    /// A new pair.
    #[must_use]
    pub fn generate<S: Suite>(random: &mut Random, purpose: Purpose) -> Self {
        Self::from_secret::<S>(random.secret(purpose))
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey<U> {
        self.public
    }

    /// The secret half: for storing it, and for nothing else.
    #[must_use]
    pub const fn expose_secret(&self) -> &Secret<KEY> {
        &self.secret
    }

    /// The symmetric key of this pair with a peer's public key.
    ///
    /// # Errors
    /// [`SmallOrder`] keys are refused.
    pub fn before<S: Suite, V: KeyUse>(&self, peer: &PublicKey<V>) -> Result<S::Pair, SmallOrder> {
        S::before(&peer.0, &self.secret)
    }

    /// The same pair under the name of another use.
    #[must_use]
    pub fn used_as<V: KeyUse>(&self) -> KeyPair<V> {
        KeyPair {
            secret: self.secret.clone(),
            public: PublicKey::new(self.public.0),
        }
    }
}

impl<U: KeyUse> Clone for KeyPair<U> {
    fn clone(&self) -> Self {
        self.used_as()
    }
}

impl<U: KeyUse> PartialEq for KeyPair<U> {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret
    }
}

impl<U: KeyUse> Eq for KeyPair<U> {}

impl<U: KeyUse> Hash for KeyPair<U> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.public.hash(state);
    }
}

impl<U: KeyUse> fmt::Debug for KeyPair<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with <secret>", self.public)
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
