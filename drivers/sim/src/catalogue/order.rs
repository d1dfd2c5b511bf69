//! Frames that come out of order, twice, or not at all; in strict order and with a reorder window.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use chumwire::channel::Diagnosis;
use chumwire::crypto::SEALED_KEY;
use chumwire::fault::Why;
use chumwire::step::Step;

use super::receiver;
use crate::deployed::DeployedFaults;
use crate::link::Side;
use crate::scenario::{
    Friends, Scenario, Stage, Stop, Truth, Via, Who, code_of, ends, heard_texts, last_code,
    last_diagnosis,
};
use crate::stranger::stranger_request;
use crate::wire::Onward;

pub(super) const GROUP_BEFORE_KEY: Scenario = Scenario {
    name: "group-before-key",
    about: "a frame reaches the acceptor before the initiator's key message",
    required: "fails in strict and in tolerant order: it can only be another connection's",
    script: |stage| {
        stage.either_order();
        let (alice, truth) = match stage.one_of(&["197 bytes", "another connection's frame"]) {
            "197 bytes" => (frame_from_nowhere(stage)?, Truth::of(&["frame_before_key"])),
            _ => (
                frame_of_another(stage)?,
                Truth::of(&["frame_before_key", "cross_connection"]),
            ),
        };
        let due = Some(Why::FrameBeforeKey.at(Step::Key));
        let told = ends(&stage.world, alice)
            .into_iter()
            .any(|(_, fault)| fault == due);
        stage.require(told, "the acceptor names a frame before the key")?;
        Ok(truth)
    },
};

fn frame_from_nowhere(stage: &mut Stage) -> Result<crate::PartyId, Stop> {
    let alice = stage.ours("alice", Via::Direct);
    let mallory = stage.world.add_puppet("mallory");
    let request = stranger_request::<crate::Insecure>(&stage.instance_key(alice)?);
    let filling = stage.pick(256) as u8;
    stage.play(mallory, |puppet| {
        let conn = puppet.dial("ws://alice");
        puppet.text(conn, &request);
        puppet.binary(conn, &[filling; 197]);
    })?;
    stage.run(500)?;
    Ok(alice)
}

fn frame_of_another(stage: &mut Stage) -> Result<crate::PartyId, Stop> {
    let alice = stage.ours("alice", Via::Direct);
    // Two connections; the second one's key message waits until a frame of the first has taken its place.
    let (mut frame, mut key): (Option<Onward>, Option<Onward>) = (None, None);
    stage.wire("wire", "ws://alice", move |passing, onwards| {
        match (passing.pair, passing.from, passing.index) {
            (0, Side::Dialler, 2) => frame = onwards.first().cloned(),
            (1, Side::Dialler, 1) => key = onwards.pop(),
            _ => {}
        }
        if let Some(frame) = &frame
            && let Some(key) = key.take()
        {
            onwards.push(Onward {
                pair: 1,
                ..frame.clone()
            });
            onwards.push(key);
        }
    });
    for name in ["bob", "carol"] {
        let id = stage.ours(name, Via::Direct);
        let invitation = stage.invite(alice, "ws://wire")?;
        stage.join(id, &invitation)?;
    }
    stage.run(2_000)?;
    Ok(alice)
}

pub(super) const FRAME_OVERTAKES_KEY: Scenario = Scenario {
    name: "frame-overtakes-key",
    about: "the acceptor's first frame overtakes its key message on the way to the initiator",
    required: "strict: fails as a frame before the key; tolerant: connects",
    script: |stage| {
        let window = stage.either_order();
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let overtakes = stage.one_of(&["in order", "overtakes"]) == "overtakes";
        // Nobody sends before the initiator's first frame; a double can be told to.
        let alice = stage.deployed_with("alice", via, |config| {
            config.faults = DeployedFaults {
                keepalive_at_once: true,
                ..DeployedFaults::default()
            };
        });
        let bob = stage.ours("bob", via);
        let mut meeting = stage.meeting_of(via, alice, bob)?;
        let target = match via {
            Via::Direct => "ws://alice",
            Via::Relay => crate::scenario::RELAY,
        };
        let (mut key, length) = (None, Rc::new(Cell::new(0)));
        let seen = Rc::clone(&length);
        stage.wire("wire", target, move |passing, onwards| {
            match (passing.from, passing.index) {
                (Side::Listener, 1) if overtakes => key = onwards.pop(),
                (Side::Listener, 2) => {
                    seen.set(passing.bytes.len());
                    onwards.extend(key.take());
                }
                _ => {}
            }
        });
        meeting.invitation = stage.invite(alice, "ws://wire")?;
        let conn = stage.join(bob, &meeting.invitation)?;
        let paired = stage.paired(&meeting)?;
        if overtakes && window == 0 {
            let told = crate::scenario::end_of(&stage.world, bob, conn).flatten();
            let due = match length.get() {
                // By its length it is a key message.
                SEALED_KEY => Why::KeyMessage,
                _ => Why::FrameBeforeKey,
            };
            stage.equal(&told, &Some(due.at(Step::Key)), "the initiator tells")?;
            return Ok(Truth::of(&["frame_overtook_key"]));
        }
        stage.require(paired, "both have paired")?;
        Ok(Truth::nothing())
    },
};

