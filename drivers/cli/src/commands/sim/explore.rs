//! Every schedule of a play.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::panic;
use std::path::Path;
use std::time::{Duration, Instant};

use chumwire_sim::explore::{ALPHABET, Bounds, Ending, Found, Play, Search, plays};

use super::progress::Line;
use super::scene::{Subject, play, record};
use crate::args::SimExplore;
use crate::event::{Event, Violation};
use crate::failure::Failure;
use crate::log;
use crate::output::Output;
use crate::signals::Signals;

/// The name that stands for every play.
const ALL: &str = "all";
/// How often an exploration is put away.
const OFTEN: Duration = Duration::from_secs(60);
/// Runs that are tried to make what was found short.
const TRIES: usize = 20_000;

/// Explores what the command line says.
///
/// # Errors
/// `no_scenario`, `usage`, `bad_checkpoint`, `trace_unusable`; `violation` if something is wrong.
pub(super) fn explore(args: &SimExplore, output: Output) -> Result<(), Failure> {
    let all: Vec<&'static Play> = match args.name.as_str() {
        ALL if args.checkpoint.is_some() => {
            return Err(Failure::usage("--checkpoint is for one name alone"));
        }
        ALL => plays().iter().collect(),
        name => vec![play(name)?],
    };
    let signals = Signals::new()?;
    let mut wrong = Vec::new();
    for play in all {
        let done = Exploration::begin(play, args)?.run(&signals)?;
        output.event(&done.event);
        wrong.extend(done.wrong);
        if done.ending == Ending::Stopped {
            break;
        }
    }
    match wrong.first() {
        None => Ok(()),
        Some(what) => Err(Failure::new("violation", what)),
    }
}

struct Exploration<'a> {
    play: &'static Play,
    args: &'a SimExplore,
    search: Search,
    begun: Instant,
    /// States that were seen before this process began.
    before: usize,
}

struct Done {
    event: Event,
    ending: Ending,
    wrong: Option<String>,
}

impl<'a> Exploration<'a> {
    fn begin(play: &'static Play, args: &'a SimExplore) -> Result<Self, Failure> {
        let bounds = Bounds {
            faults: args.faults,
            depth: args.depth,
            states: args.states,
            shard: args.shard.unwrap_or((0, 1)),
            ..Bounds::default()
        };
        let search = match &args.checkpoint {
            Some(path) if path.exists() => {
                let bad = |error: &dyn std::fmt::Display| {
                    Failure::new(
                        "bad_checkpoint",
                        format_args!("{}: {error}", path.display()),
                    )
                };
                let file = File::open(path).map_err(|error| bad(&error))?;
                Search::load(play, bounds, &mut BufReader::new(file))
                    .map_err(|error| bad(&error))?
            }
            _ => Search::new(play, bounds),
        };
        Ok(Self {
            play,
            args,
            before: search.counts().states,
            search,
            begun: Instant::now(),
        })
    }

    fn run(mut self, signals: &Signals) -> Result<Done, Failure> {
        // What a machine says when it panics is told with the rest.
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let ending = self.search(signals);
        let found = self.search.found().cloned();
        let violation = found.map(|found| self.tell(&found)).transpose();
        panic::set_hook(hook);
        let violation = violation?;
        if let (Some(path), None) = (&self.args.checkpoint, &violation) {
            put_away(&self.search, path)?;
        }
        let wrong = violation
            .as_ref()
            .map(|violation| format!("{}: {}", self.play.name, violation.message));
        Ok(Done {
            event: self.event(ending, violation),
            ending,
            wrong,
        })
    }

    fn search(&mut self, signals: &Signals) -> Ending {
        let (args, begun) = (self.args, self.begun);
        let limit = args.seconds.map(Duration::from_secs);
        let (mut line, mut saved, mut unsaved) = (Line::new(), begun, false);
        self.search.run(|search| {
            line.show(|| {
                let counts = search.counts();
                format!(
                    "{} states, {} wait, {} moves deep",
                    counts.states, counts.waiting, counts.depth
                )
            });
            if let Some(path) = &args.checkpoint
                && saved.elapsed() > OFTEN
                && !unsaved
            {
                if let Err(failure) = put_away(search, path) {
                    log::warn(format_args!("{}", failure.message));
                    unsaved = true;
                }
                saved = Instant::now();
            }
            if signals.came() {
                Some(Ending::Stopped)
            } else if limit.is_some_and(|limit| begun.elapsed() >= limit) {
                Some(Ending::Time)
            } else if memory().is_some_and(|mib| mib >= args.memory) {
                Some(Ending::Memory)
            } else {
                None
            }
        })
    }

    /// Makes what was found short, and writes it down.
    fn tell(&self, found: &Found) -> Result<Violation, Failure> {
        let subject = Subject::Play(self.play, self.args.faults);
        let shrunk = subject.shrink(found.schedule.clone(), TRIES);
        let (choices, steps) = match shrunk {
            Some(shrunk) => (shrunk.choices, shrunk.steps),
            None => (
                found.schedule.clone(),
                chumwire_sim::shrink::steps(&found.schedule),
            ),
        };
        if let Some(path) = &self.args.trace {
            record(path, subject.scene(&[], &choices), &subject.run(&choices))?;
        }
        Ok(Violation {
            message: found.what.clone(),
            moves: found.schedule.len(),
            steps,
            choices,
            path: self
                .args
                .trace
                .as_ref()
                .map(|path| path.display().to_string()),
        })
    }

