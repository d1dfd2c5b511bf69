//! What happened in a world, line by line. Two runs are the same if their traces are.

use std::fmt::Write as _;

use chumwire_trace::{Line, text_of};
use sha2::{Digest, Sha256};

/// The lines of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<Line>);

impl Trace {
    pub(crate) fn push(&mut self, line: Line) {
        self.0.push(line);
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// All lines, taken out.
    #[must_use]
    pub fn into_lines(self) -> Vec<Line> {
        self.0
    }

    /// The SHA-256 of all lines, as they are in a file after its header.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for line in &self.0 {
            hash.update(text_of(line));
        }
        hash.finalize().into()
    }

    /// The last lines, for a failure's report.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let mut text = String::new();
        for line in &self.0[self.0.len().saturating_sub(lines)..] {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}
