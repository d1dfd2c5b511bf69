//! The references of an object whose recipe is not known (spec 12, "More decisions").

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::ids::{self, RefKind, Reference};
use super::recipe::is_name;

/// The references of a text are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferencesFault {
    /// A reference is not written as one.
    #[error("the reference at byte {at} is malformed")]
    Malformed {
        /// Where its tag begins.
        at: usize,
    },
    /// There are more than the limit.
    #[error("there are more than {limit} references")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl ReferencesFault {
    /// A stable name in `snake_case`, for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed_reference",
            Self::TooMany { .. } => "too_many_references",
        }
    }
}

/// What every reference begins with. No value holds it, as `<` is escaped there, and no other tag begins so.
const START: &str = "<a";

/// All references in a microdata text, in the order they appear, each once. Its recipe need not be known.
///
/// # Errors
/// [`ReferencesFault`] if one is malformed, or there are more than `most`.
pub fn references(text: &str, most: usize) -> Result<Vec<Reference>, ReferencesFault> {
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for (at, _) in text.match_indices(START) {
        let reference = text
            .get(at + START.len()..)
            .and_then(reference)
            .ok_or(ReferencesFault::Malformed { at })?;
        if seen.insert(reference) {
            if found.len() == most {
                return Err(ReferencesFault::TooMany { limit: most });
            }
            found.push(reference);
        }
    }
    Ok(found)
}

/// One reference, behind [`START`].
fn reference(text: &str) -> Option<Reference> {
    let text = match text.strip_prefix(" itemprop=\"") {
        Some(named) => {
            let (name, text) = named.split_once('"')?;
            is_name(name).then_some(text)?
        }
        None => text,
    };
    let (tag, text) = text.strip_prefix(" data-type=\"")?.split_once("\">")?;
    let kind = RefKind::ALL.into_iter().find(|kind| kind.tag() == tag)?;
    let (hash, text) = text.split_at_checked(64)?;
    text.starts_with("</a>")
        .then(|| ids::digits(hash))?
        .map(|hash| kind.to(hash))
}
