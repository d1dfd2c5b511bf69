//! How many secrets and generators live, for unit tests alone. Each thread counts its own.

extern crate std;

use core::cell::Cell;

std::thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// How many live now.
pub(crate) fn live() -> usize {
    LIVE.get()
}

/// Stands for one as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(());

impl Counted {
    pub(crate) fn new() -> Self {
        LIVE.set(LIVE.get() + 1);
        Self(())
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}
