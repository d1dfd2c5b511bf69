//! Links: what layers, rules, reads and ends do to messages between two puppets.

use chumwire::io::{Closed, ConnId, Kind};
use chumwire::time::Micros;
use chumwire_sim::{
    Act, Choice, Config, Faults, Heard, Insecure, LinkId, Match, PartyId, Passage, Profile, Rule,
    Seeded, Side, World,
};
use chumwire_trace::What;

/// Two puppets with a link.
struct Two {
    world: World<Insecure>,
    link: LinkId,
    ends: [(PartyId, ConnId); 2],
}

fn two() -> Two {
    two_with(Profile::default())
}

fn two_with(profile: Profile) -> Two {
    let config = Config {
        profile,
        ..Config::default()
    };
    let mut world = World::new(config, Seeded::new(1));
    let ids = ["alice", "bob"].map(|name| world.add_puppet(name));
    let dialled = world.on_puppet(ids[0], |alice| alice.dial("ws://bob"));
    world.run_for(Micros::secs(1)).expect("no violation");
    let accepted = world.on_puppet(ids[1], |bob| bob.take_incoming());
    world.on_puppet(ids[0], |alice| alice.hear(dialled));
    let ends = [(ids[0], dialled), (ids[1], accepted.expect("accepted"))];
    let (link, _) = world.link_of(ids[0], dialled).expect("a link");
    Two { world, link, ends }
}

impl Two {
    /// Alice sends these bytes, one message each.
    fn send(&mut self, bytes: &[u8]) {
        let (alice, conn) = self.ends[0];
        self.world.on_puppet(alice, |puppet| {
            bytes.iter().for_each(|byte| puppet.binary(conn, &[*byte]))
        });
    }

    fn run(&mut self, millis: u64) {
        self.world
            .run_for(Micros::millis(millis))
            .expect("no violation");
    }

    /// What one of them has heard: each message's first byte, or `!` for the end.
    fn heard(&mut self, end: usize) -> Vec<u8> {
        let (id, conn) = self.ends[end];
        let mut heard = Vec::new();
        while let Some(next) = self.world.on_puppet(id, |puppet| puppet.hear(conn)) {
            heard.push(match next {
                Heard::Binary(bytes) => bytes.first().copied().unwrap_or(b'-'),
                Heard::Text(_) => b't',
                Heard::Opened => b'o',
                Heard::Closed(_) => b'!',
            });
        }
        heard
    }

    /// Alice sends, and Bob hears within a second.
    fn passes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.run(1000);
        self.heard(1)
    }

    fn interferences(&self) -> usize {
        let lines = self.world.trace_so_far().lines().iter();
        lines
            .filter(|line| matches!(line.what, What::Interfered { .. }))
            .count()
    }
}

fn under(rule: Rule, bytes: &[u8]) -> Vec<u8> {
    let mut two = two();
    let id = two.world.rule(rule);
    let heard = two.passes(bytes);
    assert_eq!(two.world.fired(id), 1);
    assert!(two.interferences() > 0, "it is in the trace");
    heard
}

#[test]
fn a_rule_does_what_it_says_to_the_message_it_names() {
    let rule = |act| Rule::new(Match::Binary, act).nth(2);
    for (act, heard) in [
        (Act::Drop, "acd"),
        (Act::Duplicate(2), "abbbcd"),
        (Act::Hold(Micros::millis(100)), "acdb"),
        (Act::HoldUntil(2), "acdb"),
        (Act::SwapWithNext, "acbd"),
        (Act::Flip(0), "accd"),
        (Act::Truncate(0), "a-cd"),
        (Act::Mirror, "abcd"),
        (Act::Reflect, "acd"),
        (Act::Replace(Kind::Text, b"x".to_vec()), "atcd"),
        (Act::Inject(Kind::Binary, b"x".to_vec()), "axbcd"),
        (Act::Merge, "abcd"),
        (Act::Clog(Micros::millis(100)), "abcd"),
        (Act::Silence, "a"),
    ] {
        let name = format!("{act:?}");
        assert_eq!(under(rule(act), b"abcd"), heard.as_bytes(), "{name}");
    }
    // A cut loses what is on its way too.
    assert_eq!(under(rule(Act::Cut), b"abcd"), b"!");
}

