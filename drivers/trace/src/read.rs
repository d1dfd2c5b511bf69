//! Reading a trace. Traces come from other people: every bound is checked, every mistake has its line.

use std::io::{self, BufRead};

use crate::header::{Header, VERSION};
use crate::line::Line;

/// The longest line, in bytes: the content of the longest message in hex, twice over.
const LINE: usize = 64 * 1024 * 1024;
/// The most lines.
const LINES: usize = 4_000_000;

/// A trace, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The first line.
    pub header: Header,
    /// The others.
    pub lines: Vec<Line>,
}

/// What is wrong with a file that should be a trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadTrace {
    /// It cannot be read.
    #[error("the trace cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The first line is no header.
    #[error("this is no trace: its first line should begin with {{\"chumwire_trace\":{VERSION}")]
    NoTrace,
    /// Another version of the format.
    #[error("the trace has version {0} of the format; this program reads version {VERSION}")]
    Version(u64),
    /// A line is no line of a trace. Its content is not repeated: it may be a secret.
    #[error("line {number} of the trace, column {column}, is not what a line of a trace is")]
    Line {
        /// From 1.
        number: usize,
        /// From 1.
        column: usize,
    },
    /// Too long a line.
    #[error("line {0} of the trace is longer than {LINE} bytes")]
    LongLine(usize),
    /// Too many lines.
    #[error("the trace has more than {LINES} lines")]
    TooLong,
}

impl Trace {
    /// Reads a trace. A last line that was cut off (the recorder was killed) is left out.
    ///
    /// # Errors
    /// [`BadTrace`]
    pub fn read(mut input: impl BufRead) -> Result<Self, BadTrace> {
        let mut buffer = Vec::new();
        if !next(&mut input, &mut buffer, 1)? {
            return Err(BadTrace::NoTrace);
        }
        let header = header(&buffer)?;
        let mut lines = Vec::new();
        loop {
            let number = lines.len() + 2;
            buffer.clear();
            if !next(&mut input, &mut buffer, number)? {
                break;
            }
            match serde_json::from_slice(&buffer) {
                Ok(line) => lines.push(line),
                Err(error) if error.is_eof() && buffer.last() != Some(&b'\n') => break,
                Err(error) => {
                    return Err(BadTrace::Line {
                        number,
                        column: error.column(),
                    });
                }
            }
            if lines.len() > LINES {
                return Err(BadTrace::TooLong);
            }
        }
        Ok(Self { header, lines })
    }
}

fn header(line: &[u8]) -> Result<Header, BadTrace> {
    let value: serde_json::Value = serde_json::from_slice(line).map_err(|_| BadTrace::NoTrace)?;
    match value
        .get("chumwire_trace")
        .and_then(serde_json::Value::as_u64)
    {
        None => Err(BadTrace::NoTrace),
        Some(version) if version != u64::from(VERSION) => Err(BadTrace::Version(version)),
        Some(_) => serde_json::from_value(value).map_err(|_| BadTrace::Line {
            number: 1,
            column: 1,
        }),
    }
}

/// One line with its end. False at the end of the input.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>, number: usize) -> Result<bool, BadTrace> {
    let read = io::Read::take(&mut *input, LINE as u64).read_until(b'\n', line)?;
    if read == LINE {
        return Err(BadTrace::LongLine(number));
    }
    Ok(read > 0)
}
