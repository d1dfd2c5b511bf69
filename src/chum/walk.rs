//! What an object refers to, directly or not (spec 11, "Children").

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::services::Refusal;
use crate::objects::{Reference, references};

/// How many texts are asked for at once.
const BATCH: usize = 64;

/// A walk from one root through all that it refers to. The texts come from the store, some at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Walk {
    root: Reference,
    most: usize,
    /// What each text refers to.
    uses: BTreeMap<Reference, Vec<Reference>>,
    seen: BTreeSet<Reference>,
    ahead: Vec<Reference>,
    asked: Vec<Reference>,
}

impl Walk {
    pub(super) fn new(root: Reference, most: usize) -> Self {
        Self {
            root,
            most,
            uses: BTreeMap::new(),
            seen: [root].into(),
            ahead: [root].into(),
            asked: Vec::new(),
        }
    }

    pub(super) const fn root(&self) -> Reference {
        self.root
    }

    /// The texts that are wanted next; nothing when the walk is over.
    pub(super) fn wants(&mut self) -> Option<Vec<Reference>> {
        let at = self.ahead.len().saturating_sub(BATCH);
        self.asked = self.ahead.split_off(at);
        match self.asked.is_empty() {
            true => None,
            false => Some(self.asked.clone()),
        }
    }

    /// They have come.
    pub(super) fn came(&mut self, texts: &[Option<String>]) -> Result<(), Refusal> {
        let asked = core::mem::take(&mut self.asked);
        for (reference, text) in asked.into_iter().zip(texts) {
            let text = text.as_deref().ok_or(Refusal::Missing)?;
            let uses = references(text, self.most).map_err(|_| Refusal::Limit)?;
            for used in &uses {
                if self.seen.insert(*used) {
                    if self.seen.len() > self.most {
                        return Err(Refusal::Limit);
                    }
                    if matches!(used, Reference::Object(_) | Reference::Id(_)) {
                        self.ahead.push(*used);
                    }
                }
            }
            self.uses.insert(reference, uses);
        }
        Ok(())
    }

    /// All that was found, users before what they use; without the root.
    pub(super) fn children(&self) -> Vec<Reference> {
        let mut finished = Vec::new();
        let mut seen = BTreeSet::from([self.root]);
        let mut path: Vec<(Reference, usize)> = Vec::from([(self.root, 0)]);
        while let Some((reference, next)) = path.last_mut() {
            let used = self.uses.get(reference).and_then(|uses| uses.get(*next));
            *next += 1;
            match used {
                Some(used) if seen.insert(*used) => path.push((*used, 0)),
                Some(_) => {}
                None => {
                    finished.push(*reference);
                    path.pop();
                }
            }
        }
        finished.pop();
        finished.reverse();
        finished
    }
}
