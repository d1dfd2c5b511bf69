//! Spare connections and their handover.

use chumwire::fault::Why;
use chumwire::io::{ConnId, Kind, Machine, Message};
use chumwire::relay::{RelayConfig, RelayEvent};
use chumwire::step::Step;
use chumwire::time::Micros;

use super::GROUP;
use crate::link::{LinkInfo, Side};
use crate::party::{PartyId, Told};
use crate::scenario::{
    Scenario, Stage, Stop, Truth, Via, Who, code_of, end_of, ends, pairings, relay_stats,
};
use crate::stranger::{HandRelay, Stranger, stranger_request};
use crate::wire::Onward;

const NO_LISTENER: &str = "Close called: No listening connection for the specified publicKey.";

/// Whether a connection was refused because nobody listens.
fn found_nobody(stage: &Stage, id: PartyId, conn: ConnId) -> bool {
    let fault = end_of(&stage.world, id, conn).flatten();
    matches!(fault.map(|fault| fault.why),
        Some(Why::ClosedByPeer { reason, .. }) if reason == NO_LISTENER)
}

/// The relay's connections that were dialled by a party.
fn links_of(stage: &Stage, id: PartyId) -> Vec<LinkInfo> {
    stage
        .world
        .links()
        .filter(|link| link.dialler.0 == id)
        .collect()
}

pub(super) const HANDOVER_BURST: Scenario = Scenario {
    name: "handover-burst",
    about: "the handover and the request come at once, or the second before the first was looked at",
    required: "connects",
    script: |stage| match stage.one_of(&["one read", "apart", "unpolled", "a relay", "a deaf peer"])
    {
        "a relay" => {
            stage.set_latency(Micros::ZERO, Micros::ZERO);
            let joiner = stage.one_of(&[Who::Ours, Who::Deployed]);
            let meeting = stage.meeting(Via::Relay, Who::Ours, joiner)?;
            stage.pair(&meeting)?;
            Ok(Truth::nothing())
        }
        "a deaf peer" => {
            // A listener that exchanges its handlers between the two messages.
            let alice = stage.deployed_with("alice", Via::Relay, |config| {
                config.faults.deaf_after_handover = Micros::millis(50);
            });
            let bob = stage.ours("bob", Via::Relay);
            let meeting = stage.meeting_of(Via::Relay, alice, bob)?;
            let conn = stage.join(bob, &meeting.invitation)?;
            stage.run(15_000)?;
            let told = end_of(&stage.world, bob, conn).flatten();
            stage.equal(
                &told,
                &Some(Why::Timeout.at(Step::Ready)),
                "the initiator tells",
            )?;
            Ok(Truth::of(&["silent_peer"]))
        }
        how => burst(stage, how),
    },
};

fn burst(stage: &mut Stage, how: &str) -> Result<Truth, Stop> {
    let alice = stage.ours_with("alice", Via::Direct, |config| config.spares = 1);
    let key = stage.instance_key(alice)?;
    let relay = stage.world.add_puppet("old-relay");
    stage.running(alice)?;
    let listens = stage.world.call(alice, "listen", |node, now| {
        node.listen(now, Some("ws://old-relay"))
    });
    stage.equal(&listens, &Ok(()), "listening gives")?;
    let spare = HandRelay::registers(&mut stage.world, relay, &key);
    let conn = stage.stuck(spare)?;
    stage.run(100)?;
    let handover = r#"{"command":"connection_handover"}"#;
    let request = stranger_request::<crate::Insecure>(&key);
    let link = links_of(stage, alice).first().cloned();
    let link = stage.some(link, "a spare connection")?;
    if how == "unpolled" {
        let own = link.dialler.1;
        stage.running(alice)?;
        stage.world.on_node(alice, |node, now| {
            for text in [handover, &request] {
                let _ = node.message(now, own, Message::Text(text));
            }
        });
    } else {
        match how {
            "one read" => stage.world.merge_reads(link.id, Side::Dialler, 2),
            _ => stage
                .world
                .split_reads(link.id, Side::Dialler, Micros::millis(3)),
        }
        stage.play(relay, |puppet| {
            puppet.text(conn, handover);
            puppet.text(conn, &request);
        })?;
    }
    let stranger = Stranger::initiates(&mut stage.world, relay, conn, &key);
    let mut stranger = stage.stuck(stranger)?;
    let sent = stranger.says(&mut stage.world, GROUP);
    stage.stuck(sent)?;
    let sync = stranger.hears(&mut stage.world);
    let sync = stage.stuck(sync)?;
    stage.require(
        String::from_utf8_lossy(&sync).contains("sync"),
        "the acceptor is willing",
    )?;
    stage.play(relay, |puppet| puppet.close(conn, "Close called."))?;
    stage.run(500)?;
    Ok(Truth::of(&["nothing_wrong", "peer_closed"]))
}

