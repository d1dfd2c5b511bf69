//! One connection of a node.

use alloc::boxed::Box;
use alloc::string::String;

use super::event::Purpose;
use crate::crypto::Suite;
use crate::objects::PersonId;
use crate::relay::Registration;
use crate::session::{Opening, Session};
use crate::time::{Alarm, Deadline, Micros};

/// A connection, from the dialling to the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Conn<S: Suite> {
    pub(super) purpose: Purpose,
    pub(super) stage: Stage<S>,
    /// Bytes to send that wait in the queue of effects.
    pub(super) queued: usize,
    /// Bytes that the driver has and has not reported as drained.
    pub(super) handed_out: usize,
    /// Bytes of messages for the embedder that wait in the queue of effects.
    pub(super) inbound: usize,
    /// Who is at the other end, once it is proven.
    pub(super) person: Option<PersonId>,
    /// The driver said that it is closed.
    pub(super) gone: bool,
    /// A session that a stranger began has to be established by then.
    pub(super) half_open_until: Option<Micros>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage<S: Suite> {
    /// The WebSocket is being opened.
    Dialling {
        limit: Micros,
        next: AfterOpening,
    },
    /// A spare connection at a relay.
    Spare(Registration<S>),
    Session(Box<Session<S>>),
    /// It was told to close.
    Closing {
        limit: Micros,
    },
}

/// What runs on a dialled connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum AfterOpening {
    Register,
    Initiate(Opening),
}

impl<S: Suite> Conn<S> {
    pub(super) const fn new(purpose: Purpose, stage: Stage<S>) -> Self {
        Self {
            purpose,
            stage,
            queued: 0,
            handed_out: 0,
            inbound: 0,
            person: None,
            gone: false,
            half_open_until: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let own = match &self.stage {
            Stage::Dialling { limit, .. } => Some(Deadline {
                at: *limit,
                why: Alarm::StepLimit,
            }),
            Stage::Spare(registration) => registration.deadline(),
            Stage::Session(session) => session.deadline(),
            Stage::Closing { limit } => Some(Deadline {
                at: *limit,
                why: Alarm::CloseLimit,
            }),
        };
        let half_open = self.half_open_until.map(|at| Deadline {
            at,
            why: Alarm::StepLimit,
        });
        Deadline::earlier(own, half_open)
    }

    pub(super) const fn is_half_open(&self) -> bool {
        self.half_open_until.is_some()
    }

    pub(super) fn rebase(&mut self, now: Micros) {
        self.half_open_until = self.half_open_until.map(|at| at.since(now));
        match &mut self.stage {
            Stage::Dialling { limit, .. } | Stage::Closing { limit } => *limit = limit.since(now),
            Stage::Session(session) => session.rebase(now),
            Stage::Spare(registration) => registration.rebase(now),
        }
    }
}

/// The listener at a relay: how many spare connections are wanted, and when the next attempt is due.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Listener {
    pub(super) url: String,
    pub(super) online: bool,
    pub(super) retry_at: Option<Micros>,
    /// Whether it was told that it is offline.
    pub(super) told_offline: bool,
}

impl Listener {
    pub(super) const fn new(url: String) -> Self {
        Self {
            url,
            online: false,
            retry_at: None,
            told_offline: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.retry_at.map(|at| Deadline {
            at,
            why: Alarm::Register,
        })
    }
}
