//! What has to hold after every step of every run, whatever fails.
//!
//! | file | what never happens |
//! | --- | --- |
//! | `ledger` | a nonce is sealed twice under a key; a reflected, replayed or foreign frame is accepted |
//! | `secrets` | the keys of ended sessions live on |
//! | `told` | a token is used twice; a spare is handed over twice; a peer is not who it is taken for |
//! | `sessions` | the two ends of a session disagree on roles, group or persons |
//! | `talk` | a message is delivered twice, out of order, altered, or from somebody else |
//!
//! Besides them every relay and node of ours that a step has touched checks its own tables and bounds. What seals and
//! opens is known of the insecure suite alone; in worlds of another suite the first two have nothing to look at.

pub(crate) mod ledger;
pub(crate) mod secrets;
pub(crate) mod sessions;
mod talk;
mod told;

use std::rc::Rc;

use chumwire::node::Event;

pub(crate) use ledger::{Call, End, Entry, Ledger, Words};
pub(crate) use sessions::{Fact, Sessions};
pub(crate) use talk::{Talk, message};
pub(crate) use told::{Known, Tokens};

use crate::party::{PartyId, Told};

/// All that is watched in a world.
pub(crate) struct Watch {
    pub(crate) ledger: Rc<Ledger>,
    pub(crate) tokens: Tokens,
    pub(crate) sessions: Sessions,
    pub(crate) talk: Talk,
    /// How much of what was told has been looked at.
    pub(crate) seen: usize,
    wrong: Option<String>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            ledger: Ledger::new(),
            tokens: Tokens::default(),
            sessions: Sessions::default(),
            talk: Talk::default(),
            seen: 0,
            wrong: None,
        }
    }

    /// Keeps the first thing that is wrong.
    pub(crate) fn note(&mut self, result: Result<(), String>) {
        if let Err(what) = result {
            self.wrong.get_or_insert(what);
        }
    }

    /// What is wrong, if anything is.
    pub(crate) fn result(&self) -> Result<(), String> {
        match &self.wrong {
            Some(what) => Err(what.clone()),
            None => self.ledger.result(),
        }
    }

    /// Looks at what a party has told, in the life of it that began with its `start`.
    pub(crate) fn told(&mut self, party: PartyId, start: u32, told: &Told, own: Option<&Known>) {
        let result = match told {
            Told::Relay(event) => self.tokens.relay(party, start, event),
            Told::Node(event) => {
                let used = self.tokens.node(party, event);
                let fact = own.and_then(|own| fact(event, own));
                used.and_then(|()| match fact {
                    Some((conn, fact)) => {
                        let end = End { party, start, conn };
                        self.sessions.established(&self.ledger, end, fact)
                    }
                    None => Ok(()),
                })
            }
            Told::Message(..) | Told::Deployed(_) => Ok(()),
        };
        self.note(result);
    }
}

/// What a node says of a session that is established.
pub(crate) fn fact(event: &Event, own: &Known) -> Option<(chumwire::io::ConnId, Fact)> {
    let (conn, role, person, group) = match event {
        Event::Connected {
            conn,
            role,
            person,
            group,
            ..
        } => (conn, role, *person, Some(group.clone())),
        Event::Paired {
            conn,
            role,
            contact,
            ..
        } => (conn, role, contact.person_id, None),
        _ => return None,
    };
    let fact = Fact {
        role: *role,
        own: own.person,
        peer: person,
        group,
    };
    Some((*conn, fact))
}
