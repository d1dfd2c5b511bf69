//! The lists of roots: all of them, or those that are not settled (spec 11, "roots since").

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{BATCH, Exporter, Fail, Histories, Job, Listed, Wanted};
use crate::chum::debug::root;
use crate::chum::entry::{Root, write_roots};
use crate::chum::journal::Journal;
use crate::chum::services::Refusal;
use crate::chum::since::{Cursor, digest_of, write_since};
use crate::chum::store::{Ask, Grant, Write};
use crate::chum::version::{VersionNode, listing};
use crate::chum::work::Work;
use crate::limits;
use crate::objects::{ObjectHash, ReadLimits, Reference};
use crate::rpc::RequestId;

impl Exporter {
    pub(super) fn read_nodes(&mut self, histories: &mut Histories, texts: &[Option<String>]) {
        let asked = core::mem::take(&mut histories.asked);
        for (hash, text) in asked.into_iter().zip(texts) {
            let object = text
                .as_deref()
                .and_then(|text| self.recipes.read(text, &ReadLimits::default()).ok());
            if let Some(node) = object.as_ref().and_then(VersionNode::of) {
                histories.ahead.extend(node.predecessors());
                self.nodes.insert(hash, node);
            }
        }
    }

    /// Reads the version nodes that are not known yet, then makes the list.
    pub(super) fn histories(
        &mut self,
        id: RequestId,
        mut histories: Histories,
        work: &mut Work<'_>,
    ) -> Result<(), Fail> {
        // What is known already leads on to what is before it.
        let mut wanted = Vec::new();
        while wanted.len() < BATCH
            && let Some(hash) = histories.ahead.pop()
        {
            if histories.seen.insert(hash) {
                match self.nodes.get(&hash) {
                    Some(node) => histories.ahead.extend(node.predecessors()),
                    None => wanted.push(hash),
                }
            }
        }
        if !wanted.is_empty() && histories.seen.len() <= limits::CHUM_HISTORY {
            histories.asked = wanted;
            let asked = histories.asked.iter().map(|node| Reference::Object(*node));
            let ask = Ask::Texts(asked.collect());
            self.ask(id, ask, work);
            self.job(id, Job::Histories(histories));
            return Ok(());
        }
        let roots = self.roots(&histories.grants, work.config.roots);
        if roots.len() > work.config.roots {
            return Err(Refusal::Limit.into());
        }
        self.accessible.roots(&roots);
        self.lists += 1;
        match histories.wanted {
            Wanted::Whole => work.rpc.answer_text(id, &write_roots(&roots)),
            Wanted::Since(cursor) => self.list_since(id, &roots, cursor, work),
        }
        Ok(())
    }

    /// The list is made, and all of it may be asked for: what of it the peer has not settled.
    fn list_since(
        &mut self,
        id: RequestId,
        roots: &[Root],
        cursor: Option<Cursor>,
        work: &mut Work<'_>,
    ) {
        let entries: Vec<String> = roots.iter().map(ToString::to_string).collect();
        let digest = digest_of(entries.clone());
        if let Some(cursor) = cursor.filter(|cursor| cursor.digest == digest) {
            // All of it is settled; that needs no journal.
            let nothing = core::iter::empty();
            work.rpc
                .answer_text(id, &write_since(false, cursor, nothing));
            return;
        }
        let listed = Listed {
            entries,
            digest,
            cursor,
        };
        self.job(id, Job::Journal(listed));
        self.ask(id, Ask::Journal(self.person), work);
    }

    /// Takes the list into the journal, and gives what is new since the peer's cursor.
    pub(super) fn since(
        &self,
        id: RequestId,
        listed: &Listed,
        journal: &[u8],
        work: &mut Work<'_>,
    ) {
        let hashes: Vec<[u8; 32]> = listed
            .entries
            .iter()
            .map(|text| ObjectHash::of(text).0)
            .collect();
        let mut journal = Journal::read(journal).unwrap_or_default();
        let before = journal.clone();
        journal.listed(hashes.iter().copied(), work.now.wall);
        let known = listed.cursor.as_ref();
        let since = known.and_then(|cursor| journal.stamp_of_list(&cursor.digest));
        journal.remember(listed.digest);
        let cursor = Cursor {
            digest: listed.digest,
            stamp: journal.last(),
        };
        let is_new = |hash| since.is_none_or(|stamp| journal.stamp_of_entry(hash) > stamp);
        let all = listed.entries.iter().zip(&hashes);
        let entries = all.filter(|(_, hash)| is_new(*hash));
        let entries = entries.map(|(text, _)| text.as_str());
        let answer = write_since(since.is_none(), cursor, entries);
        work.rpc.answer_text(id, &answer);
        if journal != before {
            // Nobody waits for it: a list that was given and is not in the journal is unknown, and all is given then.
            work.asks.ask(Ask::Write(Write {
                journal: Some(Box::new((self.person, journal.write()))),
                ..Write::default()
            }));
        }
    }

    fn roots(&self, grants: &[Grant], most: usize) -> Vec<Root> {
        let mut roots = Vec::new();
        let mut seen = BTreeSet::new();
        let mut add = |root: Root| {
            if seen.insert(*root.reference().bytes()) {
                roots.push(root);
            }
        };
        for grant in grants {
            add(root(grant.clone()));
            if let Grant::Id {
                id,
                type_name,
                head: Some(head),
            } = grant
            {
                let node_of = |hash| self.nodes.get(&hash).cloned();
                for node in listing(*head, node_of, most).unwrap_or_default() {
                    add(Root::VersionNode {
                        node,
                        id: *id,
                        type_name: type_name.clone(),
                    });
                }
            }
        }
        roots
    }
}
