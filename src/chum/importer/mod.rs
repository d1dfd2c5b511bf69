//! The importer: it asks for what the peer has and stores it (spec 11, "Importer").
//!
//! ```text
//! version ── roots ── sifting ── root by root ── version nodes ── sleeping ── roots …
//!                                                            └─── FIN ── done
//! ```
//! A *task* fetches one root or merges the version nodes of one thing; what goes wrong in it is its own.

mod answers;
mod asking;
mod fetching;
mod files;
mod later;
mod merging;
mod objects;
mod round;
mod since;
mod task;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::later::{Key, Later};
use self::since::Since;
use self::task::{Group, Job, Task};
use super::entry::Root;
use super::event::Round;
use super::log::Transferred;
use super::peer::Peer;
use super::policy::Policy;
use super::services::Service;
use super::store::{AskId, FileNo};
use super::work::Work;
use crate::objects::{IdHash, PersonId, Recipes, Reference};
use crate::rpc::{Data, Failed, RequestId, Want};
use crate::time::Micros;

/// How many roots are looked up in the store at once.
const SIFT: usize = 1_024;

/// The importer of one connection.
#[derive(Clone, Debug)]
pub(super) struct Importer {
    peer: Peer,
    person: PersonId,
    recipes: Recipes,
    policy: Arc<dyn Policy>,
    phase: Phase,
    /// Requests that found no room yet.
    outgoing: VecDeque<Outgoing>,
    /// Own requests: what for.
    requests: BTreeMap<RequestId, (For, Service)>,
    asked: BTreeMap<AskId, For>,
    tasks: BTreeMap<TaskNo, Task>,
    next_task: u64,
    ready: VecDeque<Job>,
    /// The version nodes of the round, which come after all else; and where those of a thing are.
    groups: Vec<Group>,
    group_of: BTreeMap<IdHash, usize>,
    /// What is being fetched, and by whom it is waited for.
    owned: BTreeMap<Reference, Vec<TaskNo>>,
    later: Later,
    since: Since,
    /// Refused roots that were reported.
    reported: BTreeSet<Key>,
    /// Roots that were refused when they had come: they are not fetched again.
    turned_away: BTreeSet<Reference>,
    round: Round,
    /// When its list came.
    began: Micros,
    rounds: u64,
    poll_now: bool,
    pub(super) received: Transferred,
    pub(super) failures: u64,
}

/// A task of this importer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TaskNo(u64);

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Phase,
    Task(TaskNo),
    /// A file of this task begins; the question names it.
    File(TaskNo),
    /// A part of that file.
    Part(TaskNo, FileNo),
    /// Nobody waits for it.
    Nobody,
}

#[derive(Clone, Debug)]
struct Outgoing {
    of: For,
    service: Service,
    args: Vec<Data>,
    want: Want,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The connection is not ready.
    Before,
    Version {
        /// After this long without an answer it is asked again.
        again: Micros,
        silent: u32,
        /// The peer said that it does not know the service.
        unknown: u32,
        /// Then it is asked once more.
        retry: Option<Micros>,
        until: Micros,
    },
    /// What is settled.
    Cursor,
    Roots,
    /// Which of the roots are stored.
    Sifting {
        left: VecDeque<Root>,
        asked: Vec<Root>,
    },
    Working,
    /// What is settled is being written.
    Settling,
    Sleeping {
        until: Micros,
    },
    Fin,
    Done,
}

impl Importer {
    pub(super) fn new(peer: Peer, recipes: Recipes, policy: Arc<dyn Policy>) -> Self {
        Self {
            peer,
            person: peer.person,
            recipes,
            policy,
            phase: Phase::Before,
            outgoing: VecDeque::new(),
            requests: BTreeMap::new(),
            asked: BTreeMap::new(),
            tasks: BTreeMap::new(),
            next_task: 0,
            ready: VecDeque::new(),
            groups: Vec::new(),
            group_of: BTreeMap::new(),
            owned: BTreeMap::new(),
            later: Later::default(),
            since: Since::default(),
            reported: BTreeSet::new(),
            turned_away: BTreeSet::new(),
            round: Round::default(),
            began: Micros::default(),
            rounds: 0,
            poll_now: false,
            received: Transferred::default(),
            failures: 0,
        }
    }

    /// Whether it is through.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Whether it is between two rounds.
    pub(super) const fn is_asleep(&self) -> bool {
        matches!(
            self.phase,
            Phase::Sleeping { .. } | Phase::Fin | Phase::Done
        )
    }

    /// Whether the peer has not told its version yet.
    pub(super) const fn is_early(&self) -> bool {
        matches!(self.phase, Phase::Before | Phase::Version { .. })
    }

    /// The policy is another one by now.
    pub(super) fn policy_changed(&mut self, work: &mut Work<'_>) {
        self.turned_away.clear();
        self.reported.clear();
        self.raise(work);
    }

    /// When it has to be woken.
    pub(super) fn deadline(&self) -> Option<Micros> {
        match &self.phase {
            Phase::Version {
                again,
                retry,
                until,
                ..
            } => Some(retry.unwrap_or(*again).min(*until)),
            Phase::Sleeping { until } => Some(*until),
            _ => None,
        }
    }
}

fn is_unknown_service(failed: &Failed) -> bool {
    matches!(failed, Failed::Remote(error) if error.is_unknown_service())
}
