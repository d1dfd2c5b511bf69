//! The text of an object: asked for, looked at, written (spec 11, "Importer"; spec 12).

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::fetching::hash_of;
use super::task::{Arrived, Expect, Job, Step};
use super::{For, Importer, TaskNo};
use crate::chum::entry::{Root, Shape};
use crate::chum::policy::{Offer, Role, Verdict, is_ours_alone};
use crate::chum::services::Service;
use crate::chum::store::{Ask, Write};
use crate::chum::trouble::Trouble;
use crate::chum::version::VersionNode;
use crate::chum::work::Work;
use crate::objects::{IdHash, ObjectHash, ReadLimits, Reference, references};

impl Importer {
    pub(super) fn ask_text(
        &mut self,
        no: TaskNo,
        what: Reference,
        service: Service,
        work: &mut Work<'_>,
    ) {
        if let Some(task) = self.tasks.get_mut(&no) {
            task.step = Step::Text(what);
            self.request(For::Task(no), service, [hash_of(what)].into(), work);
        }
    }

    /// The checks of an object, in the order of the specification.
    pub(super) fn text_came(
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
    pub(super) fn check_version(&mut self, no: TaskNo, arrived: Box<Arrived>, work: &mut Work<'_>) {
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

    pub(super) fn write_object(
        &mut self,
        no: TaskNo,
        mut arrived: Box<Arrived>,
        work: &mut Work<'_>,
    ) {
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

    pub(super) fn count_bytes(&mut self, bytes: u64, work: &Work<'_>) -> Result<(), Trouble> {
        self.round.bytes = self.round.bytes.saturating_add(bytes);
        match self.round.bytes > work.config.round {
            true => Err(Trouble::RoundTooLong),
            false => Ok(()),
        }
    }
}
