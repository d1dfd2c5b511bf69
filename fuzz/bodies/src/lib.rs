//! The bodies of the fuzz targets: whatever comes in, nothing panics, what is read is written back as itself, nobody is
//! taken for somebody else, and nothing stands still or grows without a bound.
//!
//! [`TARGETS`] is the one table of them: the programs in `fuzz/targets`, the folders of `fuzz/corpus` and the table in
//! the documentation are compared with it by a test, and another one replays every committed input.
#![forbid(unsafe_code)]

mod book;
mod channels;
mod chum;
mod codecs;
mod frames;
mod lie;
mod lists;
mod machines;
mod model;
mod node;
mod objects;
mod one;
mod order;
mod people;
mod registration;
mod relay;
mod rpc;
mod said;
mod schedules;
mod session;
mod store;
mod stub;
mod sync;
mod table;
mod trace;

pub use table::{TARGETS, Target, run};
