//! The tolerant order (spec 04, "Ordering"): within the window every message arrives in the sender's order and once;
//! beyond it, altered, lost or too often doubled, the channel ends as it says. Without a window nothing is different.

mod support;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use chumwire::channel::{Channel, ChannelConfig, Diagnosis, Sealer};
use chumwire::crypto::{Nacl, Random, RawKey, Secret, Suite};
use chumwire::fault::Why;
use chumwire::io::{Kind, Message, Output};
use chumwire::limits;
use chumwire::role::Role;
use chumwire::time::{Alarm, Deadline, Micros, Now};
use proptest::prelude::*;
use support::bench::{Wire, borrowed};
use support::channels::{fault, received};
use support::generate::{any_message, any_role};
use support::with_both_suites;

with_both_suites!(
    within_the_window_all_arrive_in_order_and_once,
    what_is_altered_on_the_way_is_never_accepted,
    one_beyond_the_window_fails,
);

fn at(micros: u64) -> Now {
    Now {
        mono: Micros(micros),
        ..Now::default()
    }
}

fn end<S: Suite<Pair: RawKey>>(role: Role, window: usize, start: Now) -> Channel<S> {
    let mut config = ChannelConfig::default();
    config.reorder_window = window;
    bounded(role, config, start)
}

fn bounded<S: Suite<Pair: RawKey>>(role: Role, config: ChannelConfig, start: Now) -> Channel<S> {
    let random = Random::new([role.first_counter() as u8; 32]);
    Channel::from_session_key(start, Secret::take(&mut [7; 32]), role, random, config)
}

/// A sender's frames of these messages, each message one frame.
fn sealed<S: Suite<Pair: RawKey>>(role: Role, said: &[Wire]) -> Vec<Vec<u8>> {
    let mut sender = end::<S>(role, 0, Now::default());
    let mut frames = Vec::new();
    for message in said {
        sender
            .send(Now::default(), borrowed(message))
            .expect("room");
        let mut frame = Vec::new();
        sender.poll::<()>(&mut frame).expect("a frame");
        assert!(!sender.has_frames());
        frames.push(frame);
    }
    frames
}

fn numbered(count: usize) -> Vec<Wire> {
    (0..count)
        .map(|n| (Kind::Text, format!("message {n}").into_bytes()))
        .collect()
}

fn give<S: Suite>(channel: &mut Channel<S>, now: Now, frame: &[u8]) {
    channel.message(now, Message::Binary(frame)).expect("room");
}

fn any_window() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..6_usize, 1 => 6..=64_usize]
}

/// An order of arrival in which each frame comes at most that many places behind the lowest missing one, with copies of frames in
/// between that came lately.
fn arrival(count: usize, window: usize, choices: &[(u16, bool)]) -> Vec<usize> {
    let mut missing: Vec<usize> = (0..count).collect();
    let (mut order, mut copies) = (Vec::new(), 0);
    for (choice, copy) in choices.iter().cycle() {
        let Some(&lowest) = missing.first() else {
            break;
        };
        let known: Vec<usize> = order
            .iter()
            .copied()
            .filter(|n| *n + window >= lowest)
            .collect();
        if *copy && !known.is_empty() && copies < limits::DUPLICATES {
            order.push(known[usize::from(*choice) % known.len()]);
            copies += 1;
            continue;
        }
        let near = missing.iter().filter(|n| **n <= lowest + window).count();
        order.push(missing.remove(usize::from(*choice) % near));
        if choices.iter().all(|(_, copy)| *copy) && copies == limits::DUPLICATES {
            // Nothing but copies was asked for.
            order.append(&mut missing);
        }
    }
    order
}

