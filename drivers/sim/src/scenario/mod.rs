//! A scenario: a script for a world, written once, that runs under every source of choices.
//!
//! ```text
//! Setting + Chooser ──> Stage ──script──> Truth        what an explanation may say of it
//!                         │
//!                         └── after: faults off, clocks on ──> every connection connected or closed
//! ```
//!
//! A script draws everything that may vary from its [`Stage`]: so a thousand seeds see every variant, and a recorded
//! schedule is one of them again.

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/simulating.md")]
struct Documented;

mod after;
mod look;
mod shortest;
mod stage;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chumwire::time::Micros;

pub use look::{
    code_of, connected, end_of, ends, heard_texts, is_quiet, last_code, last_diagnosis, pairings,
    relay_stats, watch,
};
pub use shortest::Shortest;
pub use stage::{Friends, Meeting, RELAY, Stage, Via, Who, config};

use crate::chooser::Chooser;
use crate::link::Faults;
use crate::stranger::Stuck;
use crate::trace::Trace;
use crate::world::Violation;

/// How a scenario is run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The reorder window of all nodes of ours: 0 is the strict order. `None`: the scenario chooses.
    pub window: Option<usize>,
    /// Faults on all links, besides what the scenario does. What it requires cannot be held then; the invariants
    /// and what has to come after are.
    pub faults: Option<Faults>,
    /// Whether what happens is written down: [`Run::trace`], and the tail of a failure. A campaign goes faster without,
    /// and runs what has failed once more.
    pub trace: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            window: None,
            faults: None,
            trace: true,
        }
    }
}

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, as in the table of what goes wrong.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// What must happen then.
    pub required: &'static str,
    /// The script.
    pub script: fn(&mut Stage) -> Result<Truth, Stop>,
}

impl core::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What has happened in a run, in the words of an explanation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Causes that are right as the first one. Empty: nothing went wrong.
    pub causes: Vec<&'static str>,
    /// The faults were drawn at random: other causes can be right too.
    pub open: bool,
}

impl Truth {
    /// Nothing went wrong.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            causes: Vec::new(),
            open: false,
        }
    }

    /// Each of these would be right.
    #[must_use]
    pub fn of(causes: &[&'static str]) -> Self {
        Self {
            causes: causes.into(),
            open: false,
        }
    }

    /// Who knows.
    #[must_use]
    pub const fn open() -> Self {
        Self {
            causes: Vec::new(),
            open: true,
        }
    }
}

/// Why a script stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// An invariant is broken.
    Violation(Violation),
    /// A requirement is not met.
    Unmet(String),
    /// Faults that were asked for keep the script from going on.
    Disturbed,
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Why a run failed.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub what: String,
    /// When, on the world's clock.
    pub at: Micros,
    /// The last lines of the trace.
    pub tail: String,
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "at {}: {}\n{}", self.at, self.what, self.tail)
    }
}

/// As `Display`, so that a test that unwraps it can be read.
impl core::fmt::Debug for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Failure {}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whether all that is required was so.
    pub outcome: Result<(), Failure>,
    /// What was chosen, in words.
    pub variant: String,
    /// What an explanation may say. Only of a run that went as written.
    pub truth: Truth,
    /// Whether faults that were asked for stopped the script.
    pub disturbed: bool,
    /// Everything that happened.
    pub trace: Trace,
    /// How many lines of the trace are the script's; the rest is what came after.
    pub scripted: usize,
    /// Every choice: a schedule that repeats this run.
    pub schedule: Vec<u32>,
    /// Messages that have arrived.
    pub deliveries: u64,
    /// Virtual time.
    pub lasted: Micros,
}

impl Scenario {
    /// Runs it, and what has to come after. A panic of a machine or of the script is a failure like others.
    #[must_use]
    pub fn run(&self, setting: &Setting, chooser: impl Chooser + 'static) -> Run {
        let mut stage = Stage::new(*setting, chooser);
        let script = caught(|| (self.script)(&mut stage));
        let scripted = stage.world.trace_so_far().lines().len();
        let disturbed = script == Err(Stop::Disturbed);
        let (truth, outcome) = match script {
            Ok(truth) => (truth, caught(|| after::after(&mut stage))),
            Err(Stop::Disturbed) => (Truth::open(), caught(|| after::after(&mut stage))),
            Err(stop) => (Truth::open(), Err(stop)),
        };
        let outcome = outcome.map_err(|stop| stage.failure(stop));
        let world = &stage.world;
        Run {
            outcome,
            variant: stage.variant(),
            truth,
            disturbed,
            trace: world.trace_so_far().clone(),
            scripted,
            schedule: world.schedule().to_vec(),
            deliveries: world.deliveries(),
            lasted: world.now().mono,
        }
    }
}

/// Takes a panic as a failure. The world may be in the middle of something then, so it is only looked at: its trace
/// and its schedule are whole.
fn caught<T>(run: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(Stop::Unmet(format!("panicked: {}", message(&*panic)))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a word",
    }
}

impl Stage {
    /// Shakes off what a stranger could not do.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn stuck<T>(&self, result: Result<T, Stuck>) -> Result<T, Stop> {
        match result {
            Ok(value) => Ok(value),
            Err(Stuck::Violation(violation)) => Err(violation.into()),
            Err(Stuck::Heard(heard)) => {
                self.require(false, &format!("the stranger goes on, it heard {heard:?}"))?;
                Err(Stop::Disturbed)
            }
        }
    }
}
