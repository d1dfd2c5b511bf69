//! Sockets that close at every message, and parties that crash at every write.

use chumwire::fault::Why;
use chumwire::node::Event;
use chumwire::pairing::InvitationState;
use chumwire::time::Micros;
use chumwire_sim::{Insecure, LinkId, StoreFault};

use crate::common::{
    Meeting, Via, Who, config, end_of, ends, is_quiet, jittery, join, pairings, watch,
};

const PAIRS: [(Who, Who); 3] = [
    (Who::Ours, Who::Ours),
    (Who::Ours, Who::Deployed),
    (Who::Deployed, Who::Ours),
];

fn meeting(seed: u64, via: Via, inviter: Who, joiner: Who) -> Meeting<Insecure> {
    let mut meeting = Meeting::new(jittery(seed), via, inviter, joiner);
    let ours: Vec<_> = [meeting.inviter, meeting.joiner]
        .into_iter()
        .filter(|(_, who)| *who == Who::Ours)
        .map(|(id, _)| id)
        .collect();
    watch(&mut meeting.world, &ours);
    meeting
}

/// What holds when all is over, whatever happened; then the same two try again.
fn check_after(meeting: &mut Meeting<Insecure>, hint: &str) {
    let (a, b) = (meeting.inviter, meeting.joiner);
    let done = [a, b].map(|(id, _)| pairings(&meeting.world, id));
    if b.1 == Who::Ours && a.1 == Who::Ours {
        assert!(done[0] <= done[1], "{hint}: the acceptor paired alone");
    }
    if a.1 == Who::Ours {
        let node = meeting.world.node(a.0);
        let states: Vec<InvitationState> = node.invitations().map(|(_, state)| state).collect();
        let spent = !meeting.world.store(a.0).spent().is_empty();
        let right = match states.as_slice() {
            [InvitationState::Spent] => spent,
            [InvitationState::Open] => !spent,
            // Started anew: what is used up is not known any more.
            [] => spent,
            _ => false,
        };
        assert!(
            right,
            "{hint}: {states:?}, spent: {spent}\n{}",
            meeting.world.trace_so_far().tail(50)
        );
        assert_eq!(
            spent,
            node.contacts().next().is_some(),
            "{hint}: contact and token disagree"
        );
    }
    assert!(is_quiet(&meeting.world), "{hint}: a session is left");
    let used = match a.1 {
        Who::Ours => !meeting.world.store(a.0).spent().is_empty(),
        Who::Deployed => done[0] > 0,
    };
    // A stranger with the same token.
    let relay = meeting.relay().map(|_| crate::common::RELAY);
    let carol = meeting
        .world
        .add_node("carol", config::<Insecure>("carol"), relay);
    if used {
        let invitation = meeting.invitation.clone();
        let conn = join(&mut meeting.world, carol, Who::Ours, &invitation);
        meeting
            .world
            .run_for(Micros::secs(12))
            .expect("no violation");
        let fault = end_of(&meeting.world, carol, conn).flatten();
        assert!(fault.is_some(), "{hint}: a used token was taken");
        assert!(
            meeting.world.node(carol).contacts().next().is_none(),
            "{hint}"
        );
    } else {
        meeting.join();
        let again = |world: &chumwire_sim::World<Insecure>| {
            pairings(world, a.0) > done[0] && pairings(world, b.0) > done[1]
        };
        let paired = meeting
            .world
            .run_until(Micros::secs(25), again)
            .expect("no violation");
        assert!(
            paired,
            "{hint}: the token is not free\n{}",
            meeting.world.trace_so_far().tail(60)
        );
    }
}