pub(super) const HANDOVER_ANSWER_EARLY: Scenario = Scenario {
    name: "handover-answer-early",
    about: "the listener's answer reaches the relay while it still hands over",
    required: "delivered",
    script: |stage| {
        if stage.one_of(&["our relay", "a relay that loses it"]) != "our relay" {
            let meeting = stage.meddled(Via::Relay, Who::Ours, Who::Ours, |passing, onwards| {
                if (passing.from, passing.index) == (Side::Listener, 0) {
                    onwards.clear();
                }
            })?;
            let conn = stage.join(meeting.joiner, &meeting.invitation)?;
            stage.run(15_000)?;
            let told = end_of(&stage.world, meeting.joiner, conn).flatten();
            let due = Some(Why::Timeout.at(Step::Ready));
            stage.equal(&told, &due, "the initiator tells")?;
            return Ok(Truth::of(&["lost_frame"]));
        }
        // The answer is quicker than the news that the request has left.
        let latency = [0, 200, 500, 1_000][stage.pick(4)];
        stage.set_latency(Micros(latency), Micros::ZERO);
        let meeting = stage.meeting(Via::Relay, Who::Ours, Who::Ours)?;
        let relay = stage.relay();
        stage.run(100)?;
        let heard = |world: &crate::World<crate::Insecure>| -> u64 {
            let from_alice = |link: &LinkInfo| link.dialler.0 == meeting.inviter;
            world
                .links()
                .filter(from_alice)
                .map(|link| link.delivered[0])
                .sum()
        };
        stage.join(meeting.joiner, &meeting.invitation)?;
        stage.until(1_000, |world| relay_stats(world, relay).handed > 0)?;
        let before = heard(&stage.world);
        stage.until(1_000, |world| {
            // Both messages of the handover have come, so the answer is on its way.
            relay_stats(world, relay).handed == 0 || heard(world) >= before + 2
        })?;
        let early = relay_stats(&stage.world, relay).handed > 0;
        stage.note(if early { "early" } else { "late" }.into());
        let paired = stage.paired(&meeting)?;
        stage.require(paired, "both have paired")?;
        Ok(Truth::nothing())
    },
};

/// A relay that pings so often that a handover often comes in between; and links that are slow enough for that.
fn pinging(stage: &mut Stage) {
    stage.set_latency(Micros::millis(30), Micros::millis(20));
    let mut config = RelayConfig::default();
    config.ping_interval = Micros::millis(200);
    stage.relay_with(config);
}

pub(super) const PING_IN_FLIGHT: Scenario = Scenario {
    name: "ping-in-flight",
    about: "the handover starts while a ping is unanswered",
    required: "the pong never enters the relayed stream",
    script: |stage| {
        pinging(stage);
        if stage.one_of(&["our relay", "a relay that leaks it"]) != "our relay" {
            let meeting = stage.meddled(Via::Relay, Who::Ours, Who::Ours, |passing, onwards| {
                if (passing.from, passing.index) == (Side::Listener, 0) {
                    let pong = Onward {
                        bytes: br#"{"command":"pong"}"#.into(),
                        kind: Kind::Text,
                        ..onwards[0].clone()
                    };
                    onwards.insert(0, pong);
                }
            })?;
            let conn = stage.join(meeting.joiner, &meeting.invitation)?;
            stage.run(2_000)?;
            let told = code_of(&stage.world, meeting.joiner, conn);
            stage.equal(&told, &Some("wrong_message"), "the initiator tells")?;
            return Ok(Truth::of(&["malformed_message"]));
        }
        let inviter = stage.one_of(&[Who::Ours, Who::Deployed]);
        let meeting = stage.meeting(Via::Relay, inviter, Who::Ours)?;
        let relay = stage.relay();
        let moment = stage.pick(300) as u64;
        stage.run(moment)?;
        stage.join(meeting.joiner, &meeting.invitation)?;
        let begun = stage.until(5_000, |world| {
            let stats = relay_stats(world, relay);
            stats.picked + stats.handed > 0
        })?;
        stage.require(begun, "a handover starts")?;
        let raced = relay_stats(&stage.world, relay).picked > 0;
        stage.note(if raced { "ping" } else { "no ping" }.into());
        let paired = stage.paired(&meeting)?;
        stage.require(paired, "both have paired")?;
        Ok(Truth::nothing())
    },
};

