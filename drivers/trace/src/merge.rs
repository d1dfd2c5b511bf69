//! Traces of several machines put together: one's messages are known again at the other by their hashes. So their
//! clocks are set by each other, and who was connected with whom is found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::header::{Header, Origin};
use crate::line::{Line, What};
use crate::passing::{Passing, Sort};
use crate::read::Trace;

/// Several traces as one.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The lines of all in the order of their time, with the connections between the machines.
    pub trace: Trace,
    /// Where each line is from: the number of the trace, and of the line in it from 1. `None` for what was found out.
    pub from: Vec<Option<(usize, usize)>>,
}

impl Merged {
    /// The number of a line in its own file, by its index in the whole.
    #[must_use]
    pub fn line_of(&self, index: usize) -> Option<usize> {
        self.from
            .get(index)
            .copied()
            .flatten()
            .map(|(_, line)| line)
    }
}

impl From<Trace> for Merged {
    /// One trace is whole as it is.
    fn from(trace: Trace) -> Self {
        // The header is the first line of the file.
        let from = (0..trace.lines.len()).map(|index| Some((0, index + 2)));
        Self {
            from: from.collect(),
            trace,
        }
    }
}

/// A connection of a machine.
type Conn = (Arc<str>, u64);

/// Puts traces together. In a live trace there is one machine: it is called by the name that is given.
#[must_use]
pub fn merge(traces: Vec<(String, Trace)>) -> Merged {
    let mut lines: Vec<(i128, usize, usize, Line)> = Vec::new();
    for (file, (name, trace)) in traces.into_iter().enumerate() {
        let name: Arc<str> = name.into();
        let start = i128::from(trace.header.wall) * 1000;
        let live = trace.header.origin == Origin::Live;
        let mut own: Vec<_> = trace
            .lines
            .into_iter()
            .enumerate()
            .map(|(index, mut line)| {
                if live {
                    line.who = name.clone();
                }
                // The header is the first line of the file.
                (start + i128::from(line.at), file, index + 2, line)
            })
            .collect();
        let shift = shift(&lines, &own);
        own.iter_mut().for_each(|line| line.0 += shift);
        lines.append(&mut own);
    }
    lines.sort_by_key(|(at, file, line, _)| (*at, *file, *line));
    let first = lines.first().map_or(0, |line| line.0);
    let mut links = links(&lines);
    let mut merged = Merged {
        trace: Trace {
            header: Header::new(Origin::Live, u64::try_from(first / 1000).unwrap_or(0)),
            lines: Vec::new(),
        },
        from: Vec::new(),
    };
    for (at, file, number, mut line) in lines {
        line.at = u64::try_from(at - first).unwrap_or(u64::MAX);
        line.wall = None;
        if let Some((conn, _)) = passing(&line.what)
            && let Some(linked) = links.remove(&(line.who.clone(), conn))
        {
            merged.trace.lines.push(Line {
                at: line.at,
                wall: None,
                ..linked
            });
            merged.from.push(None);
        }
        merged.trace.lines.push(line);
        merged.from.push(Some((file, number)));
    }
    merged
}

/// A message, and its connection.
const fn passing(what: &What) -> Option<(u64, &Passing)> {
    match what {
        What::Sent { conn, message } | What::Received { conn, message, .. } => {
            Some((*conn, message))
        }
        _ => None,
    }
}

/// The hash of a message that nobody else sends: sealed, or with a challenge in it.
fn unique(message: &Passing) -> Option<&str> {
    let challenge = matches!(
        message.name.as_deref(),
        Some("authentication_request" | "authentication_response")
    );
    (message.kind == Sort::Binary || challenge)
        .then_some(message.hash.as_deref())
        .flatten()
}

/// By how much a trace's clock has to be put forward, so that no message comes before it was sent.
fn shift(others: &[(i128, usize, usize, Line)], own: &[(i128, usize, usize, Line)]) -> i128 {
    let times = |lines: &[(i128, usize, usize, Line)], sent: bool| {
        let mut times: BTreeMap<String, i128> = BTreeMap::new();
        for (at, _, _, line) in lines {
            if matches!(line.what, What::Sent { .. }) == sent
                && let Some((_, message)) = passing(&line.what)
                && let Some(hash) = unique(message)
            {
                times.entry(hash.into()).or_insert(*at);
            }
        }
        times
    };
    let gaps = |from: &BTreeMap<String, i128>, to: &BTreeMap<String, i128>| -> Vec<i128> {
        from.iter()
            .filter_map(|(hash, sent)| Some(sent - to.get(hash)?))
            .collect()
    };
    // What the others sent must not come before; what this one sent must not come there before.
    let least = gaps(&times(others, true), &times(own, false))
        .into_iter()
        .max();
    let most = gaps(&times(own, true), &times(others, false))
        .into_iter()
        .max()
        .map(|gap| -gap);
    match (least, most) {
        (Some(least), Some(most)) => least + (most - least) / 2,
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => 0,
    }
}

/// Who is at the other end of each connection, as lines to put in before its first message.
fn links(lines: &[(i128, usize, usize, Line)]) -> BTreeMap<Conn, Line> {
    let mut relays: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut known: BTreeSet<Conn> = BTreeSet::new();
    let mut sent: BTreeMap<&str, Vec<Conn>> = BTreeMap::new();
    let mut received: BTreeMap<&str, Vec<Conn>> = BTreeMap::new();
    for (_, _, _, line) in lines {
        match &line.what {
            What::Started { machine, .. } if machine == "relay" => {
                relays.insert(line.who.clone());
            }
            What::Linked { conn, to, accepted } => {
                known.insert((line.who.clone(), *conn));
                known.insert((to.clone(), *accepted));
            }
            what => {
                if let Some((conn, message)) = passing(what)
                    && let Some(hash) = unique(message)
                {
                    let side = match what {
                        What::Sent { .. } => &mut sent,
                        _ => &mut received,
                    };
                    side.entry(hash).or_default().push((line.who.clone(), conn));
                }
            }
        }
    }
    let mut found: BTreeMap<Conn, Conn> = BTreeMap::new();
    for (hash, from) in &sent {
        for one in from {
            for other in received.get(hash).into_iter().flatten() {
                // What goes through a relay comes out there under the same hash: the relay is nearer.
                let direct = !relays.contains(&one.0) && !relays.contains(&other.0);
                let pairs = [(one, other), (other, one)];
                if one.0 == other.0 || pairs.iter().any(|(end, _)| known.contains(*end)) {
                    continue;
                }
                for (end, far) in pairs {
                    if direct {
                        found.entry(end.clone()).or_insert_with(|| far.clone());
                    } else {
                        found.insert(end.clone(), far.clone());
                    }
                }
            }
        }
    }
    let mut links = BTreeMap::new();
    for (end, far) in &found {
        // Both have to see each other, and one line is enough.
        if found.get(far) == Some(end) {
            let line = Line {
                at: 0,
                wall: None,
                who: end.0.clone(),
                what: What::Linked {
                    conn: end.1,
                    to: far.0.clone(),
                    accepted: far.1,
                },
            };
            links.insert(end.clone(), line.clone());
        }
    }
    links
}
