//! Ids and hashes, each a type of its own: 32 bytes, shown as 64 lower-case hex digits.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Of the microdata that it is the SHA-256 of.
            #[must_use]
            pub fn of(microdata: &str) -> Self {
                Self(Sha256::digest(microdata).into())
            }

            /// Reads 64 hex digits.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                crate::hex::decode(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&crate::hex::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom("64 hex digits are due"))
            }
        }
    )+};
}

ids! {
    /// The id of a person: the id hash of its `Person` object. Another email is another person.
    PersonId,
    /// The id of an instance: the id hash of its `Instance` object.
    InstanceId,
    /// The local id of a contact (spec 13). Never shared; not convertible to a [`PersonId`].
    SomeoneId,
    /// The hash of an object.
    ObjectHash,
}
