//! See `chumwire_fuzz::order`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: (u8, Vec<chumwire_fuzz::OrderAction>)| chumwire_fuzz::order(input.0, input.1)
);
