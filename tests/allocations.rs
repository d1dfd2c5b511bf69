//! What a channel allocates: nothing in the steady state, in either order; and a reordering leaves nothing behind.

#[path = "support/steady.rs"]
mod steady;

use std::alloc::System;

use chumwire::channel::{Channel, ChannelConfig};
use chumwire::crypto::{Nacl, Random, Secret};
use chumwire::io::{Message, Output};
use chumwire::role::Role;
use chumwire::time::Now;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use steady::allocates_nothing;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn channel(role: Role, window: usize) -> Channel<Nacl> {
    let mut config = ChannelConfig::default();
    config.reorder_window = window;
    let random = Random::new([role.first_counter() as u8; 32]);
    let key = Secret::take(&mut [7; 32]);
    Channel::from_session_key(Now::default(), key, role, random, config)
}

fn seal(from: &mut Channel<Nacl>, message: &[u8], frame: &mut Vec<u8>) {
    from.send(Now::default(), Message::Binary(message))
        .expect("room");
    let polled: Option<Output<()>> = from.poll(frame);
    assert!(polled.is_some());
}

fn give(to: &mut Channel<Nacl>, frame: &[u8]) {
    to.message(Now::default(), Message::Binary(frame))
        .expect("room");
    while to.received().is_some() {}
}

/// One test, since all threads share the allocator.
///
/// Demands: M4.7.
#[test]
fn the_steady_state_allocates_nothing_and_reordering_leaves_nothing() {
    let message = [5; 1000];
    for window in [0, 8] {
        let (mut from, mut to) = (
            channel(Role::Initiator, window),
            channel(Role::Acceptor, window),
        );
        let mut frames = [Vec::new(), Vec::new(), Vec::new()];
        let mut in_order = |count: usize| {
            for _ in 0..count {
                seal(&mut from, &message, &mut frames[0]);
                give(&mut to, &frames[0]);
            }
        };
        in_order(100);
        let is_steady = allocates_nothing(ALLOCATOR, || in_order(1000));
        assert!(is_steady, "window {window}");
        if window == 0 {
            continue;
        }
        // Turned round, with copies: what is held is given back.
        let mut in_disorder = |count: usize| {
            for n in 0..count {
                for frame in &mut frames {
                    seal(&mut from, &message, frame);
                }
                for frame in frames.iter().rev() {
                    give(&mut to, frame);
                }
                if n % 100 == 0 {
                    give(&mut to, &frames[2]);
                }
            }
        };
        in_disorder(100);
        let region = Region::new(ALLOCATOR);
        in_disorder(1000);
        let change = region.change();
        let growth = change.bytes_allocated as isize - change.bytes_deallocated as isize;
        assert!(growth.abs() < 16 * 1024, "{growth} bytes more");
        assert!(change.allocations <= 2 * 1000, "one for each held frame");
    }
}
