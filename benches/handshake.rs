//! The handshake of both sides against its bare X25519 operations.
//!
//! `cargo bench --bench handshake`

#[path = "common/handshake.rs"]
mod handshake;

use std::hint::black_box;

use chumwire::crypto::{KeyPair, Nacl, Purpose, Random, Reference};
use criterion::{Criterion, criterion_group, criterion_main};
use handshake::handshake;
use x25519_dalek::{PublicKey, StaticSecret};

/// What both sides cannot do without: each makes a key pair and multiplies twice.
fn bare(a: &StaticSecret, b: &StaticSecret) {
    let (public_a, public_b) = (
        PublicKey::from(&StaticSecret::from([1; 32])),
        PublicKey::from(a),
    );
    for own in [a, b] {
        let ephemeral = StaticSecret::from([9; 32]);
        black_box(PublicKey::from(&ephemeral));
        black_box(own.diffie_hellman(&public_a));
        black_box(ephemeral.diffie_hellman(&public_b));
    }
}

fn bench(criterion: &mut Criterion) {
    let mut random = Random::new([3; 32]);
    let a = KeyPair::generate::<Nacl>(&mut random, Purpose::StaticKey);
    let b = KeyPair::generate::<Nacl>(&mut random, Purpose::StaticKey);
    let mut group = criterion.benchmark_group("handshake, both sides");
    group.bench_function("machine, nacl", |bench| {
        bench.iter(|| handshake::<Nacl>(&a, &b, &mut random));
    });
    group.bench_function("bare X25519", |bench| {
        let (a, b) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
        bench.iter(|| bare(black_box(&a), black_box(&b)));
    });
    group.bench_function("machine, crypto_box", |bench| {
        bench.iter(|| handshake::<Reference>(&a, &b, &mut random));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
