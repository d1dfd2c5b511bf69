//! The licences that certificates refer to: what a signature over a certificate means (spec 12, "Signatures and
//! certificates").

use alloc::string::String;

use super::ids::ObjectHash;
use super::microdata::Microdata;
use super::value::Object;

/// A licence. Its hash depends on every character of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum License {
    /// Of a `TrustKeysCertificate`.
    TrustKeys,
    /// Of an `AffirmationCertificate`.
    Affirmation,
    /// Of a `RightToDeclareTrustedKeysForEverybodyCertificate`.
    RightToDeclareTrustedKeysForEverybody,
    /// Of a `RightToDeclareTrustedKeysForSelfCertificate`.
    RightToDeclareTrustedKeysForSelf,
}

impl License {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::TrustKeys,
        Self::Affirmation,
        Self::RightToDeclareTrustedKeysForEverybody,
        Self::RightToDeclareTrustedKeysForSelf,
    ];

    /// Its property `name`. The names are not formed alike.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrustKeys => "TrustKeys",
            Self::Affirmation => "Affirmation",
            Self::RightToDeclareTrustedKeysForEverybody => {
                "RightToDeclareTrustedKeysForEverybodyLicense"
            }
            Self::RightToDeclareTrustedKeysForSelf => "RightToDeclareTrustedKeysForSelf",
        }
    }

    /// Its property `description`.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::TrustKeys => {
                "[signature.issuer] asserts that keys in [profile] belong to the person referenced by the profile."
            }
            Self::Affirmation => "[signature.issuer] affirms that content of [data] is correct.",
            Self::RightToDeclareTrustedKeysForEverybody => {
                "[signature.issuer] gives [beneficiary] the right to declare any keys in profiles as trusted by \
                 issuing TrustKeys certificates."
            }
            Self::RightToDeclareTrustedKeysForSelf => {
                "[signature.issuer] gives [beneficiary] the right to declare keys in his own profiles as trusted by \
                 issuing Affirmation certificates."
            }
        }
    }

    /// The object.
    #[must_use]
    pub fn object(self) -> Object {
        Object::new("License")
            .with("name", self.name())
            .with("description", self.description())
    }

    /// Its microdata.
    #[must_use]
    pub fn microdata(self) -> String {
        Microdata::object("License")
            .text("name", self.name())
            .text("description", self.description())
            .finish()
    }

    /// Its hash.
    #[must_use]
    pub fn hash(self) -> ObjectHash {
        ObjectHash::of(&self.microdata())
    }
}
