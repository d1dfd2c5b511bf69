//! Looks for something that is wrong, for a while: first in many seeds of the catalogue, on all cores, then in every
//! schedule of the plays. Says what it found in one line of JSON. `tests/planted/run` builds and runs it for every
//! planted bug.
//!
//! `cargo run --release -p chumwire-sim --example hunt -- [--seconds 300] [--stall 20] [--seeds 1000] [--shrink 30]`
//!
//! `--seconds` is for each of the two, `--seeds 0` leaves the first one out, `--shrink` is for making short what was
//! found.
//!
//! All scenarios get their first seed before any gets its second one. Besides the plain run of each seed there is, of
//! some seeds, one with swarm faults on all links, and one with each of two reorder windows. A run that panics has
//! failed, and so has one that does not end: a machine that is caught at a deadline never comes back.

#![expect(
    clippy::disallowed_methods,
    reason = "who hunts reads the clock and uses all cores; the runs do not"
)]
#![forbid(unsafe_code)]

mod plays;
mod seeds;

use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use chumwire_sim::shrink;

/// How often it is looked whether a run hangs.
const LOOK: Duration = Duration::from_millis(100);

/// What was found.
struct Finding {
    by: &'static str,
    scenario: &'static str,
    seed: Option<u64>,
    how: String,
    seconds: f64,
    /// Runs, or moves, that were made.
    looked: u64,
    steps: Option<usize>,
    what: String,
}

/// The fewest steps that fail, as far as they are found within the time. A try that does not come back is left alone.
fn fewest(
    time: Duration,
    choices: impl FnOnce() -> Vec<u32> + Send + 'static,
    fails: impl Fn(&[u32]) -> bool + Send + 'static,
) -> Option<usize> {
    /// A run that takes longer than this on top of the time will not end.
    const PATIENCE: Duration = Duration::from_secs(10);
    let best = Arc::new(AtomicUsize::new(usize::MAX));
    let (done, is_done) = channel();
    let fewest = best.clone();
    let end = Instant::now() + time;
    thread::spawn(move || {
        let choices = choices();
        fewest.store(shrink::steps(&choices), Ordering::Relaxed);
        let shrunk = shrink::shrink(choices, usize::MAX, |choices| {
            let is = Instant::now() < end && fails(choices);
            if is {
                fewest.fetch_min(shrink::steps(choices), Ordering::Relaxed);
            }
            is
        });
        let _ = done.send(shrunk.steps);
    });
    let _ = is_done.recv_timeout(time + PATIENCE);
    Some(best.load(Ordering::Relaxed)).filter(|steps| *steps != usize::MAX)
}

/// What was asked for.
struct Args {
    seconds: u64,
    stall: u64,
    seeds: u64,
    shrink: u64,
}

impl Args {
    fn read() -> Result<Self, String> {
        let mut args = Self {
            seconds: 300,
            stall: 20,
            seeds: 1_000,
            shrink: 30,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = match word.as_str() {
                "--seconds" => &mut args.seconds,
                "--stall" => &mut args.stall,
                "--seeds" => &mut args.seeds,
                "--shrink" => &mut args.shrink,
                _ => return Err(format!("{word} is unknown")),
            };
            *value = (words.next())
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("{word}: a number is due"))?;
        }
        Ok(args)
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
    let found = (args.seeds > 0).then(|| seeds::hunt(&args)).flatten();
    let line = match found.or_else(|| plays::hunt(&args)) {
        Some(found) => serde_json::json!({
            "found": true, "by": found.by, "scenario": found.scenario, "seed": found.seed,
            "how": found.how, "seconds": found.seconds, "looked": found.looked, "steps": found.steps,
            "what": found.what.lines().next(),
        }),
        None => serde_json::json!({ "found": false }),
    };
    println!("{line}");
    // Other threads may be caught in a run that never ends.
    exit(0)
}
