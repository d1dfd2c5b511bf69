//! See `chumwire_fuzz::session`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: Vec<chumwire_fuzz::SessionAction>| chumwire_fuzz::session(input)
);
