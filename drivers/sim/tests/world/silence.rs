//! A peer that stops talking, at every step there is: our side ends by itself, and names the step.

use chumwire::crypto::{KeyPair, Relay as RelayUse, Secret, Suite};
use chumwire::establish::Group;
use chumwire::fault::Fault;
use chumwire::io::ConnId;
use chumwire::node::Event;
use chumwire::step::Step;
use chumwire::time::Micros;
use chumwire_sim::deployed::{DeployedConfig, boxed};
use chumwire_sim::{Heard, Insecure, PartyId, Profile, Side, World};

use crate::common::{Meeting, Via, Who, config, ends, jittery, join, pairings};

type W = World<Insecure>;

/// How our side ended: `None` is a good end.
type End = Option<Fault>;

fn run(world: &mut W, seconds: u64) {
    world.run_for(Micros::secs(seconds)).expect("no violation");
}

fn end(world: &W, id: PartyId) -> End {
    let ended = ends(world, id);
    assert_eq!(
        ended.len(),
        1,
        "{ended:?}\n{}",
        world.trace_so_far().tail(40)
    );
    ended.into_iter().next().and_then(|(_, fault)| fault)
}

/// A deployed acceptor that says so many messages and no more.
fn deployed_acceptor(says: u32) -> End {
    let mut world = jittery::<Insecure>(31);
    let alice = world.add_node("alice", config::<Insecure>("alice"), None);
    let mut bob = DeployedConfig::new("bob@example.org", "browser");
    bob.silent_after = Some(says);
    let bob = world.add_deployed("bob", bob);
    let invitation = world.on_deployed(bob, |double, now| double.invite(now, "ws://bob"));
    join(&mut world, alice, Who::Ours, &invitation);
    run(&mut world, 30);
    end(&world, alice)
}

/// A deployed initiator that says so many messages and no more.
fn deployed_initiator(says: u32, leaves_open: bool) -> End {
    let mut world = jittery::<Insecure>(32);
    let alice = world.add_node("alice", config::<Insecure>("alice"), None);
    let mut bob = DeployedConfig::new("bob@example.org", "browser");
    (bob.silent_after, bob.leaves_open) = (Some(says), leaves_open);
    let bob = world.add_deployed("bob", bob);
    let invitation = world.on_node(alice, |node, now| {
        node.invite(now, Micros::secs(60), "ws://alice")
    });
    let invitation = invitation.expect("an invitation").json();
    join(&mut world, bob, Who::Deployed, &invitation);
    run(&mut world, 30);
    // It had the token: it is free again, unless all was said.
    let states: Vec<_> = world
        .node(alice)
        .invitations()
        .map(|(_, state)| state)
        .collect();
    let spent = states == [chumwire::pairing::InvitationState::Spent];
    assert_eq!(spent, says > 9, "{states:?}");
    end(&world, alice)
}

fn dial() -> End {
    let mut world = jittery::<Insecure>(33);
    world.set_profile(Profile {
        latency: Micros::secs(60),
        ..Profile::default()
    });
    let puppet = world.add_puppet("bob");
    let alice = world.add_node("alice", config::<Insecure>("alice"), None);
    let conn = join_puppet(&mut world, alice, puppet);
    run(&mut world, 30);
    crate::common::end_of(&world, alice, conn).expect("it ended")
}

