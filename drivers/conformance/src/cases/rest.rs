//! Time and storage.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chumwire::io::{NotStored, StoreId};
use chumwire::time::{Micros, Now};

use crate::DriverUnderTest;
use crate::observe::{Observed, Outcome, Peer, ensure, hush, text};
use crate::probe::{Behaviour, Io, Seen};

/// Ticks a few times, each after its own wait.
struct Ticker {
    waits: Vec<u64>,
}

impl Behaviour for Ticker {
    fn start(&mut self, io: &mut Io) {
        self.tick(io);
    }

    fn tick(&mut self, io: &mut Io) {
        if let Some(wait) = self.waits.pop() {
            io.tick_in(wait);
        }
    }
}

fn tick(probe: &Observed) -> Outcome<Now> {
    probe.until("a tick", |seen| match seen {
        Seen::Tick(now) => Some(now),
        _ => None,
    })
}

pub(super) fn ticks<D: DriverUnderTest>(driver: &D) -> Outcome {
    let waits = [30, 5, 60, 1, 20];
    let probe = Observed::dialling(
        driver,
        Ticker {
            waits: waits.to_vec(),
        },
    );
    let mut due = Micros::ZERO;
    for wait in waits.iter().rev() {
        due = due + Micros::millis(*wait);
        let now = tick(&probe)?.mono;
        // The probe itself does not count a tick that comes too early.
        let late = now.since(due);
        ensure(late < Micros::millis(1500), || {
            format!("a tick came {late} too late")
        })?;
        due = now;
    }
    probe.finish()
}

pub(super) fn ticks_under_load<D: DriverUnderTest>(driver: &D) -> Outcome {
    let server = Observed::listening(driver, Ticker { waits: vec![1; 20] });
    let peer = Peer::connect(server.address()?)?.talk()?;
    for _ in 0..20 {
        tick(&server)?;
    }
    server.finish()?;
    hush(peer)
}

pub(super) fn clocks<D: DriverUnderTest>(driver: &D) -> Outcome {
    let probe = Observed::dialling(
        driver,
        Ticker {
            waits: vec![50, 50],
        },
    );
    let (first, second) = (tick(&probe)?, tick(&probe)?);
    ensure(second.mono.since(first.mono) >= Micros::millis(50), || {
        "time stands still".into()
    })?;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_err(text)?;
    let told = Duration::from_millis(second.wall.0);
    let apart = wall.abs_diff(told);
    ensure(apart < Duration::from_secs(60), || {
        format!("the wall clock is off by {apart:?}")
    })?;
    probe.finish()
}

/// Stores a few records at once.
struct Keeper;

impl Behaviour for Keeper {
    fn start(&mut self, io: &mut Io) {
        for i in 0..10 {
            io.store(u64::from(i), i * 100);
        }
    }
}

pub(super) fn stores<D: DriverUnderTest>(driver: &D) -> Outcome {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let shelf = kept.clone();
    let store = move |record| {
        if record == 500 {
            return Err(NotStored);
        }
        shelf
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(record);
        Ok(())
    };
    let probe = Observed::start(driver, Keeper, false, Box::new(store));
    for i in 0..10 {
        let (id, result) = probe.until("an answer", |seen| match seen {
            Seen::Stored(id, result) => Some((id, result)),
            _ => None,
        })?;
        ensure(id == StoreId(i), || {
            format!("the answer to {id:?} came instead of {i}")
        })?;
        let expected = if i == 5 { Err(NotStored) } else { Ok(()) };
        ensure(result == expected, || {
            format!("the answer to {i} is {result:?}")
        })?;
    }
    probe.finish()?;
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    ensure(*kept == [0, 100, 200, 300, 400, 600, 700, 800, 900], || {
        format!("kept: {kept:?}")
    })
}
