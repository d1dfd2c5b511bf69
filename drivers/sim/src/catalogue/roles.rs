//! Who may speak with whom, and who plays which role.

use chumwire::channel::Diagnosis;
use chumwire::establish::Group;
use chumwire::fault::{Refusal, Why};
use chumwire::node::Misuse;
use chumwire::step::Step;

use crate::deployed::{DeployedConfig, DeployedFaults};
use crate::scenario::{
    Meeting, Scenario, Stage, Stop, Truth, Via, Who, config, end_of, ends, is_quiet, last_code,
    last_diagnosis, pairings,
};
use crate::wire::Wire;
use crate::{Insecure, PartyId};

pub(super) const NO_INVITATION: Scenario = Scenario {
    name: "no-invitation",
    about: "an instance tries to connect with one that it has not paired with",
    required: "refused at once as not paired, no socket opened; who dials nevertheless is refused by the other side",
    script: |stage| {
        let alice = stage.ours_with("alice", Via::Direct, |config| {
            config.serve.insert(Group::Chum);
        });
        let stranger = config::<Insecure>("bob").identity.person_id();
        stage.running(alice)?;
        let refused = stage.world.call(alice, "connect", |node, now| {
            node.connect(now, stranger, Group::Chum)
        });
        stage.equal(&refused, &Err(Misuse::NotPaired), "an attempt gives")?;
        stage.run(30_000)?;
        stage.equal(&stage.world.links().count(), &0, "sockets")?;
        match stage.one_of(&["a deployed stranger", "one whom the other forgot"]) {
            "a deployed stranger" => {
                let bob = stage.deployed("bob", Via::Direct);
                let key = stage.instance_key(alice)?;
                stage.running(bob)?;
                stage
                    .world
                    .on_deployed(bob, |double, _| double.connect("ws://alice", key, "chum"));
            }
            _ => {
                // They had paired; Alice has forgotten it.
                let bob = stage.ours_with("bob", Via::Direct, |config| config.url = None);
                let meeting = stage.meeting_of(Via::Direct, alice, bob)?;
                stage.pair(&meeting)?;
                stage.run(500)?;
                let a = stage.node(alice)?.identity().person_id();
                let b = stage.node(bob)?.identity().person_id();
                stage.running(alice)?;
                let forgot = stage
                    .world
                    .call(alice, "forget", |node, now| node.forget(now, b, None));
                stage.equal(&forgot, &Ok(()), "forgetting gives")?;
                stage.connect(bob, a)?;
                stage.run(3_000)?;
                stage.disconnect(bob, a)?;
            }
        }
        stage.run(5_000)?;
        stage.equal(
            &last_code(&stage.world, alice),
            &Some("not_paired"),
            "the refusal",
        )?;
        stage.require(is_quiet(&stage.world), "nothing is left")?;
        Ok(Truth::of(&["not_paired"]))
    },
};

pub(super) const WRONG_KEY_IN_INVITATION: Scenario = Scenario {
    name: "wrong-key-in-invitation",
    about: "the invitation carries the inviter's person key",
    required: "direct: the acceptor's log names it, the initiator sees a close in step key; through a relay nobody listens under that key",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let inviter = stage.one_of(&[Who::Ours, Who::Deployed]);
        let alice = match inviter {
            Who::Ours => stage.ours("alice", via),
            Who::Deployed => stage.deployed_with("alice", via, |config| {
                config.faults.person_key_in_invitation = true;
            }),
        };
        let bob = stage.ours("bob", via);
        let mut meeting = stage.meeting_of(via, alice, bob)?;
        if inviter == Who::Ours {
            let identity = config::<Insecure>("alice").identity;
            let (good, bad) = (
                identity.instance_key().public().hex(),
                identity.person_key().public().hex(),
            );
            meeting.invitation = meeting.invitation.replace(&good, &bad);
        }
        let conn = stage.join(bob, &meeting.invitation)?;
        stage.run(3_000)?;
        let fault = end_of(&stage.world, bob, conn).flatten();
        let fault = stage.some(fault, "the joiner ends")?;
        let Why::ClosedByPeer { reason, .. } = fault.why else {
            stage.require(false, &format!("the joiner is closed by its peer: {fault}"))?;
            return Err(Stop::Disturbed);
        };
        if via == Via::Relay {
            stage.equal(&fault.step, &Step::Ready, "the joiner's step")?;
            let due = "Close called: No listening connection for the specified publicKey.";
            stage.equal(&reason.as_str(), &due, "the relay's words")?;
            return Ok(Truth::of(&["nobody_listening", "wrong_key_in_invitation"]));
        }
        stage.equal(&fault.step, &Step::Key, "the joiner's step")?;
        if inviter == Who::Ours {
            let refusal = Refusal::PersonKeyTarget;
            let told = ends(&stage.world, alice).pop().and_then(|(_, fault)| fault);
            let told = told.map(|fault| fault.why);
            stage.equal(&told, &Some(Why::Refused { refusal }), "the acceptor's log")?;
            let due = "Close called: Handshake failed.";
            stage.equal(&reason.as_str(), &due, "what the joiner is told")?;
            return Ok(Truth::of(&["wrong_key_in_invitation"]));
        }
        // The deployed peer does not say what is wrong with the key.
        Ok(Truth::of(&["unknown_target"]))
    },
};

