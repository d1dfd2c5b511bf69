//! Every schedule of all plays with one fault, and of the small ones with two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use chumwire_sim::explore::{Bounds, Ending, Found, Play, Search, plays};
use chumwire_sim::shrink::kind_of;

use super::{Args, Finding, LOOK, fewest};

/// States of a play with so many faults that are looked at before the next one has its turn.
const ROUNDS: &[(u32, usize)] = &[(0, 50_000), (1, 30_000), (2, 60_000), (1, 1_000_000)];

/// Looks until something is found, all is walked, or the time is over.
pub(super) fn hunt(args: &Args) -> Option<Finding> {
    let begun = Instant::now();
    // What is walked, one more than it is, and a sign of life.
    let (at, alive) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (found, finding) = channel();
    let (walked, life) = (at.clone(), alive.clone());
    thread::spawn(move || {
        for (number, (play, faults, states)) in all().enumerate() {
            walked.store(number as u64 + 1, Ordering::Relaxed);
            if let Some(what) = walk(play, faults, states, &life) {
                let _ = found.send((play, faults, what));
                return;
            }
        }
    });
    let (mut seen, mut since) = (0, begun);
    let of = |play: &'static Play, what: String, steps| Finding {
        by: "explorer",
        scenario: play.name,
        seed: None,
        how: "every order".into(),
        seconds: begun.elapsed().as_secs_f64(),
        looked: alive.load(Ordering::Relaxed),
        steps,
        what,
    };
    loop {
        match finding.recv_timeout(LOOK) {
            Ok((play, faults, found)) => {
                let mut finding = of(play, found.what.clone(), None);
                finding.steps = steps(play, faults, found, Duration::from_secs(args.shrink));
                return Some(finding);
            }
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = alive.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        let number = at.load(Ordering::Relaxed);
        if since.elapsed() > Duration::from_secs(args.stall)
            && let Some((play, ..)) = number.checked_sub(1).and_then(|n| all().nth(n as usize))
        {
            let what = format!("a machine does not come back within {} s", args.stall);
            return Some(of(play, what, None));
        }
        if begun.elapsed() >= Duration::from_secs(args.seconds) {
            return None;
        }
    }
}

fn all() -> impl Iterator<Item = (&'static Play, u32, usize)> {
    ROUNDS.iter().flat_map(|(faults, states)| {
        let of = move |play| (play, *faults, *states);
        plays().iter().map(of)
    })
}

fn walk(play: &'static Play, faults: u32, states: usize, life: &AtomicU64) -> Option<Found> {
    let bounds = Bounds {
        faults,
        states: Some(states),
        ..Bounds::default()
    };
    let mut search = Search::new(play, bounds);
    let ending = search.run(|search| {
        life.fetch_add(search.counts().moves | 1, Ordering::Relaxed);
        None
    });
    match ending {
        Ending::Violation => search.found().cloned(),
        _ => None,
    }
}

fn steps(play: &'static Play, faults: u32, found: Found, time: Duration) -> Option<usize> {
    let kind = kind_of(&found.what);
    fewest(
        time,
        move || found.schedule,
        move |choices| {
            let wrong = play.replay(faults, choices, false).wrong;
            wrong.is_some_and(|what| kind_of(&what) == kind)
        },
    )
}
