//! A machine whose inputs and effects are written down as they happen, under any driver.

use core::ops::Deref;
use std::sync::Arc;

use chumwire::channel::SendError;
use chumwire::chum::Endpoint;
use chumwire::contact::{Contact, ContactInstance};
use chumwire::crypto::Suite;
use chumwire::establish::Group;
use chumwire::fault::Part;
use chumwire::hex;
use chumwire::identity::Identity;
use chumwire::io::{Closed, ConnId, Effect, Full, Machine, Message, NotStored, Source, StoreId};
use chumwire::node::{Event, Misuse, Node, Record};
use chumwire::objects::{InstanceId, PersonId};
use chumwire::pairing::{Invitation, InvitationId};
use chumwire::relay::{Relay, RelayEvent};
use chumwire::time::{Deadline, Micros, Millis, Now};

use crate::call::{Call, refusal};
use crate::line::{Line, What};
use crate::passing::Passing;
use crate::start::Start;

/// Where lines go.
pub trait Sink: Send {
    /// One more line.
    fn line(&mut self, line: &Line);
    /// Nothing more for now: a good moment to flush.
    fn idle(&mut self) {}
}

/// A machine that tells its inputs and effects to any number of sinks; to none, it costs next to nothing.
///
/// It is driven as the machine itself, through [`Machine`]. What can be called on a node is here under the same
/// names, so that calls are written down, too; to look at the machine it dereferences to it.
pub struct Traced<M> {
    machine: M,
    who: Arc<str>,
    window: usize,
    sinks: Vec<(bool, Box<dyn Sink>)>,
    /// The wall clock minus the monotonic one, in milliseconds, as the lines so far have it.
    wall: i128,
    now: Now,
}

impl<M> Deref for Traced<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.machine
    }
}

/// An effect's event and record, as lines have them.
pub(crate) trait Telling: Machine<Answer = Result<(), NotStored>> {
    /// What it tells.
    fn told(event: &Self::Event, bytes: &[u8], secrets: bool) -> Option<What>;
    /// What it stores.
    fn storing(id: StoreId, record: &Self::Record, secrets: bool) -> What;
}

impl<S: Suite> Telling for Node<S> {
    fn told(event: &Event, bytes: &[u8], secrets: bool) -> Option<What> {
        What::of_event(event, bytes, secrets)
    }

    fn storing(id: StoreId, record: &Record, secrets: bool) -> What {
        What::of_record(id.0, record, secrets)
    }
}

impl<S: Suite> Telling for Relay<S> {
    fn told(event: &RelayEvent, _: &[u8], _: bool) -> Option<What> {
        What::of_relay_event(event)
    }

    fn storing(_: StoreId, record: &core::convert::Infallible, _: bool) -> What {
        match *record {}
    }
}

/// An effect as a line has it. `None` for one that this crate does not know.
pub(crate) fn of_effect<M: Telling>(
    effect: &Effect<M::Event, M::Record>,
    bytes: &[u8],
    secrets: bool,
) -> Option<What> {
    Some(match effect {
        Effect::Dial { conn, url } => What::Dialled {
            conn: conn.0,
            url: url.clone(),
        },
        Effect::Send { conn, kind } => What::Sent {
            conn: conn.0,
            message: Passing::of(*kind, bytes, secrets),
        },
        Effect::Close { conn, code, reason } => What::Closing {
            conn: conn.0,
            code: *code,
            reason: reason.clone(),
        },
        Effect::Pause(conn) => What::Paused { conn: conn.0 },
        Effect::Resume(conn) => What::Resumed { conn: conn.0 },
        Effect::Store { id, record } => M::storing(*id, record, secrets),
        Effect::Event(event) => M::told(event, bytes, secrets)?,
        _ => return None,
    })
}

impl<M> Traced<M> {
    /// A machine that was started like this. `wall` is the wall clock at the monotonic clock's zero, as the headers of
    /// the traces have it.
    pub fn new(machine: M, start: &Start, wall: u64) -> Self {
        Self {
            machine,
            who: start.machine().into(),
            window: start.window(),
            sinks: Vec::new(),
            wall: wall.into(),
            now: Now::default(),
        }
    }

    /// Sends lines to one more sink, with secrets or without.
    pub fn tell(&mut self, secrets: bool, mut sink: Box<dyn Sink>) {
        sink.line(&Line {
            at: self.now.mono.0,
            wall: None,
            who: self.who.clone(),
            what: What::Started {
                machine: (*self.who).into(),
                window: self.window,
            },
        });
        self.sinks.push((secrets, sink));
    }

