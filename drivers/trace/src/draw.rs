//! A trace as a sequence diagram.

use chumwire::time::Micros;

use crate::diagram::{Diagram, Stroke};
use crate::flights::Flights;
use crate::lanes::Lanes;
use crate::line::What;
use crate::names::{Name, Names};
use crate::passing::Passing;
use crate::read::Trace;

/// Room for the time.
const MARGIN: usize = 14;

/// Draws a trace: messages when they arrive, those that never do when they are sent, and what machines told.
#[must_use]
pub fn draw(trace: &Trace) -> String {
    let (flights, names) = (Flights::of(trace), Names::of(&trace.lines));
    let lanes = Lanes::of(trace, &flights);
    let mut diagram = Diagram::new(MARGIN, lanes.names().iter().copied());
    let never_came = flights.never_came_as_sent();
    let outside = lanes.last();
    for (index, line) in trace.lines.iter().enumerate() {
        let at = Micros(line.at).to_string();
        let who = lanes.of_party(&line.who);
        let far = flights.far(index).map(|end| lanes.of_party(end.0));
        match &line.what {
            What::Received {
                conn,
                message,
                full: false,
            } => {
                let from = far.unwrap_or(outside);
                let (label, stroke) = label(message, *conn, names.told(index, message));
                // A mirror sends one's own messages back.
                if from != who {
                    diagram.arrow(&at, from, who, &label, stroke);
                }
            }
            What::Sent { conn, message } => {
                let (label, stroke) = label(message, *conn, names.told(index, message));
                match far {
                    Some(to) if never_came.contains(&index) => {
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

fn label(message: &Passing, conn: u64, noted: Option<Name<'_>>) -> (String, Stroke) {
    let unknown = message.name.as_deref().unwrap_or("message");
    let (name, nonce) = noted.map_or((unknown, None), |noted| (noted.name, noted.nonce));
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
