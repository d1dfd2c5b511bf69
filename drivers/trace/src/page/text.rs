//! Words of a trace, as a page can bear them.

use crate::line::What;
use crate::passing::Passing;

/// More characters of one text are not shown.
const LONG: usize = 300;

/// The text without what would turn it round or break it off on the screen, and not too long.
pub(super) fn shown(text: &str) -> String {
    let mut chars = text
        .chars()
        .map(|c| if is_harmless(c) { c } else { '\u{fffd}' });
    let mut shown: String = chars.by_ref().take(LONG).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// What happened, as people read it. The hash of a plaintext, which traces with secrets have, is left out: it would give
/// a short one away.
pub(super) fn told(what: &What) -> String {
    match what {
        What::Delivered { conn, message } => {
            let message = Passing {
                hash: None,
                ..message.clone()
            };
            let conn = *conn;
            shown(&What::Delivered { conn, message }.to_string())
        }
        what => shown(&what.to_string()),
    }
}

/// Whether a character stands for itself: no control, no change of the direction of writing.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_keep_their_direction() {
        assert_eq!(shown("alice"), "alice");
        assert_eq!(shown("a\u{202e}b\nc"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(shown(&"é".repeat(LONG)), "é".repeat(LONG));
        assert_eq!(shown(&"é".repeat(LONG + 1)).chars().count(), LONG + 1);
    }
}
