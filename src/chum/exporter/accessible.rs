//! What a peer may ask for: the roots that are granted to it, and what was listed as their children.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::chum::entry::Root;
use crate::chum::services::Refusal;
use crate::objects::{RefKind, Reference};

/// What the peer may ask for: the roots of the last list, and what their lists of children named (spec 11,
/// "Accessible set"). What was reached through a root that was taken back is gone with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Accessible {
    roots: BTreeMap<[u8; 32], RefKind>,
    /// By root, what it reaches.
    reach: BTreeMap<[u8; 32], Vec<Reference>>,
    /// How many roots reach it.
    reached: BTreeMap<[u8; 32], (RefKind, u32)>,
}

impl Accessible {
    pub(super) fn kind(&self, hash: &[u8; 32]) -> Option<RefKind> {
        let reached = || self.reached.get(hash).map(|(kind, _)| *kind);
        self.roots.get(hash).copied().or_else(reached)
    }

    pub(super) fn roots(&mut self, roots: &[Root]) {
        self.roots.clear();
        for root in roots {
            let reference = root.reference();
            self.roots.insert(*reference.bytes(), reference.kind());
            if let Root::Versioned { id, .. } = root {
                self.roots.insert(id.0, RefKind::Id);
            }
        }
        let gone: Vec<[u8; 32]> = self
            .reach
            .keys()
            .filter(|root| !self.roots.contains_key(*root))
            .copied()
            .collect();
        for root in gone {
            self.forget(&root);
        }
    }

    fn forget(&mut self, root: &[u8; 32]) {
        for child in self.reach.remove(root).unwrap_or_default() {
            if let Some((_, count)) = self.reached.get_mut(child.bytes()) {
                *count -= 1;
                if *count == 0 {
                    self.reached.remove(child.bytes());
                }
            }
        }
    }

    /// The children of something accessible were listed. What is no root reaches nothing that its root does not.
    pub(super) fn listed(
        &mut self,
        of: Reference,
        children: &[Reference],
        most: usize,
    ) -> Result<(), Refusal> {
        let root = *of.bytes();
        if !self.roots.contains_key(&root) {
            return Ok(());
        }
        self.forget(&root);
        if self.reached.len().saturating_add(children.len()) > most {
            return Err(Refusal::Limit);
        }
        for child in children {
            let entry = self.reached.entry(*child.bytes());
            entry.or_insert((child.kind(), 0)).1 += 1;
        }
        self.reach.insert(root, children.to_vec());
        Ok(())
    }
}
