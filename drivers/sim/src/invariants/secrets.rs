//! How many keys of the insecure suite each party of each world holds.

use core::cell::RefCell;
use core::hash::{Hash, Hasher};
use std::collections::BTreeMap;

use super::ledger::owner;
use crate::party::PartyId;

/// Pair keys that a connection of ours holds at most: to seal, to open, the static one, and of a diagnosis.
pub(crate) const PER_CONNECTION: usize = 8;

thread_local! {
    static LIVE: RefCell<BTreeMap<(u64, PartyId), usize>> = const { RefCell::new(BTreeMap::new()) };
}

/// A part of a key that is counted as long as it lives. All are equal.
pub(crate) struct Counted(Option<(u64, PartyId)>);

impl Counted {
    /// Counted for whoever runs.
    pub(crate) fn new() -> Self {
        Self::of(owner())
    }

    fn of(owner: Option<(u64, PartyId)>) -> Self {
        if let Some(owner) = owner {
            LIVE.with_borrow_mut(|live| *live.entry(owner).or_default() += 1);
        }
        Self(owner)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::of(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(owner) = self.0 else { return };
        // A key that another thread has made is not in this list; one that outlives the list is counted nowhere.
        let _ = LIVE.try_with(|live| {
            let mut live = live.borrow_mut();
            if let Some(count) = live.get_mut(&owner) {
                *count -= 1;
                if *count == 0 {
                    live.remove(&owner);
                }
            }
        });
    }
}

impl PartialEq for Counted {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Keys of a party that live now.
pub(crate) fn live(world: u64, party: PartyId) -> usize {
    LIVE.with_borrow(|live| live.get(&(world, party)).copied().unwrap_or(0))
}

/// Whether a party with so many connections may hold the keys that it holds.
pub(crate) fn check(world: u64, party: PartyId, connections: usize) -> Result<(), String> {
    let live = live(world, party);
    if live > connections * PER_CONNECTION {
        return Err(format!(
            "{party}: {live} keys live with {connections} connections"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::ledger::{Call, Ledger};

    #[test]
    fn a_key_that_outlives_its_connections_is_found() {
        let (ledger, party) = (Ledger::new(), PartyId(3));
        ledger.enter(Some(Call {
            party,
            start: 1,
            conn: None,
            ours: true,
        }));
        let key = Counted::new();
        let clone = key.clone();
        ledger.enter(None);
        let uncounted = Counted::new();
        assert_eq!(live(ledger.number, party), 2);
        assert_eq!(check(ledger.number, party, 1), Ok(()));
        assert!(check(ledger.number, party, 0).is_err());
        drop((key, clone, uncounted));
        assert_eq!(check(ledger.number, party, 0), Ok(()));
    }
}
