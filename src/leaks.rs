//! No secret outlives its connection: at whatever step it ends, and however, what is left is what its owner began
//! with.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::contact::Contact;
use crate::crypto::{Nacl, PublicKey, Random, Secret, Static, live};
use crate::establish::{Group, OnRecord, Surroundings};
use crate::fault::{TokenFault, Why};
use crate::handshake::Arrival;
use crate::identity::Identity;
use crate::io::{Closed, ConnId, Effect, Kind, Machine, Message, Output};
use crate::node::{Event, Node, NodeConfig};
use crate::objects::PersonId;
use crate::pairing::Token;
use crate::session::{Opening, Session, SessionConfig, SessionEvent};
use crate::time::{Micros, Millis, Now};

type Wire = (Kind, Vec<u8>);

fn message((kind, bytes): &Wire) -> Message<'_> {
    match kind {
        Kind::Binary => Message::Binary(bytes),
        Kind::Text => Message::Text(core::str::from_utf8(bytes).expect("a text")),
    }
}

fn at(mono: Micros) -> Now {
    Now {
        mono,
        wall: Millis(1_700_000_000_000 + mono.as_millis()),
    }
}

fn identity(name: &str) -> Identity {
    let mut random = Random::new([name.len() as u8; 32]);
    Identity::generate::<Nacl>(&mut random, &alloc::format!("{name}@x.org"), name).expect("good")
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Withdrawn,
    Timeout,
    Garbage,
    Text,
    /// The next message comes with a bit flipped.
    Altered,
    /// All goes on until nothing moves.
    Good,
}

const ENDS: [End; 7] = [
    End::Closed,
    End::Withdrawn,
    End::Timeout,
    End::Garbage,
    End::Text,
    End::Altered,
    End::Good,
];

// ---------------------------------------------------------------- session

/// A node that lets everybody in and remembers nothing.
struct Anybody;

impl Surroundings for Anybody {
    fn admit(&mut self, _: Now, _: &PublicKey<Static>, _: &Group, _: bool) -> Result<(), Why> {
        Ok(())
    }

    fn on_record(&self, _: PersonId) -> Option<OnRecord> {
        None
    }

    fn challenge_sent(&mut self, _: &Secret<64>) {}

    fn challenge_answered(&mut self) {}

    fn is_own_challenge(&mut self, _: &Secret<64>) -> bool {
        false
    }

    fn present_token(&mut self, _: Now, _: &str, _: PersonId) -> Result<(), TokenFault> {
        Ok(())
    }
}

struct Side {
    session: Session<Nacl>,
    to_come: VecDeque<Wire>,
}

fn drain(side: &mut Side, now: Now, to: &mut VecDeque<Wire>) {
    let mut bytes = Vec::new();
    while let Some(output) = side.session.poll(&mut bytes) {
        match output {
            Output::Send(kind) => to.push_back((kind, bytes.clone())),
            Output::Event(SessionEvent::Store(_)) => {
                side.session.stored(now, Ok(()), &mut Anybody);
            }
            _ => {}
        }
    }
}

/// Both sides after that many messages: whose turn it is goes to and fro.
fn sessions(own: &[Arc<Identity>; 2], group: &Group, window: usize, cut: usize) -> [Side; 2] {
    let now = at(Micros::ZERO);
    let mut config = SessionConfig::default();
    config.handshake.channel.reorder_window = window;
    let token = (*group == Group::Pairing).then(|| Token::draw(&mut Random::new([5; 32])));
    let opening = Opening {
        own: own[0].instance_key().used_as(),
        target: own[1].instance_key().public(),
        group: group.clone(),
        token,
    };
    let random = |n| Random::new([n; 32]);
    let side = |session| Side {
        session,
        to_come: VecDeque::new(),
    };
    let mut sides = [
        side(Session::initiator(
            now,
            config.clone(),
            own[0].clone(),
            random(1),
            opening,
        )),
        side(Session::acceptor(
            now,
            config,
            own[1].clone(),
            random(2),
            Arrival::Direct,
        )),
    ];
    let mut delivered = 0;
    loop {
        let [one, two] = &mut sides;
        drain(one, now, &mut two.to_come);
        drain(two, now, &mut one.to_come);
        let side = if one.to_come.is_empty() { two } else { one };
        if delivered == cut {
            return sides;
        }
        let Some(next) = side.to_come.pop_front() else {
            return sides;
        };
        side.session
            .message(now, message(&next), &mut Anybody)
            .expect("room");
        delivered += 1;
    }
}

fn end(side: &mut Side, how: End) {
    let (session, now) = (&mut side.session, at(Micros::ZERO));
    let mut give = |message| session.message(now, message, &mut Anybody).expect("room");
    match how {
        End::Garbage => give(Message::Binary(&[1; 40])),
        End::Text => give(Message::Text("no")),
        End::Altered => {
            let mut next = side
                .to_come
                .pop_front()
                .unwrap_or((Kind::Binary, vec![1; 72]));
            match &mut next {
                (Kind::Binary, bytes) => bytes[30] ^= 1,
                (Kind::Text, bytes) => bytes[3] = b'_',
            }
            give(message(&next));
        }
        End::Closed => session.closed(Closed::Lost(String::new()), &mut Anybody),
        End::Withdrawn => session.withdraw(Why::Withdrawn, &mut Anybody),
        End::Timeout | End::Good => {}
    }
    // With a window, or after a good end, it may go on: until its time is over.
    let mut others = VecDeque::new();
    drain(side, now, &mut others);
    while let Some(due) = side.session.deadline() {
        side.session.tick(at(due.at), &mut Anybody);
        drain(side, at(due.at), &mut others);
    }
}

