//! A node, as a machine of one connection sees it.

use chumwire::crypto::{PublicKey, Secret, Static, inverted};
use chumwire::establish::{Group, OnRecord, Surroundings};
use chumwire::fault::{TokenFault, Why};
use chumwire::objects::PersonId;
use chumwire::time::Now;

use crate::people::TOKEN;

/// Admits everybody, knows nobody, and has one token or none.
#[derive(Default)]
pub(crate) struct Stub {
    token: bool,
    challenges: Vec<Secret<64>>,
}

impl Stub {
    /// One that takes the token of the only invitation, once.
    pub(crate) fn with_token() -> Self {
        Self {
            token: true,
            ..Self::default()
        }
    }
}

impl Surroundings for Stub {
    fn admit(&mut self, _: Now, _: &PublicKey<Static>, _: &Group, _: bool) -> Result<(), Why> {
        Ok(())
    }

    fn on_record(&self, _: PersonId) -> Option<OnRecord> {
        None
    }

    fn challenge_sent(&mut self, challenge: &Secret<64>) {
        self.challenges.push(challenge.clone());
    }

    fn challenge_answered(&mut self) {
        self.challenges.clear();
    }

    fn is_own_challenge(&mut self, challenge: &Secret<64>) -> bool {
        let inverse = inverted(challenge);
        let mut own = self.challenges.iter();
        own.any(|own| own == challenge || *own == inverse)
    }

    fn present_token(&mut self, _: Now, token: &str, _: PersonId) -> Result<(), TokenFault> {
        match core::mem::take(&mut self.token) && token == TOKEN {
            true => Ok(()),
            false => Err(TokenFault::Unknown),
        }
    }
}
