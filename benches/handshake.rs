//! The handshake of both sides against its bare X25519 operations.
//!
//! `cargo bench --bench handshake`

use std::hint::black_box;

use chumwire::crypto::{Instance, KeyPair, Nacl, Purpose, Random, Reference, Suite};
use chumwire::handshake::{Acceptor, Arrival, HandshakeConfig, Initiator};
use chumwire::io::{Kind, Message, Output};
use chumwire::time::Now;
use criterion::{Criterion, criterion_group, criterion_main};
use x25519_dalek::{PublicKey, StaticSecret};

/// A whole handshake in memory, both sides.
fn handshake<S: Suite>(a: &KeyPair<Instance>, b: &KeyPair<Instance>, random: &mut Random) {
    let now = Now::default();
    let config = HandshakeConfig::default();
    let mut initiator =
        Initiator::<S>::new(now, config.clone(), a.used_as(), b.public(), random.fork());
    let mut acceptor =
        Acceptor::<S>::new(now, config, vec![b.clone()], vec![], random.fork(), Arrival::Direct);
    let mut bytes = Vec::new();
    loop {
        let mut moved = false;
        while let Some(output) = initiator.poll(&mut bytes) {
            moved = true;
            if let Output::Send(kind) = output {
                acceptor.message(now, message(kind, &bytes));
            }
        }
        while let Some(output) = acceptor.poll(&mut bytes) {
            moved = true;
            if let Output::Send(kind) = output {
                initiator.message(now, message(kind, &bytes));
            }
        }
        if !moved {
            break;
        }
    }
    black_box((initiator.finish().expect("done"), acceptor.finish().expect("done")));
}

fn message(kind: Kind, bytes: &[u8]) -> Message<'_> {
    match kind {
        Kind::Binary => Message::Binary(bytes),
        Kind::Text => Message::Text(std::str::from_utf8(bytes).expect("texts are UTF-8")),
    }
}

/// What both sides cannot do without: each makes a key pair and multiplies twice.
fn bare(a: &StaticSecret, b: &StaticSecret) {
    let (public_a, public_b) = (PublicKey::from(&StaticSecret::from([1; 32])), PublicKey::from(a));
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