/// Whether the relay has told this cause of a connection's end.
fn relay_told(stage: &Stage, code: &str) -> bool {
    stage.world.told().iter().any(|(_, _, told)| {
        matches!(told, Told::Relay(RelayEvent::Ended { fault, .. }) if fault.why.code() == code)
    })
}

pub(super) const UNASKED_PONG: Scenario = Scenario {
    name: "unasked-pong",
    about: "a listener sends pongs unasked, then a handover is due",
    required: "closed; no pong in any relayed stream",
    script: |stage| {
        let pongs = 1 + stage.pick(3) as u32;
        let alice = stage.deployed_with("alice", Via::Relay, |config| {
            config.faults.unasked_pongs = pongs;
        });
        let bob = stage.ours("bob", Via::Relay);
        stage.run(500)?;
        stage.require(relay_told(stage, "unasked_pong"), "the relay names it")?;
        let invitation = stage.invite(alice, crate::scenario::RELAY)?;
        let conn = stage.join(bob, &invitation)?;
        stage.run(3_000)?;
        stage.require(
            found_nobody(stage, bob, conn),
            "nobody listens under that key",
        )?;
        Ok(Truth::of(&["unasked_pong"]))
    },
};

pub(super) const SPARE_DRAIN: Scenario = Scenario {
    name: "spare-drain",
    about: "a stranger sends requests for one key as fast as it can",
    required: "half-open sessions bounded; a legitimate pairing still gets through within a bounded time",
    script: |stage| {
        let meeting = stage.meeting(Via::Relay, Who::Ours, Who::Ours)?;
        let alice = meeting.inviter;
        let mallory = stage.world.add_puppet("mallory");
        let request = stranger_request::<crate::Insecure>(&stage.instance_key(alice)?);
        let every = stage.one_of(&[10, 20, 40]);
        let until = stage.world.now().mono + Micros::secs(45);
        let mut dialled = None;
        while stage.world.now().mono < until && pairings(&stage.world, alice) == 0 {
            stage.play(mallory, |puppet| {
                let conn = puppet.dial(crate::scenario::RELAY);
                puppet.text(conn, &request);
            })?;
            stage.run(every)?;
            let most = chumwire::limits::HALF_OPEN + chumwire::limits::SPARES;
            // Closing ones are still there for as long as the close travels.
            let sessions = links_of(stage, alice).len();
            stage.require(sessions <= 2 * most, &format!("{sessions} sessions"))?;
            let over =
                dialled.is_none_or(|conn| end_of(&stage.world, meeting.joiner, conn).is_some());
            if over && pairings(&stage.world, meeting.joiner) == 0 {
                dialled = Some(stage.join(meeting.joiner, &meeting.invitation)?);
            }
        }
        let paired = stage.paired(&meeting)?;
        stage.require(paired, "a legitimate pairing gets through")?;
        stage.run(15_000)?;
        Ok(Truth::of(&["too_many_half_open", "nobody_listening"]))
    },
};

