//! Requests and answers (spec 10): the examples and tables of the spec byte for byte, recordings of the deployed peer,
//! limits and times, and two machines under arbitrary input.

mod answers;
mod arbitrary;
mod bench;
mod limits;
mod pairs;
mod recordings;
mod serving;
mod streams;
#[path = "../support/vectors.rs"]
#[allow(dead_code)]
mod vectors;
