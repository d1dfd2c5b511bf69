//! See `chumwire_fuzz::fragments`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: chumwire_fuzz::Pieces| chumwire_fuzz::fragments(input));
