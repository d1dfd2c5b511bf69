//! The reorder window above the channel: what an initiator holds before its channel is there, what a session and a
//! node tell, and that an acceptor, and everybody in strict order, holds nothing (spec 03 and 04).

mod support;

use chumwire::channel::{Channel, ChannelConfig, Diagnosis, KEEPALIVE};
use chumwire::contact::Contact;
use chumwire::crypto::{Instance, KeyPair, Nacl, Purpose, Random};
use chumwire::establish::Group;
use chumwire::fault::{Fault, Why};
use chumwire::handshake::{
    Acceptor, Arrival, Asked, HandshakeConfig, Handshaken, Initiator, communication_ready,
};
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, Output};
use chumwire::limits;
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::note::{Layer, Note};
use chumwire::role::Role;
use chumwire::session::{Session, SessionEvent};
use chumwire::step::Step;
use chumwire::time::{Alarm, Micros, Millis, Now};
use support::bench::{Wire, borrowed};
use support::people::made_up;
use support::stub::Stub;
use support::world::World;

fn at(micros: u64) -> Now {
    Now {
        mono: Micros(micros),
        wall: Millis(1_700_000_000_000 + micros / 1000),
    }
}

fn config(window: usize) -> HandshakeConfig {
    let mut config = HandshakeConfig::default();
    config.channel.reorder_window = window;
    config
}

// ---------------------------------------------------------------- handshake

/// An initiator that has sent its key, and what the acceptor then sends: its key, and the frames of these texts.
struct Half {
    initiator: Initiator<Nacl>,
    own_key: Vec<u8>,
    peer_key: Vec<u8>,
    frames: Vec<Vec<u8>>,
}

fn half(window: usize, texts: &[&str]) -> Half {
    half_of(4, window, texts)
}

fn half_of(seed: u8, window: usize, texts: &[&str]) -> Half {
    let key = |seed: u8| {
        KeyPair::<Instance>::generate::<Nacl>(&mut Random::new([seed; 32]), Purpose::StaticKey)
    };
    let (alice, bob) = (key(1), key(2));
    let (now, mut bytes) = (at(0), Vec::new());
    let target = alice.public();
    let random = Random::new([3; 32]);
    let mut initiator = Initiator::<Nacl>::new(now, config(window), bob.used_as(), target, random);
    let random = Random::new([seed; 32]);
    let mut acceptor = Acceptor::<Nacl>::new(
        now,
        config(0),
        vec![alice],
        Vec::new(),
        random,
        Arrival::Direct,
    );
    initiator.poll(&mut bytes);
    acceptor.message(
        now,
        Message::Text(std::str::from_utf8(&bytes).expect("a text")),
    );
    initiator.message(now, Message::Text(&communication_ready()));
    initiator.poll(&mut bytes);
    let own_key = bytes.clone();
    acceptor.message(now, Message::Binary(&own_key));
    let mut peer_key = Vec::new();
    loop {
        match acceptor.poll(&mut bytes) {
            Some(Output::Send(Kind::Binary)) => peer_key.clone_from(&bytes),
            Some(Output::Event(Asked::Done)) => break,
            Some(_) => {}
            None => panic!("it is done"),
        }
    }
    let mut channel = acceptor.finish().expect("done").channel;
    Half {
        initiator,
        own_key,
        peer_key,
        frames: texts
            .iter()
            .map(|text| {
                channel.send(now, Message::Text(text)).expect("room");
                channel.poll::<()>(&mut bytes);
                bytes.clone()
            })
            .collect(),
    }
}

fn fault_of(initiator: &mut Initiator<Nacl>) -> Option<Fault> {
    let mut bytes = Vec::new();
    while let Some(output) = initiator.poll(&mut bytes) {
        if let Output::Fault(fault) = output {
            return Some(fault);
        }
    }
    None
}

fn texts(channel: &mut Channel<Nacl>) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(message) = channel.received() {
        texts.push(String::from_utf8(message.bytes().to_vec()).expect("a text"));
    }
    texts
}

