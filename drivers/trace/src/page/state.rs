//! What a line changes in what is known of its machine.

use std::collections::BTreeMap;

use super::data::{Change, To};
use super::text::{shown, told};
use crate::line::What;

/// The changes, with the connections that they are of.
pub(super) fn changes(lane: usize, what: &What) -> Vec<Change> {
    let of = |conn: &u64, state: String| (Some(*conn), To::State(state));
    let begun = |conn: &u64, state: String| (Some(*conn), To::Begun(state));
    let changes = match what {
        What::Started { machine, window } => {
            let window = match window {
                0 => String::new(),
                window => format!(", reorder window {window}"),
            };
            vec![(None, To::Up(format!("{}{window}", shown(machine))))]
        }
        What::Stopped => vec![(None, To::Down(true))],
        What::Dialled { conn, url } => vec![begun(conn, format!("dials {}", shown(url)))],
        What::Accepted {
            conn: Some(conn), ..
        } => vec![begun(conn, "open, came in".into())],
        What::Opened { conn } => vec![begun(conn, "open".into())],
        What::Registered { conn, key } => {
            vec![of(conn, format!("spare, listens for {}", shown(key)))]
        }
        What::HandedOver { spare, initiator } => vec![
            of(spare, format!("relayed with {initiator}")),
            of(initiator, format!("relayed with {spare}")),
        ],
        What::Paired { conn, role, .. } => {
            vec![of(conn, format!("paired as {}", shown(role)))]
        }
        What::Connected { conn, role, .. } => {
            vec![of(conn, format!("connected as {}", shown(role)))]
        }
        What::Closing { conn, .. } => vec![of(conn, "closing".into())],
        What::Ended { conn, fault, .. } => vec![of(
            conn,
            match fault {
                Some(fault) => format!("ended in step {}", shown(&fault.step)),
                None => "ended, all was said".into(),
            },
        )],
        What::Closed { conn, .. } => vec![(Some(*conn), To::Gone(true))],
        What::Online { url } => vec![(None, To::Reached(format!("online at {}", shown(url))))],
        What::Offline { url, .. } => {
            vec![(None, To::Reached(format!("offline at {}", shown(url))))]
        }
        _ => Vec::new(),
    };
    let told = is_told(what).then(|| (None, To::Told(told(what))));
    changes
        .into_iter()
        .chain(told)
        .map(|(conn, to)| Change {
            lane,
            conn: conn.map(|conn| conn.to_string()),
            to,
        })
        .collect()
}

/// Whether a machine tells something by it.
const fn is_told(what: &What) -> bool {
    matches!(
        what,
        What::Online { .. }
            | What::Offline { .. }
            | What::Registered { .. }
            | What::HandedOver { .. }
            | What::Paired { .. }
            | What::Expired
            | What::Connected { .. }
            | What::Delivered { .. }
            | What::Ended { .. }
            | What::Undelivered { .. }
            | What::Diagnosed { .. }
            | What::NotStored { .. }
            | What::Says { .. }
    )
}

/// The last change of each kind, by its name. Sorted like that, what begins a connection comes first.
type Last = BTreeMap<&'static str, Change>;

/// What many changes come to.
#[derive(Default)]
pub(super) struct Before(BTreeMap<usize, Machine>);

/// One machine.
#[derive(Default)]
struct Machine {
    own: Last,
    conns: BTreeMap<String, Last>,
}

impl Before {
    pub(super) fn add(&mut self, change: Change) {
        let machine = self.0.entry(change.lane).or_default();
        let name = change.to.name();
        match (&change.conn, &change.to) {
            (Some(conn), To::Gone(_)) => _ = machine.conns.remove(conn),
            (Some(conn), to) => {
                let last = machine.conns.entry(conn.clone()).or_default();
                if matches!(to, To::Begun(_)) {
                    last.clear();
                }
                last.insert(name, change);
            }
            (None, to) => {
                if matches!(to, To::Up(_) | To::Down(_)) {
                    *machine = Machine::default();
                }
                machine.own.insert(name, change);
            }
        }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        let machines = self.0.into_values();
        machines
            .flat_map(|machine| core::iter::once(machine.own).chain(machine.conns.into_values()))
            .flat_map(BTreeMap::into_values)
            .collect()
    }
}
