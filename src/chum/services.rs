//! The services of CHUM and what they answer when they cannot (spec 11, "Services").

use core::fmt;

/// The version of the protocol. The number itself travels, not a text.
pub const VERSION: u64 = 8;
/// What both sides say first, as a text and before any request.
pub const SYNCHRONISATION: &str = "synchronisation";

/// A service of CHUM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Service {
    /// 1: the exporter's version.
    GetProtocolVersion,
    /// 2: everything that the asking person may have.
    GetAccessibleRoots,
    /// 3: something was granted; the only one that importers serve.
    NewAccessibleRootEvent,
    /// 4: everything that an object refers to.
    GetObjectChildren,
    /// 5: everything that an id object refers to.
    GetIdObjectChildren,
    /// 6: the microdata of an object.
    GetObject,
    /// 7: the microdata of an id object.
    GetIdObject,
    /// 8: the bytes of a BLOB, or the text of a CLOB, as a stream.
    GetBlob,
    /// 10: the importer is done.
    Fin,
    /// 100: what the asking person may have beyond what it has settled, between two of ours.
    GetRootsSince,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::GetProtocolVersion,
        Self::GetAccessibleRoots,
        Self::NewAccessibleRootEvent,
        Self::GetObjectChildren,
        Self::GetIdObjectChildren,
        Self::GetObject,
        Self::GetIdObject,
        Self::GetBlob,
        Self::Fin,
        Self::GetRootsSince,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::GetProtocolVersion => 1,
            Self::GetAccessibleRoots => 2,
            Self::NewAccessibleRootEvent => 3,
            Self::GetObjectChildren => 4,
            Self::GetIdObjectChildren => 5,
            Self::GetObject => 6,
            Self::GetIdObject => 7,
            Self::GetBlob => 8,
            Self::Fin => 10,
            Self::GetRootsSince => 100,
        }
    }

    /// The service with this number.
    #[must_use]
    pub fn of(number: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.number() == number)
    }

    /// Its name in the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetProtocolVersion => "GET_PROTOCOL_VERSION",
            Self::GetAccessibleRoots => "GET_ACCESSIBLE_ROOTS",
            Self::NewAccessibleRootEvent => "NEW_ACCESSIBLE_ROOT_EVENT",
            Self::GetObjectChildren => "GET_OBJECT_CHILDREN",
            Self::GetIdObjectChildren => "GET_ID_OBJECT_CHILDREN",
            Self::GetObject => "GET_OBJECT",
            Self::GetIdObject => "GET_ID_OBJECT",
            Self::GetBlob => "GET_BLOB",
            Self::Fin => "FIN",
            Self::GetRootsSince => "GET_ROOTS_SINCE",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why the exporter does not give what is asked for. Codes are the protocol's; the texts are fixed and name nothing
/// of this instance (spec 11, "Errors of the exporter").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The argument is no hash.
    NotAHash,
    /// The argument is no id hash.
    NotAnIdHash,
    /// An object that the peer has not been told of.
    Object,
    /// The children of one.
    ObjectChildren,
    /// An id object that the peer has not been told of.
    IdObject,
    /// The children of one.
    IdObjectChildren,
    /// A BLOB or CLOB that the peer has not been told of.
    Blob,
    /// What is stored there is no object.
    NoObject,
    /// What is stored there is no id object.
    NoIdObject,
    /// An encoding that does not exist.
    Encoding,
    /// What should be there is not.
    Missing,
    /// A limit of this side.
    Limit,
    /// The store failed.
    Internal,
}

impl Refusal {
    /// Its code on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAHash => "UTC-EHASH",
            Self::NotAnIdHash => "UTC-EIDHASH",
            Self::Object => "CES-GO1",
            Self::ObjectChildren => "CES-GOC1",
            Self::IdObject => "CES-GIDO1",
            Self::IdObjectChildren => "CES-GIDOC1",
            Self::Blob => "CES-GBL1",
            Self::NoObject => "CES-GO2",
            Self::NoIdObject => "CES-GIDO2",
            Self::Encoding => "CES-GBL2",
            Self::Missing => "SB-READ2",
            Self::Limit => "RQ-LIMIT",
            Self::Internal => "RQ-INTERNAL",
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "FileNotFoundError",
            _ => "Error",
        }
    }

    /// Its text on the wire.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotAHash => "UTC-EHASH: the argument is not a SHA-256 hash",
            Self::NotAnIdHash => "UTC-EIDHASH: the argument is not a SHA-256 hash",
            Self::Object => "CES-GO1: Unauthorized, obj",
            Self::ObjectChildren => "CES-GOC1: Unauthorized, obj children",
            Self::IdObject => "CES-GIDO1: Unauthorized, id-obj",
            Self::IdObjectChildren => "CES-GIDOC1: Unauthorized, id-obj children",
            Self::Blob => "CES-GBL1: Unauthorized, BLOB",
            Self::NoObject => "CES-GO2: Requested file is not a ONE microdata object",
            Self::NoIdObject => "CES-GIDO2: Requested file is not a ONE microdata object",
            Self::Encoding => "CES-GBL2: Bad request: Invalid \"encoding\" parameter",
            Self::Missing => "SB-READ2: File not found",
            Self::Limit => "RQ-LIMIT: a limit was reached",
            Self::Internal => "RQ-INTERNAL: the request failed",
        }
    }
}