/// Demands: M4.8.
fn within_the_window_all_arrive_in_order_and_once<S: Suite<Pair: RawKey>>() {
    let said = prop::collection::vec(any_message(), 1..70);
    let choices = prop::collection::vec((any::<u16>(), prop::bool::weighted(0.2)), 1..80);
    let all = (said, choices, any_window(), any_role());
    proptest!(ProptestConfig::with_cases(300), |((said, choices, window, role) in all)| {
        let frames = sealed::<S>(role, &said);
        let order = arrival(frames.len(), window, &choices);
        let mut tolerant = end::<S>(role.peer(), window, Now::default());
        let mut strict = end::<S>(role.peer(), 0, Now::default());
        let (mut heard, mut due) = (Vec::new(), 0);
        for &n in &order {
            give(&mut tolerant, Now::default(), &frames[n]);
            heard.extend(received(&mut tolerant));
            prop_assert_eq!(fault(&mut tolerant), None);
            prop_assert!(tolerant.order().held <= window);
            if due == n {
                give(&mut strict, Now::default(), &frames[n]);
                received(&mut strict);
                prop_assert_eq!(fault(&mut strict), None);
                due += 1;
            } else if due < usize::MAX {
                // The first one that is not the next ends a strict channel.
                give(&mut strict, Now::default(), &frames[n]);
                let counter = role.first_counter() + 2 * due as u64;
                prop_assert_eq!(fault(&mut strict), Some(Why::Frame { counter }));
                due = usize::MAX;
            }
        }
        prop_assert!(heard == said);
        let stats = tolerant.order();
        prop_assert_eq!((stats.held, stats.held_bytes, stats.undelivered), (0, 0, 0));
        prop_assert_eq!(stats.duplicates, order.len() - frames.len());
        let gap = tolerant.deadline().is_some_and(|due| due.why == Alarm::GapLimit);
        prop_assert!(!gap, "no gap is open");
    });
}

/// Demands: M4.2.
fn what_is_altered_on_the_way_is_never_accepted<S: Suite<Pair: RawKey>>() {
    let said = prop::collection::vec(any_message(), 1..12);
    let choices = prop::collection::vec((any::<u16>(), prop::bool::weighted(0.2)), 1..20);
    let place = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..11_u8,
    );
    let all = (said, choices, place, any_window(), any_role());
    proptest!(ProptestConfig::with_cases(400), |((said, choices, (which, byte, how), window, role) in all)| {
        let frames = sealed::<S>(role, &said);
        let order = arrival(frames.len(), window, &choices);
        let mut to = end::<S>(role.peer(), window, Now::default());
        to.send(Now::default(), Message::Text("of our own")).expect("room");
        let mut own = Vec::new();
        to.poll::<()>(&mut own);
        let bad = which.index(order.len());
        let mut heard = Vec::new();
        for (i, &n) in order.iter().enumerate() {
            let mut frame = frames[n].clone();
            if i == bad {
                let at = byte.index(frame.len());
                match how {
                    0..8 => frame[at] ^= 1 << how,
                    8 => frame.truncate(at),
                    9 => frame.push(0),
                    _ => frame = own.clone(),
                }
            }
            give(&mut to, Now::default(), &frame);
            heard.extend(received(&mut to));
        }
        prop_assert!(said.starts_with(&heard), "what was said, in its order, up to the end");
        let why = fault(&mut to).expect("it has ended");
        prop_assert!(matches!(why, Why::Frame { .. } | Why::FrameTooShort { .. }), "{:?}", why);
        prop_assert_eq!(to.deadline(), None);
        if how > 9 {
            prop_assert_eq!(to.diagnose(None, &[]), Some(Diagnosis::Mirrored));
        }
    });
}

/// Demands: M4.8.
fn one_beyond_the_window_fails<S: Suite<Pair: RawKey>>() {
    let frames = sealed::<S>(Role::Acceptor, &numbered(80));
    for window in 1..=limits::REORDER_WINDOW {
        // With some accepted before.
        for first in [0, 3] {
            let mut to = end::<S>(Role::Initiator, window, Now::default());
            for frame in &frames[..first] {
                give(&mut to, Now::default(), frame);
            }
            let mut at_the_edge = to.clone();
            give(&mut at_the_edge, Now::default(), &frames[first + window]);
            assert_eq!(fault(&mut at_the_edge), None, "{window}");
            assert_eq!(at_the_edge.order().held, 1);
            give(&mut to, Now::default(), &frames[first + window + 1]);
            let counter = 2 * first as u64;
            assert_eq!(fault(&mut to), Some(Why::Frame { counter }), "{window}");
            let distance = window as u64 + 1;
            // However wide the window is, the diagnosis looks beyond it.
            let due = Diagnosis::Ahead { distance };
            assert_eq!(to.diagnose(None, &[]), Some(due), "{window}");
        }
    }
}

