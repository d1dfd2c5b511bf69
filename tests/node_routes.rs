//! A node's routes to its contacts: which address is dialled, when again, and that messages flow both ways, in order,
//! however slowly they are taken.

use chumwire::channel::SendError;
use chumwire::contact::Contact;
use chumwire::crypto::{Nacl, Random};
use chumwire::establish::Group;
use chumwire::identity::Identity;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message};
use chumwire::limits;
use chumwire::node::{Event, Misuse, Node, NodeConfig, Record};
use chumwire::objects::PersonId;
use chumwire::time::{Micros, Millis, Now};

type Peer = Node<Nacl>;

fn at(mono: Micros) -> Now {
    Now {
        mono,
        wall: Millis(1_700_000_000_000 + mono.as_millis()),
    }
}

fn config(name: &str) -> NodeConfig {
    let mut random = Random::new([name.len() as u8; 32]);
    let email = format!("{name}@example.com");
    let mut config =
        NodeConfig::new(Identity::generate::<Nacl>(&mut random, &email, name).unwrap());
    config.serve.insert(Group::Chum);
    config
}

/// Two nodes and the one connection between them.
struct Two {
    now: Now,
    nodes: [Peer; 2],
    ends: [Option<ConnId>; 2],
    contacts: [Option<Contact>; 2],
    connected: [bool; 2],
    got: [Vec<Vec<u8>>; 2],
    paused: [bool; 2],
    resumed: bool,
}

impl Two {
    fn paired() -> Self {
        let node = |name, seed| Peer::new(config(name), [seed; 32], at(Micros::ZERO)).unwrap();
        let mut two = Self {
            now: at(Micros::ZERO),
            nodes: [node("alice", 1), node("bobby2", 2)],
            ends: [None, None],
            contacts: [None, None],
            connected: [false; 2],
            got: [Vec::new(), Vec::new()],
            paused: [false; 2],
            resumed: false,
        };
        two.nodes[0]
            .set_url(Some("ws://alice.example".into()))
            .unwrap();
        let life = Micros::secs(60);
        let invitation = two.nodes[0]
            .invite(two.now, life, "ws://alice.example")
            .unwrap();
        two.ends[1] = Some(two.nodes[1].join(two.now, &invitation).unwrap());
        while two.step(0) | two.step(1) {}
        assert!(two.contacts.iter().all(Option::is_some));
        two.ends = [None, None];
        two
    }

    /// Who joined connects: it dials half a second after the pairing.
    fn connect(&mut self, person: PersonId) {
        self.nodes[1]
            .connect(self.now, person, Group::Chum)
            .unwrap();
        while self.step(0) | self.step(1) {}
        assert_eq!(self.connected, [false, false]);
        self.now = at(self.now.mono + limits::FIRST_DIAL);
        self.nodes[1].tick(self.now);
        while self.step(0) | self.step(1) {}
    }

    /// Does what one node wants done; tells whether there was anything.
    fn step(&mut self, i: usize) -> bool {
        let (mut bytes, mut any) = (Vec::new(), false);
        while let Some(effect) = self.nodes[i].poll(&mut bytes) {
            any = true;
            let other = 1 - i;
            match effect {
                Effect::Dial { conn, .. } => {
                    self.ends[i] = Some(conn);
                    self.ends[other] = self.nodes[other].accept(self.now, Default::default());
                    self.nodes[i].opened(self.now, conn);
                }
                Effect::Send { conn, kind } => {
                    let message = Message::of(kind, &bytes).unwrap();
                    if let Some(end) = self.ends[other] {
                        self.nodes[other].message(self.now, end, message).unwrap();
                    }
                    self.nodes[i].drained(self.now, conn);
                }
                Effect::Close { conn, .. } => {
                    let closed = || Closed::Lost("closed".into());
                    self.nodes[i].closed(self.now, conn, closed());
                    if let Some(end) = self.ends[other] {
                        self.nodes[other].closed(self.now, end, closed());
                    }
                }
                Effect::Store { id, record } => {
                    if let Record::Paired { contact, .. } = record {
                        self.contacts[i] = Some(contact);
                    }
                    self.nodes[i].stored(self.now, id, Ok(()));
                }
                Effect::Event(Event::Connected { .. }) => self.connected[i] = true,
                Effect::Event(Event::Message { .. }) => self.got[i].push(bytes.clone()),
                Effect::Pause(_) => self.paused[i] = true,
                Effect::Resume(_) => {
                    self.paused[i] = false;
                    self.resumed = true;
                }
                _ => {}
            }
        }
        any
    }
}

