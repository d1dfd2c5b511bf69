//! The world of CHUM: one thing after the other, in an order that is chosen.

use chumwire::chum::{Answer, Ask, Chum, ChumConfig, ChumEvent, ChumOutput, Peer, Trouble};
use chumwire::io::Message;
use chumwire::objects::{Recipes, Reference};
use chumwire::time::{Micros, Millis, Now};

use super::check::Check;
use super::deployed::{DeployedChum, DeployedChumFaults};
use super::desk::{Deed, Desk, recipes};
use super::ends::{Conn, Half, Issued, Link, Place, USER};
use super::faults::{Blow, Mix, Moment, Planned};
use super::speaker::Speaker;
use crate::chooser::{Choice, Chooser, Recording};
use crate::link::FaultKind;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// An end is given an answer of its store.
    Answer {
        link: usize,
        end: usize,
        which: usize,
    },
    /// A store does the next thing that a connection wants.
    Store { place: usize, conn: u64 },
    /// An end takes the next message.
    Message { link: usize, end: usize },
    /// An instance starts again.
    Start(usize),
    /// Two instances connect.
    Connect(usize),
    /// A user does something.
    Deed(usize),
    /// Time passes to the next deadline.
    Time,
}

/// How many answers may overtake each other.
const ANSWERS: usize = 3;

/// Instances that synchronise with each other.
pub struct SyncWorld {
    pub(super) now: Now,
    pub(super) recipes: Recipes,
    pub(super) places: Vec<Place>,
    pub(super) links: Vec<Link>,
    pub(super) conns: u64,
    pub(super) check: Check,
    chooser: Recording<Box<dyn Chooser>>,
    config: ChumConfig,
    /// Messages that a pipe holds.
    room: usize,
    /// How often time may pass while there is something else to do.
    hurry: u32,
    mix: Mix,
    /// Faults that may still happen.
    pub(super) budget: u32,
    planned: Vec<Planned>,
    pub(super) steps: u64,
    /// Messages that came to their turn.
    pub(super) messages: u64,
    /// Writes that were done.
    pub(super) writes: u64,
    log: Vec<String>,
}

