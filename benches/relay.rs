//! Messages through the relay's machine, and the allocations of each.
//!
//! `cargo bench --bench relay`; over loopback: `cargo bench -p chumwire-async-std --bench relay`

use std::alloc::System;
use std::hint::black_box;

use chumwire::crypto::{KeyPair, Nacl, Purpose, Random};
use chumwire::handshake::CommunicationRequest;
use chumwire::io::{ConnId, Effect, Kind, Machine, Message, Output, Source};
use chumwire::relay::{Registration, Relay, RelayConfig};
use chumwire::time::{Micros, Now};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A relay with one relayed pair: the initiator's connection.
fn relayed() -> (Relay<Nacl>, ConnId) {
    let now = Now::default();
    let mut relay = Relay::<Nacl>::new(RelayConfig::default(), [1; 32], now);
    let key = KeyPair::generate::<Nacl>(&mut Random::new([2; 32]), Purpose::StaticKey);
    let target = key.public();
    let listener = relay.accept(now, Source::Unknown).expect("room");
    let mut registration =
        Registration::<Nacl>::new(now, key, Random::new([3; 32]), Micros::secs(10), false);
    let mut bytes = Vec::new();
    while !registration.is_spare() {
        while let Some(output) = registration.poll(&mut bytes) {
            if let Output::Send(_) = output {
                let text = std::str::from_utf8(&bytes).expect("text");
                relay
                    .message(now, listener, Message::Text(text))
                    .expect("room");
            }
        }
        while let Some(effect) = relay.poll(&mut bytes) {
            if let Effect::Send {
                kind: Kind::Text, ..
            } = effect
            {
                let text = std::str::from_utf8(&bytes).expect("text");
                registration
                    .message(now, Message::Text(text))
                    .expect("room");
            }
        }
    }
    let initiator = relay.accept(now, Source::Unknown).expect("room");
    let source = KeyPair::generate::<Nacl>(&mut Random::new([4; 32]), Purpose::StaticKey).public();
    let request = CommunicationRequest { source, target }.text();
    relay
        .message(now, initiator, Message::Text(&request))
        .expect("room");
    while relay.poll(&mut bytes).is_some() {}
    relay.drained(now, listener);
    (relay, initiator)
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay, one message");
    for length in [64, 1024, 65_536] {
        let (mut relay, initiator) = relayed();
        let message = vec![5; length];
        let (mut bytes, now) = (Vec::new(), Now::default());
        let mut pass = || {
            relay
                .message(now, initiator, Message::Binary(black_box(&message)))
                .expect("room");
            while let Some(effect) = relay.poll(&mut bytes) {
                if let Effect::Send { conn, .. } = effect {
                    relay.drained(now, conn);
                }
            }
        };
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("machine", length), |b| b.iter(&mut pass));
        let region = Region::new(ALLOCATOR);
        (0..1000).for_each(|_| pass());
        println!(
            "allocations of 1000 relayed messages of {length} bytes: {}",
            region.change().allocations
        );
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
