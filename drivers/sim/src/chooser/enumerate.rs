//! Every sequence of choices there is, one run after the other: an odometer.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Choice, Chooser};
use crate::link::FaultKind;

/// One place of the odometer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wheel {
    at: usize,
    options: usize,
}

#[derive(Debug)]
struct Odometer {
    wheels: Vec<Wheel>,
    /// The wheel that the running run asks next.
    next: usize,
    /// More choices than this are not enumerated.
    depth: usize,
    /// Some choice was not enumerated, so not every run there is was made.
    cut: bool,
}

impl Odometer {
    fn turn(&mut self, options: usize) -> usize {
        let place = self.next;
        self.next += 1;
        if place >= self.depth {
            self.cut = true;
            return 0;
        }
        match self.wheels.get_mut(place) {
            // A run that differs from the last one only later asks the same until then.
            Some(wheel) => {
                wheel.options = options;
                wheel.at.min(options.saturating_sub(1))
            }
            None => {
                self.wheels.push(Wheel { at: 0, options });
                0
            }
        }
    }

    /// Sets the wheels for the next run. False if there is none.
    fn advance(&mut self) -> bool {
        self.wheels.truncate(self.next);
        self.next = 0;
        while let Some(wheel) = self.wheels.last_mut() {
            wheel.at += 1;
            if wheel.at < wheel.options {
                return true;
            }
            self.wheels.pop();
        }
        false
    }
}

/// All sequences of choices up to a depth. An iterator over the sources of runs: make the next run when the last one
/// is over.
///
/// Seeds of machines and other choices between more than [`WIDEST`](Self::WIDEST) are not walked: they are the first.
#[derive(Debug)]
pub struct Enumerate {
    odometer: Rc<RefCell<Odometer>>,
    what: Option<Vec<Choice>>,
    started: bool,
}

impl Enumerate {
    /// Choices between more options than this are not enumerated.
    pub const WIDEST: usize = 64;

    /// All choices up to this depth; later ones are the first.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        Self {
            odometer: Rc::new(RefCell::new(Odometer {
                wheels: Vec::new(),
                next: 0,
                depth,
                cut: false,
            })),
            what: None,
            started: false,
        }
    }

    /// Only choices of these kinds are walked; others are the first.
    #[must_use]
    pub fn only(mut self, what: &[Choice]) -> Self {
        self.what = Some(what.into());
        self
    }

    /// Whether runs have asked for more choices than are walked: then not every run there is has been made.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.odometer.borrow().cut
    }
}

impl Iterator for Enumerate {
    type Item = Enumerated;

    fn next(&mut self) -> Option<Enumerated> {
        if self.started && !self.odometer.borrow_mut().advance() {
            return None;
        }
        self.started = true;
        Some(Enumerated {
            odometer: self.odometer.clone(),
            what: self.what.clone(),
        })
    }
}

/// The source of one run of an [`Enumerate`].
#[derive(Debug)]
pub struct Enumerated {
    odometer: Rc<RefCell<Odometer>>,
    what: Option<Vec<Choice>>,
}

impl Enumerated {
    fn is_walked(&self, what: Choice) -> bool {
        what != Choice::Seed && self.what.as_ref().is_none_or(|all| all.contains(&what))
    }
}

impl Chooser for Enumerated {
    fn choose(&mut self, what: Choice, options: usize) -> usize {
        if self.is_walked(what) && options <= Enumerate::WIDEST {
            self.odometer.borrow_mut().turn(options)
        } else {
            0
        }
    }

    fn strikes(&mut self, kind: FaultKind, _: u32) -> bool {
        self.is_walked(Choice::Fault(kind)) && self.odometer.borrow_mut().turn(2) == 1
    }
}
