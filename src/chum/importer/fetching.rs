//! Fetching: the list of children, what is missing of them from the end, then the root itself. Nothing is stored that
//! has not passed every check, and nothing before what it refers to.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::task::{Arrived, Fetch, Job, Step, Task};
use super::{For, Importer, TaskNo};
use crate::chum::entry::{Root, read_children};
use crate::chum::event::ChumEvent;
use crate::chum::policy::{Offer, Role, Verdict};
use crate::chum::services::Service;
use crate::chum::store::{Answer, Ask, Presence};
use crate::chum::trouble::Trouble;
use crate::chum::version::VersionNode;
use crate::chum::work::Work;
use crate::objects::Reference;
use crate::rpc::Data;

impl Importer {
    /// The next thing that a task has to fetch, or its end.
    pub(super) fn advance(&mut self, no: TaskNo, work: &mut Work<'_>) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        task.fetch = None;
        task.step = Step::Ready;
        if let Some((target, expect)) = task.ahead.pop_front() {
            task.fetch = Some(Fetch::new(target, expect));
            // It may have come meanwhile, as a part of something else.
            self.recheck(no, target, work);
            return;
        }
        match &mut task.job {
            Job::Root(_) => self.finish(no, work),
            Job::Group(_) => self.next_node(no, work),
        }
    }

    /// A task is through.
    pub(super) fn finish(&mut self, no: TaskNo, work: &mut Work<'_>) {
        let Some(task) = self.tasks.remove(&no) else {
            return;
        };
        self.later.succeeded(&task.job.key());
        self.pend(&task.job, false, work);
        if let Job::Root(root) = task.job {
            if let Root::Versioned { hash, id, .. } = &root {
                work.events.push_back(ChumEvent::VersionReceived {
                    id: *id,
                    hash: *hash,
                });
            }
            work.events.push_back(ChumEvent::RootStored {
                root: root.reference(),
                type_name: root.type_name().into(),
            });
        }
        self.go_on(work);
    }

    /// A task cannot go on. What was stored of it stays.
    pub(super) fn task_failed(&mut self, no: TaskNo, trouble: Trouble, work: &mut Work<'_>) {
        let Some(task) = self.tasks.remove(&no) else {
            return;
        };
        self.drop_file(&task, work);
        if let Some(owned) = task.owns {
            self.release(owned, work);
        }
        self.outgoing.retain(|waiting| waiting.of != For::Task(no));
        self.pend(&task.job, true, work);
        let (key, type_name) = (task.job.key(), String::from(task.job.type_name()));
        match trouble {
            Trouble::Refused => {
                let what = match (&task.job, &task.fetch) {
                    // Other versions may be taken.
                    (Job::Group(_), Some(fetch)) => fetch.target,
                    (Job::Root(root), _) => root.reference(),
                    (Job::Group(_), None) => key.reference,
                };
                if self.turned_away.len() < crate::limits::CHUM_FAILED {
                    self.turned_away.insert(what);
                }
                self.refused(key, &type_name, false, work);
            }
            Trouble::Later => self.later.failed(key, work.now.mono),
            trouble => {
                self.later.failed(key, work.now.mono);
                self.round.failed += 1;
                self.failures += 1;
                work.events.push_back(ChumEvent::RootFailed {
                    root: key.reference,
                    type_name,
                    trouble,
                });
            }
        }
        self.go_on(work);
    }

    /// An unfinished file is not wanted any more.
    fn drop_file(&mut self, task: &Task, work: &mut Work<'_>) {
        let no = match &task.step {
            Step::File(file) => {
                if let Some(request) = file.request {
                    self.requests.remove(&request);
                    work.rpc.cancel(request);
                }
                file.file
            }
            Step::Closing(_, no, _) => *no,
            _ => return,
        };
        self.ask(For::Nobody, Ask::Discard(no), work);
    }

    // --- one at a time -------------------------------------------------------------------------------------------

