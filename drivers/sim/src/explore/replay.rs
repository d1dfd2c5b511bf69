//! A schedule is run again, with everything that happens written down.

use std::sync::Arc;

use chumwire_trace::Line;

use super::engine::Engine;
use super::moves::{Move, moves};
use super::play::Play;
use super::search::{judge, unsettled, waits_too_long};
use super::step::{Stepper, opening};
use crate::shrink::{Shrunk, kind_of, shrink};
use crate::trace::Trace;

/// What came of a schedule.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What is wrong, if something is.
    pub wrong: Option<String>,
    /// Everything that happened.
    pub trace: Trace,
    /// How many moves were made.
    pub moves: usize,
}

/// Moves of a history that nobody chose. More are without end.
const MOST: usize = 20_000;

impl Play {
    /// Runs a schedule: each number says which of the moves that can be made then is made; one that is too large is
    /// folded. Behind the last one the first move is made, until nothing is left to be done. So a schedule can be cut
    /// anywhere, and 0 is no choice at all.
    #[must_use]
    pub fn replay(&'static self, faults: u32, schedule: &[u32], traced: bool) -> Replay {
        let (mut engine, parties) = Engine::new(self, traced);
        let (mut world, begun) = opening(&mut engine, &parties, traced);
        let (mut trace, mut candidates) = (Trace::default(), Vec::new());
        let (mut now, mut waited) = (1_000_000_u64, 0_u32);
        let names: Vec<Arc<str>> = (0..engine.parties())
            .map(|who| engine.name(who).into())
            .collect();
        let nobody: Arc<str> = "world".into();
        let mut write = |now: u64, lines: Vec<super::step::Line>| {
            for (who, what) in lines {
                let who = who.map_or_else(|| nobody.clone(), |who| names[who].clone());
                let (at, wall) = (now, None);
                trace.push(Line {
                    at,
                    wall,
                    who,
                    what,
                });
            }
        };
        write(now, begun);
        for place in 0..MOST {
            let rest = moves(&engine, &world, faults, &mut candidates);
            let chosen = schedule.get(place).copied();
            let mut wrong = None;
            // A schedule may be longer than its history.
            if rest.is_final && (place >= schedule.len() || candidates.is_empty()) {
                wrong = judge(&mut engine, &world).err();
                return Replay {
                    wrong,
                    trace,
                    moves: place,
                };
            }
            if candidates.is_empty() {
                wrong = Some(format!(
                    "nothing can happen: {}",
                    unsettled(&engine, &world)
                ));
            }
            let number = chosen.unwrap_or(0) as usize % candidates.len().max(1);
            if let Some(candidate) = candidates.get(number) {
                let mut stepper = Stepper {
                    engine: &mut engine,
                    world,
                    wrong: None,
                    lines: traced.then(Vec::new),
                };
                stepper.make(candidate.mv);
                let lines = stepper.lines.take().unwrap_or_default();
                (world, wrong) = (stepper.world, stepper.wrong);
                if matches!(candidate.mv, Move::Time | Move::Slow) {
                    now += u64::from(world.waited().saturating_sub(waited)) * 1000;
                }
                waited = world.waited();
                write(now, lines);
            }
            if wrong.is_none() && waits_too_long(&world) {
                wrong = Some(unsettled(&engine, &world));
            }
            if wrong.is_some() {
                return Replay {
                    wrong,
                    trace,
                    moves: place + 1,
                };
            }
        }
        Replay {
            wrong: Some("it goes on without end".into()),
            trace,
            moves: MOST,
        }
    }
}

impl Play {
    /// Makes a failing schedule as short as it gets, within a bound of runs: with the fewest moves that are not the first
    /// one. `None` if it does not fail.
    #[must_use]
    pub fn shrink(
        &'static self,
        faults: u32,
        schedule: Vec<u32>,
        bound: usize,
    ) -> Option<(Shrunk, Replay)> {
        let kind = |schedule: &[u32]| {
            let replay = self.replay(faults, schedule, false);
            replay.wrong.map(|what| kind_of(&what))
        };
        let due = Some(kind(&schedule)?);
        let shrunk = shrink(schedule, bound, |schedule| kind(schedule) == due);
        let replay = self.replay(faults, &shrunk.choices, true);
        Some((shrunk, replay))
    }
}

/// A path as the numbers of its moves.
pub(super) fn numbers_of(play: &'static Play, faults: u32, path: &[u64]) -> Vec<u32> {
    let (mut engine, parties) = Engine::new(play, false);
    let (mut world, _) = opening(&mut engine, &parties, false);
    let mut candidates = Vec::new();
    let mut numbers = Vec::with_capacity(path.len());
    for packed in path {
        moves(&engine, &world, faults, &mut candidates);
        let Some(number) = candidates.iter().position(|c| c.mv.packed() == *packed) else {
            break;
        };
        numbers.push(number as u32);
        let mut stepper = Stepper {
            engine: &mut engine,
            world,
            wrong: None,
            lines: None,
        };
        stepper.make(candidates[number].mv);
        world = stepper.world;
    }
    numbers
}
