//! Files and objects: put in, shared, listed, taken out.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use chumwire::hex;
use chumwire::objects::{Object, PersonId, Reference, Value};
use chumwire_async_std::async_std::task;
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::Emit;
use super::contacts::find;
use crate::control::Put;
use crate::event::Event;
use crate::failure::Failure;
use crate::home::{Found, Objects, StoreError};
use crate::peer::{CLOB_DESCRIPTOR, Peer};

const BLOB_DESCRIPTOR: &str = "BlobDescriptor";
/// The type of a file whose name tells none.
const BYTES: &str = "application/octet-stream";

/// Puts files in, each with a descriptor, and grants them.
pub(super) async fn put(peer: &Peer, what: Put, emit: &Emit) -> Result<(), Failure> {
    let mut with = Vec::new();
    for who in &what.share {
        with.push(find(peer, who).await?.0);
    }
    let (objects, tell, persons) = (peer.objects().clone(), emit.clone(), with.clone());
    task::spawn_blocking(move || put_all(&objects, &what, &persons, &tell)).await?;
    granted(peer, with).await
}

/// What is new is told to those who are connected.
async fn granted(peer: &Peer, with: Vec<PersonId>) -> Result<(), Failure> {
    peer.with_all(move |machine, now| {
        for person in with {
            machine.granted(now, person);
        }
    })
    .await
}

fn put_all(objects: &Objects, what: &Put, with: &[PersonId], emit: &Emit) -> Result<(), Failure> {
    let (mut count, mut bytes) = (0, 0);
    let mut progress = |added: u64, objects: u64| {
        bytes += added;
        count += objects;
        emit(Event::Progress {
            objects: count,
            bytes,
        });
    };
    for root in &what.paths {
        // Of a device or a pipe there is no end.
        if root.exists() && !root.is_file() && !root.is_dir() {
            let what = io::Error::other("it is neither a file nor a directory");
            return Err(unreadable(root, &what));
        }
        // Sorted, so that the order is the same everywhere. A link within is not followed out of the directory.
        for entry in WalkDir::new(root).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(root).to_owned();
                unreadable(&path, &error.into())
            })?;
            let path = entry.path();
            let is_root = entry.depth() == 0 && path.is_file();
            if !is_root && !entry.file_type().is_file() {
                continue;
            }
            let name = path
                .strip_prefix(root)
                .ok()
                .filter(|name| *name != Path::new(""));
            let name = name.unwrap_or_else(|| path.file_name().map_or(path, Path::new));
            let stored = put_file(objects, path, name, what.text, &mut |n| progress(n, 0))?;
            objects.share(&stored.object, with)?;
            progress(0, 1);
            emit(Event::Stored {
                object: hex::encode(&stored.object),
                blob: hex::encode(&stored.file),
                path: path.display().to_string(),
                size: stored.size,
            });
        }
    }
    objects.sync()?;
    Ok(())
}

struct Stored {
    object: [u8; 32],
    file: [u8; 32],
    size: u64,
}

