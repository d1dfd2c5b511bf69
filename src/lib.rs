//! The connection protocols of the ONE platform as machines without I/O: the relay, the encryption handshake, the
//! encrypted channel, the establishment of who is who, and pairing by invitation.
//!
//! No machine here opens a socket, reads a clock, draws from a global generator, spawns, blocks, prints or locks. Bytes
//! and the time go in, bytes and deadlines come out; a run is a function of its inputs. What moves the bytes is a
//! *driver*: `chumwire-async-std` is one for sockets, `chumwire-sim` one for a simulated world, and
//! `examples/blocking` one on std threads.
//!
//! ```text
//!                     Node                         Relay
//!        ┌─────────────┼──────────────┐              │
//!   registration    session        routes,      registrations,
//!   (layer 1)     ┌────┴─────┐   invitations    handover, copies
//!              handshake   channel   contacts     (layer 1)
//!              (layer 2)  (layers 3-5)
//!                            │
//!                     establishment (layer 6)
//!                            │
//!                  pairing (7a) or messages of the group
//! ```
//!
//! [`node::Node`] is one instance with all its connections, [`relay::Relay`] a whole relay. Both are
//! [`io::Machine`]s: feed them what happened, poll for what is to be done, wake them at their deadline. The layers below
//! are public, too: a [`session::Session`] is one connection from the first message of the handshake on, a
//! [`channel::Channel`] is the encrypted channel alone.
//!
//! # Two peers, no network
//!
//! ```
//! use chumwire::crypto::{Nacl, Random};
//! use chumwire::identity::Identity;
//! use chumwire::io::{Effect, Machine};
//! use chumwire::node::{Node, NodeConfig};
//! use chumwire::time::{Micros, Now};
//!
//! let now = Now::default();
//! let mut random = Random::new([7; 32]); // a program draws its seeds from the operating system
//! let identity = Identity::generate::<Nacl>(&mut random, "alice@example.com", "laptop")?;
//! let mut node = Node::<Nacl>::new(NodeConfig::new(identity), [8; 32], now)?;
//!
//! node.listen(now, Some("wss://relay.example.com"))?; // keep spare connections at a relay
//! let invitation = node.invite(now, Micros::secs(60), "wss://relay.example.com")?;
//! assert!(invitation.link().contains("invited=true")); // a secret: show it to one person
//!
//! let mut bytes = Vec::new(); // reused: no allocation for each message
//! while let Some(effect) = node.poll(&mut bytes) {
//!     match effect {
//!         Effect::Dial { conn, url } => println!("open {url} as connection {conn}"),
//!         Effect::Store { id, .. } => node.stored(now, id, Ok(())), // after it is on disk
//!         _ => {}
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/two_peers.rs` goes on until two of them have paired.
//!
//! # Errors
//! What a caller does wrong is a `Result` and changes nothing ([`node::Misuse`], [`io::Full`]). What a peer does wrong
//! is an event: a [`fault::Fault`] with the [`step::Step`] it happened in. It ends that connection and no other.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod book;
mod canon;
pub mod channel;
pub mod channels;
pub mod chum;
pub mod contact;
pub mod crypto;
pub mod establish;
pub mod fault;
pub mod handshake;
pub mod hex;
pub mod identity;
pub mod io;
mod json;
#[cfg(test)]
mod leaks;
pub mod limits;
pub mod node;
pub mod note;
pub mod objects;
mod outbox;
pub mod pairing;
pub mod relay;
pub mod role;
pub mod rpc;
pub mod session;
pub mod step;
pub mod time;

/// The README's program is compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
