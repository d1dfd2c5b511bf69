//! What stores do, and when their answers come.

use chumwire::chum::{Answer, Ask};
use chumwire::objects::Reference;
use chumwire::time::Millis;

use super::SyncWorld;
use crate::chooser::{Choice, Chooser};
use crate::sync::desk::Desk;
use crate::sync::ends::{Issued, USER};
use crate::sync::faults::Moment;

impl SyncWorld {
    pub(super) fn answer(&mut self, link: usize, end: usize, which: usize) -> Result<(), String> {
        let now = self.clock(link, end);
        if let Some(half) = self.half(link, end)
            && let Some((id, answer)) = half.answers.remove(which)
        {
            half.chum.answered(now, id, answer);
        }
        self.pump(link, end)
    }

    pub(super) fn store(&mut self, place: usize, conn: u64) -> Result<(), String> {
        let of = &mut self.places[place];
        let Some(queue) = of.issued.get_mut(&conn) else {
            return Ok(());
        };
        let issued = queue.pop_front();
        if queue.is_empty() {
            of.issued.remove(&conn);
        }
        let (id, ask) = match issued {
            None => return Ok(()),
            Some(Issued::Forget) => {
                of.disk.volatile().forget(conn);
                return Ok(());
            }
            Some(Issued::Ask(id, ask)) => (id, ask),
        };
        if let Ask::Presence(what) = &ask {
            let at = self.steps;
            let mut halves = self.links.iter_mut().filter_map(|link| {
                let end = usize::from(link.ends[1] == place);
                let of = link.conn.as_mut().filter(|of| of.id == conn)?;
                Some(&mut of.halves[end])
            });
            if let Some(half) = halves.next() {
                let looked = what.iter().map(|what| (*what.bytes(), at));
                half.looked.extend(looked);
            }
        }
        let is_write = matches!(ask, Ask::Write(_) | Ask::Close { .. });
        let can = !matches!(ask, Ask::Discard(_));
        let refuses = can && self.store_fault(self.mix.refuse, "fails", &ask);
        let of = &mut self.places[place];
        let answer = if refuses {
            Answer::Failed
        } else if is_write {
            if let Ask::Write(write) = &ask
                && !write.heads.is_empty()
            {
                // What is merged is made here.
                let made = write.texts.iter().map(|(what, _)| *what.bytes());
                of.allowed.extend(made);
            }
            let recipes = &self.recipes;
            let answer = of
                .disk
                .write(|store| store.answer(recipes, conn, id, ask.clone()));
            self.log(|world| {
                let name = world.places[place].name;
                format!("{name} writes {}: {answer:?}", written(&ask))
            });
            self.changed(place, conn)?;
            answer
        } else {
            let is_file = matches!(ask, Ask::Bytes { .. });
            let rots = is_file && self.store_fault(self.mix.rot, "gives other bytes", &ask);
            let store = self.places[place].disk.volatile();
            let mut answer = store.answer(&self.recipes, conn, id, ask);
            if let Answer::Bytes(Some(piece)) = &mut answer
                && rots
                && let Some(first) = piece.bytes.first_mut()
            {
                *first ^= 1;
            }
            answer
        };
        if is_write && !refuses {
            let at = self.writes;
            self.writes += 1;
            let link = self.links.iter().position(|link| {
                let of = link.conn.as_ref();
                of.is_some_and(|of| of.id == conn)
            });
            self.strike(Moment::Write(at), link)?;
        }
        // It may be that nobody waits for it any more.
        for link in &mut self.links {
            let end = usize::from(link.ends[1] == place);
            if let Some(of) = link.conn.as_mut().filter(|of| of.id == conn) {
                of.halves[end].answers.push_back((id, answer.clone()));
            }
        }
        Ok(())
    }

    /// Whether a fault of a store happens now.
    fn store_fault(&mut self, rate: u32, what: &str, ask: &Ask) -> bool {
        if self.budget == 0 || rate == 0 {
            return false;
        }
        let strikes = self.chooser.choose(Choice::Store, 1_000) >= 1_000 - rate as usize;
        if strikes {
            self.budget -= 1;
            for conn in self.links.iter_mut().filter_map(|link| link.conn.as_mut()) {
                conn.calm = false;
            }
            self.log(|_| format!("a store {what}: {ask:?}"));
        }
        strikes
    }

    /// A store has changed.
    pub(super) fn changed(&mut self, place: usize, by: u64) -> Result<(), String> {
        for conn in self.links.iter_mut().filter_map(|link| link.conn.as_mut()) {
            for half in &mut conn.halves {
                half.rounds = 0;
            }
        }
        let step = self.steps;
        self.check
            .changed(&mut self.places, place, by, step, &self.recipes)
    }

    pub(super) fn deed(&mut self, place: usize) -> Result<(), String> {
        let Some(deed) = self.places[place].deeds.pop_front() else {
            return Ok(());
        };
        self.log(|world| format!("{} {}", world.places[place].name, deed.about));
        self.do_deed(place, deed.does)?;
        // Its user may tell the others, or leave it to their next round.
        if self.pick(2) == 0 {
            for link in 0..self.links.len() {
                for end in 0..2 {
                    let now = self.clock(link, end);
                    if self.links[link].ends[end] == place
                        && let Some(half) = self.half(link, end)
                    {
                        half.chum.granted(now);
                        self.pump(link, end)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn do_deed(&mut self, place: usize, does: fn(&mut Desk<'_>)) -> Result<(), String> {
        let of = &mut self.places[place];
        does(&mut Desk {
            disk: &mut of.disk,
            recipes: &self.recipes,
            wall: Millis(self.now.wall.0 + of.ahead),
            wanted: &mut of.wanted,
            wrote: &mut of.wrote,
        });
        self.changed(place, USER)
    }
}

fn written(ask: &Ask) -> String {
    match ask {
        Ask::Write(write) => {
            let what: Vec<&Reference> = write.texts.iter().map(|(what, _)| what).collect();
            format!("{what:?} heads {:?} merged {:?}", write.heads, write.merged)
        }
        ask => format!("{ask:?}"),
    }
}
