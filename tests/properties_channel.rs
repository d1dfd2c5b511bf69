//! Properties of the encrypted channel (spec 04): what is sent arrives, in order and once; what is changed on the way
//! ends it; and the diagnosis names how (spec 07).

mod support;

use chumwire::channel::{
    COUNTER_END, Channel, ChannelConfig, Counter, Diagnosis, Exhausted, FrameFault, Opener, Sealer,
    SendError,
};
use chumwire::crypto::{self, PairKey, Purpose, Random, RawKey, Secret, Suite};
use chumwire::fault::Why;
use chumwire::io::{Full, Kind, Message, Output};
use chumwire::limits;
use chumwire::role::Role;
use chumwire::time::{Alarm, Micros, Now};
use proptest::prelude::*;
use support::bench::{Wire, borrowed};
use support::channels::{fault, received};
use support::generate::{any_message, any_role};
use support::with_both_suites;

with_both_suites!(
    every_message_arrives_in_order_and_once,
    any_change_on_the_way_ends_it,
    the_diagnosis_names_what_happened,
    counters_end_without_reuse,
);

type Ends<S> = (Channel<S>, Channel<S>);

fn key<S: Suite<Pair: RawKey>>(n: u8) -> S::Pair {
    S::Pair::from_raw(Secret::take(&mut [n; 32]))
}

fn end<S: Suite<Pair: RawKey>>(n: u8, role: Role, config: ChannelConfig) -> Channel<S> {
    let random = Random::new([n ^ role.first_counter() as u8; 32]);
    let key = Secret::take(&mut [n; 32]);
    Channel::from_session_key(Now::default(), key, role, random, config)
}

/// Two ends of one channel; the sender of interest first.
fn ends<S: Suite<Pair: RawKey>>(sender: Role) -> Ends<S> {
    let config = ChannelConfig::default();
    (
        end(7, sender, config.clone()),
        end(7, sender.peer(), config),
    )
}

fn frames<S: Suite>(channel: &mut Channel<S>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while channel.has_frames() {
        let mut frame = Vec::new();
        assert_eq!(
            channel.poll::<()>(&mut frame),
            Some(Output::Send(Kind::Binary))
        );
        frames.push(frame);
    }
    frames
}

fn give<S: Suite>(channel: &mut Channel<S>, frame: &[u8]) {
    channel
        .message(Now::default(), Message::Binary(frame))
        .expect("room");
}

/// Mostly short, now and then long enough for fragments.
fn any_length() -> impl Strategy<Value = Wire> {
    let edge = prop::sample::select(vec![
        limits::WHOLE_TEXT - 1,
        limits::WHOLE_TEXT,
        limits::FRAGMENT,
        limits::FRAGMENT + 1,
        2 * limits::FRAGMENT + 1,
    ]);
    let long = (edge, any::<bool>(), any::<u8>()).prop_map(|(length, text, seed)| {
        let kind = if text { Kind::Text } else { Kind::Binary };
        (kind, vec![seed & 0x7f; length])
    });
    prop_oneof![30 => any_message(), 1 => long]
}

fn every_message_arrives_in_order_and_once<S: Suite<Pair: RawKey>>() {
    let said = prop::collection::vec((any::<bool>(), any_length(), any::<bool>()), 0..40);
    proptest!(ProptestConfig::with_cases(200), |(said in said, role in any_role())| {
        let (mut one, mut two) = ends::<S>(role);
        // What is on the way in each direction, and what was said in each.
        let (mut to_two, mut to_one) = (Vec::new(), Vec::new());
        let (mut due_at_two, mut due_at_one) = (Vec::new(), Vec::new());
        let (mut at_two, mut at_one) = (Vec::new(), Vec::new());
        for (by_one, message, deliver) in said {
            let now = Now::default();
            if by_one {
                one.send(now, borrowed(&message)).expect("room");
                to_two.extend(frames(&mut one));
                due_at_two.push(message);
            } else {
                two.send(now, borrowed(&message)).expect("room");
                to_one.extend(frames(&mut two));
                due_at_one.push(message);
            }
            if deliver {
                for frame in to_two.drain(..) {
                    give(&mut two, &frame);
                    at_two.extend(received(&mut two));
                }
                for frame in to_one.drain(..) {
                    give(&mut one, &frame);
                    at_one.extend(received(&mut one));
                }
            }
        }
        for frame in to_two {
            give(&mut two, &frame);
            at_two.extend(received(&mut two));
        }
        for frame in to_one {
            give(&mut one, &frame);
            at_one.extend(received(&mut one));
        }
        prop_assert!(at_two == due_at_two && at_one == due_at_one);
        prop_assert_eq!((fault(&mut one), fault(&mut two)), (None, None));
    });
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Flip(u8),
    Cut,
    Append,
    Drop,
    Twice,
    Swap,
    ToText,
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..8_u8).prop_map(Change::Flip),
        prop::sample::select(vec![
            Change::Cut,
            Change::Append,
            Change::Drop,
            Change::Twice,
            Change::Swap,
            Change::ToText,
        ]),
    ]
}

