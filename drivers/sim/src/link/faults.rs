//! What links can do to messages: kinds, names, rates.

use chumwire::time::Micros;

macro_rules! faults {
    ($($(#[$doc:meta])* $field:ident $kind:ident),+ $(,)?) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind { $($(#[$doc])* $kind),+ }

        impl FaultKind {
            /// All of them.
            pub const ALL: [Self; [$(Self::$kind),+].len()] = [$(Self::$kind),+];

            /// Its name, as a command line and a trace have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($field)),+ }
            }
        }

        /// How often a link misbehaves, in thousandths of messages; and how far. All off by default.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Faults {
            $($(#[$doc])* pub $field: u32,)+
            /// A reordered message overtakes at most so many others, and none is overtaken by more than so many.
            pub distance: usize,
        }

        impl Faults {
            /// The names that [`set`](Self::set) knows.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];

            /// How often a kind of fault happens, in thousandths.
            #[must_use]
            pub const fn rate(&self, kind: FaultKind) -> u32 {
                match kind { $(FaultKind::$kind => self.$field),+ }
            }

            const fn rate_mut(&mut self, kind: FaultKind) -> &mut u32 {
                match kind { $(FaultKind::$kind => &mut self.$field),+ }
            }
        }
    };
}

faults! {
    /// The connection breaks off instead of carrying a message.
    cut Cut,
    /// From this message on nothing passes any more, and nobody is told.
    silence Silence,
    /// Whoever the message goes to crashes before it comes, and starts again at once.
    crash Crash,
    /// A message is lost.
    loss Loss,
    /// One bit of a message is altered.
    flip Flip,
    /// A message is cut short.
    truncate Truncate,
    /// A message comes back to its sender, as well or instead.
    mirror Mirror,
    /// A message comes twice.
    duplicate Duplicate,
    /// A message overtakes others, up to [`distance`](Faults::distance) of them.
    reorder Reorder,
    /// The pipe stops for a while, with this message and all after it.
    clog Clog,
    /// This message and those behind it are read at once.
    merge Merge,
}

impl Faults {
    /// How far a message overtakes others, if nothing else is said.
    pub const DISTANCE: usize = 3;
    /// How long a clogged pipe stops at most.
    pub(crate) const CLOGGED: Micros = Micros::secs(3);

    /// Every fault at this rate, in thousandths: for a [`Swarm`](crate::Swarm) to choose from.
    #[must_use]
    pub fn every(permille: u32) -> Self {
        let mut faults = Self {
            distance: Self::DISTANCE,
            ..Self::default()
        };
        for kind in FaultKind::ALL {
            *faults.rate_mut(kind) = permille;
        }
        faults
    }

    /// Whether nothing ever happens.
    #[must_use]
    pub fn is_none(&self) -> bool {
        FaultKind::ALL.iter().all(|kind| self.rate(*kind) == 0)
    }

    /// Sets the rate of a fault, by its name. A reordering reaches [`DISTANCE`](Self::DISTANCE) places far unless it
    /// is set.
    ///
    /// # Errors
    /// [`NoFault`]
    pub fn set(&mut self, name: &str, rate: f64) -> Result<(), NoFault> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(NoFault::Rate);
        }
        let kind = FaultKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(NoFault::Name)?;
        // A rate that is not zero does not become zero.
        *self.rate_mut(kind) = (rate * 1000.0).ceil() as u32;
        if kind == FaultKind::Reorder && self.distance == 0 {
            self.distance = Self::DISTANCE;
        }
        Ok(())
    }
}

/// A fault that cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFault {
    /// There is none of this name.
    Name,
    /// The rate is not from 0 to 1.
    Rate,
}

impl core::fmt::Display for NoFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "there is no such fault; known are {}",
                Faults::NAMES.join(", ")
            ),
            Self::Rate => f.write_str("a rate is from 0 to 1"),
        }
    }
}

impl std::error::Error for NoFault {}

/// How long messages take, and what happens to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// The least time on the way.
    pub latency: Micros,
    /// What is added at most, in eight steps.
    pub jitter: Micros,
    /// How it misbehaves.
    pub faults: Faults,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            latency: Micros::millis(5),
            jitter: Micros::ZERO,
            faults: Faults::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_sets_its_own_rate() {
        for name in Faults::NAMES {
            let mut faults = Faults::default();
            assert_eq!(faults.set(name, 0.0005), Ok(()));
            let set = FaultKind::ALL.map(|kind| (kind.name() == *name, faults.rate(kind)));
            assert!(
                set.iter().all(|(is, rate)| u32::from(*is) == *rate),
                "{name}"
            );
            assert_eq!(faults.distance > 0, *name == "reorder");
            assert!(!faults.is_none());
        }
        let mut faults = Faults::default();
        assert_eq!(faults.set("gremlins", 0.1), Err(NoFault::Name));
        assert_eq!(faults.set("loss", 1.1), Err(NoFault::Rate));
        assert_eq!(faults.set("loss", f64::NAN), Err(NoFault::Rate));
        assert!(faults.is_none());
    }
}
