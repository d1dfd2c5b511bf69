//! What nodes make of invitations and of each other, with several of them in memory (spec 05 and 06).

use std::collections::{BTreeMap, BTreeSet};

use crate::support::bench::{Bench, Tester};
use crate::support::net::{Net, address};
use crate::support::people::{made_up, named};
use chumwire::crypto::Nacl;
use chumwire::establish::{self, Group};
use chumwire::fault::{Refusal, Why};
use chumwire::handshake::CommunicationRequest;
use chumwire::identity::Identity;
use chumwire::io::{ConnId, Kind, Machine, Message, NotStored};
use chumwire::limits;
use chumwire::node::{Event, Node, NodeConfig, Record};
use chumwire::pairing::{Invitation, InvitationState};
use chumwire::role::Role;
use chumwire::time::{Micros, Millis, Now};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

fn config(name: &str) -> NodeConfig {
    let mut config = NodeConfig::new(made_up(name));
    config.serve.insert(Group::Chum);
    config
}

fn net(names: &[&str]) -> Net {
    let mut net = Net::new(names.iter().map(|name| config(name)).collect());
    for n in 0..names.len() {
        net.nodes[n].set_url(Some(address(n))).expect("an address");
    }
    net
}

fn invite(net: &mut Net, life: u64) -> Invitation {
    let invitation = net.nodes[ALICE].invite(net.now, Micros::secs(life), &address(ALICE));
    net.drain();
    invitation.expect("one more")
}

fn join(net: &mut Net, who: usize, invitation: &Invitation) -> ConnId {
    let conn = net.nodes[who].join(net.now, invitation).expect("a join");
    net.drain();
    conn
}

fn state(net: &Net) -> InvitationState {
    let mut list = net.nodes[ALICE].invitations();
    list.next().expect("the invitation").1
}

/// Until the invitation is held, or nothing moves.
fn until_held(net: &mut Net) -> bool {
    while net.step() {
        if matches!(state(net), InvitationState::Held(_)) {
            return true;
        }
    }
    false
}

/// Two use one invitation, the second one after any number of messages of the first.
///
/// Demands: M6.1.
#[test]
fn of_two_that_use_one_invitation_one_pairs_whenever_they_come() {
    for start in 0..40 {
        let mut net = net(&["alice", "bob", "carol"]);
        let invitation = invite(&mut net, 60);
        join(&mut net, BOB, &invitation);
        for _ in 0..start {
            net.step();
        }
        join(&mut net, CAROL, &invitation);
        net.run();
        let paired = [ALICE, BOB, CAROL].map(|n| net.pairings(n));
        assert_eq!(paired[ALICE], 1, "{start}");
        assert_eq!(paired[BOB] + paired[CAROL], 1, "{start}");
        assert_eq!(net.nodes[ALICE].contacts().count(), 1);
        assert_eq!(net.faults(ALICE), ["invitation_refused"], "{start}");
        // And nobody after that, be it who has paired with it.
        for who in [BOB, CAROL] {
            join(&mut net, who, &invitation);
            net.run();
        }
        assert_eq!(net.pairings(ALICE), 1, "{start}");
        assert_eq!(state(&net), InvitationState::Spent);
    }
}

/// A stored invitation of another person of this instance is none of this one's.
///
/// Demands: M6.1.
#[test]
fn an_invitation_for_another_person_is_refused() {
    let mut before = net(&["alice"]);
    let invitation = invite(&mut before, 60);
    let (mut record, _) = before.nodes[ALICE]
        .invitations()
        .map(|(record, state)| (record.clone(), state))
        .next()
        .expect("the invitation");
    for own in [true, false] {
        if !own {
            record.person = made_up("somebody").person_id();
        }
        let mut alice = config("alice");
        alice.invitations.push(record.clone());
        let mut net = Net::new(vec![alice, config("bob")]);
        join(&mut net, BOB, &invitation);
        net.run();
        assert_eq!(net.pairings(ALICE), usize::from(own));
    }
}

/// It expires at the start, and is taken out of what is stored.
#[test]
fn an_invitation_that_expired_while_its_node_was_down_is_withdrawn() {
    let mut before = net(&["alice"]);
    let invitation = invite(&mut before, 60);
    let record = before.nodes[ALICE].invitations().next();
    let mut record = record.expect("the invitation").0.clone();
    record.expires = Millis(before.now.wall.0 - 1);
    let mut alice = config("alice");
    alice.invitations.push(record.clone());
    let mut net = Net::new(vec![alice, config("bob")]);
    net.pass(Micros::ZERO);
    assert_eq!(net.records[ALICE], [Record::Withdrawn(record.id)]);
    assert_eq!(net.nodes[ALICE].deadline(), None);
    join(&mut net, BOB, &invitation);
    net.run();
    assert_eq!(state(&net), InvitationState::Expired, "not unknown");
    assert_eq!(net.faults(ALICE), ["invitation_refused"]);
}

