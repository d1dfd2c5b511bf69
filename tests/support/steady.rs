//! What allocates nothing, whatever other threads do.

use std::alloc::System;

use stats_alloc::{Region, StatsAlloc};

/// Whether a run allocates nothing. All threads share the allocator, and the test's own harness has one: what is in the
/// steady state is so in one of a few runs, and what allocates does in each.
pub(crate) fn allocates_nothing(
    allocator: &'static StatsAlloc<System>,
    mut run: impl FnMut(),
) -> bool {
    (0..5).any(|_| {
        let region = Region::new(allocator);
        run();
        let change = region.change();
        (change.allocations, change.reallocations) == (0, 0)
    })
}
