//! The channel against the bare cipher on the same lengths, and the allocations of each message.
//!
//! `cargo bench --bench channel`

use std::alloc::System;
use std::hint::black_box;

use chumwire::channel::{Channel, ChannelConfig};
use chumwire::crypto::{Nacl, NaclKey, PairKey, Purpose, Random, RawKey, Secret, TAG};
use chumwire::io::{Message, Output};
use chumwire::role::Role;
use chumwire::time::Now;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LENGTHS: [usize; 3] = [64, 1024, 65_536];
/// The lengths that padding makes of one length, in a random order: the bare cipher gets the same.
fn padded_lengths(length: usize) -> Vec<usize> {
    let mut random = Random::new([9; 32]);
    (0..4096)
        .map(|_| length + 1 + random.below(Purpose::Jitter, 256) as usize)
        .collect()
}

fn channel(role: Role, window: usize) -> Channel<Nacl> {
    let random = Random::new([role.first_counter() as u8; 32]);
    let mut config = ChannelConfig::default();
    config.reorder_window = window;
    Channel::from_session_key(
        Now::default(),
        Secret::take(&mut [7; 32]),
        role,
        random,
        config,
    )
}

/// One message from one end to the other: sealed, polled, opened, read.
fn pass(
    from: &mut Channel<Nacl>,
    to: &mut Channel<Nacl>,
    message: &[u8],
    frame: &mut Vec<u8>,
) -> usize {
    let now = Now::default();
    from.send(now, Message::Binary(message))
        .expect("there is room");
    let polled: Option<Output<()>> = from.poll(frame);
    assert!(polled.is_some());
    to.message(now, Message::Binary(frame))
        .expect("there is room");
    to.received().expect("it came").bytes().len()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal+open");
    for length in LENGTHS {
        let message = vec![5; length];
        group.throughput(Throughput::Bytes(length as u64));

        for (name, window) in [("channel", 0), ("channel, window of 64", 64)] {
            let (mut from, mut to) = (
                channel(Role::Initiator, window),
                channel(Role::Acceptor, window),
            );
            let mut frame = Vec::new();
            group.bench_function(BenchmarkId::new(name, length), |b| {
                b.iter(|| pass(&mut from, &mut to, black_box(&message), &mut frame));
            });

            let region = Region::new(ALLOCATOR);
            for _ in 0..1000 {
                pass(&mut from, &mut to, &message, &mut frame);
            }
            let change = region.change();
            println!(
                "{name}: allocations of 1000 messages of {length} bytes: {} (and {} reallocations)",
                change.allocations, change.reallocations
            );
        }

        let key = NaclKey::from_raw(Secret::take(&mut [7; 32]));
        let lengths = padded_lengths(length);
        let mut lengths = lengths.iter().cycle();
        let plain = vec![5; length + 256];
        let (mut sealed, mut opened) = (vec![0; plain.len() + TAG], vec![0; plain.len()]);
        group.bench_function(BenchmarkId::new("bare cipher", length), |b| {
            b.iter(|| {
                let length = *lengths.next().expect("without end");
                let sealed = &mut sealed[..length + TAG];
                key.seal(&[0; 24], black_box(&plain[..length]), sealed);
                key.open(&[0; 24], black_box(sealed), &mut opened[..length])
                    .expect("it opens");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
