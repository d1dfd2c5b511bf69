//! A WebSocket between two parties: two pipes that keep order, take time, and misbehave if they are told to.
//!
//! Order is kept on every hop, as WebSockets keep it: reordering is a fault that has to be asked for.

mod faults;
mod layer;
mod pipe;
mod rules;
mod table;

use chumwire::io::ConnId;
use chumwire::time::Micros;

pub use faults::{FaultKind, Faults, NoFault, Profile};
pub use layer::{Layer, Parcel, Passage};
pub(crate) use pipe::{Item, Pipe};
pub(crate) use rules::Ruling;
pub use rules::{Act, Match, Rule, RuleId};
pub(crate) use table::Links;

use crate::chooser::{Choice, Chooser};
use crate::party::PartyId;

/// A link of a world, in the order of the dialling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who dialled.
    Dialler,
    /// Who was dialled.
    Listener,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Dialler, Self::Listener];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Dialler => 0,
            Self::Listener => 1,
        }
    }
}

/// A link, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Which.
    pub id: LinkId,
    /// Who dialled, and its name for the connection.
    pub dialler: (PartyId, ConnId),
    /// Who was dialled.
    pub listener: PartyId,
    /// The listener's name for the connection, once it has taken it.
    pub accepted: Option<ConnId>,
    /// Messages on the way to the dialler and to the listener.
    pub in_flight: [usize; 2],
    /// Messages that have arrived at either end.
    pub delivered: [u64; 2],
}

pub(crate) struct Link {
    pub(crate) parties: [Option<PartyId>; 2],
    pub(crate) conns: [Option<ConnId>; 2],
    /// The party at this end was told of the end, or is gone.
    pub(crate) gone: [bool; 2],
    pub(crate) delivered: [u64; 2],
    pub(crate) profile: Profile,
    /// What was wrapped around it, the outermost last.
    pub(crate) layers: Vec<Box<dyn Layer>>,
    /// By where they lead to.
    pipes: [Pipe; 2],
}

impl Link {
    pub(crate) fn new(
        profile: Profile,
        dialler: (PartyId, ConnId),
        listener: Option<PartyId>,
    ) -> Self {
        Self {
            parties: [Some(dialler.0), listener],
            conns: [Some(dialler.1), None],
            gone: [false, false],
            delivered: [0, 0],
            profile,
            layers: Vec::new(),
            pipes: Default::default(),
        }
    }

    pub(crate) const fn to(&self, side: Side) -> &Pipe {
        &self.pipes[side.index()]
    }

    pub(crate) const fn to_mut(&mut self, side: Side) -> &mut Pipe {
        &mut self.pipes[side.index()]
    }

    pub(crate) const fn end(&self, side: Side) -> (Option<PartyId>, Option<ConnId>) {
        (self.parties[side.index()], self.conns[side.index()])
    }

    pub(crate) const fn set_conn(&mut self, side: Side, conn: ConnId) {
        self.conns[side.index()] = Some(conn);
    }

    pub(crate) const fn is_gone(&self, side: Side) -> bool {
        self.gone[side.index()]
    }

    pub(crate) const fn set_gone(&mut self, side: Side) {
        self.gone[side.index()] = true;
    }

    pub(crate) const fn count(&mut self, side: Side) {
        self.delivered[side.index()] += 1;
    }

    /// Whether messages pass as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.layers.is_empty() && self.profile.faults.is_none()
    }

    pub(crate) fn info(&self, id: LinkId) -> Option<LinkInfo> {
        Some(LinkInfo {
            id,
            dialler: (self.parties[0]?, self.conns[0]?),
            listener: self.parties[1]?,
            accepted: self.conns[1],
            in_flight: [self.pipes[0].in_flight(), self.pipes[1].in_flight()],
            delivered: self.delivered,
        })
    }

    /// When something that is sent now arrives.
    pub(crate) fn arrival(&self, now: Micros, chooser: &mut dyn Chooser) -> Micros {
        const STEPS: usize = 8;
        let Profile {
            latency, jitter, ..
        } = self.profile;
        let extra = match jitter {
            Micros::ZERO => 0,
            Micros(most) => {
                most * chooser.choose(Choice::Latency, STEPS) as u64 / (STEPS as u64 - 1)
            }
        };
        now + latency + Micros(extra)
    }

    /// Lets a message through all layers.
    pub(crate) fn pass(&mut self, passage: &mut Passage, chooser: &mut dyn Chooser) {
        for layer in self.layers.iter_mut().rev() {
            layer.pass(passage, chooser);
        }
        let mut faults = self.profile.faults;
        faults.pass(passage, chooser);
    }
}
