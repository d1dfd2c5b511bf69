//! Looks for a run of the catalogue that fails, for a while, on all cores, and says what it found in one line of JSON.
//! `tests/planted/run` builds and runs it for every planted bug.
//!
//! `cargo run --release -p chumwire-sim --example hunt -- [--seconds 300] [--stall 20] [--seeds 1000]`
//!
//! All scenarios get their first seed before any gets its second one. Besides the plain run of each seed there is, of
//! some seeds, one with swarm faults on all links, and one with each of two reorder windows. A run that panics has
//! failed, and so has one that does not end: a machine that is caught at a deadline never comes back.

#![expect(
    clippy::disallowed_methods,
    reason = "who hunts reads the clock and uses all cores; the runs do not"
)]
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use chumwire_sim::catalogue::catalogue;
use chumwire_sim::scenario::{Scenario, Setting};
use chumwire_sim::{Chooser, Faults, Seeded, Swarm};

/// How often each kind of fault happens on a link, in thousandths, before a swarm makes it wild or turns it off.
const FAULTS: u32 = 5;
/// How often it is looked whether a run hangs.
const LOOK: Duration = Duration::from_millis(100);

/// How one run of a seed differs from others of it.
#[derive(Clone, Copy, Debug)]
enum How {
    Plain,
    Swarm,
    Window(usize),
}

impl How {
    /// The runs of all scenarios with one seed. A plain run finds most; the others cost time.
    fn of_seed(seed: u64) -> &'static [Self] {
        match seed % 4 {
            1 => &[Self::Plain, Self::Window(16)],
            3 => &[Self::Plain, Self::Window(0)],
            _ => &[Self::Plain, Self::Swarm],
        }
    }

    fn name(self) -> String {
        match self {
            Self::Plain => "plain".into(),
            Self::Swarm => "swarm".into(),
            Self::Window(window) => format!("window {window}"),
        }
    }

    fn setting(self) -> Setting {
        let faults = matches!(self, Self::Swarm).then(|| Faults::every(FAULTS));
        let window = match self {
            Self::Window(window) => Some(window),
            _ => None,
        };
        Setting {
            window,
            faults,
            trace: false,
        }
    }

    fn chooser(self, seed: u64) -> Box<dyn Chooser> {
        match self {
            Self::Swarm => Box::new(Swarm::new(seed)),
            _ => Box::new(Seeded::new(seed)),
        }
    }
}

/// One run, by its number: all scenarios in one way, then all in the next one, then the next seed.
#[derive(Clone, Copy)]
struct Job {
    seed: u64,
    how: How,
    scenario: &'static Scenario,
}

impl Job {
    /// Every seed has two ways.
    const WAYS: u64 = 2;

    fn numbered(number: u64) -> Self {
        let all = catalogue();
        let round = number / all.len() as u64;
        let seed = round / Self::WAYS;
        Self {
            seed,
            how: How::of_seed(seed)[(round % Self::WAYS) as usize],
            scenario: &all[(number % all.len() as u64) as usize],
        }
    }

    /// Runs it; gives the first line of what is wrong.
    fn run(self) -> Option<String> {
        let run = || {
            let setting = self.how.setting();
            self.scenario.run(&setting, self.how.chooser(self.seed))
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(run) => run.outcome.err().map(|failure| first_line(&failure.what)),
            Err(panic) => {
                let text = (panic.downcast_ref::<String>().map(String::as_str))
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                let text = text.unwrap_or("something that is no text");
                Some(format!("a panic: {}", first_line(text)))
            }
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().into()
}

/// What the threads share: the next job, and which one each has begun when, in milliseconds. Job and time are one
/// more than they are, so that 0 is none.
struct Desk {
    next: AtomicU64,
    end: u64,
    begun: Instant,
    at: Vec<(AtomicU64, AtomicU64)>,
}

impl Desk {
    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn work(&self, me: usize, found: &Sender<(Job, String)>) {
        let (job, since) = &self.at[me];
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.end {
                return;
            }
            since.store(self.millis() + 1, Ordering::Relaxed);
            job.store(number + 1, Ordering::Release);
            if let Some(what) = Job::numbered(number).run() {
                // Whoever found something first is heard.
                let _ = found.send((Job::numbered(number), what));
                return;
            }
            job.store(0, Ordering::Release);
        }
    }

    /// A job that has been run for so long that it will not end.
    fn hangs(&self, stall: Duration) -> Option<Job> {
        let now = self.millis();
        self.at.iter().find_map(|(job, since)| {
            let number = job.load(Ordering::Acquire).checked_sub(1)?;
            let since = since.load(Ordering::Relaxed).saturating_sub(1);
            let long = u128::from(now.saturating_sub(since)) > stall.as_millis();
            long.then(|| Job::numbered(number))
        })
    }
}

/// What was asked for.
struct Args {
    seconds: u64,
    stall: u64,
    seeds: u64,
}

impl Args {
    fn read() -> Result<Self, String> {
        let mut args = Self {
            seconds: 300,
            stall: 20,
            seeds: 1_000,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = match word.as_str() {
                "--seconds" => &mut args.seconds,
                "--stall" => &mut args.stall,
                "--seeds" => &mut args.seeds,
                _ => return Err(format!("{word} is unknown")),
            };
            *value = (words.next())
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("{word}: a number is due"))?;
        }
        Ok(args)
    }
}

/// Waits for the first finding, the end of all jobs, or the end of the time.
fn hunt(args: &Args) -> (Arc<Desk>, Option<(Job, String)>) {
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let desk = Arc::new(Desk {
        next: AtomicU64::new(0),
        end: args.seeds * Job::WAYS * catalogue().len() as u64,
        begun: Instant::now(),
        at: (0..cores).map(|_| Default::default()).collect(),
    });
    let (found, finding) = channel();
    for me in 0..cores {
        let (desk, found) = (desk.clone(), found.clone());
        thread::spawn(move || desk.work(me, &found));
    }
    drop(found);
    let stall = Duration::from_secs(args.stall);
    loop {
        match finding.recv_timeout(LOOK) {
            Ok(first) => return (desk, Some(first)),
            Err(RecvTimeoutError::Disconnected) => return (desk, None),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(job) = desk.hangs(stall) {
            let what = format!("a run does not end within {} s", args.stall);
            return (desk, Some((job, what)));
        }
        if desk.begun.elapsed() >= Duration::from_secs(args.seconds) {
            return (desk, None);
        }
    }
}

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    // A panic is a finding, told in the line below.
    std::panic::set_hook(Box::new(|_| {}));
    let (desk, first) = hunt(&args);
    let seconds = desk.millis() as f64 / 1_000.0;
    let runs = desk.next.load(Ordering::Relaxed).min(desk.end);
    let line = match first {
        Some((job, what)) => serde_json::json!({
            "found": true, "by": "seeds", "scenario": job.scenario.name, "seed": job.seed,
            "how": job.how.name(), "seconds": seconds, "runs": runs, "steps": null, "what": what,
        }),
        None => serde_json::json!({
            "found": false, "by": null, "scenario": null, "seed": null, "how": null,
            "seconds": seconds, "runs": runs, "steps": null, "what": null,
        }),
    };
    println!("{line}");
    // Other threads may be caught in a run that never ends.
    exit(0)
}
