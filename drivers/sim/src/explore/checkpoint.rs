//! An exploration that is put away, and gone on with later, in another process.
//!
//! One line of JSON says of what it is; then come, in little endian, the fingerprints that were seen, how each was reached
//! first, the sets of moves that slept, and what waits. Machines are not written down: what waits is reached again by
//! its moves, and its fingerprint shows whether these are the same machines still.

use std::io::{self, BufRead, Read, Write};

use serde_json::{Value, json};

use super::moves::{Move, moves};
use super::play::Play;
use super::print::Print;
use super::search::{Asleep, Bounds, Ending, NOWHERE, Origin, Search, Waiting};
use super::state::World;
use super::step::Stepper;

/// The version of the form.
const VERSION: u64 = 1;

/// Why an exploration cannot be gone on with.
#[derive(Debug)]
pub enum NotResumed {
    /// It cannot be read.
    Io(io::Error),
    /// It is no exploration that was put away, or a part of one.
    Form,
    /// It is of another play, other bounds or another part: what was asked for, and what it is of.
    Other(String, String),
    /// The machines do something else than they did then.
    Machines,
}

impl core::fmt::Display for NotResumed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::Form => f.write_str("it is no exploration that was put away, or not all of one"),
            Self::Other(due, is) => {
                write!(f, "it is of another exploration: {is} instead of {due}")
            }
            Self::Machines => {
                f.write_str("it was made with machines that did something else than these do")
            }
        }
    }
}

impl std::error::Error for NotResumed {}

impl From<io::Error> for NotResumed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Form,
            _ => Self::Io(error),
        }
    }
}

fn header(play: &Play, bounds: &Bounds) -> Value {
    json!({
        "chumwire_exploration": VERSION,
        "play": play.name,
        "faults": bounds.faults,
        "depth": bounds.depth,
        "part": bounds.shard.0,
        "parts": bounds.shard.1,
    })
}

impl Search {
    /// Puts it away.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn save(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(to, "{}", header(self.engine.play, &self.bounds))?;
        let counts = &self.counts;
        let numbers = [
            counts.moves,
            counts.seen_again,
            counts.commuted,
            counts.finals as u64,
            u64::from(counts.depth),
            u64::from(self.cut.is_some()),
            self.prints.len() as u64,
            self.sleeps.sets.len() as u64,
            self.queue.len() as u64,
        ];
        numbers.iter().try_for_each(|n| put(to, *n))?;
        for (print, origin) in self.prints.all().iter().zip(&self.origins) {
            put(to, print.0[0])?;
            put(to, print.0[1])?;
            put(to, origin.by)?;
            put(to, u64::from(origin.from) << 32 | u64::from(origin.asleep))?;
        }
        for set in &self.sleeps.sets {
            put_all(to, set)?;
        }
        for waiting in &self.queue {
            put(
                to,
                u64::from(waiting.number) << 32 | u64::from(waiting.depth),
            )?;
            put(to, waiting.asleep.len() as u64)?;
            for (mv, parties, fault) in &waiting.asleep {
                put(to, *mv)?;
                put(to, u64::from(*parties) << 1 | u64::from(*fault))?;
            }
            put(to, u64::from(waiting.only.is_some()))?;
            put_all(to, waiting.only.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    /// Goes on with one that was put away.
    ///
    /// # Errors
    /// [`NotResumed`]
    pub fn load(
        play: &'static Play,
        bounds: Bounds,
        from: &mut impl BufRead,
    ) -> Result<Self, NotResumed> {
        /// The header of any exploration is shorter.
        const LONGEST: u64 = 4096;
        let mut line = String::new();
        from.take(LONGEST)
            .read_line(&mut line)
            .map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => NotResumed::Form,
                _ => NotResumed::Io(error),
            })?;
        let is: Value = serde_json::from_str(&line).map_err(|_| NotResumed::Form)?;
        let due = header(play, &bounds);
        if is != due {
            return Err(NotResumed::Other(due.to_string(), is.to_string()));
        }
        let (mut search, first) = Self::before(play, bounds);
        let mut next = || get(from);
        search.counts.moves = next()?;
        search.counts.seen_again = next()?;
        search.counts.commuted = next()?;
        search.counts.finals = next()? as usize;
        search.counts.depth = next()? as u32;
        search.cut = (next()? != 0).then_some(Ending::Depth);
        let (states, sets, waiting) = (next()?, next()?, next()?);
        for number in 0..states {
            let print = Print([next()?, next()?]);
            let by = next()?;
            let both = next()?;
            let (origin, asleep) = ((both >> 32) as u32, both as u32);
            let earlier = u64::from(origin) < number || (origin == NOWHERE && number == 0);
            let (_, new) = search.prints.number(print);
            if !earlier || !new || u64::from(asleep) >= sets {
                return Err(NotResumed::Form);
            }
            search.origins.push(Origin {
                from: origin,
                by,
                asleep,
            });
        }
        for number in 0..sets {
            let set = get_all(from)?;
            if u64::from(search.sleeps.number(set)) != number {
                return Err(NotResumed::Form);
            }
        }
        let mut before: Option<(u32, World)> = None;
        for _ in 0..waiting {
            let both = get(from)?;
            let (number, depth) = ((both >> 32) as u32, both as u32);
            if u64::from(number) >= states {
                return Err(NotResumed::Form);
            }
            let asleep: Vec<Asleep> = (0..get(from)?)
                .map(|_| {
                    let (mv, more) = (get(from)?, get(from)?);
                    Ok((mv, (more >> 1) as u16, more & 1 != 0))
                })
                .collect::<io::Result<_>>()?;
            let has_only = get(from)? != 0;
            let only = get_all(from)?;
            let world = search.reach_again(number, &first, &mut before)?;
            search.queue.push_back(Waiting {
                number,
                depth,
                world,
                asleep: asleep.into(),
                only: has_only.then(|| only.into()),
            });
        }
        Ok(search)
    }

