//! Version nodes: the new ones of a thing are stored in the order of the list; then the deepest is merged into the
//! head (spec 11, "Nodes" and "What the local merge makes of it").

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::task::{Arrived, Expect, Fetch, Group, Job, Lists, Step, Version};
use super::{For, Importer, TaskNo};
use crate::channels::Join;
use crate::chum::event::ChumEvent;
use crate::chum::merge::{Side, merge};
use crate::chum::policy::{Offer, Role, Verdict};
use crate::chum::store::{Answer, Ask, NewHead, Presence, Write};
use crate::chum::trouble::Trouble;
use crate::chum::version::VersionNode;
use crate::chum::work::Work;
use crate::limits;
use crate::objects::{Object, ObjectHash, ReadLimits, Reference};

impl Importer {
    pub(super) fn group_of_task(&mut self, no: TaskNo) -> Option<&mut Group> {
        match self.tasks.get_mut(&no).map(|task| &mut task.job) {
            Some(Job::Group(group)) => Some(group),
            _ => None,
        }
    }

    /// The next node of a group; after the last one, the merge.
    pub(super) fn next_node(&mut self, no: TaskNo, work: &mut Work<'_>) {
        let Some(group) = self.group_of_task(no) else {
            return;
        };
        let next = group.nodes.pop_front();
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        match next {
            None => self.begin_merge(no, work),
            Some((node, Presence::Absent)) => {
                task.ahead
                    .push_back((Reference::Object(node), Expect::Node));
                self.advance(no, work);
            }
            Some((node, _)) => {
                task.fetch = Some(Fetch::new(Reference::Object(node), Expect::Node));
                task.step = Step::StoredNode(node);
                let ask = Ask::Texts([Reference::Object(node)].into());
                self.ask(For::Task(no), ask, work);
            }
        }
    }

    /// The data of a version node, if they are what the list and the policy say.
    pub(super) fn version_data(
        &mut self,
        no: TaskNo,
        node: &VersionNode,
        texts: Vec<Option<String>>,
        work: &mut Work<'_>,
    ) -> Result<Object, Trouble> {
        let Some(group) = self.group_of_task(no) else {
            return Err(Trouble::NodeData);
        };
        let (id, type_name) = (group.id, group.type_name.clone());
        let text = texts.into_iter().next().flatten();
        let data = self.object_of(text.as_deref()).ok_or(Trouble::NodeData)?;
        if data.type_name != type_name {
            return Err(Trouble::NodeType);
        }
        if self.recipes.id_hash(&data).ok() != Some(id) {
            return Err(Trouble::NodeId);
        }
        let offer = Offer {
            from: self.person,
            role: Role::VersionNode,
            type_name: Some(&data.type_name),
            reference: Reference::Id(id),
        };
        match self.policy.arrived(&offer, &data) {
            Verdict::Accept => {}
            Verdict::Refuse => return Err(Trouble::Refused),
            Verdict::Later => return Err(Trouble::Later),
        }
        let ahead = node.created.0.saturating_sub(work.now.wall.0);
        if ahead > crate::limits::CHUM_FUTURE.as_millis() {
            work.events
                .push_back(ChumEvent::FromTheFuture { id, ahead });
        }
        Ok(data)
    }

    fn object_of(&self, text: Option<&str>) -> Option<Object> {
        self.recipes.read(text?, &ReadLimits::default()).ok()
    }

    /// A version node was stored.
    pub(super) fn keep_version(&mut self, no: TaskNo, arrived: &Arrived) {
        if let (Reference::Object(hash), Some((node, data))) =
            (arrived.reference, arrived.version.clone())
        {
            self.checked(no, Version { hash, node, data });
        }
    }

    fn checked(&mut self, no: TaskNo, version: Version) {
        if let Some(group) = self.group_of_task(no) {
            group.checked.push(version.hash);
            let deepest = group.best.as_ref().map(|best| best.node.depth);
            if deepest.is_none_or(|depth| version.node.depth > depth) {
                group.best = Some(version);
            }
        }
    }

    fn begin_merge(&mut self, no: TaskNo, work: &mut Work<'_>) {
        let Some(Group {
            best: Some(best), ..
        }) = self.group_of_task(no)
        else {
            return self.finish(no, work);
        };
        let edge = VersionNode::edge(best.node.data, best.node.created);
        match edge.write(&self.recipes) {
            Ok((hash, _)) => {
                self.step(no, Step::IsMerged);
                let ask = Ask::Presence([Reference::Object(hash)].into());
                self.ask(For::Task(no), ask, work);
            }
            Err(_) => self.task_failed(no, Trouble::Merge, work),
        }
    }

