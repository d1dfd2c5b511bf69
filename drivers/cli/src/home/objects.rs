//! The object store of a home: objects, files, heads, grants. It answers what CHUM asks.
//!
//! Objects and small files are in the database; a file that is longer than [`INLINE`] is a file of its own under
//! `files/`, which gets its name when it is whole and on the disk, before the database names it. What is written
//! becomes safe in its order: a crash loses the last writes at most, never one before another that stays.

mod writing;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chumwire::chum::{Answer, Ask, AskId, FileNo, Grant, Peer, Piece, Presence, Write};
use chumwire::hex;
use chumwire::io::ConnId;
use chumwire::objects::{
    FileHash, IdHash, Object, ObjectHash, PersonId, ReadLimits, Recipes, RefKind, Reference,
    type_of,
};
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use sha2::{Digest, Sha256};

use super::store::StoreError;
use crate::log;

type Hash = [u8; 32];
/// A person, a kind of reference, a hash.
type GrantKey = [u8; 65];
/// The person here, the person there, the key of the instance there.
type PeerKey = [u8; 96];

const OBJECTS: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("objects");
const FILES: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("files");
const MERGED: TableDefinition<'_, &Hash, ()> = TableDefinition::new("merged");
const HEADS: TableDefinition<'_, &Hash, &Hash> = TableDefinition::new("heads");
/// The value is the id hash, or nothing, and the name of the type.
const GRANTS: TableDefinition<'_, &GrantKey, &[u8]> = TableDefinition::new("grants");

/// What was listed for a person.
const JOURNALS: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("journals");
/// What was settled with a peer, by [`peer_key`].
const CURSORS: TableDefinition<'_, &PeerKey, &str> = TableDefinition::new("cursors");
/// How often all that was settled was given up.
const GENERATION: TableDefinition<'_, (), u64> = TableDefinition::new("generation");

/// Files up to this many bytes are in the database.
const INLINE: usize = 16 * 1024;
/// The first byte of a file's entry: its bytes follow, or its length as eight bytes, and it is a file of its own.
const IS_INLINE: u8 = 0;
const IS_OUTSIDE: u8 = 1;
/// After so many writes, or so long, the disk is waited for: what a crash can cost.
const UNSYNCED: usize = 1_024;
const UNSYNCED_FOR: Duration = Duration::from_millis(200);
/// How much of a file is in memory at a time when it is put in or taken out.
const PART: usize = 256 * 1024;

/// The object store. Shared by the driver's loop and the commands.
#[derive(Clone)]
pub(crate) struct Objects(Arc<Shared>);

struct Shared {
    database: Arc<Database>,
    dir: PathBuf,
    recipes: Recipes,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    incoming: BTreeMap<(ConnId, FileNo), Incoming>,
    unsynced: usize,
    /// When the disk was waited for last.
    synced: Option<Instant>,
    /// Numbers the files that are not whole.
    next: u64,
    /// The file that was read last.
    reading: Option<(Hash, File)>,
}

/// A file that is not whole yet.
#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    outside: Option<(File, PathBuf)>,
    length: u64,
}

/// Something that is stored.
pub(crate) enum Found {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// A file that has them.
    File(PathBuf),
}

