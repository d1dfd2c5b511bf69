//! A home: the directory of one instance. The directory is its owner's alone (0700), and so are its files (0600).
//!
//! ```text
//! chumwire.redb   the store          lock          which process has it open
//! files/          what is too long for the store
//! control.sock    its control socket (or control.path, which says where that is)
//! ```

mod lock;
mod objects;
mod store;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chumwire::identity::Identity;
use chumwire::node::Record;
use chumwire::objects::{PersonId, Recipes};
use chumwire::time::Millis;

use self::lock::Lock;
pub(crate) use self::objects::{Found, Objects};
use self::store::Store;
pub(crate) use self::store::{Kept, StoreError};
use crate::failure::Failure;
use crate::time;

const DATABASE: &str = "chumwire.redb";
/// The store before it is whole. It gets its real name in one step.
const UNFINISHED: &str = "chumwire.redb.new";

/// A home that this process has open.
pub(crate) struct Home {
    dir: PathBuf,
    // Before the lock, so that it is closed when the lock is given back.
    store: Store,
    _lock: Lock,
}

impl Home {
    /// Makes a home for a new identity.
    ///
    /// # Errors
    /// If there is one already, or the system does not allow it.
    pub(crate) fn create(dir: &Path, identity: &Identity) -> Result<Self, Failure> {
        let io = |error| unusable(dir, &error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io)?;
        let Some(lock) = Lock::take(dir).map_err(io)? else {
            return Err(in_use(dir));
        };
        if dir.join(DATABASE).try_exists().map_err(io)? {
            return Err(Failure::new(
                "already_initialised",
                format_args!(
                    "{} has an identity already; `chumwire whoami` shows it",
                    dir.display()
                ),
            ));
        }
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(io)?;
        let unfinished = dir.join(UNFINISHED);
        // What is left of an attempt that was broken off is not an identity yet.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(io)?;
        drop(Store::create(&unfinished, identity)?);
        let whole = dir.join(DATABASE);
        fs::rename(&unfinished, &whole).map_err(io)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
        Ok(Self {
            store: Store::open(&whole)?,
            dir: dir.into(),
            _lock: lock,
        })
    }

    /// Opens a home, and reads what is in it. `None`: another process has it open.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub(crate) fn open(dir: &Path) -> Result<Option<(Self, Kept)>, Failure> {
        let io = |error| unusable(dir, &error);
        let path = dir.join(DATABASE);
        if !path.try_exists().map_err(io)? {
            return Err(Failure::new(
                "not_initialised",
                format_args!(
                    "there is no identity in {}; make one with `chumwire init`",
                    dir.display()
                ),
            ));
        }
        let Some(lock) = Lock::take(dir).map_err(io)? else {
            return Ok(None);
        };
        let store = Store::open(&path)?;
        let kept = store.load(time::wall())?;
        Ok(Some((
            Self {
                dir: dir.into(),
                store,
                _lock: lock,
            },
            kept,
        )))
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its objects.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn objects(&self, recipes: Recipes) -> Result<Objects, StoreError> {
        Objects::open(self.store.database(), &self.dir, recipes)
    }

    /// A person was synchronised with.
    pub(crate) fn synced(&self, person: PersonId) -> Result<(), StoreError> {
        self.store.synced(person, time::wall())
    }

    /// When this person was synchronised with last.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn last_synced(&self, person: PersonId) -> Result<Option<Millis>, StoreError> {
        self.store.last_synced(person)
    }

    /// Keeps a record for good.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then.
    pub(crate) fn keep(&self, record: &Record) -> Result<(), StoreError> {
        self.store.commit(record)
    }
}

/// Another process has this home, and does not answer.
pub(crate) fn in_use(dir: &Path) -> Failure {
    Failure::new(
        "home_in_use",
        format_args!(
            "another process has {} open; end it, or wait for it",
            dir.display()
        ),
    )
}

fn unusable(dir: &Path, error: &io::Error) -> Failure {
    Failure::new(
        "home_unusable",
        format_args!("{} cannot be used: {error}", dir.display()),
    )
}
