//! What can be seen of a node from outside, as data.

use alloc::collections::BTreeMap;

use super::conn::{Conn, Stage};
use super::event::Purpose;
use crate::channel::OrderStats;
use crate::crypto::Suite;
use crate::io::ConnId;
use crate::objects::PersonId;
use crate::role::Role;
use crate::step::Step;

/// Counters since the node was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// Connections that came in directly.
    pub accepted: u64,
    /// Connections that came in directly and were refused, because a bound was reached.
    pub refused: u64,
    /// Connections that were dialled, to relays and to peers.
    pub dialled: u64,
    /// Spare connections that were handed over.
    pub handed_over: u64,
    /// Pairings that succeeded.
    pub paired: u64,
    /// Frames that waited behind a gap when their connection ended, and were dropped.
    pub undelivered: u64,
    /// Connections that ended, by [`Why::code`](crate::fault::Why::code); those that ended well under `good`.
    pub ended: BTreeMap<&'static str, u64>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Which.
    pub conn: ConnId,
    /// What it is for.
    pub purpose: Purpose,
    /// The step it is in.
    pub step: Step,
    /// This side's role, once a session has begun.
    pub role: Option<Role>,
    /// Who is at the other end, once it is proven.
    pub person: Option<PersonId>,
    /// What its reorder window holds and has seen.
    pub order: OrderStats,
}

impl ConnectionInfo {
    pub(super) fn of<S: Suite>(id: ConnId, conn: &Conn<S>) -> Self {
        let (step, session) = match &conn.stage {
            Stage::Dialling { .. } => (Step::Dial, None),
            Stage::Spare(registration) => (registration.step(), None),
            Stage::Session(session) => (session.step(), Some(session)),
            Stage::Closing { .. } => (Step::Closing, None),
        };
        let role = session.map(|session| session.role());
        let order = session.map(|session| session.order()).unwrap_or_default();
        Self {
            conn: id,
            purpose: conn.purpose.clone(),
            step,
            role,
            person: conn.person,
            order,
        }
    }
}
