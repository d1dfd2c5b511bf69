//! What a node owes its embedder and its peers besides: lies are found, promises about tokens are kept, what was taken is
//! delivered, what is lost is dialled again.

use chumwire::channel::SendError;
use chumwire::fault::{Fault, Part, TokenFault, Why};
use chumwire::io::{ConnId, Machine};
use chumwire::node::Event;
use chumwire::pairing::{InvitationId, InvitationState};
use chumwire::relay::RelayEvent;
use chumwire::step::Step;
use chumwire::time::Micros;

use super::tokens::refusals;
use crate::deployed::{DeployedConfig, Lie};
use crate::link::Side;
use crate::party::{PartyId, Told};
use crate::scenario::{
    Meeting, Scenario, Stage, Stop, Truth, Via, Who, code_of, connected, end_of, ends, heard_texts,
    pairings,
};
use crate::stranger::stranger_request;

const VIAS: [Via; 2] = [Via::Direct, Via::Relay];

/// Nothing is known and nothing was told of a pairing.
fn nothing_came_of_it(stage: &Stage, id: PartyId) -> Result<(), Stop> {
    let stored = stage.world.store(id).contacts().len();
    stage.equal(
        &(stored, pairings(&stage.world, id)),
        &(0, 0),
        "contacts and pairings",
    )
}

/// The last connection of a node has ended as a mismatch, of this part if one is given.
fn mismatch(stage: &Stage, id: PartyId, due: Option<Part>) -> Result<Fault, Stop> {
    let mut faults = ends(&stage.world, id)
        .into_iter()
        .filter_map(|(_, fault)| fault);
    let fault = stage.some(faults.next_back(), "a connection ends")?;
    let is = match &fault.why {
        Why::IdentityMismatch { part } => due.is_none_or(|due| due == *part),
        _ => false,
    };
    stage.require(is, &format!("a mismatch of {due:?} is told: {fault:?}"))?;
    Ok(fault)
}

pub(super) const LYING_PEER: Scenario = Scenario {
    name: "lying-peer",
    about: "a peer says something of itself that does not agree with what it has proven",
    required: "the connection ends as a mismatch, nothing is stored, an honest peer can pair",
    script: |stage| {
        let via = stage.one_of(&VIAS);
        let lie = stage.one_of(&Lie::ALL);
        let liar = stage.deployed_with("liar", via, |config| config.faults.lie = Some(lie));
        let alice = stage.ours("alice", via);
        let meeting = match stage.one_of(&["ours invites", "ours joins"]) {
            "ours invites" => stage.meeting_of(via, alice, liar)?,
            _ => stage.meeting_of(via, liar, alice)?,
        };
        stage.join(meeting.joiner, &meeting.invitation)?;
        stage.run(12_000)?;
        let part = match lie {
            Lie::KeysOwner => Some(Part::KeysOwner),
            Lie::InstanceOwner => Some(Part::InstanceOwner),
            // Of several that do not agree, either may be named.
            Lie::Email | Lie::Name | Lie::PersonKey | Lie::SignKey => None,
        };
        mismatch(stage, alice, part)?;
        nothing_came_of_it(stage, alice)?;
        let bob = stage.ours("bob", Via::Direct);
        let url = stage.world.url(bob);
        let invitation = stage.invite(bob, &url)?;
        stage.pair(&Meeting {
            inviter: bob,
            joiner: alice,
            invitation,
        })?;
        Ok(Truth::open())
    },
};

pub(super) const IMPOSTOR: Scenario = Scenario {
    name: "impostor",
    about: "somebody pairs under the email of a contact, with another person key",
    required: "refused as a mismatch; what is known of the contact stays as it was",
    script: |stage| {
        let honest = DeployedConfig::new("bob@example.org", "browser");
        let bob = stage.deployed("bob", Via::Direct);
        let mallory = stage.deployed_with("mallory", Via::Direct, |config| {
            config.email.clone_from(&honest.email);
            config.instance.clone_from(&honest.instance);
            // Signing keys are public: anybody can show one.
            config.sign = honest.sign;
        });
        let alice = stage.ours("alice", Via::Direct);
        let meeting = stage.meeting_of(Via::Direct, alice, bob)?;
        stage.pair(&meeting)?;
        stage.run(1_000)?;
        let before = stage.world.store(alice).contacts().clone();
        let meeting = stage.meeting_of(Via::Direct, alice, mallory)?;
        stage.join(mallory, &meeting.invitation)?;
        stage.run(12_000)?;
        // Before a challenge is answered.
        let told = mismatch(stage, alice, Some(Part::PersonKey))?;
        stage.equal(&told.step, &Step::Keys, "the step")?;
        let same = *stage.world.store(alice).contacts() == before;
        stage.require(same, "the contact is as it was")?;
        Ok(Truth::open())
    },
};

