//! A party's storage: what survives a crash.

use std::collections::{BTreeMap, BTreeSet};

use chumwire::contact::Contact;
use chumwire::node::Record;
use chumwire::objects::PersonId;
use chumwire::pairing::{InvitationId, InvitationRecord};

/// What goes wrong at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreFault {
    /// It is refused: nothing is written, and the machine is told so.
    Refuse,
    /// The party crashes before anything is written.
    CrashBefore,
    /// The party crashes when it is written, and before the machine is told so.
    CrashAfter,
}

/// Contacts and open invitations, as an embedder would keep them. Each record is one transaction.
#[derive(Clone, Debug, Default)]
pub struct Store {
    contacts: BTreeMap<PersonId, Contact>,
    invitations: BTreeMap<InvitationId, InvitationRecord>,
    /// Every invitation whose use was written.
    spent: BTreeSet<InvitationId>,
    writes: u64,
    faults: BTreeMap<u64, StoreFault>,
}

impl Store {
    /// Lets the `n`-th write (from 0) go wrong.
    pub fn fail_at(&mut self, n: u64, fault: StoreFault) {
        self.faults.insert(n, fault);
    }

    /// Writes that were tried.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The contacts that are stored.
    #[must_use]
    pub const fn contacts(&self) -> &BTreeMap<PersonId, Contact> {
        &self.contacts
    }

    /// The open invitations that are stored.
    #[must_use]
    pub const fn invitations(&self) -> &BTreeMap<InvitationId, InvitationRecord> {
        &self.invitations
    }

    /// The invitations that were used up.
    #[must_use]
    pub const fn spent(&self) -> &BTreeSet<InvitationId> {
        &self.spent
    }

    /// What is to go wrong at this write; counts it.
    pub(crate) fn next_fault(&mut self) -> Option<StoreFault> {
        let fault = self.faults.remove(&self.writes);
        self.writes += 1;
        fault
    }

    /// Writes a record. Records that this crate does not know are kept nowhere.
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Contact(contact) => {
                self.contacts.insert(contact.person_id, contact);
            }
            Record::Paired { contact, spent } => {
                self.contacts.insert(contact.person_id, contact);
                if let Some(id) = spent {
                    self.invitations.remove(&id);
                    self.spent.insert(id);
                }
            }
            Record::Forgotten { person, .. } => {
                self.contacts.remove(&person);
            }
            Record::Invited(record) => {
                self.invitations.insert(record.id, record);
            }
            Record::Withdrawn(id) => {
                self.invitations.remove(&id);
            }
            _ => {}
        }
    }
}
