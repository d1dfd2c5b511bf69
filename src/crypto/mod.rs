//! Cryptography: keys by their use, boxes, randomness from a seed. Follows spec 01.
//!
//! A [`Suite`] is chosen by type. [`Nacl`] is the one for use, [`Reference`] the independent one that vectors and
//! properties are run with as well.

mod embedded;
mod keys;
#[cfg(test)]
mod live;
mod nacl;
mod random;
mod reference;
mod secret;
mod suite;

pub(crate) use embedded::seal_for;
pub use embedded::{OVERHEAD, OpenError, SEALED_CHALLENGE, SEALED_KEY, inverted, open, seal};
pub use keys::{
    Ephemeral, Instance, KeyPair, KeyUse, Person, PublicKey, Relay, Static, constant_time_eq,
};
#[cfg(test)]
pub(crate) use live::live;
pub use nacl::{Nacl, NaclKey};
pub use random::{Purpose, Random};
pub use reference::{Reference, ReferenceKey};
pub use secret::Secret;
pub(crate) use secret::Wiped;
pub use suite::{Forged, KEY, NONCE, PairKey, RawKey, SmallOrder, Suite, TAG};
