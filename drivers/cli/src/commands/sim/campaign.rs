//! Many runs of many scenarios, on all cores.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use chumwire::hex;
use chumwire_sim::scenario::{Run, Scenario, Setting};
use chumwire_sim::{Chooser, Config, Faults, Pct, Seeded, Swarm};
use chumwire_trace::{Header, Origin, Scene, text_of};
use sha2::{Digest, Sha256};

use crate::args::{SimRun, Source};
use crate::event::Event;
use crate::failure::Failure;
use crate::output::Output;
use crate::traces::write;

/// The name that stands for every scenario.
const ALL: &str = "all";
/// Seeds that a thread takes at a time.
const CHUNK: usize = 16;

/// Runs what the command line says.
///
/// # Errors
/// `no_scenario`, `usage`; `sim_failed` if a run failed.
pub(super) fn run(args: &SimRun, output: Output) -> Result<(), Failure> {
    let scenarios: Vec<&'static Scenario> = match args.name.as_str() {
        ALL => chumwire_sim::catalogue::catalogue().iter().collect(),
        name => vec![chumwire_sim::catalogue::scenario(name).ok_or_else(|| no_scenario(name))?],
    };
    let setting = setting(args.reorder_window, &args.fault)?;
    let seeds = match (&args.seeds, args.seed) {
        (Some(seeds), _) => seeds.clone(),
        (None, Some(seed)) => seed..seed.saturating_add(1),
        (None, None) => 0..1,
    };
    let (part, parts) = args.shard.unwrap_or((0, 1));
    let seeds: Vec<u64> = seeds.filter(|seed| seed % parts == part).collect();

    let work = Work {
        scenarios,
        seeds,
        setting,
        source: args.chooser,
        next: AtomicUsize::new(0),
    };
    let mut all = Tally::default();
    let mut first = None;
    work.run(|scenario, tally| {
        if args.name == ALL {
            output.event(&tally.event(scenario.name));
        }
        if let Some(seed) = tally.first_failing {
            first.get_or_insert((scenario, seed));
        }
        all.add(&tally);
    });
    output.event(&all.event(&args.name));
    if let (Some(path), Some(begin), Some(seed)) =
        (&args.trace, work.scenarios.first(), work.seeds.first())
    {
        let (scenario, seed) = first.unwrap_or((begin, *seed));
        record(path, scenario, seed, args, &work.setting)?;
    }
    match first {
        None => Ok(()),
        Some((scenario, seed)) => Err(Failure::new(
            "sim_failed",
            format_args!(
                "{} of {} runs failed; to see the first: chumwire sim run {} --seed {seed} --trace FILE, \
                 then chumwire explain FILE",
                all.failed, all.runs, scenario.name
            ),
        )),
    }
}

/// There is no scenario of this name.
pub(super) fn no_scenario(name: &str) -> Failure {
    Failure::new(
        "no_scenario",
        format_args!("there is no scenario `{name}`; `chumwire sim list` names them all"),
    )
}

/// How runs are made.
///
/// # Errors
/// `usage`: a fault that is none.
pub(super) fn setting(window: Option<usize>, faults: &[String]) -> Result<Setting, Failure> {
    let mut setting = Setting {
        window,
        ..Setting::default()
    };
    for text in faults {
        let (name, rate) = text.split_once('=').unwrap_or((text, ""));
        let rate: f64 = rate.parse().map_err(|_| {
            Failure::usage(format_args!(
                "--fault {text}: a name and a rate from 0 to 1 are due, as in loss=0.1"
            ))
        })?;
        let faults = setting.faults.get_or_insert_with(Faults::default);
        faults
            .set(name, rate)
            .map_err(|error| Failure::usage(format_args!("--fault {text}: {error}")))?;
    }
    Ok(setting)
}

/// The choices of a run.
fn chooser(source: Source, seed: u64) -> Box<dyn Chooser> {
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
    let run = scenario.run(setting, chooser(args.chooser, seed));
    let header = Header {
        scene: Some(Scene {
            scenario: Some(scenario.name.into()),
            seed: Some(seed),
            window: setting.window,
            faults: args.fault.clone(),
            schedule: run.schedule.clone(),
        }),
        ..Header::new(Origin::Simulated, Config::default().wall.0)
    };
    let lines = run.trace.lines().iter().map(text_of);
    write(path, [text_of(&header)].into_iter().chain(lines))
}

