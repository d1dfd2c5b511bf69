//! Fragmentation: long messages travel as a start word, binary pieces, and an end word (spec 04).

use alloc::string::String;
use alloc::vec::Vec;

use super::escape::{self, END, START_BINARY, START_TEXT};
use crate::io::Kind;
use crate::limits;

/// Whether a message goes out in fragments. A text is measured in UTF-16 code units, before escaping.
#[must_use]
pub fn is_fragmented(kind: Kind, message: &[u8]) -> bool {
    match kind {
        Kind::Binary => message.len() > limits::FRAGMENT,
        // A text has at most as many code units as bytes, so most need not be counted.
        Kind::Text => {
            message.len() >= limits::WHOLE_TEXT && utf16_length(message) >= limits::WHOLE_TEXT
        }
    }
}

/// UTF-16 code units of a UTF-8 text: one for each character, two for those of four bytes.
fn utf16_length(text: &[u8]) -> usize {
    text.iter()
        .map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0))
        .sum()
}

/// The word before the fragments of a message.
#[must_use]
pub(super) const fn start_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => START_TEXT,
        Kind::Binary => START_BINARY,
    }
}

/// How fragments do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentFault {
    /// A start while a message is being assembled.
    #[error("a start while a message is being assembled")]
    StartInside,
    /// An end without a start.
    #[error("an end without a start")]
    EndOutside,
    /// Another text than the end while a message is being assembled.
    #[error("a text while a message is being assembled")]
    TextInside,
    /// The assembled message is too long, or has too many fragments.
    #[error("the assembled message is over the limit")]
    TooLong,
    /// An assembled text is not UTF-8.
    #[error("an assembled text is not UTF-8")]
    NotUtf8,
    /// An escaped text does not end in `x`.
    #[error("an escaped text does not end in x")]
    BadEscape,
}

/// What one message of the layer below yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembled<'a> {
    /// Nothing yet.
    Nothing,
    /// A text that came whole, unescaped; the end of it may have been taken off.
    Text(&'a str),
    /// A binary message that came whole.
    Binary(&'a [u8]),
    /// A text from fragments.
    LongText(String),
    /// A binary message from fragments.
    LongBinary(Vec<u8>),
}

/// Puts fragments together. Holds no more than it has received, and no more than its limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assembler {
    limit: usize,
    state: Option<Pieces>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pieces {
    kind: Kind,
    bytes: Vec<u8>,
    count: usize,
}

impl Assembler {
    /// One that assembles messages of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, state: None }
    }

    /// Takes a text of the layer below.
    ///
    /// # Errors
    /// [`FragmentFault`]
    pub fn text<'a>(&mut self, text: &'a str) -> Result<Assembled<'a>, FragmentFault> {
        let starts = match text {
            START_TEXT => Some(Kind::Text),
            START_BINARY => Some(Kind::Binary),
            _ => None,
        };
        match (self.state.take(), starts) {
            (Some(_), Some(_)) => Err(FragmentFault::StartInside),
            (None, Some(kind)) => {
                self.state = Some(Pieces {
                    kind,
                    bytes: Vec::new(),
                    count: 0,
                });
                Ok(Assembled::Nothing)
            }
            (Some(pieces), None) if text == END => pieces.finish(),
            (Some(_), None) => Err(FragmentFault::TextInside),
            (None, None) if text == END => Err(FragmentFault::EndOutside),
            (None, None) => escape::unescape(text, &escape::FRAGMENTATION)
                .map(Assembled::Text)
                .map_err(|_| FragmentFault::BadEscape),
        }
    }

    /// Takes a binary message of the layer below.
    ///
    /// # Errors
    /// [`FragmentFault::TooLong`]
    pub fn binary<'a>(&mut self, bytes: &'a [u8]) -> Result<Assembled<'a>, FragmentFault> {
        let Some(pieces) = &mut self.state else {
            return Ok(Assembled::Binary(bytes));
        };
        pieces.count += 1;
        if bytes.len() > self.limit - pieces.bytes.len() || pieces.count > limits::FRAGMENTS {
            self.state = None;
            return Err(FragmentFault::TooLong);
        }
        pieces.bytes.extend_from_slice(bytes);
        Ok(Assembled::Nothing)
    }
}

impl Pieces {
    fn finish<'a>(self) -> Result<Assembled<'a>, FragmentFault> {
        match self.kind {
            Kind::Binary => Ok(Assembled::LongBinary(self.bytes)),
            Kind::Text => String::from_utf8(self.bytes)
                .map(Assembled::LongText)
                .map_err(|_| FragmentFault::NotUtf8),
        }
    }
}
