//! A stranger who hands a node's own challenges back.

use chumwire::pairing::Invitation;

use super::cast::dialler;
use super::reflector::{Reflector, reflector_key};
use crate::Insecure;
use crate::explore::play::{Act, Play};
use crate::scenario::config;

pub(super) const CHALLENGE_REFLECTION: Play = Play {
    name: "challenge-reflection",
    about: "a stranger hands a node's challenges to the node itself, on a second connection",
    cast: |cast| {
        dialler(cast, "alice");
        let key = config::<Insecure>("alice").identity.instance_key().public();
        cast.actor("mallory", Reflector::new(*key.bytes()));
    },
    acts: &[Act {
        name: "join",
        does: |node, now, _| {
            let json = format!(
                r#"{{"token":"{}","publicKey":"{}","url":"ws://mallory"}}"#,
                "t".repeat(64),
                reflector_key().public().hex()
            );
            let invitation = Invitation::read(&json).map_err(|error| error.to_string())?;
            let joined = node.join(now, &invitation);
            joined.map(|_| None).map_err(|misuse| misuse.to_string())
        },
        ..Act::NOW
    }],
    goal: |view| {
        if !view.contacts(0).is_empty() || view.pairings(0) > 0 {
            return Err("a stranger is no contact".into());
        }
        let refused = ["reflected_challenge", "duplicate"].map(|code| view.ended(0, code));
        // With one key on both they can also be taken for two of one.
        if view.faults() == 0 && !matches!(refused, [2, 0] | [_, 1]) {
            return Err(format!(
                "undisturbed both connections end as reflected: {refused:?}"
            ));
        }
        Ok(())
    },
    remembers: true,
    ..Play::EMPTY
};
