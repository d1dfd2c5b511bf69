//! The address book: who the contacts are, and by which rules they are found, merged, split and removed; and the
//! conversation with each of them. Follows spec 13, "Conversations".
//!
//! ```text
//! Someone (a contact) ─persons─> person ─profiles─> Profile
//!    └ its conversation: one shared channel for each of its persons
//! ```
//! It is state with its rules, without storage: each change is a [`Plan`], which is stored as one transaction and then
//! applied. The id of a contact is local and random; nothing is shared under it.

mod someone;
mod state;

pub use someone::{Member, Someone, profile_id};
pub use state::{AddressBook, BookFault, Conversation, Plan, SharedChannel};
