//! Sockets, parties and relays that end at any moment; and what holds then.

use chumwire::fault::Why;
use chumwire::node::Event;
use chumwire::pairing::InvitationState;
use chumwire::relay::RelayEvent;
use chumwire::step::Step;
use chumwire::time::Micros;

use crate::link::LinkId;
use crate::party::{PartyId, Told};
use crate::scenario::{
    Meeting, Scenario, Stage, Stop, Truth, Via, Who, end_of, ends, is_quiet, pairings, relay_stats,
};
use crate::store::StoreFault;

/// Pairings in which a node of ours takes part.
const PAIRS: [(Who, Who); 3] = [
    (Who::Ours, Who::Ours),
    (Who::Ours, Who::Deployed),
    (Who::Deployed, Who::Ours),
];

fn any_meeting(stage: &mut Stage) -> Result<(Via, Meeting), Stop> {
    let via = stage.one_of(&[Via::Direct, Via::Relay]);
    let (inviter, joiner) = stage.one_of(&PAIRS);
    Ok((via, stage.meeting(via, inviter, joiner)?))
}

/// What holds when all is over, whatever happened: the token is used up or free, and the contact agrees.
fn check(stage: &Stage, meeting: &Meeting) -> Result<(), Stop> {
    stage.require(is_quiet(&stage.world), "no session is left")?;
    let done = [meeting.inviter, meeting.joiner].map(|id| pairings(&stage.world, id));
    if stage.who(meeting.inviter) != Some(Who::Ours) {
        return Ok(());
    }
    if stage.who(meeting.joiner) == Some(Who::Ours) {
        stage.require(
            done[0] <= done[1].max(1),
            "the acceptor has not paired alone",
        )?;
    }
    let node = stage.node(meeting.inviter)?;
    let states: Vec<InvitationState> = node.invitations().map(|(_, state)| state).collect();
    let spent = !stage.world.store(meeting.inviter).spent().is_empty();
    let right = match states.as_slice() {
        [InvitationState::Spent] => spent,
        [InvitationState::Open] => !spent,
        // Started anew: what is used up is not known any more.
        [] => spent,
        _ => false,
    };
    stage.require(right, &format!("the token is {states:?}, spent: {spent}"))?;
    let known = node.contacts().next().is_some();
    stage.equal(&known, &spent, "contact and token agree")
}

/// The same two try again if the token is free; else a third one does, in vain.
fn again(stage: &mut Stage, via: Via, meeting: &Meeting) -> Result<bool, Stop> {
    let done = [meeting.inviter, meeting.joiner].map(|id| pairings(&stage.world, id));
    let used = match stage.who(meeting.inviter) {
        Some(Who::Ours) => !stage.world.store(meeting.inviter).spent().is_empty(),
        _ => done[0] > 0,
    };
    if used {
        let carol = stage.ours("carol", via);
        let conn = stage.join(carol, &meeting.invitation)?;
        stage.run(12_000)?;
        let refused = end_of(&stage.world, carol, conn).flatten().is_some();
        stage.require(refused, "a used token is refused")?;
        stage.equal(
            &pairings(&stage.world, carol),
            &0,
            "pairings of a third one",
        )?;
        return Ok(true);
    }
    stage.join(meeting.joiner, &meeting.invitation)?;
    let (a, b) = (meeting.inviter, meeting.joiner);
    let paired = stage.until(25_000, |world| {
        pairings(world, a) > done[0] && pairings(world, b) > done[1]
    })?;
    stage.require(paired, "the token is free")?;
    Ok(false)
}

/// Whether any connection of ours has ended with a cause.
fn any_fault(stage: &Stage) -> bool {
    stage.parties(Who::Ours).into_iter().any(|id| {
        stage
            .world
            .events(id)
            .any(|event| matches!(event, Event::Ended { fault: Some(_), .. }))
    })
}

