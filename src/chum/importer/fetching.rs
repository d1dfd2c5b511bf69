//! Fetching: the list of children, what is missing of them from the end, then the root itself. Nothing is stored that
//! has not passed every check, and nothing before what it refers to.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::task::{Arrived, Expect, Fetch, File, Job, Step, Task};
use super::{For, Importer, TaskNo, Told};
use crate::chum::entry::{Root, Shape, read_children};
use crate::chum::event::ChumEvent;
use crate::chum::exporter::Work;
use crate::chum::policy::{Offer, Role, Verdict, is_ours_alone};
use crate::chum::services::Service;
use crate::chum::store::{Answer, Ask, FileNo, Presence, Write};
use crate::chum::trouble::Trouble;
use crate::chum::version::VersionNode;
use crate::objects::{IdHash, ObjectHash, ReadLimits, Reference, references};
use crate::rpc::Data;
use crate::time::Now;

impl Importer {
    /// The next thing that a task has to fetch, or its end.
    pub(super) fn advance(
        &mut self,
        now: Now,
        no: TaskNo,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
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
            Job::Root(_) => self.finish(now, no, work, told),
            Job::Group(_) => self.next_node(now, no, work, told),
        }
    }

    /// A task is through.
    pub(super) fn finish(
        &mut self,
        now: Now,
        no: TaskNo,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let Some(task) = self.tasks.remove(&no) else {
            return;
        };
        self.later.succeeded(&task.job.key());
        self.pend(&task.job, false, work);
        if let Job::Root(root) = task.job {
            if let Root::Versioned { hash, id, .. } = &root {
                told.events.push_back(ChumEvent::VersionReceived {
                    id: *id,
                    hash: *hash,
                });
            }
            told.events.push_back(ChumEvent::RootStored {
                root: root.reference(),
                type_name: root.type_name().into(),
            });
        }
        self.go_on(now, work, told);
    }

    /// A task cannot go on. What was stored of it stays.
    pub(super) fn task_failed(
        &mut self,
        now: Now,
        no: TaskNo,
        trouble: Trouble,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
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
                self.refused(key, &type_name, false, told);
            }
            Trouble::Later => self.later.failed(key, now.mono),
            trouble => {
                self.later.failed(key, now.mono);
                self.round.failed += 1;
                self.failures += 1;
                told.events.push_back(ChumEvent::RootFailed {
                    root: key.reference,
                    type_name,
                    trouble,
                });
            }
        }
        self.go_on(now, work, told);
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

    fn rechecked(
        &mut self,
        now: Now,
        no: TaskNo,
        what: Reference,
        there: bool,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
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
                self.advance(now, no, work, told);
            }
            (true, false) => {
                fetch.have.insert(what);
                self.next_child(now, no, work, told);
            }
            (false, true) if fetch.listed.is_empty() => self.ask_children(no, work),
            (false, true) => self.next_child(now, no, work, told),
            (false, false) => {
                fetch.missing.push(what);
                self.next_child(now, no, work, told);
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
    fn next_child(&mut self, now: Now, no: TaskNo, work: &mut Work<'_>, told: &mut Told<'_>) {
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
                    return self.task_failed(now, no, Trouble::Refused, work, told);
                }
                Verdict::Later => return self.task_failed(now, no, Trouble::Later, work, told),
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
    fn stored(
        &mut self,
        now: Now,
        no: TaskNo,
        what: Reference,
        bytes: u64,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        self.received.add(what, bytes);
        self.round.stored += 1;
        told.events.push_back(ChumEvent::Stored {
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
            true => self.advance(now, no, work, told),
            false => self.next_child(now, no, work, told),
        }
    }

    // --- objects -------------------------------------------------------------------------------------------------

    fn ask_text(&mut self, no: TaskNo, what: Reference, service: Service, work: &mut Work<'_>) {
        if let Some(task) = self.tasks.get_mut(&no) {
            task.step = Step::Text(what);
            self.request(For::Task(no), service, [hash_of(what)].into(), work);
        }
    }

    /// The checks of an object, in the order of the specification.
    fn text_came(
        &mut self,
        no: TaskNo,
        what: Reference,
        text: String,
        work: &mut Work<'_>,
    ) -> Result<(), Trouble> {
        let hash = ObjectHash::of(&text);
        if hash.0 != *what.bytes() {
            return Err(Trouble::WrongHash);
        }
        self.count_bytes(text.len() as u64, work)?;
        let limits = ReadLimits {
            bytes: work.config.object,
            ..ReadLimits::default()
        };
        let object = self.recipes.read(&text, &limits).map_err(Trouble::Object)?;
        if object.id_only != matches!(what, Reference::Id(_)) {
            return Err(Trouble::IdForObject);
        }
        if is_ours_alone(&object.type_name) {
            return Err(Trouble::ForbiddenType);
        }
        let Some(task) = self.tasks.get_mut(&no) else {
            return Ok(());
        };
        let Some(fetch) = &task.fetch else {
            return Ok(());
        };
        let is_target = fetch.target == what;
        if is_target {
            match &fetch.expect {
                Expect::Type(name) if *name != object.type_name => return Err(Trouble::WrongType),
                Expect::Node if VersionNode::of(&object).is_none() => {
                    return Err(Trouble::NotANode);
                }
                _ => {}
            }
        }
        // An entry names the thing that the object is a version of.
        if is_target
            && !object.id_only
            && let Job::Root(Root::Versioned { id, .. }) = &task.job
            && self.recipes.id_hash(&object).ok() != Some(*id)
        {
            return Err(Trouble::NodeId);
        }
        let role = match (&task.job, is_target) {
            (Job::Root(root), true) => match root.shape() {
                Shape::Unversioned => Role::Unversioned,
                Shape::Versioned => Role::Versioned,
                Shape::Id | Shape::VersionNode => Role::Id,
            },
            // The data of a version node are looked at below.
            _ => Role::Child,
        };
        let offer = Offer {
            from: self.person,
            role,
            type_name: Some(&object.type_name),
            reference: match &task.job {
                Job::Root(root) if is_target => root.id().map_or(what, Reference::Id),
                _ => what,
            },
        };
        match self.policy.arrived(&offer, &object) {
            Verdict::Accept => {}
            Verdict::Refuse => return Err(Trouble::Refused),
            Verdict::Later => return Err(Trouble::Later),
        }
        // All that it refers to has to be there, as what it was listed.
        let uses = references(&text, work.config.children).map_err(|_| {
            Trouble::Children(crate::chum::ListFault::TooMany(work.config.children))
        })?;
        let mut unlisted = Vec::new();
        for used in uses {
            if fetch.have.contains(&used) {
                continue;
            }
            match fetch.listed.get(used.bytes()) {
                Some(kind) if *kind != used.kind() => return Err(Trouble::WrongKind),
                _ => unlisted.push(used),
            }
        }
        let arrived = Box::new(Arrived {
            reference: what,
            text,
            object,
            is_target,
            version: None,
        });
        if unlisted.is_empty() {
            self.check_version(no, arrived, work);
        } else {
            task.step = Step::Unlisted(arrived);
            self.ask(For::Task(no), Ask::Presence(unlisted), work);
        }
        Ok(())
    }

    /// Of a version node the data are looked at before it is stored.
    fn check_version(&mut self, no: TaskNo, arrived: Box<Arrived>, work: &mut Work<'_>) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let is_node = matches!(&task.job, Job::Group(_)) && arrived.is_target;
        match VersionNode::of(&arrived.object).filter(|_| is_node) {
            Some(node) => {
                task.step = Step::NodeData(arrived);
                let data = Reference::Object(node.data);
                self.ask(For::Task(no), Ask::Texts([data].into()), work);
            }
            None => self.write_object(no, arrived, work),
        }
    }

    fn write_object(&mut self, no: TaskNo, mut arrived: Box<Arrived>, work: &mut Work<'_>) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let text = core::mem::take(&mut arrived.text);
        let bytes = text.len();
        let mut texts = Vec::from([(arrived.reference, text)]);
        // The id object of a version is made from it.
        if !arrived.object.id_only
            && self.recipes.is_versioned(&arrived.object.type_name)
            && let Ok(id_object) = self.recipes.id_object(&arrived.object)
            && let Ok(text) = self.recipes.write(&id_object)
        {
            texts.insert(0, (Reference::Id(IdHash::of(&text)), text));
        }
        arrived.text = bytes.to_string();
        task.step = Step::Writing(arrived);
        let write = Write {
            texts,
            ..Write::default()
        };
        self.ask(For::Task(no), Ask::Write(write), work);
    }

    fn count_bytes(&mut self, bytes: u64, work: &Work<'_>) -> Result<(), Trouble> {
        self.round.bytes = self.round.bytes.saturating_add(bytes);
        match self.round.bytes > work.config.round {
            true => Err(Trouble::RoundTooLong),
            false => Ok(()),
        }
    }

    // --- files ---------------------------------------------------------------------------------------------------

    fn ask_file(&mut self, no: TaskNo, what: Reference, as_text: bool, work: &mut Work<'_>) {
        let file = self.ask(For::File(no), Ask::Open, work);
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        task.step = Step::File(Box::new(File {
            reference: what,
            file,
            request: None,
            hash: Sha256::new(),
            bytes: 0,
            untaken: 1,
            whole: None,
            as_text,
        }));
        let encoding = match what {
            Reference::Clob(_) => Data::Text("utf8".into()),
            _ if as_text => Data::Text("utf8".into()),
            _ => Data::Undefined,
        };
        let args = [hash_of(what), encoding].into();
        self.request(For::Task(no), Service::GetBlob, args, work);
    }

    pub(super) fn file_chunk(
        &mut self,
        now: Now,
        no: TaskNo,
        bytes: &mut Vec<u8>,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let counted = self.count_bytes(bytes.len() as u64, work);
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let Step::File(file) = &mut task.step else {
            return;
        };
        file.bytes = file.bytes.saturating_add(bytes.len() as u64);
        let trouble = match counted {
            Err(trouble) => Some(trouble),
            Ok(()) if file.bytes > work.config.file => Some(Trouble::FileTooLong),
            Ok(()) => None,
        };
        if let Some(trouble) = trouble {
            return self.task_failed(now, no, trouble, work, told);
        }
        file.hash.update(&bytes);
        file.untaken += 1;
        let part = For::Part(no, file.file);
        let append = Ask::Append {
            file: file.file,
            bytes: core::mem::take(bytes),
        };
        self.ask(part, append, work);
    }

    /// The store has taken a part of a file, or could not.
    pub(super) fn file_told(
        &mut self,
        now: Now,
        (no, of): (TaskNo, FileNo),
        answer: &Answer,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let step = self.tasks.get_mut(&no).map(|task| &mut task.step);
        // It can be a file that was given up meanwhile.
        let Some(Step::File(file)) = step.filter(|step| step.receives(of)) else {
            return;
        };
        if *answer != Answer::Done {
            return self.task_failed(now, no, Trouble::Store, work, told);
        }
        file.untaken = file.untaken.saturating_sub(1);
        if let Some(empty_chunks) = file.whole.filter(|_| file.untaken == 0) {
            self.file_whole(now, no, empty_chunks, work, told);
        }
    }

    pub(super) fn file_end(
        &mut self,
        now: Now,
        no: TaskNo,
        empty_chunks: u64,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let Step::File(file) = &mut task.step else {
            return;
        };
        file.request = None;
        // Until the store has taken all of it: a file that lacks a part would be closed else.
        file.whole = Some(empty_chunks);
        if file.untaken == 0 {
            self.file_whole(now, no, empty_chunks, work, told);
        }
    }

    /// A file has come, and the store has all of it.
    fn file_whole(
        &mut self,
        now: Now,
        no: TaskNo,
        empty_chunks: u64,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let Step::File(file) = &mut task.step else {
            return;
        };
        let (what, no_file) = (file.reference, file.file);
        if file.digest() == *what.bytes() {
            task.step = Step::Closing(what, no_file, file.bytes);
            let close = Ask::Close {
                file: no_file,
                reference: what,
            };
            self.ask(For::Task(no), close, work);
            return;
        }
        if empty_chunks > 0 && !file.as_text && matches!(what, Reference::Blob(_)) {
            // The peer cannot send bytes; as text they are right if they are text. The hash decides.
            self.ask(For::Nobody, Ask::Discard(no_file), work);
            return self.ask_file(no, what, true, work);
        }
        let trouble = match file.as_text {
            true => Trouble::EmptyChunks,
            false => Trouble::WrongHash,
        };
        self.task_failed(now, no, trouble, work, told);
    }

    // --- answers -------------------------------------------------------------------------------------------------

    /// The peer answers a task's request with a value.
    pub(super) fn task_answered(
        &mut self,
        now: Now,
        no: TaskNo,
        service: Service,
        data: Data,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
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
            self.task_failed(now, no, trouble, work, told);
        }
    }

    /// The store answers a task.
    pub(super) fn task_told(
        &mut self,
        now: Now,
        no: TaskNo,
        answer: Answer,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        if answer == Answer::Failed {
            self.task_failed(now, no, Trouble::Store, work, told);
            return;
        }
        let step = core::mem::replace(&mut task.step, Step::Ready);
        match (step, answer) {
            (Step::Recheck(what), Answer::Presence(presence)) => {
                let there = presence.first().is_some_and(|is| *is != Presence::Absent);
                self.rechecked(now, no, what, there, work, told);
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
                self.next_child(now, no, work, told);
            }
            (Step::Unlisted(arrived), Answer::Presence(presence)) => {
                match presence.iter().all(|is| *is != Presence::Absent) {
                    true => self.check_version(no, arrived, work),
                    false => self.task_failed(now, no, Trouble::Unlisted, work, told),
                }
            }
            (Step::Writing(arrived), Answer::Done) => {
                let bytes = arrived.text.parse().unwrap_or_default();
                self.keep_version(no, &arrived);
                self.stored(now, no, arrived.reference, bytes, work, told);
            }
            (Step::Closing(what, _, bytes), Answer::Done) => {
                self.stored(now, no, what, bytes, work, told);
            }
            (Step::NodeData(arrived), Answer::Texts(texts)) => {
                self.node_data(now, no, arrived, texts, work, told);
            }
            (step, answer) => self.merge_told(now, no, step, answer, work, told),
        }
    }

    fn node_data(
        &mut self,
        now: Now,
        no: TaskNo,
        mut arrived: Box<Arrived>,
        texts: Vec<Option<String>>,
        work: &mut Work<'_>,
        told: &mut Told<'_>,
    ) {
        let Some(node) = VersionNode::of(&arrived.object) else {
            return self.task_failed(now, no, Trouble::NotANode, work, told);
        };
        match self.version_data(now, no, &node, texts, told) {
            Ok(data) => {
                arrived.version = Some((node, data));
                self.write_object(no, arrived, work);
            }
            Err(trouble) => self.task_failed(now, no, trouble, work, told),
        }
    }
}

fn hash_of(reference: Reference) -> Data {
    Data::Text(crate::hex::encode(reference.bytes()))
}
