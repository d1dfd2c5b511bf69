//! Pairings and talks, in good weather and in bad.

use chumwire::pairing::InvitationState;

use crate::link::{Faults, Side};
use crate::scenario::{
    Scenario, Stage, Truth, Via, Who, code_of, ends, heard_texts, is_quiet, pairings, relay_stats,
};

const WHOS: [Who; 2] = [Who::Ours, Who::Deployed];

pub(super) const PAIRING: Scenario = Scenario {
    name: "pairing",
    about: "two pair, directly or through a relay, whoever they are",
    required: "both pair, and nothing is left",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let (inviter, joiner) = (stage.one_of(&WHOS), stage.one_of(&WHOS));
        // What other implementations may do as well.
        let (shouts, instance_key) = (stage.pick(2) == 1, stage.pick(2) == 1);
        // Deployed peers compare hex as it is written.
        let shouts = shouts && inviter != joiner;
        let [alice, bob] = [("alice", inviter), ("bob", joiner)].map(|(name, who)| match who {
            Who::Ours => stage.ours(name, via),
            Who::Deployed => stage.deployed_with(name, via, |config| {
                (config.shouts, config.instance_key_in_pairing) = (shouts, instance_key);
            }),
        });
        let meeting = stage.meeting_of(via, alice, bob)?;
        stage.pair(&meeting)?;
        stage.run(1_000)?;
        stage.require(is_quiet(&stage.world), "nothing is left")?;
        for id in stage.parties(Who::Ours) {
            let well = ends(&stage.world, id)
                .iter()
                .all(|(_, fault)| fault.is_none());
            stage.require(well, "every connection of ours ends well")?;
        }
        Ok(Truth::nothing())
    },
};

/// Some faults are off altogether, the others wild.
fn wild(stage: &mut Stage) -> Faults {
    let mut some = |permille| if stage.pick(3) == 0 { permille } else { 0 };
    Faults {
        loss: some(60),
        duplicate: some(60),
        reorder: some(150),
        distance: 3,
        flip: some(60),
        truncate: some(40),
        cut: some(40),
        silence: some(30),
        mirror: some(30),
        clog: some(100),
        merge: some(100),
        ..Faults::default()
    }
}

pub(super) const SWARM: Scenario = Scenario {
    name: "swarm",
    about: "links misbehave in every way at once during a pairing, then no more",
    required: "nothing is left over, and the same two can pair",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let (inviter, joiner) = stage.one_of(&[
            (Who::Ours, Who::Ours),
            (Who::Ours, Who::Deployed),
            (Who::Deployed, Who::Ours),
        ]);
        let mut meeting = stage.meeting(via, inviter, joiner)?;
        let faults = wild(stage);
        stage.let_links(faults);
        stage.join(meeting.joiner, &meeting.invitation)?;
        stage.run(40_000)?;
        stage.let_links(Faults::default());
        // Which connections are silent is not known to anybody; doubles wait for ever on theirs.
        if via == Via::Direct {
            let links: Vec<_> = stage.world.links().map(|link| link.id).collect();
            for link in links {
                for side in Side::BOTH {
                    stage.world.silence(link, side);
                }
            }
        }
        for id in stage.parties(Who::Deployed) {
            stage.world.restart(id);
        }
        stage.run(150_000)?;
        if via == Via::Relay {
            stage.require(is_quiet(&stage.world), "no session is left")?;
            let relay = stage.relay();
            let spares = relay_stats(&stage.world, relay).spares;
            stage.equal(&spares, &4, "spare connections")?;
        }
        if inviter == Who::Ours {
            let mut states = stage.node(meeting.inviter)?.invitations();
            let held = states.any(|(_, state)| matches!(state, InvitationState::Held(_)));
            drop(states);
            stage.require(!held, "no token is held for ever")?;
        }
        let before = [meeting.inviter, meeting.joiner].map(|id| pairings(&stage.world, id));
        let url = match via {
            Via::Direct => "ws://alice",
            Via::Relay => crate::scenario::RELAY,
        };
        meeting.invitation = stage.invite(meeting.inviter, url)?;
        stage.join(meeting.joiner, &meeting.invitation)?;
        let paired = stage.until(20_000, |world| {
            pairings(world, meeting.inviter) > before[0]
                && pairings(world, meeting.joiner) > before[1]
        })?;
        stage.require(paired, "the same two pair")?;
        Ok(Truth::open())
    },
};

