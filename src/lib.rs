//! chumwire
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod crypto;
pub mod fault;
pub mod handshake;
pub mod hex;
pub mod io;
mod json;
pub mod limits;
pub mod note;
pub mod relay;
pub mod step;
pub mod time;
