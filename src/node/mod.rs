//! A whole instance on the network: spare connections at a relay, direct connections, invitations, contacts, routes.
//! Follows spec 02 (the listener side), 05, 06, 13 and the overview's constants.

mod canonical;
mod check;
mod config;
mod conn;
mod event;
mod learning;
mod look;
mod machine;
mod output;
mod route;
mod routes;
mod shared;
mod spares;
mod timers;
mod told;

pub use config::NodeConfig;
pub use event::{Event, Purpose, Record};
pub use look::{ConnectionInfo, NodeStats};

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use conn::{AfterOpening, Listener, Stage};
use machine::{Inner, Stored};

use crate::channel::SendError;
use crate::contact::{Contact, ContactInstance};
use crate::crypto::{Random, Suite};
use crate::establish::Group;
use crate::fault::{Part, Why};
use crate::identity::{Identity, is_websocket_url};
use crate::io::{Closed, ConnId, Effect, Full, Machine, Message, NotStored, Source, StoreId};
use crate::limits;
use crate::objects::{InstanceId, PersonId};
use crate::pairing::{Invitation, InvitationId, InvitationRecord, InvitationState, TooMany};
use crate::session::Opening;
use crate::time::{Deadline, Micros, Millis, Now};

/// An instance of the ONE platform, as a machine over connections.
///
/// Feed it what happens through [`Machine`], tell it what is wanted with the methods below, poll for what is to be
/// done. The crate's first page has a whole program.
///
/// Two nodes compare equal if they behave equally from now on: deadlines count from the latest input, connections are
/// named in the order of their first use, generator positions and recycled buffers do not count.
#[derive(Clone, Debug)]
pub struct Node<S: Suite> {
    inner: Inner<S>,
}

/// What was asked of a node cannot be: a mistake of the caller. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// A URL does not start with `ws://` or `wss://`.
    #[error("a WebSocket URL is due: ws://… or wss://…")]
    Url,
    /// The invitation is this instance's own.
    #[error("this invitation was made by this very instance")]
    OwnInvitation,
    /// There are too many open invitations.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The person is no contact. Without a pairing there is no connection.
    #[error("not paired with this person")]
    NotPaired,
    /// The contact has no address, and no relay is known.
    #[error("nothing is known of where this contact can be reached")]
    NoAddress,
    /// There is no such invitation that is open.
    #[error("there is no such open invitation")]
    NoInvitation,
    /// The node is shutting down.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// There are as many connections as there may be.
    #[error("there are as many connections as there may be")]
    TooManyConnections,
}

impl<S: Suite> Node<S> {
    /// A node. The seed is 32 bytes of fresh entropy, drawn at each start and never stored.
    ///
    /// # Errors
    /// [`Misuse::Url`]
    pub fn new(config: NodeConfig, seed: [u8; 32], now: Now) -> Result<Self, Misuse> {
        if config
            .url
            .as_deref()
            .is_some_and(|url| !is_websocket_url(url))
        {
            return Err(Misuse::Url);
        }
        Ok(Self {
            inner: Inner::new(config, seed, now),
        })
    }