    /// The machine itself.
    pub fn into_inner(self) -> M {
        self.machine
    }

    fn line(&mut self, now: Now, mut what: impl FnMut(&M, bool) -> Option<What>) {
        if self.sinks.is_empty() {
            return;
        }
        self.now = now;
        let offset = i128::from(now.wall.0) - i128::from(now.mono.as_millis());
        let wall = (offset != self.wall).then_some(now.wall.0);
        self.wall = offset;
        for (secrets, sink) in &mut self.sinks {
            if let Some(what) = what(&self.machine, *secrets) {
                sink.line(&Line {
                    at: now.mono.0,
                    wall,
                    who: self.who.clone(),
                    what,
                });
            }
        }
    }

    fn called(&mut self, now: Now, refused: Option<String>, call: impl FnOnce() -> Call) {
        if self.sinks.is_empty() {
            return;
        }
        let call = serde_json::to_value(call()).unwrap_or_default();
        let name = call.get("call").and_then(|name| name.as_str());
        let name = name.unwrap_or_default().to_owned();
        let args = call.get("args").cloned();
        self.line(now, |_, secrets| {
            Some(What::Called {
                call: name.clone(),
                args: if secrets { args.clone() } else { None },
                refused: refused.clone(),
            })
        });
    }
}

impl<M: Telling> Machine for Traced<M> {
    type Event = M::Event;
    type Record = M::Record;
    type Answer = Result<(), NotStored>;

    fn accept(&mut self, now: Now, from: Source) -> Option<ConnId> {
        let conn = self.machine.accept(now, from);
        self.line(now, |_, secrets| {
            let source = match from {
                Source::Address(address) if secrets => Some(hex::encode(&address)),
                _ => None,
            };
            Some(What::Accepted {
                conn: conn.map(|conn| conn.0),
                source,
            })
        });
        conn
    }

    fn opened(&mut self, now: Now, conn: ConnId) {
        self.machine.opened(now, conn);
        self.line(now, |_, _| Some(What::Opened { conn: conn.0 }));
    }

    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        let taken = self.machine.message(now, conn, message);
        self.line(now, |_, secrets| {
            Some(What::Received {
                conn: conn.0,
                message: Passing::of(message.kind(), message.bytes(), secrets),
                full: taken.is_err(),
            })
        });
        taken
    }

    fn drained(&mut self, now: Now, conn: ConnId) {
        self.machine.drained(now, conn);
        self.line(now, |_, _| Some(What::Drained { conn: conn.0 }));
    }

    fn closed(&mut self, now: Now, conn: ConnId, how: Closed) {
        self.machine.closed(now, conn, how.clone());
        self.line(now, |_, _| Some(What::of_close(conn, &how)));
    }

    fn stored(&mut self, now: Now, id: StoreId, result: Result<(), NotStored>) {
        self.machine.stored(now, id, result);
        self.line(now, |_, _| {
            Some(What::Stored {
                id: id.0,
                ok: result.is_ok(),
            })
        });
    }

    fn tick(&mut self, now: Now) {
        self.machine.tick(now);
        self.line(now, |_, _| Some(What::Tick));
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Effect<M::Event, M::Record>> {
        let effect = self.machine.poll(bytes);
        // An effect is as old as the input that it follows from.
        match &effect {
            Some(effect) => self.line(self.now, |_, secrets| {
                of_effect::<M>(effect, bytes, secrets)
            }),
            None => self.sinks.iter_mut().for_each(|(_, sink)| sink.idle()),
        }
        effect
    }

    fn deadline(&self) -> Option<Deadline> {
        self.machine.deadline()
    }
}

/// As on [`Node`].
#[expect(clippy::missing_errors_doc, reason = "told at the methods of Node")]
impl<S: Suite> Traced<Node<S>> {
    /// [`Node::listen`]
    pub fn listen(&mut self, now: Now, relay: Option<&str>) -> Result<(), Misuse> {
        let result = self.machine.listen(now, relay);
        self.called(now, refusal(&result), || {
            Call::Listen(relay.map(Into::into))
        });
        result
    }

    /// [`Node::set_url`]
    pub fn set_url(&mut self, now: Now, url: Option<String>) -> Result<(), Misuse> {
        let result = self.machine.set_url(url.clone());
        self.called(now, refusal(&result), || Call::SetUrl(url));
        result
    }

    /// [`Node::invite`]
    pub fn invite(&mut self, now: Now, life: Micros, url: &str) -> Result<Invitation, Misuse> {
        let result = self.machine.invite(now, life, url);
        self.called(now, refusal(&result), || Call::Invite {
            life: life.0,
            url: url.into(),
        });
        result
    }

