//! Two pair: the whole of registering, connecting and pairing.

use super::cast::{INVITE, INVITE_DIRECT, JOIN, dialler, listener, relay};
use crate::explore::play::{Act, Play, View};

pub(super) const PAIRING: Play = Play {
    name: "pairing",
    about: "register, connect and pair through the relay; the listener keeps one spare connection",
    cast: |cast| {
        relay(cast);
        listener(cast, "alice", 1);
        dialler(cast, "bob");
    },
    acts: &[
        Act {
            who: 1,
            when: |view| view.spares(0) >= 1,
            ..INVITE
        },
        Act { who: 2, ..JOIN },
    ],
    goal: |view| paired(view, 1, 2).and_then(|()| same_spares(view)),
    ..Play::EMPTY
};

pub(super) const PAIRING_TWO_SPARES: Play = Play {
    name: "pairing-two-spares",
    about: "the same with the usual two spare connections",
    cast: |cast| {
        relay(cast);
        listener(cast, "alice", 2);
        dialler(cast, "bob");
    },
    acts: &[
        Act {
            who: 1,
            when: |view| view.spares(0) >= 2,
            ..INVITE
        },
        Act { who: 2, ..JOIN },
    ],
    ..PAIRING
};

pub(super) const PAIRING_DIRECT: Play = Play {
    name: "pairing-direct",
    about: "two pair without a relay",
    cast: |cast| {
        dialler(cast, "alice");
        dialler(cast, "bob");
    },
    acts: &[INVITE_DIRECT, Act { who: 1, ..JOIN }],
    goal: |view| paired(view, 0, 1),
    ..Play::EMPTY
};

/// The inviter pairs once at most, undisturbed it does; and whom it knows knows it.
pub(super) fn paired(view: &View<'_>, inviter: usize, joiner: usize) -> Result<(), String> {
    let pairings = [view.pairings(inviter), view.pairings(joiner)];
    if view.faults() == 0 && pairings != [1, 1] {
        return Err(format!("undisturbed they pair: {pairings:?}"));
    }
    if pairings[0] > 1 {
        return Err(format!("one invitation pairs once: {pairings:?}"));
    }
    let known = [view.contacts(inviter).len(), view.contacts(joiner).len()];
    if known[0] > known[1] {
        return Err("the inviter knows somebody who does not know it".into());
    }
    knows_whom_it_told(view, inviter)?;
    knows_whom_it_told(view, joiner)
}

/// Whom a party knows it has told of, unless it crashed between the two.
pub(super) fn knows_whom_it_told(view: &View<'_>, who: usize) -> Result<(), String> {
    if view.lives(who) == 1 && view.contacts(who).len() > view.pairings(who) {
        return Err("somebody is a contact who was never told of".into());
    }
    Ok(())
}

/// The relay, which is the first of the cast, and the listener behind it agree on what is spare.
pub(super) fn same_spares(view: &View<'_>) -> Result<(), String> {
    let (there, here) = (view.spares(0), view.spares_of(1));
    if there != here {
        return Err(format!(
            "the relay has {there} spare connections, the listener {here}"
        ));
    }
    match (view.faults(), here) {
        (0, 0) => Err("undisturbed the listener has a spare connection".into()),
        _ => Ok(()),
    }
}