    /// Who this instance is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.shared.own
    }

    /// Where this instance says that it can be dialled.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.inner.config.url.as_deref()
    }

    /// The key that the instance at the other end of a connection has presented, while there is one.
    #[must_use]
    pub fn peer_key(&self, conn: ConnId) -> Option<[u8; 32]> {
        let link = self.inner.shared.links.get(&conn)?;
        Some(*link.peer.bytes())
    }

    /// Keeps spare connections at a relay from now on, so that others can reach this instance; with `None`, no longer.
    ///
    /// # Errors
    /// [`Misuse::Url`], [`Misuse::ShuttingDown`]
    pub fn listen(&mut self, now: Now, relay: Option<&str>) -> Result<(), Misuse> {
        let now = self.begin(now);
        if relay.is_some_and(|url| !is_websocket_url(url)) {
            return Err(Misuse::Url);
        }
        if self.inner.shutting_down {
            return Err(Misuse::ShuttingDown);
        }
        if self.relay() == relay {
            return Ok(());
        }
        self.inner.listener = relay.map(|url| Listener::new(url.into()));
        self.inner.timers.set(timers::Owner::Listener, None);
        let spares: Vec<ConnId> = self
            .inner
            .conns
            .iter()
            .filter(|(_, conn)| {
                conn.purpose == Purpose::Listen
                    && matches!(conn.stage, Stage::Dialling { .. } | Stage::Spare(_))
            })
            .map(|(id, _)| *id)
            .collect();
        // The old relay's spares go; the new one's come at once.
        let listener = self.inner.listener.take();
        for id in spares {
            self.inner.withdraw(now, id, Why::Shutdown);
        }
        self.inner.listener = listener;
        self.inner.fill_spares(now, false);
        self.end(now);
        Ok(())
    }

    /// The relay at which spare connections are kept.
    #[must_use]
    pub fn relay(&self) -> Option<&str> {
        self.inner
            .listener
            .as_ref()
            .map(|listener| listener.url.as_str())
    }

    /// Whether at least one spare connection is registered.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.inner
            .listener
            .as_ref()
            .is_some_and(|listener| listener.online)
    }

    /// Sets where this instance can be dialled; peers are told in pairings.
    ///
    /// # Errors
    /// [`Misuse::Url`]
    pub fn set_url(&mut self, url: Option<String>) -> Result<(), Misuse> {
        if url.as_deref().is_some_and(|url| !is_websocket_url(url)) {
            return Err(Misuse::Url);
        }
        self.inner.config.url = url;
        Ok(())
    }

    /// Makes an invitation that lives for `life`. It can be used by one person, once, while this instance can be
    /// reached at `url` (a relay's, or its own). The result is a secret.
    ///
    /// # Errors
    /// [`Misuse::Url`], [`Misuse::TooMany`], [`Misuse::ShuttingDown`]
    pub fn invite(&mut self, now: Now, life: Micros, url: &str) -> Result<Invitation, Misuse> {
        let now = self.begin(now);
        if !is_websocket_url(url) {
            return Err(Misuse::Url);
        }
        if self.inner.shutting_down {
            return Err(Misuse::ShuttingDown);
        }
        let Inner { shared, random, .. } = &mut self.inner;
        let (person, key) = (shared.own.person_id(), shared.own.instance_key().public());
        let (invitation, record) =
            shared
                .invitations
                .make(now, random, person, key, url.into(), life)?;
        let id = record.id;
        self.inner.store(Record::Invited(record), |record| {
            Stored::Invitation(id, record)
        });
        self.inner.arm_invitations();
        self.end(now);
        Ok(invitation)
    }

    /// Takes an invitation back. A connection that is pairing with it is closed.
    ///
    /// # Errors
    /// [`Misuse::NoInvitation`]
    pub fn revoke(&mut self, now: Now, id: InvitationId) -> Result<(), Misuse> {
        let now = self.begin(now);
        let holder = self
            .inner
            .shared
            .invitations
            .revoke(now, id)
            .ok_or(Misuse::NoInvitation)?;
        self.inner.store(Record::Withdrawn(id), Stored::Other);
        if let Some(conn) = holder {
            self.inner.withdraw(now, conn, Why::Withdrawn);
        }
        self.inner.arm_invitations();
        self.end(now);
        Ok(())
    }

    /// Takes all open invitations back; tells how many.
    pub fn revoke_all(&mut self, now: Now) -> usize {
        let ids: Vec<InvitationId> = self.invitations().map(|(record, _)| record.id).collect();
        ids.into_iter()
            .filter(|id| self.revoke(now, *id).is_ok())
            .count()
    }

    /// The invitations that are open, or ended lately, with what has become of them.
    pub fn invitations(&self) -> impl Iterator<Item = (&InvitationRecord, InvitationState)> {
        self.inner.shared.invitations.list()
    }

    /// Uses an invitation: dials, and pairs. It ends with [`Event::Paired`] or [`Event::Ended`] of the connection that
    /// is given back.
    ///
    /// # Errors
    /// [`Misuse::OwnInvitation`], [`Misuse::ShuttingDown`], [`Misuse::TooManyConnections`]
    pub fn join(&mut self, now: Now, invitation: &Invitation) -> Result<ConnId, Misuse> {
        let now = self.begin(now);
        let own = self.inner.shared.own.instance_key();
        if invitation.public_key() == own.public() {
            return Err(Misuse::OwnInvitation);
        }
        if self.inner.shutting_down {
            return Err(Misuse::ShuttingDown);
        }
        if self.inner.conns.len() >= self.inner.config.max_connections {
            return Err(Misuse::TooManyConnections);
        }
        let opening = Opening {
            own: own.used_as(),
            target: invitation.public_key(),
            group: Group::Pairing,
            token: Some(invitation.token().clone()),
        };
        let next = AfterOpening::Initiate(opening);
        let conn = self
            .inner
            .dial(now, Purpose::Join, invitation.url().into(), next);
        self.end(now);
        Ok(conn)
    }

    /// Keeps a connection with each device of a contact for a group from now on: dials its address first and the own
    /// relay as the fallback, and again after failures. A connection that the device opens serves as well. Who has just
    /// joined waits half a second: the other side has to store the pairing, too. Said again, it dials at once what is
    /// not connected.
    ///
    /// # Errors
    /// [`Misuse::NotPaired`]: without a pairing no socket is opened. [`Misuse::NoAddress`].
    pub fn connect(&mut self, now: Now, person: PersonId, group: Group) -> Result<(), Misuse> {
        let now = self.begin(now);
        let contact = self.inner.shared.contacts.get(&person);
        let contact = contact.ok_or(Misuse::NotPaired)?.clone();
        if !self.inner.make_routes(now, &contact, &group) {
            return Err(Misuse::NoAddress);
        }
        self.end(now);
        Ok(())
    }

    /// Keeps no connection with this contact for this group any longer, and closes those that this side dialled.
    pub fn disconnect(&mut self, now: Now, person: PersonId, group: &Group) {
        let now = self.begin(now);
        for key in self.inner.routes_to(person, Some(group)) {
            self.inner.drop_route(now, &key);
        }
        self.end(now);
    }

    /// Sends a message on a connection that is [`Event::Connected`].
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed then. After [`SendError::Full`], try again when something was drained.
    pub fn send(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), SendError> {
        let now = self.begin(now);
        self.inner.send(now, conn, message)?;
        self.end(now);
        Ok(())
    }

    /// Closes a connection.
    pub fn close(&mut self, now: Now, conn: ConnId) {
        let now = self.begin(now);
        self.inner.withdraw(now, conn, Why::Withdrawn);
        self.end(now);
    }

    /// All contacts.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.inner.shared.contacts.values()
    }

    /// All connections, in the order of their first use.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionInfo> {
        self.inner
            .conns
            .iter()
            .map(|(id, conn)| ConnectionInfo::of(*id, conn))
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> &NodeStats {
        &self.inner.stats
    }

    /// Removes a contact: its connections are closed, its routes end. With `hide_before`, what was said up to then is
    /// not to be shown again, even if it comes back after another pairing.
    ///
    /// # Errors
    /// [`Misuse::NotPaired`]
    pub fn forget(
        &mut self,
        now: Now,
        person: PersonId,
        hide_before: Option<Millis>,
    ) -> Result<(), Misuse> {
        let now = self.begin(now);
        let contact = self
            .inner
            .shared
            .contacts
            .remove(&person)
            .ok_or(Misuse::NotPaired)?;
        let record = Record::Forgotten {
            person,
            hide_before,
        };
        let forgotten = contact.clone();
        self.inner
            .store(record, |record| Stored::Forgotten(forgotten, record));
        for key in self.inner.routes_to(person, None) {
            self.inner.drop_route(now, &key);
        }
        let conns: Vec<ConnId> = self
            .inner
            .shared
            .links
            .iter()
            .filter(|(_, link)| {
                contact
                    .instances
                    .iter()
                    .any(|i| i.instance_key.presented() == link.peer)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in conns {
            self.inner.withdraw(now, id, Why::Withdrawn);
        }
        self.end(now);
        Ok(())
    }

    /// A contact has told of its devices, in a profile of its own that it sent (spec 13, "Rules for ours"). What is
    /// known of a device stays, but for its URL; a new device is taken in, and dialled where the contact is. Gives what
    /// was not taken: a key that another device has, or another key of a known device.
    ///
    /// # Errors
    /// [`Misuse::NotPaired`]
    pub fn learn(
        &mut self,
        now: Now,
        person: PersonId,
        devices: &[ContactInstance],
    ) -> Result<Vec<(InstanceId, Part)>, Misuse> {
        let now = self.begin(now);
        let refused = self.inner.learn(now, person, devices);
        self.end(now);
        refused.ok_or(Misuse::NotPaired)
    }

    /// Closes everything. The node has ended when [`is_idle`](Self::is_idle).
    pub fn shutdown(&mut self, now: Now) {
        let now = self.begin(now);
        self.inner.shutting_down = true;
        self.inner.listener = None;
        self.inner.timers.set(timers::Owner::Listener, None);
        let ids: Vec<ConnId> = self.inner.conns.keys().copied().collect();
        for id in ids {
            self.inner.withdraw(now, id, Why::Shutdown);
        }
        self.end(now);
    }

    /// Whether there is no connection and nothing to poll.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inner.conns.is_empty() && self.inner.effects.is_empty()
    }

    /// Mixes fresh entropy into the generator.
    pub fn reseed(&mut self, entropy: &[u8; 32]) {
        self.inner.random.reseed(entropy);
    }

    /// Draws from another generator from here on. For replays, and for explorers of states, in which what is drawn
    /// may not depend on the way by which a state was reached.
    pub fn replace_random(&mut self, random: Random) {
        self.inner.random = random;
    }

    /// Whether its tables agree with each other and with what it counts, and keep their bounds; if not, what does not.
    /// For tests and simulations, between two inputs: it looks at everything.
    ///
    /// # Errors
    /// What does not hold.
    pub fn self_check(&self) -> Result<(), String> {
        self.inner.self_check()
    }

    /// Every input first fires what was due before it.
    fn begin(&mut self, now: Now) -> Now {
        let now = now.not_before(&mut self.inner.latest);
        self.inner.fire(now, false);
        now
    }

    fn end(&mut self, now: Now) {
        self.inner.fire(now, true);
    }
}

