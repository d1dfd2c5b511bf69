//! See `chumwire_fuzz::invitation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| chumwire_fuzz::invitation(input));