impl Objects {
    /// Opens the store that is in this database, and removes what a crash left of files.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn open(
        database: Arc<Database>,
        home: &Path,
        recipes: Recipes,
    ) -> Result<Self, StoreError> {
        let dir = home.join("files");
        let write = database.begin_write()?;
        write.open_table(OBJECTS)?;
        write.open_table(FILES)?;
        write.open_table(MERGED)?;
        write.open_table(HEADS)?;
        write.open_table(GRANTS)?;
        write.open_table(JOURNALS)?;
        write.open_table(CURSORS)?;
        write.open_table(GENERATION)?;
        write.commit()?;
        let unfinished = dir.join("unfinished");
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&unfinished)?;
        Ok(Self(Arc::new(Shared {
            database,
            dir,
            recipes,
            inner: Mutex::default(),
        })))
    }

    /// The recipes.
    pub(crate) fn recipes(&self) -> &Recipes {
        &self.0.recipes
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers what a CHUM asks.
    pub(crate) fn answer(&self, conn: ConnId, id: AskId, ask: Ask) -> Answer {
        match self.try_answer(conn, id, ask) {
            Ok(answer) => answer,
            Err(error) => {
                log::warn(format_args!("the object store failed: {error}"));
                Answer::Failed
            }
        }
    }

    fn try_answer(&self, conn: ConnId, id: AskId, ask: Ask) -> Result<Answer, StoreError> {
        Ok(match ask {
            Ask::Granted(person) => Answer::Granted(self.granted(person)?),
            Ask::Presence(what) => Answer::Presence(self.presence(&what)?),
            Ask::Texts(what) => {
                let table = self.read()?.open_table(OBJECTS)?;
                let text = |what: &Reference| Ok(table.get(what.bytes())?.map(|v| text(v.value())));
                let texts: Result<_, StoreError> = what.iter().map(text).collect();
                Answer::Texts(texts?)
            }
            Ask::Head(id) => Answer::Head(self.head(id)?),
            Ask::Newest(ids) => Answer::Newest(self.newest(&ids)?),
            Ask::Journal(person) => {
                let journals = self.read()?.open_table(JOURNALS)?;
                let journal = journals.get(&person.0)?;
                Answer::Journal(journal.map(|bytes| bytes.value().to_vec()))
            }
            Ask::Cursor(peer) => {
                let read = self.read()?;
                let (cursors, generation) =
                    (read.open_table(CURSORS)?, read.open_table(GENERATION)?);
                let kept = cursors.get(&peer_key(peer))?;
                Answer::Cursor {
                    generation: generation.get(())?.map_or(0, |value| value.value()),
                    kept: kept.map(|text| text.value().to_string()),
                }
            }
            Ask::Bytes {
                hash,
                offset,
                length,
            } => Answer::Bytes(self.piece(&hash.0, offset, length)?),
            Ask::Write(write) => match self.write(&write)? {
                true => Answer::Done,
                false => Answer::Conflict,
            },
            Ask::Open => {
                self.inner()
                    .incoming
                    .insert((conn, id), Incoming::default());
                Answer::Done
            }
            Ask::Append { file, bytes } => {
                let mut inner = self.inner();
                let Some(mut incoming) = inner.incoming.remove(&(conn, file)) else {
                    return Ok(Answer::Failed);
                };
                self.append(&mut inner, &mut incoming, &bytes)?;
                inner.incoming.insert((conn, file), incoming);
                Answer::Done
            }
            Ask::Close { file, reference } => {
                let incoming = self.inner().incoming.remove(&(conn, file));
                match incoming {
                    Some(incoming) => {
                        self.keep(incoming, reference.bytes())?;
                        Answer::Done
                    }
                    None => Answer::Failed,
                }
            }
            Ask::Discard(file) => {
                let incoming = self.inner().incoming.remove(&(conn, file));
                discard(incoming);
                Answer::Done
            }
            // A question that this program does not know cannot be answered by it.
            _ => Answer::Failed,
        })
    }

    /// A connection has ended: its unfinished files go.
    pub(crate) fn forget(&self, conn: ConnId) {
        let mut inner = self.inner();
        let (gone, left) = std::mem::take(&mut inner.incoming)
            .into_iter()
            .partition(|((of, _), _)| *of == conn);
        inner.incoming = left;
        drop(inner);
        let gone: BTreeMap<(ConnId, FileNo), Incoming> = gone;
        for incoming in gone.into_values() {
            discard(Some(incoming));
        }
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.inner().unsynced) > 0 {
            self.0.database.begin_write()?.commit()?;
        }
        Ok(())
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.0.database.begin_read()?)
    }

    /// Commits: in order, and on the disk after a while.
    fn commit(&self, mut write: WriteTransaction) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.unsynced += 1;
        let is_due = |at: Instant| at.elapsed() >= UNSYNCED_FOR;
        if inner.unsynced < UNSYNCED && !inner.synced.is_none_or(is_due) {
            write.set_durability(Durability::None)?;
        } else {
            inner.unsynced = 0;
            inner.synced = Some(Instant::now());
        }
        drop(inner);
        Ok(write.commit()?)
    }

    // --- objects -------------------------------------------------------------------------------------------------

    /// The newest version node of a thing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn head(&self, id: IdHash) -> Result<Option<ObjectHash>, StoreError> {
        let heads = self.read()?.open_table(HEADS)?;
        Ok(heads.get(&id.0)?.map(|head| ObjectHash(*head.value())))
    }

    fn presence(&self, what: &[Reference]) -> Result<Vec<Presence>, StoreError> {
        let read = self.read()?;
        let (objects, files, merged) = (
            read.open_table(OBJECTS)?,
            read.open_table(FILES)?,
            read.open_table(MERGED)?,
        );
        // An object and an id object are told apart by their first tag.
        let object = |hash: &Hash, is_id: bool| -> Result<bool, StoreError> {
            Ok(objects.get(hash)?.is_some_and(|value| {
                let text = std::str::from_utf8(value.value()).ok();
                text.and_then(type_of).is_some_and(|(_, id)| id == is_id)
            }))
        };
        what.iter()
            .map(|what| {
                let there = match what {
                    Reference::Object(hash) => object(&hash.0, false)?,
                    Reference::Id(hash) => object(&hash.0, true)?,
                    Reference::Blob(hash) | Reference::Clob(hash) => files.get(&hash.0)?.is_some(),
                };
                Ok(match what {
                    _ if !there => Presence::Absent,
                    Reference::Object(hash) if merged.get(&hash.0)?.is_some() => Presence::Merged,
                    _ => Presence::Stored,
                })
            })
            .collect()
    }

    /// Stores an object that was made here. What it refers to is stored already.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn put(&self, object: &Object) -> Result<ObjectHash, StoreError> {
        let damaged = |error: chumwire::objects::WriteFault| StoreError::Damaged(error.to_string());
        let text = self.0.recipes.write(object).map_err(damaged)?;
        let hash = ObjectHash::of(&text);
        let write = Write {
            texts: [(Reference::Object(hash), text)].into(),
            ..Write::default()
        };
        self.write(&write)?;
        Ok(hash)
    }

    /// The object, as far as there is one under this hash.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn object(&self, hash: &Hash) -> Result<Option<Object>, StoreError> {
        let objects = self.read()?.open_table(OBJECTS)?;
        let object = objects.get(hash)?.and_then(|value| {
            let text = std::str::from_utf8(value.value()).ok()?;
            self.0.recipes.read(text, &ReadLimits::default()).ok()
        });
        Ok(object)
    }

    /// Calls `each` with every object that is stored and known.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn each(
        &self,
        type_name: &str,
        mut each: impl FnMut(ObjectHash, Object),
    ) -> Result<(), StoreError> {
        let objects = self.read()?.open_table(OBJECTS)?;
        for entry in objects.iter()? {
            let (hash, value) = entry?;
            let Ok(text) = std::str::from_utf8(value.value()) else {
                continue;
            };
            if type_of(text).is_some_and(|(name, id)| name == type_name && !id)
                && let Ok(object) = self.0.recipes.read(text, &ReadLimits::default())
            {
                each(ObjectHash(*hash.value()), object);
            }
        }
        Ok(())
    }

    // --- grants --------------------------------------------------------------------------------------------------

    fn granted(&self, person: PersonId) -> Result<Vec<Grant>, StoreError> {
        let read = self.read()?;
        let (grants, heads) = (read.open_table(GRANTS)?, read.open_table(HEADS)?);
        let (from, to) = (
            grant_key(person, 0, &[0; 32]),
            grant_key(person, u8::MAX, &[u8::MAX; 32]),
        );
        let mut list = Vec::new();
        for entry in grants.range::<&GrantKey>(&from..=&to)? {
            let (key, value) = entry?;
            let (hash, value) = (hash_of(key.value()), value.value());
            let Some((id, name)) = value.split_first_chunk::<32>() else {
                return Err(StoreError::Damaged("a grant cannot be read".into()));
            };
            let type_name = text(name);
            if key.value()[32] == kind_number(RefKind::Id) {
                list.push(Grant::Id {
                    id: IdHash(hash),
                    type_name,
                    head: heads.get(&hash)?.map(|head| ObjectHash(*head.value())),
                });
            } else {
                list.push(Grant::Object {
                    hash: ObjectHash(hash),
                    type_name,
                    id: (*id != [0; 32]).then_some(IdHash(*id)),
                });
            }
        }
        Ok(list)
    }

    /// Grants an object, or a thing with all its versions, to persons. False if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn share(&self, hash: &Hash, with: &[PersonId]) -> Result<bool, StoreError> {
        let Some(object) = self.object(hash)? else {
            return Ok(false);
        };
        let kind = match object.id_only {
            true => RefKind::Id,
            false => RefKind::Object,
        };
        let id = match kind {
            RefKind::Object if self.0.recipes.is_versioned(&object.type_name) => {
                self.0.recipes.id_hash(&object).ok()
            }
            _ => None,
        };
        let mut value = id.map_or([0; 32], |id| id.0).to_vec();
        value.extend_from_slice(object.type_name.as_bytes());
        let write = self.0.database.begin_write()?;
        {
            let mut grants = write.open_table(GRANTS)?;
            for person in with {
                let key = grant_key(*person, kind_number(kind), hash);
                grants.insert(&key, value.as_slice())?;
            }
        }
        self.commit(write)?;
        Ok(true)
    }

    /// Takes grants back. False if there was none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn unshare(&self, hash: &Hash, person: PersonId) -> Result<bool, StoreError> {
        let write = self.0.database.begin_write()?;
        let mut found = false;
        {
            let mut grants = write.open_table(GRANTS)?;
            for kind in [RefKind::Object, RefKind::Id] {
                let key = grant_key(person, kind_number(kind), hash);
                found |= grants.remove(&key)?.is_some();
            }
        }
        self.commit(write)?;
        Ok(found)
    }

    /// All grants, by hash.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn grants(&self) -> Result<BTreeMap<Hash, Vec<PersonId>>, StoreError> {
        let grants = self.read()?.open_table(GRANTS)?;
        let mut all = BTreeMap::<Hash, Vec<PersonId>>::new();
        for entry in grants.iter()? {
            let (key, _) = entry?;
            let key = key.value();
            let person = key.first_chunk::<32>().copied().unwrap_or_default();
            all.entry(hash_of(key)).or_default().push(PersonId(person));
        }
        Ok(all)
    }

    // --- files ---------------------------------------------------------------------------------------------------

    fn path(&self, hash: &Hash) -> PathBuf {
        self.0.dir.join(hex::encode(hash))
    }

    fn append(
        &self,
        inner: &mut Inner,
        incoming: &mut Incoming,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        incoming.length += bytes.len() as u64;
        if incoming.outside.is_none() && incoming.bytes.len() + bytes.len() > INLINE {
            let path = self.0.dir.join("unfinished").join(inner.next.to_string());
            inner.next += 1;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(&std::mem::take(&mut incoming.bytes))?;
            incoming.outside = Some((file, path));
        }
        match &mut incoming.outside {
            Some((file, _)) => file.write_all(bytes)?,
            None => incoming.bytes.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// A file is whole, and has this hash.
    fn keep(&self, incoming: Incoming, hash: &Hash) -> Result<(), StoreError> {
        let mut value = Vec::new();
        match incoming.outside {
            Some((file, path)) => {
                file.sync_all()?;
                fs::rename(path, self.path(hash))?;
                File::open(&self.0.dir)?.sync_all()?;
                value.push(IS_OUTSIDE);
                value.extend_from_slice(&incoming.length.to_le_bytes());
            }
            None => {
                value.push(IS_INLINE);
                value.extend_from_slice(&incoming.bytes);
            }
        }
        let write = self.0.database.begin_write()?;
        write.open_table(FILES)?.insert(hash, value.as_slice())?;
        self.commit(write)
    }

    fn piece(&self, hash: &Hash, offset: u64, length: usize) -> Result<Option<Piece>, StoreError> {
        let read = self.read()?;
        let files = read.open_table(FILES)?;
        let whole = match files.get(hash)? {
            Some(value) => match value.value().split_first() {
                Some((&IS_INLINE, bytes)) => bytes.to_vec(),
                Some((&IS_OUTSIDE, _)) => return self.outside(hash, offset, length).map(Some),
                _ => return Err(StoreError::Damaged("a file cannot be read".into())),
            },
            None => match read.open_table(OBJECTS)?.get(hash)? {
                Some(value) => value.value().to_vec(),
                None => return Ok(None),
            },
        };
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(whole.len());
        let to = from.saturating_add(length).min(whole.len());
        Ok(Some(Piece {
            bytes: whole[from..to].to_vec(),
            last: to == whole.len(),
        }))
    }

    fn outside(&self, hash: &Hash, offset: u64, length: usize) -> Result<Piece, StoreError> {
        let mut inner = self.inner();
        let mut file = match inner.reading.take() {
            Some((of, file)) if of == *hash => file,
            _ => File::open(self.path(hash))?,
        };
        let whole = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(length);
        Read::by_ref(&mut file)
            .take(length as u64)
            .read_to_end(&mut bytes)?;
        let last = offset + bytes.len() as u64 >= whole;
        if !last {
            inner.reading = Some((*hash, file));
        }
        Ok(Piece { bytes, last })
    }

    /// Stores the bytes of a reader; gives their hash and number.
    ///
    /// # Errors
    /// The reader's; [`StoreError`]
    pub(crate) fn put_file(
        &self,
        mut from: impl Read,
        mut each: impl FnMut(u64),
    ) -> Result<(FileHash, u64), StoreError> {
        let (mut incoming, mut hash) = (Incoming::default(), Sha256::new());
        let mut part = vec![0; PART];
        loop {
            let count = match from.read(&mut part) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    discard(Some(incoming));
                    return Err(error.into());
                }
            };
            hash.update(&part[..count]);
            let mut inner = self.inner();
            self.append(&mut inner, &mut incoming, &part[..count])?;
            drop(inner);
            each(count as u64);
        }
        let (hash, length) = (hash.finalize().into(), incoming.length);
        match self.presence(&[Reference::Blob(FileHash(hash))])?.first() {
            Some(Presence::Absent) => self.keep(incoming, &hash)?,
            _ => discard(Some(incoming)),
        }
        Ok((FileHash(hash), length))
    }

    /// What is stored under a hash: a file, or the text of an object.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) fn find(&self, hash: &Hash) -> Result<Option<Found>, StoreError> {
        let read = self.read()?;
        if let Some(value) = read.open_table(FILES)?.get(hash)? {
            return match value.value().split_first() {
                Some((&IS_INLINE, bytes)) => Ok(Some(Found::Bytes(bytes.to_vec()))),
                Some((&IS_OUTSIDE, _)) => Ok(Some(Found::File(self.path(hash)))),
                _ => Err(StoreError::Damaged("a file cannot be read".into())),
            };
        }
        let objects = read.open_table(OBJECTS)?;
        let text = objects.get(hash)?.map(|value| value.value().to_vec());
        Ok(text.map(Found::Bytes))
    }
}

fn discard(incoming: Option<Incoming>) {
    if let Some((file, path)) = incoming.and_then(|incoming| incoming.outside) {
        drop(file);
        // If it stays, the next start removes it.
        let _ = fs::remove_file(path);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const fn kind_number(kind: RefKind) -> u8 {
    match kind {
        RefKind::Object => 0,
        RefKind::Id => 1,
        RefKind::Clob => 2,
        RefKind::Blob => 3,
    }
}

fn grant_key(person: PersonId, kind: u8, hash: &Hash) -> GrantKey {
    let mut key = [0; 65];
    key[..32].copy_from_slice(&person.0);
    key[32] = kind;
    key[33..].copy_from_slice(hash);
    key
}

fn peer_key(peer: Peer) -> PeerKey {
    let mut key = [0; 96];
    key[..32].copy_from_slice(&peer.own.0);
    key[32..64].copy_from_slice(&peer.person.0);
    key[64..].copy_from_slice(&peer.instance);
    key
}

fn hash_of(key: &GrantKey) -> Hash {
    key.last_chunk::<32>().copied().unwrap_or_default()
}