    fn step(&mut self, no: TaskNo, step: Step) {
        if let Some(task) = self.tasks.get_mut(&no) {
            task.step = step;
        }
    }

    /// The store's answers to the steps of a merge.
    pub(super) fn merge_told(
        &mut self,
        no: TaskNo,
        step: Step,
        answer: Answer,
        work: &mut Work<'_>,
    ) {
        let result = match (step, answer) {
            (Step::StoredNode(hash), Answer::Texts(texts)) => {
                self.stored_node(no, hash, texts, work)
            }
            (Step::StoredData(stored), Answer::Texts(texts)) => {
                let (hash, node) = *stored;
                let data = self.version_data(no, &node, texts, work);
                data.map(|data| {
                    self.checked(no, Version { hash, node, data });
                    self.advance(no, work);
                })
            }
            (Step::IsMerged, Answer::Presence(presence)) => {
                match presence.first() {
                    // What it says was in the head before.
                    Some(Presence::Merged) => self.mark(no, work),
                    _ => self.ask_head(no, work),
                }
                Ok(())
            }
            (Step::Head, Answer::Head(None)) => self.first_head(no, work),
            (Step::Head, Answer::Head(Some(head))) => {
                self.step(no, Step::HeadNode(head));
                let ask = Ask::Texts([Reference::Object(head)].into());
                self.ask(For::Task(no), ask, work);
                Ok(())
            }
            (Step::HeadNode(head), Answer::Texts(texts)) => self.head_node(no, head, texts, work),
            (Step::HeadData(head), Answer::Texts(texts)) => {
                let (hash, node) = *head;
                self.join(no, (hash, &node), texts, work)
            }
            (Step::Lists(mut lists), Answer::Texts(texts)) => {
                match lists.join.came(&self.recipes, &texts) {
                    Some(()) => self.lists(no, lists, work),
                    None => Err(Trouble::Merge),
                }
            }
            (Step::Merging(new), Answer::Done) => {
                if let Some((_, data, _)) = new
                    && let Some(group) = self.group_of_task(no)
                {
                    work.events.push_back(ChumEvent::NewVersion {
                        id: group.id,
                        type_name: group.type_name.clone(),
                        data,
                        came: group.best.as_ref().map_or(data, |best| best.node.data),
                    });
                }
                self.finish(no, work);
                Ok(())
            }
            (Step::Merging(_), Answer::Conflict) => {
                self.ask_head(no, work);
                Ok(())
            }
            // An answer that the question does not have: the store is out of order.
            _ => Err(Trouble::Store),
        };
        if let Err(trouble) = result {
            self.task_failed(no, trouble, work);
        }
    }

    fn stored_node(
        &mut self,
        no: TaskNo,
        hash: ObjectHash,
        texts: Vec<Option<String>>,
        work: &mut Work<'_>,
    ) -> Result<(), Trouble> {
        let text = texts.into_iter().next().flatten();
        let object = self.object_of(text.as_deref());
        let node = object.as_ref().and_then(VersionNode::of);
        let node = node.ok_or(Trouble::NotANode)?;
        let data = Reference::Object(node.data);
        self.step(no, Step::StoredData(Box::new((hash, node))));
        self.ask(For::Task(no), Ask::Texts([data].into()), work);
        Ok(())
    }

    fn ask_head(&mut self, no: TaskNo, work: &mut Work<'_>) {
        if let Some(group) = self.group_of_task(no) {
            let id = group.id;
            self.step(no, Step::Head);
            self.ask(For::Task(no), Ask::Head(id), work);
        }
    }

    /// The head stays; the nodes are not looked at again.
    fn mark(&mut self, no: TaskNo, work: &mut Work<'_>) {
        if let Some(group) = self.group_of_task(no) {
            let merged = group.up_to_best();
            self.step(no, Step::Merging(None));
            let write = Write {
                merged,
                ..Write::default()
            };
            self.ask(For::Task(no), Ask::Write(write), work);
        }
    }

    fn first_head(&mut self, no: TaskNo, work: &mut Work<'_>) -> Result<(), Trouble> {
        let Some(group) = self.group_of_task(no) else {
            return Ok(());
        };
        let best = group.best.clone().ok_or(Trouble::Merge)?;
        let edge = VersionNode::edge(best.node.data, best.node.created);
        self.new_head(no, None, &[edge], Vec::new(), work)
    }

    fn head_node(
        &mut self,
        no: TaskNo,
        head: ObjectHash,
        texts: Vec<Option<String>>,
        work: &mut Work<'_>,
    ) -> Result<(), Trouble> {
        let text = texts.into_iter().next().flatten();
        let object = self.object_of(text.as_deref());
        let node = object.as_ref().and_then(VersionNode::of);
        let node = node.ok_or(Trouble::Merge)?;
        let data = Reference::Object(node.data);
        self.step(no, Step::HeadData(Box::new((head, node))));
        self.ask(For::Task(no), Ask::Texts([data].into()), work);
        Ok(())
    }