/// What a faulty relay does to the messages of a talk: these, in this order, instead.
type Order = Rc<RefCell<Option<Vec<usize>>>>;

/// How many messages are said.
const SAID: usize = 24;

/// Two connected friends, one of whom says something; the relay between them passes the messages in a given order.
struct Talk {
    friends: Friends,
    /// Who says it: an index.
    speaker: usize,
}

impl Talk {
    fn listener(&self) -> (crate::PartyId, chumwire::io::ConnId) {
        let other = 1 - self.speaker;
        (self.friends.ids[other], self.friends.conns[other])
    }
}

fn words() -> Vec<String> {
    (0..SAID).map(|i| format!("word {i}")).collect()
}

/// Connects two, lets one speak, and passes the messages on in this order.
fn talk(stage: &mut Stage, order: Vec<usize>) -> Result<Talk, Stop> {
    let speaker = stage.one_of(&[0, 1]);
    let side = [Side::Listener, Side::Dialler][speaker];
    let armed: Order = Rc::default();
    let (orders, mut kept) = (Rc::clone(&armed), Vec::new());
    let friends = stage.friends(move |passing, onwards| {
        if passing.from != side || orders.borrow().is_none() {
            return;
        }
        kept.append(onwards);
        if kept.len() == SAID
            && let Some(order) = orders.borrow_mut().take()
        {
            onwards.extend(order.into_iter().map(|i| kept[i].clone()));
        }
    })?;
    *armed.borrow_mut() = Some(order);
    for word in words() {
        stage.says(friends.ids[speaker], friends.conns[speaker], &word)?;
    }
    stage.run(1_000)?;
    Ok(Talk { friends, speaker })
}

/// What was heard is what was said, once each, in order, up to here.
fn require_heard(stage: &Stage, talk: &Talk, upto: usize) -> Result<(), Stop> {
    let (id, conn) = talk.listener();
    let heard = heard_texts(&stage.world, id, conn);
    stage.equal(&heard, &words()[..upto].to_vec(), "what was heard")
}

/// The listener ended by this cause, and told this of the frame.
fn require_end(
    stage: &Stage,
    talk: &Talk,
    code: &'static str,
    diagnosis: Option<Diagnosis>,
) -> Result<(), Stop> {
    let (id, conn) = talk.listener();
    let told = (
        code_of(&stage.world, id, conn),
        last_diagnosis(&stage.world, id),
    );
    stage.equal(&told, &(Some(code), diagnosis), "the listener tells")
}

pub(super) const REORDER_FRAMES: Scenario = Scenario {
    name: "reorder-frames",
    about: "every frame arrives with an index of at most the lowest missing one + W",
    required: "strict: fails, diagnosed with the distance; tolerant: delivered in order",
    script: |stage| {
        let window = stage.either_order();
        // The diagnosis looks 16 frames ahead.
        let ahead = match window {
            0 => [1, 2, 4, 16][stage.pick(4)],
            window => window,
        };
        let mut missing: Vec<usize> = (0..SAID).collect();
        let mut order = Vec::new();
        while let Some(lowest) = missing.first().copied() {
            let within = missing.iter().take_while(|i| **i <= lowest + ahead).count();
            // The first one never comes first.
            let first = usize::from(order.is_empty());
            order.push(missing.remove(first + stage.pick(within - first)));
        }
        let distance = order[0];
        let talk = talk(stage, order)?;
        if window > 0 {
            require_heard(stage, &talk, SAID)?;
            return Ok(Truth::of(&["nothing_wrong", "reordered"]));
        }
        require_heard(stage, &talk, 0)?;
        let distance = distance as u64;
        require_end(
            stage,
            &talk,
            "bad_frame",
            Some(Diagnosis::Ahead { distance }),
        )?;
        Ok(Truth::of(&["reordered"]))
    },
};

