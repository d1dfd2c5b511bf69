//! See `chumwire_fuzz::boxes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chumwire_fuzz::boxes(input));