pub(super) const PAIRING_ON_ALL_SPARES: Scenario = Scenario {
    name: "pairing-on-all-spares",
    about: "a listener would run the pairing on every spare connection",
    required: "ours: one session only, the other spares hear nothing, the token is used once",
    script: |stage| {
        if stage.one_of(&["ours", "a listener that answers on all"]) != "ours" {
            let alice = stage.deployed_with("alice", Via::Relay, |config| {
                config.faults.ready_on_all_spares = true;
            });
            let bob = stage.ours("bob", Via::Relay);
            let meeting = stage.meeting_of(Via::Relay, alice, bob)?;
            stage.join(bob, &meeting.invitation)?;
            stage.run(3_000)?;
            // The relay takes nothing but a pong from a spare connection.
            stage.require(
                relay_told(stage, "wrong_message"),
                "the relay closes the others",
            )?;
            return Ok(Truth::of(&["malformed_message"]));
        }
        let joiner = stage.one_of(&[Who::Ours, Who::Deployed]);
        let meeting = stage.meeting(Via::Relay, Who::Ours, joiner)?;
        // The last answers of the registration are heard.
        stage.run(100)?;
        let before: Vec<_> = links_of(stage, meeting.inviter)
            .iter()
            .map(|link| (link.id, link.delivered[0]))
            .collect();
        stage.equal(&before.len(), &2, "spare connections")?;
        stage.pair(&meeting)?;
        stage.run(2_000)?;
        let idle = links_of(stage, meeting.inviter)
            .iter()
            .filter(|link| before.contains(&(link.id, link.delivered[0])))
            .count();
        stage.equal(&idle, &1, "spare connections that heard nothing")?;
        stage.equal(&ends(&stage.world, meeting.inviter).len(), &1, "sessions")?;
        stage.equal(&pairings(&stage.world, meeting.inviter), &1, "pairings")?;
        Ok(Truth::nothing())
    },
};

pub(super) const SPARE_DIES_AT_HANDOVER: Scenario = Scenario {
    name: "spare-dies-at-handover",
    about: "the spare's socket dies between pick and handover",
    required: "the next spare is used",
    script: |stage| {
        let pings = stage.one_of(&["picked", "handed"]) == "picked";
        if pings {
            pinging(stage);
        }
        let meeting = stage.meeting(Via::Relay, Who::Ours, Who::Ours)?;
        let relay = stage.relay();
        let moment = stage.pick(300) as u64;
        stage.run(moment)?;
        stage.join(meeting.joiner, &meeting.invitation)?;
        let begun = stage.until(5_000, |world| {
            let stats = relay_stats(world, relay);
            stats.picked + stats.handed > 0
        })?;
        stage.require(begun, "a handover starts")?;
        let links = links_of(stage, meeting.inviter);
        let dying: Vec<&LinkInfo> = links.iter().filter(|link| link.in_flight[0] > 0).collect();
        let dying = match dying.as_slice() {
            [one] => (*one).clone(),
            // Which one the relay has picked is not to be seen.
            _ => links[stage.pick(links.len())].clone(),
        };
        stage.world.cut(dying.id);
        let paired = stage.paired(&meeting)?;
        let handed = stage.world.told().iter().any(|(_, _, told)| {
            matches!(told, Told::Relay(RelayEvent::HandedOver { spare, .. })
                if Some(*spare) == dying.accepted)
        });
        stage.note(if handed { "too late" } else { "in time" }.into());
        // The request had left in the same moment: then the connection is the listener's.
        stage.require(paired || handed, "the next spare is used")?;
        Ok(match handed {
            true => Truth::of(&["connection_lost"]),
            false => Truth::of(&["spare_died"]),
        })
    },
};

pub(super) const TWO_INITIATORS_ONE_SPARE: Scenario = Scenario {
    name: "two-initiators-one-spare",
    about: "two requests, one spare",
    required: "one connects, the other is refused, or gets the replacement; none hangs",
    script: |stage| {
        let alice = stage.ours_with("alice", Via::Relay, |config| config.spares = 1);
        stage.listening(1)?;
        stage.run(100)?;
        let mut conns = Vec::new();
        for name in ["bob", "carol"] {
            let id = stage.ours(name, Via::Direct);
            let invitation = stage.invite(alice, crate::scenario::RELAY)?;
            let pause = [0, 0, 0, 60][stage.pick(4)];
            stage.run(pause)?;
            conns.push((id, stage.join(id, &invitation)?));
        }
        stage.run(15_000)?;
        let paired: Vec<usize> = conns
            .iter()
            .map(|(id, _)| pairings(&stage.world, *id))
            .collect();
        stage.require(paired.iter().sum::<usize>() >= 1, "one connects")?;
        let mut refused = false;
        for ((id, conn), paired) in conns.into_iter().zip(paired) {
            stage.require(end_of(&stage.world, id, conn).is_some(), "none hangs")?;
            let nobody = found_nobody(stage, id, conn);
            stage.require(nobody != (paired == 1), "who does not pair is refused")?;
            refused |= nobody;
        }
        stage.note(if refused { "refused" } else { "replaced" }.into());
        Ok(match refused {
            true => Truth::of(&["nobody_listening"]),
            false => Truth::nothing(),
        })
    },
};
