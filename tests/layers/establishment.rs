//! Two establishments that talk to each other, with what one of them says altered, or something else on record
//! (spec 05).

use std::sync::Arc;

use crate::support::bench::{Wire, borrowed};
use crate::support::people::{made_up, named};
use crate::support::stub::Stub;
use chumwire::crypto::{Nacl, Random};
use chumwire::establish::{
    EstablishConfig, Established, Establishment, Group, OnRecord, instance_id_object, keys_object,
    person_id_object,
};
use chumwire::fault::{Fault, Part, Why};
use chumwire::identity::Identity;
use chumwire::io::{Kind, Output};
use chumwire::limits;
use chumwire::objects::{Instance, Keys, Person};
use chumwire::role::Role;
use chumwire::time::{Micros, Now};

struct Side {
    machine: Establishment<Nacl>,
    node: Stub,
    own: Arc<Identity>,
    sent: Vec<Wire>,
    established: Option<Established>,
    fault: Option<Fault>,
}

/// Bob, who dialled, and Alice.
struct Two {
    now: Now,
    sides: [Side; 2],
    /// How many messages each has heard.
    heard: [usize; 2],
}

const BOB: usize = 0;
const ALICE: usize = 1;

impl Two {
    fn with(group: Group, config: &EstablishConfig) -> Self {
        let now = Now::default();
        let [bob, alice] = ["bob", "alice"].map(|name| Arc::new(made_up(name)));
        let keys = [&alice, &bob].map(|of| of.instance_key().public().presented());
        let (one, two) = (config.clone(), config.clone());
        let (r1, r2) = (Random::new([1; 32]), Random::new([2; 32]));
        let machines = [
            Establishment::initiator(now, one, bob.clone(), keys[0], r1, group),
            Establishment::acceptor(now, two, alice.clone(), keys[1], r2),
        ];
        let mut owns = [bob, alice].into_iter();
        let sides = machines.map(|machine| Side {
            machine,
            node: Stub::default(),
            own: owns.next().expect("two"),
            sent: Vec::new(),
            established: None,
            fault: None,
        });
        Self {
            now,
            sides,
            heard: [0, 0],
        }
    }

    fn new() -> Self {
        Self::with(Group::Pairing, &EstablishConfig::default())
    }

    /// Takes what one wants sent.
    fn drain(&mut self, who: usize) -> Vec<Wire> {
        let (side, mut bytes) = (&mut self.sides[who], Vec::new());
        let mut sent = Vec::new();
        while let Some(output) = side.machine.poll(&mut bytes) {
            match output {
                Output::Send(kind) => sent.push((kind, bytes.clone())),
                Output::Event(peer) => side.established = Some(peer),
                Output::Fault(fault) => side.fault = Some(fault),
                Output::Note(_) => {}
            }
        }
        side.sent.extend(sent.iter().cloned());
        sent
    }

    /// Until nothing moves, or `most` messages have been delivered. `alter` sees each message, whom it is for, and
    /// how many came to that side before it.
    fn run(&mut self, most: usize, alter: impl Fn(usize, usize, &mut Wire)) {
        let mut delivered = 0;
        let mut passing: Vec<(usize, Wire)> = Vec::new();
        loop {
            for who in [BOB, ALICE] {
                let sent = self.drain(who);
                passing.extend(sent.into_iter().map(|wire| (1 - who, wire)));
            }
            if passing.is_empty() || delivered == most {
                break;
            }
            let (to, mut wire) = passing.remove(0);
            alter(to, self.heard[to], &mut wire);
            self.heard[to] += 1;
            delivered += 1;
            let side = &mut self.sides[to];
            side.machine
                .message(self.now, borrowed(&wire), &mut side.node);
        }
    }

    /// The fault of one, which has to be there; the other must not be established.
    fn fault(&self, who: usize) -> &Fault {
        assert!(self.sides[who].established.is_none());
        self.sides[who].fault.as_ref().expect("a fault")
    }

    /// What one has sent that is a challenge or an answer.
    fn boxes(&self, who: usize) -> usize {
        let is_box = |wire: &&Wire| wire.0 == Kind::Binary;
        self.sides[who].sent.iter().filter(is_box).count()
    }
}

fn untouched(_: usize, _: usize, _: &mut Wire) {}