    /// Makes this task the one that fetches it; if another one does, it waits.
    fn own(&mut self, no: TaskNo, what: Reference) -> bool {
        if let Some(waiting) = self.owned.get_mut(&what) {
            waiting.push(no);
            if let Some(task) = self.tasks.get_mut(&no) {
                task.step = Step::Wait;
            }
            return false;
        }
        self.owned.insert(what, Vec::new());
        if let Some(task) = self.tasks.get_mut(&no) {
            task.owns = Some(what);
        }
        true
    }

    /// It came, or will not: those that wait for it look whether it is there.
    fn release(&mut self, what: Reference, work: &mut Work<'_>) {
        for no in self.owned.remove(&what).unwrap_or_default() {
            self.recheck(no, what, work);
        }
    }

    /// Whether something is stored by now.
    fn recheck(&mut self, no: TaskNo, what: Reference, work: &mut Work<'_>) {
        if let Some(task) = self.tasks.get_mut(&no) {
            task.step = Step::Recheck(what);
            self.ask(For::Task(no), Ask::Presence([what].into()), work);
        }
    }

    fn rechecked(&mut self, no: TaskNo, what: Reference, there: bool, work: &mut Work<'_>) {
        let Some(fetch) = self.tasks.get_mut(&no).and_then(|task| task.fetch.as_mut()) else {
            return;
        };
        let is_target = fetch.target == what;
        match (there, is_target) {
            (true, true) => {
                // A version that came as a part of another one is still to be looked at.
                if let Reference::Object(node) = what
                    && let Some(group) = self.group_of_task(no)
                {
                    group.nodes.push_front((node, Presence::Stored));
                }
                self.advance(no, work);
            }
            (true, false) => {
                fetch.have.insert(what);
                self.next_child(no, work);
            }
            (false, true) if fetch.listed.is_empty() => self.ask_children(no, work),
            (false, true) => self.next_child(no, work),
            (false, false) => {
                fetch.missing.push(what);
                self.next_child(no, work);
            }
        }
    }

    // --- children ------------------------------------------------------------------------------------------------

    fn ask_children(&mut self, no: TaskNo, work: &mut Work<'_>) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let Some(fetch) = &task.fetch else { return };
        task.step = Step::Children;
        let service = match fetch.target {
            Reference::Id(_) => Service::GetIdObjectChildren,
            _ => Service::GetObjectChildren,
        };
        let args = [hash_of(fetch.target)].into();
        self.request(For::Task(no), service, args, work);
    }

    fn children_came(
        &mut self,
        no: TaskNo,
        text: &str,
        work: &mut Work<'_>,
    ) -> Result<(), Trouble> {
        let children = read_children(text, work.config.children).map_err(Trouble::Children)?;
        let Some(task) = self.tasks.get_mut(&no) else {
            return Ok(());
        };
        let Some(fetch) = &mut task.fetch else {
            return Ok(());
        };
        fetch.listed = children
            .iter()
            .map(|child| (*child.bytes(), child.kind()))
            .collect();
        task.step = Step::Sift(children.clone());
        self.ask(For::Task(no), Ask::Presence(children), work);
        Ok(())
    }

    /// The last child that is missing, or the root itself.
    fn next_child(&mut self, no: TaskNo, work: &mut Work<'_>) {
        let Some(fetch) = self.tasks.get_mut(&no).and_then(|task| task.fetch.as_mut()) else {
            return;
        };
        // Two entries of a list can be the same.
        while fetch
            .missing
            .pop_if(|child| fetch.have.contains(child) || *child == fetch.target)
            .is_some()
        {}
        let what = fetch.missing.pop().unwrap_or(fetch.target);
        let is_target = what == fetch.target;
        if !is_target {
            let offer = Offer {
                from: self.person,
                role: Role::Child,
                type_name: None,
                reference: what,
            };
            match self.policy.offered(&offer) {
                Verdict::Accept => {}
                Verdict::Refuse => {
                    return self.task_failed(no, Trouble::Refused, work);
                }
                Verdict::Later => return self.task_failed(no, Trouble::Later, work),
            }
        }
        if !self.own(no, what) {
            return;
        }
        match what {
            Reference::Object(_) => self.ask_text(no, what, Service::GetObject, work),
            Reference::Id(_) => self.ask_text(no, what, Service::GetIdObject, work),
            Reference::Blob(_) | Reference::Clob(_) => self.ask_file(no, what, false, work),
        }
    }

