//! A trace as one HTML page that shows it as a picture and steps through it.
//!
//! ```text
//! trace, explanation ──> steps, marks, states (here) ──> JSON ──> page.html with page.css and page.js
//! ```
//!
//! What a trace holds comes from other people. It goes into the page as data that no browser takes for markup, and
//! from there to the screen as text only. The page loads nothing, and runs no script but its own.

mod data;
mod document;
mod failed;
mod groups;
mod state;
mod steps;
mod text;

use crate::explain::Explanation;
use crate::merge::Merged;

/// Draws a trace, with what is said of it, as an HTML page. The same trace gives the same page.
///
/// Of a trace with very many steps the page shows those around the first finding, and says so.
#[must_use]
pub fn page(trace: &Merged, explanation: &Explanation) -> String {
    document::of(&steps::data(trace, explanation))
}
