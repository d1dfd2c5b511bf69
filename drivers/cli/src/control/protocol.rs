//! What is said on a control socket: one request, then events, then how it ended. Each is a line of JSON.

use std::io;
use std::path::PathBuf;

use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::event::Event;
use crate::failure::Failure;
use crate::secret_text::SecretText;

/// Both sides speak the same version, or do not speak.
pub(crate) const VERSION: u32 = 1;
/// The longest line.
pub(crate) const LINE: u64 = 8 * 1024 * 1024;

/// What of a request is read first, whatever the rest looks like.
#[derive(Deserialize)]
pub(crate) struct Spoken {
    pub(crate) version: u32,
}

/// A request as it travels.
#[derive(Serialize, Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) version: u32,
    pub(crate) request: T,
}

/// What can be asked of an instance, by its own process or through its control socket. No `Debug`: an invitation is
/// a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Whoami,
    Contacts,
    Merge {
        one: String,
        other: String,
    },
    Split {
        contact: String,
        persons: Vec<String>,
    },
    Forget {
        person: String,
        delete_history: bool,
    },
    Invitations,
    Revoke {
        id: String,
    },
    RevokeAll,
    Invite(Invite),
    Join {
        invitation: SecretText,
    },
    Put(Put),
    Share {
        hash: String,
        person: String,
    },
    Unshare {
        hash: String,
        person: String,
    },
    Get {
        hash: String,
    },
    List,
    Debug {
        person: String,
    },
    Chat(Chat),
}

/// What is wanted of a channel.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Chat {
    pub(crate) person: String,
    /// Say this. Else the history is shown.
    pub(crate) send: Option<String>,
    /// Go on with what is said from now on.
    pub(crate) follow: bool,
}

/// What is to be put in.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Put {
    /// Absolute paths of files and directories.
    pub(crate) paths: Vec<PathBuf>,
    /// As texts.
    pub(crate) text: bool,
    /// Contacts that may have it.
    pub(crate) share: Vec<String>,
}

/// How somebody is to be invited.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Invite {
    pub(crate) relay: Option<String>,
    pub(crate) listen: Option<String>,
    pub(crate) url: Option<String>,
    /// Seconds.
    pub(crate) expires: u64,
    /// Seconds.
    pub(crate) linger: u64,
}

/// What comes back.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Event(Event),
    Done,
    Failed(Failure),
}

/// A line of JSON, with its end. It is wiped: it can hold an invitation.
///
/// # Errors
/// None with the types of this file.
pub(crate) fn line(of: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(serde_json::to_vec(of)?);
    line.push(b'\n');
    Ok(line)
}

/// Reads a line; `None` at the end.
///
/// # Errors
/// The connection's; a line that is too long, or broken off.
pub(crate) async fn read_line(
    from: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::new());
    from.take(LINE).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a line too long, or half a line",
        )),
    }
}