/// A node uses an invitation that leads to a puppet.
fn join_puppet(world: &mut W, id: PartyId, puppet: PartyId) -> ConnId {
    let token = "t".repeat(64);
    let url = world.url(puppet);
    let key = "5".repeat(64);
    let invitation = format!(r#"{{"token":"{token}","publicKey":"{key}","url":"{url}"}}"#);
    join(world, id, Who::Ours, &invitation)
}

/// A puppet that plays the relay until it has said so many messages.
fn relay_puppet(says: usize) -> End {
    let mut world = jittery::<Insecure>(34);
    let relay = world.add_puppet("relay");
    let mut config = config::<Insecure>("alice");
    config.spares = 1;
    let identity_key = *config.identity.instance_key().public().bytes();
    let alice = world.add_node("alice", config, Some("ws://relay"));
    run(&mut world, 1);
    let conn = world
        .on_puppet(relay, |puppet| puppet.take_incoming())
        .expect("it registers");
    let key: KeyPair<RelayUse> = KeyPair::from_secret::<Insecure>(Secret::take(&mut [9; 32]));
    let pair = Insecure::before(&identity_key, key.expose_secret()).expect("a good key");
    let mut random = chumwire::crypto::Random::new([1; 32]);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let challenge = hex(&boxed(&pair, &mut random, &[3; 64]));
    let texts = [
        format!(
            r#"{{"command":"authentication_request","publicKey":"{}","challenge":"{challenge}"}}"#,
            key.public().hex()
        ),
        r#"{"command":"authentication_success","pingInterval":3000}"#.into(),
        r#"{"command":"connection_handover"}"#.into(),
    ];
    for text in &texts[..says] {
        world.on_puppet(relay, |puppet| puppet.text(conn, text));
        run(&mut world, 1);
    }
    run(&mut world, 11);
    let heard: Vec<&Heard> = world.puppet(relay).heard(conn).collect();
    assert!(heard.len() > 1, "{heard:?}");
    // A spare connection that ends has no role, a session has one.
    world.events(alice).find_map(|event| match event {
        Event::Ended {
            conn: ConnId(0),
            fault,
            ..
        } => Some(fault.clone()),
        _ => None,
    })?
}

/// A puppet that dials and says so much of the handshake.
fn puppet_dials(asks: bool) -> End {
    let mut world = jittery::<Insecure>(35);
    let puppet = world.add_puppet("bob");
    let alice = world.add_node("alice", config::<Insecure>("alice"), None);
    let conn = world.on_puppet(puppet, |puppet| puppet.dial("ws://alice"));
    if asks {
        let key = world.node(alice).identity().instance_key().public().hex();
        let text = format!(
            r#"{{"command":"communication_request","sourcePublicKey":"{}","targetPublicKey":"{key}"}}"#,
            "7".repeat(64)
        );
        world.on_puppet(puppet, |puppet| puppet.text(conn, &text));
    }
    run(&mut world, 20);
    end(&world, alice)
}

/// A puppet that is dialled and says so much of the handshake.
fn puppet_answers(ready: bool) -> End {
    let mut world = jittery::<Insecure>(36);
    let puppet = world.add_puppet("bob");
    let alice = world.add_node("alice", config::<Insecure>("alice"), None);
    join_puppet(&mut world, alice, puppet);
    run(&mut world, 1);
    let conn = world
        .on_puppet(puppet, |puppet| puppet.take_incoming())
        .expect("it dials");
    if ready {
        let text = r#"{"command":"communication_ready"}"#;
        world.on_puppet(puppet, |puppet| puppet.text(conn, text));
    }
    run(&mut world, 20);
    end(&world, alice)
}

/// An established connection on which nothing passes any more.
fn connected() -> End {
    let mut world = jittery::<Insecure>(37);
    let add = |world: &mut W, name: &str| {
        let mut config = config::<Insecure>(name);
        config.serve.insert(Group::Chum);
        config.url = Some(format!("ws://{name}"));
        world.add_node(name, config, None)
    };
    let (alice, bob) = (add(&mut world, "alice"), add(&mut world, "bob"));
    let invitation = world.on_node(alice, |node, now| {
        node.invite(now, Micros::secs(60), "ws://alice")
    });
    join(
        &mut world,
        bob,
        Who::Ours,
        &invitation.expect("an invitation").json(),
    );
    assert!(
        world
            .run_until(Micros::secs(5), |w| pairings(w, alice) + pairings(w, bob)
                == 2)
            .expect("ok")
    );
    run(&mut world, 1);
    let person = world.node(alice).identity().person_id();
    world
        .on_node(bob, |node, now| node.connect(now, person, Group::Chum))
        .expect("paired");
    run(&mut world, 2);
    let link = world.links().next().expect("a connection").id;
    for side in Side::BOTH {
        world.silence(link, side);
    }
    run(&mut world, 30);
    let last = ends(&world, alice).pop().expect("it ended");
    last.1
}

/// Who is silent, the code that is expected (`None`: a good end), and how it goes.
type Scenario = (&'static str, Option<&'static str>, fn() -> End);

/// What happens at a step. A new step does not compile without an entry here.
fn scenarios(step: Step) -> Vec<Scenario> {
    const TIMEOUT: Option<&str> = Some("timeout");
    match step {
        Step::Dial => vec![("nobody answers the dialling", TIMEOUT, dial)],
        Step::Register => vec![
            ("the relay does not challenge", TIMEOUT, || relay_puppet(0)),
            ("the relay does not confirm", TIMEOUT, || relay_puppet(1)),
        ],
        Step::Spare => vec![("the relay does not ping", Some("no_ping"), || {
            relay_puppet(2)
        })],
        Step::Handover => vec![("no request follows", TIMEOUT, || relay_puppet(3))],
        Step::Request => {
            vec![("both wait", Some("timeout_both_accept"), || {
                puppet_dials(false)
            })]
        }
        Step::Ready => vec![("no ready comes", TIMEOUT, || puppet_answers(false))],
        Step::Key => vec![
            ("the acceptor", TIMEOUT, || puppet_answers(true)),
            ("the initiator", TIMEOUT, || puppet_dials(true)),
        ],
        Step::Group => vec![("the initiator", TIMEOUT, || deployed_initiator(2, false))],
        Step::Sync => vec![("missing-sync", TIMEOUT, || deployed_acceptor(2))],
        Step::Person => vec![
            ("the acceptor", TIMEOUT, || deployed_acceptor(3)),
            ("the initiator", TIMEOUT, || deployed_initiator(3, false)),
        ],
        Step::Keys => vec![
            ("the acceptor", TIMEOUT, || deployed_acceptor(4)),
            ("the initiator", TIMEOUT, || deployed_initiator(4, false)),
        ],
        Step::ChallengeAnswer => vec![
            ("the acceptor", TIMEOUT, || deployed_acceptor(5)),
            ("the initiator", TIMEOUT, || deployed_initiator(6, false)),
        ],
        Step::ChallengeSent => vec![
            ("the acceptor", TIMEOUT, || deployed_acceptor(6)),
            ("the initiator", TIMEOUT, || deployed_initiator(5, false)),
        ],
        Step::Instance => vec![
            ("the acceptor", TIMEOUT, || deployed_acceptor(7)),
            ("the initiator", TIMEOUT, || deployed_initiator(7, false)),
        ],
        Step::Token => vec![("the initiator", TIMEOUT, || deployed_initiator(8, false))],
        Step::Identity => vec![
            ("the acceptor", TIMEOUT, || deployed_acceptor(8)),
            ("the initiator", TIMEOUT, || deployed_initiator(9, true)),
        ],
        // Who does not close is closed, and it is no failure: the pairing has succeeded.
        Step::Closing => vec![("the initiator", None, || deployed_initiator(10, true))],
        Step::Connected => vec![("both", Some("keepalive"), connected)],
    }
}

/// Demands: M0.3.
#[test]
fn a_silent_peer_ends_at_every_step_by_name() {
    for step in Step::ALL {
        let scenarios = scenarios(*step);
        assert!(!scenarios.is_empty(), "step {step} has no scenario");
        for (who, code, scenario) in scenarios {
            let fault = scenario();
            let got = fault.as_ref().map(|fault| (fault.step, fault.why.code()));
            assert_eq!(
                got,
                code.map(|code| (*step, code)),
                "{step}: silent is {who}"
            );
        }
    }
}

#[test]
fn a_half_open_connection_is_given_up_by_both_sides() {
    // The relay's links, one direction after the other, fall silent in the middle of a pairing.
    for messages in 0..20 {
        for side in Side::BOTH {
            let mut meeting =
                Meeting::<Insecure>::new(jittery(38), Via::Relay, Who::Ours, Who::Ours);
            let before = meeting.world.deliveries();
            meeting.join();
            meeting
                .world
                .run_until(Micros::secs(5), |world| {
                    world.deliveries() >= before + messages
                })
                .expect("no violation");
            if let Some((link, _)) = meeting.world.last_delivery() {
                meeting.world.silence(link, side);
            }
            run(&mut meeting.world, 150);
            let relay = meeting.relay().expect("a relay");
            let stats = meeting.world.relay(relay).stats();
            assert_eq!(
                (stats.relayed, stats.waiting, stats.spares),
                (0, 0, 4),
                "{messages} {side:?}"
            );
        }
    }
}
