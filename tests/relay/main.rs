//! The relay and its listeners (spec 02), against recordings of the deployed ones, race by race (spec 07), limit by
//! limit, and under arbitrary input.

mod arbitrary;
mod bench;
mod equality;
mod limits;
mod listener;
mod pressure;
mod races;
mod recordings;
mod registration;
mod relaying;
mod reports;
mod times;
