//! A small world for CHUM: instances with a store each, and what is shared between them.
//!
//! ```text
//!        chooser: who is next, what breaks
//!           |
//!   Chum ── pipe ── Chum          ordered and reliable, as the encrypted channel below is; until it is cut
//!     |               |
//!   store           store         a crash leaves a beginning of its writes
//! ```
//! An instance may be a double of a deployed one: it speaks as the specification tells of that.
//!
//! A [`SyncScenario`] is run by [`SyncScenario::run`]. Faults are bounded; then all has to come to rest, with everything
//! that was granted at its place. Beside random ones, faults can be [`Planned`] one by one: so every position of one
//! fault is tried in a test.

mod check;
mod deployed;
mod desk;
mod disk;
mod ends;
mod faults;
mod scenarios;
mod settle;
mod speaker;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chumwire::time::Micros;
use sha2::{Digest, Sha256};

pub use deployed::DeployedChumFaults;
pub use desk::{Deed, Desk, note};
pub use faults::{Blow, Mix, Moment, Planned};
pub use scenarios::{GRAPH, sync_catalogue, sync_scenario};
pub use world::SyncWorld;

use crate::chooser::Chooser;

/// A scenario of synchronisation.
#[derive(Clone, Copy, Debug)]
pub struct SyncScenario {
    /// Its name.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// What must happen then.
    pub required: &'static str,
    /// The script. When it is over, the faults are.
    pub script: fn(&mut SyncWorld) -> Result<(), String>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct SyncRun {
    /// Whether all that is required was so.
    pub outcome: Result<(), SyncFailure>,
    /// Every choice: a schedule that repeats this run.
    pub schedule: Vec<u32>,
    /// What happened, line by line.
    pub log: Vec<String>,
    /// Messages that came to their turn.
    pub messages: u64,
    /// Writes that machines have made.
    pub writes: u64,
    /// Virtual time.
    pub lasted: Micros,
}

/// Why a run failed.
#[derive(Clone, PartialEq, Eq)]
pub struct SyncFailure {
    /// What is wrong.
    pub what: String,
    /// The last lines.
    pub tail: String,
}

impl core::fmt::Display for SyncFailure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}\n{}", self.what, self.tail)
    }
}

/// As `Display`, so that a test that unwraps it can be read.
impl core::fmt::Debug for SyncFailure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for SyncFailure {}

impl SyncRun {
    /// The SHA-256 of all lines.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for line in &self.log {
            hash.update(line);
            hash.update("\n");
        }
        hash.finalize().into()
    }
}

impl SyncScenario {
    /// Runs it until all is at rest.
    #[must_use]
    pub fn run(&self, chooser: impl Chooser + 'static) -> SyncRun {
        self.run_with(&[], chooser)
    }

    /// Runs it with these faults and no others.
    #[must_use]
    pub fn run_with(&self, planned: &[Planned], chooser: impl Chooser + 'static) -> SyncRun {
        /// Lines that a failure shows.
        const TAIL: usize = 40;
        let mut world = SyncWorld::new(chooser, planned);
        let result = catch_unwind(AssertUnwindSafe(|| {
            (self.script)(&mut world)?;
            world.settle()
        }));
        let result = result.unwrap_or_else(|panic| Err(format!("panicked: {}", message(&*panic))));
        let log = world.lines().to_vec();
        let outcome = result.map_err(|what| SyncFailure {
            what,
            tail: log[log.len().saturating_sub(TAIL)..].join("\n"),
        });
        SyncRun {
            outcome,
            schedule: world.choices().to_vec(),
            log,
            messages: world.messages,
            writes: world.writes,
            lasted: world.now.mono,
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a word",
    }
}