/// Says this in the place of the message that begins like it.
fn instead(to: usize, text: String) -> impl Fn(usize, usize, &mut Wire) {
    let command = |text: &[u8]| text.split(|byte| *byte == b',').next().map(<[u8]>::to_vec);
    move |at, _, (kind, bytes)| {
        if at == to && *kind == Kind::Text && command(bytes) == command(text.as_bytes()) {
            *bytes = text.clone().into_bytes();
        }
    }
}

fn on_record(of: &Identity) -> OnRecord {
    OnRecord {
        person_key: of.person_key().public(),
        person_sign_key: of.person_sign_key(),
        instances: [(of.instance().id(), of.instance_key().public())].into(),
    }
}

#[test]
fn both_learn_who_the_other_is() {
    for group in [Group::Pairing, Group::Chum, Group::Other("talk".into())] {
        for extensions in [true, false] {
            let mut config = EstablishConfig::default();
            config.extensions = extensions;
            let mut two = Two::with(group.clone(), &config);
            two.run(usize::MAX, untouched);
            for (who, other) in [(BOB, ALICE), (ALICE, BOB)] {
                let peer = two.sides[who].established.as_ref().expect("it is");
                let of = &two.sides[other].own;
                let due = Established {
                    group: group.clone(),
                    person: of.person().clone(),
                    keys: of.person_keys(),
                    instance: of.instance().clone(),
                    peer: of.instance_key().public().presented(),
                    extensions,
                };
                assert_eq!(*peer, due);
                assert!(
                    two.sides[who].node.challenges.is_empty(),
                    "none is outstanding"
                );
                assert_eq!(two.sides[who].machine.deadline(), None);
            }
        }
    }
}