/// Demands: M3.6.
#[test]
fn frames_may_overtake_the_key_on_the_way_to_the_initiator() {
    let Half {
        mut initiator,
        peer_key,
        frames,
        ..
    } = half(4, &["one", "two", "three"]);
    for n in [1, 0, 1] {
        initiator.message(at(5), Message::Binary(&frames[n]));
    }
    // The copy, and the clock's zero point, are one state with it.
    assert!(initiator.clone() == initiator);
    assert_eq!(initiator.step(), Step::Key);
    initiator.message(at(10), Message::Binary(&peer_key));
    // Glued to it, before the channel is taken.
    initiator.message(at(10), Message::Binary(&frames[2]));
    let Handshaken { mut channel, .. } = initiator.finish().expect("done");
    assert_eq!(texts(&mut channel), ["one", "two", "three"]);
    assert_eq!(channel.order().duplicates, 1);
}

#[test]
fn in_strict_order_a_frame_before_the_key_ends_it() {
    let Half {
        mut initiator,
        frames,
        ..
    } = half(0, &["one"]);
    initiator.message(at(5), Message::Binary(&frames[0]));
    assert_eq!(
        fault_of(&mut initiator),
        Some(Why::FrameBeforeKey.at(Step::Key))
    );
    let Half { mut initiator, .. } = half(0, &[]);
    initiator.message(at(5), Message::Binary(&[0; 72]));
    assert_eq!(
        fault_of(&mut initiator),
        Some(Why::KeyMessage.at(Step::Key))
    );
}

/// What is glued to the key message is for the channel in either order.
///
/// Demands: M3.4.
#[test]
fn what_comes_behind_the_key_waits_for_the_channel() {
    let Half {
        mut initiator,
        peer_key,
        frames,
        ..
    } = half(0, &["one", "two"]);
    initiator.message(at(5), Message::Binary(&peer_key));
    initiator.message(at(5), Message::Binary(&frames[0]));
    initiator.message(at(5), Message::Binary(&frames[1]));
    let Handshaken { mut channel, .. } = initiator.finish().expect("done");
    assert_eq!(texts(&mut channel), ["one", "two"]);
}

#[test]
fn a_frame_as_long_as_a_key_message_is_a_frame() {
    // Padding is drawn: of some seeds it is so short that a text fills it up to that length.
    let (seed, missing) = (0..=255)
        .find_map(|seed| {
            let empty = half_of(seed, 4, &[""]).frames[0].len();
            72_usize.checked_sub(empty).map(|missing| (seed, missing))
        })
        .expect("a seed");
    let text = "x".repeat(missing);
    let Half {
        mut initiator,
        peer_key,
        frames,
        ..
    } = half_of(seed, 4, &[&text, "two"]);
    assert_eq!(frames[0].len(), 72);
    initiator.message(at(5), Message::Binary(&frames[0]));
    initiator.message(at(5), Message::Binary(&peer_key));
    initiator.message(at(5), Message::Binary(&frames[1]));
    let Handshaken { mut channel, .. } = initiator.finish().expect("done");
    assert_eq!(self::texts(&mut channel), [&text, "two"]);
}

/// Demands: M3.6.
#[test]
fn what_is_held_before_the_key_is_bounded_and_gives_no_more_time() {
    for window in [1, 4, 64] {
        let Half { mut initiator, .. } = half(window, &[]);
        for n in 0..window as u64 {
            initiator.message(at(n), Message::Binary(&[1; 40]));
            assert_eq!(fault_of(&mut initiator), None);
            let due = initiator.deadline().expect("it waits");
            assert_eq!((due.at, due.why), (limits::STEP, Alarm::StepLimit));
        }
        initiator.message(at(100), Message::Binary(&[1; 40]));
        let fault = fault_of(&mut initiator).expect("one too many");
        assert_eq!((fault.why.code(), fault.step), ("limit", Step::Key));
    }
    let Half { mut initiator, .. } = half(4, &[]);
    initiator.message(at(0), Message::Binary(&vec![1; limits::EARLY_BYTES - 10]));
    initiator.message(at(0), Message::Binary(&[1; 10]));
    assert_eq!(fault_of(&mut initiator), None);
    initiator.message(at(0), Message::Binary(&[1]));
    assert_eq!(
        fault_of(&mut initiator).map(|f| f.why.code()),
        Some("limit")
    );
}

