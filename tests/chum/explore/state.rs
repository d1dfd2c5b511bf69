//! The small world at a moment: an exporter and importing devices of one person, what moves can be made, and what
//! comes of each. All of it is a value; states are told apart by a number.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use chumwire::chum::{Answer, Ask, AskId, Chum, ChumOutput, MemoryStore};
use chumwire::io::{Kind, Message};
use chumwire::objects::{Recipes, Reference};
use chumwire::time::{Micros, Millis, Now};
use serde_json::Value as Json;

use crate::pair::{person, policy};
use crate::world::{
    ALICE, Control, by_stamp_alone, ends, list_in, lose_journal, missing, write_early,
};

/// How many of the last writes a crash may take.
const LOSABLE: usize = 3;
/// A connection is there for one round, or for two.
const LONG: Micros = Micros::secs(7);
const BEGIN: Micros = Micros::secs(1);
/// What a clock jumps back by.
const JUMP: u64 = 3_600_000;

/// What alice does with her grants, in this order, whenever it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Grant(Reference),
    Withdraw(Reference),
}

/// What stays the same in all states of a play.
pub(super) struct Play {
    pub(super) recipes: Recipes,
    pub(super) control: Control,
    pub(super) deeds: Vec<Deed>,
    /// With two connections at once, only the order of what the exporter's store is asked matters between them: the
    /// rest of the one commutes with all of the other.
    pub(super) only_shared_order: bool,
}

/// What can happen. From `Cut` on it is a disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The next message comes to an end of a connection.
    Deliver(usize, usize),
    /// The store answers the next question of an end: what it is asked it does in that order.
    Answer(usize, usize),
    /// Time passes until something happens.
    Wait,
    /// All connections end.
    HangUp,
    /// All importers connect. What was written before is on the disk now; backups are made.
    Connect,
    /// Alice's next deed.
    Deed,
    /// All connections are lost, or the exporter crashes with everything on its disk.
    Cut,
    /// A place crashes; so many of its last writes are lost.
    Crash(usize, usize),
    /// The store fails at a question.
    Fail(usize, usize),
    /// The exporter's journal is lost.
    LoseJournal,
    /// A clock goes back.
    Back(usize),
    /// A place gets an older store.
    Restore(usize, usize),
}

impl Move {
    pub(super) fn disturbs(self) -> bool {
        !matches!(
            self,
            Self::Deliver(..)
                | Self::Answer(..)
                | Self::Wait
                | Self::HangUp
                | Self::Connect
                | Self::Deed
        )
    }
}

/// A store, shared by states, and what it is told apart by.
#[derive(Clone)]
struct Disk {
    /// A question that is no write leaves it as it is.
    store: Rc<RefCell<MemoryStore>>,
    print: u64,
}

impl Disk {
    fn new(store: MemoryStore) -> Self {
        let print = print_of(&store);
        let store = Rc::new(RefCell::new(store));
        Self { store, print }
    }

    /// Another store, made of this one.
    fn change<T>(&mut self, change: impl FnOnce(&mut MemoryStore) -> T) -> T {
        let mut store = self.store.borrow().clone();
        let result = change(&mut store);
        *self = Self::new(store);
        result
    }
}

