//! What was said and heard: each connection carries a prefix of what was said at its other end, in order, and all of
//! it while it is there.

use std::collections::BTreeMap;

use chumwire::io::ConnId;

/// One end of a connection: who, in which of its lives, and its name for it.
pub(super) type End = (usize, u32, ConnId);

#[derive(Default)]
pub(super) struct Texts {
    said: BTreeMap<End, usize>,
    /// From where, and how many.
    heard: BTreeMap<End, (End, usize)>,
}

fn text((who, life, conn): End, number: usize) -> String {
    format!("{who} {life} {} {number}", conn.0)
}

impl Texts {
    /// The text that is said next.
    pub(super) fn next(&self, from: End) -> String {
        text(from, self.said.get(&from).copied().unwrap_or(0))
    }

    pub(super) fn said(&mut self, from: End) {
        *self.said.entry(from).or_default() += 1;
    }

    pub(super) fn heard(&mut self, at: End, words: &str) -> Result<(), String> {
        let (from, number) = match self.heard.get(&at) {
            Some(known) => *known,
            // The first one says where it comes from; nobody else has heard from there.
            None => {
                let is_new = |end: &&End| self.heard.values().all(|(from, _)| from != *end);
                let mut ends = self.said.keys().filter(is_new);
                let from = ends.find(|end| end.0 != at.0 && text(**end, 0) == words);
                (*from.ok_or(format!("{at:?} hears {words:?} first"))?, 0)
            }
        };
        if self.said[&from] <= number || text(from, number) != words {
            return Err(format!(
                "{at:?} hears {words:?} as text {number} of {from:?}"
            ));
        }
        self.heard.insert(at, (from, number + 1));
        Ok(())
    }

    /// All that was said at one end of a connection that is there was heard at the other.
    pub(super) fn arrived(&self, from: End, at: End) -> Result<(), String> {
        let due = self.said.get(&from).map(|count| (from, *count));
        let is = self.heard.get(&at).copied();
        if is == due {
            return Ok(());
        }
        Err(format!("{at:?} has heard {is:?} instead of {due:?}"))
    }
}
