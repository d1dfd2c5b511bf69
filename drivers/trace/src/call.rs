//! What an embedder calls on a machine: an input like any other, so it is in the trace, and can be called again.

use chumwire::contact::ContactInstance;
use chumwire::crypto::Suite;
use chumwire::establish::Group;
use chumwire::hex;
use chumwire::io::{ConnId, Kind, Message};
use chumwire::node::Node;
use chumwire::objects::PersonId;
use chumwire::pairing::{Invitation, InvitationId};
use chumwire::relay::Relay;
use chumwire::time::{Micros, Millis, Now};
use serde::{Deserialize, Serialize};

use crate::passing::{Sort, bytes_of};

/// A call, with what it was given. Some of it is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", content = "args", rename_all = "snake_case")]
pub(crate) enum Call {
    Listen(Option<String>),
    SetUrl(Option<String>),
    Invite {
        life: u64,
        url: String,
    },
    Revoke(InvitationId),
    RevokeAll,
    Join(String),
    Connect {
        person: PersonId,
        group: String,
    },
    Disconnect {
        person: PersonId,
        group: String,
    },
    Send {
        conn: u64,
        kind: Sort,
        data: String,
    },
    Close(u64),
    Forget {
        person: PersonId,
        hide_before: Option<Millis>,
    },
    Learn {
        person: PersonId,
        devices: Vec<ContactInstance>,
    },
    Reseed(String),
    Shutdown,
}

/// A machine whose calls can be repeated.
pub(crate) trait Callable {
    /// Calls; the sentence of a refusal, if it is refused. `Err` if this machine has no such call, or its arguments
    /// are none.
    fn call(&mut self, now: Now, call: &Call) -> Result<Option<String>, NoCall>;
}

/// A call that cannot be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoCall;

/// The sentence of a refusal.
pub(crate) fn refusal<T, E: core::fmt::Display>(result: &Result<T, E>) -> Option<String> {
    result.as_ref().err().map(ToString::to_string)
}

impl<S: Suite> Callable for Node<S> {
    fn call(&mut self, now: Now, call: &Call) -> Result<Option<String>, NoCall> {
        Ok(match call {
            Call::Listen(relay) => refusal(&self.listen(now, relay.as_deref())),
            Call::SetUrl(url) => refusal(&self.set_url(url.clone())),
            Call::Invite { life, url } => refusal(&self.invite(now, Micros(*life), url)),
            Call::Revoke(id) => refusal(&self.revoke(now, *id)),
            Call::RevokeAll => {
                self.revoke_all(now);
                None
            }
            Call::Join(text) => {
                let invitation = Invitation::read(text).map_err(|_| NoCall)?;
                refusal(&self.join(now, &invitation))
            }
            Call::Connect { person, group } => {
                refusal(&self.connect(now, *person, Group::named(group)))
            }
            Call::Disconnect { person, group } => {
                self.disconnect(now, *person, &Group::named(group));
                None
            }
            Call::Send { conn, kind, data } => {
                let bytes = match kind {
                    Sort::Text => data.as_bytes().to_vec(),
                    Sort::Binary => bytes_of(data).ok_or(NoCall)?,
                };
                let message = Message::of(Kind::from(*kind), &bytes).map_err(|_| NoCall)?;
                refusal(&self.send(now, ConnId(*conn), message))
            }
            Call::Close(conn) => {
                self.close(now, ConnId(*conn));
                None
            }
            Call::Forget {
                person,
                hide_before,
            } => refusal(&self.forget(now, *person, *hide_before)),
            Call::Learn { person, devices } => refusal(&self.learn(now, *person, devices)),
            Call::Reseed(digits) => {
                self.reseed(&hex::decode(digits).ok_or(NoCall)?);
                None
            }
            Call::Shutdown => {
                self.shutdown(now);
                None
            }
        })
    }
}

impl<S: Suite> Callable for Relay<S> {
    fn call(&mut self, now: Now, call: &Call) -> Result<Option<String>, NoCall> {
        match call {
            Call::Reseed(digits) => self.reseed(&hex::decode(digits).ok_or(NoCall)?),
            Call::Shutdown => self.shutdown(now),
            _ => return Err(NoCall),
        }
        Ok(None)
    }
}
