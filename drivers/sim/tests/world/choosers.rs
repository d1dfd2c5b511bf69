//! Sources of choices: whichever it is, the same one gives the same run, and what it chose repeats it.

use std::collections::BTreeSet;

use chumwire::time::Micros;
use chumwire_sim::{
    Bytes, Choice, Chooser, Config, Enumerate, FaultKind, Faults, Insecure, Mood, Pct, Profile,
    Recording, Scheduled, Seeded, Swarm, World,
};

use crate::common::{Meeting, Via, Who, pairings};

const CONFIG: Config = Config {
    profile: Profile {
        latency: Micros::millis(5),
        jitter: Micros::millis(20),
        faults: Faults {
            cut: 5,
            silence: 0,
            crash: 5,
            loss: 10,
            flip: 10,
            truncate: 10,
            mirror: 20,
            duplicate: 20,
            reorder: 20,
            clog: 20,
            merge: 50,
            distance: 2,
        },
    },
    drain: Micros::millis(3),
    store: Micros::millis(9),
    capacity: 64 * 1024,
    wall: chumwire::time::Millis(1_700_000_000_000),
    livelock: 100_000,
    trace: true,
    schedule: true,
    messages: true,
    watch: true,
};

/// A pairing under every fault there is: its trace and its schedule.
fn run(chooser: impl Chooser + 'static) -> ([u8; 32], Vec<u32>) {
    let mut world = World::<Insecure>::new(CONFIG, chooser);
    world.add_relay("relay", chumwire::relay::RelayConfig::default());
    let ids = ["alice", "bob"].map(|name| {
        world.add_node(
            name,
            crate::common::config::<Insecure>(name),
            Some("ws://relay"),
        )
    });
    world.run_for(Micros::secs(5)).expect("no violation");
    let life = Micros::secs(60);
    if world.is_up(ids[0]) && world.is_up(ids[1]) {
        let invitation = world
            .on_node(ids[0], |node, now| node.invite(now, life, "ws://relay"))
            .expect("made");
        world
            .on_node(ids[1], |node, now| node.join(now, &invitation))
            .expect("joins");
    }
    world.run_for(Micros::secs(30)).expect("no violation");
    (world.trace_so_far().hash(), world.schedule().to_vec())
}

fn repeats<C: Chooser + 'static>(make: impl Fn(u64) -> C) {
    let mut hashes = BTreeSet::new();
    for seed in 0..20 {
        let (hash, schedule) = run(make(seed));
        assert_eq!(run(make(seed)), (hash, schedule.clone()), "seed {seed}");
        let again = run(Scheduled::new(schedule.clone()));
        assert_eq!(again, (hash, schedule), "seed {seed}, from its schedule");
        hashes.insert(hash);
    }
    assert!(hashes.len() > 15, "{} runs of 20 differ", hashes.len());
}

#[test]
fn seeded_choices_repeat() {
    repeats(Seeded::new);
}

#[test]
fn a_swarm_repeats() {
    repeats(Swarm::new);
}

#[test]
fn priorities_repeat() {
    repeats(|seed| Pct::new(seed, 3, 200));
}

#[test]
fn a_fuzzers_bytes_repeat() {
    repeats(|seed| {
        let mut random = Seeded::new(seed);
        let bytes: Vec<u8> = (0..2000).map(|_| random.next() as u8).collect();
        Bytes::new(&bytes)
    });
}

#[test]
fn without_bytes_and_without_a_schedule_the_first_is_taken_and_nothing_fails() {
    let (hash, schedule) = run(Bytes::new(&[]));
    assert!(schedule.iter().all(|choice| *choice == 0));
    assert_eq!(run(Scheduled::new(Vec::new())).0, hash);
}

