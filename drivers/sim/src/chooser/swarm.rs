//! Swarm testing: a run in which some faults never happen finds what a run with a little of everything hides.

use std::collections::BTreeMap;

use super::{Actor, Choice, Chooser, Seeded};
use crate::link::FaultKind;

/// What a run makes of a kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mood {
    /// It never happens.
    Off,
    /// It happens as often as the links say.
    Asked,
    /// It happens so many times as often, at most to every second message.
    Wild(u32),
}

impl Mood {
    const fn rate(self, permille: u32) -> u32 {
        const MOST: u32 = 500;
        match self {
            Self::Off => 0,
            Self::Asked => permille,
            Self::Wild(times) => {
                let wild = permille.saturating_mul(times);
                // A link that asks for more than the bound gets what it asks for.
                if wild <= MOST {
                    wild
                } else if permille > MOST {
                    permille
                } else {
                    MOST
                }
            }
        }
    }
}

/// Another source, in which every kind of fault has its mood for the whole run, drawn from a seed.
#[derive(Clone, Debug)]
pub struct Swarm<C> {
    source: C,
    moods: BTreeMap<FaultKind, Mood>,
}

impl Swarm<Seeded> {
    /// Moods and choices from one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::over(Seeded::new(seed), seed)
    }
}

impl<C: Chooser> Swarm<C> {
    /// Choices of `source`, moods from a seed.
    #[must_use]
    pub fn over(source: C, seed: u64) -> Self {
        // Another stream than that of `Seeded` with the same seed.
        let mut draw = Seeded::new(!seed);
        let mut mood = || match draw.next() % 4 {
            0 | 1 => Mood::Off,
            2 => Mood::Asked,
            _ => Mood::Wild(2 + (draw.next() % 15) as u32),
        };
        let moods = FaultKind::ALL.map(|kind| (kind, mood()));
        Self {
            source,
            moods: moods.into(),
        }
    }

    /// The mood of a kind of fault.
    #[must_use]
    pub fn mood(&self, kind: FaultKind) -> Mood {
        self.moods.get(&kind).copied().unwrap_or(Mood::Asked)
    }
}

impl<C: Chooser> Chooser for Swarm<C> {
    fn choose(&mut self, what: Choice, options: usize) -> usize {
        self.source.choose(what, options)
    }

    fn choose_tie(&mut self, candidates: &[Actor]) -> usize {
        self.source.choose_tie(candidates)
    }

    fn strikes(&mut self, kind: FaultKind, permille: u32) -> bool {
        let rate = self.mood(kind).rate(permille);
        rate > 0 && self.source.strikes(kind, rate)
    }
}
