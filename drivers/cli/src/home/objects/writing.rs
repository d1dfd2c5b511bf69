//! What is written in one transaction: objects and heads, and with them a change of the address book.

use chumwire::book::Change;
use chumwire::chum::{NewHead, Newest, Write};
use chumwire::objects::{IdHash, ObjectHash, PersonId};
use redb::{ReadableTable, WriteTransaction};

use super::{
    CURSORS, GENERATION, GRANTS, GrantKey, HEADS, JOURNALS, MERGED, OBJECTS, Objects, grant_key,
    peer_key, text,
};
use crate::home::store::{StoreError, put_plan, put_record};

impl Objects {
    /// Writes in one transaction. False if a head is another one by now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn write(&self, write: &Write) -> Result<bool, StoreError> {
        let transaction = self.0.database.begin_write()?;
        if !put_write(&transaction, write)? {
            return Ok(false);
        }
        self.commit(transaction)?;
        Ok(true)
    }

    /// Stores a change of the address book, with the node's record: all of it is on the disk when this returns. False
    /// if a head is another one by now.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it is stored then.
    pub(crate) fn change(&self, change: &Change) -> Result<bool, StoreError> {
        let transaction = self.0.database.begin_write()?;
        if !put_write(&transaction, &change.write)? {
            return Ok(false);
        }
        for person in &change.plan.withdrawn {
            withdraw(&transaction, *person)?;
        }
        put_plan(&transaction, &change.plan)?;
        if let Some(record) = &change.record {
            put_record(&transaction, record)?;
        }
        transaction.commit()?;
        Ok(true)
    }

    /// The newest versions of these things, of one snapshot.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn newest(&self, ids: &[IdHash]) -> Result<Vec<Option<Newest>>, StoreError> {
        let read = self.read()?;
        let (heads, objects) = (read.open_table(HEADS)?, read.open_table(OBJECTS)?);
        let read = |hash: ObjectHash| {
            let value = objects.get(&hash.0).ok()??;
            Some(text(value.value()))
        };
        let of = |id: &IdHash| match heads.get(&id.0)?.map(|head| ObjectHash(*head.value())) {
            Some(head) => Newest::of(self.recipes(), head, read)
                .map(Some)
                .ok_or_else(|| StoreError::Damaged(format!("a version of {id} is missing"))),
            None => Ok(None),
        };
        ids.iter().map(of).collect()
    }
}

/// Puts objects, heads and what CHUM remembers into a transaction. False if a head is another one by now; the
/// transaction is to be dropped then.
fn put_write(transaction: &WriteTransaction, write: &Write) -> Result<bool, StoreError> {
    let mut heads = transaction.open_table(HEADS)?;
    for NewHead { id, old, new } in &write.heads {
        let is = heads.get(&id.0)?.map(|head| ObjectHash(*head.value()));
        if is != *old {
            return Ok(false);
        }
        heads.insert(&id.0, &new.0)?;
    }
    let mut objects = transaction.open_table(OBJECTS)?;
    for (reference, text) in &write.texts {
        objects.insert(reference.bytes(), text.as_bytes())?;
    }
    let mut merged = transaction.open_table(MERGED)?;
    for node in &write.merged {
        merged.insert(&node.0, ())?;
    }
    if let Some((person, journal)) = write.journal.as_deref() {
        let mut journals = transaction.open_table(JOURNALS)?;
        journals.insert(&person.0, journal.as_slice())?;
    }
    if let Some((peer, settled)) = write.cursor.as_deref() {
        let mut cursors = transaction.open_table(CURSORS)?;
        cursors.insert(&peer_key(*peer), settled.as_str())?;
    }
    if write.raise {
        let mut table = transaction.open_table(GENERATION)?;
        let last = table.get(())?.map_or(0, |value| value.value());
        table.insert((), last + 1)?;
    }
    Ok(true)
}

/// Takes everything back from a person.
fn withdraw(transaction: &WriteTransaction, person: PersonId) -> Result<(), StoreError> {
    let mut grants = transaction.open_table(GRANTS)?;
    let (from, to) = (
        grant_key(person, 0, &[0; 32]),
        grant_key(person, u8::MAX, &[u8::MAX; 32]),
    );
    grants.retain_in::<&GrantKey, _>(&from..=&to, |_, _| false)?;
    Ok(())
}
