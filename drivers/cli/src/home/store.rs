//! What is kept: the identity, the contacts and the address book, the open invitations. One record, or one change of
//! the address book, is one transaction, and it is on the disk when it is reported.

use std::cell::Cell;
use std::io::ErrorKind;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Once};

use chumwire::book::{Plan, Someone};
use chumwire::contact::Contact;
use chumwire::crypto::{Nacl, Secret};
use chumwire::identity::{IDENTITY_SECRETS, Identity};
use chumwire::node::Record;
use chumwire::objects::PersonId;
use chumwire::pairing::InvitationRecord;
use chumwire::time::Millis;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use serde::de::DeserializeOwned;

use crate::failure::Failure;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const IDENTITY: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("identity");
const CONTACTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("contacts");
const INVITATIONS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("invitations");
/// The address book: each `Someone` under its id.
const SOMEONES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("someones");
/// When each person was synchronised with last.
const SYNCED: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("synced");

const SCHEMA: &str = "schema";
/// The form of the tables. A later version of this program may have to convert them.
const VERSION: u64 = 1;
/// What is cached of the database, in bytes.
const CACHE: usize = 8 * 1024 * 1024;

/// Everything that a store keeps.
pub(crate) struct Kept {
    pub(crate) identity: Identity,
    pub(crate) contacts: Vec<Contact>,
    pub(crate) someones: Vec<Someone>,
    pub(crate) invitations: Vec<InvitationRecord>,
}

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{0}")]
    Database(Box<redb::Error>),
    #[error("the store is damaged: {0}")]
    Damaged(String),
    #[error(
        "the store was written by a newer version of this program (form {0}, this one knows {VERSION})"
    )]
    Newer(u64),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (kind, next) = match &error {
            StoreError::Database(_) => ("store_failed", "look after the disk of this home"),
            StoreError::Damaged(_) => ("store_damaged", "take the home from a backup"),
            StoreError::Newer(_) => ("store_newer", "update this program"),
        };
        Self::new(kind, format_args!("{error}; {next}"))
    }
}

/// An open store.
pub(crate) struct Store(Arc<Database>);

impl Store {
    /// Opens the store in a file.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = whole(|| Builder::new().set_cache_size(CACHE).open(path))?;
        Self::check(database)
    }

    /// Makes a store for an identity in a new file.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn create(path: &Path, identity: &Identity) -> Result<Self, StoreError> {
        Self::fill(Builder::new().set_cache_size(CACHE).create(path)?, identity)
    }

    fn check(database: Database) -> Result<Self, StoreError> {
        let version = database
            .begin_read()?
            .open_table(META)?
            .get(SCHEMA)?
            .map(|v| v.value());
        match version {
            Some(VERSION) => Ok(Self(Arc::new(database))),
            Some(newer) if newer > VERSION => Err(StoreError::Newer(newer)),
            _ => Err(StoreError::Damaged("it does not tell its form".into())),
        }
    }

    fn fill(database: Database, identity: &Identity) -> Result<Self, StoreError> {
        let write = database.begin_write()?;
        {
            write.open_table(META)?.insert(SCHEMA, VERSION)?;
            let mut table = write.open_table(IDENTITY)?;
            table.insert("email", identity.person().email.as_bytes())?;
            table.insert("name", identity.instance().name.as_bytes())?;
            table.insert("secrets", identity.export_secrets().expose().as_slice())?;
            write.open_table(CONTACTS)?;
            write.open_table(INVITATIONS)?;
        }
        write.commit()?;
        Ok(Self(Arc::new(database)))
    }

    /// The database, for what else is kept in it.
    pub(crate) fn database(&self) -> Arc<Database> {
        self.0.clone()
    }

    /// Reads everything. Invitations that have expired by now are removed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn load(&self, now: Millis) -> Result<Kept, StoreError> {
        let read = self.0.begin_read()?;
        let identity = {
            let table = read.open_table(IDENTITY)?;
            let missing = |what: &str| StoreError::Damaged(format!("the {what} is missing"));
            let text = |what: &str| -> Result<String, StoreError> {
                let value = table.get(what)?.ok_or_else(|| missing(what))?;
                String::from_utf8(value.value().to_vec()).map_err(|_| missing(what))
            };
            let kept = table.get("secrets")?.ok_or_else(|| missing("secrets"))?;
            let mut secrets: [u8; IDENTITY_SECRETS] =
                kept.value().try_into().map_err(|_| missing("secrets"))?;
            let secrets = Secret::take(&mut secrets);
            Identity::import::<Nacl>(&text("email")?, &text("name")?, &secrets)
        };
        let contacts = all(&read, CONTACTS, "contact")?;
        let someones = all(&read, SOMEONES, "someone")?;
        let (invitations, expired): (Vec<InvitationRecord>, Vec<_>) =
            all(&read, INVITATIONS, "invitation")?
                .into_iter()
                .partition(|record: &InvitationRecord| record.expires > now);
        drop(read);
        if !expired.is_empty() {
            let write = self.0.begin_write()?;
            {
                let mut table = write.open_table(INVITATIONS)?;
                for record in &expired {
                    table.remove(&record.id.0)?;
                }
            }
            write.commit()?;
        }
        Ok(Kept {
            identity,
            contacts,
            someones,
            invitations,
        })
    }

    /// A person was synchronised with, now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn synced(&self, person: PersonId, now: Millis) -> Result<(), StoreError> {
        let write = self.0.begin_write()?;
        write.open_table(SYNCED)?.insert(&person.0, now.0)?;
        Ok(write.commit()?)
    }

    /// When this person was synchronised with last.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn last_synced(&self, person: PersonId) -> Result<Option<Millis>, StoreError> {
        match self.0.begin_read()?.open_table(SYNCED) {
            Ok(table) => Ok(table.get(&person.0)?.map(|at| Millis(at.value()))),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps a record: it is on the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the record is kept then.
    pub(crate) fn commit(&self, record: &Record) -> Result<(), StoreError> {
        let write = self.0.begin_write()?;
        put_record(&write, record)?;
        Ok(write.commit()?)
    }
}

