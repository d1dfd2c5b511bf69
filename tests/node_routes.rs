//! A node's routes to its contacts: which address is dialled, when again, and that messages flow both ways, in order,
//! however slowly they are taken.

mod support;

use chumwire::channel::SendError;
use chumwire::contact::Contact;
use chumwire::crypto::{Nacl, Random};
use chumwire::establish::Group;
use chumwire::identity::Identity;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message};
use chumwire::limits;
use chumwire::node::{Event, Misuse, Node, NodeConfig};
use chumwire::time::{Micros, Millis, Now};
use support::net::{Net, RELAY, address};

const ALICE: usize = 0;
const BOB: usize = 1;

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

/// Alice, who can be dialled, and Bob, who has joined her.
fn paired() -> Net {
    let (mut alice, bob) = (config("alice"), config("bobby2"));
    alice.url = Some(address(ALICE));
    let mut net = Net::new(vec![alice, bob]);
    let (now, life) = (net.now, Micros::secs(60));
    let invitation = net.nodes[ALICE].invite(now, life, &address(ALICE)).unwrap();
    net.nodes[BOB].join(now, &invitation).unwrap();
    net.run();
    assert_eq!((net.pairings(ALICE), net.pairings(BOB)), (1, 1));
    let own = net.nodes[ALICE].identity();
    let on_record = Contact::of(own, Some(&address(ALICE)), now.wall);
    assert_eq!(net.nodes[BOB].contacts().next(), Some(&on_record));
    net
}

/// What Bob knows of Alice.
fn alice(net: &Net) -> Contact {
    net.nodes[BOB].contacts().next().cloned().unwrap()
}

/// Who joined connects: it dials half a second after the pairing.
fn connect(net: &mut Net) {
    let person = alice(net).person_id;
    net.nodes[BOB]
        .connect(net.now, person, Group::Chum)
        .unwrap();
    net.run();
    assert_eq!(connected(net, BOB), None);
    net.pass(limits::FIRST_DIAL);
    net.run();
}

