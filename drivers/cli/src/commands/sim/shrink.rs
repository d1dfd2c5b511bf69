//! A failing run becomes as short as it gets.

use std::fs;
use std::panic;
use std::path::Path;

use chumwire_sim::scenario::Setting;
use chumwire_sim::{Bytes, Chooser};

use super::campaign::chooser;
use super::scene::{Subject, record, scenario, scene_of, setting};
use crate::args::{SimShrink, Source};
use crate::event::Event;
use crate::failure::Failure;
use crate::output::Output;
use crate::traces::read;

/// Shrinks what the command line says.
///
/// # Errors
/// `not_failing`, `no_scenario`, `usage`, `bad_trace`, `bad_bytes`, `not_replayable`, `trace_unusable`
pub(super) fn shrink(args: &SimShrink, output: Output) -> Result<(), Failure> {
    // A run that panics is tried hundreds of times; once is enough to be told so.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let event = Asked::of(args).and_then(|run| run.shrink(args.tries, &args.output));
    panic::set_hook(hook);
    output.event(&event?);
    Ok(())
}

/// A run that somebody wants to be short.
struct Asked<'a> {
    subject: Subject<'a>,
    /// The faults of the setting, as they were typed.
    faults: Vec<String>,
    choices: Vec<u32>,
}

impl Asked<'_> {
    fn of(args: &SimShrink) -> Result<Self, Failure> {
        let is_name = chumwire_sim::catalogue::scenario(&args.source).is_some();
        let path = Path::new(&args.source);
        if !is_name && path.exists() {
            return Self::of_trace(path, args);
        }
        let scenario = scenario(&args.source)?;
        let setting = setting(args.reorder_window, &args.fault)?;
        let source: Box<dyn Chooser> = match (&args.bytes, args.seed) {
            (Some(path), _) => Box::new(Bytes::new(&fs::read(path).map_err(|error| {
                Failure::new("bad_bytes", format_args!("{}: {error}", path.display()))
            })?)),
            (None, Some(seed)) => chooser(args.chooser.unwrap_or(Source::Seeded), seed),
            (None, None) => {
                return Err(Failure::usage(
                    "which run of the scenario? --seed N or --bytes FILE says it",
                ));
            }
        };
        let untraced = Setting {
            trace: false,
            ..setting
        };
        Ok(Self {
            subject: Subject::Scenario(scenario, setting),
            faults: args.fault.clone(),
            choices: scenario.run(&untraced, source).schedule,
        })
    }

    fn of_trace(path: &Path, args: &SimShrink) -> Result<Self, Failure> {
        let more = args.seed.is_some()
            || args.bytes.is_some()
            || args.chooser.is_some()
            || args.reorder_window.is_some()
            || !args.fault.is_empty();
        if more {
            return Err(Failure::usage(
                "a trace says itself how its run was made: --seed, --bytes, --chooser, --fault and \
                 --reorder-window are for a scenario",
            ));
        }
        let trace = read(path)?;
        let Some((scene, name)) = scene_of(&trace)? else {
            return Err(Failure::new(
                "not_replayable",
                "only runs of the simulator can be shrunk, and this trace is of another one",
            ));
        };
        Ok(Self {
            subject: Subject::of(scene, name)?,
            faults: scene.faults.clone(),
            choices: scene.schedule.clone(),
        })
    }

    /// Shrinks it, and writes down what is left.
    fn shrink(self, tries: usize, path: &Path) -> Result<Event, Failure> {
        let name = self.subject.name();
        let Some(shrunk) = self.subject.shrink(self.choices, tries) else {
            return Err(Failure::new(
                "not_failing",
                format_args!(
                    "this run of {name} does not fail; chumwire sim run {name} --seeds A..B looks for one that does"
                ),
            ));
        };
        let ran = self.subject.run(&shrunk.choices);
        record(
            path,
            self.subject.scene(&self.faults, &shrunk.choices),
            &ran,
        )?;
        Ok(Event::Shrunk {
            scenario: name.into(),
            steps: shrunk.steps,
            tries: shrunk.runs,
            choices: shrunk.choices,
            failure: ran.failure.unwrap_or_default(),
            path: path.display().to_string(),
            trace_hash: chumwire::hex::encode(&ran.hash),
            finished: shrunk.finished,
        })
    }
}

#[cfg(test)]
mod tests {
    use chumwire_sim::scenario::{Scenario, Stage, Stop, Truth, Via, Who};
    use chumwire_sim::{Faults, Seeded};
    use chumwire_trace::Scene;
    use tempfile::TempDir;

    use super::super::look::again;
    use super::*;

    /// The catalogue has no run that fails. This one hopes that nothing is lost, on links that lose.
    const HOPES: Scenario = Scenario {
        name: "hopes",
        about: "two pair over bad links",
        required: "both pair, whatever happens",
        script: hopes,
    };

    fn hopes(stage: &mut Stage) -> Result<Truth, Stop> {
        let meeting = stage.meeting(Via::Direct, Who::Ours, Who::Ours)?;
        stage.let_links(Faults {
            loss: 100,
            ..Faults::default()
        });
        stage.pair(&meeting)?;
        Ok(Truth::open())
    }

    fn hoping() -> Subject<'static> {
        Subject::Scenario(&HOPES, Setting::default())
    }

    fn asked(choices: Vec<u32>) -> Asked<'static> {
        Asked {
            subject: hoping(),
            faults: Vec::new(),
            choices,
        }
    }

    #[test]
    fn the_file_is_the_shortest_run_and_replays_only_as_it_is() {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("short");
        let runs = (0..100).map(|seed| HOPES.run(&Setting::default(), Seeded::new(seed)));
        let failing = runs.into_iter().find(|run| run.outcome.is_err());
        let failing = failing.expect("some seed fails").schedule;
        let Ok(Event::Shrunk {
            scenario,
            steps: 1,
            choices,
            failure,
            trace_hash,
            finished: true,
            ..
        }) = asked(failing).shrink(1_000, &path)
        else {
            panic!("one message is lost");
        };
        assert_eq!(
            (scenario.as_str(), failure.as_str()),
            ("hopes", "both have paired")
        );

        let mut trace = read(&path).expect("a trace");
        let scene = trace.header.scene.clone().expect("a scene");
        assert_eq!((&scene.schedule, scene.seed), (&choices, None));
        assert_eq!(scene.fails.as_ref(), Some(&failure));
        match again(hoping(), &trace, &scene) {
            Ok(Event::Replayed {
                trace_hash: hash,
                failure: fails,
                ..
            }) => assert_eq!((hash, fails), (Some(trace_hash), Some(failure))),
            _ => panic!("it replays"),
        }

        let diverged = |scene: &Scene, trace: &_| {
            let error = again(hoping(), trace, scene).err().expect("another run");
            assert_eq!(error.kind, "diverged");
            error.message
        };
        let other = Scene {
            fails: Some("an invitation pairs once".into()),
            ..scene.clone()
        };
        assert!(diverged(&other, &trace).contains("it fails otherwise: both have paired"));
        let good = Scene {
            schedule: Vec::new(),
            ..scene.clone()
        };
        assert!(diverged(&good, &trace).contains("does not fail any more"));
        trace.lines.pop();
        assert!(diverged(&scene, &trace).contains("another one from line"));
    }

    #[test]
    fn what_does_not_fail_leaves_no_file() {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("short");
        let error = asked(Vec::new()).shrink(1_000, &path).err();
        let error = error.expect("nothing is lost");
        assert_eq!((error.kind.as_str(), error.exit_code()), ("not_failing", 1));
        assert!(!path.exists());
    }
}
