//! Pairings: ours with ours, ours with the deployed peer's double in both roles, directly and by relay.

use chumwire::crypto::{Nacl, Reference, Suite};
use chumwire::fault::{TokenFault, Why};
use chumwire::node::Event;
use chumwire::pairing::InvitationState;
use chumwire::role::Role;
use chumwire::step::Step;
use chumwire::time::Micros;
use chumwire_sim::deployed::DeployedEvent;
use chumwire_sim::{Insecure, Scheduled, World};

use crate::common::{
    LONG, Meeting, RELAY, Via, Who, end_of, ends, jittery, join, last_code, pairings,
};

const WAYS: [Via; 2] = [Via::Direct, Via::Relay];

/// Everything that has to hold after a pairing.
fn check_paired<S: Suite>(meeting: &mut Meeting<S>, hint: &str) {
    let (a, b) = (meeting.inviter, meeting.joiner);
    assert!(
        meeting.pair(),
        "{hint}: not paired\n{}",
        meeting.world.trace_so_far().tail(60)
    );
    // The close travels, and every session ends.
    meeting
        .world
        .run_for(Micros::secs(15))
        .expect("no violation");
    let world = &meeting.world;
    for (me, other, role) in [(a, b, Role::Acceptor), (b, a, Role::Initiator)] {
        assert_eq!(pairings(world, me.0), 1, "{hint}");
        if me.1 != Who::Ours {
            continue;
        }
        let paired = world.events(me.0).find_map(|event| match event {
            Event::Paired {
                role,
                contact,
                invitation,
                ..
            } => Some((*role, contact, *invitation)),
            _ => None,
        });
        let (as_role, contact, invitation) = paired.expect("paired");
        assert_eq!(as_role, role, "{hint}");
        assert_eq!(invitation.is_some(), role == Role::Acceptor, "{hint}");
        let (person, instance) = match other.1 {
            Who::Ours => {
                let identity = world.node(other.0).identity();
                (
                    identity.person_id().to_string(),
                    identity.instance_key().public().hex(),
                )
            }
            Who::Deployed => {
                let double = world.deployed(other.0);
                let key = double
                    .instance_key()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                (double.person_id().to_owned(), key)
            }
        };
        assert_eq!(contact.person_id.to_string(), person, "{hint}");
        assert_eq!(contact.instances[0].instance_key.hex(), instance, "{hint}");
        // What was told is what is stored, and what the node knows.
        assert_eq!(
            world.store(me.0).contacts().values().collect::<Vec<_>>(),
            [contact],
            "{hint}"
        );
        assert_eq!(
            world.node(me.0).contacts().collect::<Vec<_>>(),
            [contact],
            "{hint}"
        );
        // Exactly one session, and it ended well.
        assert_eq!(
            ends(world, me.0)
                .iter()
                .map(|(_, fault)| fault)
                .collect::<Vec<_>>(),
            [&None],
            "{hint}"
        );
        if role == Role::Acceptor {
            let states: Vec<InvitationState> = world
                .node(me.0)
                .invitations()
                .map(|(_, state)| state)
                .collect();
            assert_eq!(states, [InvitationState::Spent], "{hint}");
            assert_eq!(world.store(me.0).spent().len(), 1, "{hint}");
            assert!(world.store(me.0).invitations().is_empty(), "{hint}");
        }
    }
    for (me, other) in [(a, b), (b, a)] {
        if me.1 == Who::Deployed && other.1 == Who::Ours {
            let identity = world.node(other.0).identity();
            let known = world
                .deployed(me.0)
                .known()
                .next()
                .expect("it knows the peer");
            assert_eq!(known.person, identity.person_id().to_string(), "{hint}");
            assert_eq!(
                known.instance_key,
                identity.instance_key().public().hex(),
                "{hint}"
            );
            assert_eq!(known.instance, identity.instance_id().to_string(), "{hint}");
        }
    }
    if let Some(relay) = meeting.relay() {
        let stats = world.relay(relay).stats();
        assert_eq!(
            (stats.spares, stats.handed_over, stats.relayed),
            (4, 1, 0),
            "{hint}"
        );
    }
}

fn meet_and_pair<S: Suite>(seed: u64, via: Via, inviter: Who, joiner: Who) -> World<S> {
    let mut meeting = Meeting::new(jittery::<S>(seed), via, inviter, joiner);
    meeting.join();
    check_paired(
        &mut meeting,
        &format!("seed {seed}, {via:?}, {inviter:?} invites {joiner:?}"),
    );
    meeting.world
}

#[test]
fn two_of_ours_pair_whatever_the_schedule() {
    for seed in 0..150 {
        for via in WAYS {
            meet_and_pair::<Insecure>(seed, via, Who::Ours, Who::Ours);
        }
    }
}

