//! What each message of a trace is called by the machine that sent or received it: sealed ones show no name on the
//! wire, but notes do.

use std::collections::{BTreeMap, VecDeque};

use chumwire::note::Layer;

use crate::line::{Line, What};
use crate::passing::Passing;

/// A message's layer and name, and the counter of a sealed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub(crate) layer: &'a str,
    pub(crate) name: &'a str,
    pub(crate) nonce: Option<u64>,
}

impl Name<'_> {
    /// Whether whoever told it only copied the message, unread.
    fn is_of_a_copy(&self) -> bool {
        self.layer == Layer::Relayed.name()
    }
}

/// Messages of one direction of a connection that no note was found for yet: the lines, and the lengths.
type Unnamed = VecDeque<(usize, usize)>;

/// A note is for one of so many messages that were not noted before it.
const NEAR: usize = 1024;

/// The names of a trace's messages.
pub(crate) struct Names<'a> {
    by_line: BTreeMap<usize, Name<'a>>,
    by_hash: BTreeMap<&'a str, Name<'a>>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(lines: &'a [Line]) -> Self {
        let by_line = by_line(lines);
        let mut by_hash: BTreeMap<&str, Name<'_>> = BTreeMap::new();
        for (index, name) in &by_line {
            if let What::Sent { message, .. } | What::Received { message, .. } = &lines[*index].what
                && let Some(hash) = message.hash.as_deref()
                && by_hash.get(hash).is_none_or(Name::is_of_a_copy)
            {
                by_hash.insert(hash, *name);
            }
        }
        Self { by_line, by_hash }
    }

    /// What the machine itself calls the message on this line. Who does not say may have it from somebody who does.
    pub(crate) fn told(&self, index: usize, message: &Passing) -> Option<Name<'a>> {
        let own = self.by_line.get(&index).copied();
        own.or_else(|| self.elsewhere(message))
    }

    /// What is known of the message on this line: who only copied it, knows less than who made or read it.
    pub(crate) fn known(&self, index: usize, message: &Passing) -> Option<Name<'a>> {
        let own = self.by_line.get(&index).copied();
        match own {
            Some(name) if !name.is_of_a_copy() => own,
            _ => self.elsewhere(message).or(own),
        }
    }

    fn elsewhere(&self, message: &Passing) -> Option<Name<'a>> {
        self.by_hash.get(message.hash.as_deref()?).copied()
    }
}

/// The names of messages, by the indices of their lines. A machine notes the messages of a connection in their
/// order, some time after they passed.
fn by_line(lines: &[Line]) -> BTreeMap<usize, Name<'_>> {
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
                layer,
                name,
                sent,
                bytes,
                nonce,
            } => {
                if let Some(unnamed) = unnamed.get_mut(&(&*line.who, *conn, *sent))
                    && let Some(at) = unnamed
                        .iter()
                        .take(NEAR)
                        .position(|(_, length)| length == bytes)
                    && let Some((message, _)) = unnamed.drain(..=at).next_back()
                {
                    let nonce = *nonce;
                    names.insert(message, Name { layer, name, nonce });
                }
            }
            _ => {}
        }
    }
    names
}
