//! The target `model` of `chumwire_fuzz_bodies::TARGETS`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chumwire_fuzz_bodies::run("model", bytes));
