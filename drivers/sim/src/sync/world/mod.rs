//! The world of CHUM: one thing after the other, in an order that is chosen.

mod connections;
mod faults;
mod stores;

use chumwire::chum::ChumConfig;
use chumwire::objects::Recipes;
use chumwire::time::{Micros, Millis, Now};

use crate::chooser::{Choice, Chooser, Recording};
use crate::sync::check::Check;
use crate::sync::deployed::DeployedChumFaults;
use crate::sync::desk::{Deed, Desk, recipes};
use crate::sync::ends::{Half, Link, Place};
use crate::sync::faults::{Mix, Planned};

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
}
