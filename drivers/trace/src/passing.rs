//! A message in a trace: what it is and how long, the same at both ends, and its content only with secrets.

use chumwire::hex;
use chumwire::io::Kind;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A message, as a trace shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passing {
    /// `text` or `binary`.
    pub kind: Sort,
    /// The `command` of a text, if it is one of the protocol's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its length.
    pub bytes: usize,
    /// The first 8 bytes of its SHA-256, in hex: by it the same message is known again at the other end. Not told of
    /// a plaintext without secrets, because it would give short ones away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Its content (secrets only): a text as it is, a binary message in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// The two kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// A text.
    Text,
    /// A binary message.
    Binary,
}

impl From<Kind> for Sort {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

impl From<Sort> for Kind {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Text => Self::Text,
            Sort::Binary => Self::Binary,
        }
    }
}

/// The commands that travel in clear: relay control and handshake. Other texts are not told by name, because what a
/// stranger sends in the place of a name is not ours to show.
const COMMANDS: &[&str] = &[
    "register",
    "authentication_request",
    "authentication_response",
    "authentication_success",
    "ping",
    "pong",
    "comm_ping",
    "comm_pong",
    "connection_handover",
    "communication_request",
    "communication_ready",
];

impl Passing {
    /// A message on the wire. Its content goes in only with secrets.
    #[must_use]
    pub fn of(kind: Kind, bytes: &[u8], secrets: bool) -> Self {
        Self {
            name: command_of(kind, bytes).map(Into::into),
            hash: Some(hash(bytes)),
            ..Self::private(kind, bytes, secrets)
        }
    }

    /// A message between two embedders. Without secrets only its kind and length are told.
    #[must_use]
    pub fn private(kind: Kind, bytes: &[u8], secrets: bool) -> Self {
        Self {
            kind: kind.into(),
            name: None,
            bytes: bytes.len(),
            hash: secrets.then(|| hash(bytes)),
            data: secrets.then(|| match core::str::from_utf8(bytes) {
                Ok(text) if kind == Kind::Text => text.into(),
                _ => hex::encode(bytes),
            }),
        }
    }

    /// Its content, if the trace has it and it is as long as it says.
    #[must_use]
    pub fn content(&self) -> Option<Vec<u8>> {
        let data = self.data.as_deref()?;
        let bytes = match self.kind {
            Sort::Text => data.as_bytes().to_vec(),
            Sort::Binary => bytes_of(data)?,
        };
        (bytes.len() == self.bytes).then_some(bytes)
    }
}

/// The name of a control message that travels in clear.
#[must_use]
pub fn command_of(kind: Kind, bytes: &[u8]) -> Option<&'static str> {
    // Both implementations write the command first; any JSON may have spaces.
    const LOOKED_AT: usize = 64;
    if kind != Kind::Text {
        return None;
    }
    let start = core::str::from_utf8(&bytes[..bytes.len().min(LOOKED_AT)]).ok()?;
    let value = start.split_once("\"command\"")?.1.trim_start();
    let value = value.strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let name = value.split_once('"')?.0;
    COMMANDS.iter().find(|command| **command == name).copied()
}

fn hash(bytes: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    hex::encode(&hash[..8])
}

/// Bytes of any number, from hex.
pub(crate) fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| hex::decode::<1>(core::str::from_utf8(pair).ok()?).map(|[byte]| byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_its_name_and_nothing_else_is_shown() {
        let name = |text: &str| command_of(Kind::Text, text.as_bytes());
        assert_eq!(name(r#"{"command":"ping"}"#), Some("ping"));
        assert_eq!(name(r#"{ "command" : "pong" }"#), Some("pong"));
        assert_eq!(name(r#"{"command":"my password"}"#), None);
        assert_eq!(name("command"), None);
        assert_eq!(command_of(Kind::Binary, br#"{"command":"ping"}"#), None);
    }

    #[test]
    fn contents_are_there_with_secrets_alone() {
        let shown = Passing::of(Kind::Binary, &[1, 2, 255], true);
        assert_eq!(shown.content(), Some(vec![1, 2, 255]));
        let hidden = Passing::of(Kind::Binary, &[1, 2, 255], false);
        assert_eq!((hidden.content(), &hidden.hash), (None, &shown.hash));
        let private = Passing::private(Kind::Text, b"yes", false);
        assert_eq!((private.hash, private.data), (None, None));
    }

    #[test]
    fn a_content_of_another_length_than_told_is_none() {
        let mut message = Passing::of(Kind::Text, b"abc", true);
        message.bytes = 4;
        assert_eq!(message.content(), None);
        assert_eq!(bytes_of("0g"), None);
        assert_eq!(bytes_of("abc"), None);
    }
}
