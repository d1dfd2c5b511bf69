//! The search: breadth first, so that what is wrong comes with its shortest schedule.
//!
//! Two things are pruned. A state that was seen is not gone on from again. And of two moves that commute (they are about
//! different parties) one order is enough: the other move *sleeps* behind the one that was tried first, until something
//! happens to its party (Godefroid's sleep sets; they skip moves, never states). A state that is reached again with
//! fewer moves asleep is gone on from by those that had slept.

use std::collections::VecDeque;

use super::engine::Engine;
use super::moves::{Candidate, Move, moves, view};
use super::play::Play;
use super::print::{Print, Printer, Prints};
use super::state::World;
use super::step::{Stepper, opening};

/// How long anything may take to be noticed and mended, in milliseconds: a relayed pair with nothing moving, the delay
/// until the next attempt, and its steps.
const BOUND: u32 = 150_000;

/// How much is pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruning {
    /// States that were seen, and orders that commute.
    All,
    /// States that were seen.
    Seen,
    /// Nothing: every sequence of moves is walked.
    Nothing,
}

/// Where an exploration ends though there is more.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many faults may strike in one history.
    pub faults: u32,
    /// How many moves a history may have.
    pub depth: Option<u32>,
    /// How many states may be seen.
    pub states: Option<usize>,
    /// What is pruned.
    pub pruning: Pruning,
    /// Which part of how many is walked: histories are parted by their first fault. Those without one are everybody's.
    pub shard: (u64, u64),
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            faults: 0,
            depth: None,
            states: None,
            pruning: Pruning::All,
            shard: (0, 1),
        }
    }
}

/// Why an exploration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There is nothing more within the alphabet and the number of faults.
    Complete,
    /// Something is wrong.
    Violation,
    /// A history is as long as it may be.
    Depth,
    /// As many states as may be were seen.
    States,
    /// It takes as much memory as it may.
    Memory,
    /// It has lasted as long as it may.
    Time,
    /// Whoever asked for it wanted no more.
    Stopped,
}

impl Ending {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Violation => "violation",
            Self::Depth => "depth",
            Self::States => "states",
            Self::Memory => "memory",
            Self::Time => "time",
            Self::Stopped => "stopped",
        }
    }
}

/// What is wrong, and how it comes to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub what: String,
    /// The shortest sequence of moves, each by its number among all that can be made then. 0 is what happens if nothing
    /// is chosen.
    pub schedule: Vec<u32>,
}

/// How far an exploration is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Different states that were seen.
    pub states: usize,
    /// Moves that were made.
    pub moves: u64,
    /// …that led to a state that was seen already.
    pub seen_again: u64,
    /// Moves that were not made, because another order of the same was.
    pub commuted: u64,
    /// States in which nothing is left to be done: the ends of histories.
    pub finals: usize,
    /// The longest history, in moves.
    pub depth: u32,
    /// States that wait to be gone on from.
    pub waiting: usize,
    /// Different states of single parties.
    pub locals: usize,
    /// How often a machine has run: the rest was looked up.
    pub runs: usize,
}

/// A move that sleeps, and whom it is about.
pub(super) type Asleep = (u64, u16, bool);

/// A state to be gone on from.
pub(super) struct Waiting {
    /// Its number.
    pub(super) number: u32,
    pub(super) depth: u32,
    pub(super) world: World,
    pub(super) asleep: Box<[Asleep]>,
    /// Only these moves: it was gone on from by the others.
    pub(super) only: Option<Box<[u64]>>,
}

/// How a state was reached first.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) from: u32,
    pub(super) by: u64,
    /// The set of moves that slept when it was gone on from.
    pub(super) asleep: u32,
}

/// The first state has no origin.
pub(super) const NOWHERE: u32 = u32::MAX;

/// An exploration.
pub struct Search {
    pub(super) engine: Engine,
    pub(super) bounds: Bounds,
    pub(super) prints: Prints,
    pub(super) origins: Vec<Origin>,
    pub(super) sleeps: Sleeps,
    pub(super) queue: VecDeque<Waiting>,
    pub(super) counts: Counts,
    pub(super) cut: Option<Ending>,
    pub(super) found: Option<Found>,
    candidates: Vec<Candidate>,
}

/// Sets of moves by number.
#[derive(Default)]
pub(super) struct Sleeps {
    prints: Prints,
    pub(super) sets: Vec<Box<[u64]>>,
}