impl<S: Suite> Machine for Node<S> {
    type Event = Event;
    type Record = Record;
    type Answer = Result<(), NotStored>;

    fn accept(&mut self, now: Now, _: Source) -> Option<ConnId> {
        let now = self.begin(now);
        self.inner.accept(now)
    }

    fn opened(&mut self, now: Now, conn: ConnId) {
        let now = self.begin(now);
        self.inner.opened(now, conn);
        self.end(now);
    }

    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        let now = self.begin(now);
        self.inner.message(now, conn, message)?;
        self.end(now);
        Ok(())
    }

    fn drained(&mut self, now: Now, conn: ConnId) {
        let now = self.begin(now);
        self.inner.drained(conn);
        self.end(now);
    }

    fn closed(&mut self, now: Now, conn: ConnId, how: Closed) {
        let now = self.begin(now);
        self.inner.closed(now, conn, how);
        self.end(now);
    }

    fn stored(&mut self, now: Now, id: StoreId, result: Result<(), NotStored>) {
        let now = self.begin(now);
        self.inner.stored(now, id, result);
        self.end(now);
    }

    fn tick(&mut self, now: Now) {
        let now = self.begin(now);
        self.end(now);
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Effect<Event, Record>> {
        self.inner.poll(bytes)
    }

    fn deadline(&self) -> Option<Deadline> {
        self.inner.timers.next()
    }
}

impl<S: Suite> PartialEq for Node<S> {
    fn eq(&self, other: &Self) -> bool {
        self.inner.canonical() == other.inner.canonical()
    }
}

impl<S: Suite> Eq for Node<S> {}

impl<S: Suite> Hash for Node<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.canonical().hash(state);
    }
}

impl<S: Suite> Inner<S> {
    fn send(&mut self, now: Now, id: ConnId, message: Message<'_>) -> Result<(), SendError> {
        let conn = self.conns.get_mut(&id).ok_or(SendError::Ended)?;
        if conn.queued + conn.handed_out > limits::WINDOW {
            return Err(Full.into());
        }
        let Stage::Session(session) = &mut conn.stage else {
            return Err(SendError::Ended);
        };
        session.send(now, message)?;
        self.pump(now, id);
        Ok(())
    }
}