/// What came of the runs of one scenario, or of all.
#[derive(Clone, Default)]
struct Tally {
    runs: u64,
    failed: u64,
    first_failing: Option<u64>,
    failure: Option<String>,
    /// Of the parts' hashes, in their order.
    hash: Sha256,
    /// The first part's hash: if it is the only one, it is that of the whole.
    single: Option<[u8; 32]>,
    parts: u64,
}

impl Tally {
    fn count(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.part(outcome.hash);
        if let Some(failure) = outcome.failure {
            self.failed += 1;
            if self.first_failing.is_none() {
                (self.first_failing, self.failure) = (Some(seed), Some(failure));
            }
        }
    }

    fn add(&mut self, other: &Self) {
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

    fn event(&self, scenario: &str) -> Event {
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
struct Outcome {
    hash: [u8; 32],
    failure: Option<String>,
}

impl From<Run> for Outcome {
    fn from(run: Run) -> Self {
        Self {
            hash: run.trace.hash(),
            failure: run.outcome.err().map(|failure| failure.to_string()),
        }
    }
}

/// Some seeds of one scenario that have been run: its number, the number of the chunk, the outcomes.
type Done = (usize, usize, Vec<Outcome>);

/// Every seed of every scenario.
struct Work {
    scenarios: Vec<&'static Scenario>,
    seeds: Vec<u64>,
    setting: Setting,
    source: Source,
    /// The next chunk that nobody has taken.
    next: AtomicUsize,
}

impl Work {
    fn chunks(&self) -> usize {
        self.seeds.len().div_ceil(CHUNK)
    }

    /// Runs all on all cores, and tells each scenario's tally in order.
    fn run(&self, mut tell: impl FnMut(&'static Scenario, Tally)) {
        let (done, outcomes) = channel();
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
                let done = done.clone();
                scope.spawn(move || self.take(&done));
            }
            drop(done);
            self.gather(&outcomes, &mut tell);
        });
    }

    fn take(&self, done: &Sender<Done>) {
        loop {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let (of, chunk) = (next / self.chunks().max(1), next % self.chunks().max(1));
            let (Some(scenario), Some(seeds)) =
                (self.scenarios.get(of), self.seeds.chunks(CHUNK).nth(chunk))
            else {
                return;
            };
            let outcomes = seeds
                .iter()
                .map(|seed| {
                    scenario
                        .run(&self.setting, chooser(self.source, *seed))
                        .into()
                })
                .collect();
            if done.send((of, chunk, outcomes)).is_err() {
                return;
            }
        }
    }

    fn gather(&self, outcomes: &Receiver<Done>, tell: &mut impl FnMut(&'static Scenario, Tally)) {
        let mut waiting: BTreeMap<(usize, usize), Vec<Outcome>> = BTreeMap::new();
        let mut progress = Progress::new(self.scenarios.len() * self.seeds.len());
        let mut at = 0;
        for (of, chunk, outcomes) in outcomes {
            progress.done(outcomes.len());
            waiting.insert((of, chunk), outcomes);
            while at < self.scenarios.len()
                && waiting.range((at, 0)..(at + 1, 0)).count() == self.chunks()
            {
                let mut tally = Tally::default();
                let all = (0..self.chunks()).filter_map(|chunk| waiting.remove(&(at, chunk)));
                for (seed, outcome) in self.seeds.iter().zip(all.flatten().collect::<Vec<_>>()) {
                    tally.count(*seed, outcome);
                }
                progress.clear();
                tell(self.scenarios[at], tally);
                at += 1;
            }
        }
        progress.clear();
    }
}

/// A line on the terminal that says how far it is; none if nobody looks.
struct Progress {
    all: usize,
    done: usize,
    begun: Instant,
    shown: Option<Instant>,
    looks: bool,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self {
            all,
            done: 0,
            begun: Instant::now(),
            shown: None,
            looks: std::io::stderr().is_terminal(),
        }
    }

    fn done(&mut self, more: usize) {
        const OFTEN: Duration = Duration::from_millis(250);
        self.done += more;
        if !self.looks || self.shown.is_some_and(|shown| shown.elapsed() < OFTEN) {
            return;
        }
        self.shown = Some(Instant::now());
        let took = self.begun.elapsed();
        let left = took.mul_f64((self.all - self.done) as f64 / self.done.max(1) as f64);
        let line = format!(
            "{} of {} runs, {} s left",
            self.done,
            self.all,
            left.as_secs()
        );
        let _ = write!(std::io::stderr().lock(), "\r{line:<60}");
    }

    fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr().lock(), "\r{:<60}\r", "");
        }
    }
}
