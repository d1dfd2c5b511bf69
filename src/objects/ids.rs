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
            /// Reads 64 hex digits.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                crate::hex::decode(text).map(Self)
            }

            /// Reads 64 lower-case hex digits, the only form that microdata has.
            #[must_use]
            pub fn parse_strict(text: &str) -> Option<Self> {
                digits(text).map(Self)
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

/// Reads 64 lower-case hex digits.
pub(super) fn digits(text: &str) -> Option<[u8; 32]> {
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    lower.then(|| crate::hex::decode(text))?
}

macro_rules! of_microdata {
    ($($name:ident),+) => {$(
        impl $name {
            /// Of the microdata that it is the SHA-256 of.
            #[must_use]
            pub fn of(microdata: &str) -> Self {
                Self(Sha256::digest(microdata).into())
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
    /// The id hash of any versioned thing: the hash of its id object.
    IdHash,
    /// The hash of a BLOB or a CLOB: the SHA-256 of its bytes.
    FileHash,
}

of_microdata!(PersonId, InstanceId, SomeoneId, ObjectHash, IdHash);

impl FileHash {
    /// Of the bytes of a BLOB, or of a CLOB in UTF-8.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl From<PersonId> for IdHash {
    fn from(id: PersonId) -> Self {
        Self(id.0)
    }
}

impl From<InstanceId> for IdHash {
    fn from(id: InstanceId) -> Self {
        Self(id.0)
    }
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefKind {
    /// An object, one version of a versioned thing among them.
    Object,
    /// A versioned thing, whatever its version.
    Id,
    /// A text.
    Clob,
    /// Bytes.
    Blob,
}

impl RefKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Object, Self::Id, Self::Clob, Self::Blob];

    /// The word in the attribute `data-type`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Object => "obj",
            Self::Id => "id",
            Self::Clob => "clob",
            Self::Blob => "blob",
        }
    }

    /// A reference of this kind.
    #[must_use]
    pub const fn to(self, hash: [u8; 32]) -> Reference {
        match self {
            Self::Object => Reference::Object(ObjectHash(hash)),
            Self::Id => Reference::Id(IdHash(hash)),
            Self::Clob => Reference::Clob(FileHash(hash)),
            Self::Blob => Reference::Blob(FileHash(hash)),
        }
    }
}

/// A reference: what it leads to, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// To an object.
    Object(ObjectHash),
    /// To a versioned thing.
    Id(IdHash),
    /// To a text.
    Clob(FileHash),
    /// To bytes.
    Blob(FileHash),
}

impl Reference {
    /// What it leads to.
    #[must_use]
    pub const fn kind(&self) -> RefKind {
        match self {
            Self::Object(_) => RefKind::Object,
            Self::Id(_) => RefKind::Id,
            Self::Clob(_) => RefKind::Clob,
            Self::Blob(_) => RefKind::Blob,
        }
    }

    /// The hash.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        match self {
            Self::Object(hash) => &hash.0,
            Self::Id(hash) => &hash.0,
            Self::Clob(hash) | Self::Blob(hash) => &hash.0,
        }
    }
}
