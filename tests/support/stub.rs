//! A node, as one connection sees it, for tests of the connection's machines alone.

use std::collections::BTreeSet;

use chumwire::crypto::{PublicKey, Secret, Static, inverted};
use chumwire::establish::{Group, OnRecord, Surroundings};
use chumwire::fault::{TokenFault, Why};
use chumwire::objects::PersonId;
use chumwire::time::Now;

/// Admits everybody, knows the persons that it is told of, and accepts the tokens that it is told of, once each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stub {
    /// The tokens that are good.
    pub(crate) tokens: BTreeSet<String>,
    /// What is on record.
    pub(crate) known: Vec<(PersonId, OnRecord)>,
    /// The challenges that are outstanding.
    pub(crate) challenges: Vec<Secret<64>>,
    /// Who presented a good token.
    pub(crate) presenters: Vec<PersonId>,
}

impl Stub {
    /// One that accepts this token.
    pub(crate) fn accepting(token: &str) -> Self {
        Self {
            tokens: [token.to_owned()].into(),
            ..Self::default()
        }
    }
}

impl Surroundings for Stub {
    fn admit(&mut self, _: Now, _: &PublicKey<Static>, _: &Group, _: bool) -> Result<(), Why> {
        Ok(())
    }

    fn on_record(&self, person: PersonId) -> Option<OnRecord> {
        self.known
            .iter()
            .find(|(id, _)| *id == person)
            .map(|(_, record)| record.clone())
    }

    fn challenge_sent(&mut self, challenge: &Secret<64>) {
        self.challenges.push(challenge.clone());
    }

    fn challenge_answered(&mut self) {
        self.challenges.clear();
    }

    fn is_own_challenge(&mut self, challenge: &Secret<64>) -> bool {
        let inverse = inverted(challenge);
        self.challenges
            .iter()
            .any(|own| own == challenge || *own == inverse)
    }

    fn present_token(&mut self, _: Now, token: &str, by: PersonId) -> Result<(), TokenFault> {
        if !self.tokens.remove(token) {
            return Err(TokenFault::Unknown);
        }
        self.presenters.push(by);
        Ok(())
    }
}