#[test]
fn a_wider_window_is_taken_as_the_widest() {
    let frames = sealed::<Nacl>(Role::Acceptor, &numbered(80));
    let mut to = end::<Nacl>(Role::Initiator, usize::MAX, Now::default());
    give(&mut to, Now::default(), &frames[limits::REORDER_WINDOW]);
    assert_eq!(fault(&mut to), None);
    give(&mut to, Now::default(), &frames[limits::REORDER_WINDOW + 1]);
    assert_eq!(fault(&mut to), Some(Why::Frame { counter: 0 }));
}

// ---------------------------------------------------------------- the time limit of a gap

const GAP: u64 = 5_000_000;

/// One that has heard message 0 and, at `start`, message 2.
fn with_a_gap(start: u64, frames: &[Vec<u8>]) -> Channel<Nacl> {
    let mut to = end(Role::Initiator, 4, at(start));
    give(&mut to, at(start), &frames[0]);
    give(&mut to, at(start), &frames[2]);
    to
}

/// Demands: M4.9.
#[test]
fn a_lost_frame_ends_it_at_the_limit_of_its_gap() {
    let frames = sealed::<Nacl>(Role::Acceptor, &numbered(4));
    let lost = Some(Why::LostFrame { counter: 2 });
    let to = with_a_gap(1_000, &frames);
    let due = Deadline {
        at: Micros(1_000 + GAP),
        why: Alarm::GapLimit,
    };
    assert_eq!(to.deadline(), Some(due));

    let mut ticked = to.clone();
    // What comes behind the gap gives it no more time.
    give(&mut ticked, at(3_000_000), &frames[3]);
    assert_eq!(ticked.deadline(), Some(due));
    ticked.tick(at(1_000 + GAP - 1));
    assert_eq!(fault(&mut ticked), None);
    ticked.tick(at(1_000 + GAP));
    assert_eq!(fault(&mut ticked), lost);
    assert_eq!(ticked.deadline(), None);
    let stats = ticked.order();
    assert_eq!((stats.held, stats.held_bytes, stats.undelivered), (0, 0, 2));
    assert_eq!(received(&mut ticked), numbered(1));

    let mut in_time = to.clone();
    give(&mut in_time, at(1_000 + GAP), &frames[1]);
    assert_eq!(fault(&mut in_time), None);
    assert_eq!(received(&mut in_time), numbered(3));
    assert_eq!(
        in_time.deadline().map(|due| due.why),
        Some(Alarm::KeepaliveSend)
    );

    let mut another = to.clone();
    give(&mut another, at(1_000 + GAP), &frames[3]);
    assert_eq!(
        fault(&mut another),
        lost,
        "the gap is still open at its limit"
    );
    assert_eq!(another.order().undelivered, 2);

    let mut late = to.clone();
    give(&mut late, at(1_000 + GAP + 1), &frames[1]);
    assert_eq!(fault(&mut late), lost);
}

/// Demands: M4.9.
#[test]
fn each_gap_counts_from_the_first_frame_behind_it() {
    let frames = sealed::<Nacl>(Role::Acceptor, &numbered(5));
    let mut to = with_a_gap(0, &frames);
    give(&mut to, at(2_000_000), &frames[4]);
    give(&mut to, at(4_000_000), &frames[1]);
    assert_eq!(received(&mut to), numbered(3));
    let due = Deadline {
        at: Micros(2_000_000 + GAP),
        why: Alarm::GapLimit,
    };
    assert_eq!(to.deadline(), Some(due));
    to.tick(due_now(due));
    assert_eq!(fault(&mut to), Some(Why::LostFrame { counter: 6 }));
}

fn due_now(due: Deadline) -> Now {
    at(due.at.0)
}

// ---------------------------------------------------------------- duplicates, keepalive, bounds

/// Demands: M4.10.
#[test]
fn the_65th_duplicate_ends_it() {
    let frames = sealed::<Nacl>(Role::Acceptor, &numbered(4));
    // A copy of one that was delivered, and of one that is held.
    for copy in [0, 2] {
        let mut to = with_a_gap(0, &frames);
        for n in 1..=limits::DUPLICATES {
            give(&mut to, at(1), &frames[copy]);
            assert_eq!((fault(&mut to), to.order().duplicates), (None, n));
        }
        let mut good = to.clone();
        give(&mut good, at(1), &frames[1]);
        assert_eq!(received(&mut good), numbered(3), "each of them once");
        give(&mut to, at(1), &frames[copy]);
        assert_eq!(fault(&mut to), Some(Why::TooManyDuplicates));
        assert_eq!(Why::TooManyDuplicates.code(), "duplicates");
        assert_eq!(to.order().undelivered, 1);
    }
}

