//! The end: the faults are over, and all comes to rest.

use std::collections::BTreeSet;

use chumwire::chum::{Grant, Presence};
use chumwire::hex;
use chumwire::objects::{IdHash, Reference};
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

    /// `to` has all that `from` grants it.
    fn has_all(&mut self, from: usize, to: usize) -> Result<(), String> {
        let (giver, taker) = (&self.places[from], &self.places[to]);
        let what = grants(giver.disk.store(), &self.recipes, taker.person);
        let names = format!("{} of {}", taker.name, giver.name);
        let mut all = BTreeSet::new();
        for grant in what {
            let store = giver.disk.store();
            match grant {
                Grant::Object { hash, .. } => {
                    self.check.reach(store, Reference::Object(hash), &mut all)?;
                }
                Grant::Id { id, head, .. } => {
                    self.check.reach(store, Reference::Id(id), &mut all)?;
                    if let Some(head) = head {
                        self.check.reach(store, Reference::Object(head), &mut all)?;
                        self.same_version(from, to, id)?;
                    }
                }
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
        if let Some(head) = giver.disk.store().head(&id)
            && taker.disk.store().presence(&Reference::Object(head)) != Presence::Merged
        {
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