impl Sleeps {
    /// The number of a set that is sorted.
    pub(super) fn number(&mut self, set: Vec<u64>) -> u32 {
        let (number, new) = self.prints.number(Print::of(set.as_slice()));
        if new {
            self.sets.push(set.into());
        }
        number
    }
}

impl Search {
    /// An exploration of a play. Nobody has started.
    #[must_use]
    pub fn new(play: &'static Play, bounds: Bounds) -> Self {
        let (mut search, world) = Self::before(play, bounds);
        search.reach(world, 0, Origin::first(), Box::default());
        search
    }

    /// One that has seen nothing yet, and the first state.
    pub(super) fn before(play: &'static Play, bounds: Bounds) -> (Self, World) {
        let (mut engine, parties) = Engine::new(play, false);
        let (world, _) = opening(&mut engine, &parties, false);
        let search = Self {
            engine,
            bounds,
            prints: Prints::default(),
            origins: Vec::new(),
            sleeps: Sleeps::default(),
            queue: VecDeque::new(),
            counts: Counts::default(),
            cut: None,
            found: None,
            candidates: Vec::new(),
        };
        (search, world)
    }

    /// How far it is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (locals, runs) = self.engine.counts();
        Counts {
            states: self.prints.len(),
            waiting: self.queue.len(),
            locals,
            runs,
            ..self.counts
        }
    }

    /// The fingerprints of all states that were seen, in their order.
    #[must_use]
    pub fn reached(&self) -> Vec<Print> {
        let mut all = self.prints.all().to_vec();
        all.sort_unstable();
        all
    }

    /// What is wrong, if something was found.
    #[must_use]
    pub const fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// Goes on until there is nothing more, something is wrong, a bound is reached, or `stop`, which is asked often, says
    /// why it is to end. It can be called again then.
    pub fn run(&mut self, mut stop: impl FnMut(&Self) -> Option<Ending>) -> Ending {
        /// States between two questions.
        const OFTEN: u64 = 1024;
        let mut turn = 0_u64;
        while self.found.is_none() {
            if turn.is_multiple_of(OFTEN)
                && let Some(ending) = stop(self)
            {
                return ending;
            }
            turn += 1;
            if self
                .bounds
                .states
                .is_some_and(|most| self.prints.len() >= most)
            {
                return Ending::States;
            }
            let Some(next) = self.queue.pop_front() else {
                return self.cut.unwrap_or(Ending::Complete);
            };
            self.expand(next);
        }
        Ending::Violation
    }

    fn expand(&mut self, state: Waiting) {
        let mut all = core::mem::take(&mut self.candidates);
        let rest = moves(&self.engine, &state.world, self.bounds.faults, &mut all);
        if rest.is_final
            && state.only.is_none()
            && let Err(what) = self.judge(&state.world)
        {
            self.report(what, state.number, None);
        }
        self.counts.depth = self.counts.depth.max(state.depth);
        let is_asleep = |mv: u64| state.asleep.iter().any(|(asleep, ..)| *asleep == mv);
        let mut tried: Vec<Asleep> = state.asleep.to_vec();
        if let Some(only) = &state.only {
            // The others were tried when it was reached before, from whatever they sleep behind.
            tried.extend(all.iter().filter_map(|c| {
                let mv = c.mv.packed();
                (!only.contains(&mv) && !is_asleep(mv)).then_some((mv, c.parties, c.fault))
            }));
        }
        let too_deep = self.bounds.depth.is_some_and(|most| state.depth >= most);
        for candidate in &all {
            let packed = candidate.mv.packed();
            if state
                .only
                .as_ref()
                .is_some_and(|only| !only.contains(&packed))
            {
                continue;
            }
            if self.bounds.pruning == Pruning::All && is_asleep(packed) {
                self.counts.commuted += 1;
                continue;
            }
            if too_deep {
                self.cut = Some(Ending::Depth);
                break;
            }
            if self.is_mine(candidate, &state) {
                let left = self.bounds.faults - state.world.faults();
                let asleep = tried.iter().filter(|(_, parties, fault)| {
                    parties & candidate.parties == 0 && !(*fault && candidate.fault && left < 2)
                });
                let asleep: Box<[Asleep]> = asleep.copied().collect();
                self.follow(&state, candidate.mv, asleep);
                if self.found.is_some() {
                    break;
                }
            }
            tried.push((packed, candidate.parties, candidate.fault));
        }
        self.candidates = all;
    }

    /// Whether a first fault is of this part.
    fn is_mine(&self, candidate: &Candidate, state: &Waiting) -> bool {
        let (part, parts) = self.bounds.shard;
        if parts < 2 || !candidate.fault || state.world.faults() > 0 {
            return true;
        }
        let mut printer = Printer::default();
        printer.add(self.prints.get(state.number));
        printer.word(candidate.mv.packed());
        printer.print().0[0] % parts == part
    }

    fn follow(&mut self, state: &Waiting, mv: Move, asleep: Box<[Asleep]>) {
        self.counts.moves += 1;
        let mut stepper = Stepper {
            engine: &mut self.engine,
            world: state.world.clone(),
            wrong: None,
            lines: None,
        };
        stepper.make(mv);
        let Stepper { world, wrong, .. } = stepper;
        if let Some(what) = wrong {
            return self.report(what, state.number, Some(mv));
        }
        if world.waited() > BOUND {
            let what = unsettled(&self.engine, &world);
            return self.report(what, state.number, Some(mv));
        }
        let origin = Origin {
            from: state.number,
            by: mv.packed(),
            asleep: 0,
        };
        self.reach(world, state.depth + 1, origin, asleep);
    }

    /// A state is reached: for the first time, or again.
    fn reach(&mut self, world: World, depth: u32, origin: Origin, asleep: Box<[Asleep]>) {
        let print = world.print(&self.engine);
        let (number, new) = self.prints.number(print);
        if !new && self.bounds.pruning == Pruning::Seen {
            self.counts.seen_again += 1;
            return;
        }
        let mut set: Vec<u64> = asleep.iter().map(|(mv, ..)| *mv).collect();
        set.sort_unstable();
        let mut only = None;
        if new {
            let asleep = self.sleeps.number(set);
            self.origins.push(Origin { asleep, ..origin });
        } else {
            self.counts.seen_again += 1;
            match self.bounds.pruning {
                Pruning::Nothing | Pruning::Seen => {}
                Pruning::All => {
                    let before = &self.sleeps.sets[self.origins[number as usize].asleep as usize];
                    let (both, woken): (Vec<u64>, Vec<u64>) =
                        before.iter().partition(|mv| set.binary_search(mv).is_ok());
                    if woken.is_empty() {
                        return;
                    }
                    self.origins[number as usize].asleep = self.sleeps.number(both);
                    only = Some(woken.into());
                }
            }
        }
        self.queue.push_back(Waiting {
            number,
            depth,
            world,
            asleep,
            only,
        });
    }

    /// Whether all that has to hold in the end does.
    fn judge(&mut self, world: &World) -> Result<(), String> {
        self.counts.finals += 1;
        judge(&mut self.engine, world)
    }

    fn report(&mut self, what: String, from: u32, by: Option<Move>) {
        if self.found.is_some() {
            return;
        }
        let mut path: Vec<u64> = by.map(Move::packed).into_iter().collect();
        let mut at = from;
        while let Some(origin) = self.origins.get(at as usize).filter(|o| o.from != NOWHERE) {
            path.push(origin.by);
            at = origin.from;
        }
        path.reverse();
        let schedule = super::replay::numbers_of(self.engine.play, self.bounds.faults, &path);
        self.found = Some(Found { what, schedule });
    }
}

impl Origin {
    pub(super) const fn first() -> Self {
        Self {
            from: NOWHERE,
            by: 0,
            asleep: 0,
        }
    }
}

/// Whether all that has to hold in the end does, in a state in which nothing is left to be done.
pub(super) fn judge(engine: &mut Engine, world: &World) -> Result<(), String> {
    for who in 0..engine.parties() {
        engine.ends_well(who, world.party(who))?;
    }
    (engine.play.goal)(&view(engine, world, false))
}

/// What is said of a world that does not come to rest.
pub(super) fn unsettled(engine: &Engine, world: &World) -> String {
    let who: Vec<&str> = (0..engine.parties())
        .filter(|who| !engine.facts(world.party(*who)).settled)
        .map(|who| engine.name(who))
        .collect();
    match engine.play.acts.get(world.acts_done()) {
        Some(act) => format!("`{}` is never possible; not at rest: {who:?}", act.name),
        None => format!("not at rest within {} s: {who:?}", BOUND / 1000),
    }
}

/// Whether a world has waited for too long.
pub(super) fn waits_too_long(world: &World) -> bool {
    world.waited() > BOUND
}
