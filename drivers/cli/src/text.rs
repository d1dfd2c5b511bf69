//! Words for a terminal.

use std::fmt::Display;

/// The text without control characters: some of it comes from peers, and a terminal obeys them.
pub(crate) fn printable(text: impl Display) -> String {
    text.to_string()
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
