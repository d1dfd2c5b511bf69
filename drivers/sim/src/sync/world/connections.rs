//! What ends of connections do.

use chumwire::chum::{Chum, ChumEvent, ChumOutput, Peer, Trouble};
use chumwire::io::Message;

use super::SyncWorld;
use crate::sync::deployed::DeployedChum;
use crate::sync::ends::{Conn, Half, Issued};
use crate::sync::faults::Moment;
use crate::sync::speaker::Speaker;

impl SyncWorld {
    pub(super) fn connect(&mut self, link: usize) -> Result<(), String> {
        let ends = self.links[link].ends;
        let half = |world: &Self, end: usize| {
            let (own, peer) = (&world.places[ends[end]], &world.places[ends[1 - end]]);
            let recipes = world.recipes.clone();
            Half::new(match own.deployed {
                Some(faults) => {
                    let chum = DeployedChum::new(peer.person, recipes, faults);
                    Speaker::Deployed(Box::new(chum))
                }
                None => Speaker::Ours(Box::new(Chum::new(
                    world.clock(link, end),
                    world.config.clone(),
                    Peer {
                        own: own.person,
                        person: peer.person,
                        instance: peer.person.0,
                    },
                    recipes,
                    own.policy.clone(),
                ))),
            })
        };
        let halves = [half(self, 0), half(self, 1)];
        let id = self.conns;
        self.conns += 1;
        self.log(|world| {
            let [one, other] = ends.map(|end| world.places[end].name);
            format!("{one} and {other} connect ({id})")
        });
        let calm = self.hurry == 0;
        self.links[link].conn = Some(Conn { id, calm, halves });
        self.pump(link, 0)?;
        self.pump(link, 1)
    }

    /// What is on its way is lost; both ends are told.
    pub(super) fn cut(&mut self, link: usize) -> Result<(), String> {
        let Some(mut conn) = self.links[link].conn.take() else {
            return Ok(());
        };
        self.log(|_| format!("connection {} is cut", conn.id));
        for (end, half) in conn.halves.iter_mut().enumerate() {
            half.chum.closed();
            let mut bytes = Vec::new();
            while let Some(output) = half.chum.poll(self.now, &mut bytes) {
                if let ChumOutput::Ask { ask, .. } = output {
                    return Err(format!("a CHUM that has ended asks the store [{ask:?}]"));
                }
            }
            let place = &mut self.places[self.links[link].ends[end]];
            if place.up {
                let issued = place.issued.entry(conn.id).or_default();
                issued.push_back(Issued::Forget);
            }
        }
        Ok(())
    }

    pub(super) fn message(&mut self, link: usize, end: usize) -> Result<(), String> {
        let at = self.messages;
        self.messages += 1;
        if self.strike(Moment::Message(at), Some(link))? {
            return Ok(());
        }
        let now = self.clock(link, end);
        let Some(half) = self.half(link, end) else {
            return Ok(());
        };
        let Some((kind, bytes)) = half.inbox.pop_front() else {
            return Ok(());
        };
        let message = Message::of(kind, &bytes).map_err(|_| "a text is not UTF-8")?;
        half.chum.message(now, message);
        self.log(|world| {
            let name = world.places[world.links[link].ends[end]].name;
            format!("{name} takes {}", shown(&bytes))
        });
        // There is room again.
        let other = 1 - end;
        if let Some(half) = self.half(link, other)
            && let Some(blocked) = half.blocked.take()
        {
            self.half(link, end)
                .into_iter()
                .for_each(|half| half.inbox.push_back(blocked.clone()));
            let now = self.clock(link, other);
            if let Some(half) = self.half(link, other) {
                half.chum.drained(now);
            }
            self.pump(link, other)?;
        }
        self.pump(link, end)
    }

    /// Does what an end wants done, as far as there is room.
    pub(super) fn pump(&mut self, link: usize, end: usize) -> Result<(), String> {
        let (now, room) = (self.clock(link, end), self.room);
        let place = self.links[link].ends[end];
        let mut bytes = Vec::new();
        loop {
            let Some(conn) = &mut self.links[link].conn else {
                return Ok(());
            };
            let (id, calm) = (conn.id, conn.calm);
            let half = &mut conn.halves[end];
            if half.blocked.is_some() {
                return Ok(());
            }
            match half.chum.poll(now, &mut bytes) {
                None => break,
                Some(ChumOutput::Send(kind)) => {
                    let store = self.places[place].disk.store();
                    let origin = &self.places[place].origin;
                    self.check.sent(&bytes, id, half, store, origin)?;
                    let message = (kind, core::mem::take(&mut bytes));
                    match conn.halves[1 - end].inbox.len() < room {
                        true => conn.halves[1 - end].inbox.push_back(message),
                        false => conn.halves[end].blocked = Some(message),
                    }
                }
                Some(ChumOutput::Ask { id: ask_id, ask }) => {
                    let issued = self.places[place].issued.entry(id).or_default();
                    issued.push_back(Issued::Ask(ask_id, ask));
                }
                Some(ChumOutput::Event(event)) => self.told(link, end, calm, event)?,
            }
        }
        let ended = self.half(link, end).is_some_and(|half| half.ended);
        match ended {
            true => self.cut(link),
            false => Ok(()),
        }
    }

    fn told(
        &mut self,
        link: usize,
        end: usize,
        calm: bool,
        event: ChumEvent,
    ) -> Result<(), String> {
        let name = self.places[self.links[link].ends[end]].name;
        // A peer that cannot send files as bytes.
        let peer = self.places[self.links[link].ends[1 - end]].deployed;
        let is_mute = peer.is_some_and(|faults| faults.empty_chunks);
        self.log(|_| format!("{name} tells {event:?}"));
        match event {
            ChumEvent::RoundEnded(round) => {
                if let Some(half) = self.half(link, end) {
                    let well = is_mute || round.failed == 0 && round.waiting == 0;
                    half.rounds = if well { half.rounds + 1 } else { 0 };
                }
            }
            ChumEvent::Ended { fault, .. } => {
                if let Some(half) = self.half(link, end) {
                    half.ended = true;
                }
                if let Some(fault) = fault.filter(|_| calm) {
                    return Err(format!("a CHUM ends without a cause [{fault}]"));
                }
            }
            ChumEvent::RootFailed {
                trouble: Trouble::EmptyChunks,
                ..
            } if is_mute => {}
            ChumEvent::RootFailed { trouble, .. } if calm => {
                return Err(format!("a root fails without a cause [{trouble}]"));
            }
            ChumEvent::RootRefused { type_name, .. } => {
                return Err(format!("a root is refused [{type_name}]"));
            }
            ChumEvent::EntryFailed(fault) => {
                return Err(format!("an entry of a list is none [{fault}]"));
            }
            _ => {}
        }
        Ok(())
    }
}

fn shown(bytes: &[u8]) -> String {
    match core::str::from_utf8(bytes) {
        Ok(text) => text.chars().take(160).collect(),
        Err(_) => format!("{} bytes", bytes.len()),
    }
}
