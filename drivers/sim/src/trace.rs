//! What happened in a world, line by line. Two runs are the same if their traces are.

use core::fmt;

use sha2::{Digest, Sha256};

/// The lines of a run, and their hash.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Vec<String>,
    hash: Sha256,
}

impl Trace {
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        self.hash.update(&line);
        self.hash.update(b"\n");
        self.lines.push(line);
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The SHA-256 of all lines.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// The last lines, for a failure's report.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        self.lines[self.lines.len().saturating_sub(lines)..].join("\n")
    }
}

/// The bytes of a message, short enough for a line and different for different messages.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let mut text = format!("{} bytes ", bytes.len());
    for byte in &hash[..8] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