pub(super) const BOTH_ACCEPT: Scenario = Scenario {
    name: "both-accept",
    about: "both sides run the acceptor",
    required: "both time out in step request, and name a role conflict as the likely cause (that a side which dialled accepts does not compile)",
    script: |stage| {
        let whos = stage.one_of(&[
            (Who::Ours, Who::Ours),
            (Who::Ours, Who::Deployed),
            (Who::Deployed, Who::Deployed),
        ]);
        let ids = [
            stage.either("alice", whos.0, Via::Direct),
            stage.either("bob", whos.1, Via::Direct),
        ];
        // A wire that dials both.
        let wire = stage.world.add_puppet("wire");
        let conns = stage.play(wire, |puppet| {
            [puppet.dial("ws://alice"), puppet.dial("ws://bob")]
        })?;
        stage.run(15_000)?;
        for (id, conn) in ids.into_iter().zip(conns) {
            stage.running(wire)?;
            let closed = stage.world.puppet(wire).end_of(conn).is_some();
            match stage.who(id) {
                Some(Who::Ours) => {
                    let told = ends(&stage.world, id).pop().and_then(|(_, fault)| fault);
                    let due = Why::TimeoutBothAccept.at(Step::Request);
                    stage.equal(&told, &Some(due), "ours tells")?;
                    stage.require(closed, "ours closes")?;
                }
                _ => stage.require(!closed, "a deployed peer waits for ever")?,
            }
        }
        Ok(Truth::of(&["both_accept"]))
    },
};

pub(super) const BOTH_CONNECT: Scenario = Scenario {
    name: "both-connect",
    about: "both sides run the initiator on one connection",
    required: "a role conflict, at the first message",
    script: |stage| {
        let other = stage.one_of(&[Who::Ours, Who::Deployed]);
        let alice = stage.ours("alice", Via::Direct);
        let bob = stage.either("bob", other, Via::Direct);
        stage.world.add_party("wire", Box::new(Wire::between()));
        let invitation = format!(
            r#"{{"token":"{}","publicKey":"{}","url":"ws://wire"}}"#,
            "t".repeat(64),
            "5".repeat(64)
        );
        for id in [alice, bob] {
            stage.join(id, &invitation)?;
        }
        stage.run(2_000)?;
        for id in stage.parties(Who::Ours) {
            let told = ends(&stage.world, id).pop().and_then(|(_, fault)| fault);
            let due = Why::RoleConflict.at(Step::Ready);
            stage.equal(&told, &Some(due), "ours tells")?;
        }
        Ok(Truth::of(&["both_connect"]))
    },
};

/// A pairing of one of ours with a double that counts wrongly, which plays that role.
fn miscounted(
    stage: &mut Stage,
    initiates: bool,
    faults: DeployedFaults,
) -> Result<(Meeting, PartyId), Stop> {
    let via = stage.one_of(&[Via::Direct, Via::Relay]);
    let faulty = |config: &mut DeployedConfig| config.faults = faults;
    let (alice, bob) = match initiates {
        true => (
            stage.ours("alice", via),
            stage.deployed_with("bob", via, faulty),
        ),
        false => (
            stage.deployed_with("alice", via, faulty),
            stage.ours("bob", via),
        ),
    };
    let meeting = stage.meeting_of(via, alice, bob)?;
    stage.join(bob, &meeting.invitation)?;
    stage.run(3_000)?;
    let ours = if initiates { alice } else { bob };
    stage.equal(&pairings(&stage.world, ours), &0, "pairings")?;
    Ok((meeting, ours))
}

fn require_wrong_start(stage: &Stage, ours: PartyId, start: i8) -> Result<(), Stop> {
    let told = (
        last_code(&stage.world, ours),
        last_diagnosis(&stage.world, ours),
    );
    let due = (Some("bad_frame"), Some(Diagnosis::WrongStart(start)));
    stage.equal(&told, &due, "ours tells")
}