/// Extensions are there if both say so.
#[test]
fn extensions_need_both() {
    for who in [BOB, ALICE] {
        let mut two = Two::new();
        two.run(usize::MAX, |to, _, (kind, bytes)| {
            if to == who && *kind == Kind::Text {
                let text = String::from_utf8(bytes.clone()).expect("a text");
                *bytes = text.replace(r#","ext":["chumwire/1"]"#, "").into_bytes();
            }
        });
        // Whom nobody tells does not have them; the acceptor does not answer with them then.
        let have = [BOB, ALICE].map(|n| {
            let peer = two.sides[n].established.as_ref();
            peer.expect("it is").extensions
        });
        assert!(!have[who], "{who}");
        assert_eq!(have[1 - who], who == BOB, "{who}");
    }
}

/// Whoever claims the keys or the instance of another person is found out, on either side.
///
/// Demands: M5.1, M0.2.
#[test]
fn keys_and_instance_have_to_be_those_of_the_person() {
    let (mallory, other) = (made_up("mallory"), made_up("other"));
    for who in [BOB, ALICE] {
        let sender = Two::new().sides[1 - who].own.clone();
        let foreign_keys = Keys {
            owner: other.person_id(),
            ..sender.person_keys()
        };
        let foreign_instance = Instance {
            owner: other.person_id(),
            ..sender.instance().clone()
        };
        for (text, step, part) in [
            (keys_object(&mallory.person_keys()), "keys", Part::KeysOwner),
            (keys_object(&foreign_keys), "keys", Part::KeysOwner),
            (
                instance_id_object(&foreign_instance),
                "instance",
                Part::InstanceOwner,
            ),
        ] {
            let mut two = Two::new();
            two.run(usize::MAX, instead(who, text));
            let fault = two.fault(who);
            assert_eq!(
                (fault.step.name(), &fault.why),
                (step, &Why::IdentityMismatch { part })
            );
            // It names what is wrong and says nothing of what came.
            let told = fault.to_string();
            for content in ["other", "mallory", "bob", "alice", "@"] {
                assert!(!told.contains(content), "{told}");
            }
        }
    }
}

/// A known person with another key is refused before this side has answered, or asked, anything.
///
/// Demands: M5.2.
#[test]
fn keys_on_record_are_compared_before_a_challenge_is_answered() {
    for who in [BOB, ALICE] {
        for part in [Part::PersonKey, Part::PersonSignKey] {
            let mut two = Two::new();
            let peer = two.sides[1 - who].own.clone();
            let (mut record, other) = (on_record(&peer), made_up("other"));
            match part {
                Part::PersonKey => record.person_key = other.person_key().public(),
                _ => record.person_sign_key = other.person_sign_key(),
            }
            two.sides[who].node.known.push((peer.person_id(), record));
            two.run(usize::MAX, untouched);
            let fault = two.fault(who);
            assert_eq!(
                (fault.step.name(), &fault.why),
                ("keys", &Why::IdentityMismatch { part })
            );
            assert_eq!(two.boxes(who), 0, "no challenge, and no answer");
        }
    }
}

/// For other groups than pairing, a known person comes with a known instance and its key.
#[test]
fn the_instance_on_record_is_compared_unless_it_is_a_pairing() {
    for (group, due) in [(Group::Pairing, false), (Group::Chum, true)] {
        for part in [Part::Instance, Part::InstanceKey] {
            for who in [BOB, ALICE] {
                let mut two = Two::with(group.clone(), &EstablishConfig::default());
                let peer = two.sides[1 - who].own.clone();
                let mut record = on_record(&peer);
                let another = made_up("other");
                record.instances = match part {
                    Part::Instance => Default::default(),
                    _ => [(peer.instance().id(), another.instance_key().public())].into(),
                };
                two.sides[who].node.known.push((peer.person_id(), record));
                two.run(usize::MAX, untouched);
                if due {
                    let fault = two.fault(who);
                    assert_eq!(fault.why, Why::IdentityMismatch { part });
                } else {
                    assert!(two.sides[who].established.is_some());
                }
                // What is right gets through.
                let mut two = Two::with(group.clone(), &EstablishConfig::default());
                let record = on_record(&peer);
                two.sides[who].node.known.push((peer.person_id(), record));
                two.run(usize::MAX, untouched);
                assert!(two.sides[who].established.is_some());
            }
        }
    }
}

/// A challenge or an answer that was altered, or has another length, ends it where it is due; the challenge is not
/// outstanding any more then.
///
/// Demands: M1.2.
#[test]
fn boxes_that_are_altered_or_of_another_length_end_it() {
    // Bob hears sync, person, keys, challenge; Alice the answer and a challenge; Bob the answer.
    for (who, nth, step) in [
        (BOB, 3, "challenge-answer"),
        (ALICE, 3, "challenge-sent"),
        (ALICE, 4, "challenge-answer"),
        (BOB, 4, "challenge-sent"),
    ] {
        for (length, why) in [
            (104, Why::Challenge),
            (
                103,
                Why::Length {
                    expected: 104,
                    got: 103,
                },
            ),
            (
                105,
                Why::Length {
                    expected: 104,
                    got: 105,
                },
            ),
        ] {
            let mut two = Two::new();
            two.run(usize::MAX, |to, n, (kind, bytes)| {
                if to == who && n == nth {
                    assert_eq!((*kind, bytes.len()), (Kind::Binary, 104));
                    bytes.resize(length, 7);
                    bytes[60] ^= u8::from(length == 104);
                }
            });
            let fault = two.fault(who);
            assert_eq!((fault.step.name(), &fault.why), (step, &why));
            assert!(two.sides[who].node.challenges.is_empty());
        }
        // A text where a box is due, and the other way round.
        let mut two = Two::new();
        two.run(usize::MAX, |to, n, wire| {
            if to == who && n == nth {
                *wire = (Kind::Text, b"{}".to_vec());
            }
        });
        let expected = Kind::Binary;
        assert_eq!(two.fault(who).why, Why::Kind { expected });
    }
    for (who, nth) in [(BOB, 0), (ALICE, 0), (ALICE, 1), (BOB, 2)] {
        let mut two = Two::new();
        two.run(usize::MAX, |to, n, wire| {
            if to == who && n == nth {
                *wire = (Kind::Binary, vec![1; 104]);
            }
        });
        let expected = Kind::Text;
        assert_eq!(two.fault(who).why, Why::Kind { expected });
    }
}

/// The answer has to be the inverse: the challenge itself, sealed anew, is none.
#[test]
fn the_challenge_itself_is_no_answer() {
    let mut two = Two::new();
    let keys = two.sides.each_ref().map(|side| side.own.clone());
    two.run(usize::MAX, |to, n, (_, bytes)| {
        if (to, n) == (ALICE, 3) {
            let alice = keys[ALICE].person_key().public();
            let key = keys[BOB].person_key().before::<Nacl, _>(&alice);
            let key = key.expect("a good key");
            let answer = chumwire::crypto::open::<64>(&key, bytes).expect("bob's answer");
            let challenge = chumwire::crypto::inverted(&answer);
            let mut random = Random::new([9; 32]);
            let sealed: [u8; 104] = chumwire::crypto::seal(&key, &mut random, challenge.expose());
            *bytes = sealed.into();
        }
    });
    assert_eq!(two.fault(ALICE).why, Why::Challenge);
}

/// Each step has its limit, which begins anew with each message, and is named when it is over.
///
/// Demands: M0.3.
#[test]
fn each_step_ends_by_name_when_nothing_comes() {
    let mut seen = Vec::new();
    for delivered in 0..11 {
        for who in [BOB, ALICE] {
            let mut two = Two::new();
            two.now.mono = Micros::secs(3);
            two.run(delivered, untouched);
            let begun = if two.heard[who] > 0 { 3 } else { 0 };
            let side = &mut two.sides[who];
            let Some(due) = side.machine.deadline() else {
                assert!(side.established.is_some());
                continue;
            };
            assert_eq!(due.at, Micros::secs(begun + 10));
            let step = side.machine.step();
            let mut now = two.now;
            now.mono = Micros(due.at.0 - 1);
            side.machine.tick(now, &mut side.node);
            assert_eq!(side.machine.deadline(), Some(due), "not before");
            now.mono = due.at;
            side.machine.tick(now, &mut side.node);
            assert!(side.node.challenges.is_empty());
            two.drain(who);
            let fault = two.fault(who);
            assert_eq!((fault.step, &fault.why), (step, &Why::Timeout));
            // It is over: nothing more is said or told.
            let side = &mut two.sides[who];
            assert_eq!(side.machine.deadline(), None);
            let group = r#"{"command":"sync"}"#;
            let wire = (Kind::Text, group.into());
            side.machine.message(now, borrowed(&wire), &mut side.node);
            side.machine.tick(now, &mut side.node);
            assert_eq!(side.machine.poll(&mut Vec::new()), None);
            seen.push((who, step.name()));
        }
    }
    seen.sort_unstable();
    seen.dedup();
    let role = |who| {
        if who == BOB {
            Role::Initiator
        } else {
            Role::Acceptor
        }
    };
    assert_eq!(
        seen.len(),
        12,
        "{:?}",
        seen.iter().map(|(w, s)| (role(*w), s)).collect::<Vec<_>>()
    );
}

/// Lengths at their bounds get through, and one byte more does not.
#[test]
fn emails_names_and_messages_are_bounded() {
    for over in [0, 1] {
        let long = "e".repeat(limits::NAME + over);
        let person = Person {
            email: long.clone(),
        };
        let mut two = Two::new();
        two.run(usize::MAX, instead(ALICE, person_id_object(&person)));
        // Of another person than the keys, but not too long.
        let fault = two.fault(ALICE);
        assert_eq!(fault.step.name() == "person", over == 1, "{fault}");

        let mut two = Two::new();
        let instance = Instance {
            name: long,
            ..two.sides[BOB].own.instance().clone()
        };
        two.run(usize::MAX, instead(ALICE, instance_id_object(&instance)));
        assert_eq!(two.sides[ALICE].established.is_some(), over == 0);

        let mut two = Two::new();
        two.run(usize::MAX, |to, n, (_, bytes)| {
            if (to, n) == (ALICE, 0) {
                let text = String::from_utf8(bytes.clone()).expect("a text");
                let room = limits::CONTROL + over - text.len();
                *bytes = text
                    .replacen('{', &format!("{{{}", " ".repeat(room)), 1)
                    .into_bytes();
            }
        });
        assert_eq!(two.sides[ALICE].established.is_some(), over == 0);
    }
}

/// One's own person is refused, unless it is asked for.
#[test]
fn the_same_person_is_refused_unless_it_is_asked_for() {
    let phone = named("bob@example.org", "phone");
    for same_person in [false, true] {
        let mut config = EstablishConfig::default();
        config.same_person = same_person;
        let mut two = Two::with(Group::Pairing, &config);
        two.run(usize::MAX, instead(BOB, person_id_object(phone.person())));
        let fault = two.fault(BOB);
        // If it is asked for, it is the keys that do not fit.
        assert_eq!(fault.why == Why::SamePerson, !same_person);
    }
}