/// The URL that a node dials now, if it dials; the dial fails.
fn dialled(node: &mut Peer, now: Now) -> Option<String> {
    let mut url = None;
    let mut bytes = Vec::new();
    while let Some(effect) = node.poll(&mut bytes) {
        if let Effect::Dial { conn, url: to } = effect {
            assert!(url.is_none(), "one dial at a time");
            url = Some(to);
            node.closed(now, conn, Closed::NotOpened("refused".into()));
            break;
        }
    }
    url
}

#[test]
fn without_a_pairing_no_socket_is_opened() {
    let mut node = Peer::new(config("alone"), [1; 32], at(Micros::ZERO)).unwrap();
    let stranger = Identity::generate::<Nacl>(&mut Random::new([7; 32]), "x@example.com", "x");
    let person = stranger.unwrap().person_id();
    let refused = node.connect(at(Micros::ZERO), person, Group::Chum);
    assert_eq!(refused, Err(Misuse::NotPaired));
    assert!(node.poll(&mut Vec::new()).is_none());
}

#[test]
fn the_direct_address_comes_first_then_the_relay_and_failures_are_spread_in_time() {
    let two = Two::paired();
    let contact = two.contacts[1].clone().unwrap();
    let person = contact.person_id;
    let mut config = config("bobby2");
    config.spares = 0;
    config.contacts = vec![contact];
    let mut now = at(Micros::ZERO);
    let mut node = Peer::new(config, [3; 32], now).unwrap();
    node.listen(now, Some("ws://relay.example")).unwrap();
    node.connect(now, person, Group::Chum).unwrap();
    let mut waits = Vec::new();
    for round in 0..8 {
        assert_eq!(
            dialled(&mut node, now).as_deref(),
            Some("ws://alice.example")
        );
        assert_eq!(
            dialled(&mut node, now).as_deref(),
            Some("ws://relay.example")
        );
        assert_eq!(
            dialled(&mut node, now),
            None,
            "then it waits, in round {round}"
        );
        let deadline = node.deadline().unwrap();
        waits.push(deadline.at.since(now.mono));
        now = at(deadline.at);
        node.tick(now);
    }
    assert_eq!(waits[..6], limits::BACK_OFF);
    assert_eq!(
        waits[6..],
        [limits::BACK_OFF[5]; 2],
        "the last one for ever"
    );
}

#[test]
fn after_an_established_connection_it_is_dialled_again_soon() {
    let mut two = Two::paired();
    let person = two.contacts[1].as_ref().unwrap().person_id;
    two.connect(person);
    let now = two.now;
    assert_eq!(two.connected, [true, true]);
    let end = two.ends[1].unwrap();
    two.nodes[1].closed(now, end, Closed::Lost("cable".into()));
    two.ends[1] = None;
    let wait = two.nodes[1].deadline().unwrap().at.since(now.mono);
    assert!(
        (limits::RECONNECT..=Micros::secs(10)).contains(&wait),
        "{wait}"
    );
    two.nodes[1].forget(now, person, None).unwrap();
    assert_eq!(
        two.nodes[1].deadline().map(|d| d.why),
        None,
        "nothing of it is left"
    );
}

/// Bob is told of another address of Alice's device.
fn told_of(node: &mut Peer, now: Now, contact: &Contact, url: &str) {
    let mut device = contact.instances[0].clone();
    device.url = Some(url.into());
    node.learn(now, contact.person_id, &[device]).unwrap();
}

#[test]
fn another_address_ends_no_connection_and_is_dialled_next() {
    let mut two = Two::paired();
    let contact = two.contacts[1].clone().unwrap();
    two.connect(contact.person_id);
    told_of(&mut two.nodes[1], two.now, &contact, "ws://moved.example");
    while two.step(0) | two.step(1) {}
    let serves = two.nodes[1].connections().count();
    assert_eq!(serves, 1, "the connection stays");

    let end = two.ends[1].unwrap();
    two.nodes[1].closed(two.now, end, Closed::Lost("cable".into()));
    let now = at(two.nodes[1].deadline().unwrap().at);
    two.nodes[1].tick(now);
    let next = dialled(&mut two.nodes[1], now);
    assert_eq!(next.as_deref(), Some("ws://moved.example"));
}