/// What goes wrong with a talk's link: its name, the causes, and the fault.
fn troubles() -> [(&'static str, &'static [&'static str], Faults); 8] {
    let none = Faults::default;
    let (often, rarely, distance) = (200, 60, 2);
    [
        ("none", &[], none()),
        (
            "reorder",
            &["reordered"],
            Faults {
                reorder: often,
                distance,
                ..none()
            },
        ),
        (
            "duplicate",
            &["duplicate_frame"],
            Faults {
                duplicate: rarely,
                ..none()
            },
        ),
        (
            "loss",
            &["lost_frame"],
            Faults {
                loss: rarely,
                ..none()
            },
        ),
        (
            "flip",
            &["tampered"],
            Faults {
                flip: rarely,
                ..none()
            },
        ),
        (
            "truncate",
            &["truncated", "tampered"],
            Faults {
                truncate: rarely,
                ..none()
            },
        ),
        (
            "cut",
            &["connection_lost"],
            Faults {
                cut: rarely,
                ..none()
            },
        ),
        (
            "silence",
            &["keepalive"],
            Faults {
                silence: rarely,
                ..none()
            },
        ),
    ]
}

pub(super) const CHAT_UNDER_FAULTS: Scenario = Scenario {
    name: "chat-under-faults",
    about: "two talk over a link that misbehaves in one way",
    required: "what is heard is a beginning of what was said, in order, once each; all of it if nothing ended",
    script: |stage| {
        stage.either_order();
        let troubles = troubles();
        let (name, causes, faults) = troubles[stage.pick(troubles.len())];
        stage.note(name.into());
        let friends = stage.friends(|_, _| {})?;
        stage.run(1_000)?;
        // The hop between the relay and Alice.
        let link = stage.world.link_of(friends.ids[0], friends.conns[0]);
        let (link, _) = stage.some(link, "a link")?;
        stage.world.set_faults(link, faults);
        let mut said = [Vec::new(), Vec::new()];
        for i in 0..30 {
            let who = stage.pick(2);
            let (id, conn) = (friends.ids[who], friends.conns[who]);
            let open = friends
                .ids
                .iter()
                .zip(&friends.conns)
                .all(|(id, conn)| code_of(&stage.world, *id, *conn).is_none());
            if !open {
                break;
            }
            let word = format!("word {i}");
            stage.says(id, conn, &word)?;
            said[who].push(word);
            let pause = [0, 1, 30][stage.pick(3)];
            stage.run(pause)?;
        }
        // One more thing, so that the last loss is seen; then all that can be noticed is.
        stage.run(1_000)?;
        stage.world.set_faults(link, Faults::default());
        stage.run(35_000)?;
        let ended = [0, 1].map(|i| code_of(&stage.world, friends.ids[i], friends.conns[i]));
        for (who, said) in said.iter().enumerate() {
            let other = 1 - who;
            let heard = heard_texts(&stage.world, friends.ids[other], friends.conns[other]);
            stage.require(
                said.starts_with(&heard),
                "heard is a beginning of what was said",
            )?;
            if ended == [None, None] {
                stage.equal(&heard.len(), &said.len(), "all is heard")?;
            }
        }
        if ended == [None, None] {
            let mut causes = causes.to_vec();
            causes.insert(0, "nothing_wrong");
            if name == "none" {
                return Ok(Truth::nothing());
            }
            return Ok(Truth::of(&causes));
        }
        stage.require(name != "none", "nothing ends in good weather")?;
        stage.note("ended".into());
        Ok(Truth::of(causes))
    },
};
