//! Two who know each other: how they connect, and what they say.

use chumwire::io::{Kind, Message};

use super::cast::{CONNECT, INVITE_DIRECT, JOIN, friend, friends, relay, say};
use crate::explore::play::{Act, Fault, Play, View};
use crate::scenario::RELAY;

pub(super) const SIMULTANEOUS_DIAL: Play = Play {
    name: "simultaneous-dial",
    about: "both dial each other at once, directly",
    cast: |cast| friends(cast, |_| {}),
    acts: &[CONNECT, Act { who: 1, ..CONNECT }],
    rest: |view| one_is_left(view, 0, 1),
    ..Play::EMPTY
};

/// Whatever happens, in the end there is one connection, the same at both; unless both have started again, and nobody
/// has told them to connect.
fn one_is_left(view: &View<'_>, one: usize, other: usize) -> bool {
    view.is_same_connection(one, other) || [one, other].iter().all(|who| view.lives(*who) > 1)
}

pub(super) const SIMULTANEOUS_DIAL_RELAY: Play = Play {
    name: "simultaneous-dial-relay",
    about: "both dial each other at once, through the relay",
    cast: |cast| {
        relay(cast);
        for (name, other) in [("alice", "bob"), ("bob", "alice")] {
            let config = friend(name, other, RELAY, |config| config.spares = 1);
            cast.node(name, config, Some(RELAY));
        }
    },
    acts: &[
        Act {
            who: 1,
            when: |view| view.spares(0) >= 2 && !view.is_under_way(),
            ..CONNECT
        },
        Act { who: 2, ..CONNECT },
    ],
    rest: |view| one_is_left(view, 1, 2),
    ..Play::EMPTY
};

pub(super) const REDIAL: Play = Play {
    name: "redial",
    about: "one keeps a connection with the other, and dials again whenever it is lost",
    cast: |cast| friends(cast, |_| {}),
    acts: &[Act { who: 1, ..CONNECT }],
    rest: |view| view.is_same_connection(0, 1),
    // Who starts again has to be told again to connect.
    faults: |fault, _| fault != Fault::Crash,
    ..Play::EMPTY
};

pub(super) const PAIRING_AGAIN: Play = Play {
    name: "pairing-again",
    about: "two who know each other pair again",
    cast: |cast| friends(cast, |_| {}),
    acts: &[INVITE_DIRECT, Act { who: 1, ..JOIN }],
    goal: |view| match [0, 1].map(|who| view.contacts(who).len()) {
        [1, 1] => Ok(()),
        known => Err(format!("who was known stays known: {known:?}")),
    },
    ..Play::EMPTY
};

const TALK: &[Act] = &[
    Act { who: 1, ..CONNECT },
    Act {
        name: "say 0",
        who: 1,
        when: |view| view.is_same_connection(0, 1),
        does: say::<0>,
        ..Act::NOW
    },
    Act {
        name: "say 1",
        who: 1,
        does: say::<1>,
        ..Act::NOW
    },
    Act {
        name: "say 2",
        who: 1,
        does: say::<2>,
        ..Act::NOW
    },
];

pub(super) const REORDER_FRAMES: Play = Play {
    name: "reorder-frames",
    about: "frames overtake each other, and come twice, within a reorder window of 2",
    cast: |cast| friends(cast, |config| config.reorder_window = 2),
    acts: TALK,
    rest: |view| view.heard(0).len() >= 3 || view.faults() > 1,
    goal: |view| match view.faults() {
        0 | 1 => heard_on_one(view),
        // A copy that others overtake can come when its tag is forgotten.
        _ => in_order(view),
    },
    faults: |fault, message| match (fault, message) {
        // The key messages of a handshake are no frames.
        (Fault::Hold | Fault::Duplicate, Some(message)) => {
            message.kind() == Kind::Binary && !is_key(message)
        }
        _ => false,
    },
    remembers: true,
};

pub(super) const REORDER_FRAMES_WIDE: Play = Play {
    name: "reorder-frames-wide",
    about: "the same within a reorder window that is wider than all that is said",
    cast: |cast| friends(cast, |config| config.reorder_window = 16),
    rest: |view| view.heard(0).len() >= 3,
    goal: heard_on_one,
    ..REORDER_FRAMES
};

/// All that was said was heard, in its order, and no frame was bad.
fn heard_on_one(view: &View<'_>) -> Result<(), String> {
    let heard: Vec<u8> = view.heard(0).iter().flatten().copied().collect();
    let ended: u32 = [0, 1].map(|who| view.ended(who, "bad_frame")).iter().sum();
    match (heard.as_slice(), ended) {
        ([0, 1, 2], 0) => Ok(()),
        _ => Err(format!(
            "all is heard in order on one connection: {heard:?}"
        )),
    }
}

fn is_key(message: Message<'_>) -> bool {
    message.bytes().len() == chumwire::crypto::SEALED_KEY
}

pub(super) const CHAT: Play = Play {
    name: "chat",
    about: "one tells the other three things, in strict order, whatever happens on the way",
    cast: |cast| friends(cast, |_| {}),
    acts: TALK,
    goal: in_order,
    // Who starts again has to be told again to connect.
    faults: |fault, _| fault != Fault::Crash,
    remembers: true,
    ..Play::EMPTY
};

/// What is heard was said, in its order, once each; undisturbed it is all.
fn in_order(view: &View<'_>) -> Result<(), String> {
    let heard: Vec<u8> = view.heard(0).iter().flatten().copied().collect();
    if !heard.is_sorted_by(|a, b| a < b) || !view.heard(1).is_empty() {
        return Err(format!("what is heard was said, in its order: {heard:?}"));
    }
    if view.faults() == 0 && heard != [0, 1, 2] {
        return Err(format!("undisturbed all is heard: {heard:?}"));
    }
    Ok(())
}