/// Demands: M4.2.
fn any_change_on_the_way_ends_it<S: Suite<Pair: RawKey>>() {
    let said = prop::collection::vec(any_message(), 2..12);
    let place = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let all = (said, place, any_change(), any_role());
    proptest!(ProptestConfig::with_cases(500), |((said, (at, byte), change, role) in all)| {
        let (mut from, mut to) = ends::<S>(role);
        let mut sent = Vec::new();
        for message in &said {
            from.send(Now::default(), borrowed(message)).expect("room");
            sent.extend(frames(&mut from));
        }
        prop_assert_eq!(sent.len(), said.len(), "short messages are one frame each");
        // All but the last have a frame behind them, so that a gap shows.
        let at = at.index(sent.len() - 1);
        let (good, mut why) = (at, None);
        match change {
            Change::Flip(bit) => {
                let byte = byte.index(sent[at].len());
                sent[at][byte] ^= 1 << bit;
            }
            Change::Cut => {
                let byte = byte.index(sent[at].len());
                sent[at].truncate(byte);
            }
            Change::Append => sent[at].push(0),
            Change::Drop => drop(sent.remove(at)),
            Change::Twice => sent.insert(at + 1, sent[at].clone()),
            Change::Swap => sent.swap(at, at + 1),
            Change::ToText => why = Some(Why::PlainText),
        }
        let good = if matches!(change, Change::Twice) { good + 1 } else { good };
        for (n, frame) in sent.iter().enumerate() {
            if n == at && why.is_some() {
                to.message(Now::default(), Message::Text("hello")).expect("room");
            } else {
                give(&mut to, frame);
            }
        }
        // What came before is delivered, nothing behind it is, and the end is told once and stays.
        prop_assert!(received(&mut to) == said[..good]);
        let got = fault(&mut to).expect("it has ended");
        match why {
            Some(why) => prop_assert_eq!(got, why),
            None => {
                let named = matches!(got, Why::Frame { .. } | Why::FrameTooShort { .. });
                prop_assert!(named, "{:?}", got);
            }
        }
        prop_assert_eq!(fault(&mut to), None);
        prop_assert_eq!(to.deadline(), None);
        prop_assert_eq!(to.send(Now::default(), Message::Text("x")), Err(SendError::Ended));
    });
}

// ---------------------------------------------------------------- diagnosis

/// What happens to a channel that has accepted some frames and sent some.
enum Event {
    /// A frame of the peer with this many frames missing before it.
    Ahead(usize),
    /// The frame of the peer that was accepted this many frames ago.
    Again(usize),
    /// Its own frame of this many frames ago.
    Mirror(usize),
    /// A frame sealed at this counter.
    At(u64),
    /// A frame sealed at -1: eight bytes 0xff.
    MinusOne,
    /// Bytes that were never sealed.
    Raw(Vec<u8>),
    /// A key message of the handshake.
    KeyMessage,
    /// A frame of another connection, at its next counter plus this many frames.
    Sibling(i64),
    /// A frame of another key.
    Foreign,
}

struct Row {
    name: &'static str,
    accepted: usize,
    sent: usize,
    event: Event,
    due: Diagnosis,
}

