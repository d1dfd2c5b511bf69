//! Two people whose every secret is known, for tests that look for them where they must not be.

use std::collections::BTreeMap;

use chumwire::crypto::{KeyPair, Nacl, Person, Purpose, Random, Secret};
use chumwire::identity::Identity;
use chumwire::node::NodeConfig;
use chumwire::time::Micros;
use dryoc::classic::crypto_box::crypto_box_beforenm;

use super::net::Net;

/// Bytes that look random, made where they are put: no constant of the program holds them.
pub(crate) fn made(tag: u8, bytes: &mut [u8]) {
    let mut state = u32::from(std::hint::black_box(tag)).wrapping_mul(0x9e37_79b9) + 1;
    for byte in bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
}

pub(crate) fn identity(name: &str, tag: u8) -> Identity {
    let mut seed = [0; 32];
    made(tag, &mut seed);
    let identity = Identity::generate::<Nacl>(&mut Random::new(seed), name, name);
    // The seed is ours to wipe, and no secret of the crate.
    made(0, &mut seed);
    std::hint::black_box(&seed);
    identity.expect("a good name")
}

pub(crate) const ALICE: u8 = 1;
pub(crate) const BOB: u8 = 2;
/// What a node draws for each purpose, by its own tag.
const DRAWN: [(Purpose, u8, usize); 3] = [
    (Purpose::EphemeralKey, 10, 32),
    (Purpose::Challenge, 20, 64),
    (Purpose::Token, 30, 48),
];

pub(crate) fn draws(who: u8) -> impl Iterator<Item = (Purpose, Vec<u8>)> {
    DRAWN.into_iter().map(move |(purpose, tag, length)| {
        let mut drawn = vec![0; length];
        made(who + tag, &mut drawn);
        (purpose, drawn)
    })
}

/// Every secret of the play, by what it is.
pub(crate) fn secrets() -> BTreeMap<String, Vec<u8>> {
    let mut secrets = BTreeMap::new();
    let people = [("alice", ALICE), ("bob", BOB)];
    let mut identities = Vec::new();
    for (name, who) in people {
        let identity = identity(name, who);
        let parts = [
            "person key",
            "instance key",
            "person signing seed",
            "instance signing seed",
        ];
        let exported = identity.export_secrets();
        for (part, bytes) in parts.iter().zip(exported.expose().chunks(32)) {
            secrets.insert(format!("{name}'s {part}"), bytes.to_vec());
        }
        for (purpose, bytes) in draws(who) {
            if purpose == Purpose::Challenge {
                let answer = bytes.iter().map(|byte| !byte).collect();
                secrets.insert(format!("the answer to {name}'s challenge"), answer);
            }
            secrets.insert(format!("{name}'s {purpose:?}"), bytes);
        }
        identities.push(identity);
    }
    // The keys of pairs: of the persons, of the instances, and of the session.
    let secret = |name: &str| <[u8; 32]>::try_from(&*secrets[name]).expect("32 bytes");
    let public = |secret: [u8; 32]| {
        let pair = KeyPair::<Person>::from_secret::<Nacl>(Secret::take(&mut { secret }));
        *pair.public().bytes()
    };
    let pair = |alice: &str, bob: &str| {
        let key = crypto_box_beforenm(&public(secret(bob)), &secret(alice));
        key.expect("a good key").to_vec()
    };
    let pairs = [
        (
            "the key between the persons",
            pair("alice's person key", "bob's person key"),
        ),
        (
            "the key between the instances",
            pair("alice's instance key", "bob's instance key"),
        ),
        (
            "the session key",
            pair("alice's EphemeralKey", "bob's EphemeralKey"),
        ),
    ];
    for (name, key) in pairs {
        secrets.insert(name.into(), key);
    }
    secrets.insert("the token".into(), token());
    secrets.remove("bob's Token");
    secrets
}

/// The text of the token that alice draws.
fn token() -> Vec<u8> {
    let mut net = Net::new(vec![NodeConfig::new(identity("alice", ALICE))]);
    net.nodes[0].replace_random(Random::scripted([ALICE; 32], draws(ALICE)));
    let invitation = net.nodes[0].invite(net.now, Micros::secs(60), "ws://x");
    let json = invitation.expect("one more").json();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    json["token"].as_str().expect("a token").as_bytes().to_vec()
}
