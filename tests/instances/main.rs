//! Whole instances, in memory: what a pairing stores, how contacts stay in touch, what they tell of themselves, and who
//! sees what.

mod book;
mod properties;
mod sharing;
mod told;
mod world;
