//! Spare connections and their handover.

use super::cast::{INVITE, JOIN, LEAVE, dialler, listener, relay};
use super::pairing::{PAIRING, paired, same_spares};
use crate::explore::play::{Act, Fault, Play};

/// All spares are registered, and nothing is under way.
const INVITE_AT_REST: Act = Act {
    who: 1,
    when: |view| view.spares(0) >= 1 && !view.is_under_way(),
    ..INVITE
};

pub(super) const HANDOVER_BURST: Play = Play {
    name: "handover-burst",
    about: "a spare connection at rest is handed over: the handover and the request come apart or in one read",
    acts: &[INVITE_AT_REST, Act { who: 2, ..JOIN }],
    ..PAIRING
};

pub(super) const PING_IN_FLIGHT: Play = Play {
    name: "ping-in-flight",
    about: "the request comes at any moment before, in, and after a ping of the spare connection",
    acts: &[
        INVITE_AT_REST,
        Act {
            who: 2,
            patience: 1,
            ..JOIN
        },
    ],
    ..PAIRING
};

pub(super) const INITIATOR_LEAVES: Play = Play {
    name: "initiator-leaves",
    about: "whoever asks for a spare connection goes again, at any moment, also while its ping is unanswered",
    acts: &[
        INVITE_AT_REST,
        Act {
            who: 2,
            patience: 1,
            ..JOIN
        },
        Act { who: 2, ..LEAVE },
    ],
    goal: |view| {
        same_spares(view)?;
        // Who waits for the relay is nobody that the listener hears of.
        let wrong: u32 = ["unasked_pong", "no_pong", "wrong_message"]
            .map(|code| view.ended(0, code))
            .iter()
            .sum();
        match (view.faults(), wrong) {
            (0, 1..) => Err("undisturbed no spare connection is at fault".into()),
            _ => Ok(()),
        }
    },
    remembers: true,
    ..PAIRING
};

pub(super) const SPARE_DIES_AT_HANDOVER: Play = Play {
    name: "spare-dies-at-handover",
    about: "one of two spare connections is closed, at either end and at any moment of the handover",
    cast: |cast| {
        relay(cast);
        listener(cast, "alice", 2);
        dialler(cast, "bob");
    },
    acts: &[
        Act {
            who: 1,
            when: |view| view.spares(0) >= 2 && !view.is_under_way(),
            ..INVITE
        },
        Act { who: 2, ..JOIN },
    ],
    faults: |fault, _| fault == Fault::Close,
    ..PAIRING
};

pub(super) const TWO_INITIATORS_ONE_SPARE: Play = Play {
    name: "two-initiators-one-spare",
    about: "two ask for one spare connection, with one invitation",
    cast: |cast| {
        relay(cast);
        listener(cast, "alice", 1);
        dialler(cast, "bob");
        dialler(cast, "carol");
    },
    acts: &[
        INVITE_AT_REST,
        Act { who: 2, ..JOIN },
        Act { who: 3, ..JOIN },
    ],
    goal: |view| {
        let pairings = [1, 2, 3].map(|who| view.pairings(who));
        if view.faults() == 0 && (pairings[0], pairings[1] + pairings[2]) != (1, 1) {
            return Err(format!("one of the two pairs: {pairings:?}"));
        }
        paired_with_either(view)
    },
    ..PAIRING
};

/// The inviter pairs once at most, and whom it knows knows it.
pub(super) fn paired_with_either(view: &crate::explore::play::View<'_>) -> Result<(), String> {
    if view.pairings(1) > 1 || view.contacts(1).len() > 1 {
        return Err("one invitation pairs once".into());
    }
    let disturbed = view.faults() > 0;
    [2, 3]
        .into_iter()
        .find(|who| view.pairings(*who) > 0 || disturbed)
        .map_or(Ok(()), |who| match disturbed {
            true => Ok(()),
            false => paired(view, 1, who),
        })
}