#[test]
fn the_highest_byte_is_any_fault_and_zero_is_none() {
    let kind = FaultKind::Loss;
    for (byte, permille, strikes) in [
        (0, 1000, false),
        (1, 1000, true),
        (255, 1, true),
        (254, 1, false),
        (128, 500, true),
        (126, 500, false),
    ] {
        assert_eq!(
            Bytes::new(&[byte]).strikes(kind, permille),
            strikes,
            "{byte} at {permille}"
        );
    }
    assert_eq!(Bytes::new(&[1, 2]).choose(Choice::Seed, 1 << 16), 0x201);
}

#[test]
fn a_swarm_has_every_mood_and_a_kind_that_is_off_never_happens() {
    let mut moods = BTreeSet::new();
    for seed in 0..50 {
        let mut swarm = Swarm::new(seed);
        for kind in FaultKind::ALL {
            let struck = (0..2000).filter(|_| swarm.strikes(kind, 20)).count();
            match swarm.mood(kind) {
                Mood::Off => assert_eq!(struck, 0),
                Mood::Asked => assert!((10..90).contains(&struck), "{struck}"),
                Mood::Wild(times) => {
                    let due = 40 * times as usize;
                    assert!((due / 2..due * 2).contains(&struck), "{struck} of {due}");
                }
            }
            moods.insert(match swarm.mood(kind) {
                Mood::Off => 0,
                Mood::Asked => 1,
                Mood::Wild(_) => 2,
            });
        }
    }
    assert_eq!(moods.len(), 3);
}

#[test]
fn enumeration_makes_every_sequence_once() {
    // The second choice depends on the first: 0 has one more with three options, 1 a fault, 2 nothing.
    let (mut seen, mut runs) = (BTreeSet::new(), Enumerate::new(10));
    for chooser in runs.by_ref() {
        let mut recording = Recording::new(chooser);
        match recording.choose(Choice::Test, 3) {
            0 => {
                recording.choose(Choice::Latency, 3);
            }
            1 => {
                recording.strikes(FaultKind::Loss, 1);
            }
            _ => {}
        }
        // Seeds and broad choices are not walked.
        recording.choose(Choice::Seed, 2);
        recording.choose(Choice::Test, 1000);
        assert!(
            seen.insert(recording.choices().to_vec()),
            "a run was made twice"
        );
    }
    assert_eq!(seen.len(), 3 + 2 + 1);
    assert!(!runs.was_cut());
}

#[test]
fn enumeration_ends_at_its_depth_and_says_so() {
    let count = |depth, only: Option<&[Choice]>| {
        let mut runs = Enumerate::new(depth);
        if let Some(only) = only {
            runs = runs.only(only);
        }
        let mut count = 0;
        for mut chooser in runs.by_ref() {
            for _ in 0..4 {
                chooser.choose(Choice::Tie, 3);
            }
            chooser.choose(Choice::Test, 2);
            count += 1;
        }
        (count, runs.was_cut())
    };
    assert_eq!(count(2, None), (9, true));
    assert_eq!(count(9, None), (162, false));
    assert_eq!(count(9, Some(&[Choice::Test])), (2, false));
}

#[test]
fn all_orders_of_a_pairings_ties_pair() {
    let quick = Config {
        profile: Profile::default(),
        ..Config::default()
    };
    let mut count = 0;
    for chooser in Enumerate::new(7).only(&[Choice::Tie]) {
        let world = World::<Insecure>::new(quick, chooser);
        let mut meeting = Meeting::new(world, Via::Direct, Who::Ours, Who::Ours);
        meeting.join();
        assert!(meeting.pair(), "{:?}", meeting.world.schedule());
        count += 1;
    }
    assert!(count > 10, "{count} orders");
}

#[test]
fn a_run_by_priorities_comes_to_its_end() {
    for seed in 0..50 {
        let config = Config {
            profile: Profile::default(),
            ..Config::default()
        };
        let world = World::<Insecure>::new(config, Pct::new(seed, 5, 100));
        let mut meeting = Meeting::new(world, Via::Relay, Who::Ours, Who::Ours);
        meeting.join();
        assert!(meeting.pair(), "seed {seed}");
        assert_eq!(pairings(&meeting.world, meeting.joiner.0), 1);
    }
}
