//! See `chumwire_fuzz::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: chumwire_fuzz::Frames| chumwire_fuzz::frames(input));