/// The list of spec 07, for a receiver that is the acceptor: it expects 1, 3, 5, … and sends 0, 2, 4, …
fn table() -> Vec<Row> {
    let row = |name, accepted, sent, event, due| Row {
        name,
        accepted,
        sent,
        event,
        due,
    };
    let ahead = |distance| Diagnosis::Ahead { distance };
    let again = |distance| Diagnosis::Duplicate { distance };
    vec![
        row("empty", 3, 3, Event::Raw(Vec::new()), Diagnosis::TooShort),
        row(
            "a tag alone",
            3,
            3,
            Event::Raw(vec![1; 16]),
            Diagnosis::TooShort,
        ),
        row(
            "mirrored, the last",
            0,
            1,
            Event::Mirror(1),
            Diagnosis::Mirrored,
        ),
        row(
            "mirrored, 16 ago",
            3,
            20,
            Event::Mirror(16),
            Diagnosis::Mirrored,
        ),
        row("one is missing", 0, 0, Event::Ahead(1), ahead(1)),
        row("two are missing", 5, 0, Event::Ahead(2), ahead(2)),
        row("sixteen are missing", 5, 9, Event::Ahead(16), ahead(16)),
        row(
            "seventeen are missing",
            5,
            9,
            Event::Ahead(17),
            Diagnosis::TamperedOrForeign,
        ),
        row("the last one again", 1, 0, Event::Again(1), again(1)),
        row("sixteen ago again", 20, 0, Event::Again(16), again(16)),
        row(
            "seventeen ago again",
            20,
            0,
            Event::Again(17),
            Diagnosis::TamperedOrForeign,
        ),
        row(
            "starts at -1",
            0,
            0,
            Event::MinusOne,
            Diagnosis::WrongStart(-1),
        ),
        row(
            "starts at 0: the same parity",
            0,
            0,
            Event::At(0),
            Diagnosis::WrongStart(0),
        ),
        row("starts at 2", 0, 0, Event::At(2), Diagnosis::WrongStart(2)),
        row(
            "mirrored, 17 ago",
            3,
            20,
            Event::Mirror(17),
            Diagnosis::MirroredOlder,
        ),
        row(
            "mirrored, 32 ago",
            1,
            40,
            Event::Mirror(32),
            Diagnosis::MirroredOlder,
        ),
        row(
            "a key message",
            3,
            3,
            Event::KeyMessage,
            Diagnosis::KeyMessage,
        ),
        row(
            "a key message at once",
            0,
            0,
            Event::KeyMessage,
            Diagnosis::KeyMessage,
        ),
        row(
            "of a sibling",
            3,
            3,
            Event::Sibling(0),
            Diagnosis::OtherConnection,
        ),
        row(
            "of a sibling, the one before",
            3,
            3,
            Event::Sibling(-1),
            Diagnosis::OtherConnection,
        ),
        row(
            "of a sibling, one ahead",
            3,
            3,
            Event::Sibling(1),
            Diagnosis::OtherConnection,
        ),
        row(
            "of another key",
            3,
            3,
            Event::Foreign,
            Diagnosis::TamperedOrForeign,
        ),
        row(
            "rubbish",
            0,
            0,
            Event::Raw(vec![1; 72]),
            Diagnosis::TamperedOrForeign,
        ),
        row(
            "too long",
            0,
            0,
            Event::Raw(vec![1; limits::FRAME + 1]),
            Diagnosis::NotExamined,
        ),
        row(
            "long rubbish",
            0,
            0,
            Event::Raw(vec![1; limits::FRAME]),
            Diagnosis::NotExamined,
        ),
    ]
}

fn seal_at<K: PairKey>(key: K, counter: u64) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut sealer = Sealer::at(key, Counter::at(counter), Random::new([3; 32]));
    sealer
        .seal(true, b"hello", 0, &mut frame)
        .expect("a counter");
    frame
}