    /// Joins the head and what came.
    fn join(
        &mut self,
        no: TaskNo,
        head: (ObjectHash, &VersionNode),
        texts: Vec<Option<String>>,
        work: &mut Work<'_>,
    ) -> Result<(), Trouble> {
        let text = texts.into_iter().next().flatten();
        let ours = self.object_of(text.as_deref()).ok_or(Trouble::Merge)?;
        let Some(group) = self.group_of_task(no) else {
            return Ok(());
        };
        let best = group.best.clone().ok_or(Trouble::Merge)?;
        let ours = Side {
            object: &ours,
            created: head.1.created,
        };
        let theirs = Side {
            object: &best.data,
            created: best.node.created,
        };
        let joined = merge(&self.recipes, ours, theirs).ok_or(Trouble::Merge)?;
        // The lists of a channel are joined by time.
        let list_of = |object: &Object| match object.get("head")?.as_reference()? {
            Reference::Object(hash) if object.type_name == "ChannelInfo" => Some(hash),
            _ => None,
        };
        if let (Some(own), Some(other)) = (list_of(ours.object), list_of(theirs.object))
            && own != other
        {
            let lists = Lists {
                head: (head.0, head.1.clone()),
                joined,
                join: Join::new([own, other], limits::CHUM_CHILDREN),
            };
            return self.lists(no, Box::new(lists), work);
        }
        self.joined(no, head, &joined, Vec::new(), work)
    }

    /// Goes on with the lists of a channel.
    fn lists(
        &mut self,
        no: TaskNo,
        mut lists: Box<Lists>,
        work: &mut Work<'_>,
    ) -> Result<(), Trouble> {
        if let Some(wanted) = lists.join.wants() {
            self.step(no, Step::Lists(lists));
            self.ask(For::Task(no), Ask::Texts(wanted), work);
            return Ok(());
        }
        let joined = lists.join.joined(&self.recipes);
        let (list, texts) = joined.ok_or(Trouble::Merge)?;
        for (name, value) in &mut lists.joined.properties {
            if name == "head" {
                *value = list.into();
            }
        }
        let (hash, node) = &lists.head;
        self.joined(no, (*hash, node), &lists.joined, texts, work)
    }

    /// The data of both versions are one.
    fn joined(
        &mut self,
        no: TaskNo,
        head: (ObjectHash, &VersionNode),
        joined: &Object,
        mut texts: Vec<(Reference, String)>,
        work: &mut Work<'_>,
    ) -> Result<(), Trouble> {
        let Some(group) = self.group_of_task(no) else {
            return Ok(());
        };
        let best = group.best.clone().ok_or(Trouble::Merge)?;
        let text = self.recipes.write(joined).map_err(|_| Trouble::Merge)?;
        let data = ObjectHash::of(&text);
        let edge = VersionNode::edge(best.node.data, best.node.created);
        if data == head.1.data && edge.created <= head.1.created {
            self.mark(no, work);
            return Ok(());
        }
        let (edge_hash, _) = edge.write(&self.recipes).map_err(|_| Trouble::Merge)?;
        let merged = VersionNode::merge([head, (edge_hash, &edge)], data);
        texts.push((Reference::Object(data), text));
        self.new_head(no, Some(head.0), &[edge, merged], texts, work)
    }

    /// Writes version nodes, the last of which is the new head. Whatever says the same as one of them is merged from
    /// then on, too, and stored with it: what is merged counts as there when it is a part of something else.
    fn new_head(
        &mut self,
        no: TaskNo,
        old: Option<ObjectHash>,
        nodes: &[VersionNode],
        texts: Vec<(Reference, String)>,
        work: &mut Work<'_>,
    ) -> Result<(), Trouble> {
        let recipes = self.recipes.clone();
        let Some(group) = self.group_of_task(no) else {
            return Ok(());
        };
        let id = group.id;
        let mut write = Write {
            texts,
            merged: group.up_to_best(),
            ..Write::default()
        };
        let mut head = None;
        for node in nodes {
            let new = write.node(&recipes, node).map_err(|_| Trouble::Merge)?;
            head = Some((new, node.data, node.created));
        }
        let heads = head.map(|(new, ..)| NewHead { id, old, new });
        write.heads.extend(heads);
        self.step(no, Step::Merging(head));
        self.ask(For::Task(no), Ask::Write(write), work);
        Ok(())
    }
}