fn put_file(
    objects: &Objects,
    path: &Path,
    name: &Path,
    as_text: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Stored, Failure> {
    let unreadable = |error: io::Error| unreadable(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let modified = file
        .metadata()
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_millis());
    if as_text && !is_text(path).map_err(unreadable)? {
        return Err(Failure::new(
            "not_text",
            format_args!("{} is not UTF-8; put it in without --text", path.display()),
        ));
    }
    let (hash, size) = objects.put_file(file, progress)?;
    let (type_name, data) = match as_text {
        true => (CLOB_DESCRIPTOR, Reference::Clob(hash)),
        false => (BLOB_DESCRIPTOR, Reference::Blob(hash)),
    };
    let kind = mime_guess::from_path(path)
        .first_raw()
        .unwrap_or(match as_text {
            true => "text/plain",
            false => BYTES,
        });
    let descriptor = Object::new(type_name)
        .with("data", data)
        .with("lastModified", modified as f64)
        .with("name", &*name.to_string_lossy())
        .with("size", size as f64)
        .with("type", kind);
    let object = objects.put(&descriptor)?;
    Ok(Stored {
        object: object.0,
        file: hash.0,
        size,
    })
}

/// Whether a file is UTF-8, looked at piece by piece.
fn is_text(path: &Path) -> io::Result<bool> {
    use std::io::Read as _;
    let mut file = File::open(path)?;
    let (mut buffer, mut kept) = (vec![0; 64 * 1024], 0);
    loop {
        let count = file.read(&mut buffer[kept..])?;
        if count == 0 {
            return Ok(kept == 0);
        }
        let filled = kept + count;
        let whole = match std::str::from_utf8(&buffer[..filled]) {
            Ok(_) => filled,
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Ok(false),
        };
        buffer.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        "unreadable",
        format_args!("{} cannot be read: {error}", path.display()),
    )
}

/// Grants an object to a contact.
pub(super) async fn share(peer: &Peer, hash: &str, who: &str, emit: &Emit) -> Result<(), Failure> {
    let (person, _) = find(peer, who).await?;
    let hash = parse(hash)?;
    if !peer.objects().share(&hash, &[person])? {
        return Err(Failure::new(
            "not_found",
            format_args!(
                "there is no object {}; a file is shared by its object, which `chumwire ls` shows",
                hex::encode(&hash)
            ),
        ));
    }
    peer.objects().sync()?;
    granted(peer, [person].into()).await?;
    emit(Event::Shared {
        object: hex::encode(&hash),
        person_id: person.to_string(),
    });
    Ok(())
}

/// Takes a grant back.
pub(super) async fn unshare(
    peer: &Peer,
    hash: &str,
    who: &str,
    emit: &Emit,
) -> Result<(), Failure> {
    let (person, _) = find(peer, who).await?;
    let hash = parse(hash)?;
    if !peer.objects().unshare(&hash, person)? {
        return Err(Failure::new(
            "not_shared",
            format_args!("{} is not shared with {person}", hex::encode(&hash)),
        ));
    }
    peer.objects().sync()?;
    emit(Event::Unshared {
        object: hex::encode(&hash),
        person_id: person.to_string(),
    });
    Ok(())
}

/// Tells where the bytes of a file or an object are.
pub(super) fn get(peer: &Peer, hash: &str, emit: &Emit) -> Result<(), Failure> {
    let hash = parse(hash)?;
    let (path, bytes) = match peer.objects().find(&hash)? {
        Some(Found::Bytes(bytes)) => (None, Some(hex::encode(&bytes))),
        Some(Found::File(path)) => (Some(path), None),
        None => {
            return Err(Failure::new(
                "not_found",
                format_args!("nothing is stored here under {}", hex::encode(&hash)),
            ));
        }
    };
    emit(Event::Found { path, hex: bytes });
    Ok(())
}

/// Lists the files that are here, own ones and those of others.
pub(super) async fn list(peer: &Peer, emit: &Emit) -> Result<(), Failure> {
    let (objects, tell) = (peer.objects().clone(), emit.clone());
    let count = task::spawn_blocking(move || -> Result<usize, Failure> {
        let grants = objects.grants()?;
        let mut count = 0;
        for type_name in [BLOB_DESCRIPTOR, CLOB_DESCRIPTOR] {
            objects.each(type_name, |hash, object| {
                let text = |name| {
                    object
                        .get(name)
                        .and_then(Value::as_text)
                        .unwrap_or_default()
                };
                let blob = object.get("data").and_then(Value::as_reference);
                let size = object.get("size").and_then(Value::as_number);
                let with = grants.get(&hash.0).map(Vec::as_slice).unwrap_or_default();
                count += 1;
                tell(Event::File {
                    object: hash.to_string(),
                    blob: blob
                        .map(|blob| hex::encode(blob.bytes()))
                        .unwrap_or_default(),
                    name: text("name").into(),
                    size: size.unwrap_or_default() as u64,
                    kind: text("type").into(),
                    shared_with: with.iter().map(PersonId::to_string).collect(),
                });
            })?;
        }
        Ok(count)
    })
    .await?;
    emit(Event::Files { count });
    Ok(())
}

fn parse(hash: &str) -> Result<[u8; 32], Failure> {
    hex::decode(hash.trim()).ok_or_else(|| {
        Failure::new(
            "bad_hash",
            format_args!("{hash} is not a hash; 64 hex digits are due"),
        )
    })
}

/// Writes what was found: to the standard output, or into a file that is there whole or not at all. It is read to its
/// end before, so that nothing is handed out that is not what was stored under this hash.
///
/// # Errors
/// `not_written`, with the system's; `store_damaged`
pub(crate) fn hand_out(
    found: &(Option<PathBuf>, Option<String>),
    hash: &str,
    to: Option<&Path>,
) -> Result<u64, Failure> {
    let hash = parse(hash)?;
    let unwritten = |error: io::Error| {
        Failure::new("not_written", format_args!("it cannot be written: {error}"))
    };
    let is = reader(found).and_then(sha256).map_err(unwritten)?;
    if is != hash {
        let hash = hex::encode(&hash);
        let what = format!("what is under {hash} is not what was stored");
        return Err(StoreError::Damaged(what).into());
    }
    write_to(found, to).map_err(unwritten)
}

fn write_to(found: &(Option<PathBuf>, Option<String>), to: Option<&Path>) -> io::Result<u64> {
    let mut from = reader(found)?;
    match to {
        None => {
            let mut out = io::stdout().lock();
            let size = io::copy(&mut from, &mut out)?;
            io::Write::flush(&mut out)?;
            Ok(size)
        }
        Some(path) => {
            let dir = path.parent().filter(|dir| *dir != Path::new(""));
            let mut file = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
            let size = io::copy(&mut from, &mut file)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(size)
        }
    }
}

fn sha256(from: impl io::Read) -> io::Result<[u8; 32]> {
    let (mut from, mut hash) = (BufReader::new(from), Sha256::new());
    loop {
        let part = from.fill_buf()?;
        if part.is_empty() {
            return Ok(hash.finalize().into());
        }
        hash.update(part);
        let count = part.len();
        from.consume(count);
    }
}

fn reader(found: &(Option<PathBuf>, Option<String>)) -> io::Result<Box<dyn io::Read>> {
    Ok(match found {
        (Some(path), _) => Box::new(File::open(path)?),
        (None, text) => {
            let digits = text.as_deref().unwrap_or_default().as_bytes();
            let bytes: Option<Vec<u8>> = digits
                .chunks_exact(2)
                .map(|pair| Some(hex::decode::<1>(std::str::from_utf8(pair).ok()?)?[0]))
                .collect();
            Box::new(io::Cursor::new(bytes.unwrap_or_default()))
        }
    })
}
