//! What each message of a trace is called by the machine that sent or received it: sealed ones show no name on the
//! wire, but notes do.

use std::collections::{BTreeMap, VecDeque};

use crate::line::{Line, What};

/// A message's name, and the counter of a sealed one.
pub(crate) type Name<'a> = (&'a str, Option<u64>);

/// Messages of one direction of a connection that no note was found for yet: the lines, and the lengths.
type Unnamed = VecDeque<(usize, usize)>;

/// A note is for one of so many messages that were not noted before it.
const NEAR: usize = 1024;

/// The names of messages, by the indices of their lines. A machine notes the messages of a connection in their
/// order, some time after they passed.
pub(crate) fn names(lines: &[Line]) -> BTreeMap<usize, Name<'_>> {
    let mut unnamed: BTreeMap<(&str, u64, bool), Unnamed> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        match &line.what {
            What::Sent { conn, message } => {
                let unnamed = unnamed.entry((&line.who, *conn, true)).or_default();
                unnamed.push_back((index, message.bytes));
            }
            What::Received { conn, message, .. } => {
                let unnamed = unnamed.entry((&line.who, *conn, false)).or_default();
                unnamed.push_back((index, message.bytes));
            }
            What::Noted {
                conn,
                name,
                sent,
                bytes,
                nonce,
                ..
            } => {
                if let Some(unnamed) = unnamed.get_mut(&(&*line.who, *conn, *sent))
                    && let Some(at) = unnamed
                        .iter()
                        .take(NEAR)
                        .position(|(_, length)| length == bytes)
                    && let Some((message, _)) = unnamed.drain(..=at).next_back()
                {
                    names.insert(message, (name.as_str(), *nonce));
                }
            }
            _ => {}
        }
    }
    names
}