impl core::fmt::Debug for SyncWorld {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SyncWorld")
            .field("now", &self.now)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl SyncWorld {
    pub(super) fn new(chooser: impl Chooser + 'static, planned: &[Planned]) -> Self {
        let now = Now {
            mono: Micros::secs(1),
            wall: Millis(1_700_000_000_000),
        };
        Self {
            now,
            recipes: recipes(),
            places: Vec::new(),
            links: Vec::new(),
            conns: 0,
            check: Check::default(),
            chooser: Recording::new(Box::new(chooser)),
            config: ChumConfig::default(),
            room: 64,
            hurry: 0,
            mix: Mix::default(),
            budget: 0,
            planned: planned.into(),
            steps: 0,
            messages: 0,
            writes: 0,
            log: Vec::new(),
        }
    }

    // --- for scenarios -------------------------------------------------------------------------------------------

    /// One of so many, chosen.
    pub fn pick(&mut self, options: usize) -> usize {
        self.chooser.choose(Choice::Test, options)
    }

    /// An instance of this name.
    pub fn place(&mut self, name: &'static str) -> usize {
        self.places.push(Place::new(name));
        self.places.len() - 1
    }

    /// An instance of this name is a double of a deployed one.
    pub fn is_deployed(&mut self, place: usize, faults: DeployedChumFaults) {
        self.places[place].deployed = Some(faults);
    }

    /// These two connect to each other, from now on.
    pub fn link(&mut self, one: usize, other: usize) {
        let ends = [one, other];
        self.links.push(Link { ends, conn: None });
    }

    /// A user has done this long ago: no crash takes it.
    ///
    /// # Errors
    /// What is broken.
    pub fn before(&mut self, place: usize, does: fn(&mut Desk<'_>)) -> Result<(), String> {
        self.do_deed(place, does)?;
        self.places[place].disk.flush();
        Ok(())
    }

    /// A user will do this at some moment, after what it was to do before.
    pub fn later(&mut self, place: usize, about: &'static str, does: fn(&mut Desk<'_>)) {
        self.places[place].deeds.push_back(Deed { about, does });
    }

    /// The clock of an instance is ahead by so many milliseconds.
    pub fn ahead(&mut self, place: usize, by: u64) {
        self.places[place].ahead = by;
    }

    /// How often which faults happen, and how many at most. Nothing of it if faults are planned.
    pub fn faults(&mut self, mix: Mix, budget: u32) {
        if self.planned.is_empty() {
            (self.mix, self.budget) = (mix, budget);
        }
    }

    /// Draws what may vary in every scenario: how many messages a pipe holds, how many roots are fetched at a time,
    /// how often time is in a hurry.
    pub fn vary(&mut self) {
        self.room = [64, 1, 2][self.pick(3)];
        self.config.parallel = [1, 3][self.pick(2)];
        self.hurry = [0, 3, 12][self.pick(3)];
    }

    /// Goes on for so many steps at most, with faults.
    ///
    /// # Errors
    /// What is broken.
    pub fn rage(&mut self, steps: usize) -> Result<(), String> {
        for _ in 0..steps {
            self.maybe_blow()?;
            if !self.step()? {
                break;
            }
        }
        Ok(())
    }

    // --- one step ------------------------------------------------------------------------------------------------

    pub(super) fn log(&mut self, line: impl FnOnce(&Self) -> String) {
        let line = format!("{} {}", self.now.mono.0 / 1_000, line(self));
        self.log.push(line);
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.log
    }

    pub(super) fn choices(&self) -> &[u32] {
        self.chooser.choices()
    }

    /// All that can happen, what is nearest first.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (link, of) in self.links.iter().enumerate() {
            for (end, half) in of
                .conn
                .iter()
                .flat_map(|conn| conn.halves.iter().enumerate())
            {
                let answers = 0..half.answers.len().min(ANSWERS);
                steps.extend(answers.map(|which| Step::Answer { link, end, which }));
            }
        }
        for (place, of) in self.places.iter().enumerate() {
            let conns = of.issued.keys();
            steps.extend(conns.map(|conn| Step::Store { place, conn: *conn }));
        }
        for (link, of) in self.links.iter().enumerate() {
            for (end, half) in of
                .conn
                .iter()
                .flat_map(|conn| conn.halves.iter().enumerate())
            {
                if !half.inbox.is_empty() {
                    steps.push(Step::Message { link, end });
                }
            }
        }
        for (place, of) in self.places.iter().enumerate() {
            if !of.up {
                steps.push(Step::Start(place));
            }
        }
        for (link, of) in self.links.iter().enumerate() {
            if of.conn.is_none() && of.ends.iter().all(|end| self.places[*end].up) {
                steps.push(Step::Connect(link));
            }
        }
        for (place, of) in self.places.iter().enumerate() {
            if of.up && !of.deeds.is_empty() {
                steps.push(Step::Deed(place));
            }
        }
        steps
    }

    /// Whether nothing can happen but that time passes.
    pub(super) fn is_idle(&self) -> bool {
        self.steps().is_empty()
    }

    /// Lets one thing happen. False if there is nothing, for ever.
    pub(super) fn step(&mut self) -> Result<bool, String> {
        let mut steps = self.steps();
        let next = self.next_deadline();
        if next.is_some() && (steps.is_empty() || self.hurry > 0) {
            steps.push(Step::Time);
        }
        if steps.is_empty() {
            return Ok(false);
        }
        let chosen = self.chooser.choose(Choice::Tie, steps.len());
        self.steps += 1;
        match steps[chosen] {
            Step::Answer { link, end, which } => self.answer(link, end, which)?,
            Step::Store { place, conn } => self.store(place, conn)?,
            Step::Message { link, end } => self.message(link, end)?,
            Step::Start(place) => self.start(place)?,
            Step::Connect(link) => self.connect(link)?,
            Step::Deed(place) => self.deed(place)?,
            Step::Time => {
                if steps.len() > 1 {
                    self.hurry -= 1;
                }
                self.time(next)?;
            }
        }
        Ok(true)
    }

    fn next_deadline(&self) -> Option<Micros> {
        let conns = self.links.iter().filter_map(|link| link.conn.as_ref());
        let halves = conns.flat_map(|conn| &conn.halves);
        let deadlines = halves.filter_map(|half| half.chum.deadline());
        deadlines.map(|deadline| deadline.at).min()
    }

    fn time(&mut self, next: Option<Micros>) -> Result<(), String> {
        if let Some(next) = next.filter(|next| *next > self.now.mono) {
            let passed = next.since(self.now.mono);
            self.now.mono = next;
            self.now.wall.0 += passed.as_millis();
        }
        for link in 0..self.links.len() {
            for end in 0..2 {
                let now = self.clock(link, end);
                if let Some(half) = self.half(link, end)
                    && half.chum.deadline().is_some_and(|due| due.at <= now.mono)
                {
                    half.chum.tick(now);
                    self.pump(link, end)?;
                }
            }
        }
        Ok(())
    }

    fn half(&mut self, link: usize, end: usize) -> Option<&mut Half> {
        let conn = self.links[link].conn.as_mut()?;
        Some(&mut conn.halves[end])
    }

    /// The time of an end.
    fn clock(&self, link: usize, end: usize) -> Now {
        let place = &self.places[self.links[link].ends[end]];
        Now {
            mono: self.now.mono,
            wall: Millis(self.now.wall.0 + place.ahead),
        }
    }

    // --- connections ---------------------------------------------------------------------------------------------

    fn connect(&mut self, link: usize) -> Result<(), String> {
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

    fn message(&mut self, link: usize, end: usize) -> Result<(), String> {
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
    fn pump(&mut self, link: usize, end: usize) -> Result<(), String> {
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

    // --- stores --------------------------------------------------------------------------------------------------

    fn answer(&mut self, link: usize, end: usize, which: usize) -> Result<(), String> {
        let now = self.clock(link, end);
        if let Some(half) = self.half(link, end)
            && let Some((id, answer)) = half.answers.remove(which)
        {
            half.chum.answered(now, id, answer);
        }
        self.pump(link, end)
    }

    fn store(&mut self, place: usize, conn: u64) -> Result<(), String> {
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

    fn deed(&mut self, place: usize) -> Result<(), String> {
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

    fn do_deed(&mut self, place: usize, does: fn(&mut Desk<'_>)) -> Result<(), String> {
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

    // --- faults --------------------------------------------------------------------------------------------------

    fn maybe_blow(&mut self) -> Result<(), String> {
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
    fn strike(&mut self, at: Moment, link: Option<usize>) -> Result<bool, String> {
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

    fn start(&mut self, place: usize) -> Result<(), String> {
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
    pub(super) fn calm(&mut self) {
        self.budget = 0;
        self.hurry = 0;
        self.log(|_| "the faults are over".into());
    }
}

fn shown(bytes: &[u8]) -> String {
    match core::str::from_utf8(bytes) {
        Ok(text) => text.chars().take(160).collect(),
        Err(_) => format!("{} bytes", bytes.len()),
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