/// Demands: M4.10.
#[test]
fn a_copy_from_before_the_window_ends_it() {
    let frames = sealed::<Nacl>(Role::Acceptor, &numbered(10));
    for window in 1..8 {
        let mut to = end::<Nacl>(Role::Initiator, window, at(0));
        for frame in &frames[..9] {
            give(&mut to, at(0), frame);
        }
        let mut within = to.clone();
        give(&mut within, at(0), &frames[9 - window]);
        assert_eq!(fault(&mut within), None);
        give(&mut to, at(0), &frames[9 - window - 1]);
        assert_eq!(fault(&mut to), Some(Why::Frame { counter: 18 }));
        let distance = window as u64 + 1;
        assert_eq!(
            to.diagnose(None, &[]),
            Some(Diagnosis::Duplicate { distance })
        );
    }
}

#[test]
fn a_known_tag_with_another_body_ends_it() {
    let frames = sealed::<Nacl>(Role::Acceptor, &numbered(4));
    for copy in [0, 2] {
        let mut to = with_a_gap(0, &frames);
        let mut altered = frames[copy].clone();
        altered[20] ^= 1;
        give(&mut to, at(0), &altered);
        assert_eq!(fault(&mut to), Some(Why::Frame { counter: 2 }));
    }
}

/// Demands: M4.10.
#[test]
fn a_held_frame_is_a_sign_of_life_and_a_copy_is_none() {
    let frames = sealed::<Nacl>(Role::Acceptor, &numbered(3));
    let gives_up = |mut channel: Channel<Nacl>| loop {
        let due = channel.deadline().expect("it goes on");
        channel.tick(due_now(due));
        let moved = channel.deadline().is_none_or(|next| next > due);
        assert!(moved, "a tick at the deadline moves it");
        if let Some(why) = channel
            .poll::<()>(&mut Vec::new())
            .and_then(|output| match output {
                Output::Fault(fault) => Some(fault.why),
                _ => None,
            })
        {
            break (due.at.0, why);
        }
    };
    let silent = |since: u64| (since + 25_000_000, Why::Silent);
    let mut to = end::<Nacl>(Role::Initiator, 4, at(0));
    give(&mut to, at(1_000_000), &frames[0]);
    assert_eq!(gives_up(to.clone()), silent(1_000_000));
    give(&mut to, at(2_000_000), &frames[0]);
    assert_eq!(gives_up(to.clone()), silent(1_000_000), "a copy");
    give(&mut to, at(3_000_000), &frames[2]);
    give(&mut to, at(4_000_000), &frames[2]);
    let mut closed = to.clone();
    give(&mut closed, at(3_000_000), &frames[1]);
    assert_eq!(
        gives_up(closed),
        silent(4_000_000),
        "the one that fills the gap"
    );
    assert_eq!(gives_up(to).1, Why::LostFrame { counter: 2 });

    // At the very limit of the keepalive, a held one keeps it alive.
    let mut to = end::<Nacl>(Role::Initiator, 4, at(0));
    give(&mut to, at(25_000_000), &frames[1]);
    give(&mut to, at(25_000_001), &frames[0]);
    assert_eq!(received(&mut to), numbered(2));
}

/// Demands: M4.11.
#[test]
fn what_is_held_is_bounded_in_bytes() {
    let said: Vec<Wire> = (0..5).map(|n| (Kind::Binary, vec![n; 1000])).collect();
    let frames = sealed::<Nacl>(Role::Acceptor, &said);
    let exact = frames[1].len() + frames[2].len();
    for (max_held, fits) in [(exact, true), (exact - 1, false)] {
        let mut config = ChannelConfig::default();
        (config.reorder_window, config.max_held) = (8, max_held);
        let mut to = bounded::<Nacl>(Role::Initiator, config, at(0));
        give(&mut to, at(0), &frames[1]);
        give(&mut to, at(0), &frames[2]);
        if fits {
            assert_eq!((fault(&mut to), to.order().held_bytes), (None, exact));
            give(&mut to, at(0), &frames[0]);
            assert_eq!(to.order().held_bytes, 0);
            assert!(received(&mut to) == said[..3]);
        } else {
            let code = fault(&mut to).map(|why| why.code());
            assert_eq!(code, Some("limit"));
        }
    }
}

