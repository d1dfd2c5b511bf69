//! Where two traces part.

use crate::line::Line;
use crate::read::Trace;

/// Two traces, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Lines that are the same, from the first on.
    pub same: usize,
    /// The last of them.
    pub before: &'a [Line],
    /// How the one goes on; empty if it ends there.
    pub one: &'a [Line],
    /// How the other goes on.
    pub other: &'a [Line],
}

/// Lines shown before and after the first difference.
const CONTEXT: usize = 5;

/// Compares two runs line by line; `None` if they are the same. The headers do not count.
#[must_use]
pub fn diff<'a>(one: &'a Trace, other: &'a Trace) -> Option<Difference<'a>> {
    let (one, other) = (&one.lines, &other.lines);
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    if same == one.len() && same == other.len() {
        return None;
    }
    let next = |lines: &'a [Line]| &lines[same..lines.len().min(same + CONTEXT)];
    Some(Difference {
        same,
        before: &one[same.saturating_sub(CONTEXT)..same],
        one: next(one),
        other: next(other),
    })
}
