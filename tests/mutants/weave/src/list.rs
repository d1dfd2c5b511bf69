//! The mutants as `cargo mutants --list --json` tells them.

use std::path::Path;

use serde::Deserialize;

/// A place in a file: lines and columns from 1 on, columns in characters.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Deserialize, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: Place,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Deserialize)]
pub(crate) struct Mutant {
    pub(crate) file: String,
    pub(crate) genre: Genre,
    pub(crate) name: String,
    pub(crate) replacement: String,
    pub(crate) span: Span,
}

/// Reads the list. A mutant is known by its number, which is its place in the list, from 1 on.
pub(crate) fn read(path: &Path) -> Vec<Mutant> {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
