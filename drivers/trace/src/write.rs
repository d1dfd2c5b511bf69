//! Writing a trace down.

use std::io::{self, Write};

use serde::Serialize;

use crate::header::Header;
use crate::line::Line;

/// Writes lines as they come.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins a trace with its first line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(mut out: W, header: &Header) -> io::Result<Self> {
        out.write_all(text_of(header).as_bytes())?;
        Ok(Self { out })
    }

    /// One more line.
    ///
    /// # Errors
    /// Those of the output.
    pub fn line(&mut self, line: &Line) -> io::Result<()> {
        self.out.write_all(text_of(line).as_bytes())
    }

    /// Nothing stays in a buffer.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A header or line as it is written, with the end of the line.
#[must_use]
pub fn text_of(part: &impl Serialize) -> String {
    // Neither has a map with keys that are no texts, which is all that could fail.
    let mut text = serde_json::to_string(part).unwrap_or_default();
    text.push('\n');
    text
}
