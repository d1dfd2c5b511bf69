//! See `chumwire_fuzz::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| chumwire_fuzz::json(input));