#[test]
fn a_mirrored_message_comes_back() {
    for (act, there) in [(Act::Mirror, "ab"), (Act::Reflect, "b")] {
        let mut two = two();
        two.world.rule(Rule::new(Match::Any, act).nth(1));
        assert_eq!(two.passes(b"ab"), there.as_bytes());
        assert_eq!(two.heard(0), b"a");
    }
}

#[test]
fn a_rule_knows_whose_message_it_is_and_what_kind() {
    let mut two = two();
    let ids = [
        Rule::new(Match::Any, Act::Drop).from("bob"),
        Rule::new(Match::Any, Act::Drop).to("alice"),
        Rule::new(Match::Text, Act::Drop),
        Rule::new(Match::Length(2), Act::Drop),
        Rule::new(Match::Command("ping".into()), Act::Drop)
            .from("alice")
            .to("bob"),
    ]
    .map(|rule| two.world.rule(rule));
    assert_eq!(two.passes(b"a"), b"a");
    assert!(ids.iter().all(|id| two.world.fired(*id) == 0));
    let (alice, conn) = two.ends[0];
    two.world
        .on_puppet(alice, |puppet| puppet.text(conn, r#"{"command":"ping"}"#));
    two.run(100);
    assert_eq!(two.heard(1), b"");
    assert_eq!(two.world.fired(ids[2]), 1);
}

#[test]
fn a_crash_by_a_rule_is_followed_by_a_restart() {
    let mut two = two();
    two.world.rule(Rule::new(Match::Any, Act::Crash).nth(1));
    two.passes(b"a");
    let stopped = |what: &What| matches!(what, What::Stopped);
    let lines = two.world.trace_so_far().lines();
    assert_eq!(lines.iter().filter(|line| stopped(&line.what)).count(), 1);
    assert!(two.world.is_up(two.ends[1].0));
    assert_eq!(two.heard(0), b"!");
}

#[test]
fn a_layer_that_was_wrapped_around_a_link_sees_every_message() {
    let mut two = two();
    let mut odd = false;
    let layer = move |passage: &mut Passage, chooser: &mut dyn chumwire_sim::Chooser| {
        odd = !odd;
        if odd {
            passage.duplicate(1 + chooser.choose(Choice::Test, 2));
        }
    };
    two.world.wrap(two.link, layer);
    two.world.wrap(
        two.link,
        |passage: &mut Passage, _: &mut dyn chumwire_sim::Chooser| {
            passage.flip(1);
        },
    );
    let heard = two.passes(b"ab");
    assert!(heard == b"cc`" || heard == b"ccc`", "{heard:?}");
}

#[test]
fn every_fault_happens_when_it_always_does() {
    for (name, there, back) in [
        ("cut", "!", "!"),
        ("silence", "", ""),
        ("loss", "", ""),
        ("truncate", "--", ""),
        ("duplicate", "aabb", ""),
        ("clog", "ab", ""),
        ("merge", "ab", ""),
    ] {
        let mut two = two();
        let mut faults = Faults::default();
        faults.set(name, 1.0).expect("a fault");
        two.world.set_faults(two.link, faults);
        two.send(b"ab");
        two.run(10_000);
        assert_eq!(two.heard(1), there.as_bytes(), "{name}");
        assert_eq!(two.heard(0), back.as_bytes(), "{name}");
        assert!(two.interferences() > 0, "{name}");
    }
    let mut faults = Faults::default();
    faults.set("mirror", 1.0).expect("a fault");
    let mut two = two();
    two.world.set_faults(two.link, faults);
    two.passes(b"abcdefgh");
    assert_eq!(two.heard(0), b"abcdefgh");
}

#[test]
fn nothing_is_overtaken_by_more_than_the_distance() {
    let faults = Faults {
        reorder: 500,
        distance: 3,
        ..Faults::default()
    };
    let mut two = two_with(Profile {
        faults,
        ..Profile::default()
    });
    let sent: Vec<u8> = (0..200).collect();
    let heard = two.passes(&sent);
    assert_ne!(heard, sent);
    for (place, byte) in heard.iter().enumerate() {
        let overtaken = heard[..place]
            .iter()
            .filter(|before| *before > byte)
            .count();
        let overtook = heard[place..].iter().filter(|after| *after < byte).count();
        assert!(overtaken <= 3 && overtook <= 3, "{byte} at {place}");
    }
    let mut sorted = heard;
    sorted.sort_unstable();
    assert_eq!(sorted, sent);
}

#[test]
fn messages_that_are_read_at_once_come_in_one_step() {
    let steps = |merge: bool| {
        let mut two = two();
        two.send(b"abcd");
        if merge {
            two.world.merge_reads(two.link, Side::Listener, 3);
        }
        let (mut steps, before) = (Vec::new(), two.world.deliveries());
        while two.world.step().expect("no violation") {
            steps.push(two.world.deliveries() - before);
        }
        assert_eq!(two.heard(1), b"abcd");
        steps.dedup();
        steps
    };
    assert_eq!(steps(false), [0, 1, 2, 3, 4]);
    assert_eq!(steps(true), [0, 3, 4]);
}

#[test]
fn slow_reads_come_one_after_the_other() {
    let mut two = two();
    two.world
        .split_reads(two.link, Side::Listener, Micros::millis(10));
    two.send(b"abc");
    for due in ["a", "b", "c", ""] {
        two.run(if due == "a" { 6 } else { 10 });
        assert_eq!(two.heard(1), due.as_bytes());
    }
}

#[test]
fn a_clogged_pipe_keeps_what_goes_in() {
    let mut two = two();
    two.world.clog(two.link, Side::Listener);
    assert_eq!(two.passes(b"ab"), b"");
    two.world.release(two.link, Side::Listener);
    assert_eq!(two.passes(b"c"), b"abc");
}

#[test]
fn swizzled_links_all_work_again() {
    for seed in 0..20 {
        let mut two = two();
        for _ in 0..seed {
            two.world.choose(Choice::Test, 2);
        }
        two.world.swizzle(Micros::millis(100));
        assert_eq!(two.passes(b"abc"), b"abc");
    }
}

#[test]
fn one_side_can_lose_a_link_and_the_other_not_know() {
    let mut two = two();
    two.world.half_open(two.link, Side::Dialler);
    two.run(100);
    assert_eq!(two.heard(0), b"!");
    assert_eq!(two.heard(1), b"");
    assert_eq!(two.passes(b"a"), b"");
}

#[test]
fn one_side_can_lose_a_link_later_than_the_other() {
    let mut two = two();
    two.world
        .lose_unevenly(two.link, Side::Listener, Micros::millis(50));
    two.run(40);
    assert_eq!((two.heard(0), two.heard(1)), (vec![], b"!".to_vec()));
    two.run(20);
    assert_eq!(two.heard(0), b"!");
    assert_eq!(two.world.links().count(), 0);
}

#[test]
fn a_close_is_answered_and_the_link_is_gone() {
    let mut two = two();
    let (alice, conn) = two.ends[0];
    two.world
        .on_puppet(alice, |puppet| puppet.close(conn, "bye"));
    two.run(100);
    let (bob, accepted) = two.ends[1];
    let how = two.world.puppet(bob).end_of(accepted).cloned();
    assert!(matches!(how, Some(Closed::ByPeer { reason, .. }) if reason == "bye"));
    assert_eq!(two.world.links().count(), 0);
}