    /// [`Node::revoke`]
    pub fn revoke(&mut self, now: Now, id: InvitationId) -> Result<(), Misuse> {
        let result = self.machine.revoke(now, id);
        self.called(now, refusal(&result), || Call::Revoke(id));
        result
    }

    /// [`Node::revoke_all`]
    pub fn revoke_all(&mut self, now: Now) -> usize {
        let count = self.machine.revoke_all(now);
        self.called(now, None, || Call::RevokeAll);
        count
    }

    /// [`Node::join`]
    pub fn join(&mut self, now: Now, invitation: &Invitation) -> Result<ConnId, Misuse> {
        let result = self.machine.join(now, invitation);
        self.called(now, refusal(&result), || Call::Join(invitation.json()));
        result
    }

    /// [`Node::connect`]
    pub fn connect(&mut self, now: Now, person: PersonId, group: Group) -> Result<(), Misuse> {
        let name = group.name().to_owned();
        let result = self.machine.connect(now, person, group);
        self.called(now, refusal(&result), || Call::Connect {
            person,
            group: name,
        });
        result
    }

    /// [`Node::disconnect`]
    pub fn disconnect(&mut self, now: Now, person: PersonId, group: &Group) {
        self.machine.disconnect(now, person, group);
        self.called(now, None, || Call::Disconnect {
            person,
            group: group.name().to_owned(),
        });
    }

    /// [`Node::send`]
    pub fn send(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), SendError> {
        let result = self.machine.send(now, conn, message);
        self.called(now, refusal(&result), || Call::Send {
            conn: conn.0,
            kind: message.kind().into(),
            data: match message {
                Message::Text(text) => text.into(),
                Message::Binary(bytes) => hex::encode(bytes),
            },
        });
        result
    }

    /// [`Node::close`]
    pub fn close(&mut self, now: Now, conn: ConnId) {
        self.machine.close(now, conn);
        self.called(now, None, || Call::Close(conn.0));
    }

    /// [`Node::forget`]
    pub fn forget(
        &mut self,
        now: Now,
        person: PersonId,
        hide_before: Option<Millis>,
    ) -> Result<(), Misuse> {
        let result = self.machine.forget(now, person, hide_before);
        self.called(now, refusal(&result), || Call::Forget {
            person,
            hide_before,
        });
        result
    }

    /// [`Node::learn`]
    pub fn learn(
        &mut self,
        now: Now,
        person: PersonId,
        devices: &[ContactInstance],
    ) -> Result<Vec<(InstanceId, Part)>, Misuse> {
        let result = self.machine.learn(now, person, devices);
        self.called(now, refusal(&result), || Call::Learn {
            person,
            devices: devices.to_vec(),
        });
        result
    }

    /// [`Node::reseed`]
    pub fn reseed(&mut self, now: Now, entropy: &[u8; 32]) {
        self.machine.reseed(entropy);
        self.called(now, None, || Call::Reseed(hex::encode(entropy)));
    }

    /// [`Node::shutdown`]
    pub fn shutdown(&mut self, now: Now) {
        self.machine.shutdown(now);
        self.called(now, None, || Call::Shutdown);
    }
}

/// As on [`Relay`].
impl<S: Suite> Traced<Relay<S>> {
    /// [`Relay::shutdown`]
    pub fn shutdown(&mut self, now: Now) {
        self.machine.shutdown(now);
        self.called(now, None, || Call::Shutdown);
    }
}

impl<S: Suite> Endpoint for Traced<Node<S>> {
    fn send(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), SendError> {
        Self::send(self, now, conn, message)
    }

    fn close(&mut self, now: Now, conn: ConnId) {
        Self::close(self, now, conn);
    }

    fn connect(&mut self, now: Now, person: PersonId, group: Group) -> Result<(), Misuse> {
        Self::connect(self, now, person, group)
    }

    fn learn(
        &mut self,
        now: Now,
        person: PersonId,
        devices: &[ContactInstance],
    ) -> Result<Vec<(InstanceId, Part)>, Misuse> {
        Self::learn(self, now, person, devices)
    }

    fn identity(&self) -> &Identity {
        self.machine.identity()
    }

    fn url(&self) -> Option<&str> {
        self.machine.url()
    }

    fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.machine.contacts()
    }

    fn peer_key(&self, conn: ConnId) -> Option<[u8; 32]> {
        self.machine.peer_key(conn)
    }
}
