//! The table of default bounds is one: docs/limits.md shows what the code has.

use chumwire::limits::TABLE;

/// The rows of the documented table, as the code has them.
fn rows() -> String {
    let row = |(name, value, meaning): &(&str, usize, &str)| {
        format!("| `{name}` | {value} | {} |\n", meaning.trim())
    };
    TABLE.iter().map(row).collect()
}

#[test]
fn the_documented_bounds_are_those_of_the_code() {
    let documented = include_str!("../docs/limits.md");
    let rows = rows();
    assert!(
        documented.contains(&rows),
        "docs/limits.md has to hold these rows:\n{rows}"
    );
}