    fn event(&self, ending: Ending, violation: Option<Violation>) -> Event {
        let counts = self.search.counts();
        let seconds = self.begun.elapsed().as_secs_f64();
        let new = counts.states - self.before;
        Event::Explore {
            scenario: self.play.name.into(),
            faults: self.args.faults,
            states: counts.states,
            moves: counts.moves,
            seen_again: counts.seen_again,
            commuted: counts.commuted,
            finals: counts.finals,
            depth: counts.depth,
            waiting: counts.waiting,
            complete: ending == Ending::Complete,
            bound: (ending != Ending::Complete).then(|| ending.name().into()),
            part: self
                .args
                .shard
                .map(|(part, parts)| format!("{part}/{parts}")),
            alphabet: ALPHABET.iter().map(ToString::to_string).collect(),
            seconds,
            states_per_second: (new as f64 / seconds.max(1e-9)) as u64,
            violation,
        }
    }
}

/// Puts an exploration away. What was there before is there until the new one is whole.
fn put_away(search: &Search, path: &Path) -> Result<(), Failure> {
    let new = path.with_added_extension("new");
    let written = File::create(&new).and_then(|file| {
        let mut out = BufWriter::new(file);
        search.save(&mut out)?;
        out.flush()?;
        fs::rename(&new, path)
    });
    written.map_err(|error| {
        Failure::new(
            "bad_checkpoint",
            format_args!("{} cannot be written: {error}", path.display()),
        )
    })
}

/// MiB that this process has in memory, where the system tells.
fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::look::again;
    use super::super::scene::Subject;
    use super::*;
    use crate::traces::read;

    /// No play of the library breaks a rule. This one has a rule that is broken when something was lost.
    static LOSES: LazyLock<Play> = LazyLock::new(|| Play {
        name: "loses",
        goal: |view| match view.pairings(0) {
            0 => Err("both pair, whatever happens".into()),
            _ => Ok(()),
        },
        ..*chumwire_sim::explore::play("pairing-direct").expect("a play")
    });

    fn args(dir: &tempfile::TempDir) -> SimExplore {
        SimExplore {
            name: "loses".into(),
            faults: 1,
            depth: None,
            states: None,
            seconds: None,
            memory: u64::MAX,
            shard: None,
            checkpoint: None,
            trace: Some(dir.path().join("short")),
        }
    }

    #[test]
    fn what_is_wrong_is_told_short_and_its_trace_replays() {
        let dir = tempfile::TempDir::new().expect("a directory");
        let args = args(&dir);
        let signals = Signals::new().expect("signals");
        let exploration = Exploration::begin(&LOSES, &args).expect("it begins");
        let done = exploration.run(&signals).expect("it ends");
        assert_eq!(done.ending, Ending::Violation);
        assert!(done.wrong.is_some_and(|what| what.starts_with("loses: ")));
        let Event::Explore {
            complete: false,
            bound: Some(bound),
            violation: Some(violation),
            ..
        } = done.event
        else {
            panic!("something is wrong");
        };
        assert_eq!((bound.as_str(), violation.steps), ("violation", 1));
        let path = args.trace.as_deref().expect("a path");
        let trace = read(path).expect("a trace");
        let scene = trace.header.scene.clone().expect("a scene");
        assert_eq!(
            (scene.explored, &scene.schedule),
            (Some(1), &violation.choices)
        );
        assert_eq!(scene.fails.as_deref(), Some(violation.message.as_str()));
        match again(Subject::Play(&LOSES, 1), &trace, &scene) {
            Ok(Event::Replayed {
                failure: Some(failure),
                ..
            }) => assert_eq!(failure, violation.message),
            _ => panic!("it replays"),
        }
        // Without the fault nothing is wrong.
        let good = chumwire_trace::Scene {
            schedule: Vec::new(),
            ..scene
        };
        let error = again(Subject::Play(&LOSES, 1), &trace, &good).err();
        assert_eq!(error.expect("another run").kind, "diverged");
    }

    #[test]
    fn memory_and_time_are_bounds() {
        let dir = tempfile::TempDir::new().expect("a directory");
        let signals = Signals::new().expect("signals");
        let bound = |change: fn(&mut SimExplore)| {
            let mut args = args(&dir);
            change(&mut args);
            let play = chumwire_sim::explore::play("pairing").expect("a play");
            let exploration = Exploration::begin(play, &args).expect("it begins");
            exploration.run(&signals).expect("it ends").ending
        };
        assert_eq!(bound(|args| args.seconds = Some(0)), Ending::Time);
        if memory().is_some() {
            assert_eq!(bound(|args| args.memory = 1), Ending::Memory);
        }
    }
}