#[test]
fn an_address_that_comes_while_the_old_one_is_dialled_is_the_next_one() {
    let two = Two::paired();
    let contact = two.contacts[1].clone().unwrap();
    let now = at(Micros::ZERO);
    let mut config = config("bobby2");
    config.spares = 0;
    config.contacts = vec![contact.clone()];
    let mut node = Peer::new(config, [3; 32], now).unwrap();
    node.listen(now, Some("ws://relay.example")).unwrap();
    node.connect(now, contact.person_id, Group::Chum).unwrap();
    let mut bytes = Vec::new();
    let Some(Effect::Dial { conn, url }) = node.poll(&mut bytes) else {
        panic!("no dial");
    };
    assert_eq!(url, "ws://alice.example");
    told_of(&mut node, now, &contact, "ws://moved.example");
    while let Some(effect) = node.poll(&mut bytes) {
        assert!(!matches!(effect, Effect::Dial { .. }), "one dial at a time");
    }
    node.closed(now, conn, Closed::NotOpened("refused".into()));
    for url in ["ws://moved.example", "ws://relay.example"] {
        assert_eq!(dialled(&mut node, now).as_deref(), Some(url));
    }
    assert_eq!(dialled(&mut node, now), None);
}

#[test]
fn messages_flow_both_ways_in_order_and_a_reader_that_does_not_poll_loses_none() {
    let mut two = Two::paired();
    let person = two.contacts[1].as_ref().unwrap().person_id;
    two.connect(person);
    let info: Vec<_> = two.nodes[1].connections().collect();
    assert!(
        info.iter()
            .any(|i| i.person == Some(person) && i.step.name() == "connected")
    );
    let (a, b) = (two.ends[0].unwrap(), two.ends[1].unwrap());

    // Bob sends while his driver reports nothing as drained: he is told to wait, and nothing is half sent.
    let mut sent = Vec::new();
    let mut frames = Vec::new();
    let full = loop {
        let message = vec![sent.len() as u8; 10_000 + sent.len()];
        match two.nodes[1].send(two.now, b, Message::Binary(&message)) {
            Ok(()) => sent.push(message),
            Err(error) => break error,
        }
        let mut bytes = Vec::new();
        while let Some(effect) = two.nodes[1].poll(&mut bytes) {
            assert!(matches!(
                effect,
                Effect::Send {
                    kind: Kind::Binary,
                    ..
                }
            ));
            frames.push(std::mem::take(&mut bytes));
        }
    };
    assert!(matches!(full, SendError::Full(_)));
    assert!(frames.iter().map(Vec::len).sum::<usize>() > limits::WINDOW);
    two.nodes[1].drained(two.now, b);
    let mut bytes = Vec::new();
    for length in [10_000, 10_000, 300_000, 5] {
        let message = vec![7; length];
        two.nodes[1].drained(two.now, b);
        two.nodes[1]
            .send(two.now, b, Message::Binary(&message))
            .unwrap();
        sent.push(message);
        while two.nodes[1].poll(&mut bytes).is_some() {
            frames.push(std::mem::take(&mut bytes));
        }
    }

    // Alice's driver hands them in without polling, until she says that it is enough.
    for frame in &frames {
        if two.nodes[0]
            .message(two.now, a, Message::Binary(frame))
            .is_err()
        {
            two.step(0);
            two.nodes[0]
                .message(two.now, a, Message::Binary(frame))
                .unwrap();
        }
    }
    while two.step(0) | two.step(1) {}
    assert!(two.resumed && !two.paused[0], "she was paused and went on");
    assert_eq!(two.got[0], sent);
    two.nodes[0]
        .send(two.now, a, Message::Text("keepalive"))
        .unwrap();
    while two.step(0) | two.step(1) {}
    assert_eq!(two.got[1], [b"keepalive".to_vec()]);
}
