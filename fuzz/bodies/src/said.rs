//! Messages that nobody of good will sends.

use arbitrary::Arbitrary;
use chumwire::io::{Kind, Message};

use crate::people;

/// A message that somebody makes up.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum MadeUp {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Bytes of a length that matters.
    Sized(u8, bool),
    /// One of the protocol's own texts, as bob would say it.
    Known(u8),
}

impl MadeUp {
    pub(crate) fn wire(&self) -> (Kind, Vec<u8>) {
        match self {
            Self::Text(text) => (Kind::Text, text.as_bytes().to_vec()),
            Self::Binary(bytes) => (Kind::Binary, bytes.clone()),
            Self::Sized(fill, long) => (Kind::Binary, vec![*fill; if *long { 104 } else { 72 }]),
            Self::Known(n) => (Kind::Text, people::known_text(*n).into_bytes()),
        }
    }
}

/// The message of a kind and its bytes.
pub(crate) fn borrowed((kind, bytes): &(Kind, Vec<u8>)) -> Message<'_> {
    match kind {
        Kind::Text => Message::Text(std::str::from_utf8(bytes).unwrap_or("")),
        Kind::Binary => Message::Binary(bytes),
    }
}

/// A change of a text.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum Edit {
    /// A piece of what the formats are made of is put in.
    Insert(u16, u8),
    /// So many characters are taken out.
    Remove(u16, u8),
    /// A character becomes another one.
    Change(u16, char),
    /// A part of the text comes twice.
    Repeat(u16, u8),
    /// It is cut off.
    Cut(u16),
}

/// What texts of the protocol are made of.
const PIECES: [&str; 24] = [
    "\"", "\\", "{", "}", "[", "]", ":", ",", "0", "1", "-", "e9", "null", "true", " ", "<", ">",
    "</span>", "<li>", "&lt;", "a", "é", "\\u0000", "\\ud800",
];

impl Edit {
    /// Changes a text.
    pub(crate) fn apply(&self, text: &mut String) {
        let count = text.chars().count();
        let place =
            |text: &str, at: usize| text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
        let (Self::Insert(at, _)
        | Self::Remove(at, _)
        | Self::Change(at, _)
        | Self::Repeat(at, _)
        | Self::Cut(at)) = self;
        let at = usize::from(*at) % (count + 1);
        let from = place(text, at);
        match self {
            Self::Insert(_, n) => text.insert_str(from, PIECES[usize::from(*n) % PIECES.len()]),
            Self::Remove(_, n) => {
                let to = place(text, at + usize::from(*n));
                text.replace_range(from..to, "");
            }
            Self::Change(_, by) => {
                let to = place(text, at + 1);
                text.replace_range(from..to, by.encode_utf8(&mut [0; 4]));
            }
            Self::Repeat(_, n) => {
                let to = place(text, at + usize::from(*n));
                let part = text[from..to].to_owned();
                text.insert_str(to, &part);
            }
            Self::Cut(_) => text.truncate(from),
        }
    }
}