pub(super) const CLOSE_MID_STEP: Scenario = Scenario {
    name: "close-mid-step",
    about: "the socket closes at every possible step",
    required: "every machine ends in a final state with the step's name; secrets wiped; the token free again",
    script: |stage| {
        let (via, meeting) = any_meeting(stage)?;
        let at = stage.pick(32) as u64;
        stage.note(format!("after {at}"));
        let before = stage.world.deliveries();
        let conn = stage.join(meeting.joiner, &meeting.invitation)?;
        let reached = stage.until(20_000, |world| world.deliveries() == before + at)?;
        if !reached {
            stage.require(at > 15, "a pairing has more messages")?;
            return Ok(Truth::nothing());
        }
        let dialled = stage.world.link_of(meeting.joiner, conn);
        let last = stage.world.last_delivery();
        let mut causes = vec!["connection_lost"];
        let shuts = via == Via::Relay && stage.pick(4) == 0;
        if shuts {
            stage.note("the relay shuts down".into());
            let relay = stage.relay();
            stage.running(relay)?;
            stage
                .world
                .on_relay(relay, |relay, now| relay.shutdown(now));
        } else if let Some((link, _)) = if at == 0 { dialled } else { last } {
            let is_dialled = dialled.is_some_and(|(dialled, _)| dialled == link);
            if via == Via::Relay && !is_dialled && is_spare(stage, link) {
                causes.insert(0, "spare_died");
            }
            stage.world.cut(link);
        }
        stage.run(14_000)?;
        for id in stage.parties(Who::Ours) {
            for (_, fault) in ends(&stage.world, id) {
                let good = fault.as_ref().is_none_or(|fault| {
                    matches!(
                        fault.why,
                        Why::Lost { .. } | Why::ClosedByPeer { .. } | Why::NotOpened { .. }
                    )
                });
                stage.require(good, &format!("it ends as closed or lost: {fault:?}"))?;
            }
        }
        if stage.who(meeting.joiner) == Some(Who::Ours) {
            let ended = end_of(&stage.world, meeting.joiner, conn).is_some();
            stage.require(ended, "the joiner's connection has ended")?;
        }
        if shuts {
            let relay = stage.relay();
            stage.world.crash(relay);
            stage.world.restart(relay);
            stage.run(25_000)?;
            return Ok(Truth::of(&[
                "shutdown",
                "peer_closed",
                "unreachable",
                "party_crashed",
            ]));
        }
        check(stage, &meeting)?;
        let faulty = any_fault(stage);
        let again = stage.one_of(&["once", "again"]) == "again" && again(stage, via, &meeting)?;
        if again {
            causes.push(used_up(stage, &meeting));
        } else if !faulty {
            // All had been said.
            causes.push("nothing_wrong");
        }
        Ok(Truth::of(&causes))
    },
};

/// A crash, and what others see of it who come while the party is away.
fn crashed() -> Truth {
    Truth::of(&["party_crashed", "unreachable", "nobody_listening"])
}

/// How the inviter tells of an invitation that was used.
fn used_up(stage: &Stage, meeting: &Meeting) -> &'static str {
    let knows = stage.who(meeting.inviter) == Some(Who::Ours)
        && stage
            .world
            .node(meeting.inviter)
            .invitations()
            .next()
            .is_some();
    // Neither a double nor who was started anew remembers it.
    match knows {
        true => "invitation_used",
        false => "invitation_unknown",
    }
}

/// Whether a link to the relay is a spare connection, or becomes one, and its listener has not heard a request on it.
fn is_spare(stage: &Stage, link: LinkId) -> bool {
    let info = stage.world.links().find(|info| info.id == link);
    let Some(info) = info else { return false };
    let (party, conn) = info.dialler;
    if stage.who(party) == Some(Who::Ours) && stage.world.is_up(party) {
        let mut all = stage.world.node(party).connections();
        return all.any(|own| own.conn == conn && own.step <= Step::Handover);
    }
    let used = stage.world.told().iter().any(|(_, _, told)| {
        matches!(told, Told::Relay(RelayEvent::HandedOver { spare, initiator, .. })
            if [Some(*spare), Some(*initiator)].contains(&info.accepted))
    });
    !used
}