/// Demands: M1.3.
#[test]
fn an_ended_session_owns_no_secret() {
    let own = ["alice", "bob"].map(|name| Arc::new(identity(name)));
    let baseline = live();
    let (mut ended_with_frame, mut steps) = (0, BTreeSet::new());
    for group in [Group::Pairing, Group::Chum] {
        for window in [0, 4] {
            for cut in 0..22 {
                for who in [0, 1] {
                    for how in ENDS {
                        let sides = sessions(&own, &group, window, cut);
                        assert!(live() > baseline || cut > 16, "they are counted");
                        let mut side = sides.into_iter().nth(who).expect("two");
                        steps.insert(side.session.step());
                        end(&mut side, how);
                        if live() > baseline {
                            // A failed frame is not diagnosed yet.
                            ended_with_frame += 1;
                            let at = (&group, window, cut, who, how);
                            assert!(side.session.diagnose(&[]).is_some(), "{at:?}");
                        }
                        assert_eq!(live(), baseline, "{group:?} {window} {cut} {who} {how:?}");
                    }
                }
            }
        }
    }
    assert!(ended_with_frame > 10 && steps.len() > 12, "{steps:?}");
}

// ---------------------------------------------------------------- node

struct Peer {
    node: Node<Nacl>,
    /// The secrets that it had when it was made: those of its identity, and its generator.
    owned: usize,
    conn: ConnId,
    to_come: VecDeque<Wire>,
}

fn drain_node(peer: &mut Peer, now: Now, to: &mut VecDeque<Wire>) {
    let mut bytes = Vec::new();
    while let Some(effect) = peer.node.poll(&mut bytes) {
        match effect {
            Effect::Send { conn, kind } => {
                to.push_back((kind, bytes.clone()));
                peer.node.drained(now, conn);
            }
            Effect::Store { id, .. } => peer.node.stored(now, id, Ok(())),
            // Routes are dialled again, without end.
            Effect::Event(Event::Ended { .. }) => {
                let people: Vec<PersonId> = peer.node.contacts().map(|c| c.person_id).collect();
                for person in people {
                    peer.node.disconnect(now, person, &Group::Chum);
                }
            }
            _ => {}
        }
        assert_eq!(peer.node.self_check(), Ok(()));
    }
}

fn nodes(own: &[Identity; 2], pairing: bool, cut: usize) -> [Peer; 2] {
    let now = at(Micros::ZERO);
    let config = |n: usize| {
        let mut config = NodeConfig::new(own[n].clone());
        config.serve.insert(Group::Chum);
        if !pairing {
            config
                .contacts
                .push(Contact::of(&own[1 - n], Some("ws://x"), Millis(0)));
        }
        config
    };
    let mut peers = [0, 1].map(|n| {
        let before = live();
        let node = Node::new(config(n), [1; 32], now).expect("good");
        Peer {
            owned: live() - before,
            node,
            conn: ConnId(0),
            to_come: VecDeque::new(),
        }
    });
    let [alice, bob] = &mut peers;
    if pairing {
        let life = Micros::secs(3600);
        let invitation = alice.node.invite(now, life, "ws://x").expect("room");
        bob.conn = bob.node.join(now, &invitation).expect("room");
    } else {
        bob.node
            .connect(now, own[0].person_id(), Group::Chum)
            .expect("known");
    }
    alice.conn = alice.node.accept(now, Default::default()).expect("room");
    bob.node.opened(now, bob.conn);
    let mut delivered = 0;
    loop {
        let [alice, bob] = &mut peers;
        drain_node(alice, now, &mut bob.to_come);
        drain_node(bob, now, &mut alice.to_come);
        let to = if alice.to_come.is_empty() { bob } else { alice };
        if delivered == cut {
            return peers;
        }
        let Some(next) = to.to_come.pop_front() else {
            return peers;
        };
        to.node.message(now, to.conn, message(&next)).expect("room");
        delivered += 1;
    }
}

/// Demands: M1.3.
#[test]
fn a_node_owns_no_secret_of_a_connection_that_has_ended() {
    let own = ["alice", "bob"].map(identity);
    for pairing in [true, false] {
        for cut in (0..22).step_by(2) {
            for who in [0, 1] {
                for how in ENDS {
                    let baseline = live();
                    let peers = nodes(&own, pairing, cut);
                    let mut peer = peers.into_iter().nth(who).expect("two");
                    let (now, conn) = (at(Micros::ZERO), peer.conn);
                    let mut give = |message| {
                        let _ = peer.node.message(now, conn, message);
                    };
                    match how {
                        End::Garbage => give(Message::Binary(&[1; 40])),
                        End::Text => give(Message::Text("no")),
                        End::Altered => give(Message::Binary(&[2; 72])),
                        End::Closed => peer.node.closed(now, conn, Closed::Lost(String::new())),
                        End::Withdrawn => peer.node.close(now, conn),
                        End::Timeout | End::Good => {}
                    }
                    let mut others = VecDeque::new();
                    drain_node(&mut peer, now, &mut others);
                    while peer.node.connections().next().is_some() {
                        let due = peer.node.deadline().expect("a connection has one");
                        peer.node.tick(at(due.at));
                        drain_node(&mut peer, at(due.at), &mut others);
                    }
                    let at = (pairing, cut, who, how);
                    assert_eq!(live() - baseline, peer.owned, "{at:?}");
                }
            }
        }
    }
}
