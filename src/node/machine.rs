//! The node's flow: connections in, effects out.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::config::NodeConfig;
use super::conn::{AfterOpening, Conn, Listener, Stage};
use super::event::{Event, Purpose, Record};
use super::route::Route;
use super::shared::{Link, Shared, View};
use super::timers::{Owner, Timers};
use crate::canon::Ignored;
use crate::channel::Diagnosis;
use crate::crypto::{Purpose as Draw, Random, Suite};
use crate::establish::{Established, Group};
use crate::fault::{CloseReason, Fault, Part, Why};
use crate::io::{Closed, ConnId, Effect, Full, Kind, Message, NotStored, Output, StoreId};
use crate::limits;
use crate::objects::PersonId;
use crate::pairing::InvitationId;
use crate::relay::{NotTaken, Registration, RegistrationEvent};
use crate::role::Role;
use crate::session::{Session, SessionConfig, SessionEvent};
use crate::step::Step;
use crate::time::{Micros, Now};

/// Everything of a node. `Node` wraps it to compare its canonical view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inner<S: Suite> {
    pub(super) shared: Shared,
    pub(super) settings: Settings,
    pub(super) random: Random,
    pub(super) latest: Micros,
    pub(super) conns: BTreeMap<ConnId, Conn<S>>,
    pub(super) next_conn: u64,
    pub(super) listener: Option<Listener>,
    pub(super) routes: BTreeMap<PersonId, Route>,
    pub(super) timers: Timers,
    pub(super) effects: VecDeque<Queued<S>>,
    pub(super) stores: BTreeMap<StoreId, Stored>,
    pub(super) next_store: u64,
    pub(super) shutting_down: bool,
    /// Connections that were told to pause.
    pub(super) paused: BTreeSet<ConnId>,
    /// When the diagnosis may look at sibling channels again.
    pub(super) siblings_at: Micros,
    pub(super) buffers: Ignored<Vec<Vec<u8>>>,
}

/// What of the configuration is needed later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Settings {
    pub(super) url: Option<String>,
    pub(super) spares: usize,
    pub(super) step: Micros,
    pub(super) max_message: usize,
    pub(super) half_open: usize,
    pub(super) max_connections: usize,
    pub(super) new_instances: bool,
    pub(super) extensions: bool,
    pub(super) notes: bool,
}

/// An effect, with the bytes that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Queued<S: Suite> {
    Send(ConnId, Kind, Vec<u8>),
    Message(ConnId, Kind, Vec<u8>),
    /// A frame failed here. It is diagnosed when this is polled: after the close, which is the same for every cause.
    Diagnose(ConnId, Box<Session<S>>),
    Other(Effect<Event, Record>),
}

/// What a record was stored for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stored {
    Pairing(ConnId, Record),
    Invitation(InvitationId, Record),
    Other(Record),
}

/// Buffers that are kept for use again.
const KEPT_BUFFERS: usize = 32;
/// The diagnosis looks at sibling channels once in this time (spec 07).
const SIBLING_SEARCH: Micros = Micros::secs(1);

impl<S: Suite> Inner<S> {
    pub(super) fn new(config: NodeConfig, seed: [u8; 32], now: Now) -> Self {
        let NodeConfig {
            identity,
            contacts,
            invitations,
            url,
            spares,
            serve,
            step,
            max_message,
            half_open,
            max_connections,
            new_instances,
            extensions,
            notes,
        } = config;
        let mut shared = Shared {
            own: Arc::new(identity),
            contacts: contacts.into_iter().map(|c| (c.person_id, c)).collect(),
            invitations: Default::default(),
            serve,
            challenges: BTreeMap::new(),
            links: BTreeMap::new(),
            displaced: Vec::new(),
        };
        for record in invitations {
            shared.invitations.restore(now, record);
        }
        let mut inner = Self {
            shared,
            settings: Settings {
                url,
                spares,
                step,
                max_message,
                half_open,
                max_connections,
                new_instances,
                extensions,
                notes,
            },
            random: Random::new(seed),
            latest: now.mono,
            conns: BTreeMap::new(),
            next_conn: 0,
            listener: None,
            routes: BTreeMap::new(),
            timers: Timers::default(),
            effects: VecDeque::new(),
            stores: BTreeMap::new(),
            next_store: 0,
            shutting_down: false,
            paused: BTreeSet::new(),
            siblings_at: Micros::ZERO,
            buffers: Ignored::default(),
        };
        inner.arm_invitations();
        inner
    }