/// The connection is lost while it holds the token: after that only who presented it can use it.
///
/// Demands: M6.2.
#[test]
fn a_token_is_free_again_for_who_presented_it_and_nobody_else() {
    let mut net = net(&["alice", "bob", "carol"]);
    let invitation = invite(&mut net, 60);
    let conn = join(&mut net, BOB, &invitation);
    assert!(until_held(&mut net));
    net.cut((BOB, conn));
    assert_eq!(state(&net), InvitationState::Open);
    join(&mut net, CAROL, &invitation);
    net.run();
    assert_eq!((net.pairings(ALICE), net.pairings(CAROL)), (0, 0));
    assert_eq!(state(&net), InvitationState::Open);
    join(&mut net, BOB, &invitation);
    net.run();
    assert_eq!((net.pairings(ALICE), net.pairings(BOB)), (1, 1));
    assert_eq!(state(&net), InvitationState::Spent);
}

/// Success is told by nobody, to nobody, before the contact is stored; and not at all if it cannot be.
///
/// Demands: M6.4.
#[test]
fn both_store_the_contact_before_they_tell() {
    // The initiator first: its identity, which tells the acceptor, goes out behind its storage.
    let mut world = net(&["alice", "bob"]);
    let invitation = invite(&mut world, 60);
    join(&mut world, BOB, &invitation);
    world.hold = true;
    world.run();
    let is_contact = |record: &Record| matches!(record, Record::Paired { .. });
    let stored = |net: &Net, who: usize| net.records[who].iter().filter(|r| is_contact(r)).count();
    let known =
        |net: &Net| [ALICE, BOB].map(|n| (net.pairings(n), net.nodes[n].contacts().count()));
    assert_eq!((stored(&world, ALICE), stored(&world, BOB)), (0, 1));
    assert_eq!(known(&world), [(0, 0), (0, 0)]);
    world.answer(Ok(()));
    world.run();
    assert_eq!((stored(&world, ALICE), stored(&world, BOB)), (1, 1));
    assert_eq!(known(&world), [(0, 0), (1, 1)]);
    world.answer(Ok(()));
    world.run();
    assert_eq!(known(&world), [(1, 1), (1, 1)]);
    // What is stored is the token's end, too, as one record.
    let spent = world.records[ALICE].iter().any(|record| {
        matches!(record, Record::Paired { spent: Some(id), .. } if *id == invitation.token().id())
    });
    assert!(spent);

    // Either storage refuses.
    for refusing in [BOB, ALICE] {
        let mut world = net(&["alice", "bob"]);
        let invitation = invite(&mut world, 60);
        join(&mut world, BOB, &invitation);
        world.hold = true;
        world.run();
        if refusing == ALICE {
            world.answer(Ok(()));
            world.run();
        }
        world.answer(Err(NotStored));
        world.run();
        assert_eq!(
            (
                world.pairings(refusing),
                world.nodes[refusing].contacts().count()
            ),
            (0, 0)
        );
        assert_eq!(state(&world), InvitationState::Open);
        let failed = world.count(refusing, |event| matches!(event, Event::StoreFailed(_)));
        assert_eq!(failed, 1);
    }
}

