//! Requests and answers: the layer on which CHUM runs. Follows spec 10.
//!
//! Both sides are client and server at once. [`Rpc`] is the machine of one connection, from the exchange of
//! `synchronisation` on: it numbers the own requests and gives each exactly one end, hands the peer's requests out
//! and writes their answers, and puts streamed files together in either direction. It knows no service.
//!
//! ```
//! use chumwire::io::Message;
//! use chumwire::rpc::{Data, Rpc, RpcConfig, RpcEvent, RpcOutput, Want};
//! use chumwire::time::Now;
//!
//! let now = Now::default();
//! let (mut asker, mut server) = (Rpc::new(RpcConfig::default()), Rpc::new(RpcConfig::default()));
//! let mut bytes = Vec::new();
//!
//! let asked = asker.request(now, 1, &[], Want::Value)?;
//! assert!(asker.poll(&mut bytes).is_some());
//! assert_eq!(bytes, br#"{"requestId":0,"type":"request","serviceId":1,"args":[]}"#);
//!
//! server.message(now, Message::Text(std::str::from_utf8(&bytes)?));
//! while let Some(output) = server.poll(&mut bytes) {
//!     match output {
//!         RpcOutput::Send(_kind) => asker.message(now, Message::Text(std::str::from_utf8(&bytes)?)),
//!         RpcOutput::Event(RpcEvent::Request { id, service: 1, .. }) => server.answer(id, &Data::Number(8)),
//!         RpcOutput::Event(RpcEvent::Request { id, service, .. }) => server.unknown_service(id, service),
//!         RpcOutput::Event(_) => {}
//!     }
//! }
//! let answer = RpcEvent::Answered { id: asked, data: Data::Number(8) };
//! assert_eq!(asker.poll(&mut bytes), Some(RpcOutput::Event(answer)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Faults of the peer
//! None ends the connection. A wrong answer fails the request that it names, all else is dropped and counted in
//! [`RpcStats`]. Every limit is in [`RpcConfig`].

mod base64;
mod client;
mod config;
mod data;
mod event;
mod failed;
mod machine;
mod queue;
mod scan;
mod server;
mod wire;

pub use client::Want;
pub use config::RpcConfig;
pub use data::{Data, MAX_INTEGER, RequestId, UNDEFINED};
pub use event::{RpcEvent, RpcOutput, RpcStats};
pub use failed::{Failed, Refusal, RemoteError, UNKNOWN_SERVICE};
pub use machine::Rpc;