    fn session_config(&self) -> SessionConfig {
        let mut config = SessionConfig::default();
        config.handshake.step = self.settings.step;
        config.handshake.notes = self.settings.notes;
        config.handshake.channel.max_message = self.settings.max_message;
        config.establish.step = self.settings.step;
        config.establish.extensions = self.settings.extensions;
        config.establish.notes = self.settings.notes;
        config.pairing.step = self.settings.step;
        config.pairing.url = self.settings.url.clone();
        config.pairing.new_instances = self.settings.new_instances;
        config.pairing.notes = self.settings.notes;
        config
    }

    // --- effects -------------------------------------------------------------------------------------------------

    pub(super) fn event(&mut self, event: Event) {
        self.effects.push_back(Queued::Other(Effect::Event(event)));
    }

    pub(super) fn store(&mut self, record: Record, stored: impl FnOnce(Record) -> Stored) {
        let id = StoreId(self.next_store);
        self.next_store += 1;
        self.stores.insert(id, stored(record.clone()));
        self.effects.push_back(Queued::Other(Effect::Store { id, record }));
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.buffers.len() < KEPT_BUFFERS {
            self.buffers.push(buffer);
        }
    }

    fn queue_send(&mut self, conn: ConnId, kind: Kind, bytes: Vec<u8>) {
        if let Some(entry) = self.conns.get_mut(&conn) {
            entry.queued += bytes.len();
        }
        self.effects.push_back(Queued::Send(conn, kind, bytes));
    }

    // --- connections ---------------------------------------------------------------------------------------------

    fn insert(&mut self, conn: Conn<S>) -> ConnId {
        let id = ConnId(self.next_conn);
        self.next_conn += 1;
        self.conns.insert(id, conn);
        self.arm(id);
        id
    }

    fn arm(&mut self, id: ConnId) {
        let deadline = self.conns.get(&id).and_then(Conn::deadline);
        self.timers.set(Owner::Conn(id), deadline);
    }

    pub(super) fn dial(
        &mut self,
        now: Now,
        purpose: Purpose,
        url: String,
        next: AfterOpening,
    ) -> ConnId {
        let stage = Stage::Dialling { limit: now.mono + limits::OPEN, next };
        let conn = self.insert(Conn::new(purpose, stage));
        self.effects.push_back(Queued::Other(Effect::Dial { conn, url }));
        conn
    }

    pub(super) fn accept(&mut self, now: Now) -> Option<ConnId> {
        let half_open = self.conns.values().filter(|conn| conn.is_half_open()).count();
        if self.shutting_down
            || half_open >= self.settings.half_open
            || self.conns.len() >= self.settings.max_connections
        {
            return None;
        }
        let session = Session::acceptor(
            now,
            self.session_config(),
            self.shared.own.clone(),
            self.random.fork(),
            Step::Request,
        );
        let mut conn = Conn::new(Purpose::Incoming, Stage::Session(session.into()));
        conn.half_open_until = Some(now.mono + self.settings.step);
        Some(self.insert(conn))
    }

    pub(super) fn opened(&mut self, now: Now, id: ConnId) {
        let (config, own) = (self.session_config(), self.shared.own.clone());
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Stage::Dialling { next, .. } = &conn.stage else { return };
        let random = self.random.fork();
        conn.stage = match next.clone() {
            AfterOpening::Register => Stage::Spare(Registration::new(
                now,
                own.instance_key().clone(),
                random,
                config.handshake.step,
                config.handshake.notes,
            )),
            AfterOpening::Initiate(opening) => {
                let link = Link {
                    peer: opening.target.presented(),
                    group: opening.group.clone(),
                    dialled: true,
                    since: now.mono,
                    synced: false,
                };
                self.shared.links.insert(id, link);
                Stage::Session(Session::initiator(now, config, own, random, opening).into())
            }
        };
        self.pump(now, id);
    }

