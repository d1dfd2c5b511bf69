//! See `chumwire_fuzz::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| chumwire_fuzz::records(input));
