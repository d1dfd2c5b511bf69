//! What is left of secrets in memory when all that held them is gone.
//!
//! This test starts itself anew as a child: there two nodes pair, meet for CHUM, talk and go, on a thread of their own.
//! While the child waits, its memory is read through /proc and searched for every secret of that run: heap, stacks,
//! statics, freed or not. So there is no unsafe code and no allocator of ours, and the stack is looked at, too.
//! The parent computes the secrets for itself; nothing of them is in the child but what the crate has put there.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};

use crate::support::net::{Net, address};
use crate::support::secrets::{ALICE, BOB, draws, identity, made, secrets};
use chumwire::crypto::Random;
use chumwire::establish::Group;
use chumwire::io::Message;
use chumwire::limits;
use chumwire::node::NodeConfig;
use chumwire::pairing::Invitation;
use chumwire::time::Micros;
use zeroize::Zeroize;

/// Names the play for the child.
const PLAY: &str = "CHUMWIRE_RESIDUE";
/// At each of so many messages a play is dropped.
const MESSAGES: usize = 50;
/// Bytes of a secret in a row that count as residue.
const WINDOW: usize = 12;

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
    net.pass(limits::FIRST_DIAL);
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

/// A token, a key and, on the stack, a challenge that nobody wipes: what the search has to find.
fn leak() {
    let mut token = vec![0; 48];
    made(ALICE + 30, &mut token);
    let key = identity("bob", BOB)
        .person_key()
        .expose_secret()
        .expose()
        .to_vec();
    drop((std::hint::black_box(token), std::hint::black_box(key)));
    leak_on_the_stack();
}

/// Deep enough that what the child does afterwards does not overwrite it.
#[inline(never)]
fn leak_on_the_stack() {
    let mut deep = [0; 32 * 1024];
    made(BOB + 20, &mut deep[..64]);
    std::hint::black_box(&deep);
}

/// The child: plays, and waits until it has been looked at. It waits where it played: when a thread ends, the system
/// takes its stack back, and what was left there could not be seen.
#[expect(clippy::disallowed_methods, reason = "its stack is to be looked at")]
fn child(play_name: &str) {
    let most = play_name.parse();
    let work = move || match most {
        Ok(most) => play(most),
        Err(_) => leak(),
    };
    let player = std::thread::spawn(move || {
        work();
        println!("played");
        let mut line = String::new();
        let _ = std::io::stdin().lock().read_line(&mut line);
    });
    player.join().expect("the play goes well");
}

// --- the parent ------------------------------------------------------------------------------------------------------

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
    // Most of what is looked at is told apart by its first two bytes.
    let head = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    let mut heads = vec![false; 1 << 16];
    for window in windows.keys() {
        heads[head(window)] = true;
    }
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
            if heads[head(window)]
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
            "residue::the_child_of_the_other_tests",
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
#[expect(
    clippy::disallowed_methods,
    reason = "a child is told what to do by its environment"
)]
fn the_child_of_the_other_tests() {
    if let Ok(play_name) = std::env::var(PLAY) {
        child(&play_name);
    }
}

/// The search finds what was freed and not wiped, and what a function has left on the stack.
#[test]
fn what_is_not_wiped_is_found() {
    let found = left_by("leak");
    for name in ["alice's Token", "bob's person key", "bob's Challenge"] {
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