#[test]
fn ours_and_the_deployed_peer_pair_in_both_roles_whatever_the_schedule() {
    for seed in 0..75 {
        for via in WAYS {
            meet_and_pair::<Insecure>(seed, via, Who::Ours, Who::Deployed);
            meet_and_pair::<Insecure>(seed, via, Who::Deployed, Who::Ours);
        }
    }
}

#[test]
fn with_real_cryptography_it_is_the_same() {
    for via in WAYS {
        for (inviter, joiner) in [
            (Who::Ours, Who::Ours),
            (Who::Ours, Who::Deployed),
            (Who::Deployed, Who::Ours),
        ] {
            meet_and_pair::<Nacl>(1, via, inviter, joiner);
        }
    }
    meet_and_pair::<Reference>(1, Via::Relay, Who::Deployed, Who::Ours);
    // The double with itself: the model is whole.
    meet_and_pair::<Nacl>(1, Via::Relay, Who::Deployed, Who::Deployed);
}

#[test]
fn the_same_choices_give_the_same_trace() {
    for who in [Who::Ours, Who::Deployed] {
        let run = |seed| meet_and_pair::<Insecure>(seed, Via::Relay, Who::Ours, who);
        let (one, two, other) = (run(7), run(7), run(8));
        assert_eq!(one.trace_so_far().lines(), two.trace_so_far().lines());
        assert_eq!(one.trace_so_far().hash(), two.trace_so_far().hash());
        assert_ne!(one.trace_so_far().hash(), other.trace_so_far().hash());
    }
}

#[test]
fn a_recorded_schedule_repeats_a_run() {
    let first = meet_and_pair::<Insecure>(11, Via::Relay, Who::Ours, Who::Ours);
    let again = {
        use chumwire_sim::{Config, Profile};
        let profile = Profile {
            jitter: Micros::millis(20),
            ..Profile::default()
        };
        let config = Config {
            profile,
            drain: Micros::millis(3),
            store: Micros::millis(9),
            ..Config::default()
        };
        let world = World::<Insecure>::new(config, Scheduled::new(first.schedule().to_vec()));
        let mut meeting = Meeting::new(world, Via::Relay, Who::Ours, Who::Ours);
        meeting.join();
        check_paired(&mut meeting, "from the schedule");
        meeting.world
    };
    assert_eq!(first.trace_so_far().hash(), again.trace_so_far().hash());
}

/// Who invites, who joins: every pair with one of ours in it.
const PAIRS: [(Who, Who); 3] = [
    (Who::Ours, Who::Ours),
    (Who::Ours, Who::Deployed),
    (Who::Deployed, Who::Ours),
];

/// Runs a pairing that has to fail, and gives the code of ours that refused or was refused.
fn refused(meeting: &mut Meeting<Insecure>, hint: &str) {
    let before = (
        pairings(&meeting.world, meeting.inviter.0),
        pairings(&meeting.world, meeting.joiner.0),
    );
    assert!(
        !meeting
            .world
            .run_until(LONG, |world| {
                (
                    pairings(world, meeting.inviter.0),
                    pairings(world, meeting.joiner.0),
                ) != before
            })
            .expect("no violation"),
        "{hint}"
    );
    for (me, code) in [
        (meeting.inviter, "invitation_refused"),
        (meeting.joiner, "closed_by_peer"),
    ] {
        if me.1 == Who::Ours {
            assert_eq!(last_code(&meeting.world, me.0), Some(code), "{hint}");
        }
    }
}

fn token_fault(meeting: &Meeting<Insecure>) -> Option<TokenFault> {
    ends(&meeting.world, meeting.inviter.0)
        .into_iter()
        .rev()
        .find_map(|(_, fault)| match fault?.why {
            Why::Token { token } => Some(token),
            _ => None,
        })
}

#[test]
fn a_wrong_token_is_refused() {
    for via in WAYS {
        for (inviter, joiner) in PAIRS {
            let hint = format!("{via:?}, {inviter:?} invites {joiner:?}");
            let mut meeting = Meeting::new(jittery(3), via, inviter, joiner);
            let start = meeting.invitation.find(":\"").expect("a token") + 2;
            let old = meeting.invitation.as_bytes()[start];
            let new = if old == b'a' { "b" } else { "a" };
            meeting.invitation.replace_range(start..=start, new);
            meeting.join();
            refused(&mut meeting, &hint);
            if inviter == Who::Ours {
                assert_eq!(token_fault(&meeting), Some(TokenFault::Unknown), "{hint}");
            }
        }
    }
}

