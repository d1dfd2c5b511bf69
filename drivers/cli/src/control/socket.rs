//! Where the control socket of a home is.
//!
//! In the home. The system limits the length of a socket's path, though; where the home's is too long, the socket
//! lives in a directory of its own under the temporary directory, and a file in the home says where that is.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chumwire_async_std::async_std::os::unix::net::{UnixListener, UnixStream};

const NAME: &str = "control.sock";
/// Says where the socket is, if it is not in the home.
const ELSEWHERE: &str = "control.path";
/// The longest path that every Unix can bind.
const LONGEST: usize = 103;

/// A bound socket. Its file goes with it.
pub(crate) struct Bound {
    pub(crate) listener: UnixListener,
    home: PathBuf,
    path: PathBuf,
}

impl Bound {
    /// Binds the socket of a home that this process holds the lock of: whatever is in the way is stale.
    ///
    /// # Errors
    /// The system's.
    pub(crate) async fn bind(home: &Path) -> io::Result<Self> {
        clear(home)?;
        let mut path = home.join(NAME);
        if path.as_os_str().as_bytes().len() > LONGEST {
            let dir = tempfile::Builder::new()
                .prefix("chumwire-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir()?
                .keep();
            path = dir.join(NAME);
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(home.join(ELSEWHERE))?
                .write_all(path.as_os_str().as_bytes())?;
        }
        let listener = UnixListener::bind(&path).await?;
        // Until here the directory, which is its owner's alone, keeps others out.
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            home: home.into(),
            path,
        })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // If it stays, the next process to hold the home clears it away.
        let _ = fs::remove_file(&self.path);
        let _ = clear(&self.home);
    }
}

/// Reaches whoever holds a home.
///
/// # Errors
/// If nobody does, or the socket is not the owner's.
pub(crate) async fn connect(home: &Path) -> io::Result<UnixStream> {
    match elsewhere(home)? {
        Some(path) if is_ours(home, &path)? => UnixStream::connect(path).await,
        Some(_) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the directory of the control socket belongs to somebody else",
        )),
        None => UnixStream::connect(home.join(NAME)).await,
    }
}

fn elsewhere(home: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read(home.join(ELSEWHERE)) {
        Ok(path) => Ok(Some(PathBuf::from(std::ffi::OsStr::from_bytes(&path)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The directory could have been removed and made anew by somebody else meanwhile.
fn is_ours(home: &Path, socket: &Path) -> io::Result<bool> {
    let Some(dir) = socket.parent() else {
        return Ok(false);
    };
    let (dir, home) = (fs::symlink_metadata(dir)?, fs::metadata(home)?);
    Ok(dir.is_dir() && dir.uid() == home.uid() && dir.mode() & 0o077 == 0)
}

/// Removes what an earlier process left.
fn clear(home: &Path) -> io::Result<()> {
    if let Some(path) = elsewhere(home)? {
        if is_ours(home, &path).unwrap_or(false) {
            let _ = fs::remove_file(&path);
            let _ = path.parent().map(fs::remove_dir);
        }
        fs::remove_file(home.join(ELSEWHERE))?;
    }
    match fs::remove_file(home.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
