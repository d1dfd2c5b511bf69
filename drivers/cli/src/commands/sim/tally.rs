//! What came of many runs.

use chumwire::hex;
use chumwire_sim::scenario::Run;
use chumwire_sim::sync::SyncRun;
use sha2::{Digest, Sha256};

use crate::event::Event;

/// What came of the runs of one scenario, or of all.
#[derive(Clone, Default)]
pub(super) struct Tally {
    pub(super) runs: u64,
    pub(super) failed: u64,
    pub(super) first_failing: Option<u64>,
    failure: Option<String>,
    /// Of the parts' hashes, in their order.
    hash: Sha256,
    /// The first part's hash: if it is the only one, it is that of the whole.
    single: Option<[u8; 32]>,
    parts: u64,
}

impl Tally {
    pub(super) fn count(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.part(outcome.hash);
        if let Some(failure) = outcome.failure {
            self.failed += 1;
            if self.first_failing.is_none() {
                (self.first_failing, self.failure) = (Some(seed), Some(failure));
            }
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failed += other.failed;
        self.part(other.trace_hash());
        if self.first_failing.is_none() {
            self.first_failing = other.first_failing;
            self.failure.clone_from(&other.failure);
        }
    }

    fn part(&mut self, hash: [u8; 32]) {
        self.single.get_or_insert(hash);
        self.parts += 1;
        self.hash.update(hash);
    }

    fn trace_hash(&self) -> [u8; 32] {
        match self.single {
            Some(hash) if self.parts == 1 => hash,
            _ => self.hash.clone().finalize().into(),
        }
    }

    pub(super) fn event(&self, scenario: &str) -> Event {
        Event::Sim {
            scenario: scenario.into(),
            runs: self.runs,
            failed: self.failed,
            first_failing_seed: self.first_failing,
            trace_hash: hex::encode(&self.trace_hash()),
            failure: self.failure.clone(),
        }
    }
}

/// What is kept of a run.
pub(super) struct Outcome {
    hash: [u8; 32],
    failure: Option<String>,
}

impl From<SyncRun> for Outcome {
    fn from(run: SyncRun) -> Self {
        Self {
            hash: run.hash(),
            failure: run.outcome.err().map(|failure| failure.to_string()),
        }
    }
}

impl From<Run> for Outcome {
    fn from(run: Run) -> Self {
        Self {
            hash: run.trace.hash(),
            failure: run.outcome.err().map(|failure| failure.to_string()),
        }
    }
}
