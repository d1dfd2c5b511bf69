//! Faults: at random, or planned.

/// How often what goes wrong, in thousandths of steps (of what a store is asked, for `refuse` and `rot`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// A connection is cut: what is on its way is lost.
    pub cut: u32,
    /// An instance crashes, and loses the last writes.
    pub crash: u32,
    /// A store does not do what it is asked.
    pub refuse: u32,
    /// A store gives other bytes than those of the file that is asked for.
    pub rot: u32,
}

/// A fault that happens once, at a certain moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    /// When.
    pub at: Moment,
    /// What.
    pub blow: Blow,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// In place of this message (from 0, counted over all connections).
    Message(u64),
    /// After this write of a machine (from 0, counted over all stores), and before its answer.
    Write(u64),
}

/// What goes wrong then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// The connection is cut.
    Cut,
    /// An instance crashes.
    Crash {
        /// Which, in the order of the scenario.
        place: usize,
        /// How many of its last writes are lost, at most.
        lost: usize,
    },
}