#[test]
fn close_mid_step() {
    for via in [Via::Direct, Via::Relay] {
        for (inviter, joiner) in PAIRS {
            for at in 0.. {
                let mut meeting = meeting(21, via, inviter, joiner);
                let (before, first) = (meeting.world.deliveries(), meeting.world.links().count());
                let conn = meeting.join();
                let hint = format!("{via:?}, {inviter:?} invites {joiner:?}, cut after {at}");
                let reached = meeting
                    .world
                    .run_until(Micros::secs(20), |world| world.deliveries() == before + at)
                    .expect("no violation");
                if !reached {
                    assert!(at > 15, "{hint}: a pairing has more messages");
                    break;
                }
                let dialled = meeting
                    .world
                    .link_of(meeting.joiner.0, conn)
                    .map(|(link, _)| link);
                let last = meeting.world.last_delivery().map(|(link, _)| link);
                let newest = meeting.world.links().map(|link| link.id).last();
                assert!(newest >= Some(LinkId(first as u64)) || at > 10, "{hint}");
                let Some(link) = (if at == 0 { dialled } else { last }) else {
                    break;
                };
                meeting.world.cut(link);
                meeting
                    .world
                    .run_for(Micros::secs(14))
                    .expect("no violation");
                for (id, who) in [meeting.inviter, meeting.joiner] {
                    if who != Who::Ours {
                        continue;
                    }
                    for (_, fault) in ends(&meeting.world, id) {
                        let good = fault.as_ref().is_none_or(|fault| {
                            matches!(
                                fault.why,
                                Why::Lost { .. } | Why::ClosedByPeer { .. } | Why::NotOpened { .. }
                            )
                        });
                        assert!(good, "{hint}: {fault:?}");
                    }
                }
                if joiner == Who::Ours {
                    assert!(
                        end_of(&meeting.world, meeting.joiner.0, conn).is_some(),
                        "{hint}"
                    );
                }
                check_after(&mut meeting, &hint);
            }
        }
    }
}

#[test]
fn a_crash_or_a_failure_at_every_write_leaves_a_contact_whole_or_absent() {
    for via in [Via::Direct, Via::Relay] {
        for (inviter, joiner) in PAIRS {
            for fault in [
                StoreFault::Refuse,
                StoreFault::CrashBefore,
                StoreFault::CrashAfter,
            ] {
                for side in 0..2 {
                    for write in 0.. {
                        let hint = format!(
                            "{via:?}, {inviter:?}, {joiner:?}, {fault:?} at {write} of {side}"
                        );
                        let mut meeting = meeting(22, via, inviter, joiner);
                        let (id, who) = [meeting.inviter, meeting.joiner][side];
                        // The invitation itself is stored before anybody joins.
                        meeting
                            .world
                            .run_for(Micros::millis(50))
                            .expect("no violation");
                        let n = meeting.world.store(id).writes();
                        meeting.world.store_mut(id).fail_at(n + write, fault);
                        meeting.join();
                        meeting
                            .world
                            .run_for(Micros::secs(3))
                            .expect("no violation");
                        let tried = meeting.world.store(id).writes() > n + write;
                        if !tried {
                            assert!(
                                who == Who::Deployed || write > 0,
                                "{hint}: nothing is stored"
                            );
                            break;
                        }
                        if fault == StoreFault::Refuse {
                            let told = meeting
                                .world
                                .events(id)
                                .any(|event| matches!(event, Event::StoreFailed(_)));
                            assert!(told, "{hint}");
                        } else {
                            assert!(!meeting.world.is_up(id), "{hint}");
                            meeting.world.restart(id);
                        }
                        meeting
                            .world
                            .run_for(Micros::secs(11))
                            .expect("no violation");
                        let nodes = [meeting.inviter, meeting.joiner];
                        for (id, _) in nodes.iter().filter(|(_, who)| *who == Who::Ours) {
                            let known: Vec<_> = meeting.world.node(*id).contacts().collect();
                            let stored: Vec<_> =
                                meeting.world.store(*id).contacts().values().collect();
                            assert_eq!(known, stored, "{hint}");
                        }
                        check_after(&mut meeting, &hint);
                    }
                }
            }
        }
    }
}

#[test]
fn an_invitation_is_there_after_a_crash_if_it_was_stored() {
    for (fault, works) in [
        (StoreFault::CrashBefore, false),
        (StoreFault::CrashAfter, true),
    ] {
        let mut meeting = meeting(23, Via::Relay, Who::Ours, Who::Ours);
        let id = meeting.inviter.0;
        meeting
            .world
            .run_for(Micros::millis(50))
            .expect("no violation");
        let n = meeting.world.store(id).writes();
        meeting.world.store_mut(id).fail_at(n, fault);
        let invitation = meeting.invite(Micros::secs(60));
        meeting
            .world
            .run_for(Micros::millis(50))
            .expect("no violation");
        assert!(!meeting.world.is_up(id));
        meeting.world.restart(id);
        meeting
            .world
            .run_for(Micros::secs(1))
            .expect("no violation");
        meeting.join_with(&invitation);
        assert_eq!(
            meeting
                .world
                .run_until(Micros::secs(20), |world| pairings(world, id) == 1)
                .expect("no violation"),
            works,
            "{fault:?}"
        );
    }
}
