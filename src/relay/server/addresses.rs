//! Limits for each address: connections at a time, and how fast new ones come (spec 02).
//!
//! The rate is a token bucket in its "virtual time" form: an address has a moment up to which its tokens are
//! spent. An address without connections is forgotten once that moment has passed.

use alloc::collections::{BTreeMap, BTreeSet};

use super::config::RelayConfig;
use crate::io::Source;
use crate::time::Micros;

#[derive(Clone, Default)]
pub(super) struct Addresses {
    known: BTreeMap<Source, Address>,
    /// Addresses without connections, by the moment from which they need not be remembered.
    idle: BTreeSet<(Micros, Source)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) connections: usize,
    /// The tokens are spent up to here.
    pub(super) spent: Micros,
}

pub(super) enum Refused {
    Connections,
    Rate,
    Addresses,
}

/// What shares one count: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer has.
pub(super) fn shared(from: Source) -> Source {
    match from {
        Source::Address(bytes)
            if !bytes.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) =>
        {
            let mut network = [0; 16];
            for (to, from) in network.iter_mut().zip(bytes).take(8) {
                *to = from;
            }
            Source::Address(network)
        }
        other => other,
    }
}

impl Addresses {
    /// Takes one more connection from `from` (a [`shared`] one), or changes nothing.
    pub(super) fn take(
        &mut self,
        now: Micros,
        from: Source,
        config: &RelayConfig,
    ) -> Result<(), Refused> {
        if from == Source::Unknown {
            return Ok(());
        }
        self.forget(now);
        if !self.known.contains_key(&from) && self.known.len() >= config.addresses {
            return Err(Refused::Addresses);
        }
        let (connections, spent) = self
            .known
            .get(&from)
            .map_or((0, now), |known| (known.connections, known.spent));
        if connections >= config.connections_per_address {
            return Err(Refused::Connections);
        }
        let spent = spent.max(now);
        let in_a_burst = u64::try_from(config.burst.saturating_sub(1)).unwrap_or(u64::MAX);
        if spent.since(now).0 > config.rate.0.saturating_mul(in_a_burst) {
            return Err(Refused::Rate);
        }
        if let Some(known) = self.known.get(&from) {
            self.idle.remove(&(known.spent, from));
        }
        let address = Address {
            connections: connections + 1,
            spent: spent + config.rate,
        };
        self.known.insert(from, address);
        Ok(())
    }

    /// One connection less.
    pub(super) fn give_back(&mut self, from: Source) {
        let Some(known) = self.known.get_mut(&from) else {
            return;
        };
        known.connections = known.connections.saturating_sub(1);
        if known.connections == 0 {
            self.idle.insert((known.spent, from));
        }
    }

    /// Forgets what makes no difference any more; each address once.
    fn forget(&mut self, now: Micros) {
        while let Some((spent, from)) = self.idle.first().copied().filter(|(at, _)| *at <= now) {
            self.idle.remove(&(spent, from));
            self.known.remove(&from);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn connections(&self) -> usize {
        self.known.values().map(|known| known.connections).sum()
    }

    /// What makes a difference from `now` on, with times counted from there.
    pub(super) fn canonical(&self, now: Micros) -> BTreeMap<Source, Address> {
        self.known
            .iter()
            .filter(|(_, known)| known.connections > 0 || known.spent > now)
            .map(|(from, known)| {
                let spent = known.spent.since(now);
                (
                    *from,
                    Address {
                        connections: known.connections,
                        spent,
                    },
                )
            })
            .collect()
    }
}
