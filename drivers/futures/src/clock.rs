//! The two clocks, and the one timer of the loop.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chumwire::time::{Micros, Millis, Now};

use crate::runtime::Runtime;

/// Reads the clocks. Monotonic time is counted from the driver's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        let mono = self.start.elapsed().as_micros();
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Now {
            mono: Micros(u64::try_from(mono).unwrap_or(u64::MAX)),
            wall: Millis(u64::try_from(wall).unwrap_or(u64::MAX)),
        }
    }
}

/// A sleep that is renewed only if it would end too late. Ending too early costs one idle round of the loop,
/// which is cheaper than a new timer for every message that moves a deadline.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<(Micros, Sleep)>,
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Timer {
    /// Sees to it that the timer ends by `at`. A moment that is past already is put off by a millisecond, so
    /// that a machine whose deadline does not move cannot keep the loop spinning.
    pub(crate) fn arm<R: Runtime>(&mut self, runtime: &R, at: Micros, now: Micros) {
        let at = if at <= now {
            now + Micros::millis(1)
        } else {
            at
        };
        if self.sleep.as_ref().is_none_or(|(armed, _)| at < *armed) {
            let time = Duration::from_micros(at.since(now).0);
            self.sleep = Some((at, Box::pin(runtime.sleep(time))));
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((_, sleep)) = &mut self.sleep else {
            return Poll::Pending;
        };
        let done = sleep.as_mut().poll(cx);
        if done.is_ready() {
            self.sleep = None;
        }
        done
    }
}