/// Runs until a connection holds an invitation of a node: which invitation, and which connection.
fn held(stage: &mut Stage, id: PartyId) -> Result<(InvitationId, ConnId), Stop> {
    let find = move |world: &crate::World<crate::Insecure>| {
        let mut all = world
            .is_up(id)
            .then(|| world.node(id).invitations())
            .into_iter()
            .flatten();
        all.find_map(|(record, state)| match state {
            InvitationState::Held(conn) => Some((record.id, conn)),
            _ => None,
        })
    };
    stage.until(10_000, |world| find(world).is_some())?;
    let found = find(&stage.world);
    stage.some(found, "a connection holds the invitation")
}

pub(super) const RELEASED_TOKEN: Scenario = Scenario {
    name: "released-token",
    about: "the connection that holds a token is lost before the identities were exchanged",
    required: "the token is free again for the same person alone, and expires in time",
    script: |stage| {
        let mut meeting = stage.meeting(Via::Direct, Who::Ours, Who::Ours)?;
        let alice = meeting.inviter;
        let then = stage.one_of(&["somebody else", "nobody", "too late"]);
        let life = Micros::secs(if then == "too late" { 3 } else { 20 });
        meeting.invitation = stage.invite_for(alice, "ws://alice", life)?;
        let begun = stage.world.now().mono;
        stage.join(meeting.joiner, &meeting.invitation)?;
        let (_, conn) = held(stage, alice)?;
        let link = stage.world.link_of(alice, conn);
        let (link, _) = stage.some(link, "a link")?;
        if then == "too late" {
            // It is free again when its time is over.
            for side in Side::BOTH {
                stage.world.silence(link, side);
            }
            stage.run(12_000)?;
            let told = stage
                .world
                .events(alice)
                .any(|e| matches!(e, Event::Expired(_)));
            stage.require(told, "its end is told")?;
            return Ok(Truth::open());
        }
        stage.world.cut(link);
        stage.run(500)?;
        nothing_came_of_it(stage, alice)?;
        if then == "nobody" {
            let left = (begun + Micros::secs(21)).since(stage.world.now().mono);
            stage.run(left.as_millis())?;
            let told = stage
                .world
                .events(alice)
                .any(|e| matches!(e, Event::Expired(_)));
            stage.require(told, "its end is told")?;
            return Ok(Truth::open());
        }
        let carol = stage.ours("carol", Via::Direct);
        stage.join(carol, &meeting.invitation)?;
        stage.run(2_000)?;
        let refused = refusals(stage, alice);
        stage.equal(&refused, &vec![TokenFault::OtherPerson], "refusals")?;
        nothing_came_of_it(stage, alice)?;
        stage.join(meeting.joiner, &meeting.invitation)?;
        let paired = stage.until(5_000, |world| pairings(world, alice) == 1)?;
        stage.require(paired, "who presented it first can pair")?;
        Ok(Truth::open())
    },
};

pub(super) const REVOKED_TOKEN: Scenario = Scenario {
    name: "revoked-token",
    about: "an invitation is revoked while a connection holds it",
    required: "that connection is closed; nobody is known by it",
    script: |stage| {
        let via = stage.one_of(&VIAS);
        let meeting = stage.meeting(via, Who::Ours, Who::Ours)?;
        let alice = meeting.inviter;
        stage.join(meeting.joiner, &meeting.invitation)?;
        let (id, conn) = held(stage, alice)?;
        let revoked = stage
            .world
            .call(alice, "revoke", |node, now| node.revoke(now, id));
        stage.equal(&revoked, &Ok(()), "revoking gives")?;
        stage.run(3_000)?;
        let told = code_of(&stage.world, alice, conn);
        stage.equal(&told, &Some("withdrawn"), "the connection ends")?;
        nothing_came_of_it(stage, alice)?;
        Ok(Truth::open())
    },
};

pub(super) const LONG_TALK: Scenario = Scenario {
    name: "long-talk",
    about: "two say texts that look like control messages, and messages of many fragments",
    required: "all is heard, as it was said",
    script: |stage| {
        stage.either_order();
        let friends = stage.friends(|_, _| {})?;
        let mut texts: Vec<String> = Vec::new();
        for word in [
            "keepalive",
            "fragmentation_start_string",
            "fragmentation_start_binary",
            "fragmentation_end",
        ] {
            texts.extend([
                word.to_owned(),
                format!("{word}x"),
                format!("{word} and more"),
            ]);
        }
        for length in [0, 1, 16_383, 16_384, 65_535, 65_536, 65_537, 150_001] {
            texts.push("t".repeat(length));
        }
        // Where it begins.
        let first = stage.pick(texts.len());
        texts.rotate_left(first);
        for text in &texts {
            stage.says(friends.ids[0], friends.conns[0], text)?;
            stage.run(300)?;
        }
        let heard = heard_texts(&stage.world, friends.ids[1], friends.conns[1]);
        stage.require(heard == texts, "all is heard, as it was said")?;
        Ok(Truth::open())
    },
};

