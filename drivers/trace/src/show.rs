//! A line as people read it.

use core::fmt;

use chumwire::time::Micros;

use crate::line::{Line, What};
use crate::passing::{Passing, Sort};

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.kind) {
            (Some(name), _) => f.write_str(name)?,
            (None, Sort::Text) => f.write_str("text")?,
            (None, Sort::Binary) => f.write_str("binary")?,
        }
        write!(f, ", {} B", self.bytes)?;
        match &self.hash {
            Some(hash) => write!(f, ", {}", hash.get(..8).unwrap_or(hash)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", Micros(self.at), self.who, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { machine, window: 0 } => write!(f, "starts as {machine}"),
            Self::Started { machine, window } => {
                write!(f, "starts as {machine}, reorder window {window}")
            }
            Self::Stopped => f.write_str("is gone"),
            Self::Accepted {
                conn: Some(conn), ..
            } => write!(f, "{conn} accepted"),
            Self::Accepted { conn: None, .. } => f.write_str("refuses a connection: too many"),
            Self::Opened { conn } => write!(f, "{conn} open"),
            Self::Received {
                conn,
                message,
                full,
            } => {
                write!(f, "{conn} <- {message}")?;
                f.write_str(if *full { " (full)" } else { "" })
            }
            Self::Drained { conn } => write!(f, "{conn} drained"),
            Self::Closed {
                conn, how, reason, ..
            } => write!(f, "{conn} closed ({how:?}: {reason})"),
            Self::Stored { id, ok: true } => write!(f, "record {id} is stored"),
            Self::Stored { id, ok: false } => write!(f, "record {id} cannot be stored"),
            Self::Tick => f.write_str("tick"),
            Self::Called { call, refused, .. } => match refused {
                None => write!(f, "is told to {call}"),
                Some(refused) => write!(f, "is told to {call}, and refuses: {refused}"),
            },
            Self::Dialled { conn, url } => write!(f, "{conn} dials {url}"),
            Self::Sent { conn, message } => write!(f, "{conn} -> {message}"),
            Self::Closing {
                conn, code, reason, ..
            } => write!(f, "{conn} closes: {code} {reason}"),
            Self::Paused { conn } => write!(f, "{conn} pauses"),
            Self::Resumed { conn } => write!(f, "{conn} goes on"),
            Self::Storing { id, record, .. } => write!(f, "stores record {id}: {record}"),
            Self::Noted {
                conn,
                layer,
                name,
                sent,
                nonce,
                ..
            } => {
                let verb = if *sent { "sent" } else { "received" };
                write!(f, "{conn} {verb} {name} ({layer}")?;
                match nonce {
                    Some(nonce) => write!(f, ", #{nonce})"),
                    None => f.write_str(")"),
                }
            }
            Self::Online { url } => write!(f, "is online at {url}"),
            Self::Offline { url, fault } => {
                write!(
                    f,
                    "is offline at {url}: step {}: {}",
                    fault.step, fault.message
                )
            }
            Self::Registered { conn, key } => write!(f, "{conn} listens for {key}"),
            Self::HandedOver { spare, initiator } => {
                write!(f, "relays between {initiator} and {spare}")
            }
            Self::Paired { conn, role, person } => {
                write!(f, "{conn} paired as {role} with {person}")
            }
            Self::Expired => f.write_str("an invitation expired"),
            Self::Connected {
                conn,
                role,
                person,
                group,
            } => write!(f, "{conn} connected as {role} with {person} for {group}"),
            Self::Delivered { conn, message } => write!(f, "{conn} delivers {message}"),
            Self::Ended {
                conn,
                fault: Some(fault),
                ..
            } => write!(f, "{conn} ended: step {}: {}", fault.step, fault.message),
            Self::Ended {
                conn, fault: None, ..
            } => write!(f, "{conn} ended"),
            Self::Undelivered { conn, frames } => write!(f, "{conn} drops {frames} held frames"),
            Self::Diagnosed { conn, message, .. } => write!(f, "{conn} diagnosed: {message}"),
            Self::NotStored { record } => write!(f, "could not store: {record}"),
            Self::Says { words } => write!(f, "says {words}"),
            Self::Linked { conn, to, accepted } => {
                write!(f, "{conn} is connected to {to}'s {accepted}")
            }
            Self::Interfered { fault } => write!(f, "interference: {fault}"),
        }
    }
}