#[test]
fn a_key_message_that_never_comes_is_told_by_what_came() {
    let frame: &[u8] = &[1; 40];
    let no_key: &[u8] = &[1; 72];
    let cases: [(&[&[u8]], Why); 4] = [
        (&[], Why::Timeout),
        (&[frame], Why::FrameBeforeKey),
        (&[no_key], Why::KeyMessage),
        (&[frame, no_key], Why::KeyMessage),
    ];
    for (came, why) in cases {
        let Half { mut initiator, .. } = half(4, &[]);
        for message in came {
            initiator.message(at(7), Message::Binary(message));
        }
        initiator.tick(at(limits::STEP.0 - 1));
        assert_eq!(fault_of(&mut initiator), None);
        initiator.tick(at(limits::STEP.0));
        assert_eq!(fault_of(&mut initiator), Some(why.at(Step::Key)));
    }
}

/// Demands: M3.2.
#[test]
fn a_reflected_key_and_a_second_key_fail_with_a_window_too() {
    let Half {
        mut initiator,
        own_key,
        ..
    } = half(4, &[]);
    initiator.message(at(5), Message::Binary(&own_key));
    assert_eq!(fault_of(&mut initiator), Some(Why::Reflected.at(Step::Key)));

    let Half {
        mut initiator,
        peer_key,
        ..
    } = half(4, &[]);
    initiator.message(at(5), Message::Binary(&peer_key));
    initiator.message(at(5), Message::Binary(&peer_key));
    let Handshaken {
        mut channel,
        static_key,
        ..
    } = initiator.finish().expect("done");
    let why = match channel.poll::<()>(&mut Vec::new()) {
        Some(Output::Fault(fault)) => fault.why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why, Why::Frame { counter: 0 });
    let diagnosis = channel.diagnose(Some(&static_key), &[]);
    assert_eq!(diagnosis, Some(Diagnosis::KeyMessage));
}

#[test]
fn a_text_or_a_frame_before_ready_ends_it_with_a_window_too() {
    let Half { mut initiator, .. } = half(4, &[]);
    initiator.message(at(5), Message::Text("hello"));
    assert_eq!(
        fault_of(&mut initiator).map(|f| f.why.code()),
        Some("wrong_kind")
    );
    let alice = made_up("alice").instance_key().public();
    let own = made_up("bob").instance_key().used_as();
    let random = Random::new([3; 32]);
    let mut initiator = Initiator::<Nacl>::new(at(0), config(4), own, alice, random);
    initiator.message(at(0), Message::Binary(&[1; 40]));
    let fault = fault_of(&mut initiator).expect("nothing can come before");
    assert_eq!((fault.why.code(), fault.step), ("wrong_kind", Step::Ready));
}

/// Demands: M3.6.
#[test]
fn an_acceptor_holds_nothing_in_either_order() {
    for window in [0, 4] {
        let mut world = World::new(at(0), Group::Pairing, 5);
        let request = world.acceptor.to_come.pop_front().expect("the request");
        let alice = made_up("alice").instance_key().clone();
        let random = Random::new([4; 32]);
        let own = vec![alice];
        let mut acceptor = Acceptor::<Nacl>::new(
            at(0),
            config(window),
            own,
            Vec::new(),
            random,
            Arrival::Direct,
        );
        acceptor.message(at(0), borrowed(&request));
        acceptor.message(at(0), Message::Binary(&[1; 40]));
        let mut bytes = Vec::new();
        let mut faults = Vec::new();
        while let Some(output) = acceptor.poll(&mut bytes) {
            if let Output::Fault(fault) = output {
                faults.push(fault);
            }
        }
        assert_eq!(faults, [Why::FrameBeforeKey.at(Step::Key)]);
    }
}

// ---------------------------------------------------------------- session

/// What came before the frame that ends a session is told before the end, however late it is polled.
#[test]
fn messages_before_the_bad_frame_are_told_before_the_end() {
    let mut world = World::new(at(0), Group::Chum, 5);
    while world.step() {}
    let now = at(1_000);
    let mut frames = Vec::new();
    for text in ["one", "two"] {
        world
            .initiator
            .session
            .send(now, Message::Text(text))
            .expect("room");
        frames.extend(world.initiator.drain(now));
    }
    let session: &mut Session<Nacl> = &mut world.acceptor.session;
    let mut stub = Stub::default();
    for frame in &frames {
        session
            .message(now, borrowed(frame), &mut stub)
            .expect("room");
    }
    session
        .message(now, Message::Binary(&[1; 40]), &mut stub)
        .expect("room");
    let (mut bytes, mut told) = (Vec::new(), Vec::new());
    while let Some(output) = session.poll(&mut bytes) {
        match output {
            Output::Event(SessionEvent::Message(_)) => {
                told.push(String::from_utf8(bytes.clone()).expect("a text"));
            }
            Output::Fault(fault) => told.push(fault.why.code().into()),
            _ => {}
        }
    }
    assert_eq!(told, ["one", "two", "bad_frame"]);
}

