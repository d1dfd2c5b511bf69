//! What every driver of a [`chumwire`] machine has to do, as cases to run against it.
//!
//! A driver's test implements [`DriverUnderTest`], a dozen lines, and calls [`check_all`]. The cases use
//! loopback sockets only. They run small machines that themselves watch over the rules of
//! [`chumwire::io::Machine`] (see [`probe`]), against each other or against a plain WebSocket peer.

pub mod cases;
pub mod observe;
pub mod probe;

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chumwire::io::Machine;

pub use cases::{CASES, Case};

/// A driver, as the cases need it.
pub trait DriverUnderTest: Sync {
    /// Runs `machine` in the background until the result is dropped. If `listen`, on a free port of
    /// 127.0.0.1. Limits are the driver's defaults: messages up to 131 072 bytes, 5 s for a dial, 2 s for the
    /// answer to a close.
    fn start<M>(&self, machine: M, listen: bool, host: TestHost<M>) -> Running
    where
        M: Machine + Send + 'static,
        M::Event: Send + 'static,
        M::Record: Send + 'static,
        M::Answer: Send + 'static;
}

/// Takes what the machine tells, and the buffer that was given to `poll`.
pub type OnEvent<E> = Box<dyn FnMut(E, &[u8]) + Send>;
/// Keeps what the machine stores.
pub type OnStore<R, A> = Box<dyn FnMut(R) -> A + Send>;

/// The embedder's side of a case.
pub struct TestHost<M: Machine> {
    /// To be called with every event, in order.
    pub event: OnEvent<M::Event>,
    /// To be called with every record, in order.
    pub store: OnStore<M::Record, M::Answer>,
}

impl<M: Machine> fmt::Debug for TestHost<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestHost")
    }
}

/// A running driver. Dropping it stops it.
pub struct Running {
    /// Where it listens, if it does.
    pub address: Option<SocketAddr>,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

impl Running {
    /// `stop` ends the driver and waits for that.
    #[must_use]
    pub fn new(address: Option<SocketAddr>, stop: impl FnOnce() + Send + 'static) -> Self {
        Self {
            address,
            stop: Some(Box::new(stop)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Runs every case and returns how long each took.
///
/// # Panics
/// If any case fails, with all failures by name.
pub fn check_all<D: DriverUnderTest>(driver: &D) -> Vec<(&'static str, Duration)> {
    check(driver, |_| true)
}

/// Runs the cases whose names `wanted` likes.
///
/// # Panics
/// If any of them fails, with all failures by name.
pub fn check<D: DriverUnderTest>(
    driver: &D,
    wanted: impl Fn(&str) -> bool,
) -> Vec<(&'static str, Duration)> {
    // Cases that wait for a time limit sleep most of the time: they run beside the others.
    let (slow, quick): (Vec<_>, Vec<_>) = cases::all::<D>()
        .into_iter()
        .filter(|case| wanted(case.name))
        .partition(|case| case.slow);
    let run = |case: &Case<D>| {
        let start = Instant::now();
        let outcome = (case.run)(driver);
        (case.name, start.elapsed(), outcome)
    };
    let results = std::thread::scope(|scope| {
        let slow: Vec<_> = slow
            .iter()
            .map(|case| scope.spawn(move || run(case)))
            .collect();
        let mut results: Vec<_> = quick.iter().map(run).collect();
        for thread in slow {
            match thread.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    let failures: Vec<_> = results
        .iter()
        .filter_map(|(name, _, outcome)| Some(format!("{name}: {}", outcome.as_ref().err()?)))
        .collect();
    assert!(
        failures.is_empty(),
        "the driver does not conform:\n{}",
        failures.join("\n")
    );
    results
        .into_iter()
        .map(|(name, time, _)| (name, time))
        .collect()
}
