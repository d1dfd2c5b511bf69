//! Who speaks at an end of a connection.

use chumwire::chum::{Answer, AskId, Chum, ChumOutput};
use chumwire::io::Message;
use chumwire::time::{Deadline, Now};

use super::deployed::{DeployedChum, DeployedChumFaults};

/// Ours, or the double of a deployed peer.
#[derive(Debug)]
pub(super) enum Speaker {
    Ours(Box<Chum>),
    Deployed(Box<DeployedChum>),
}

impl Speaker {
    /// What is wrong with it, if it is a deployed one.
    pub(super) fn deployed(&self) -> Option<DeployedChumFaults> {
        match self {
            Self::Ours(_) => None,
            Self::Deployed(chum) => Some(chum.faults()),
        }
    }

    pub(super) fn message(&mut self, now: Now, message: Message<'_>) {
        match self {
            Self::Ours(chum) => chum.message(now, message),
            Self::Deployed(chum) => chum.message(now, message),
        }
    }

    pub(super) fn answered(&mut self, now: Now, id: AskId, answer: Answer) {
        match self {
            Self::Ours(chum) => chum.answered(now, id, answer),
            Self::Deployed(chum) => chum.answered(now, id, answer),
        }
    }

    pub(super) fn drained(&mut self, now: Now) {
        if let Self::Ours(chum) = self {
            chum.drained(now);
        }
    }

    /// The deployed peer never tells of it.
    pub(super) fn granted(&mut self, now: Now) {
        if let Self::Ours(chum) = self {
            chum.granted(now);
        }
    }

    pub(super) fn tick(&mut self, now: Now) {
        match self {
            Self::Ours(chum) => chum.tick(now),
            Self::Deployed(chum) => chum.tick(now),
        }
    }

    pub(super) fn closed(&mut self) {
        match self {
            Self::Ours(chum) => chum.closed(),
            Self::Deployed(chum) => chum.closed(),
        }
    }

    pub(super) fn poll(&mut self, now: Now, bytes: &mut Vec<u8>) -> Option<ChumOutput> {
        match self {
            Self::Ours(chum) => chum.poll(now, bytes),
            Self::Deployed(chum) => chum.poll(now, bytes),
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Ours(chum) => chum.deadline(),
            Self::Deployed(chum) => chum.deadline(),
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        match self {
            Self::Ours(chum) => chum.is_at_rest(),
            Self::Deployed(chum) => chum.is_at_rest(),
        }
    }
}