    /// What a task owned is stored, and what comes next.
    fn stored(&mut self, no: TaskNo, what: Reference, bytes: u64, work: &mut Work<'_>) {
        self.received.add(what, bytes);
        self.round.stored += 1;
        work.events.push_back(ChumEvent::Stored {
            reference: what,
            bytes,
        });
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        task.owns = None;
        let is_target = match &mut task.fetch {
            Some(fetch) => {
                fetch.have.insert(what);
                fetch.target == what
            }
            None => true,
        };
        self.release(what, work);
        match is_target {
            true => self.advance(no, work),
            false => self.next_child(no, work),
        }
    }

    // --- answers -------------------------------------------------------------------------------------------------

    /// The peer answers a task's request with a value.
    pub(super) fn task_answered(
        &mut self,
        no: TaskNo,
        service: Service,
        data: Data,
        work: &mut Work<'_>,
    ) {
        let Some(task) = self.tasks.get(&no) else {
            return;
        };
        let result = match (&task.step, data) {
            (Step::Children, Data::Text(text)) => self.children_came(no, &text, work),
            (Step::Text(what), Data::Text(text)) => {
                let what = *what;
                self.text_came(no, what, text, work)
            }
            _ => Err(Trouble::NotText(service)),
        };
        if let Err(trouble) = result {
            self.task_failed(no, trouble, work);
        }
    }

    /// The store answers a task.
    pub(super) fn task_told(&mut self, no: TaskNo, answer: Answer, work: &mut Work<'_>) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        if answer == Answer::Failed {
            self.task_failed(no, Trouble::Store, work);
            return;
        }
        let step = core::mem::replace(&mut task.step, Step::Ready);
        match (step, answer) {
            (Step::Recheck(what), Answer::Presence(presence)) => {
                let there = presence.first().is_some_and(|is| *is != Presence::Absent);
                self.rechecked(no, what, there, work);
            }
            (Step::Sift(children), Answer::Presence(presence)) => {
                if let Some(fetch) = &mut task.fetch {
                    for (child, is) in children.into_iter().zip(presence) {
                        match is {
                            Presence::Absent => fetch.missing.push(child),
                            _ => drop(fetch.have.insert(child)),
                        }
                    }
                }
                self.next_child(no, work);
            }
            (Step::Unlisted(arrived), Answer::Presence(presence)) => {
                match presence.iter().all(|is| *is != Presence::Absent) {
                    true => self.check_version(no, arrived, work),
                    false => self.task_failed(no, Trouble::Unlisted, work),
                }
            }
            (Step::Writing(arrived), Answer::Done) => {
                let bytes = arrived.text.parse().unwrap_or_default();
                self.keep_version(no, &arrived);
                self.stored(no, arrived.reference, bytes, work);
            }
            (Step::Closing(what, _, bytes), Answer::Done) => {
                self.stored(no, what, bytes, work);
            }
            (Step::NodeData(arrived), Answer::Texts(texts)) => {
                self.node_data(no, arrived, texts, work);
            }
            (step, answer) => self.merge_told(no, step, answer, work),
        }
    }

    fn node_data(
        &mut self,
        no: TaskNo,
        mut arrived: Box<Arrived>,
        texts: Vec<Option<String>>,
        work: &mut Work<'_>,
    ) {
        let Some(node) = VersionNode::of(&arrived.object) else {
            return self.task_failed(no, Trouble::NotANode, work);
        };
        match self.version_data(no, &node, texts, work) {
            Ok(data) => {
                arrived.version = Some((node, data));
                self.write_object(no, arrived, work);
            }
            Err(trouble) => self.task_failed(no, trouble, work),
        }
    }
}

pub(super) fn hash_of(reference: Reference) -> Data {
    Data::Text(crate::hex::encode(reference.bytes()))
}