// ---------------------------------------------------------------- node

/// Two nodes that know each other, a connection between them, and what is on the way to each.
struct Two {
    nodes: [Node<Nacl>; 2],
    conns: [ConnId; 2],
    to_come: [Vec<Wire>; 2],
    events: [Vec<Event>; 2],
    heard: [Vec<Vec<u8>>; 2],
}

impl Two {
    fn connected(window: usize) -> Self {
        let people = [made_up("alice"), made_up("bob")];
        let node = |n: usize| {
            let mut config = NodeConfig::new(people[n].clone());
            config.contacts = vec![Contact::of(&people[1 - n], Some("ws://alice"), Millis(0))];
            config.serve.insert(Group::Chum);
            (config.reorder_window, config.notes) = (window, true);
            Node::<Nacl>::new(config, [n as u8; 32], at(0)).expect("good")
        };
        let mut two = Self {
            nodes: [node(0), node(1)],
            conns: [ConnId(0); 2],
            to_come: Default::default(),
            events: Default::default(),
            heard: Default::default(),
        };
        let (alice, now) = (people[0].person_id(), at(0));
        two.conns[0] = two.nodes[0].accept(now, Default::default()).expect("room");
        two.nodes[1]
            .connect(now, alice, Group::Chum)
            .expect("known");
        two.nodes[1].opened(now, two.conns[1]);
        two.drain(1, now);
        while two.to_come.iter().any(|messages| !messages.is_empty()) {
            two.deliver(0, now);
            two.deliver(1, now);
        }
        assert!(
            two.events
                .iter()
                .flatten()
                .any(|e| matches!(e, Event::Connected { .. }))
        );
        two
    }

    fn drain(&mut self, n: usize, now: Now) -> bool {
        let (mut bytes, mut any) = (Vec::new(), false);
        while let Some(effect) = self.nodes[n].poll(&mut bytes) {
            any = true;
            match effect {
                Effect::Send { kind, conn } => {
                    self.to_come[1 - n].push((kind, bytes.clone()));
                    self.nodes[n].drained(now, conn);
                }
                Effect::Store { id, .. } => self.nodes[n].stored(now, id, Ok(())),
                Effect::Event(Event::Message { .. }) => self.heard[n].push(bytes.clone()),
                Effect::Event(event) => self.events[n].push(event),
                _ => {}
            }
        }
        assert_eq!(self.nodes[n].self_check(), Ok(()));
        any
    }

    fn deliver(&mut self, n: usize, now: Now) {
        for message in core::mem::take(&mut self.to_come[n]) {
            let conn = self.conns[n];
            self.nodes[n]
                .message(now, conn, borrowed(&message))
                .expect("room");
            self.drain(n, now);
        }
    }

    /// The notes of a side since the last time.
    fn notes(&mut self, n: usize) -> Vec<Note> {
        core::mem::take(&mut self.events[n])
            .into_iter()
            .filter_map(|event| match event {
                Event::Note { note, .. } => Some(note),
                _ => None,
            })
            .collect()
    }
}

fn undelivered(events: &[Event]) -> Vec<usize> {
    let told = events.iter().filter_map(|event| match event {
        Event::Undelivered { frames, .. } => Some(*frames),
        _ => None,
    });
    told.collect()
}