pub(super) const FULL_SEND: Scenario = Scenario {
    name: "full-send",
    about: "an embedder says more than the link takes",
    required: "what is refused is not delivered; what is taken is, once and in order",
    script: |stage| {
        let friends = stage.friends(|_, _| {})?;
        let (id, conn) = (friends.ids[0], friends.conns[0]);
        let link = stage.world.link_of(id, conn);
        let (link, side) = stage.some(link, "a link")?;
        let length = [100, 1_000, 30_000][stage.pick(3)];
        let mut taken = 0;
        for _ in 0..2 {
            stage.world.clog(link, side.other());
            let mut refused = 0;
            for _ in 0..20_000 {
                stage.running(id)?;
                match stage.world.say(id, conn, length) {
                    Ok(_) => taken += 1,
                    Err(SendError::Full(_)) => refused += 1,
                    Err(_) => break,
                }
                if refused > 2 {
                    break;
                }
            }
            stage.require(refused > 2, "it is full at some time")?;
            stage.world.release(link, side.other());
            stage.run(1_000)?;
        }
        let heard = heard_texts(&stage.world, friends.ids[1], friends.conns[1]).len();
        stage.equal(&heard, &taken, "messages that were heard")?;
        Ok(Truth::open())
    },
};

pub(super) const CLOSE_REASON: Scenario = Scenario {
    name: "close-reason",
    about: "one side of a relayed pair closes",
    required: "the other side is told the same words",
    script: |stage| {
        let meeting = stage.meeting(Via::Relay, Who::Ours, Who::Ours)?;
        let Ok(()) = stage
            .world
            .call(meeting.inviter, "revoke_all", |node, now| {
                node.revoke_all(now);
                Ok::<(), core::convert::Infallible>(())
            });
        let conn = stage.join(meeting.joiner, &meeting.invitation)?;
        stage.run(3_000)?;
        let told = end_of(&stage.world, meeting.joiner, conn).flatten();
        let reason = match told.map(|fault: Fault| fault.why) {
            Some(Why::ClosedByPeer { reason, .. }) => reason,
            other => format!("{other:?}"),
        };
        let due = "Close called: Pairing failed.".to_owned();
        stage.equal(&reason, &due, "the joiner is told")?;
        Ok(Truth::open())
    },
};

/// Two who know each other, and the second keeps a connection with the first.
fn keepers(stage: &mut Stage) -> Result<[PartyId; 2], Stop> {
    let (ids, contacts) = stage.friends_apart(Via::Direct, None, false)?;
    stage.connect(ids[1], contacts[1].person_id)?;
    let both = stage.until(20_000, |world| {
        ids.iter().all(|id| !connected(world, *id).is_empty())
    })?;
    stage.require(both, "both are connected")?;
    Ok(ids)
}

/// The link of the connection that a node has.
fn link_of(stage: &Stage, id: PartyId) -> Result<(crate::LinkId, Side), Stop> {
    let conn = connected(&stage.world, id).first().copied();
    let link = conn.and_then(|conn| stage.world.link_of(id, conn));
    stage.some(link, "a link")
}

pub(super) const HALF_OPEN_LINK: Scenario = Scenario {
    name: "half-open-link",
    about: "a connection is lost, for both or only for who dialled",
    required: "it is dialled again, and soon there is one connection, the same at both",
    script: |stage| {
        let ids = keepers(stage)?;
        let young = stage.pick(2) == 0;
        stage.run(if young { 100 } else { 4_000 })?;
        let (link, side) = link_of(stage, ids[1])?;
        match stage.one_of(&["for both", "for who dialled"]) {
            "for both" => stage.world.cut(link),
            _ => stage.world.half_open(link, side),
        }
        // Ten seconds until it is dialled again, and the steps.
        stage.run(13_000)?;
        let left = ids.map(|id| connected(&stage.world, id));
        let one = left.iter().all(|conns| conns.len() == 1);
        stage.require(one, &format!("one connection at both: {left:?}"))?;
        let (Some(from), Some(to)) = (left[1].first(), left[0].first()) else {
            return Err(Stop::Disturbed);
        };
        stage.says(ids[1], *from, "the same one")?;
        stage.run(1_000)?;
        let heard = heard_texts(&stage.world, ids[0], *to);
        stage.equal(
            &heard,
            &vec!["the same one".to_owned()],
            "the other one hears",
        )?;
        Ok(Truth::open())
    },
};

