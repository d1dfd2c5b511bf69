//! From what a machine tells to a line's content.

use chumwire::channel::Diagnosis;
use chumwire::fault::{Fault, JsonFault, Refusal, TokenFault, Why};
use chumwire::io::{Closed, ConnId};
use chumwire::node::{Event, Purpose, Record};
use chumwire::note::Note;
use chumwire::relay::RelayEvent;

use crate::line::{FaultLine, How, What};
use crate::passing::Passing;

impl What {
    /// What a node tells. `bytes` is the buffer that was given to `poll`; a message's content goes in only with
    /// secrets. `None` for an event that this crate does not know.
    #[must_use]
    pub fn of_event(event: &Event, bytes: &[u8], secrets: bool) -> Option<Self> {
        Some(match event {
            Event::Online { url } => Self::Online { url: url.clone() },
            Event::Offline { url, fault } => Self::Offline {
                url: url.clone(),
                fault: fault.into(),
            },
            Event::Paired {
                conn,
                role,
                contact,
                ..
            } => Self::Paired {
                conn: conn.0,
                role: role.name().into(),
                person: start_of(contact.person_id),
            },
            Event::Expired(_) => Self::Expired,
            Event::Connected {
                conn,
                role,
                person,
                group,
                extensions: _,
            } => Self::Connected {
                conn: conn.0,
                role: role.name().into(),
                person: start_of(person),
                group: group.name().into(),
            },
            Event::Message { conn, kind } => Self::Delivered {
                conn: conn.0,
                message: Passing::private(*kind, bytes, secrets),
            },
            Event::Ended {
                conn,
                purpose,
                role,
                fault,
            } => Self::Ended {
                conn: conn.0,
                purpose: purpose_name(purpose).into(),
                role: role.map(|role| role.name().into()),
                fault: fault.as_ref().map(Into::into),
            },
            Event::Undelivered { conn, frames } => Self::Undelivered {
                conn: conn.0,
                frames: *frames,
            },
            Event::Diagnosed { conn, diagnosis } => Self::of_diagnosis(*conn, diagnosis),
            Event::StoreFailed(record) => Self::NotStored {
                record: record_name(record).into(),
            },
            Event::Note { conn, note } => Self::of_note(*conn, note),
            _ => return None,
        })
    }

    /// What a relay tells. `None` for an event that this crate does not know.
    #[must_use]
    pub fn of_relay_event(event: &RelayEvent) -> Option<Self> {
        Some(match event {
            RelayEvent::Registered { conn, key } => Self::Registered {
                conn: conn.0,
                key: start_of(key),
            },
            RelayEvent::HandedOver {
                spare, initiator, ..
            } => Self::HandedOver {
                spare: spare.0,
                initiator: initiator.0,
            },
            RelayEvent::Ended { conn, fault } => Self::Ended {
                conn: conn.0,
                purpose: "relay".into(),
                role: None,
                fault: Some(fault.into()),
            },
            RelayEvent::Note { conn, note } => Self::of_note(*conn, note),
            _ => return None,
        })
    }

    fn of_note(conn: ConnId, note: &Note) -> Self {
        Self::Noted {
            conn: conn.0,
            layer: note.layer.name().into(),
            name: note.name.into(),
            sent: note.sent,
            bytes: note.bytes,
            nonce: note.nonce,
        }
    }

    fn of_diagnosis(conn: ConnId, diagnosis: &Diagnosis) -> Self {
        Self::Diagnosed {
            conn: conn.0,
            diagnosis: diagnosis.code().into(),
            message: diagnosis.to_string(),
        }
    }

    /// A connection is gone, as a machine was told.
    #[must_use]
    pub fn of_close(conn: ConnId, how: &Closed) -> Self {
        let (how, code, reason) = match how {
            Closed::ByPeer { code, reason } => (How::ByPeer, Some(*code), reason),
            Closed::Lost(cause) => (How::Lost, None, cause),
            Closed::NotOpened(cause) => (How::NotOpened, None, cause),
        };
        Self::Closed {
            conn: conn.0,
            how,
            code,
            reason: reason.clone(),
        }
    }

    /// A record is to be stored.
    #[must_use]
    pub fn of_record(id: u64, record: &Record, secrets: bool) -> Self {
        Self::Storing {
            id,
            record: record_name(record).into(),
            // A record that cannot be written down is none that this crate knows.
            data: secrets.then(|| serde_json::to_value(record).unwrap_or_default()),
        }
    }
}

impl From<&Fault> for FaultLine {
    fn from(fault: &Fault) -> Self {
        Self {
            step: fault.step.name().into(),
            code: fault.why.code().into(),
            detail: detail(&fault.why),
            message: fault.why.to_string(),
        }
    }
}

/// What a cause says beyond its code.
fn detail(why: &Why) -> Option<String> {
    Some(match why {
        Why::Refused { refusal } => refusal_name(*refusal).into(),
        Why::Token { token } => token_name(*token).into(),
        Why::ClosedByPeer { reason, .. } => reason.clone(),
        Why::Json {
            fault: JsonFault::Command { expected, got },
        } => format!("{expected}, not {got}"),
        Why::IdentityMismatch { part } | Why::KnownPerson { part } => part.to_string(),
        Why::GroupNotServed { group } => group.clone(),
        Why::Frame { counter } => counter.to_string(),
        Why::Limit { what, .. } => (*what).into(),
        _ => return None,
    })
}

const fn refusal_name(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownTarget => "unknown_target",
        Refusal::PersonKeyTarget => "person_key",
        Refusal::Oneself => "oneself",
        Refusal::UnwantedPeer => "unwanted_peer",
    }
}

const fn token_name(token: TokenFault) -> &'static str {
    match token {
        TokenFault::Unknown => "unknown",
        TokenFault::Expired { .. } => "expired",
        TokenFault::Used => "used",
        TokenFault::Revoked => "revoked",
        TokenFault::Held => "held",
        TokenFault::OtherPerson => "other_person",
    }
}

const fn purpose_name(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Listen => "listen",
        Purpose::Incoming => "incoming",
        Purpose::Join => "join",
        Purpose::Route(..) => "route",
        _ => "other",
    }
}

const fn record_name(record: &Record) -> &'static str {
    match record {
        Record::Paired { .. } => "paired",
        Record::Contact(_) => "contact",
        Record::Forgotten { .. } => "forgotten",
        Record::Invited(_) => "invited",
        Record::Withdrawn(_) => "withdrawn",
        _ => "other",
    }
}

/// Enough of an id or public key to tell it from others.
fn start_of(id: impl core::fmt::Display) -> String {
    id.to_string().chars().take(8).collect()
}
