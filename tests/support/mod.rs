//! What the vector, transcript and property tests share. Each test uses a part of it.
#![allow(dead_code, unused_imports)]

pub(crate) mod arrival;
pub(crate) mod bench;
pub(crate) mod channels;
pub(crate) mod draws;
pub(crate) mod generate;
pub(crate) mod net;
pub(crate) mod people;
pub(crate) mod secrets;
pub(crate) mod stub;
pub(crate) mod vectors;
pub(crate) mod world;

/// Runs each generic test once with each suite.
#[allow(unused_macros)]
macro_rules! with_both_suites {
    ($($test:ident),+ $(,)?) => {
        mod with_nacl {
            $(#[test] fn $test() { super::$test::<chumwire::crypto::Nacl>(); })+
        }
        mod with_reference {
            $(#[test] fn $test() { super::$test::<chumwire::crypto::Reference>(); })+
        }
    };
}
pub(crate) use with_both_suites;