/// Frames that no channel sends, since it escapes what it is given.
#[test]
fn it_ends_at_the_frame_at_which_a_strict_one_does() {
    let key = <Nacl as Suite>::Pair::from_raw(Secret::take(&mut [7; 32]));
    let mut sealer = Sealer::new(key, Role::Acceptor, Random::new([1; 32]));
    let mut frames = Vec::new();
    for text in ["one", "two", "fragmentation_end", "three"] {
        let mut frame = Vec::new();
        sealer
            .seal(true, text.as_bytes(), 0, &mut frame)
            .expect("a nonce");
        frames.push(frame);
    }
    let mut strict = end::<Nacl>(Role::Initiator, 0, at(0));
    for frame in &frames {
        give(&mut strict, at(0), frame);
    }
    for order in [[1, 3, 2, 0], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut tolerant = end::<Nacl>(Role::Initiator, 8, at(0));
        for n in order {
            give(&mut tolerant, at(0), &frames[n]);
        }
        let heard = received(&mut tolerant);
        assert!(heard == received(&mut strict.clone()) && heard.len() == 2);
        let why = fault(&mut tolerant);
        assert_eq!(why, fault(&mut strict.clone()));
        assert_eq!(why.map(|why| why.code()), Some("bad_fragments"));
        assert_eq!(tolerant.order().undelivered, 1, "the one behind it");
    }
}

// ---------------------------------------------------------------- states

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A copy goes on as the one it was made of, and the clock's zero point does not count.
    #[test]
    fn what_is_held_is_part_of_the_state(
        start in 0..u64::from(u32::MAX),
        choices in prop::collection::vec((any::<u16>(), prop::bool::weighted(0.2)), 1..30),
        window in any_window(),
        cut in any::<prop::sample::Index>(),
    ) {
        let frames = sealed::<Nacl>(Role::Acceptor, &numbered(30));
        let order = arrival(frames.len(), window, &choices);
        let cut = cut.index(order.len());
        let mut one = end::<Nacl>(Role::Initiator, window, at(0));
        let mut two = end::<Nacl>(Role::Initiator, window, at(start));
        let mut copy = None;
        for (i, &n) in order.iter().enumerate() {
            if i == cut {
                copy = Some(one.clone());
            }
            give(&mut one, at(i as u64), &frames[n]);
            give(&mut two, at(start + i as u64), &frames[n]);
            if let Some(copy) = &mut copy {
                give(copy, at(i as u64), &frames[n]);
                prop_assert!(*copy == one && hash(copy) == hash(&one));
            }
            if i % 2 == 0 {
                prop_assert!(received(&mut one) == received(&mut two));
                if let Some(copy) = &mut copy {
                    received(copy);
                }
            }
            prop_assert!(one == two && hash(&one) == hash(&two), "the zero point does not count");
        }
        let mut gap = end::<Nacl>(Role::Initiator, 64, at(0));
        give(&mut gap, at(0), &frames[1]);
        let mut later = gap.clone();
        later.tick(at(1));
        prop_assert!(later != gap, "how long a gap is open does count");
    }
}

#[test]
fn a_diagnosis_has_a_stable_name() {
    let names = [
        (Diagnosis::TooShort, "too_short"),
        (Diagnosis::Mirrored, "mirrored"),
        (Diagnosis::Ahead { distance: 1 }, "ahead"),
        (Diagnosis::Duplicate { distance: 1 }, "duplicate"),
        (Diagnosis::WrongStart(-1), "wrong_start"),
        (Diagnosis::MirroredOlder, "mirrored_older"),
        (Diagnosis::KeyMessage, "key_message"),
        (Diagnosis::OtherConnection, "other_connection"),
        (Diagnosis::TamperedOrForeign, "tampered_or_foreign"),
        (Diagnosis::NotExamined, "not_examined"),
    ];
    for (diagnosis, name) in names {
        assert_eq!(diagnosis.code(), name);
    }
}
