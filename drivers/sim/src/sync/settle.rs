//! The end: the faults are over, and all comes to rest.

use std::collections::BTreeSet;

use chumwire::chum::{Before, Grant, Presence, VersionNode};
use chumwire::hex;
use chumwire::objects::{FileHash, IdHash, ObjectHash, ReadLimits, Reference};
use chumwire::time::Micros;

use super::check::{grants, holds};
use super::world::SyncWorld;

/// Rounds without a change, after which nothing will change any more: one may have begun before the last change.
const ROUNDS: u32 = 3;
/// How long it may take.
const LONGEST: Micros = Micros::secs(1_200);

impl SyncWorld {
    /// Runs without faults until nothing changes for two whole rounds of everybody.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        self.calm();
        let until = self.now.mono + LONGEST;
        while !self.is_settled() {
            if self.now.mono > until {
                return Err("it never comes to rest".into());
            }
            if !self.step()? {
                return Err("nothing happens any more, and it is not at rest".into());
            }
        }
        self.at_the_end()
    }

    fn is_settled(&self) -> bool {
        let rests = self.links.iter().all(|link| {
            let conn = link.conn.as_ref();
            conn.is_some_and(|conn| {
                let mut halves = conn.halves.iter();
                halves.all(|half| half.rounds >= ROUNDS && half.chum.is_at_rest())
            })
        });
        rests && self.is_idle()
    }

    /// What holds when all is at rest.
    fn at_the_end(&mut self) -> Result<(), String> {
        for place in &self.places {
            if place.disk.without_open(self.conns) != *place.disk.store() {
                return Err(format!("a file is open for ever [{}]", place.name));
            }
        }
        for link in 0..self.links.len() {
            let [one, other] = self.links[link].ends;
            self.has_all(one, other)?;
            self.has_all(other, one)?;
        }
        Ok(())
    }

    /// The newest versions that an instance lists: of a deployed one those that its head joins, not their join.
    fn given(&self, from: usize, head: ObjectHash) -> Vec<ObjectHash> {
        let of = &self.places[from];
        if !of.deployed.is_some_and(|faults| faults.unlisted_merges) {
            return [head].into();
        }
        let (mut given, mut ahead) = (Vec::new(), Vec::from([head]));
        while let Some(hash) = ahead.pop() {
            let text = of.disk.store().text(&Reference::Object(hash));
            let object = text.and_then(|text| self.recipes.read(text, &ReadLimits::default()).ok());
            match object.as_ref().and_then(VersionNode::of) {
                Some(node) if matches!(node.before, Before::Merge(_)) => {
                    ahead.extend(node.predecessors());
                }
                _ => given.push(hash),
            }
        }
        given
    }

    /// `to` has all that `from` grants it.
    fn has_all(&mut self, from: usize, to: usize) -> Result<(), String> {
        let (giver, taker) = (&self.places[from], &self.places[to]);
        let what = grants(giver.disk.store(), &self.recipes, taker.person);
        let names = format!("{} of {}", taker.name, giver.name);
        let mut all = BTreeSet::new();
        let is_mute = giver.deployed.is_some_and(|faults| faults.empty_chunks);
        for grant in what {
            let store = self.places[from].disk.store();
            let mut its = BTreeSet::new();
            match grant {
                Grant::Object { hash, .. } => {
                    self.check.reach(store, Reference::Object(hash), &mut its)?;
                }
                Grant::Id { id, head, .. } => {
                    self.check.reach(store, Reference::Id(id), &mut its)?;
                    if let Some(head) = head {
                        for head in self.given(from, head) {
                            self.check.reach(store, Reference::Object(head), &mut its)?;
                        }
                        self.same_version(from, to, id)?;
                    }
                }
            }
            // What is no text cannot come from such a peer, nor what refers to it.
            let is_text = |hash: &[u8; 32]| {
                let file = store.file(&FileHash(*hash));
                file.is_none_or(|bytes| core::str::from_utf8(bytes).is_ok())
            };
            if !is_mute || its.iter().all(is_text) {
                all.extend(its);
            }
        }
        let there: BTreeSet<_> = {
            let store = taker.disk.store();
            let files = store.files().map(|file| file.0);
            store
                .objects()
                .map(|(hash, _)| *hash)
                .chain(files)
                .collect()
        };
        match all.difference(&there).next() {
            None => Ok(()),
            Some(hash) => Err(format!(
                "something that was granted never arrived [{names}: {}]",
                hex::encode(hash)
            )),
        }
    }

    /// The newest version of a thing that one grants the other.
    fn same_version(&self, from: usize, to: usize, id: IdHash) -> Result<(), String> {
        let (giver, taker) = (&self.places[from], &self.places[to]);
        let names = format!("{} of {}, {id}", taker.name, giver.name);
        let recipes = &self.recipes;
        let given = giver.disk.store().newest(recipes, &id);
        let taken = taker.disk.store().newest(recipes, &id);
        let (Some(given), Some(taken)) = (given, taken) else {
            return Err(format!("a version that was granted has no head [{names}]"));
        };
        if !holds(recipes, (&taken.0, &taken.1), (&given.0, &given.1)) {
            return Err(format!(
                "a version that was granted is not in the head [{names}]"
            ));
        }
        // A deployed instance has no such mark.
        let heads = giver.disk.store().head(&id).into_iter();
        let mut heads = heads.flat_map(|head| self.given(from, head));
        let taken_in = |head| taker.disk.store().presence(&Reference::Object(head));
        if taker.deployed.is_none() && heads.any(|head| taken_in(head) != Presence::Merged) {
            return Err(format!(
                "a version that was granted is not merged [{names}]"
            ));
        }
        let back = grants(taker.disk.store(), recipes, giver.person);
        let is_mutual = back
            .iter()
            .any(|grant| matches!(grant, Grant::Id { id: own, .. } if *own == id));
        let only_read = !taker.wrote.contains(&id) && !giver.lost.contains(&id);
        match (is_mutual || only_read) && given.1 != taken.1 {
            true => Err(format!("the newest versions differ [{names}]")),
            false => Ok(()),
        }
    }
}
