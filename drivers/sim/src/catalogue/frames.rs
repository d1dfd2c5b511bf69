//! What a faulty relay or a faulty peer does to single frames.

use chumwire::channel::Diagnosis;
use chumwire::io::Kind;

use super::{GROUP, receiver};
use crate::deployed::DeployedFaults;
use crate::link::Side;
use crate::scenario::{
    Scenario, Stage, Stop, Truth, Via, Who, last_code, last_diagnosis, pairings,
};
use crate::stranger::Stranger;
use crate::wire::Onward;

/// The initiator's and the acceptor's messages of a pairing: a text, a key message, and then these frames.
const FRAMES: core::ops::Range<u64> = 2..9;

pub(super) const TRUNCATED_FRAME: Scenario = Scenario {
    name: "truncated-frame",
    about: "the relay cuts a frame short",
    required: "never accepted; below 17 bytes told as too short, else as tampered, truncated or of a wrong key",
    script: |stage| {
        let short = stage.one_of(&["below a tag", "longer"]) == "below a tag";
        let (at, eighths) = (stage.pick(17), stage.pick(8));
        let end = alter(stage, move |frame| {
            let length = if short {
                at
            } else {
                17 + (frame.len() - 18) * eighths / 8
            };
            frame.truncate(length);
        })?;
        let due = match short {
            true => ("frame_too_short", Diagnosis::TooShort),
            false => ("bad_frame", Diagnosis::TamperedOrForeign),
        };
        stage.equal(&end, &due, "the receiver tells")?;
        // Who sees both sides' lengths can tell it from tampering; the receiver alone cannot.
        Ok(match short {
            true => Truth::of(&["truncated"]),
            false => Truth::of(&["truncated", "tampered"]),
        })
    },
};

pub(super) const BIT_FLIP: Scenario = Scenario {
    name: "bit-flip",
    about: "the relay alters one bit of a frame",
    required: "never accepted; told as tampered, truncated or of a wrong key",
    script: |stage| {
        let (sixteenths, bit) = (stage.pick(16), stage.pick(8));
        let end = alter(stage, move |frame| {
            let at = frame.len() * sixteenths / 16;
            frame[at] ^= 1 << bit;
        })?;
        let due = ("bad_frame", Diagnosis::TamperedOrForeign);
        stage.equal(&end, &due, "the receiver tells")?;
        Ok(Truth::of(&["tampered"]))
    },
};

/// A pairing in which one frame to a node of ours is altered. Gives how that node ends.
fn alter(
    stage: &mut Stage,
    change: impl Fn(&mut Vec<u8>) + 'static,
) -> Result<(&'static str, Diagnosis), Stop> {
    let via = stage.one_of(&[Via::Direct, Via::Relay]);
    let from = stage.one_of(&Side::BOTH);
    let other = stage.one_of(&[Who::Ours, Who::Deployed]);
    let (inviter, joiner) = match from {
        Side::Dialler => (Who::Ours, other),
        Side::Listener => (other, Who::Ours),
    };
    // The initiator has one frame more.
    let frames = FRAMES.end - FRAMES.start + u64::from(from == Side::Dialler);
    let index = FRAMES.start + stage.pick(frames as usize) as u64;
    stage.note(format!("message {index}"));
    let meeting = stage.meddled(via, inviter, joiner, move |passing, onwards| {
        if (passing.from, passing.index) == (from, index) {
            change(&mut onwards[0].bytes);
        }
    })?;
    let conn = stage.join(meeting.joiner, &meeting.invitation)?;
    stage.run(5_000)?;
    let receiver = receiver(&meeting, from);
    stage.equal(
        &pairings(&stage.world, receiver),
        &0,
        "pairings of the receiver",
    )?;
    if joiner == Who::Ours {
        let told = crate::scenario::code_of(&stage.world, meeting.joiner, conn);
        stage.some(told, "the joiner has ended")?;
    }
    let code = stage.some(last_code(&stage.world, receiver), "the receiver ends")?;
    let diagnosis = last_diagnosis(&stage.world, receiver);
    let diagnosis = match code {
        "frame_too_short" => Diagnosis::TooShort,
        _ => stage.some(diagnosis, "the receiver diagnoses")?,
    };
    Ok((code, diagnosis))
}

pub(super) const MIRROR: Scenario = Scenario {
    name: "mirror",
    about: "the relay sends one's own messages back",
    required: "a key message is refused as a reflection; a frame fails and is told as mirrored",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let from = stage.one_of(&Side::BOTH);
        let index = stage.one_of(&[1, 2, 3, 4]);
        let instead = stage.one_of(&["instead", "besides"]) == "instead";
        let meeting = stage.meddled(via, Who::Ours, Who::Ours, move |passing, onwards| {
            if (passing.from, passing.index) == (from, index) {
                let mirrored = Onward {
                    to: from,
                    ..onwards[0].clone()
                };
                match instead {
                    true => onwards[0] = mirrored,
                    false => onwards.insert(0, mirrored),
                }
            }
        })?;
        stage.join(meeting.joiner, &meeting.invitation)?;
        stage.run(1_000)?;
        let sender = receiver(&meeting, from.other());
        let due = match (from, index) {
            (Side::Dialler, 1) => ("reflected_key", None),
            // Its own key message comes back when it has a channel already.
            (Side::Listener, 1) => ("bad_frame", Some(Diagnosis::KeyMessage)),
            _ => ("bad_frame", Some(Diagnosis::Mirrored)),
        };
        let code = stage.some(last_code(&stage.world, sender), "the sender ends")?;
        let told = (code, last_diagnosis(&stage.world, sender));
        stage.equal(&told, &due, "who gets its own message back tells")?;
        stage.equal(&pairings(&stage.world, meeting.inviter), &0, "pairings")?;
        Ok(Truth::of(&["mirrored"]))
    },
};

