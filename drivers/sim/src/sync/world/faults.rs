//! What goes wrong: crashes, cuts and failures of stores, planned or drawn.

use super::SyncWorld;
use crate::chooser::Chooser;
use crate::link::FaultKind;
use crate::sync::ends::{Place, USER};
use crate::sync::faults::{Blow, Moment};

impl SyncWorld {
    pub(super) fn maybe_blow(&mut self) -> Result<(), String> {
        if self.budget == 0 {
            return Ok(());
        }
        if self.chooser.strikes(FaultKind::Cut, self.mix.cut) {
            let up: Vec<usize> = (0..self.links.len())
                .filter(|link| self.links[*link].conn.is_some())
                .collect();
            if !up.is_empty() {
                let link = up[self.pick(up.len())];
                self.budget -= 1;
                return self.cut(link);
            }
        }
        if self.chooser.strikes(FaultKind::Crash, self.mix.crash) {
            let place = self.pick(self.places.len());
            let most = self.places[place].disk.losable();
            let lost = self.pick(most + 1);
            self.budget -= 1;
            return self.crash(place, lost);
        }
        Ok(())
    }

    /// Lets planned faults happen whose moment this is. True if one did.
    pub(super) fn strike(&mut self, at: Moment, link: Option<usize>) -> Result<bool, String> {
        let Some(place) = self.planned.iter().position(|planned| planned.at == at) else {
            return Ok(false);
        };
        let planned = self.planned.remove(place);
        match planned.blow {
            Blow::Cut => {
                if let Some(link) = link {
                    self.cut(link)?;
                }
            }
            Blow::Crash { place, lost } => self.crash(place, lost)?,
        }
        Ok(true)
    }

    fn crash(&mut self, place: usize, lost: usize) -> Result<(), String> {
        if !self.places[place].up {
            return Ok(());
        }
        self.log(|world| {
            let name = world.places[place].name;
            format!("{name} crashes and loses {lost} writes at most")
        });
        self.places[place].up = false;
        for link in 0..self.links.len() {
            if self.links[link].ends.contains(&place) {
                self.cut(link)?;
            }
        }
        let conns = self.conns;
        let of = &mut self.places[place];
        of.issued.clear();
        let heads = |of: &Place| {
            let heads = of.wrote.iter().map(|id| (*id, of.disk.store().head(id)));
            heads.collect::<Vec<_>>()
        };
        let before = heads(of);
        of.disk.crash(lost, conns);
        let after = heads(of);
        let lost = before.iter().zip(&after).filter(|(one, two)| one != two);
        of.lost.extend(lost.map(|((id, _), _)| *id));
        self.check.cut_back(&mut self.places[place]);
        self.changed(place, USER)
    }

    pub(super) fn start(&mut self, place: usize) -> Result<(), String> {
        self.log(|world| format!("{} starts again", world.places[place].name));
        let of = &mut self.places[place];
        of.up = true;
        for ((what, person), yes) in of.wanted.clone() {
            of.disk.write(|store| match yes {
                true => store.share(what, person),
                false => store.unshare(&what, person),
            });
        }
        self.changed(place, USER)
    }

    /// The faults are over.
    pub(in crate::sync) fn calm(&mut self) {
        self.budget = 0;
        self.hurry = 0;
        self.log(|_| "the faults are over".into());
    }
}
