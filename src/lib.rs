//! chumwire
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod canon;
pub mod channel;
pub mod contact;
pub mod crypto;
pub mod establish;
pub mod fault;
pub mod handshake;
pub mod hex;
pub mod identity;
pub mod io;
mod json;
pub mod limits;
pub mod node;
pub mod note;
pub mod objects;
mod outbox;
pub mod pairing;
pub mod relay;
pub mod role;
pub mod session;
pub mod step;
pub mod time;