impl Hash for Disk {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

fn print_of(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// One end of a connection. A machine is a function of what it was told: that is what ends are told apart by.
#[derive(Clone)]
struct End {
    chum: Rc<Chum>,
    place: usize,
    told: u64,
    inbox: VecDeque<Rc<(Kind, Vec<u8>)>>,
    asks: VecDeque<(AskId, Ask)>,
}

impl End {
    fn tell(&mut self, now: Now, what: &impl Hash) {
        self.told = print_of(&(self.told, now, print_of(what)));
    }

    fn ask(&mut self) -> (AskId, Ask) {
        self.asks.pop_front().expect("a question")
    }
}

/// A connection: the importer's end, and the exporter's.
#[derive(Clone)]
struct Link {
    ends: [End; 2],
    /// The cursor of the last request.
    asked: Option<Json>,
}

/// A place of the world.
#[derive(Clone, Hash)]
struct Place {
    disk: Disk,
    wall: u64,
    /// The store before each of the last writes, which a crash may take.
    unsynced: Vec<Disk>,
    backups: Vec<Disk>,
}

#[derive(Clone)]
pub(super) struct State {
    places: Vec<Place>,
    links: Vec<Link>,
    mono: Micros,
    deeds: usize,
    /// How many more of each there may be.
    pub(super) connects: usize,
    pub(super) disturbances: usize,
}

impl State {
    pub(super) fn new(alice: MemoryStore, importers: usize, connects: usize, most: usize) -> Self {
        let place = |store| Place {
            disk: Disk::new(store),
            wall: 1_700_000_000_000,
            unsynced: Vec::new(),
            backups: Vec::new(),
        };
        let bobs = (0..importers).map(|_| MemoryStore::new());
        Self {
            places: [alice].into_iter().chain(bobs).map(place).collect(),
            links: Vec::new(),
            mono: BEGIN,
            deeds: 0,
            connects,
            disturbances: most,
        }
    }

    /// What states are told apart by.
    pub(super) fn print(&self) -> u64 {
        let links = self.links.iter();
        let told: Vec<_> = links
            .map(|link| link.ends.each_ref().map(|end| (end.place, end.told)))
            .collect();
        let counts = (self.deeds, self.connects, self.disturbances);
        print_of(&(&self.places, told, self.mono, counts))
    }

    /// The same, of what is left when everything is quiet.
    pub(super) fn print_at_rest(&self) -> u64 {
        let places = self.places.iter();
        let left: Vec<_> = places.map(|place| (place.disk.print, place.wall)).collect();
        print_of(&left)
    }

    pub(super) fn is_connected(&self) -> bool {
        !self.links.is_empty()
    }

    fn now(&self, place: usize) -> Now {
        Now {
            mono: self.mono,
            wall: Millis(self.places[place].wall),
        }
    }

    // --- moves ---------------------------------------------------------------------------------------------------

    /// What can happen next.
    pub(super) fn moves(&self, play: &Play) -> Vec<Move> {
        let mut moves = match self.is_connected() {
            true => self.moves_of_links(play),
            false if self.connects > 0 => vec![Move::Connect],
            false => return Vec::new(),
        };
        let may_change =
            !self.is_connected() || self.is_asked(|ask| matches!(ask, Ask::Granted(_)));
        if may_change && self.deeds < play.deeds.len() {
            moves.push(Move::Deed);
        }
        if self.disturbances > 0 {
            self.disturb(&mut moves);
        }
        moves
    }

    /// What happens when nothing disturbs.
    pub(super) fn first_move(&self, play: &Play) -> Option<Move> {
        match self.is_connected() {
            true => self.moves_of_links(play).first().copied(),
            false => None,
        }
    }

    fn moves_of_links(&self, play: &Play) -> Vec<Move> {
        let (mut moves, mut shared) = (Vec::new(), Vec::new());
        for (no, link) in self.links.iter().enumerate() {
            for (at, end) in link.ends.iter().enumerate() {
                if !end.inbox.is_empty() {
                    moves.push(Move::Deliver(no, at));
                }
                if let Some((_, ask)) = end.asks.front() {
                    let is_shared = end.place == ALICE
                        && matches!(ask, Ask::Granted(_) | Ask::Journal(_) | Ask::Write(_));
                    match is_shared {
                        true => shared.push(Move::Answer(no, at)),
                        false => moves.push(Move::Answer(no, at)),
                    }
                }
            }
        }
        if play.only_shared_order && !moves.is_empty() {
            moves.truncate(1);
            return moves;
        }
        moves.append(&mut shared);
        if moves.is_empty() {
            if self.next_at().is_some() {
                moves.push(Move::Wait);
            }
            moves.push(Move::HangUp);
        }
        moves
    }

    fn disturb(&self, moves: &mut Vec<Move>) {
        if self.is_connected() {
            moves.push(Move::Cut);
        }
        for (no, place) in self.places.iter().enumerate() {
            // Of one connection it is as a cut.
            let least = match self.links.len() > 1 && no != ALICE && self.has_link(no) {
                true => 0,
                false => 1,
            };
            moves.extend((least..=place.unsynced.len()).map(|lost| Move::Crash(no, lost)));
            let differ = |backup: &Disk| backup.print != place.disk.print;
            let backups = place.backups.iter().enumerate();
            let backups = backups.filter(|(_, backup)| differ(backup));
            moves.extend(backups.map(|(which, _)| Move::Restore(no, which)));
        }
        for (no, link) in self.links.iter().enumerate() {
            for (at, end) in link.ends.iter().enumerate() {
                if !end.asks.is_empty() {
                    moves.push(Move::Fail(no, at));
                }
            }
        }
        // Each where it can matter next.
        if !self.is_connected() || self.is_asked(|ask| matches!(ask, Ask::Journal(_))) {
            moves.extend([Move::LoseJournal, Move::Back(ALICE)]);
        }
        for no in 1..self.places.len() {
            let is_asked = |ask: &Ask| match ask {
                Ask::Cursor(peer) => peer.instance[0] == no as u8,
                _ => false,
            };
            if !self.is_connected() || self.is_asked(is_asked) {
                moves.push(Move::Back(no));
            }
        }
    }

    fn has_link(&self, place: usize) -> bool {
        self.links.iter().any(|link| link.ends[0].place == place)
    }

    fn is_asked(&self, what: impl Fn(&Ask) -> bool) -> bool {
        let mut ends = self.links.iter().flat_map(|link| &link.ends);
        ends.any(|end| end.asks.front().is_some_and(|(_, ask)| what(ask)))
    }

    /// When something happens again, while the connections last.
    fn next_at(&self) -> Option<Micros> {
        let ends = self.links.iter().flat_map(|link| &link.ends);
        let due = ends.filter_map(|end| end.chum.deadline());
        let next = due.map(|due| due.at).min();
        next.filter(|at| *at <= BEGIN + LONG)
    }

    // --- what comes of them --------------------------------------------------------------------------------------

    pub(super) fn make(&mut self, play: &Play, what: Move) {
        self.disturbances -= usize::from(what.disturbs());
        match what {
            Move::Deliver(no, end) => self.deliver(play, no, end),
            Move::Answer(no, end) => self.answer(play, no, end),
            Move::Wait => self.wait(),
            Move::HangUp | Move::Cut => self.links.clear(),
            Move::Connect => self.connect(play),
            Move::Deed => self.deed(play),
            Move::Crash(place, lost) => {
                self.stop(place);
                let place = &mut self.places[place];
                for _ in 0..lost {
                    place.disk = place.unsynced.pop().expect("a write");
                }
                place.unsynced.clear();
            }
            Move::Fail(no, end) => {
                let (id, _) = self.links[no].ends[end].ask();
                self.answered(no, end, id, Answer::Failed);
            }
            Move::LoseJournal => {
                let disk = &mut self.places[ALICE].disk;
                disk.change(|store| lose_journal(&play.recipes, store));
            }
            Move::Back(place) => self.places[place].wall -= JUMP,
            Move::Restore(place, which) => {
                self.stop(place);
                let place = &mut self.places[place];
                place.disk = place.backups[which].clone();
                place.unsynced.clear();
            }
        }
    }

    /// The process of a place is gone, and its connections with it.
    fn stop(&mut self, place: usize) {
        let links = &mut self.links;
        links.retain(|link| link.ends.iter().all(|end| end.place != place));
    }

    pub(super) fn connect(&mut self, play: &Play) {
        self.connects = self.connects.saturating_sub(1);
        self.mono = BEGIN;
        for place in &mut self.places {
            place.unsynced.clear();
            if place
                .backups
                .iter()
                .all(|had| had.print != place.disk.print)
            {
                place.backups.push(place.disk.clone());
            }
        }
        for place in 1..self.places.len() {
            let nows = [self.now(place), self.now(ALICE)];
            let chums = ends(&play.recipes, place, nows, Arc::new(policy("bob")));
            let mut places = [place, ALICE].into_iter();
            let ends = chums.map(|chum| {
                let mut end = End {
                    chum: Rc::new(chum),
                    place: places.next().expect("a place"),
                    told: 0,
                    inbox: VecDeque::new(),
                    asks: VecDeque::new(),
                };
                end.tell(nows[usize::from(end.place == ALICE)], &());
                end
            });
            self.links.push(Link { ends, asked: None });
        }
        for no in 0..self.links.len() {
            self.poll(no, 0);
            self.poll(no, 1);
        }
    }

    fn deed(&mut self, play: &Play) {
        let deed = play.deeds[self.deeds];
        self.deeds += 1;
        self.places[ALICE].disk.change(|alice| match deed {
            Deed::Grant(what) => alice.share(what, person("bob")),
            Deed::Withdraw(what) => alice.unshare(&what, person("bob")),
        });
    }

    fn wait(&mut self) {
        while let Some(at) = self.next_at() {
            let passed = at.since(self.mono).as_millis();
            self.mono = self.mono.max(at);
            for place in &mut self.places {
                place.wall += passed;
            }
            for no in 0..self.links.len() {
                for end in 0..2 {
                    let now = self.now(self.links[no].ends[end].place);
                    let this = &mut self.links[no].ends[end];
                    this.tell(now, &"tick");
                    Rc::make_mut(&mut this.chum).tick(now);
                    self.poll(no, end);
                }
            }
            let mut ends = self.links.iter().flat_map(|link| &link.ends);
            if ends.any(|end| !end.inbox.is_empty() || !end.asks.is_empty()) {
                return;
            }
        }
    }

    fn deliver(&mut self, play: &Play, no: usize, end: usize) {
        let link = &mut self.links[no];
        let message = link.ends[end].inbox.pop_front().expect("a message");
        let place = link.ends[end].place;
        if play.control != Control::No
            && let Ok(read) = serde_json::from_slice::<Json>(&message.1)
        {
            if end == 1 && read["serviceId"] == 100 {
                link.asked = read["args"].get(0).cloned();
            }
            if play.control == Control::Early
                && end == 0
                && let Some(list) = list_in(&read)
            {
                let wall = self.places[place].wall;
                self.write(place, |store| {
                    write_early(&play.recipes, store, place, wall, &list);
                });
            }
        }
        let now = self.now(place);
        let this = &mut self.links[no].ends[end];
        this.tell(now, &message.1);
        let chum = Rc::make_mut(&mut this.chum);
        chum.message(now, Message::of(message.0, &message.1).expect("UTF-8"));
        self.poll(no, end);
    }

    fn write<T>(&mut self, place: usize, write: impl FnOnce(&mut MemoryStore) -> T) -> T {
        let place = &mut self.places[place];
        place.unsynced.push(place.disk.clone());
        if place.unsynced.len() > LOSABLE {
            place.unsynced.remove(0);
        }
        place.disk.change(write)
    }

    fn answer(&mut self, play: &Play, no: usize, end: usize) {
        let link = &mut self.links[no];
        let (id, ask) = link.ends[end].ask();
        let place = link.ends[end].place;
        let name = (no * 2 + end) as u64;
        let answer = match ask {
            Ask::Write(_) => self.write(place, |store| store.answer(&play.recipes, name, id, ask)),
            // Nothing else changes a store without files.
            ask => {
                let mut store = self.places[place].disk.store.borrow_mut();
                let mut answer = store.answer(&play.recipes, name, id, ask);
                if let (Control::StampAlone, Answer::Journal(Some(journal))) =
                    (play.control, &mut answer)
                {
                    by_stamp_alone(journal, self.links[no].asked.as_ref());
                }
                answer
            }
        };
        self.answered(no, end, id, answer);
    }

    fn answered(&mut self, no: usize, end: usize, id: AskId, answer: Answer) {
        let now = self.now(self.links[no].ends[end].place);
        let this = &mut self.links[no].ends[end];
        this.tell(now, &(id, &answer));
        Rc::make_mut(&mut this.chum).answered(now, id, answer);
        self.poll(no, end);
    }

    fn poll(&mut self, no: usize, end: usize) {
        let now = self.now(self.links[no].ends[end].place);
        let [importer, exporter] = &mut self.links[no].ends;
        let (this, other) = match end {
            0 => (importer, exporter),
            _ => (exporter, importer),
        };
        let mut bytes = Vec::new();
        let chum = Rc::make_mut(&mut this.chum);
        while let Some(output) = chum.poll(now, &mut bytes) {
            match output {
                ChumOutput::Send(kind) => {
                    let message = Rc::new((kind, core::mem::take(&mut bytes)));
                    other.inbox.push_back(message);
                }
                ChumOutput::Ask { id, ask } => this.asks.push_back((id, ask)),
                ChumOutput::Event(_) => {}
            }
        }
    }

    // --- at the end ----------------------------------------------------------------------------------------------

    /// Connects in quiet until nothing moves; tells whether an importer lacks something then.
    pub(super) fn loses(mut self, play: &Play) -> bool {
        let mut moves = true;
        for _ in 0..4 {
            let before: Vec<_> = self.places.iter().map(|place| place.disk.print).collect();
            self.connect(play);
            while let Some(next) = self.first_move(play) {
                self.make(play, next);
            }
            let mut places = self.places.iter().zip(before);
            moves = places.any(|(place, before)| place.disk.print != before);
            if !moves {
                break;
            }
        }
        // A cursor that is written early is written in every round.
        assert!(
            !moves || play.control == Control::Early,
            "it does not come to rest"
        );
        let alice = self.places[ALICE].disk.store.borrow();
        let mut bobs = self.places.iter().skip(1);
        bobs.any(|bob| {
            let bob = bob.disk.store.borrow();
            !missing(&play.recipes, &alice, &bob).is_empty()
        })
    }
}