pub(super) const DUPLICATE_FRAME: Scenario = Scenario {
    name: "duplicate-frame",
    about: "a frame, or a key message, comes twice",
    required: "strict: fails; tolerant: drops the copy and counts it; a second key message fails in both",
    script: |stage| {
        let window = stage.either_order();
        if stage.one_of(&["a frame", "a key message"]) == "a key message" {
            return second_key_message(stage);
        }
        // A window knows the tags of as many frames as it is wide.
        let later = stage.pick(match window {
            0 => 4,
            window => window.min(4),
        });
        let twice = stage.pick(SAID - later);
        let mut order: Vec<usize> = (0..SAID).collect();
        order.insert(twice + later + 1, twice);
        let talk = talk(stage, order)?;
        if window > 0 {
            require_heard(stage, &talk, SAID)?;
            let (id, conn) = talk.listener();
            let counted = stage
                .node(id)?
                .connections()
                .find(|info| info.conn == conn)
                .map(|info| info.order.duplicates);
            stage.equal(&counted, &Some(1), "copies that were counted")?;
            return Ok(Truth::of(&["nothing_wrong", "duplicate_frame"]));
        }
        require_heard(stage, &talk, twice + later + 1)?;
        let distance = later as u64 + 1;
        require_end(
            stage,
            &talk,
            "bad_frame",
            Some(Diagnosis::Duplicate { distance }),
        )?;
        Ok(Truth::of(&["duplicate_frame"]))
    },
};

fn second_key_message(stage: &mut Stage) -> Result<Truth, Stop> {
    let via = stage.one_of(&[Via::Direct, Via::Relay]);
    let from = stage.one_of(&Side::BOTH);
    let meeting = stage.meddled(via, Who::Ours, Who::Ours, move |passing, onwards| {
        if (passing.from, passing.index) == (from, 1) {
            onwards.push(onwards[0].clone());
        }
    })?;
    stage.join(meeting.joiner, &meeting.invitation)?;
    stage.run(2_000)?;
    let receiver = receiver(&meeting, from);
    let told = (
        last_code(&stage.world, receiver),
        last_diagnosis(&stage.world, receiver),
    );
    let due = (Some("bad_frame"), Some(Diagnosis::KeyMessage));
    stage.equal(&told, &due, "the receiver tells")?;
    Ok(Truth::of(&["duplicate_frame"]))
}

pub(super) const DUPLICATE_FLOOD: Scenario = Scenario {
    name: "duplicate-flood",
    about: "one frame comes a thousand times",
    required: "bounded work, then fails",
    script: |stage| {
        let window = stage.either_order();
        let flood = stage.pick(SAID);
        let mut order: Vec<usize> = (0..=flood).collect();
        order.extend(core::iter::repeat_n(flood, 1_000));
        let talk = talk(stage, order)?;
        require_heard(stage, &talk, flood + 1)?;
        if window > 0 {
            require_end(stage, &talk, "duplicates", None)?;
            return Ok(Truth::of(&["duplicate_flood"]));
        }
        let diagnosis = Diagnosis::Duplicate { distance: 1 };
        require_end(stage, &talk, "bad_frame", Some(diagnosis))?;
        // It ended at the first copy.
        Ok(Truth::of(&["duplicate_flood", "duplicate_frame"]))
    },
};

pub(super) const LOST_FRAME: Scenario = Scenario {
    name: "lost-frame",
    about: "a frame never comes",
    required: "strict: fails at the next frame; tolerant: fails after the gap limit, as a lost frame",
    script: |stage| {
        let window = stage.either_order();
        let lost = stage.pick(SAID);
        let order: Vec<usize> = (0..SAID).filter(|i| *i != lost).collect();
        let behind = SAID - 1 - lost;
        let talk = talk(stage, order)?;
        require_heard(stage, &talk, lost)?;
        // Behind the last one the next frame is a keepalive.
        stage.run(if behind == 0 { 27_000 } else { 6_000 })?;
        require_heard(stage, &talk, lost)?;
        if window == 0 {
            let diagnosis = Diagnosis::Ahead { distance: 1 };
            require_end(stage, &talk, "bad_frame", Some(diagnosis))?;
        } else if behind > window {
            // More than the window holds waits behind the gap.
            let (id, conn) = talk.listener();
            let ended = code_of(&stage.world, id, conn);
            stage.require(
                matches!(ended, Some("lost_frame" | "bad_frame")),
                "the listener ends",
            )?;
        } else {
            require_end(stage, &talk, "lost_frame", None)?;
        }
        Ok(Truth::of(&["lost_frame"]))
    },
};
