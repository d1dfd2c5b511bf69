//! Steps that are shown and hidden together: the layers of the protocol, and what is no message.

use chumwire::note::Layer;

use super::data::{Group, Step};
use crate::line::{How, What};
use crate::passing::Passing;

/// The names: layers first, from the lowest up.
const NAMES: &[&str] = &[
    Layer::Relay.name(),
    Layer::Handshake.name(),
    Layer::Keepalive.name(),
    Layer::Fragmentation.name(),
    Layer::Establishment.name(),
    Layer::Pairing.name(),
    Layer::Group.name(),
    Layer::Relayed.name(),
    "unnamed",
    "connections",
    "events",
    "calls",
    "ticks",
    "records",
    "world",
];

/// Messages of which no machine tells the layer.
pub(super) const UNNAMED: usize = 8;
const CONNECTIONS: usize = 9;
const EVENTS: usize = 10;
const CALLS: usize = 11;
const TICKS: usize = 12;
const RECORDS: usize = 13;
const WORLD: usize = 14;

/// The name of a group.
pub(super) fn name(group: usize) -> &'static str {
    NAMES.get(group).copied().unwrap_or_default()
}

/// The group of a layer.
pub(super) fn of_layer(name: Option<&str>) -> usize {
    let layers = NAMES.iter().take(UNNAMED);
    let known = layers.enumerate().find(|(_, layer)| Some(**layer) == name);
    known.map_or(UNNAMED, |(group, _)| group)
}

/// The group of what happened; of a message without its layer. `None` for what is no step of its own: notes belong to
/// their messages, and that a socket has taken all is no news.
pub(super) const fn group(what: &What) -> Option<usize> {
    Some(match what {
        What::Sent { .. } | What::Received { .. } => UNNAMED,
        What::Accepted { .. }
        | What::Opened { .. }
        | What::Closed { .. }
        | What::Dialled { .. }
        | What::Closing { .. }
        | What::Paused { .. }
        | What::Resumed { .. } => CONNECTIONS,
        What::Called { .. } => CALLS,
        What::Tick => TICKS,
        What::Stored { .. } | What::Storing { .. } => RECORDS,
        What::Interfered { .. } => WORLD,
        What::Drained { .. } | What::Noted { .. } | What::Linked { .. } => return None,
        _ => EVENTS,
    })
}

/// A message, and its connection.
pub(super) const fn passing(what: &What) -> Option<(u64, &Passing)> {
    match what {
        What::Sent { conn, message } | What::Received { conn, message, .. } => {
            Some((*conn, message))
        }
        _ => None,
    }
}

/// The connection that something happened to.
pub(super) const fn conn(what: &What) -> Option<u64> {
    match what {
        What::Accepted { conn, .. } => *conn,
        What::Opened { conn }
        | What::Received { conn, .. }
        | What::Closed { conn, .. }
        | What::Dialled { conn, .. }
        | What::Sent { conn, .. }
        | What::Closing { conn, .. }
        | What::Paused { conn }
        | What::Resumed { conn }
        | What::Registered { conn, .. }
        | What::Paired { conn, .. }
        | What::Connected { conn, .. }
        | What::Delivered { conn, .. }
        | What::Ended { conn, .. }
        | What::Undelivered { conn, .. }
        | What::Diagnosed { conn, .. } => Some(*conn),
        _ => None,
    }
}

/// Whether it is something that goes on without a connection that is due, or breaks one off.
pub(super) const fn is_trouble(what: &What) -> bool {
    matches!(
        what,
        What::Stopped
            | What::Accepted { conn: None, .. }
            | What::Closed {
                how: How::Lost | How::NotOpened,
                ..
            }
            | What::Called {
                refused: Some(_),
                ..
            }
            | What::Offline { .. }
            | What::Undelivered { .. }
            | What::Diagnosed { .. }
            | What::NotStored { .. }
            | What::Stored { ok: false, .. }
            | What::Interfered { .. }
    )
}

/// The groups that have steps. The steps are then told by their places in this list.
pub(super) fn used(steps: &mut [Step]) -> Vec<Group> {
    let mut places = [None; NAMES.len()];
    for step in steps.iter() {
        places[step.group] = Some(0);
    }
    let mut groups = Vec::new();
    for (group, place) in places.iter_mut().enumerate() {
        if let Some(place) = place {
            *place = groups.len();
            groups.push(Group {
                name: name(group),
                layer: group <= UNNAMED,
            });
        }
    }
    for step in steps {
        step.group = places[step.group].unwrap_or_default();
    }
    groups
}