/// Somebody else with the email of a contact, and a contact with another device: both are refused, and what is on
/// record stays as it was.
///
/// Demands: M6.5.
#[test]
fn a_known_person_gets_no_other_keys_and_no_other_instance() {
    let laptop = named("bob@example.org", "bob's laptop");
    let secrets = laptop.export_secrets();
    let phone = Identity::import::<Nacl>("bob@example.org", "phone", &secrets);
    let impostor = named("bob@example.org", "another laptop");
    for (who, new_instances, code) in [
        (impostor.clone(), true, "identity_mismatch"),
        (impostor, false, "identity_mismatch"),
        (phone.clone(), false, "known_person_changed"),
    ] {
        let mut alice = config("alice");
        alice.new_instances = new_instances;
        let mut net = Net::new(vec![
            alice,
            NodeConfig::new(laptop.clone()),
            NodeConfig::new(who),
        ]);
        for joiner in [BOB, CAROL] {
            let invitation = invite(&mut net, 60);
            join(&mut net, joiner, &invitation);
            net.run();
        }
        assert_eq!(net.faults(ALICE), [code]);
        let contacts: Vec<_> = net.nodes[ALICE].contacts().collect();
        assert_eq!(contacts.len(), 1);
        assert_eq!(contacts[0].person_key, laptop.person_key().public());
        let names: Vec<_> = contacts[0].instances.iter().map(|i| &*i.name).collect();
        assert_eq!(names, ["bob's laptop"]);
    }
    // Not silently: who has asked for it gets the other device.
    let mut alice = config("alice");
    alice.new_instances = true;
    let mut net = Net::new(vec![alice, NodeConfig::new(laptop), NodeConfig::new(phone)]);
    for joiner in [BOB, CAROL] {
        let invitation = invite(&mut net, 60);
        join(&mut net, joiner, &invitation);
        net.run();
    }
    let contact = net.nodes[ALICE].contacts().next().expect("bob");
    assert_eq!(contact.instances.len(), 2);
}

/// What was presented in time goes on beyond it; what comes at the end of it, or after, is refused; who holds a token
/// that is revoked is closed.
///
/// Demands: M6.6.
#[test]
fn time_counts_when_the_token_is_presented_and_a_revocation_always() {
    let mut world = net(&["alice", "bob"]);
    let invitation = invite(&mut world, 5);
    join(&mut world, BOB, &invitation);
    assert!(until_held(&mut world));
    world.pass(Micros::secs(6));
    world.run();
    assert_eq!((world.pairings(ALICE), world.pairings(BOB)), (1, 1));

    let mut world = net(&["alice", "bob"]);
    let invitation = invite(&mut world, 5);
    world.pass(Micros::secs(5));
    join(&mut world, BOB, &invitation);
    world.run();
    assert_eq!((world.pairings(ALICE), world.pairings(BOB)), (0, 0));
    assert_eq!(state(&world), InvitationState::Expired);

    let mut world = net(&["alice", "bob"]);
    let invitation = invite(&mut world, 60);
    join(&mut world, BOB, &invitation);
    assert!(until_held(&mut world));
    let id = invitation.token().id();
    world.nodes[ALICE]
        .revoke(world.now, id)
        .expect("it is held");
    world.run();
    assert_eq!(world.pairings(ALICE), 0);
    assert_eq!(world.nodes[ALICE].contacts().count(), 0);
    assert_eq!(world.faults(ALICE), ["withdrawn"]);
    assert_eq!(state(&world), InvitationState::Revoked);
}

/// Every close, whatever its cause, has code 1000 and a text of its layer.
///
/// Demands: M0.4.
#[test]
fn causes_of_one_layer_are_closed_with_one_text() {
    let mut texts = BTreeMap::<&str, BTreeSet<String>>::new();
    let mut closed = 0;
    // A wrong, an expired, a revoked and a used token: of pairing. A key that is nobody's: of the handshake.
    for case in [
        "unknown",
        "expired",
        "revoked",
        "used",
        "key",
        "message",
        "challenge",
    ] {
        let mut world = net(&["alice", "bob", "carol"]);
        let invitation = invite(&mut world, 5);
        let mut json: serde_json::Value = serde_json::from_str(&invitation.json()).expect("JSON");
        let mut layer = "pairing";
        match case {
            "unknown" => json["token"] = "0".repeat(64).into(),
            "expired" => world.pass(Micros::secs(5)),
            "revoked" => {
                world.nodes[ALICE]
                    .revoke(world.now, invitation.token().id())
                    .expect("it is open");
            }
            "used" => {
                join(&mut world, CAROL, &invitation);
                world.run();
                world.closes.clear();
            }
            "key" => {
                json["publicKey"] = made_up("nobody").instance_key().public().hex().into();
                layer = "handshake";
            }
            _ => {
                layer = if case == "message" {
                    "handshake"
                } else {
                    "establishment"
                }
            }
        }
        let invitation = Invitation::read(&json.to_string()).expect("an invitation");
        join(&mut world, BOB, &invitation);
        let mut to_alice = 0;
        while world.step_with(|(to, _), (_, bytes)| {
            // The key message, and the first challenge's frame.
            to_alice += usize::from(to == ALICE);
            let altered = match case {
                "message" => 2,
                "challenge" => 5,
                _ => 0,
            };
            if to == ALICE && to_alice == altered {
                bytes[40] ^= 1;
            }
        }) {}
        assert_eq!(world.pairings(BOB), 0, "{case}");
        for ((who, _), code, text) in &world.closes {
            assert_eq!(*code, 1000);
            if *who == ALICE {
                closed += 1;
                texts.entry(layer).or_default().insert(text.clone());
            }
        }
    }
    assert_eq!(closed, 7);
    for (layer, texts) in &texts {
        assert_eq!(texts.len(), 1, "{layer}: {texts:?}");
    }
    assert_eq!(texts.len(), 3);
}

