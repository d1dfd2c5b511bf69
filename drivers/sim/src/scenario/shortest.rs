//! A failing run of a scenario, made as short as it gets.

use super::{Failure, Run, Scenario, Setting};
use crate::chooser::Scheduled;
use crate::shrink::{Shrunk, kind_of, shrink};

/// The shortest run that fails like another one.
#[derive(Clone, Debug)]
pub struct Shortest {
    /// The run, with its trace.
    pub run: Run,
    /// How it fails.
    pub failure: Failure,
    /// Its choices without the zeros at the end, and what it took to find them.
    pub shrunk: Shrunk,
}

impl Scenario {
    /// Makes a failing run as short as it gets, within a bound of runs: `choices` is its [`schedule`](Run::schedule).
    /// The result fails in the same way, as [`kind_of`] says. `None` if these choices do not fail.
    #[must_use]
    pub fn shrink(&self, setting: &Setting, choices: Vec<u32>, bound: usize) -> Option<Shortest> {
        let run = |choices: &[u32], trace| {
            let setting = Setting { trace, ..*setting };
            self.run(&setting, Scheduled::new(choices.into()))
        };
        let kind = |run: &Run| run.outcome.as_ref().err().map(|is| kind_of(&is.what));
        let first = run(&choices, false);
        let due = Some(kind(&first)?);
        // The choices that were really asked for, each within its options.
        let shrunk = shrink(first.schedule, bound, |choices| {
            kind(&run(choices, false)) == due
        });
        let run = run(&shrunk.choices, true);
        let failure = run.outcome.clone().err()?;
        Some(Shortest {
            run,
            failure,
            shrunk,
        })
    }
}