fn the_diagnosis_names_what_happened<S: Suite<Pair: RawKey>>() {
    for Row {
        name,
        accepted,
        sent,
        event,
        due,
    } in table()
    {
        let (mut peer, mut own) = ends::<S>(Role::Initiator);
        let mut seen = Vec::new();
        for _ in 0..accepted {
            peer.send(Now::default(), Message::Text("hello"))
                .expect("room");
            seen.extend(frames(&mut peer));
        }
        for frame in &seen {
            give(&mut own, frame);
        }
        let mut said = Vec::new();
        for _ in 0..sent {
            own.send(Now::default(), Message::Text("hello"))
                .expect("room");
            said.extend(frames(&mut own));
        }
        let static_key = key::<S>(70);
        let mut sibling = end::<S>(8, Role::Acceptor, ChannelConfig::default());
        for n in 0..3 {
            give(&mut sibling, &seal_at(key::<S>(8), 1 + 2 * n));
        }
        let frame = match event {
            Event::Ahead(distance) => {
                for _ in 0..=distance {
                    peer.send(Now::default(), Message::Text("hello"))
                        .expect("room");
                }
                frames(&mut peer).pop().expect("a frame")
            }
            Event::Again(ago) => seen[accepted - ago].clone(),
            Event::Mirror(ago) => said[sent - ago].clone(),
            Event::At(counter) => seal_at(key::<S>(7), counter),
            Event::MinusOne => {
                let mut nonce = [0; 24];
                nonce[16..].fill(0xff);
                let mut frame = vec![0; 40];
                key::<S>(7).seal(&nonce, &[0x10; 24], &mut frame);
                frame
            }
            Event::Raw(bytes) => bytes,
            Event::KeyMessage => {
                let sealed: [u8; 72] =
                    crypto::seal(&static_key, &mut Random::new([5; 32]), &[4; 32]);
                sealed.to_vec()
            }
            Event::Sibling(frames) => seal_at(
                key::<S>(8),
                7_u64.checked_add_signed(2 * frames).expect("a counter"),
            ),
            Event::Foreign => seal_at(key::<S>(9), 2 * accepted as u64 + 1),
        };
        give(&mut own, &frame);
        received(&mut own);
        assert!(fault(&mut own).is_some(), "{name}: it ends");
        let diagnosis = own.diagnose(Some(&static_key), &[sibling.sibling()]);
        assert_eq!(diagnosis, Some(due), "{name}");
    }
}

/// The initiator expects 0, 2, 4, …: there the wrong parity is 1.
#[test]
fn the_same_parity_is_named_on_the_other_side_too() {
    type S = chumwire::crypto::Nacl;
    let (_, mut own) = ends::<S>(Role::Acceptor);
    give(&mut own, &seal_at(key::<S>(7), 1));
    assert_eq!(fault(&mut own), Some(Why::Frame { counter: 0 }));
    assert_eq!(own.diagnose(None, &[]), Some(Diagnosis::WrongStart(1)));
}

#[test]
fn a_channel_that_did_not_fail_by_a_frame_has_no_diagnosis() {
    let (mut one, two) = ends::<chumwire::crypto::Nacl>(Role::Initiator);
    one.message(Now::default(), Message::Text("hello"))
        .expect("room");
    assert_eq!(fault(&mut one), Some(Why::PlainText));
    assert_eq!(
        (one.diagnose(None, &[]), two.diagnose(None, &[])),
        (None, None)
    );
}

// ---------------------------------------------------------------- bounds

/// Demands: M4.1.
fn counters_end_without_reuse<S: Suite<Pair: RawKey>>() {
    for last in [COUNTER_END - 2, COUNTER_END - 1] {
        let mut sealer = Sealer::at(key::<S>(7), Counter::at(last), Random::new([1; 32]));
        let mut opener = Opener::at(key::<S>(7), Counter::at(last));
        let (mut frame, mut plain) = (Vec::new(), Vec::new());
        assert_eq!(sealer.seal(false, b"last", 0, &mut frame), Ok(last));
        assert!(opener.open(&frame, &mut plain).is_ok());
        for _ in 0..3 {
            assert_eq!(
                sealer.seal(false, b"more", 0, &mut Vec::new()),
                Err(Exhausted)
            );
            assert_eq!(
                opener.open(&frame, &mut plain),
                Err(FrameFault::Exhausted(Exhausted))
            );
        }
    }
}

#[test]
fn a_reader_that_does_not_read_is_told_to_and_loses_nothing() {
    let (mut from, mut to) = ends::<chumwire::crypto::Nacl>(Role::Initiator);
    let mut waiting = Vec::new();
    for n in 0..200_u32 {
        from.send(Now::default(), Message::Binary(&n.to_be_bytes()))
            .expect("room");
        waiting.extend(frames(&mut from));
    }
    let (mut next, mut fulls) = (0_u32, 0);
    for frame in waiting {
        while to.message(Now::default(), Message::Binary(&frame)) == Err(Full) {
            fulls += 1;
            let message = to.received().expect("what filled it");
            assert_eq!(message, Message::Binary(&next.to_be_bytes()));
            next += 1;
        }
    }
    while let Some(message) = to.received() {
        assert_eq!(message, Message::Binary(&next.to_be_bytes()));
        next += 1;
    }
    assert_eq!(next, 200);
    assert!(fulls > 0);
}

