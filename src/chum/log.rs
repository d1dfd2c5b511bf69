//! What a CHUM has done: the facts that the deployed peer keeps in an object `Chum` (spec 11, "The log object"), as
//! data for the embedder.

use alloc::vec::Vec;

use crate::limits;
use crate::objects::Reference;
use crate::rpc::RpcStats;

/// What went one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transferred {
    /// Objects and id objects.
    pub objects: u64,
    /// BLOBs and CLOBs.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Which, in their order; the first ones, if there are very many.
    pub what: Vec<Reference>,
}

impl Transferred {
    pub(super) fn add(&mut self, reference: Reference, bytes: u64) {
        match reference {
            Reference::Object(_) | Reference::Id(_) => self.objects += 1,
            Reference::Blob(_) | Reference::Clob(_) => self.files += 1,
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.what.len() < limits::CHUM_LOG {
            self.what.push(reference);
        }
    }

    /// Objects and files.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.objects + self.files
    }
}

/// A CHUM as it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChumLog {
    /// What was given.
    pub sent: Transferred,
    /// What came and was stored.
    pub received: Transferred,
    /// Roots that could not be taken, each as often as it was tried.
    pub failures: u64,
    /// How far the peer's roots were settled, by the peer's clock: the protocol's `highestRemoteTimestamp`. None without
    /// the extension "roots since".
    pub stamp: Option<u64>,
    /// Counters of the requests.
    pub statistics: RpcStats,
}