/// Opens a database, and looks whether all that is in it is as it was written, which takes about 1 ms for each MB. Its
/// library looks at less: from what is damaged it would read something else, or panic, now or at any time later.
fn whole(open: impl FnOnce() -> Result<Database, DatabaseError>) -> Result<Database, StoreError> {
    let look = || -> Result<Database, redb::Error> {
        let mut database = open()?;
        database.check_integrity()?;
        Ok(database)
    };
    let damaged = |what: &dyn std::fmt::Display| StoreError::Damaged(what.to_string());
    match quietly(look) {
        Some(Ok(database)) => Ok(database),
        Some(Err(error @ redb::Error::Corrupted(_))) => Err(damaged(&error)),
        Some(Err(redb::Error::Io(error)))
            if matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            ) =>
        {
            Err(damaged(&error))
        }
        Some(Err(error)) => Err(error.into()),
        None => Err(damaged(&"it contradicts itself")),
    }
}

/// Does it; a panic in it is `None`, and not printed.
fn quietly<T>(job: impl FnOnce() -> T) -> Option<T> {
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(job));
    QUIET.set(false);
    done.ok()
}

/// Puts a record into a transaction.
pub(super) fn put_record(write: &WriteTransaction, record: &Record) -> Result<(), StoreError> {
    let mut contacts = write.open_table(CONTACTS)?;
    let mut invitations = write.open_table(INVITATIONS)?;
    match record {
        Record::Paired { contact, spent } => {
            contacts.insert(&contact.person_id.0, json(contact)?.as_slice())?;
            if let Some(invitation) = spent {
                invitations.remove(&invitation.0)?;
            }
        }
        Record::Contact(contact) => {
            contacts.insert(&contact.person_id.0, json(contact)?.as_slice())?;
        }
        Record::Forgotten { person, .. } => drop(contacts.remove(&person.0)?),
        Record::Invited(record) => {
            invitations.insert(&record.id.0, json(record)?.as_slice())?;
        }
        Record::Withdrawn(invitation) => drop(invitations.remove(&invitation.0)?),
        // A record that this program does not know cannot be kept, and must not be said to be.
        other => return Err(StoreError::Damaged(format!("unknown record {other:?}"))),
    }
    Ok(())
}

/// Puts what changes of the contacts into a transaction; but for the grants, which are with the objects.
pub(super) fn put_plan(write: &WriteTransaction, plan: &Plan) -> Result<(), StoreError> {
    let mut someones = write.open_table(SOMEONES)?;
    for id in &plan.gone {
        someones.remove(&id.0)?;
    }
    for someone in &plan.put {
        someones.insert(&someone.id().0, json(someone)?.as_slice())?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn all<T: DeserializeOwned>(
    read: &redb::ReadTransaction,
    table: TableDefinition<'static, &'static [u8; 32], &'static [u8]>,
    what: &str,
) -> Result<Vec<T>, StoreError> {
    // A home from before there was such a table has nothing in it.
    let table = match read.open_table(table) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut values = Vec::new();
    for entry in table.iter()? {
        let (_, value) = entry?;
        let value = serde_json::from_slice(value.value())
            .map_err(|error| StoreError::Damaged(format!("a {what} cannot be read: {error}")))?;
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