    /// The world of a state, by its moves; from the state before it if that was the last one asked for.
    fn reach_again(
        &mut self,
        number: u32,
        first: &World,
        before: &mut Option<(u32, World)>,
    ) -> Result<World, NotResumed> {
        let origin = self.origins[number as usize];
        if origin.from == NOWHERE {
            return Ok(first.clone());
        }
        if before
            .as_ref()
            .is_none_or(|(known, _)| *known != origin.from)
        {
            let mut path = Vec::new();
            let mut at = origin.from;
            while self.origins[at as usize].from != NOWHERE {
                path.push(self.origins[at as usize].by);
                at = self.origins[at as usize].from;
            }
            let mut world = first.clone();
            for mv in path.into_iter().rev() {
                world = self.step(world, mv)?;
            }
            *before = Some((origin.from, world));
        }
        let world = before.as_ref().map_or(first, |(_, world)| world).clone();
        let world = self.step(world, origin.by)?;
        match world.print(&self.engine) == self.prints.get(number) {
            true => Ok(world),
            false => Err(NotResumed::Machines),
        }
    }

    fn step(&mut self, world: World, mv: u64) -> Result<World, NotResumed> {
        let mv = Move::unpacked(mv)
            .filter(|mv| mv.who().is_none_or(|who| who < self.engine.parties()))
            .ok_or(NotResumed::Form)?;
        // The file may name any move: one that cannot be made in this world was not made in it.
        let mut candidates = Vec::new();
        moves(&self.engine, &world, self.bounds.faults, &mut candidates);
        if candidates.iter().all(|candidate| candidate.mv != mv) {
            return Err(NotResumed::Machines);
        }
        let mut stepper = Stepper {
            engine: &mut self.engine,
            world,
            wrong: None,
            lines: None,
        };
        stepper.make(mv);
        Ok(stepper.world)
    }
}

fn put(to: &mut impl Write, number: u64) -> io::Result<()> {
    to.write_all(&number.to_le_bytes())
}

fn put_all(to: &mut impl Write, numbers: &[u64]) -> io::Result<()> {
    put(to, numbers.len() as u64)?;
    numbers.iter().try_for_each(|n| put(to, *n))
}

fn get(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// It grows as it is read: no length is believed.
fn get_all(from: &mut impl Read) -> io::Result<Vec<u64>> {
    (0..get(from)?).map(|_| get(from)).collect()
}