// --- two of ours that know each other --------------------------------------------------------------------------------

fn friends() -> Net {
    let mut net = net(&["alice", "bob"]);
    let invitation = invite(&mut net, 60);
    join(&mut net, BOB, &invitation);
    net.run();
    assert_eq!(net.pairings(ALICE), 1);
    // Who joined dials half a second later.
    net.pass(limits::FIRST_DIAL);
    net
}

fn connect(net: &mut Net, from: usize) {
    let person = net.nodes[1 - from].identity().person_id();
    net.nodes[from]
        .connect(net.now, person, Group::Chum)
        .expect("an address");
    net.drain();
}

/// Both dial each other at any moment: one connection is left, that of the smaller key, the same at both.
///
/// Demands: M5.5.
#[test]
fn of_two_that_dial_each_other_one_connection_is_left() {
    for (first, second) in [(ALICE, BOB), (BOB, ALICE)] {
        let mut both_dialled = 0;
        for start in 0..12 {
            let mut net = friends();
            connect(&mut net, first);
            for _ in 0..start {
                net.step();
            }
            let before = net.dialled[second].len();
            connect(&mut net, second);
            let both = net.dialled[second].len() > before;
            both_dialled += usize::from(both);
            net.run();
            let keys =
                [ALICE, BOB].map(|n| *net.nodes[n].identity().instance_key().public().bytes());
            let smaller = if keys[0] < keys[1] { ALICE } else { BOB };
            let links = [ALICE, BOB].map(|n| {
                net.nodes[n]
                    .connections()
                    .map(|c| c.conn)
                    .collect::<Vec<_>>()
            });
            let [[one], [other]] = [&*links[0], &*links[1]] else {
                panic!("{first} {start}: {links:?}")
            };
            assert_eq!(net.other_end((ALICE, *one)), Some((BOB, *other)));
            let role = net.nodes[smaller].connections().next().expect("it").role;
            // Who knows of a connection does not dial.
            let dials = if both { smaller } else { first };
            assert_eq!(
                role == Some(Role::Initiator),
                dials == smaller,
                "{first} {start}"
            );
        }
        assert!(both_dialled >= 4, "{both_dialled}");
    }
}

/// However a connection for CHUM ends, unless nothing was heard on it, the close says the same.
///
/// Demands: M9.11.
#[test]
fn a_chum_connection_is_closed_with_one_text() {
    for case in ["by its user", "an altered frame", "a text", "forgotten"] {
        let mut net = friends();
        connect(&mut net, BOB);
        net.run();
        net.closes.clear();
        let of_alice = net.nodes[ALICE].connections().next().expect("it").conn;
        let of_bob = net.nodes[BOB].connections().next().expect("it").conn;
        match case {
            "by its user" => net.nodes[ALICE].close(net.now, of_alice),
            "forgotten" => {
                let bob = net.nodes[BOB].identity().person_id();
                net.nodes[ALICE]
                    .forget(net.now, bob, None)
                    .expect("a contact");
            }
            _ => {
                let message = Message::Text("hello");
                net.nodes[BOB].send(net.now, of_bob, message).expect("room");
            }
        }
        while net.step_with(|(to, _), (kind, bytes)| {
            if to == ALICE && case == "an altered frame" {
                bytes[20] ^= 1;
            } else if to == ALICE && case == "a text" {
                (*kind, *bytes) = (Kind::Text, b"hello".to_vec());
            }
        }) {}
        let first = net.closes.first().expect("a close");
        let due = ((ALICE, of_alice), 1000, "Close called: Sync failed.".into());
        assert_eq!(*first, due, "{case}");
    }
}

