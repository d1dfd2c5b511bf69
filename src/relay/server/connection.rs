//! One connection of a relay: its state, what it has to send, and when it is due.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::report::RelayStats;
use crate::crypto::{Instance, PublicKey, Secret, Suite};
use crate::handshake::CommunicationRequest;
use crate::io::{ConnId, Kind, Source};
use crate::limits;
use crate::step::Step;
use crate::time::{Deadline, Micros};

/// A message in a recycled buffer.
pub(super) type Held = (Kind, Vec<u8>);

/// What a message counts for where bytes are counted. An empty one costs, too.
pub(super) const fn charge(bytes: usize) -> usize {
    bytes.saturating_add(limits::RELAY_PER_MESSAGE)
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Connection<S: Suite> {
    pub(super) from: Source,
    pub(super) state: State<S>,
    /// As it stands in the index of deadlines.
    pub(super) deadline: Option<Deadline>,
    /// What was queued for this connection and not yet polled, as [`charge`] counts.
    pub(super) queued: usize,
    /// What was polled and not yet reported as drained.
    pub(super) outstanding: usize,
    /// What does not fit in the window.
    pub(super) backlog: VecDeque<Held>,
    pub(super) backlog_bytes: usize,
    /// The driver was told not to read from it.
    pub(super) paused: bool,
}

/// The states, in the order of the protocol.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum State<S: Suite> {
    /// Nothing came yet.
    First,
    /// A listener that has to answer a challenge.
    Challenged(Box<Challenge<S>>),
    /// A listener that waits; `asked` while a ping is unanswered.
    Spare {
        key: PublicKey<Instance>,
        asked: bool,
    },
    /// A listener that was picked while a ping is unanswered. The pong has to come first.
    Picked {
        key: PublicKey<Instance>,
        initiator: ConnId,
    },
    /// A listener that was sent `connection_handover` and the request, which may not have left yet.
    Handed { initiator: ConnId },
    /// An initiator that waits for its spare to become one of the two states above, or to leave the second.
    Waiting(Box<Waiting>),
    /// One side of a pair. `moved` is when something last moved here; `unheard` while a listener has said nothing.
    Relayed {
        partner: ConnId,
        moved: Micros,
        unheard: bool,
    },
    /// Its partner is gone; it gets the backlog, then the close.
    Draining { reason: String },
    /// It was told to close.
    Closing,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Challenge<S: Suite> {
    pub(super) key: PublicKey<Instance>,
    pub(super) pair: S::Pair,
    /// The inverted challenge.
    pub(super) answer: Secret<64>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) request: CommunicationRequest,
    pub(super) spare: Option<ConnId>,
    /// What the initiator sent behind its request.
    pub(super) held: VecDeque<Held>,
    pub(super) held_bytes: usize,
}

impl<S: Suite> State<S> {
    /// The step, as faults name it.
    pub(super) const fn step(&self) -> Step {
        match self {
            Self::First | Self::Challenged(_) => Step::Register,
            Self::Spare { .. } => Step::Spare,
            Self::Picked { .. } | Self::Handed { .. } | Self::Waiting(_) => Step::Handover,
            Self::Relayed { .. } => Step::Connected,
            Self::Draining { .. } | Self::Closing => Step::Closing,
        }
    }

    /// The counter of those in this state.
    pub(super) const fn gauge<'a>(&self, stats: &'a mut RelayStats) -> &'a mut usize {
        match self {
            Self::First => &mut stats.silent,
            Self::Challenged(_) => &mut stats.challenged,
            Self::Spare { .. } => &mut stats.spares,
            Self::Picked { .. } => &mut stats.picked,
            Self::Handed { .. } => &mut stats.handed,
            Self::Waiting(_) => &mut stats.waiting,
            Self::Relayed { .. } => &mut stats.relayed,
            Self::Draining { .. } | Self::Closing => &mut stats.ending,
        }
    }

    /// Whether it is over, and only the close is to come.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Draining { .. } | Self::Closing)
    }
}

impl<S: Suite> Connection<S> {
    pub(super) fn new(from: Source) -> Self {
        Self {
            from,
            state: State::First,
            deadline: None,
            queued: 0,
            outstanding: 0,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            paused: false,
        }
    }

    /// Whether `charge` more fits in the window. One message always does, when nothing is on its way.
    pub(super) const fn fits(&self, charge: usize, window: usize) -> bool {
        let on_its_way = self.queued.saturating_add(self.outstanding);
        on_its_way == 0 || on_its_way.saturating_add(charge) <= window
    }
}
