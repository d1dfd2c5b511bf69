//! Invitations that are used twice, late, or again.

use super::cast::{INVITE, INVITE_BRIEFLY, INVITE_DIRECT, JOIN, dialler, listener, relay};
use super::pairing::paired;
use crate::explore::play::{Act, Play, View};

pub(super) const TOKEN_DOUBLE_SPEND: Play = Play {
    name: "token-double-spend",
    about: "two use one invitation at once, directly",
    cast: |cast| {
        dialler(cast, "alice");
        dialler(cast, "bob");
        dialler(cast, "carol");
    },
    acts: &[
        INVITE_DIRECT,
        Act { who: 1, ..JOIN },
        Act { who: 2, ..JOIN },
    ],
    goal: |view| one_at_most(view, 0, [1, 2]),
    ..Play::EMPTY
};

pub(super) const TOKEN_DOUBLE_SPEND_RELAY: Play = Play {
    name: "token-double-spend-relay",
    about: "two use one invitation at once, through the relay",
    cast: |cast| {
        relay(cast);
        listener(cast, "alice", 2);
        dialler(cast, "bob");
        dialler(cast, "carol");
    },
    acts: &[
        Act {
            who: 1,
            when: |view| view.spares(0) >= 2 && !view.is_under_way(),
            ..INVITE
        },
        Act { who: 2, ..JOIN },
        Act { who: 3, ..JOIN },
    ],
    goal: |view| one_at_most(view, 1, [2, 3]),
    ..Play::EMPTY
};

pub(super) const TOKEN_EXPIRES_MIDWAY: Play = Play {
    name: "token-expires-midway",
    about: "an invitation is used before, at and after its end",
    cast: |cast| {
        dialler(cast, "alice");
        dialler(cast, "bob");
    },
    acts: &[
        INVITE_BRIEFLY,
        Act {
            who: 1,
            patience: 1,
            ..JOIN
        },
    ],
    goal: |view| {
        let pairings = [view.pairings(0), view.pairings(1)];
        match (view.faults(), pairings) {
            (0, [0, 0] | [1, 1]) => Ok(()),
            (0, _) => Err(format!("both pair or none: {pairings:?}")),
            _ => paired(view, 0, 1),
        }
    },
    ..Play::EMPTY
};

pub(super) const TOKEN_REPLAYED: Play = Play {
    name: "token-replayed",
    about: "a used invitation is used again by somebody else",
    cast: TOKEN_DOUBLE_SPEND.cast,
    acts: &[
        INVITE_DIRECT,
        Act { who: 1, ..JOIN },
        Act {
            who: 2,
            when: |view| !view.is_under_way(),
            ..JOIN
        },
    ],
    goal: |view| {
        if view.faults() == 0 && view.pairings(2) > 0 {
            return Err("a used invitation does not pair".into());
        }
        one_at_most(view, 0, [1, 2])
    },
    ..Play::EMPTY
};

/// The inviter pairs once at most, undisturbed it does, with one of the two; and whom it knows knows it.
fn one_at_most(view: &View<'_>, inviter: usize, joiners: [usize; 2]) -> Result<(), String> {
    let pairings = view.pairings(inviter);
    let joined: usize = joiners.iter().map(|who| view.pairings(*who)).sum();
    if view.faults() == 0 && (pairings, joined) != (1, 1) {
        return Err(format!("one of two pairs: {pairings}, {joined}"));
    }
    let known = view.contacts(inviter);
    if pairings > 1 || known.len() > 1 {
        return Err(format!("one invitation pairs once: {pairings}"));
    }
    let knows = |who: &usize| !view.contacts(*who).is_empty();
    if !known.is_empty() && !joiners.iter().any(knows) {
        return Err("the inviter knows somebody who does not know it".into());
    }
    Ok(())
}
