//! Where every choice of a world comes from: a seed, a recorded schedule, and later an explorer or a fuzzer.

use crate::insecure::mix;

/// What is being chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// Which of several things that are due at the same moment comes first.
    Tie,
    /// How long a message is on its way.
    Latency,
    /// How long a driver takes to say that all has been handed to the socket.
    Drain,
    /// How long a store takes.
    Store,
    /// The seed of a machine.
    Seed,
    /// Whether and how a link misbehaves.
    Fault,
    /// Something that a test decides.
    Test,
}

/// A source of choices. The same source gives the same run.
pub trait Chooser {
    /// One of `0..options`. It is asked only if there are two or more.
    fn choose(&mut self, what: Choice, options: usize) -> usize;
}

impl<C: Chooser + ?Sized> Chooser for Box<C> {
    fn choose(&mut self, what: Choice, options: usize) -> usize {
        (**self).choose(what, options)
    }
}

/// Choices from a seed (splitmix64).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seeded(u64);

impl Seeded {
    /// The source of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Neighbouring seeds start far apart.
        Self(mix(seed.wrapping_add(0x5851_f42d_4c95_7f2d)))
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

impl Chooser for Seeded {
    fn choose(&mut self, _: Choice, options: usize) -> usize {
        // Options are few, so the bias is nil.
        (self.next() % options.max(1) as u64) as usize
    }
}

/// Choices that were written down. A number beyond the options is folded into them, and after the last one the first
/// option is taken: so a schedule can be cut anywhere and is one still.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scheduled {
    choices: Vec<u32>,
    used: usize,
}

impl Scheduled {
    /// The source of these choices.
    #[must_use]
    pub const fn new(choices: Vec<u32>) -> Self {
        Self { choices, used: 0 }
    }
}

impl Chooser for Scheduled {
    fn choose(&mut self, _: Choice, options: usize) -> usize {
        let choice = self.choices.get(self.used).copied().unwrap_or(0);
        self.used += 1;
        choice as usize % options.max(1)
    }
}

/// Writes down what another source chooses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recording<C> {
    source: C,
    choices: Vec<u32>,
}

impl<C> Recording<C> {
    /// Records `source`.
    pub const fn new(source: C) -> Self {
        Self {
            source,
            choices: Vec::new(),
        }
    }

    /// What was chosen so far: a schedule for [`Scheduled`].
    #[must_use]
    pub fn choices(&self) -> &[u32] {
        &self.choices
    }
}

impl<C: Chooser> Chooser for Recording<C> {
    fn choose(&mut self, what: Choice, options: usize) -> usize {
        if options < 2 {
            return 0;
        }
        let choice = self.source.choose(what, options);
        self.choices.push(u32::try_from(choice).unwrap_or(u32::MAX));
        choice
    }
}
