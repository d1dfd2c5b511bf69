//! Many runs of many scenarios, on all cores.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use chumwire_sim::scenario::{Scenario, Setting};
use chumwire_sim::sync::{SyncScenario, sync_catalogue, sync_scenario};
use chumwire_sim::{Chooser, Pct, Seeded, Swarm};
use chumwire_trace::Scene;

use super::progress::Progress;
use super::scene::{self, Subject};
use super::seeds::Seeds;
use super::tally::{Outcome, Tally};
use crate::args::{SimRun, Source};
use crate::failure::Failure;
use crate::output::Output;

/// The name that stands for every scenario.
const ALL: &str = "all";
/// Seeds that a thread takes at a time.
const CHUNK: u64 = 16;

/// Runs what the command line says.
///
/// # Errors
/// `no_scenario`, `usage`; `sim_failed` if a run failed.
pub(super) fn run(args: &SimRun, output: Output) -> Result<(), Failure> {
    let scenarios: Vec<Kind> = match args.name.as_str() {
        ALL => {
            let worlds = chumwire_sim::catalogue::catalogue().iter();
            let syncs = sync_catalogue().iter().map(Kind::Sync);
            worlds.map(Kind::World).chain(syncs).collect()
        }
        name => match sync_scenario(name) {
            Some(sync) => vec![sync_only(sync, args)?],
            None => vec![Kind::World(scene::scenario(name)?)],
        },
    };
    let setting = scene::setting(args.reorder_window, &args.fault)?;
    let seeds = match (&args.seeds, args.seed) {
        (Some(seeds), _) => seeds.clone(),
        (None, Some(seed)) => seed..seed.saturating_add(1),
        (None, None) => 0..1,
    };
    let seeds = Seeds::of(&seeds, args.shard.unwrap_or((0, 1)));
    let work = Work {
        scenarios,
        seeds,
        setting,
        source: args.chooser,
        next: AtomicU64::new(0),
    };
    let mut all = Tally::default();
    let mut first = None;
    work.run(|scenario, tally| {
        if args.name == ALL {
            output.event(&tally.event(scenario.name()));
        }
        if let Some(seed) = tally.first_failing {
            first.get_or_insert((scenario, seed));
        }
        all.add(tally);
    });
    output.event(&all.event(&args.name));
    if let (Some(path), Some(begin), Some(seed)) =
        (&args.trace, work.scenarios.first(), work.seeds.get(0))
    {
        // Of a synchronisation there is no trace: its failure has the last lines.
        if let (Kind::World(scenario), seed) = first.unwrap_or((*begin, seed)) {
            record(path, scenario, seed, args, &work.setting)?;
        }
    }
    match first {
        None => Ok(()),
        Some((scenario, seed)) => Err(Failure::new(
            "sim_failed",
            format_args!(
                "{} of {} runs failed; {}",
                all.failed,
                all.runs,
                scenario.to_see(seed, args)
            ),
        )),
    }
}

/// What is run.
#[derive(Clone, Copy)]
enum Kind {
    /// In a world of nodes.
    World(&'static Scenario),
    /// In a world of CHUMs.
    Sync(&'static SyncScenario),
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::World(scenario) => scenario.name,
            Self::Sync(scenario) => scenario.name,
        }
    }

    fn run(self, setting: &Setting, chooser: Box<dyn Chooser>) -> Outcome {
        match self {
            Self::World(scenario) => scenario.run(setting, chooser).into(),
            Self::Sync(scenario) => scenario.run(chooser).into(),
        }
    }

    fn to_see(self, seed: u64, args: &SimRun) -> String {
        match self {
            Self::World(scenario) => to_see(scenario.name, seed, args),
            Self::Sync(scenario) => {
                format!(
                    "to see the first: chumwire sim run {} --seed {seed}",
                    scenario.name
                )
            }
        }
    }
}

/// A scenario of synchronisation, which has its own faults and no trace.
fn sync_only(scenario: &'static SyncScenario, args: &SimRun) -> Result<Kind, Failure> {
    let asks_more = args.trace.is_some() || args.reorder_window.is_some();
    match asks_more || !args.fault.is_empty() {
        false => Ok(Kind::Sync(scenario)),
        true => Err(Failure::usage(format_args!(
            "{} has faults of its own, and no trace: without --fault, --reorder-window and --trace",
            scenario.name
        ))),
    }
}

/// What to type to see a run, whole and short.
fn to_see(scenario: &str, seed: u64, args: &SimRun) -> String {
    let run = format!("{scenario} --seed {seed}{}", options(args));
    format!(
        "to see the first: chumwire sim run {run} --trace FILE, then chumwire explain FILE; \
         to see it as short as it gets: chumwire sim shrink {run} -o FILE"
    )
}

/// How runs were asked for, as it is typed.
fn options(args: &SimRun) -> String {
    let mut text = String::new();
    if let Some(window) = args.reorder_window {
        text += &format!(" --reorder-window {window}");
    }
    for fault in &args.fault {
        text += &format!(" --fault {fault}");
    }
    match args.chooser {
        Source::Seeded => {}
        Source::Swarm => text += " --chooser swarm",
        Source::Pct => text += " --chooser pct",
    }
    text
}