pub(super) const NONCE_MINUS_ONE: Scenario = Scenario {
    name: "nonce-minus-one",
    about: "a peer starts a counter at -1",
    required: "a wrong send counter: fails, diagnosed as a wrong start; a wrong receive counter is visible only as the peer's close",
    script: |stage| {
        let initiates = stage.one_of(&["initiator", "acceptor"]) == "initiator";
        let sends = stage.one_of(&["send", "receive"]) == "send";
        let start = Some(u64::MAX);
        let faults = match sends {
            true => DeployedFaults {
                send_start: start,
                ..DeployedFaults::default()
            },
            false => DeployedFaults {
                receive_start: start,
                ..DeployedFaults::default()
            },
        };
        let (_, ours) = miscounted(stage, initiates, faults)?;
        if sends {
            require_wrong_start(stage, ours, -1)?;
            return Ok(Truth::of(&["wrong_start"]));
        }
        stage.equal(
            &last_code(&stage.world, ours),
            &Some("closed_by_peer"),
            "ours tells",
        )?;
        Ok(Truth::of(&["peer_closed", "wrong_start"]))
    },
};

pub(super) const SAME_PARITY: Scenario = Scenario {
    name: "same-parity",
    about: "a peer counts with this side's parity",
    required: "diagnosed as a wrong start, or a role conflict",
    script: |stage| {
        let initiates = stage.one_of(&["initiator", "acceptor"]) == "initiator";
        let start = u64::from(!initiates);
        let send_start = Some(start);
        let faults = DeployedFaults {
            send_start,
            ..DeployedFaults::default()
        };
        let (_, ours) = miscounted(stage, initiates, faults)?;
        require_wrong_start(stage, ours, start as i8)?;
        Ok(Truth::of(&["wrong_start"]))
    },
};

pub(super) const MISSING_SYNC: Scenario = Scenario {
    name: "missing-sync",
    about: "the acceptor never sends `sync`",
    required: "times out in the step sync, by name",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let alice = stage.deployed_with("alice", via, |config| match via {
            Via::Direct => config.silent_after = Some(2),
            // Its registration has two messages.
            Via::Relay => config.silent_after = Some(4),
        });
        let bob = stage.ours("bob", via);
        let meeting = stage.meeting_of(via, alice, bob)?;
        let conn = stage.join(bob, &meeting.invitation)?;
        stage.run(15_000)?;
        let told = end_of(&stage.world, bob, conn).flatten();
        stage.equal(
            &told,
            &Some(Why::Timeout.at(Step::Sync)),
            "the initiator tells",
        )?;
        Ok(Truth::of(&["silent_peer"]))
    },
};

/// Silence at a step: who of a pairing with a double falls silent, behind how many of its messages, and the step that
/// ours names then.
const SILENCES: &[(&str, u32, Step)] = &[
    ("acceptor", 2, Step::Sync),
    ("acceptor", 3, Step::Person),
    ("acceptor", 4, Step::Keys),
    ("acceptor", 5, Step::ChallengeAnswer),
    ("acceptor", 6, Step::ChallengeSent),
    ("acceptor", 7, Step::Instance),
    ("acceptor", 8, Step::Identity),
    ("initiator", 2, Step::Group),
    ("initiator", 3, Step::Person),
    ("initiator", 4, Step::Keys),
    ("initiator", 5, Step::ChallengeSent),
    ("initiator", 6, Step::ChallengeAnswer),
    ("initiator", 7, Step::Instance),
    ("initiator", 8, Step::Token),
];

pub(super) const SILENT_PEER: Scenario = Scenario {
    name: "silent-peer",
    about: "a peer stops talking at any step of a pairing, and leaves the connection open",
    required: "times out in that step, by name; the token is free again",
    script: |stage| {
        let (who, says, step) = stage.one_of(SILENCES);
        let silent = |config: &mut DeployedConfig| config.silent_after = Some(says);
        let (alice, bob) = match who {
            "initiator" => (
                stage.ours("alice", Via::Direct),
                stage.deployed_with("bob", Via::Direct, silent),
            ),
            _ => (
                stage.deployed_with("alice", Via::Direct, silent),
                stage.ours("bob", Via::Direct),
            ),
        };
        let meeting = stage.meeting_of(Via::Direct, alice, bob)?;
        stage.join(bob, &meeting.invitation)?;
        stage.run(15_000)?;
        let ours = if who == "initiator" { alice } else { bob };
        let told = ends(&stage.world, ours).pop().and_then(|(_, fault)| fault);
        stage.equal(&told, &Some(Why::Timeout.at(step)), "ours tells")?;
        Ok(Truth::of(&["silent_peer"]))
    },
};