pub(super) const CROSS_CONNECTION: Scenario = Scenario {
    name: "cross-connection",
    about: "a frame sealed for one connection arrives on another one",
    required: "fails; told as sealed for another connection; the frame is not used up",
    script: |stage| match stage.one_of(&["a stranger", "a relay"]) {
        "a stranger" => crossed_by_a_stranger(stage),
        _ => crossed_by_a_relay(stage),
    },
};

fn crossed_by_a_stranger(stage: &mut Stage) -> Result<Truth, Stop> {
    let puppet = stage.world.add_puppet("mallory");
    let alice = stage.ours("alice", Via::Direct);
    let key = stage.instance_key(alice)?;
    let three = Stranger::dials(&mut stage.world, puppet, "ws://alice", &key);
    let mut three = stage.stuck(three)?;
    let fourteen = Stranger::dials(&mut stage.world, puppet, "ws://alice", &key);
    let fourteen = stage.stuck(fourteen)?;
    let frame = three.seals(GROUP);
    let sent = fourteen.sends(&mut stage.world, &frame);
    stage.stuck(sent)?;
    stage.run(500)?;
    let told = (
        last_code(&stage.world, alice),
        last_diagnosis(&stage.world, alice),
    );
    let due = (Some("bad_frame"), Some(Diagnosis::OtherConnection));
    stage.equal(&told, &due, "the other connection tells")?;
    // It still opens where it belongs.
    let sent = three.sends(&mut stage.world, &frame);
    stage.stuck(sent)?;
    let sync = three.hears(&mut stage.world);
    let sync = stage.stuck(sync)?;
    let sync = String::from_utf8_lossy(&sync).contains("sync");
    stage.require(sync, "the connection that it was sealed for goes on")?;
    Ok(Truth::of(&["cross_connection"]))
}

fn crossed_by_a_relay(stage: &mut Stage) -> Result<Truth, Stop> {
    let alice = stage.ours("alice", Via::Direct);
    let others = ["bob", "carol"].map(|name| stage.ours(name, Via::Direct));
    // The first frame of the first pair goes to the second one, as soon as that one has its channel.
    let (mut frame, mut ready) = (None, false);
    stage.wire("wire", "ws://alice", move |passing, onwards| {
        let at = (passing.pair, passing.from, passing.index);
        if at == (0, Side::Dialler, 2) {
            frame = onwards.pop();
        }
        ready |= at == (1, Side::Listener, 1);
        if ready && let Some(frame) = frame.take() {
            onwards.push(Onward { pair: 1, ..frame });
        }
    });
    for id in others {
        let invitation = stage.invite(alice, "ws://wire")?;
        stage.join(id, &invitation)?;
    }
    stage.run(5_000)?;
    let told = last_diagnosis(&stage.world, alice);
    stage.equal(&told, &Some(Diagnosis::OtherConnection), "the diagnosis")?;
    Ok(Truth::of(&["cross_connection"]))
}

pub(super) const PLAINTEXT_AFTER_HANDSHAKE: Scenario = Scenario {
    name: "plaintext-after-handshake",
    about: "a text message comes where a frame is due",
    required: "fails, by name",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let from = stage.one_of(&Side::BOTH);
        let index = stage.one_of(&[2, 3, 4]);
        let meeting = match stage.one_of(&["a relay", "a peer"]) {
            "a relay" => stage.meddled(via, Who::Ours, Who::Ours, move |passing, onwards| {
                if (passing.from, passing.index) == (from, index) {
                    onwards[0].kind = Kind::Text;
                    onwards[0].bytes = b"keepalive".into();
                }
            })?,
            _ => {
                let faulty = |config: &mut crate::deployed::DeployedConfig| {
                    config.faults = DeployedFaults {
                        unsealed: Some(index as u32 - 2),
                        ..DeployedFaults::default()
                    };
                };
                let (a, b) = match from {
                    Side::Dialler => (
                        stage.ours("alice", via),
                        stage.deployed_with("bob", via, faulty),
                    ),
                    Side::Listener => (
                        stage.deployed_with("alice", via, faulty),
                        stage.ours("bob", via),
                    ),
                };
                stage.meeting_of(via, a, b)?
            }
        };
        stage.join(meeting.joiner, &meeting.invitation)?;
        stage.run(2_000)?;
        let told = last_code(&stage.world, receiver(&meeting, from));
        stage.equal(
            &told,
            &Some("plaintext_after_handshake"),
            "the receiver tells",
        )?;
        Ok(Truth::of(&["plaintext_after_handshake"]))
    },
};
