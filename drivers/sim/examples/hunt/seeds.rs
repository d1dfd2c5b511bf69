//! Many seeds of all scenarios, on all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use chumwire_sim::catalogue::catalogue;
use chumwire_sim::scenario::{Run, Scenario, Setting};
use chumwire_sim::shrink::kind_of;
use chumwire_sim::{Chooser, Faults, Scheduled, Seeded, Swarm};

use super::{Args, Finding, fewest};

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

    fn made(self) -> Run {
        let setting = self.how.setting();
        self.scenario.run(&setting, self.how.chooser(self.seed))
    }

    /// Runs it; gives what is wrong.
    fn run(self) -> Option<String> {
        self.made().outcome.err().map(|failure| failure.what)
    }

    /// How few choices fail in the same way, as far as that is found within the time.
    fn steps(self, what: &str, time: Duration) -> Option<usize> {
        let (kind, setting) = (kind_of(what), self.how.setting());
        fewest(
            time,
            move || self.made().schedule,
            move |choices| {
                let run = self.scenario.run(&setting, Scheduled::new(choices.into()));
                run.outcome
                    .is_err_and(|failure| kind_of(&failure.what) == kind)
            },
        )
    }

    /// Whether it does not end even if nothing is chosen.
    fn hangs_anyway(self, stall: Duration) -> bool {
        let (done, is_done) = channel();
        thread::spawn(move || {
            let run = self.scenario.run(&self.how.setting(), Scheduled::default());
            let _ = done.send(run.deliveries);
        });
        is_done.recv_timeout(stall) == Err(RecvTimeoutError::Timeout)
    }
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

/// Looks until something is found, all is run, or the time is over.
pub(super) fn hunt(args: &Args) -> Option<Finding> {
    let (desk, found) = first(args);
    let runs = desk.next.load(Ordering::Relaxed).min(desk.end);
    let seconds = desk.begun.elapsed().as_secs_f64();
    let (job, what, hangs) = found?;
    let stall = Duration::from_secs(args.stall);
    let steps = match hangs {
        true => job.hangs_anyway(stall).then_some(0),
        false => job.steps(&what, Duration::from_secs(args.shrink)),
    };
    Some(Finding {
        by: "seeds",
        scenario: job.scenario.name,
        seed: Some(job.seed),
        how: job.how.name(),
        seconds,
        looked: runs,
        steps,
        what,
    })
}

/// The first finding, and whether it is a run that does not end.
fn first(args: &Args) -> (Arc<Desk>, Option<(Job, String, bool)>) {
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
            Ok((job, what)) => return (desk, Some((job, what, false))),
            Err(RecvTimeoutError::Disconnected) => return (desk, None),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(job) = desk.hangs(stall) {
            let what = format!("a run does not end within {} s", args.stall);
            return (desk, Some((job, what, true)));
        }
        if desk.begun.elapsed() >= Duration::from_secs(args.seconds) {
            return (desk, None);
        }
    }
}