/// Demands: M4.9.
#[test]
fn a_node_with_a_window_puts_frames_in_order_and_tells_what_it_dropped() {
    let mut two = Two::connected(4);
    let now = at(1_000_000);
    for text in ["one", "two", "three", "four", "five"] {
        let conn = two.conns[1];
        two.nodes[1]
            .send(now, conn, Message::Text(text))
            .expect("room");
    }
    two.drain(1, now);
    two.to_come[0].swap(0, 2);
    let later = two.to_come[0].split_off(3);
    two.deliver(0, now);
    assert_eq!(two.heard[0], [&b"one"[..], b"two", b"three"]);
    // Of the rest only the second comes, and the connection goes.
    two.to_come[0] = later[1..].to_vec();
    two.deliver(0, now);
    assert_eq!(two.heard[0].len(), 3);
    let order = two.nodes[0].connections().map(|info| info.order).next();
    assert_eq!(order.map(|order| order.held), Some(1));
    let mut lost = two.nodes[0].clone();
    two.nodes[0].closed(now, two.conns[0], Closed::Lost(String::new()));
    two.drain(0, now);
    assert_eq!(undelivered(&two.events[0]), [1]);
    assert_eq!(two.nodes[0].stats().undelivered, 1);

    // Or it never comes: the node's own deadline says when that is over.
    let due = lost.deadline().expect("a gap");
    assert_eq!((due.at, due.why), (now.mono + limits::GAP, Alarm::GapLimit));
    lost.tick(at(due.at.0));
    let mut events = Vec::new();
    while let Some(effect) = lost.poll(&mut Vec::new()) {
        if let Effect::Event(event) = effect {
            events.push(event);
        }
    }
    assert_eq!(undelivered(&events), [1]);
    let ended = events.iter().find_map(|event| match event {
        Event::Ended { fault, .. } => fault.clone(),
        _ => None,
    });
    assert_eq!(ended.map(|fault| fault.why.code()), Some("lost_frame"));
}

#[test]
fn keepalives_group_messages_and_fragments_are_noted() {
    let mut two = Two::connected(0);
    for n in [0, 1] {
        let before = two.notes(n);
        let names: Vec<_> = before.iter().map(|note| note.name).collect();
        assert!(
            !names.contains(&"message"),
            "control messages have names: {names:?}"
        );
        assert!(names.contains(&"sync"));
    }
    let now = at(1_000_000);
    let long = vec![b'x'; limits::FRAGMENT + 1];
    let conn = two.conns[1];
    two.nodes[1]
        .send(now, conn, Message::Text("hello"))
        .expect("room");
    two.nodes[1]
        .send(now, conn, Message::Binary(&long))
        .expect("room");
    let due = loop {
        let due = two.nodes[1].deadline().expect("a keepalive");
        two.nodes[1].tick(at(due.at.0));
        if due.why == Alarm::KeepaliveSend {
            break due;
        }
    };
    two.drain(1, at(due.at.0));
    let wire: Vec<usize> = two.to_come[0]
        .iter()
        .map(|(_, bytes)| bytes.len())
        .collect();
    two.deliver(0, at(due.at.0));
    assert_eq!(two.heard[0].len(), 2);
    let names = [
        (Layer::Group, "message"),
        (Layer::Fragmentation, "fragmentation_start_binary"),
        (Layer::Fragmentation, "fragment"),
        (Layer::Fragmentation, "fragment"),
        (Layer::Fragmentation, "fragmentation_end"),
        (Layer::Keepalive, KEEPALIVE),
    ];
    for n in [1, 0] {
        let mut notes = two.notes(n);
        // By then the other one has said that it is alive, too.
        notes.retain(|note| note.sent == (n == 1));
        let told: Vec<_> = notes.iter().map(|note| (note.layer, note.name)).collect();
        assert_eq!(told, names);
        let lengths: Vec<usize> = notes.iter().map(|note| note.bytes).collect();
        assert_eq!(lengths, wire);
        let nonces: Vec<u64> = notes.iter().filter_map(|note| note.nonce).collect();
        assert!(nonces.len() == 6 && nonces.windows(2).all(|pair| pair[1] == pair[0] + 2));
    }
}

#[test]
fn a_channel_of_its_own_tells_its_notes_if_asked() {
    let channel = |notes: bool| {
        let mut config = ChannelConfig::default();
        config.notes = notes;
        let key = chumwire::crypto::Secret::take(&mut [7; 32]);
        let random = Random::new([1; 32]);
        Channel::<Nacl>::from_session_key(at(0), key, Role::Initiator, random, config)
    };
    for notes in [false, true] {
        let mut channel = channel(notes);
        channel.send(at(0), Message::Text("hello")).expect("room");
        let mut bytes = Vec::new();
        if notes {
            let Some(Output::Note(note)) = channel.poll::<()>(&mut bytes) else {
                panic!("a note")
            };
            assert_eq!(
                (note.layer, note.name, note.nonce),
                (Layer::Group, "message", Some(1))
            );
        }
        let sent = channel.poll::<()>(&mut bytes);
        assert_eq!(sent, Some(Output::Send(Kind::Binary)));
        assert_eq!(channel.poll::<()>(&mut bytes), None);
    }
}
