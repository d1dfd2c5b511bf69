//! The message that a connection ended at.

use std::collections::BTreeMap;

use crate::line::What;
use crate::read::Trace;

/// Messages at which their connections ended, with what the machine said of it; lines by their indices.
#[derive(Default)]
pub(super) struct Failed<'a> {
    words: BTreeMap<usize, &'a str>,
    /// From what tells of the end to the message.
    at: BTreeMap<usize, usize>,
}

impl<'a> Failed<'a> {
    /// A machine acts on its last input only: if that was a message and the connection ended for a cause, that is the
    /// message.
    pub(super) fn of(trace: &'a Trace) -> Self {
        let mut failed = Self::default();
        let mut last: BTreeMap<&str, (usize, Option<u64>)> = BTreeMap::new();
        let mut diagnosed: Vec<(usize, usize)> = Vec::new();
        for (index, line) in trace.lines.iter().enumerate() {
            match &line.what {
                What::Received {
                    conn, full: false, ..
                } => {
                    last.insert(&line.who, (index, Some(*conn)));
                }
                What::Ended {
                    conn,
                    fault: Some(fault),
                    ..
                } => {
                    if let Some((message, Some(on))) = last.get(&*line.who)
                        && on == conn
                    {
                        failed.words.insert(*message, &fault.message);
                        failed.at.insert(index, *message);
                    }
                }
                What::Diagnosed { conn, .. } => {
                    if let Some((message, Some(on))) = last.get(&*line.who)
                        && on == conn
                    {
                        diagnosed.push((index, *message));
                    }
                }
                what if what.is_input() => {
                    last.insert(&line.who, (index, None));
                }
                _ => {}
            }
        }
        failed.at.extend(diagnosed);
        failed
    }

    /// What the machine said when it ended a connection at this message.
    pub(super) fn words(&self, message: usize) -> Option<&'a str> {
        self.words.get(&message).copied()
    }

    /// The message that this line, of the end of a connection, is about.
    pub(super) fn message(&self, line: usize) -> Option<usize> {
        self.at.get(&line).copied()
    }
}
