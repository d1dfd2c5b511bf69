//! The address book: who the contacts are, and by which rules they are found, merged, split and removed; and the
//! conversation with each of them. Follows spec 13, "Conversations".
//!
//! ```text
//! Someone (a contact) ─persons─> person ─profiles─> Profile
//!    └ its conversation: one shared channel for each of its persons
//! ```
//! [`AddressBook`] is the state with its rules: each change is a [`Plan`], which becomes true when it is stored. What is
//! stored with it as objects (profiles, keys, endpoints, certificates) is added by the machine that keeps the book in a
//! [`Synchroniser`](crate::chum::Synchroniser): both together are one [`Change`]. The id of a contact is local and
//! random; nothing is shared under it.

mod keeper;
mod objects;
mod reading;
mod someone;
mod state;
mod trust;

pub use keeper::{BookEvent, Change, Ticket};
pub(crate) use keeper::{BookOutput, Bookkeeper};
pub use someone::{Member, Someone, profile_id};
pub use state::{AddressBook, BookFault, Conversation, Plan, SharedChannel};
pub use trust::is_trusted;
