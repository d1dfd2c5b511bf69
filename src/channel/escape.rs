//! Escaping of texts that start with a control word (spec 04, "Keepalive" and "Fragmentation").

use alloc::string::String;

/// The keepalive message.
pub const KEEPALIVE: &str = "keepalive";
/// Binary fragments follow.
pub const START_BINARY: &str = "fragmentation_start_binary";
/// Fragments of a text follow.
pub const START_TEXT: &str = "fragmentation_start_string";
/// All fragments have come.
pub const END: &str = "fragmentation_end";

/// The words of the fragmentation layer, in the order in which it escapes.
pub const FRAGMENTATION: [&str; 3] = [START_BINARY, START_TEXT, END];

const MARK: char = 'x';

/// An escaped text does not end in `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an escaped text does not end in x")]
pub struct BadEscape;

/// How many marks a text gets at its end: one for each word it starts with, the words taken in order.
#[must_use]
pub fn marks(text: &str, words: &[&str]) -> usize {
    words.iter().filter(|word| text.starts_with(**word)).count()
}

/// The text with its marks.
#[must_use]
pub fn escape(text: &str, words: &[&str]) -> String {
    let mut escaped = String::from(text);
    escaped.extend(core::iter::repeat_n(MARK, marks(text, words)));
    escaped
}

/// Takes the marks off again, the words in reverse order. A text that *is* a control word has to be looked for
/// before.
///
/// # Errors
/// [`BadEscape`] if something else stands where a mark has to be.
pub fn unescape<'a>(text: &'a str, words: &[&str]) -> Result<&'a str, BadEscape> {
    let mut text = text;
    for word in words.iter().rev() {
        if text.starts_with(word) {
            text = text
                .strip_suffix(MARK)
                .filter(|rest| rest.starts_with(word))
                .ok_or(BadEscape)?;
        }
    }
    Ok(text)
}
