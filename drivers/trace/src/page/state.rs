//! What a line changes in what is known of its machine.

use std::collections::BTreeMap;

use super::data::{Change, To};
use super::text::shown;
use crate::line::What;

/// The changes, with the connections that they are of.
pub(super) fn changes(lane: usize, what: &What) -> Vec<Change> {
    let of = |conn: &u64, state: String| (Some(*conn), To::State(state));
    let changes = match what {
        What::Started { machine, window } => {
            let window = match window {
                0 => String::new(),
                window => format!(", reorder window {window}"),
            };
            vec![(None, To::Up(format!("{}{window}", shown(machine))))]
        }
        What::Stopped => vec![(None, To::Down(true))],
        What::Dialled { conn, url } => vec![of(conn, format!("dials {}", shown(url)))],
        What::Accepted {
            conn: Some(conn), ..
        } => vec![of(conn, "open, came in".into())],
        What::Opened { conn } => vec![of(conn, "open".into())],
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
    let told = is_told(what).then(|| (None, To::Told(shown(&what.to_string()))));
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

/// What many changes come to.
#[derive(Default)]
pub(super) struct Before(BTreeMap<(usize, Option<String>, &'static str), Change>);

impl Before {
    pub(super) fn add(&mut self, change: Change) {
        let (lane, conn) = (change.lane, &change.conn);
        match change.to {
            To::Down(_) => self.0.retain(|(of, ..), _| *of != lane),
            To::Up(_) => _ = self.0.remove(&(lane, None, To::Down(true).name())),
            To::Gone(_) => {
                let of = |to: To| (lane, conn.clone(), to.name());
                self.0.remove(&of(To::State(String::new())));
                self.0.remove(&of(To::Last(String::new())));
                return;
            }
            _ => {}
        }
        let place = (lane, conn.clone(), change.to.name());
        self.0.insert(place, change);
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.0.into_values().collect()
    }
}