/// The choices of a run.
pub(super) fn chooser(source: Source, seed: u64) -> Box<dyn Chooser> {
    /// Changes of priority, and the ties over which they are spread: as many as a pairing has.
    const CHANGES: (usize, u64) = (3, 200);
    match source {
        Source::Seeded => Box::new(Seeded::new(seed)),
        Source::Swarm => Box::new(Swarm::new(seed)),
        Source::Pct => Box::new(Pct::new(seed, CHANGES.0, CHANGES.1)),
    }
}

/// Writes one run down.
fn record(
    path: &Path,
    scenario: &Scenario,
    seed: u64,
    args: &SimRun,
    setting: &Setting,
) -> Result<(), Failure> {
    let untraced = Setting {
        trace: false,
        ..*setting
    };
    let choices = scenario
        .run(&untraced, chooser(args.chooser, seed))
        .schedule;
    let subject = Subject::Scenario(scenario, *setting);
    let scene = Scene {
        seed: Some(seed),
        ..subject.scene(&args.fault, &choices)
    };
    scene::record(path, scene, &subject.run(&choices))
}

/// Some seeds of one scenario that have been run: its number, the number of the chunk, the outcomes.
type Done = (usize, u64, Vec<Outcome>);

/// Every seed of every scenario.
struct Work {
    scenarios: Vec<Kind>,
    seeds: Seeds,
    setting: Setting,
    source: Source,
    /// The next chunk that nobody has taken, counted over all scenarios.
    next: AtomicU64,
}

impl Work {
    /// Chunks of one scenario. An empty one stands for no seed at all.
    const fn chunks(&self) -> u64 {
        let chunks = self.seeds.count.div_ceil(CHUNK);
        if chunks == 0 { 1 } else { chunks }
    }

    /// Runs all on all cores, and tells each scenario's tally in order.
    fn run(&self, mut tell: impl FnMut(Kind, &Tally)) {
        // Who is far ahead waits until the others' outcomes are counted.
        let (done, outcomes) = sync_channel(1024);
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
                let done = done.clone();
                scope.spawn(move || self.take(&done));
            }
            drop(done);
            self.gather(&outcomes, &mut tell);
        });
    }

    fn take(&self, done: &SyncSender<Done>) {
        loop {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let chunk = next % self.chunks();
            let of = usize::try_from(next / self.chunks()).unwrap_or(usize::MAX);
            let Some(scenario) = self.scenarios.get(of).copied() else {
                return;
            };
            let outcomes = (chunk * CHUNK..(chunk + 1).saturating_mul(CHUNK))
                .map_while(|number| self.seeds.get(number))
                .map(|seed| scenario.run(&self.setting, chooser(self.source, seed)))
                .collect();
            if done.send((of, chunk, outcomes)).is_err() {
                return;
            }
        }
    }

    /// Counts outcomes in the order of the seeds, in whatever order they come.
    fn gather(&self, outcomes: &Receiver<Done>, tell: &mut impl FnMut(Kind, &Tally)) {
        let all = self.seeds.count.saturating_mul(self.scenarios.len() as u64);
        let mut progress = Progress::new(all);
        let mut early: BTreeMap<(usize, u64), Vec<Outcome>> = BTreeMap::new();
        let (mut at, mut number, mut tally) = ((0, 0), 0, Tally::default());
        for (of, chunk, outcomes) in outcomes {
            progress.done(outcomes.len() as u64);
            early.insert((of, chunk), outcomes);
            while let Some(outcomes) = early.remove(&at) {
                for outcome in outcomes {
                    if let Some(seed) = self.seeds.get(number) {
                        tally.count(seed, outcome);
                    }
                    number += 1;
                }
                at.1 += 1;
                if at.1 == self.chunks() {
                    progress.clear();
                    tell(self.scenarios[at.0], &tally);
                    (at, number, tally) = ((at.0 + 1, 0), 0, Tally::default());
                }
            }
        }
        progress.clear();
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command, Sim};

    fn parsed(command: &str) -> Sim {
        let Ok(Cli {
            command: Command::Sim { command },
            ..
        }) = Cli::try_parse_from(command.split(' '))
        else {
            panic!("{command} cannot be typed");
        };
        command
    }

    #[test]
    fn what_is_to_be_typed_after_a_failure_can_be_typed() {
        let asked = "chumwire sim run all --seeds 0..9 --fault loss=0.1 --fault cut=0.2 --reorder-window 4 --chooser pct";
        let Sim::Run(args) = parsed(asked) else {
            panic!("runs");
        };
        let hint = to_see("pairing", 7, &args);
        let typed = |from: &str, to: &str| {
            let start = hint.find(from).expect(from);
            let rest = &hint[start..];
            parsed(&rest[..rest.find(to).expect(to)])
        };
        let Sim::Run(run) = typed("chumwire sim run", ", then") else {
            panic!("a run");
        };
        assert_eq!((run.name.as_str(), run.seed), ("pairing", Some(7)));
        let hint = format!("{hint};");
        let rest = &hint[hint.find("chumwire sim shrink").expect("it")..hint.len() - 1];
        let Sim::Shrink(shrink) = parsed(rest) else {
            panic!("a run to be shrunk");
        };
        assert_eq!((shrink.source.as_str(), shrink.seed), ("pairing", Some(7)));
        for (fault, window) in [
            (run.fault, run.reorder_window),
            (shrink.fault, shrink.reorder_window),
        ] {
            assert_eq!((fault, window), (args.fault.clone(), Some(4)));
        }
        assert!(run.chooser == Source::Pct && shrink.chooser == Some(Source::Pct));
    }
}