fn connected(net: &Net, node: usize) -> Option<ConnId> {
    let conn = |event: &Event| match event {
        Event::Connected { conn, .. } => Some(*conn),
        _ => None,
    };
    net.events[node].iter().find_map(conn)
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
    let contact = alice(&paired());
    let person = contact.person_id;
    let mut config = config("bobby2");
    config.spares = 0;
    config.contacts = vec![contact];
    let mut now = at(Micros::ZERO);
    let mut node = Peer::new(config, [3; 32], now).unwrap();
    node.listen(now, Some(RELAY)).unwrap();
    node.connect(now, person, Group::Chum).unwrap();
    let mut waits = Vec::new();
    for round in 0..8 {
        assert_eq!(dialled(&mut node, now), Some(address(ALICE)));
        assert_eq!(dialled(&mut node, now).as_deref(), Some(RELAY));
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
    let mut net = paired();
    connect(&mut net);
    let (now, person) = (net.now, alice(&net).person_id);
    assert!(connected(&net, ALICE).is_some());
    net.cut((BOB, connected(&net, BOB).unwrap()));
    let bob = &mut net.nodes[BOB];
    let wait = bob.deadline().unwrap().at.since(now.mono);
    assert!(
        (limits::RECONNECT..=Micros::secs(10)).contains(&wait),
        "{wait}"
    );
    bob.forget(now, person, None).unwrap();
    assert_eq!(bob.deadline().map(|d| d.why), None, "nothing of it is left");
}

/// Bob is told of another address of Alice's device.
fn told_of(node: &mut Peer, now: Now, contact: &Contact, url: &str) {
    let mut device = contact.instances[0].clone();
    device.url = Some(url.into());
    node.learn(now, contact.person_id, &[device]).unwrap();
}

#[test]
fn another_address_ends_no_connection_and_is_dialled_next() {
    let mut net = paired();
    connect(&mut net);
    let contact = alice(&net);
    told_of(&mut net.nodes[BOB], net.now, &contact, "ws://moved.example");
    net.run();
    let serves = net.nodes[BOB].connections().count();
    assert_eq!(serves, 1, "the connection stays");

    net.cut((BOB, connected(&net, BOB).unwrap()));
    let bob = &mut net.nodes[BOB];
    let now = at(bob.deadline().unwrap().at);
    bob.tick(now);
    let next = dialled(bob, now);
    assert_eq!(next.as_deref(), Some("ws://moved.example"));
}

#[test]
fn an_address_that_comes_while_the_old_one_is_dialled_is_the_next_one() {
    let contact = alice(&paired());
    let now = at(Micros::ZERO);
    let mut config = config("bobby2");
    config.spares = 0;
    config.contacts = vec![contact.clone()];
    let mut node = Peer::new(config, [3; 32], now).unwrap();
    node.listen(now, Some(RELAY)).unwrap();
    node.connect(now, contact.person_id, Group::Chum).unwrap();
    let mut bytes = Vec::new();
    let Some(Effect::Dial { conn, url }) = node.poll(&mut bytes) else {
        panic!("no dial");
    };
    assert_eq!(url, address(ALICE));
    told_of(&mut node, now, &contact, "ws://moved.example");
    while let Some(effect) = node.poll(&mut bytes) {
        assert!(!matches!(effect, Effect::Dial { .. }), "one dial at a time");
    }
    node.closed(now, conn, Closed::NotOpened("refused".into()));
    for url in ["ws://moved.example", RELAY] {
        assert_eq!(dialled(&mut node, now).as_deref(), Some(url));
    }
    assert_eq!(dialled(&mut node, now), None);
}

#[test]
fn messages_flow_both_ways_in_order_and_a_reader_that_does_not_poll_loses_none() {
    let mut net = paired();
    connect(&mut net);
    let person = alice(&net).person_id;
    let info: Vec<_> = net.nodes[BOB].connections().collect();
    assert!(
        info.iter()
            .any(|i| i.person == Some(person) && i.step.name() == "connected")
    );
    let end = |node| connected(&net, node).unwrap();
    let (a, b) = (end(ALICE), end(BOB));

    // Bob sends while his driver reports nothing as drained: he is told to wait, and nothing is half sent.
    let mut sent = Vec::new();
    let mut frames = Vec::new();
    let full = loop {
        let message = vec![sent.len() as u8; 10_000 + sent.len()];
        match net.nodes[BOB].send(net.now, b, Message::Binary(&message)) {
            Ok(()) => sent.push(message),
            Err(error) => break error,
        }
        let mut bytes = Vec::new();
        while let Some(effect) = net.nodes[BOB].poll(&mut bytes) {
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
    net.nodes[BOB].drained(net.now, b);
    let mut bytes = Vec::new();
    for length in [10_000, 10_000, 300_000, 5] {
        let message = vec![7; length];
        net.nodes[BOB].drained(net.now, b);
        net.nodes[BOB]
            .send(net.now, b, Message::Binary(&message))
            .unwrap();
        sent.push(message);
        while net.nodes[BOB].poll(&mut bytes).is_some() {
            frames.push(std::mem::take(&mut bytes));
        }
    }

    // Alice's driver hands them in without polling, until she says that it is enough.
    for frame in &frames {
        if net.nodes[ALICE]
            .message(net.now, a, Message::Binary(frame))
            .is_err()
        {
            net.drain();
            net.nodes[ALICE]
                .message(net.now, a, Message::Binary(frame))
                .unwrap();
        }
    }
    net.run();
    assert!(
        net.resumed > 0 && net.paused.is_empty(),
        "she was paused and went on"
    );
    assert_eq!(net.heard[ALICE], sent);
    net.nodes[ALICE]
        .send(net.now, a, Message::Text("keepalive"))
        .unwrap();
    net.run();
    assert_eq!(net.heard[BOB], [b"keepalive".to_vec()]);
}
