//! CHUM: two instances copy to each other what each has granted to the other, and go on doing so (spec 11).
//!
//! ```text
//!            Chum                 one connection
//!    ┌────────┼─────────┐
//! Importer   Rpc    Exporter      asks and stores · requests and answers · serves
//!    └──── Ask/Answer ──┘         the store, as data
//! ```
//! A [`Chum`] needs an established connection of group `chum`, and a store that answers its [`Ask`]s. What it takes
//! from whom is decided by a [`Policy`].

mod config;
mod debug;
mod endpoint;
mod entry;
mod event;
mod exporter;
mod importer;
mod journal;
mod log;
mod machine;
mod memory;
mod merge;
mod named;
mod peer;
mod policy;
mod services;
mod since;
mod store;
mod synchroniser;
mod trouble;
mod version;
mod walk;
mod work;

pub use config::ChumConfig;
pub use endpoint::Endpoint;
pub use entry::{ListFault, Root, Shape, read_children, read_roots, write_children, write_roots};
pub use event::{ChumEvent, Round};
pub use log::{ChumLog, Transferred};
pub use machine::{Chum, ChumOutput};
pub use memory::MemoryStore;
pub use merge::{Side, merge};
pub use named::name_of;
pub use peer::Peer;
pub use policy::{DefaultPolicy, Offer, Policy, Role, Rule, Verdict};
pub use services::{Refusal, SYNCHRONISATION, Service, VERSION};
pub use since::{Cursor, ROOTS_SINCE, RootsSince, list_digest, read_since};
pub use store::{Answer, Ask, AskId, FileNo, Grant, NewHead, Newest, Piece, Presence, Write};
pub use synchroniser::{Deed, Reply, SyncEvent, Synchroniser};
pub use trouble::{ChumFault, Trouble};
pub use version::{Before, VersionNode};