/// A node presents its instance key, when it pairs and later.
///
/// Demands: M3.5.
#[test]
fn a_node_presents_its_instance_key() {
    let mut net = net(&["alice", "bob"]);
    let invitation = invite(&mut net, 60);
    join(&mut net, BOB, &invitation);
    let key = net.nodes[BOB].identity().instance_key().public().hex();
    let mut requests = 0;
    let mut look = |net: &mut Net| {
        while net.step_with(|(to, _), (_, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            if to == ALICE && text.contains("communication_request") {
                let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(json["sourcePublicKey"], *key);
                requests += 1;
            }
        }) {}
    };
    look(&mut net);
    net.pass(limits::FIRST_DIAL);
    connect(&mut net, BOB);
    look(&mut net);
    assert_eq!(requests, 2);
    let contact = net.nodes[ALICE].contacts().next().expect("bob");
    assert!(contact.instances[0].key_proven);
}

// --- against a hand-made peer ----------------------------------------------------------------------------------------

/// A stranger, who claims to be somebody on two connections, hands the challenge that it got on the one over on the
/// other, where this node answers first: it gets no answer, and both end.
///
/// Demands: M5.3.
#[test]
fn a_challenge_of_this_node_is_not_answered_on_another_connection() {
    let (now, mallory) = (Now::default(), made_up("mallory"));
    let claimed = named("victim@example.org", "victim's laptop");
    let claims = [
        establish::person_id_object(claimed.person()),
        establish::keys_object(&claimed.person_keys()),
    ];
    let node = Node::<Nacl>::new(NodeConfig::new(made_up("alice")), [5; 32], now);
    let mut bench = Bench::of(node.expect("a good configuration"));

    let mut one = Tester::connect(&mut bench, now, mallory.instance_key().used_as(), 1);
    let group = r#"{"command":"connection_group","connectionGroupName":"pairing"}"#;
    for said in [group, &claims[0], &claims[1]] {
        one.say(&mut bench, now, Message::Text(said));
    }
    let (kind, challenge) = one.hear(&mut bench, now).pop().expect("a challenge");
    assert_eq!((kind, challenge.len()), (Kind::Binary, 104));

    let json = serde_json::json!({
        "token": "t".repeat(64),
        "publicKey": mallory.instance_key().public().hex(),
        "url": "ws://mallory",
    });
    let invitation = Invitation::read(&json.to_string()).expect("an invitation");
    let conn = bench.node.join(now, &invitation).expect("a join");
    bench.node.opened(now, conn);
    let mut two = Tester::answer(&mut bench, now, conn, mallory.instance_key().clone(), 2);
    for said in [r#"{"command":"sync"}"#, &claims[0], &claims[1]] {
        two.say(&mut bench, now, Message::Text(said));
    }
    two.hear(&mut bench, now);
    two.say(&mut bench, now, Message::Binary(&challenge));
    assert!(two.hear(&mut bench, now).is_empty(), "it is not answered");
    for tester in [&one, &two] {
        let fault = bench.fault(tester.conn).expect("both end");
        assert_eq!(fault.why, Why::ReflectedChallenge);
    }
}

/// Who presents this node's own instance key is refused in the handshake, and who claims its person in the
/// establishment.
///
/// Demands: M5.4.
#[test]
fn ones_own_keys_at_the_other_end_are_refused() {
    let (now, own) = (Now::default(), made_up("alice"));
    let bench = || {
        let node = Node::<Nacl>::new(NodeConfig::new(own.clone()), [5; 32], now);
        Bench::of(node.expect("a good configuration"))
    };
    let mut of_instance = bench();
    let conn = of_instance.accept(now);
    let request = CommunicationRequest {
        source: own.instance_key().public().presented(),
        target: own.instance_key().public(),
    };
    of_instance.message(now, conn, Message::Text(&request.text()));
    of_instance.message(now, conn, Message::Binary(&[1; 72]));
    let refusal = Refusal::Oneself;
    let fault = of_instance.fault(conn).expect("a refusal");
    assert_eq!(fault.why, Why::Refused { refusal });

    let mut of_person = bench();
    let other = Identity::import::<Nacl>("alice@example.org", "phone", &own.export_secrets());
    let key = made_up("mallory").instance_key().used_as();
    let mut tester = Tester::connect(&mut of_person, now, key, 1);
    for said in [
        r#"{"command":"connection_group","connectionGroupName":"pairing"}"#,
        &establish::person_id_object(other.person()),
    ] {
        tester.say(&mut of_person, now, Message::Text(said));
    }
    let fault = of_person.fault(tester.conn).expect("it ends");
    assert_eq!(fault.why, Why::SamePerson);
}