pub(super) const DROPPED_ROUTE: Scenario = Scenario {
    name: "dropped-route",
    about: "a connection is lost, and before it is dialled again nobody wants it any more",
    required: "it is not dialled again",
    script: |stage| {
        let ids = keepers(stage)?;
        let person = stage.node(ids[1])?.contacts().next().map(|c| c.person_id);
        let person = stage.some(person, "a contact")?;
        let (link, _) = link_of(stage, ids[1])?;
        stage.world.cut(link);
        let pause = 1 + stage.pick(4_000) as u64;
        stage.run(pause)?;
        stage.disconnect(ids[1], person)?;
        stage.run(60_000)?;
        stage.equal(&stage.world.links().count(), &0, "links")?;
        let waits = stage.node(ids[1])?.deadline();
        stage.equal(&waits, &None, "what it waits for")?;
        Ok(Truth::open())
    },
};

pub(super) const UNANSWERED_DIAL: Scenario = Scenario {
    name: "unanswered-dial",
    about: "a socket that is dialled does not open",
    required: "given up after 5 s, by name",
    script: |stage| {
        let meeting = stage.meeting(Via::Direct, Who::Ours, Who::Ours)?;
        stage.set_latency(Micros::secs(60), Micros::ZERO);
        let conn = stage.join(meeting.joiner, &meeting.invitation)?;
        stage.run(5_100)?;
        let told = end_of(&stage.world, meeting.joiner, conn).flatten();
        stage.equal(
            &told,
            &Some(Why::Timeout.at(Step::Dial)),
            "the joiner tells",
        )?;
        Ok(Truth::open())
    },
};

pub(super) const SPARE_ORDER: Scenario = Scenario {
    name: "spare-order",
    about: "one of several spare connections is handed over",
    required: "the one that was registered last",
    script: |stage| {
        let alice = stage.ours_with("alice", Via::Relay, |config| config.spares = 3);
        let bob = stage.ours("bob", Via::Relay);
        stage.listening(5)?;
        let key = stage.node(alice)?.identity().instance_key().public();
        let invitation = stage.invite(alice, crate::scenario::RELAY)?;
        stage.join(bob, &invitation)?;
        let handed = |stage: &Stage| {
            stage
                .world
                .told()
                .iter()
                .find_map(|(_, _, told)| match told {
                    Told::Relay(RelayEvent::HandedOver { spare, .. }) => Some(*spare),
                    _ => None,
                })
        };
        stage.run(2_000)?;
        let handed = stage.some(handed(stage), "a spare connection is handed over")?;
        let registered: Vec<ConnId> = stage
            .world
            .told()
            .iter()
            .take_while(|(_, _, told)| !matches!(told, Told::Relay(RelayEvent::HandedOver { .. })))
            .filter_map(|(_, _, told)| match told {
                Told::Relay(RelayEvent::Registered { conn, key: of }) if *of == key => Some(*conn),
                _ => None,
            })
            .collect();
        stage.equal(&Some(&handed), &registered.last(), "the spare")?;
        Ok(Truth::open())
    },
};

/// A stranger asks for a key at the relay, and says nothing when it is given a connection.
fn asks(stage: &mut Stage, mallory: PartyId, alice: PartyId) -> Result<(), Stop> {
    let request = stranger_request::<crate::Insecure>(&stage.instance_key(alice)?);
    stage.play(mallory, |puppet| {
        let conn = puppet.dial(crate::scenario::RELAY);
        puppet.text(conn, &request);
    })
}

pub(super) const SPARE_REPLACED: Scenario = Scenario {
    name: "spare-replaced",
    about: "a spare connection is handed over, and its session lasts",
    required: "another one is registered in its place, long before the session ends",
    script: |stage| {
        stage.set_latency(Micros::millis(5), Micros::ZERO);
        let alice = stage.ours("alice", Via::Relay);
        let mallory = stage.world.add_puppet("mallory");
        stage.listening(2)?;
        asks(stage, mallory, alice)?;
        stage.run(1_000)?;
        let relay = stage.relay();
        let spares = crate::scenario::relay_stats(&stage.world, relay).spares;
        stage.equal(&spares, &2, "spare connections")?;
        Ok(Truth::open())
    },
};

pub(super) const HALF_OPEN_BOUND: Scenario = Scenario {
    name: "half-open-bound",
    about: "a stranger takes one spare connection after the other and says nothing",
    required: "the listener keeps no more half-open sessions than it is allowed, and listens again when they are over",
    script: |stage| {
        stage.set_latency(Micros::millis(5), Micros::ZERO);
        let bound = 2;
        let alice = stage.ours_with("alice", Via::Relay, |config| config.half_open = bound);
        let mallory = stage.world.add_puppet("mallory");
        stage.listening(2)?;
        for _ in 0..bound + 3 {
            asks(stage, mallory, alice)?;
            stage.run(200)?;
        }
        // The steps' limit, and the delay before a registration is tried again.
        stage.run(25_000)?;
        stage.listening(2)?;
        Ok(Truth::open())
    },
};
