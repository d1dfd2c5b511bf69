//! A trace as a sequence diagram.

use std::collections::{BTreeMap, VecDeque};

use chumwire::time::Micros;

use crate::diagram::{Diagram, Stroke};
use crate::line::What;
use crate::names::{Name, names};
use crate::passing::Passing;
use crate::read::Trace;

/// The lane of whoever the trace does not show.
const OUTSIDE: &str = "(other side)";
/// More parties than this share the last lane.
const LANES: usize = 24;
/// A message is looked for among so many that were sent before it and have not arrived.
const FLYING: usize = 1024;
/// Room for the time.
const MARGIN: usize = 14;

/// Who a connection leads to.
type Ends<'a> = BTreeMap<(&'a str, u64), (&'a str, u64)>;

/// Messages that were sent and have not arrived: the lines, and the hashes.
type Flying<'a> = VecDeque<(usize, Option<&'a str>)>;

/// Draws a trace: messages when they arrive, those that never do when they are sent, and what machines told.
#[must_use]
pub fn draw(trace: &Trace) -> String {
    let mut lanes: Vec<&str> = Vec::new();
    for line in &trace.lines {
        if lanes.len() < LANES
            && !lanes.contains(&&*line.who)
            && !matches!(line.what, What::Interfered { .. })
        {
            lanes.push(&line.who);
        }
    }
    if lanes.len() < 2 || lanes.len() == LANES {
        lanes.push(OUTSIDE);
    }
    let outside = lanes.len() - 1;
    let lane = |who: &str| {
        lanes
            .iter()
            .position(|lane| *lane == who)
            .unwrap_or(outside)
    };
    let mut diagram = Diagram::new(MARGIN, lanes.iter().copied());
    let mut ends = Ends::new();
    let (lost, names) = (lost(trace), names(&trace.lines));
    let by_hash: BTreeMap<&str, &Name<'_>> = names
        .iter()
        .filter_map(|(index, name)| {
            let (What::Sent { message, .. } | What::Received { message, .. }) =
                &trace.lines[*index].what
            else {
                return None;
            };
            Some((message.hash.as_deref()?, name))
        })
        .collect();
    // Who does not say what a message is, may have it from somebody who does.
    let name = |index: usize, message: &Passing| {
        let same = || by_hash.get(message.hash.as_deref()?).copied();
        names.get(&index).or_else(same)
    };
    for (index, line) in trace.lines.iter().enumerate() {
        let at = Micros(line.at).to_string();
        let who = lane(&line.who);
        match &line.what {
            What::Linked { conn, to, accepted } => {
                ends.insert((&line.who, *conn), (to, *accepted));
                ends.insert((to, *accepted), (&line.who, *conn));
            }
            What::Received {
                conn,
                message,
                full: false,
            } => {
                let from = ends
                    .get(&(&*line.who, *conn))
                    .map_or(outside, |end| lane(end.0));
                let (label, stroke) = label(message, *conn, name(index, message));
                // A mirror sends one's own messages back.
                if from != who {
                    diagram.arrow(&at, from, who, &label, stroke);
                }
            }
            What::Sent { conn, message } => {
                let to = ends.get(&(&*line.who, *conn)).map(|end| lane(end.0));
                let (label, stroke) = label(message, *conn, name(index, message));
                match to {
                    Some(to) if lost.binary_search(&index).is_ok() => {
                        diagram.arrow(&at, who, to, &label, Stroke::Lost);
                    }
                    None if who != outside => diagram.arrow(&at, who, outside, &label, stroke),
                    _ => {}
                }
            }
            What::Interfered { fault } => diagram.remark(&at, outside, fault),
            // Each message that is sent shows by itself.
            What::Called { call, .. } if call != "send" => {
                diagram.remark(&at, who, &line.what.to_string());
            }
            what if is_told(what) => diagram.remark(&at, who, &what.to_string()),
            _ => {}
        }
    }
    diagram.text().to_owned()
}

/// What is worth a row of its own.
const fn is_told(what: &What) -> bool {
    matches!(
        what,
        What::Started { .. }
            | What::Stopped
            | What::Accepted { conn: None, .. }
            | What::Closing { .. }
            | What::Closed { .. }
            | What::Online { .. }
            | What::Offline { .. }
            | What::Registered { .. }
            | What::HandedOver { .. }
            | What::Paired { .. }
            | What::Expired
            | What::Connected { .. }
            | What::Ended { .. }
            | What::Diagnosed { .. }
            | What::NotStored { .. }
            | What::Says { .. }
    )
}

fn label(message: &Passing, conn: u64, noted: Option<&Name<'_>>) -> (String, Stroke) {
    let unknown = (message.name.as_deref().unwrap_or("message"), None);
    let (name, nonce) = *noted.unwrap_or(&unknown);
    match nonce {
        Some(nonce) => (
            format!("{conn}: {name}, {} B, #{nonce}", message.bytes),
            Stroke::Sealed,
        ),
        None => (
            format!("{conn}: {name}, {} B", message.bytes),
            Stroke::Plain,
        ),
    }
}

/// The lines of messages that the other end never received.
fn lost(trace: &Trace) -> Vec<usize> {
    let mut ends = Ends::new();
    let mut flying: BTreeMap<(&str, u64), Flying<'_>> = BTreeMap::new();
    for (index, line) in trace.lines.iter().enumerate() {
        match &line.what {
            What::Linked { conn, to, accepted } => {
                ends.insert((&line.who, *conn), (to, *accepted));
                ends.insert((to, *accepted), (&line.who, *conn));
            }
            What::Sent { conn, message } => {
                if let Some(end) = ends.get(&(&*line.who, *conn)) {
                    let flying = flying.entry(*end).or_default();
                    flying.push_back((index, message.hash.as_deref()));
                }
            }
            What::Received {
                conn,
                message,
                full: false,
            } => {
                if let Some(flying) = flying.get_mut(&(&*line.who, *conn))
                    && let Some(at) = flying
                        .iter()
                        .take(FLYING)
                        .position(|(_, hash)| *hash == message.hash.as_deref())
                {
                    flying.remove(at);
                }
            }
            _ => {}
        }
    }
    let mut lost: Vec<usize> = flying
        .into_values()
        .flatten()
        .map(|(index, _)| index)
        .collect();
    lost.sort_unstable();
    lost
}