/// Demands: M4.5.
#[test]
fn a_message_over_the_limit_is_neither_sent_nor_assembled() {
    let mut config = ChannelConfig::default();
    config.max_message = 100_000;
    let mut from = end::<chumwire::crypto::Nacl>(7, Role::Initiator, ChannelConfig::default());
    let mut to = end::<chumwire::crypto::Nacl>(7, Role::Acceptor, config);
    let now = Now::default();
    let refused = to.send(now, Message::Binary(&vec![0; 100_001]));
    assert_eq!(refused, Err(SendError::TooLong(100_001)));
    from.send(now, Message::Binary(&vec![0; 100_001]))
        .expect("room");
    for frame in frames(&mut from) {
        give(&mut to, &frame);
    }
    let due = Why::Limit {
        what: "bytes of an assembled message",
        limit: 100_000,
    };
    assert_eq!(to.received(), None);
    assert_eq!(fault(&mut to), Some(due));
}

/// One byte over the bound: refused for its length, though it would open. At the bound it is opened.
///
/// Demands: M4.3.
#[test]
fn a_frame_over_the_bound_is_refused_unopened() {
    for over in [0, 1] {
        let seed = key::<chumwire::crypto::Nacl>(7);
        let draws = [(Purpose::PadLength, vec![0])];
        let mut sealer = Sealer::new(seed, Role::Initiator, Random::scripted([0; 32], draws));
        let (message, mut frame) = (vec![5; limits::FRAME + over - 17], Vec::new());
        sealer
            .seal(false, &message, 0, &mut frame)
            .expect("a counter");
        assert_eq!(frame.len(), limits::FRAME + over);
        let config = ChannelConfig::default();
        let mut to = end::<chumwire::crypto::Nacl>(7, Role::Acceptor, config);
        give(&mut to, &frame);
        let due = (over == 1).then_some(Why::FrameTooLong { got: frame.len() });
        assert_eq!(to.received().is_some(), over == 0);
        assert_eq!(fault(&mut to), due);
    }
}

#[test]
fn a_sender_is_full_before_anything_has_changed() {
    let mut from = end::<chumwire::crypto::Nacl>(7, Role::Initiator, ChannelConfig::default());
    let mut count = 0;
    while from
        .send(Now::default(), Message::Binary(&[0; 60_000]))
        .is_ok()
    {
        count += 1;
    }
    let before = from.clone();
    let refused = from.send(Now::default(), Message::Binary(&[1]));
    assert_eq!(refused, Err(SendError::Full(Full)));
    assert!(from == before && count > 1);
    assert_eq!(frames(&mut from).len(), count);
    assert!(from.send(Now::default(), Message::Binary(&[1])).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the clock does: a tick at the deadline moves it, signs of life are at most 20 s apart, and silence ends
    /// it at 25 s and not before.
    ///
    /// Demands: M4.6.
    #[test]
    fn timers_hold_whatever_the_clock_does(
        jumps in prop::collection::vec((0..30_000_u64, any::<bool>(), any::<bool>()), 1..30),
    ) {
        let (mut peer, mut own) = ends::<chumwire::crypto::Nacl>(Role::Initiator);
        let (mut latest, mut heard, mut said) = (0, 0, 0);
        for (to, hears, exactly) in jumps {
            let Some(deadline) = own.deadline() else { break };
            let at = if exactly { deadline.at.0 } else { (latest + to * 1000).saturating_sub(5_000_000) };
            let now = Now { mono: Micros(at), ..Now::default() };
            latest = latest.max(at);
            if hears {
                peer.send(Now::default(), Message::Text("hello")).expect("room");
                let frame = frames(&mut peer).pop().expect("a frame");
                own.message(now, Message::Binary(&frame)).expect("room");
                if latest - heard <= 25_000_000 {
                    heard = latest;
                }
                received(&mut own);
            } else {
                own.tick(now);
            }
            let silent = latest - heard >= 25_000_000;
            if !frames(&mut own).is_empty() {
                prop_assert!(latest - said >= 20_000_000 && !silent);
                said = latest;
            }
            prop_assert_eq!(fault(&mut own), silent.then_some(Why::Silent));
            match own.deadline() {
                None => prop_assert!(silent),
                Some(next) => {
                    prop_assert!(next.at.0 > latest, "a tick at the deadline moves it");
                    let due = match next.why {
                        Alarm::KeepaliveSend => said + 20_000_000,
                        _ => heard + 25_000_000,
                    };
                    prop_assert_eq!(next.at.0, due);
                }
            }
        }
    }
}