#[test]
fn an_expired_token_is_refused() {
    for via in WAYS {
        for (inviter, joiner) in PAIRS {
            let hint = format!("{via:?}, {inviter:?} invites {joiner:?}");
            let mut meeting = Meeting::new(jittery(4), via, inviter, joiner);
            meeting
                .world
                .run_for(Micros::secs(61))
                .expect("no violation");
            meeting.join();
            refused(&mut meeting, &hint);
            if inviter == Who::Ours {
                assert!(
                    matches!(token_fault(&meeting), Some(TokenFault::Expired { .. })),
                    "{hint}"
                );
                let (id, _) = meeting.inviter;
                let told = meeting
                    .world
                    .events(id)
                    .any(|event| matches!(event, Event::Expired(_)));
                assert!(told, "{hint}");
            }
        }
    }
}

#[test]
fn a_revoked_token_is_refused() {
    for via in WAYS {
        for joiner in [Who::Ours, Who::Deployed] {
            let hint = format!("{via:?}, {joiner:?} joins");
            let mut meeting = Meeting::new(jittery(5), via, Who::Ours, joiner);
            let id = meeting.inviter.0;
            assert_eq!(
                meeting.world.on_node(id, |node, now| node.revoke_all(now)),
                1
            );
            meeting.join();
            refused(&mut meeting, &hint);
            assert_eq!(token_fault(&meeting), Some(TokenFault::Revoked), "{hint}");
        }
    }
}

/// Demands: M6.1.
#[test]
fn a_token_is_used_once() {
    for via in WAYS {
        for (inviter, joiner) in PAIRS {
            let hint = format!("{via:?}, {inviter:?} invites {joiner:?}");
            let mut meeting = Meeting::new(jittery(6), via, inviter, joiner);
            meeting.join();
            assert!(meeting.pair(), "{hint}");
            meeting
                .world
                .run_for(Micros::secs(5))
                .expect("no violation");
            meeting.join();
            refused(&mut meeting, &hint);
            if inviter == Who::Ours {
                assert_eq!(token_fault(&meeting), Some(TokenFault::Used), "{hint}");
            }
        }
    }
}

#[test]
fn an_unknown_target_is_refused() {
    for via in WAYS {
        for (inviter, joiner) in PAIRS {
            let hint = format!("{via:?}, {inviter:?} invites {joiner:?}");
            let mut meeting = Meeting::<Insecure>::new(jittery(7), via, inviter, joiner);
            let start = meeting.invitation.find("\"publicKey\":\"").expect("a key") + 13;
            meeting.invitation.replace_range(start..start + 4, "0123");
            let conn = meeting.join();
            meeting.world.run_for(LONG).expect("no violation");
            let world = &meeting.world;
            assert_eq!(
                pairings(world, meeting.inviter.0) + pairings(world, meeting.joiner.0),
                0
            );
            if joiner == Who::Ours {
                let fault = end_of(world, meeting.joiner.0, conn)
                    .flatten()
                    .expect("it ended");
                assert_eq!(fault.why.code(), "closed_by_peer", "{hint}");
                // Of the two answers an acceptor of ours gives the second, and only then refuses.
                let step = match (via, inviter) {
                    (Via::Relay, _) => Step::Ready,
                    (Via::Direct, _) => Step::Key,
                };
                assert_eq!(fault.step, step, "{hint}: {fault}");
            }
            if inviter == Who::Ours && via == Via::Direct {
                assert_eq!(
                    last_code(world, meeting.inviter.0),
                    Some("refused"),
                    "{hint}"
                );
            }
        }
    }
}

/// Demands: M0.1.
#[test]
fn hex_in_upper_case_and_unknown_members_are_taken() {
    let mut world = jittery::<Insecure>(8);
    world.add_relay("relay", Default::default());
    let alice = world.add_node(
        "alice",
        crate::common::config::<Insecure>("alice"),
        Some(RELAY),
    );
    let mut config = chumwire_sim::deployed::DeployedConfig::new("bob@example.org", "browser");
    (config.shouts, config.relay) = (true, Some(RELAY.into()));
    let bob = world.add_deployed("bob", config);
    let relay = world.party("relay").expect("a relay");
    let ready = |world: &World<Insecure>| world.relay(relay).stats().spares == 4;
    assert!(world.run_until(LONG, ready).expect("no violation"));
    let invitation = world
        .on_node(alice, |node, now| node.invite(now, Micros::secs(60), RELAY))
        .expect("one")
        .json();
    join(&mut world, bob, Who::Deployed, &invitation);
    let done = |world: &World<Insecure>| pairings(world, alice) == 1 && pairings(world, bob) == 1;
    assert!(
        world.run_until(LONG, done).expect("no violation"),
        "{}",
        world.trace_so_far().tail(30)
    );
    let silent = world
        .deployed_events(bob)
        .any(|event| matches!(event, DeployedEvent::Raised(..)));
    assert!(!silent);
}
