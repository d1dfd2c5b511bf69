//! The extension "roots since" on the wire: a list of roots without what the importer has settled (spec 11,
//! "Extension \"roots since\"").

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::entry::{ListFault, Root, read_roots};
use crate::hex;
use crate::objects::ObjectHash;
use crate::rpc::Data;

/// The name of the form of the answer.
pub const ROOTS_SINCE: &str = "roots-since-1";
/// The largest stamp.
pub(super) const STAMP: u64 = (1 << 53) - 1;

/// What an importer has settled: all roots of the list that has this digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Of the list; it alone decides.
    pub digest: [u8; 32],
    /// When the exporter listed something new last, by its clock: to be shown.
    pub stamp: u64,
}

impl Cursor {
    /// As the argument of a request.
    #[must_use]
    pub fn to_data(&self) -> Data {
        let mut members = Map::new();
        members.insert("digest".into(), hex::encode(&self.digest).into());
        members.insert("stamp".into(), self.stamp.into());
        Data::Other(Value::Object(members))
    }

    /// The cursor, if it is one: whatever else there is counts as none.
    #[must_use]
    pub fn of(data: &Data) -> Option<Self> {
        let Data::Other(Value::Object(members)) = data else {
            return None;
        };
        let digest = digest(members.get("digest")?.as_str()?)?;
        let stamp = members.get("stamp")?.as_u64()?;
        (members.len() == 2 && stamp <= STAMP).then_some(Self { digest, stamp })
    }
}

pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    ObjectHash::parse_strict(text).map(|hash| hash.0)
}

/// The digest of a list of roots. It is a function of the entries alone, in whatever order.
#[must_use]
pub fn list_digest(roots: &[Root]) -> [u8; 32] {
    digest_of(roots.iter().map(ToString::to_string).collect())
}

/// The same, of the texts of the entries.
pub(super) fn digest_of(mut texts: Vec<String>) -> [u8; 32] {
    texts.sort_unstable();
    let mut hash = Sha256::new();
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            hash.update([b'\n']);
        }
        hash.update(text);
    }
    hash.finalize().into()
}

/// What the exporter answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootsSince {
    /// Whether it is the whole list; else all that is not in the list of the cursor that was given.
    pub full: bool,
    /// What will be settled with it.
    pub cursor: Cursor,
    /// The entries; one that is wrong is a fault of its own.
    pub roots: Vec<Result<Root, ListFault>>,
}

/// The answer as it travels.
pub(super) fn write_since<'a>(
    full: bool,
    cursor: Cursor,
    entries: impl Iterator<Item = &'a str>,
) -> String {
    let mut text = String::from("{\"ext\":\"");
    text.push_str(ROOTS_SINCE);
    text.push_str("\",\"full\":");
    text.push_str(if full { "true" } else { "false" });
    text.push_str(",\"digest\":\"");
    hex::push(&mut text, &cursor.digest);
    text.push_str("\",\"stamp\":");
    text.push_str(&cursor.stamp.to_string());
    text.push_str(",\"roots\":[");
    for (i, entry) in entries.enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(entry);
    }
    text.push_str("]}");
    text
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    #[serde(borrow)]
    ext: Cow<'a, str>,
    full: bool,
    #[serde(borrow)]
    digest: Cow<'a, str>,
    stamp: u64,
    #[serde(borrow)]
    roots: &'a RawValue,
}

/// Reads an answer; `None` if it is not of this form.
///
/// # Errors
/// If its list is none, or too long a one.
pub fn read_since(text: &str, most: usize) -> Result<Option<RootsSince>, ListFault> {
    // A list of the values alone would be read as well.
    if !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let Ok(members) = serde_json::from_str::<Members<'_>>(text) else {
        return Ok(None);
    };
    let digest = digest(&members.digest).filter(|_| members.ext == ROOTS_SINCE);
    let Some(digest) = digest.filter(|_| members.stamp <= STAMP) else {
        return Ok(None);
    };
    let stamp = members.stamp;
    Ok(Some(RootsSince {
        full: members.full,
        cursor: Cursor { digest, stamp },
        roots: read_roots(members.roots.get(), most)?,
    }))
}
