//! A round: the list of roots, which of them are wanted, the tasks, and the end (spec 11, "Importer").

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::later::Key;
use super::task::{Expect, Group, Job, Step, Task};
use super::{For, Importer, Phase, SIFT, TaskNo};
use crate::chum::entry::{ListFault, Root, Shape, read_roots};
use crate::chum::event::{ChumEvent, Round};
use crate::chum::policy::{Offer, Role, Verdict};
use crate::chum::services::Service;
use crate::chum::store::{Ask, Presence};
use crate::chum::trouble::{ChumFault, Trouble};
use crate::chum::work::Work;
use crate::limits;
use crate::objects::{IdHash, ObjectHash, Reference};
use crate::rpc::Data;

impl Importer {
    /// Something was granted at the other side, or somebody here wants to know now.
    pub(in crate::chum) fn poll_now(&mut self, work: &mut Work<'_>) {
        match self.phase {
            Phase::Sleeping { .. } => self.ask_roots(work),
            _ => self.poll_now = true,
        }
    }

    pub(super) fn ask_roots(&mut self, work: &mut Work<'_>) {
        self.poll_now = false;
        self.round = Round::default();
        if self.asks_since(work) {
            self.phase = Phase::Cursor;
            self.ask(For::Phase, Ask::Cursor(self.peer), work);
        } else {
            self.ask_all_roots(work);
        }
    }

    pub(super) fn ask_all_roots(&mut self, work: &mut Work<'_>) {
        self.phase = Phase::Roots;
        self.round.full = true;
        self.request(For::Phase, Service::GetAccessibleRoots, Vec::new(), work);
    }

    pub(super) fn roots_answered(&mut self, data: Data, work: &mut Work<'_>) {
        let read = match &data {
            Data::Text(text) => read_roots(text, work.config.roots).map_err(Trouble::Children),
            _ => Err(Trouble::NotText(Service::GetAccessibleRoots)),
        };
        drop(data);
        match read {
            Ok(entries) => self.take_roots(Vec::new(), entries, work),
            Err(trouble) => *work.fault = Some(ChumFault::Roots(trouble)),
        }
    }

    /// A list of roots has come. `pending` are to be looked at besides.
    pub(super) fn take_roots(
        &mut self,
        pending: Vec<Root>,
        entries: Vec<Result<Root, ListFault>>,
        work: &mut Work<'_>,
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
                        work.events.push_back(ChumEvent::EntryFailed(fault));
                    }
                }
            }
        }
        self.round.roots = left.len() as u64;
        self.began = work.now.mono;
        self.later.keep(|root| offered.contains(root));
        self.reported.retain(|root| offered.contains(root));
        self.groups.clear();
        self.group_of.clear();
        self.sift(left, work);
    }

    /// Looks the next roots up in the store.
    fn sift(&mut self, mut left: VecDeque<Root>, work: &mut Work<'_>) {
        let mut asked = Vec::new();
        while asked.len() < SIFT
            && let Some(root) = left.pop_front()
        {
            if self.is_wanted(&root, work) {
                asked.push(root);
            } else {
                self.since.pend(root, work.config.pending);
            }
        }
        if asked.is_empty() {
            self.phase = Phase::Working;
            self.go_on(work);
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
    fn is_wanted(&mut self, root: &Root, work: &mut Work<'_>) -> bool {
        let key = Key::of(root);
        if self.later.waits(&key, work.now.mono) {
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
                self.later.failed(key, work.now.mono);
                false
            }
            Verdict::Refuse => {
                self.refused(key, root.type_name(), !known, work);
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
    pub(super) fn refused(
        &mut self,
        key: Key,
        type_name: &str,
        unknown_type: bool,
        work: &mut Work<'_>,
    ) {
        self.round.refused += 1;
        if self.reported.len() < limits::CHUM_FAILED && self.reported.insert(key) {
            work.events.push_back(ChumEvent::RootRefused {
                root: key.reference,
                type_name: type_name.into(),
                unknown_type,
            });
        }
    }

    pub(super) fn sifted(&mut self, presence: &[Presence], work: &mut Work<'_>) {
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
        self.sift(left, work);
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
    pub(super) fn go_on(&mut self, work: &mut Work<'_>) {
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
            self.begin(job, work);
        }
        if self.tasks.is_empty() && self.ready.is_empty() && self.groups.is_empty() {
            self.end_round(work);
        }
    }

    fn begin(&mut self, job: Job, work: &mut Work<'_>) {
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
        self.advance(no, work);
    }

    fn end_round(&mut self, work: &mut Work<'_>) {
        self.later.looked(self.began);
        match self.settled(work.now) {
            Some(write) => {
                self.phase = Phase::Settling;
                self.ask(For::Phase, Ask::Write(write), work);
            }
            None => self.rest(work),
        }
    }

    /// The round is over, and what is settled is written.
    pub(super) fn rest(&mut self, work: &mut Work<'_>) {
        let mut round = self.round;
        round.first = self.rounds == 0;
        round.waiting = self.later.count() as u64;
        self.rounds += 1;
        work.events.push_back(ChumEvent::RoundEnded(round));
        if !work.config.keep_running {
            self.phase = Phase::Fin;
            self.request(For::Phase, Service::Fin, Vec::new(), work);
        } else if core::mem::take(&mut self.poll_now) {
            self.ask_roots(work);
        } else {
            self.phase = Phase::Sleeping {
                until: work.now.mono + work.config.poll,
            };
        }
    }
}