pub(super) const CRASH_RESTART: Scenario = Scenario {
    name: "crash-restart",
    about: "a party crashes at any moment, or at or around any write, or a write is refused; then it starts again",
    required: "a contact is whole or absent, a token used up or free, and the same two can try again",
    script: |stage| {
        let (via, meeting) = any_meeting(stage)?;
        // The invitation itself is stored before anybody joins.
        stage.run(50)?;
        let victim = [meeting.inviter, meeting.joiner][stage.pick(2)];
        let how = stage.one_of(&[
            None,
            Some(StoreFault::Refuse),
            Some(StoreFault::CrashBefore),
            Some(StoreFault::CrashAfter),
        ]);
        let at = stage.pick(600) as u64;
        let write = stage.world.store(victim).writes();
        if let Some(fault) = how {
            stage.world.store_mut(victim).fail_at(write, fault);
        }
        stage.join(meeting.joiner, &meeting.invitation)?;
        let truth = match how {
            None => {
                stage.run(at)?;
                stage.world.crash(victim);
                crashed()
            }
            Some(fault) => {
                stage.run(3_000)?;
                let tried = stage.world.store(victim).writes() > write;
                // Doubles store nothing.
                let stores = stage.who(victim) == Some(Who::Ours);
                stage.equal(&tried, &stores, "something is stored")?;
                match (tried, fault) {
                    (false, _) => Truth::nothing(),
                    (true, StoreFault::Refuse) => {
                        let told = stage
                            .world
                            .events(victim)
                            .any(|event| matches!(event, Event::StoreFailed(_)));
                        stage.require(told, "the embedder is told")?;
                        Truth::of(&["storage_failed"])
                    }
                    _ => {
                        stage.require(!stage.world.is_up(victim), "it has crashed")?;
                        crashed()
                    }
                }
            }
        };
        restart(stage, victim)?;
        if stage.who(victim) == Some(Who::Deployed) {
            // Its tokens are gone with it.
            return Ok(truth);
        }
        for id in stage.parties(Who::Ours) {
            let known: Vec<_> = stage.node(id)?.contacts().collect();
            let stored: Vec<_> = stage.world.store(id).contacts().values().collect();
            stage.equal(&known, &stored, "what is known is what is stored")?;
        }
        check(stage, &meeting)?;
        let mut truth = truth;
        if stage.one_of(&["once", "again"]) == "again" && again(stage, via, &meeting)? {
            truth.causes.push(used_up(stage, &meeting));
        }
        Ok(truth)
    },
};

/// Starts what does not run, and lets it come back.
fn restart(stage: &mut Stage, id: PartyId) -> Result<(), Stop> {
    if !stage.world.is_up(id) {
        stage.run(50)?;
        stage.world.restart(id);
    }
    stage.run(14_000)
}

pub(super) const RELAY_RESTART: Scenario = Scenario {
    name: "relay-restart",
    about: "the relay crashes at any moment of a pairing, and comes back",
    required: "listeners say that they are offline, find it again, and the pairing can be tried again",
    script: |stage| {
        let (inviter, joiner) = stage.one_of(&PAIRS);
        let meeting = stage.meeting(Via::Relay, inviter, joiner)?;
        let relay = stage.relay();
        stage.join(meeting.joiner, &meeting.invitation)?;
        let moment = stage.pick(400) as u64;
        stage.run(moment)?;
        stage.world.crash(relay);
        stage.run(3_000)?;
        for id in stage.parties(Who::Ours) {
            stage.require(!stage.node(id)?.is_online(), "a listener is offline")?;
        }
        stage.world.restart(relay);
        stage.run(25_000)?;
        for id in stage.parties(Who::Ours) {
            stage.require(stage.node(id)?.is_online(), "a listener is online again")?;
        }
        let spares = relay_stats(&stage.world, relay).spares;
        stage.equal(&spares, &4, "spare connections")?;
        check(stage, &meeting)?;
        let [a, b] = [meeting.inviter, meeting.joiner].map(|id| pairings(&stage.world, id));
        if a + b == 0 {
            stage.join(meeting.joiner, &meeting.invitation)?;
            let paired = stage.world.run_until(Micros::secs(20), |world| {
                pairings(world, meeting.inviter) > 0 && pairings(world, meeting.joiner) > 0
            })?;
            stage.require(paired, "both have paired at last")?;
        }
        // Who dials meanwhile finds nobody there.
        Ok(Truth::of(&["party_crashed", "unreachable"]))
    },
};