    pub(super) fn message(
        &mut self,
        now: Now,
        id: ConnId,
        message: Message<'_>,
    ) -> Result<(), Full> {
        let too_much = self.effects.len() >= limits::EFFECTS;
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        if too_much || conn.inbound > limits::WINDOW {
            self.pause(id);
            return Err(Full);
        }
        match &mut conn.stage {
            Stage::Dialling { .. } | Stage::Closing { .. } => return Ok(()),
            Stage::Spare(registration) => match registration.message(now, message) {
                Ok(()) | Err(NotTaken::HandedOver) => {}
                Err(NotTaken::Full) => {
                    self.pause(id);
                    return Err(Full);
                }
            },
            Stage::Session(session) => {
                let mut view = View { shared: &mut self.shared, conn: id };
                if session.message(now, message, &mut view).is_err() {
                    self.pause(id);
                    return Err(Full);
                }
            }
        }
        self.pump(now, id);
        Ok(())
    }

    pub(super) fn closed(&mut self, now: Now, id: ConnId, how: Closed) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.gone = true;
        match &mut conn.stage {
            Stage::Session(session) => {
                session.closed(how, &mut View { shared: &mut self.shared, conn: id });
                self.pump(now, id);
            }
            Stage::Dialling { .. } => {
                self.end(now, id, Some(Why::from_close(how).at(Step::Dial)));
            }
            Stage::Spare(registration) => {
                let fault = Why::from_close(how).at(registration.step());
                self.end(now, id, Some(fault));
            }
            Stage::Closing { .. } => {}
        }
        self.remove(id);
    }

    fn remove(&mut self, id: ConnId) {
        self.conns.remove(&id);
        self.paused.remove(&id);
        self.timers.set(Owner::Conn(id), None);
    }

    pub(super) fn drained(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.handed_out = 0;
        }
    }

    fn pause(&mut self, id: ConnId) {
        if self.paused.insert(id) {
            self.effects.push_back(Queued::Other(Effect::Pause(id)));
        }
    }

    /// Moves a connection as far as it goes, and ends what it displaced.
    pub(super) fn pump(&mut self, now: Now, id: ConnId) {
        self.pump_one(now, id);
        self.arm(id);
        while let Some((other, why)) = self.shared.displaced.pop() {
            if let Some(Conn { stage: Stage::Session(session), .. }) = self.conns.get_mut(&other) {
                session.withdraw(why, &mut View { shared: &mut self.shared, conn: other });
                self.pump_one(now, other);
                self.arm(other);
            }
        }
    }

    fn pump_one(&mut self, now: Now, id: ConnId) {
        loop {
            let mut bytes = self.buffer();
            let Some(conn) = self.conns.get_mut(&id) else { return };
            let more = match &mut conn.stage {
                Stage::Dialling { .. } | Stage::Closing { .. } => false,
                Stage::Spare(registration) => match registration.poll(&mut bytes) {
                    None => false,
                    Some(output) => {
                        self.on_registration(now, id, output, core::mem::take(&mut bytes));
                        true
                    }
                },
                Stage::Session(session) => {
                    if let Some(kind) = session.poll_send(&mut bytes) {
                        self.queue_send(id, kind, core::mem::take(&mut bytes));
                        true
                    } else if let Some(output) = session.poll_event() {
                        self.on_session(now, id, output);
                        true
                    } else if let Some(kind) = session.poll_received(&mut bytes) {
                        conn.inbound += bytes.len();
                        let message = core::mem::take(&mut bytes);
                        self.effects.push_back(Queued::Message(id, kind, message));
                        true
                    } else if let Some(fault) = session.poll_fault() {
                        self.end(now, id, Some(fault));
                        true
                    } else {
                        false
                    }
                }
            };
            self.recycle(bytes);
            if !more {
                break;
            }
        }
        self.note_sync(now, id);
    }

    /// An initiator's connection counts for the rule of one connection from `sync` on.
    fn note_sync(&mut self, now: Now, id: ConnId) {
        if let Some(Conn { stage: Stage::Session(session), half_open_until, .. }) =
            self.conns.get_mut(&id)
        {
            if session.step() > Step::Group {
                *half_open_until = None;
            }
            if session.step() > Step::Sync
                && let Some(link) = self.shared.links.get_mut(&id)
                && !link.synced
            {
                link.synced = true;
                link.since = now.mono;
            }
        }
    }

    /// Ends a connection: tells it, closes it unless it is closed, frees what it holds.
    fn end(&mut self, now: Now, id: ConnId, fault: Option<Fault>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let closing = Stage::Closing { limit: now.mono + limits::CLOSE };
        let stage = core::mem::replace(&mut conn.stage, closing);
        conn.half_open_until = None;
        let purpose = conn.purpose.clone();
        let was_spare = matches!(
            stage,
            Stage::Spare(_) | Stage::Dialling { next: AfterOpening::Register, .. }
        );
        if !conn.gone {
            let reason = fault.as_ref().map_or(CloseReason::Good, CloseReason::of).text().into();
            let close = Effect::Close { conn: id, code: CloseReason::CODE, reason };
            self.effects.push_back(Queued::Other(close));
        }
        self.shared.challenges.remove(&id);
        self.shared.invitations.release(id);
        self.arm_invitations();
        if was_spare {
            self.spare_failed(now, fault.clone());
        }
        let role = match &stage {
            Stage::Session(session) => Some(session.role()),
            _ => None,
        };
        self.event(Event::Ended { conn: id, purpose, role, fault: fault.clone() });
        if let Stage::Session(session) = stage
            && matches!(&fault, Some(Fault { why: Why::Frame { .. }, .. }))
        {
            self.effects.push_back(Queued::Diagnose(id, session));
        }
        self.route_ended(now, id, fault.as_ref());
        self.fill_spares(now, false);
        self.arm(id);
    }

    // --- what the layers tell ------------------------------------------------------------------------------------

    fn on_registration(
        &mut self,
        now: Now,
        id: ConnId,
        output: Output<RegistrationEvent>,
        bytes: Vec<u8>,
    ) {
        match output {
            Output::Send(kind) => self.queue_send(id, kind, bytes),
            Output::Note(note) => self.event(Event::Note { conn: id, note }),
            Output::Fault(fault) => self.end(now, id, Some(fault)),
            Output::Event(RegistrationEvent::Registered { .. }) => self.registered(),
            Output::Event(RegistrationEvent::HandedOver) => {
                // From here on the connection is a session of its own: not one message is between the two.
                let session = Session::acceptor(
                    now,
                    self.session_config(),
                    self.shared.own.clone(),
                    self.random.fork(),
                    Step::Handover,
                );
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.stage = Stage::Session(session.into());
                    conn.half_open_until = Some(now.mono + self.settings.step);
                }
                self.fill_spares(now, true);
            }
        }
    }

    fn on_session(&mut self, now: Now, id: ConnId, output: Output<SessionEvent>) {
        match output {
            Output::Note(note) => self.event(Event::Note { conn: id, note }),
            Output::Event(SessionEvent::Established(peer)) => self.established(now, id, &peer),
            Output::Event(SessionEvent::Store(contact)) => {
                let spent = self.shared.invitations.spend(id);
                self.arm_invitations();
                let contact = match self.shared.contacts.get(&contact.person_id) {
                    Some(known) => {
                        let mut merged = known.clone();
                        merged.merge(contact);
                        merged
                    }
                    None => contact,
                };
                let record = Record::Contact { contact, spent };
                self.store(record, |record| Stored::Pairing(id, record));
            }
            Output::Event(SessionEvent::Close) => self.end(now, id, None),
            // Told by `stored`, with the contact.
            Output::Event(SessionEvent::Paired | SessionEvent::Request(_) | SessionEvent::Message(_))
            | Output::Send(_)
            | Output::Fault(_) => {}
        }
    }

    /// The other side is known: whether it may have what it wants.
    fn established(&mut self, now: Now, id: ConnId, peer: &Established) {
        if peer.group == Group::Pairing {
            return;
        }
        let person = peer.keys.owner;
        let known = self.shared.contacts.get_mut(&person).and_then(|contact| {
            contact.instances.iter_mut().find(|i| i.instance_key.presented() == peer.peer)
        });
        let Some(instance) = known else {
            let why = match self.shared.contact_of_key(&peer.peer) {
                Some(_) => Why::IdentityMismatch { part: Part::Person },
                None => Why::NotPaired,
            };
            if let Some(Conn { stage: Stage::Session(session), .. }) = self.conns.get_mut(&id) {
                session.withdraw(why, &mut View { shared: &mut self.shared, conn: id });
            }
            return;
        };
        let newly_proven = !core::mem::replace(&mut instance.key_proven, true);
        if newly_proven && let Some(contact) = self.shared.contacts.get(&person).cloned() {
            self.store(Record::Contact { contact, spent: None }, Stored::Other);
        }
        let Some(Conn { stage: Stage::Session(session), .. }) = self.conns.get(&id) else { return };
        let role = session.role();
        if let Some(route) = self.routes.get_mut(&person)
            && route.group == peer.group
        {
            route.established();
            if route.conn != Some(id) && route.conn.is_none() {
                route.rest();
            }
            self.arm_route(now, person);
        }
        self.event(Event::Connected { conn: id, role, person, group: peer.group.clone() });
    }

    pub(super) fn stored(&mut self, now: Now, id: StoreId, result: Result<(), NotStored>) {
        let Some(stored) = self.stores.remove(&id) else { return };
        match stored {
            Stored::Pairing(conn, record) => self.pairing_stored(now, conn, record, result),
            Stored::Invitation(invitation, record) => {
                if result.is_err() {
                    self.shared.invitations.revoke(now, invitation);
                    self.arm_invitations();
                    self.event(Event::StoreFailed(record));
                }
            }
            Stored::Other(record) => {
                if result.is_err() {
                    self.event(Event::StoreFailed(record));
                }
            }
        }
    }

    fn pairing_stored(
        &mut self,
        now: Now,
        id: ConnId,
        record: Record,
        result: Result<(), NotStored>,
    ) {
        let Record::Contact { contact, spent } = record.clone() else { return };
        let person = contact.person_id;
        let alive = match self.conns.get(&id) {
            Some(Conn { stage: Stage::Session(session), .. }) => Some(session.role()),
            _ => None,
        };
        match (result, alive) {
            (Err(_), _) => {
                if let Some(invitation) = spent {
                    self.shared.invitations.unspend(invitation);
                    self.arm_invitations();
                }
                self.event(Event::StoreFailed(record));
            }
            (Ok(()), None) if spent.is_none() => {
                // The initiator lost the connection before it could say that it agrees: the other side knows
                // nothing, so neither does this one.
                match self.shared.contacts.get(&person).cloned() {
                    Some(before) => {
                        self.store(Record::Contact { contact: before, spent: None }, Stored::Other);
                    }
                    None => self.store(Record::Forgotten(person), Stored::Other),
                }
                return;
            }
            (Ok(()), role) => {
                self.shared.contacts.insert(person, contact.clone());
                let role = role.unwrap_or(Role::Acceptor);
                self.event(Event::Paired { conn: id, role, contact, invitation: spent });
            }
        }
        if let Some(Conn { stage: Stage::Session(session), .. }) = self.conns.get_mut(&id) {
            session.stored(now, result, &mut View { shared: &mut self.shared, conn: id });
        }
        self.pump(now, id);
    }

    // --- the listener --------------------------------------------------------------------------------------------

    fn registered(&mut self) {
        if let Some(listener) = &mut self.listener
            && !listener.online
        {
            listener.online = true;
            listener.told_offline = false;
            let url = listener.url.clone();
            self.event(Event::Online { url });
        }
    }

    /// Connections at the relay that are, or are going to be, spare.
    fn spares(&self) -> impl Iterator<Item = &Conn<S>> {
        self.conns.values().filter(|conn| {
            conn.purpose == Purpose::Listen
                && matches!(conn.stage, Stage::Dialling { .. } | Stage::Spare(_))
        })
    }

    fn spare_failed(&mut self, now: Now, fault: Option<Fault>) {
        let online = self
            .spares()
            .any(|conn| matches!(&conn.stage, Stage::Spare(registration) if registration.is_spare()));
        let Some(listener) = &mut self.listener else { return };
        listener.retry_at.get_or_insert(now.mono + limits::REGISTER_AGAIN);
        self.timers.set(Owner::Listener, listener.deadline());
        listener.online &= online;
        if !listener.online && !listener.told_offline {
            listener.told_offline = true;
            let url = listener.url.clone();
            if let Some(fault) = fault {
                self.event(Event::Offline { url, fault });
            }
        }
    }

    /// Opens the spare connections that are missing. While an attempt waits for its delay, only what was handed over
    /// is replaced.
    pub(super) fn fill_spares(&mut self, now: Now, handed_over: bool) {
        let Some(listener) = &self.listener else { return };
        let (url, waiting) = (listener.url.clone(), listener.retry_at.is_some());
        let missing = self.settings.spares.saturating_sub(self.spares().count());
        let wanted = match (waiting, handed_over) {
            (false, _) => missing,
            (true, true) => missing.min(1),
            (true, false) => 0,
        };
        let half_open = self
            .conns
            .values()
            .filter(|conn| conn.purpose == Purpose::Listen && conn.is_half_open())
            .count();
        for _ in 0..wanted.min(self.settings.half_open.saturating_sub(half_open)) {
            if !self.shutting_down {
                self.dial(now, Purpose::Listen, url.clone(), AfterOpening::Register);
            }
        }
    }

    // --- routes --------------------------------------------------------------------------------------------------

    pub(super) fn arm_route(&mut self, now: Now, person: PersonId) {
        let deadline = self.routes.get(&person).and_then(Route::deadline);
        if deadline.is_some_and(|deadline| deadline.at <= now.mono) {
            self.timers.set(Owner::Route(person), None);
            self.dial_route(now, person);
        } else {
            self.timers.set(Owner::Route(person), deadline);
        }
    }

    pub(super) fn dial_route(&mut self, now: Now, person: PersonId) {
        let Some(route) = self.routes.get(&person) else { return };
        let (target, group) = (route.target, route.group.clone());
        if self.shutting_down
            || route.conn.is_some()
            || self.shared.is_linked(&target.presented(), &group)
        {
            return;
        }
        let Some(url) = route.url().cloned() else { return };
        let opening = crate::session::Opening {
            own: self.shared.own.instance_key().used_as(),
            target,
            group: group.clone(),
            token: None,
        };
        let purpose = Purpose::Route(person, group);
        let conn = self.dial(now, purpose, url, AfterOpening::Initiate(opening));
        if let Some(route) = self.routes.get_mut(&person) {
            route.dialling(conn);
        }
    }

    /// A connection ended: the routes that used it, or that rested because of it, go on.
    fn route_ended(&mut self, now: Now, id: ConnId, fault: Option<&Fault>) {
        let link = self.shared.links.remove(&id);
        let established = fault.is_none_or(|fault| fault.step == Step::Connected);
        let people: Vec<PersonId> = self
            .routes
            .iter()
            .filter(|(_, route)| {
                route.conn == Some(id)
                    || link.as_ref().is_some_and(|link| {
                        link.synced
                            && link.group == route.group
                            && link.peer == route.target.presented()
                    })
            })
            .map(|(person, _)| *person)
            .collect();
        for person in people {
            let spread = self.random.below(Draw::Jitter, 1000);
            let Some(route) = self.routes.get_mut(&person) else { continue };
            let peer = route.target.presented();
            if route.conn.is_some_and(|conn| conn != id) {
                continue;
            }
            let other_serves = self.shared.is_linked(&peer, &route.group);
            match fault.map(|fault| &fault.why) {
                Some(Why::Duplicate | Why::Replaced) if other_serves => route.rest(),
                _ if established => route.closed(now.mono, spread),
                // The other side may have dropped ours for its own; then it is there, or on its way.
                _ if other_serves => route.rest(),
                _ => route.failed(now.mono),
            }
            self.arm_route(now, person);
        }
    }

    pub(super) fn arm_invitations(&mut self) {
        let deadline = self.shared.invitations.deadline();
        self.timers.set(Owner::Invitations, deadline);
    }

    // --- time ----------------------------------------------------------------------------------------------------

    /// Fires what is due: before `now`, or, with `also_at`, also at it.
    pub(super) fn fire(&mut self, now: Now, also_at: bool) {
        while let Some(owner) = self.timers.take_due(now.mono, also_at) {
            match owner {
                Owner::Conn(id) => self.fire_conn(now, id),
                Owner::Route(person) => self.dial_route(now, person),
                Owner::Listener => {
                    if let Some(listener) = &mut self.listener {
                        listener.retry_at = None;
                    }
                    self.fill_spares(now, false);
                }
                Owner::Invitations => {
                    for id in self.shared.invitations.expire(now) {
                        self.event(Event::Expired(id));
                        self.store(Record::Withdrawn(id), Stored::Other);
                    }
                    self.arm_invitations();
                }
            }
        }
    }

    fn fire_conn(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let half_open_over = conn.half_open_until.is_some_and(|at| at <= now.mono);
        match &mut conn.stage {
            Stage::Dialling { .. } => self.end(now, id, Some(Why::Timeout.at(Step::Dial))),
            Stage::Closing { .. } => self.remove(id),
            Stage::Spare(registration) => {
                registration.tick(now);
                self.pump(now, id);
            }
            Stage::Session(session) => {
                let mut view = View { shared: &mut self.shared, conn: id };
                session.tick(now, &mut view);
                if half_open_over {
                    session.withdraw(Why::Timeout, &mut view);
                }
                self.pump(now, id);
            }
        }
    }

    /// Ends a connection from this side.
    pub(super) fn withdraw(&mut self, now: Now, id: ConnId, why: Why) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match &mut conn.stage {
            Stage::Session(session) => {
                session.withdraw(why, &mut View { shared: &mut self.shared, conn: id });
                self.pump(now, id);
            }
            Stage::Dialling { .. } => self.end(now, id, Some(why.at(Step::Dial))),
            Stage::Spare(registration) => {
                let step = registration.step();
                self.end(now, id, Some(why.at(step)));
            }
            Stage::Closing { .. } => {}
        }
    }

    pub(super) fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Effect<Event, Record>> {
        loop {
            let effect = match self.effects.pop_front()? {
                Queued::Send(conn, kind, message) => {
                    if let Some(conn) = self.conns.get_mut(&conn) {
                        conn.queued = conn.queued.saturating_sub(message.len());
                        conn.handed_out += message.len();
                    }
                    let old = core::mem::replace(bytes, message);
                    self.recycle(old);
                    Effect::Send { conn, kind }
                }
                Queued::Message(id, kind, message) => {
                    if let Some(conn) = self.conns.get_mut(&id) {
                        conn.inbound = conn.inbound.saturating_sub(message.len());
                    }
                    let old = core::mem::replace(bytes, message);
                    self.recycle(old);
                    Effect::Event(Event::Message { conn: id, kind })
                }
                Queued::Diagnose(conn, session) => match self.diagnose(*session) {
                    Some(diagnosis) => Effect::Event(Event::Diagnosed { conn, diagnosis }),
                    None => continue,
                },
                Queued::Other(effect) => effect,
            };
            self.resume();
            return Some(effect);
        }
    }

    fn diagnose(&mut self, session: Session<S>) -> Option<Diagnosis> {
        let mut siblings = Vec::new();
        if self.siblings_at <= self.latest {
            self.siblings_at = self.latest + SIBLING_SEARCH;
            siblings.extend(self.conns.values().filter_map(|conn| match &conn.stage {
                Stage::Session(session) => session.sibling(),
                _ => None,
            }));
        }
        session.diagnose(&siblings)
    }

    /// Lets connections go on that were paused and have room again.
    fn resume(&mut self) {
        if self.paused.is_empty() || self.effects.len() >= limits::EFFECTS / 2 {
            return;
        }
        let conns = &self.conns;
        let has_room =
            |id: &ConnId| conns.get(id).is_some_and(|conn| conn.inbound <= limits::WINDOW / 2);
        let ready: Vec<ConnId> = self.paused.iter().copied().filter(has_room).collect();
        for id in ready {
            self.paused.remove(&id);
            self.effects.push_back(Queued::Other(Effect::Resume(id)));
        }
    }
}
