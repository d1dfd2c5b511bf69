//! chumwire's channel and handshake against libsodium (the system's, found by pkg-config) and snow, all in one process,
//! taken in turns, medians of many rounds. Ratios are what counts.
//!
//! `apt-get install libsodium-dev pkg-config`, then `cargo run --release` in this folder.

#[path = "../../common/handshake.rs"]
mod handshake;

use std::hint::black_box;
use std::time::{Duration, Instant};

use chumwire::channel::{Channel, ChannelConfig};
use chumwire::crypto::{
    KeyPair, Nacl, NaclKey, PairKey, Purpose, Random, RawKey, Secret, Suite, TAG,
};
use chumwire::io::{Message, Output};
use chumwire::role::Role;
use chumwire::time::Now;
use handshake::handshake;

/// The lengths that padding makes of one length, in a random order: the bare ciphers get the same.
fn padded_lengths(length: usize) -> Vec<usize> {
    let mut random = Random::new([9; 32]);
    (0..4096)
        .map(|_| length + 1 + random.below(Purpose::Jitter, 256) as usize)
        .collect()
}
const ROUNDS: usize = 301;

/// One contender: does its work so many times.
type Contender<'a> = (&'static str, Box<dyn FnMut(usize) + 'a>);

/// The median time of one piece of work for each contender; they take turns, so that noise meets all alike.
fn race(contenders: &mut [Contender<'_>], repeat: usize) -> Vec<(&'static str, f64)> {
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for _ in 0..ROUNDS {
        for ((_, work), times) in contenders.iter_mut().zip(&mut times) {
            let begin = Instant::now();
            work(repeat);
            times.push(begin.elapsed());
        }
    }
    contenders
        .iter()
        .zip(times)
        .map(|((name, _), mut times)| {
            times.sort_unstable();
            let median: Duration = times[times.len() / 2];
            (*name, median.as_nanos() as f64 / repeat as f64)
        })
        .collect()
}

fn show(title: &str, results: &[(&str, f64)]) {
    println!("\n{title}");
    let first = results[0].1;
    for (name, ns) in results {
        println!("  {name:<28} {ns:>12.0} ns   {:>6.2}", ns / first);
    }
}

fn channel(role: Role) -> Channel<Nacl> {
    let random = Random::new([role.first_counter() as u8; 32]);
    let key = Secret::take(&mut [7; 32]);
    Channel::from_session_key(Now::default(), key, role, random, ChannelConfig::default())
}

fn seal_and_open(length: usize) {
    let message = vec![5_u8; length];
    let lengths = padded_lengths(length);
    let (mut ours, mut theirs) = (lengths.iter().cycle(), lengths.iter().cycle());
    let padded = length + 256;
    let (mut from, mut to) = (channel(Role::Initiator), channel(Role::Acceptor));
    let mut frame = Vec::new();
    let key = NaclKey::from_raw(Secret::take(&mut [7; 32]));
    let plain = vec![5_u8; padded];
    let (mut sealed, mut opened) = (vec![0_u8; padded + TAG], vec![0_u8; padded]);
    let (mut sodium_sealed, mut sodium_opened) = (vec![0_u8; padded + TAG], vec![0_u8; padded]);
    let mut contenders: Vec<Contender<'_>> = vec![
        (
            "chumwire, bare cipher",
            Box::new(|n| {
                for &length in ours.by_ref().take(n) {
                    let sealed = &mut sealed[..length + TAG];
                    key.seal(&[0; 24], black_box(&plain[..length]), sealed);
                    key.open(&[0; 24], black_box(sealed), &mut opened[..length])
                        .expect("it opens");
                }
            }),
        ),
        (
            "chumwire, channel",
            Box::new(|n| {
                for _ in 0..n {
                    let now = Now::default();
                    from.send(now, Message::Binary(black_box(&message)))
                        .expect("room");
                    let _: Option<Output<()>> = from.poll(&mut frame);
                    to.message(now, Message::Binary(&frame)).expect("room");
                    black_box(to.received().expect("it came").bytes().len());
                }
            }),
        ),
        (
            "libsodium, bare cipher",
            Box::new(|n| {
                for &length in theirs.by_ref().take(n) {
                    // SAFETY: the buffers are as long as the longest length, and nonce and key have theirs.
                    unsafe {
                        libsodium_sys::crypto_secretbox_easy(
                            sodium_sealed.as_mut_ptr(),
                            black_box(plain.as_ptr()),
                            length as u64,
                            [0_u8; 24].as_ptr(),
                            [7_u8; 32].as_ptr(),
                        );
                        libsodium_sys::crypto_secretbox_open_easy(
                            sodium_opened.as_mut_ptr(),
                            black_box(sodium_sealed.as_ptr()),
                            (length + TAG) as u64,
                            [0_u8; 24].as_ptr(),
                            [7_u8; 32].as_ptr(),
                        );
                    }
                }
            }),
        ),
    ];
    let repeat = if length > 10_000 { 20 } else { 400 };
    let results = race(&mut contenders, repeat);
    show(
        &format!("seal + open, {length} bytes and 1 to 256 of padding"),
        &results,
    );
}

