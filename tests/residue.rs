//! What is left of secrets in memory when all that held them is gone.
//!
//! This test starts itself anew as a child: there two nodes pair, meet for CHUM, talk and go, on a thread that ends
//! then. While the child waits, its memory is read through /proc and searched for every secret of that run: heap,
//! stacks, statics, freed or not. So there is no unsafe code and no allocator of ours, and the stack is looked at, too.
//! The parent computes the secrets for itself; nothing of them is in the child but what the crate has put there.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};

use chumwire::crypto::{KeyPair, Nacl, Person, Purpose, Random, Secret};
use chumwire::establish::Group;
use chumwire::identity::Identity;
use chumwire::io::Message;
use chumwire::node::NodeConfig;
use chumwire::pairing::Invitation;
use chumwire::time::Micros;
use dryoc::classic::crypto_box::crypto_box_beforenm;
use support::net::{Net, address};
use zeroize::Zeroize;

/// Names the play for the child.
const PLAY: &str = "CHUMWIRE_RESIDUE";
/// At each of so many messages a play is dropped.
const MESSAGES: usize = 50;
/// Bytes of a secret in a row that count as residue.
const WINDOW: usize = 12;

/// Bytes that look random, made where they are put: no constant of the program holds them.
fn made(tag: u8, bytes: &mut [u8]) {
    let mut state = u32::from(std::hint::black_box(tag)).wrapping_mul(0x9e37_79b9) + 1;
    for byte in bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
}

fn identity(name: &str, tag: u8) -> Identity {
    let mut seed = [0; 32];
    made(tag, &mut seed);
    let identity = Identity::generate::<Nacl>(&mut Random::new(seed), name, name);
    // The seed is ours to wipe, and no secret of the crate.
    made(0, &mut seed);
    std::hint::black_box(&seed);
    identity.expect("a good name")
}

const ALICE: u8 = 1;
const BOB: u8 = 2;
/// What a node draws for each purpose, by its own tag.
const DRAWN: [(Purpose, u8, usize); 3] = [
    (Purpose::EphemeralKey, 10, 32),
    (Purpose::Challenge, 20, 64),
    (Purpose::Token, 30, 48),
];

fn draws(who: u8) -> impl Iterator<Item = (Purpose, Vec<u8>)> {
    DRAWN.into_iter().map(move |(purpose, tag, length)| {
        let mut drawn = vec![0; length];
        made(who + tag, &mut drawn);
        (purpose, drawn)
    })
}

// --- the child -------------------------------------------------------------------------------------------------------

/// Two nodes, from nothing to nothing; or until that many messages have been delivered: then all of it is dropped.
fn play(most: usize) {
    let mut delivered = 0;
    let mut run = |net: &mut Net| {
        while delivered < most && net.step() {
            delivered += 1;
        }
        delivered < most
    };
    let configs = [("alice", ALICE), ("bob", BOB)].map(|(name, tag)| {
        let mut config = NodeConfig::new(identity(name, tag));
        config.serve.insert(Group::Chum);
        config
    });
    let mut net = Net::new(configs.into());
    for (node, who) in net.nodes.iter_mut().zip([ALICE, BOB]) {
        node.set_url(Some(address(usize::from(who) - 1)))
            .expect("an address");
        node.replace_random(Random::scripted([who; 32], draws(who)));
    }
    let invitation = net.nodes[0].invite(net.now, Micros::secs(60), &address(0));
    let invitation = invitation.expect("one more");
    // What was handed over is the embedder's to wipe.
    let mut link = invitation.link();
    drop(invitation);
    let invitation = Invitation::read(&link).expect("it is whole");
    link.zeroize();
    net.nodes[1].join(net.now, &invitation).expect("a join");
    drop(invitation);
    if !run(&mut net) {
        return;
    }
    assert_eq!((net.pairings(0), net.pairings(1)), (1, 1));
    let alice = net.nodes[0].identity().person_id();
    net.nodes[1]
        .connect(net.now, alice, Group::Chum)
        .expect("a contact");
    if !run(&mut net) {
        return;
    }
    let conn = net.nodes[1].connections().next().expect("it is there").conn;
    net.nodes[1]
        .send(net.now, conn, Message::Text("hello"))
        .expect("room");
    if run(&mut net) {
        for node in &mut net.nodes {
            node.shutdown(net.now);
        }
        run(&mut net);
    }
}

