//! See `chumwire_fuzz::padding`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chumwire_fuzz::padding(input));
