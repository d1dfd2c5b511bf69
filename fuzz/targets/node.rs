//! See `chumwire_fuzz::node`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: Vec<chumwire_fuzz::NodeAction>| chumwire_fuzz::node(input));