/// A token and a key that nobody wipes: what the search has to find.
fn leak() {
    let mut token = vec![0; 48];
    made(ALICE + 30, &mut token);
    let key = identity("bob", BOB)
        .person_key()
        .expose_secret()
        .expose()
        .to_vec();
    drop((std::hint::black_box(token), std::hint::black_box(key)));
}

/// The child: plays on a thread, says when that has ended, and waits until it has been looked at.
fn child(play_name: &str) {
    let most = play_name.parse();
    let work = move || match most {
        Ok(most) => play(most),
        Err(_) => leak(),
    };
    std::thread::spawn(work).join().expect("the play goes well");
    println!("played");
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
}

// --- the parent ------------------------------------------------------------------------------------------------------

/// Every secret of the play, by what it is.
fn secrets() -> BTreeMap<String, Vec<u8>> {
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

/// The regions of a process that can be written to and are no file: heap, stacks, statics.
fn regions(pid: u32) -> Vec<(u64, u64, String)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("its memory");
    let mut regions = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, flags) = (
            fields.next().expect("a range"),
            fields.next().expect("flags"),
        );
        let name = fields.nth(3).unwrap_or("anonymous");
        if flags.starts_with("rw") {
            let (from, to) = range.split_once('-').expect("a range");
            let number = |digits| u64::from_str_radix(digits, 16).expect("an address");
            regions.push((number(from), number(to), name.to_owned()));
        }
    }
    regions
}

/// What of the secrets is in a process: which, in which kind of place, and which part of it, told once each.
fn residue(pid: u32) -> BTreeMap<String, Vec<String>> {
    let mut windows = BTreeMap::new();
    for (name, secret) in secrets() {
        for (at, window) in secret.windows(WINDOW).enumerate() {
            windows.insert(window.to_vec(), (name.clone(), at));
        }
    }
    let heads: std::collections::BTreeSet<[u8; 2]> = windows
        .keys()
        .map(|window| [window[0], window[1]])
        .collect();
    let mut memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (from, to, place) in regions(pid) {
        let mut bytes = vec![0; (to - from) as usize];
        memory.seek(SeekFrom::Start(from)).expect("an address");
        // A guard page at the end may not be readable.
        let mut read = 0;
        while let Ok(more) = memory.read(&mut bytes[read..]) {
            if more == 0 {
                break;
            }
            read += more;
        }
        for (offset, window) in bytes[..read].windows(WINDOW).enumerate() {
            if heads.contains(&[window[0], window[1]])
                && let Some((name, at)) = windows.get(window)
            {
                let what = format!("{at} at {:x} in {place}", from + offset as u64);
                found.entry(name.clone()).or_default().push(what);
            }
        }
    }
    found
}

/// Plays in a child, and looks at what is left there.
fn left_by(play_name: &str) -> BTreeMap<String, Vec<String>> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "the_child_of_the_other_tests",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PLAY, play_name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let played = lines.any(|line| line.is_ok_and(|line| line.ends_with("played")));
    assert!(played, "it has not played");
    let found = residue(child.id());
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(b"\n").expect("it waits");
    child.wait().expect("it ends");
    found
}

/// Does nothing unless it is the child.
#[test]
fn the_child_of_the_other_tests() {
    if let Ok(play_name) = std::env::var(PLAY) {
        child(&play_name);
    }
}

/// The search finds what was freed and not wiped.
#[test]
fn what_is_not_wiped_is_found() {
    let found = left_by("leak");
    for name in ["alice's Token", "bob's person key"] {
        assert!(found.contains_key(name), "{name}: {found:?}");
    }
}

/// Demands: M1.3.
#[test]
fn nothing_is_left_of_any_secret() {
    let mut all = BTreeMap::new();
    for most in (0..MESSAGES).chain([usize::MAX]) {
        for (name, places) in left_by(&most.to_string()) {
            let known = all.entry(name).or_insert_with(Vec::new);
            known.push((most, places.len(), places[0].clone()));
        }
    }
    for (name, places) in &all {
        println!("{name}: {places:?}");
    }
    assert!(all.is_empty());
}
