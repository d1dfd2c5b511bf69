//! The importer: it asks for what the peer has and stores it (spec 11, "Importer").
//!
//! ```text
//! version ── roots ── sifting ── root by root ── version nodes ── sleeping ── roots …
//!                                                            └─── FIN ── done
//! ```
//! A *task* fetches one root or merges the version nodes of one thing; what goes wrong in it is its own.

mod fetching;
mod later;
mod merging;
mod since;
mod task;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::later::{Key, Later};
use self::since::Since;
use self::task::{Expect, Group, Job, Step, Task};
use super::entry::{ListFault, Root, Shape, read_roots};
use super::event::{ChumEvent, Round};
use super::exporter::Work;
use super::log::Transferred;
use super::peer::Peer;
use super::policy::{Offer, Policy, Role, Verdict};
use super::services::{Service, VERSION};
use super::store::{Answer, Ask, AskId, FileNo, Presence};
use super::trouble::{ChumFault, Trouble};
use crate::limits;
use crate::objects::{IdHash, ObjectHash, PersonId, Recipes, Reference};
use crate::rpc::{Data, Failed, RequestId, Want};
use crate::time::{Micros, Now};

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

/// What the importer tells the machine that it is part of.
pub(super) struct Told<'a> {
    pub(super) events: &'a mut VecDeque<ChumEvent>,
    pub(super) fault: &'a mut Option<ChumFault>,
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

    // --- the peer's version --------------------------------------------------------------------------------------

    /// The peer can be asked from now on.
    pub(super) fn start(&mut self, now: Now, work: &mut Work<'_>) {
        self.phase = Phase::Version {
            again: now.mono + limits::CHUM_VERSION_AGAIN,
            silent: 0,
            unknown: 0,
            retry: None,
            until: now.mono + limits::CHUM_VERSION,
        };
        self.request(For::Phase, Service::GetProtocolVersion, Vec::new(), work);
    }

    pub(super) fn tick(&mut self, now: Now, work: &mut Work<'_>, told: &mut Told<'_>) {
        match &mut self.phase {
            Phase::Version {
                again,
                silent,
                retry,
                until,
                ..
            } => {
                if now.mono >= *until {
                    let why = "no answer in time".into();
                    *told.fault = Some(ChumFault::NoVersion(why));
                } else if retry.is_some_and(|at| now.mono >= at) {
                    *retry = None;
                    *again = now.mono + limits::CHUM_VERSION_AGAIN;
                    self.request(For::Phase, Service::GetProtocolVersion, Vec::new(), work);
                } else if now.mono >= *again && retry.is_none() {
                    *again = now.mono + limits::CHUM_VERSION_AGAIN;
                    *silent += 1;
                    if *silent <= limits::CHUM_VERSION_REPEATS {
                        self.request(For::Phase, Service::GetProtocolVersion, Vec::new(), work);
                    }
                }
            }
            Phase::Sleeping { until } if now.mono >= *until => self.ask_roots(work),
            _ => {}
        }
    }

    fn version_answered(
        &mut self,
        now: Now,
        data: &Data,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        if *data == Data::Number(VERSION) {
            self.ask_roots(work);
        } else {
            let _ = now;
            *told.fault = Some(ChumFault::Version);
        }
    }

    fn version_failed(&mut self, now: Now, failed: &Failed, told: &mut Told<'_>) {
        let Phase::Version { unknown, retry, .. } = &mut self.phase else {
            return;
        };
        if is_unknown_service(failed) {
            *unknown += 1;
            if *unknown < limits::CHUM_UNKNOWN_TRIES {
                *retry = Some(now.mono + limits::CHUM_UNKNOWN_AGAIN);
                return;
            }
        } else if !matches!(failed, Failed::Remote(_)) {
            // Silence has its own counter.
            return;
        }
        *told.fault = Some(ChumFault::NoVersion(String::from(failed.code())));
    }

    // --- rounds --------------------------------------------------------------------------------------------------

    /// Something was granted at the other side, or somebody here wants to know now.
    pub(super) fn poll_now(&mut self, work: &mut Work<'_>) {
        match self.phase {
            Phase::Sleeping { .. } => self.ask_roots(work),
            _ => self.poll_now = true,
        }
    }

    fn ask_roots(&mut self, work: &mut Work<'_>) {
        self.poll_now = false;
        self.round = Round::default();
        if self.asks_since(work) {
            self.phase = Phase::Cursor;
            self.ask(For::Phase, Ask::Cursor(self.peer), work);
        } else {
            self.ask_all_roots(work);
        }
    }

    fn ask_all_roots(&mut self, work: &mut Work<'_>) {
        self.phase = Phase::Roots;
        self.round.full = true;
        self.request(For::Phase, Service::GetAccessibleRoots, Vec::new(), work);
    }

    fn roots_answered(&mut self, now: Now, data: Data, work: &mut Work<'_>, told: &mut Told<'_>) {
        let read = match &data {
            Data::Text(text) => read_roots(text, work.config.roots).map_err(Trouble::Children),
            _ => Err(Trouble::NotText(Service::GetAccessibleRoots)),
        };
        drop(data);
        match read {
            Ok(entries) => self.take_roots(now, Vec::new(), entries, work, told),
            Err(trouble) => *told.fault = Some(ChumFault::Roots(trouble)),
        }
    }

    /// A list of roots has come. `pending` are to be looked at besides.
    fn take_roots(
        &mut self,
        now: Now,
        pending: Vec<Root>,
        entries: Vec<Result<Root, ListFault>>,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let mut offered: BTreeSet<Key> = pending.iter().map(Key::of).collect();
        let mut left: VecDeque<Root> = pending.into();
        let mut told_of = 0;
        for entry in entries {
            match entry {
                Ok(root) => {
                    offered.insert(Key::of(&root));
                    left.push_back(root);
                }
                Err(fault) => {
                    self.since.is_short();
                    self.round.failed += 1;
                    self.failures += 1;
                    if told_of < limits::CHUM_ENTRIES_TOLD {
                        told_of += 1;
                        told.events.push_back(ChumEvent::EntryFailed(fault));
                    }
                }
            }
        }
        self.round.roots = left.len() as u64;
        self.began = now.mono;
        self.later.keep(|root| offered.contains(root));
        self.reported.retain(|root| offered.contains(root));
        self.groups.clear();
        self.group_of.clear();
        self.sift(now, left, work, told);
    }

    /// Looks the next roots up in the store.
    fn sift(
        &mut self,
        now: Now,
        mut left: VecDeque<Root>,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let mut asked = Vec::new();
        while asked.len() < SIFT
            && let Some(root) = left.pop_front()
        {
            if self.is_wanted(now, &root, told) {
                asked.push(root);
            } else {
                self.since.pend(root, work.config.pending);
            }
        }
        if asked.is_empty() {
            self.phase = Phase::Working;
            self.go_on(now, work, told);
            return;
        }
        // Of a version both are asked for: its thing, and itself.
        let mut what = Vec::new();
        for root in &asked {
            what.push(root.reference());
            if let Root::Versioned { id, .. } = root {
                what.push(Reference::Id(*id));
            }
        }
        self.ask(For::Phase, Ask::Presence(what), work);
        self.phase = Phase::Sifting { left, asked };
    }

    /// Whether a root is to be looked at now: not one that failed a moment ago, and none that is refused.
    fn is_wanted(&mut self, now: Now, root: &Root, told: &mut Told<'_>) -> bool {
        let key = Key::of(root);
        if self.later.waits(&key, now.mono) {
            return false;
        }
        if self.turned_away.contains(&root.reference()) {
            self.round.refused += 1;
            return false;
        }
        let known = self.recipes.get(root.type_name()).is_some();
        let verdict = match known {
            true => self.policy.offered(&self.offer(root)),
            false => Verdict::Refuse,
        };
        match verdict {
            Verdict::Accept => true,
            Verdict::Later => {
                self.later.failed(key, now.mono);
                false
            }
            Verdict::Refuse => {
                self.refused(key, root.type_name(), !known, told);
                false
            }
        }
    }

    fn offer<'a>(&self, root: &'a Root) -> Offer<'a> {
        let role = match root.shape() {
            Shape::Unversioned => Role::Unversioned,
            Shape::Versioned => Role::Versioned,
            Shape::Id => Role::Id,
            Shape::VersionNode => Role::VersionNode,
        };
        Offer {
            from: self.person,
            role,
            type_name: Some(root.type_name()),
            reference: match root.id() {
                Some(id) => Reference::Id(id),
                None => root.reference(),
            },
        }
    }

    /// It is told once, and is no error.
    fn refused(&mut self, key: Key, type_name: &str, unknown_type: bool, told: &mut Told<'_>) {
        self.round.refused += 1;
        if self.reported.len() < limits::CHUM_FAILED && self.reported.insert(key) {
            told.events.push_back(ChumEvent::RootRefused {
                root: key.reference,
                type_name: type_name.into(),
                unknown_type,
            });
        }
    }

    fn sifted(
        &mut self,
        now: Now,
        presence: &[Presence],
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let phase = core::mem::replace(&mut self.phase, Phase::Working);
        let Phase::Sifting { left, asked } = phase else {
            self.phase = phase;
            return;
        };
        let mut presence = presence.iter().copied();
        for root in asked {
            let is = presence.next().unwrap_or(Presence::Absent);
            match &root {
                Root::Versioned { .. } => {
                    let id = presence.next().unwrap_or(Presence::Absent);
                    if is == Presence::Absent || id == Presence::Absent {
                        self.ready.push_back(Job::Root(root));
                    }
                }
                Root::Unversioned { .. } | Root::Id { .. } => {
                    if is == Presence::Absent {
                        self.ready.push_back(Job::Root(root));
                    }
                }
                Root::VersionNode {
                    node,
                    id,
                    type_name,
                } => {
                    if is != Presence::Merged {
                        self.add_node((*node, is), *id, type_name);
                    }
                }
            }
        }
        self.sift(now, left, work, told);
    }

    fn add_node(&mut self, node: (ObjectHash, Presence), id: IdHash, type_name: &str) {
        let at = *self.group_of.entry(id).or_insert(self.groups.len());
        if at == self.groups.len() {
            self.groups.push(Group::new(id, type_name));
        }
        if let Some(group) = self.groups.get_mut(at) {
            group.nodes.push_back(node);
            group.entries.push(node.0);
        }
    }

    /// Begins as many tasks as may be under way, and ends the round when there are none.
    fn go_on(&mut self, now: Now, work: &mut Work<'_>, told: &mut Told<'_>) {
        if !matches!(self.phase, Phase::Working) {
            return;
        }
        while self.tasks.len() < work.config.parallel.max(1) {
            if self.ready.is_empty() && self.tasks.is_empty() {
                // Version nodes come after all else.
                let groups = core::mem::take(&mut self.groups);
                self.group_of.clear();
                let groups = groups.into_iter().map(Box::new);
                self.ready.extend(groups.map(Job::Group));
            }
            let Some(job) = self.ready.pop_front() else {
                break;
            };
            self.begin(now, job, work, told);
        }
        if self.tasks.is_empty() && self.ready.is_empty() && self.groups.is_empty() {
            self.end_round(now, work, told);
        }
    }

    fn begin(&mut self, now: Now, job: Job, work: &mut Work<'_>, told: &mut Told<'_>) {
        let no = TaskNo(self.next_task);
        self.next_task += 1;
        let mut ahead = VecDeque::new();
        if let Job::Root(root) = &job {
            let expect = || Expect::Type(root.type_name().into());
            if let Root::Versioned { id, .. } = root {
                ahead.push_back((Reference::Id(*id), expect()));
            }
            ahead.push_back((root.reference(), expect()));
        }
        let task = Task {
            job,
            ahead,
            fetch: None,
            step: Step::Ready,
            owns: None,
        };
        self.tasks.insert(no, task);
        self.advance(now, no, work, told);
    }

    fn end_round(&mut self, now: Now, work: &mut Work<'_>, told: &mut Told<'_>) {
        self.later.looked(self.began);
        match self.settled(now) {
            Some(write) => {
                self.phase = Phase::Settling;
                self.ask(For::Phase, Ask::Write(write), work);
            }
            None => self.rest(now, work, told),
        }
    }

    /// The round is over, and what is settled is written.
    fn rest(&mut self, now: Now, work: &mut Work<'_>, told: &mut Told<'_>) {
        let mut round = self.round;
        round.first = self.rounds == 0;
        round.waiting = self.later.count() as u64;
        self.rounds += 1;
        told.events.push_back(ChumEvent::RoundEnded(round));
        if !work.config.keep_running {
            self.phase = Phase::Fin;
            self.request(For::Phase, Service::Fin, Vec::new(), work);
        } else if core::mem::take(&mut self.poll_now) {
            self.ask_roots(work);
        } else {
            self.phase = Phase::Sleeping {
                until: now.mono + work.config.poll,
            };
        }
    }

    // --- requests and questions ----------------------------------------------------------------------------------

    fn request(&mut self, of: For, service: Service, args: Vec<Data>, work: &mut Work<'_>) {
        let want = match service {
            Service::GetObject | Service::GetIdObject => Want::Verbatim,
            Service::GetBlob => Want::Stream,
            _ => Want::Value,
        };
        self.outgoing.push_back(Outgoing {
            of,
            service,
            args,
            want,
        });
        self.flush(work);
    }

    /// Makes the requests that there is room for.
    pub(super) fn flush(&mut self, work: &mut Work<'_>) {
        while let Some(next) = self.outgoing.front() {
            let number = next.service.number();
            let Ok(id) = work.rpc.request(work.now, number, &next.args, next.want) else {
                return;
            };
            let (of, service) = (next.of, next.service);
            self.outgoing.pop_front();
            self.requests.insert(id, (of, service));
            if let For::Task(no) = of
                && let Some(task) = self.tasks.get_mut(&no)
                && let Step::File(file) = &mut task.step
            {
                file.request = Some(id);
            }
        }
    }

    fn ask(&mut self, of: For, ask: Ask, work: &mut Work<'_>) -> AskId {
        let id = work.asks.ask(ask);
        self.asked.insert(id, of);
        id
    }

    /// An own request was answered.
    pub(super) fn answered(
        &mut self,
        now: Now,
        id: RequestId,
        data: Data,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let Some((of, service)) = self.requests.remove(&id) else {
            return;
        };
        match (of, &self.phase, service) {
            (For::Phase, Phase::Version { .. }, Service::GetProtocolVersion) => {
                self.version_answered(now, &data, work, told);
            }
            (For::Phase, Phase::Roots, Service::GetAccessibleRoots) => {
                self.roots_answered(now, data, work, told);
            }
            (For::Phase, Phase::Roots, Service::GetRootsSince) => {
                self.since_answered(now, &data, work, told);
            }
            (For::Phase, Phase::Fin, Service::Fin) => self.phase = Phase::Done,
            (For::Task(no), ..) => self.task_answered(now, no, service, data, work, told),
            _ => {}
        }
    }

    /// An own request failed.
    pub(super) fn failed(
        &mut self,
        now: Now,
        id: RequestId,
        failed: Failed,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let Some((of, service)) = self.requests.remove(&id) else {
            return;
        };
        match (of, &self.phase, service) {
            (For::Phase, Phase::Version { .. }, Service::GetProtocolVersion) => {
                self.version_failed(now, &failed, told);
            }
            (For::Phase, Phase::Roots, Service::GetRootsSince) if is_unknown_service(&failed) => {
                self.without_since(work);
            }
            (For::Phase, Phase::Roots, Service::GetRootsSince) => {
                let trouble = Trouble::Request { service, failed };
                *told.fault = Some(ChumFault::Roots(trouble));
            }
            (For::Phase, Phase::Roots, Service::GetAccessibleRoots) => {
                if is_unknown_service(&failed) {
                    self.phase = Phase::Done;
                    told.events.push_back(ChumEvent::RemoteExporterEnded);
                } else {
                    let trouble = Trouble::Request { service, failed };
                    *told.fault = Some(ChumFault::Roots(trouble));
                }
            }
            (For::Phase, Phase::Fin, Service::Fin) => self.phase = Phase::Done,
            (For::Task(no), ..) => {
                self.task_failed(now, no, Trouble::Request { service, failed }, work, told);
            }
            _ => {}
        }
    }

    /// More of a file.
    pub(super) fn chunk(
        &mut self,
        now: Now,
        id: RequestId,
        bytes: &mut Vec<u8>,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        if let Some((For::Task(no), _)) = self.requests.get(&id) {
            self.file_chunk(now, *no, bytes, work, told);
        }
    }

    /// A file is complete.
    pub(super) fn stream_end(
        &mut self,
        now: Now,
        id: RequestId,
        empty_chunks: u64,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        if let Some((For::Task(no), _)) = self.requests.remove(&id) {
            self.file_end(now, no, empty_chunks, work, told);
        }
    }

    /// The store's answer, if the question was one of this importer.
    pub(super) fn store_answered(
        &mut self,
        now: Now,
        asked: AskId,
        answer: Answer,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        match (self.asked.remove(&asked), answer) {
            (Some(For::Phase), Answer::Presence(presence)) => {
                self.sifted(now, &presence, work, told);
            }
            (Some(For::Phase), answer) if matches!(self.phase, Phase::Cursor) => {
                self.ask_since(now, answer, work);
            }
            (Some(For::Phase), answer) if matches!(self.phase, Phase::Settling) => {
                self.since.written(&answer);
                self.rest(now, work, told);
            }
            (Some(For::Phase), _) => *told.fault = Some(ChumFault::Store),
            (Some(For::Task(no)), answer) => self.task_told(now, no, answer, work, told),
            (Some(For::File(no)), answer) => self.file_told(now, (no, asked), &answer, work, told),
            (Some(For::Part(no, file)), answer) => {
                self.file_told(now, (no, file), &answer, work, told);
            }
            (Some(For::Nobody) | None, _) => {}
        }
    }
}

fn is_unknown_service(failed: &Failed) -> bool {
    matches!(failed, Failed::Remote(error) if error.is_unknown_service())
}