/// What both sides cannot do without: each makes a key pair and multiplies twice.
fn bare_x25519(a: &Secret<32>, b: &Secret<32>) {
    let (public_a, public_b) = (Nacl::public_key(a), Nacl::public_key(b));
    black_box((
        Nacl::before(&public_b, a).is_ok(),
        Nacl::before(&public_a, b).is_ok(),
    ));
    black_box((
        Nacl::before(&public_b, a).is_ok(),
        Nacl::before(&public_a, b).is_ok(),
    ));
}

fn libsodium_x25519() {
    let (mut public, mut shared) = ([0_u8; 32], [0_u8; 32]);
    // SAFETY: all buffers have 32 bytes.
    unsafe {
        for secret in [[1_u8; 32], [2; 32]] {
            libsodium_sys::crypto_scalarmult_base(public.as_mut_ptr(), black_box(secret.as_ptr()));
            for _ in 0..2 {
                libsodium_sys::crypto_box_beforenm(
                    shared.as_mut_ptr(),
                    public.as_ptr(),
                    black_box(secret.as_ptr()),
                );
            }
        }
    }
    black_box(shared);
}

fn noise_xx() {
    let params: snow::params::NoiseParams =
        "Noise_XX_25519_ChaChaPoly_SHA256".parse().expect("known");
    let party = |secret: &'static [u8; 32]| {
        snow::Builder::new(params.clone())
            .local_private_key(secret)
            .expect("a key")
    };
    let mut initiator = party(&[1; 32]).build_initiator().expect("built");
    let mut acceptor = party(&[2; 32]).build_responder().expect("built");
    let (mut wire, mut payload) = ([0_u8; 1024], [0_u8; 1024]);
    let n = initiator.write_message(&[], &mut wire).expect("written");
    acceptor
        .read_message(&wire[..n], &mut payload)
        .expect("read");
    let n = acceptor.write_message(&[], &mut wire).expect("written");
    initiator
        .read_message(&wire[..n], &mut payload)
        .expect("read");
    let n = initiator.write_message(&[], &mut wire).expect("written");
    acceptor
        .read_message(&wire[..n], &mut payload)
        .expect("read");
    black_box((
        initiator.is_handshake_finished(),
        acceptor.is_handshake_finished(),
    ));
}

fn handshakes() {
    let mut random = Random::new([3; 32]);
    let a = KeyPair::generate::<Nacl>(&mut random, Purpose::StaticKey);
    let b = KeyPair::generate::<Nacl>(&mut random, Purpose::StaticKey);
    let (secret_a, secret_b) = (Secret::take(&mut [1; 32]), Secret::take(&mut [2; 32]));
    let mut contenders: Vec<Contender<'_>> = vec![
        (
            "chumwire, bare X25519",
            Box::new(|n| (0..n).for_each(|_| bare_x25519(&secret_a, &secret_b))),
        ),
        (
            "chumwire, machines",
            Box::new(|n| (0..n).for_each(|_| handshake::<Nacl>(&a, &b, &mut random))),
        ),
        (
            "libsodium, bare X25519",
            Box::new(|n| (0..n).for_each(|_| libsodium_x25519())),
        ),
        (
            "snow, Noise XX",
            Box::new(|n| (0..n).for_each(|_| noise_xx())),
        ),
    ];
    let results = race(&mut contenders, 4);
    show("handshake, both sides", &results);
}

fn main() {
    // SAFETY: it may be called at any time, and any number of times.
    unsafe { libsodium_sys::sodium_init() };
    for length in [64, 1024, 65_536] {
        seal_and_open(length);
    }
    handshakes();
}
