//! Objects against recordings of the deployed peer and the examples of spec 12, and by properties.

mod convert;
mod examples;
mod properties;
mod recorded;
mod refused;
#[path = "../support/mod.rs"]
mod support;
mod types;
