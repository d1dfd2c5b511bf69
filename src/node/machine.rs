//! The node's flow: connections in, effects out.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::{replace, take};

use super::config::NodeConfig;
use super::conn::{AfterOpening, Conn, Listener, Stage};
use super::event::{Event, Purpose, Record};
use super::look::NodeStats;
use super::route::{Fresh, Route, RouteKey};
use super::shared::{Link, Shared, View};
use super::timers::{Owner, Timers};
use crate::canon::Ignored;
use crate::contact::Contact;
use crate::crypto::{Random, Suite, Wiped};
use crate::fault::{CloseReason, Fault, Why};
use crate::handshake::Arrival;
use crate::io::{Closed, ConnId, Effect, Full, Kind, Message, StoreId};
use crate::limits;
use crate::objects::PersonId;
use crate::pairing::InvitationId;
use crate::relay::{NotTaken, Registration};
use crate::session::{Session, SessionConfig};
use crate::step::Step;
use crate::time::{Micros, Now};

/// Everything of a node. `Node` wraps it to compare its canonical view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inner<S: Suite> {
    pub(super) shared: Shared,
    /// Its lists have gone into `shared`.
    pub(super) config: NodeConfig,
    pub(super) random: Random,
    pub(super) latest: Micros,
    pub(super) conns: BTreeMap<ConnId, Conn<S>>,
    pub(super) next_conn: u64,
    pub(super) listener: Option<Listener>,
    pub(super) routes: BTreeMap<RouteKey, Route>,
    /// Who was paired with just now.
    pub(super) fresh: BTreeMap<PersonId, Fresh>,
    pub(super) timers: Timers,
    pub(super) effects: VecDeque<Queued<S>>,
    pub(super) stores: BTreeMap<StoreId, Stored>,
    pub(super) next_store: u64,
    pub(super) shutting_down: bool,
    /// Connections that were told to pause.
    pub(super) paused: BTreeSet<ConnId>,
    /// When the diagnosis may look at sibling channels again.
    pub(super) siblings_at: Micros,
    pub(super) stats: Ignored<NodeStats>,
    pub(super) buffers: Ignored<Vec<Vec<u8>>>,
}

/// An effect, with the bytes that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Queued<S: Suite> {
    Send(ConnId, Kind, Vec<u8>),
    Message(ConnId, Kind, Wiped),
    /// A frame failed here. It is diagnosed when this is polled: after the close, which is the same for every cause.
    Diagnose(ConnId, Box<Session<S>>),
    Other(Effect<Event, Record>),
}

/// What a record was stored for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stored {
    Pairing(ConnId, Record),
    Invitation(InvitationId, Record),
    Forgotten(Contact, Record),
    Other(Record),
}

/// Buffers that are kept for use again.
pub(super) const KEPT_BUFFERS: usize = 32;

impl<S: Suite> Inner<S> {
    pub(super) fn new(mut config: NodeConfig, seed: [u8; 32], now: Now) -> Self {
        let mut shared = Shared {
            own: config.identity.clone(),
            contacts: take(&mut config.contacts)
                .into_iter()
                .map(|c| (c.person_id, c))
                .collect(),
            invitations: Default::default(),
            serve: take(&mut config.serve),
            challenges: BTreeMap::new(),
            links: BTreeMap::new(),
            displaced: Vec::new(),
        };
        for record in take(&mut config.invitations) {
            shared.invitations.restore(now, record);
        }
        let mut inner = Self {
            shared,
            config,
            random: Random::new(seed),
            latest: now.mono,
            conns: BTreeMap::new(),
            next_conn: 0,
            listener: None,
            routes: BTreeMap::new(),
            fresh: BTreeMap::new(),
            timers: Timers::default(),
            effects: VecDeque::new(),
            stores: BTreeMap::new(),
            next_store: 0,
            shutting_down: false,
            paused: BTreeSet::new(),
            siblings_at: Micros::ZERO,
            stats: Ignored::default(),
            buffers: Ignored::default(),
        };
        inner.arm_invitations();
        inner
    }

    pub(super) fn session_config(&self) -> SessionConfig {
        let mut config = SessionConfig::default();
        config.handshake.step = self.config.step;
        config.handshake.notes = self.config.notes;
        config.handshake.channel.max_message = self.config.max_message;
        config.handshake.channel.reorder_window = self.config.reorder_window;
        config.handshake.channel.notes = self.config.notes;
        config.establish.step = self.config.step;
        config.establish.extensions = self.config.extensions;
        config.establish.notes = self.config.notes;
        config.pairing.step = self.config.step;
        config.pairing.url = self.config.url.clone();
        config.pairing.new_instances = self.config.new_instances;
        config.pairing.notes = self.config.notes;
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
        self.effects
            .push_back(Queued::Other(Effect::Store { id, record }));
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.buffers.len() < KEPT_BUFFERS {
            self.buffers.push(buffer);
        }
    }

    pub(super) fn queue_send(&mut self, conn: ConnId, kind: Kind, bytes: Vec<u8>) {
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
        self.stats.dialled += 1;
        let stage = Stage::Dialling {
            limit: now.mono + limits::OPEN,
            next,
        };
        let conn = self.insert(Conn::new(purpose, stage));
        self.effects
            .push_back(Queued::Other(Effect::Dial { conn, url }));
        conn
    }

    /// Nobody polls: nothing more is begun until somebody does, or what is told of it would pile up.
    pub(super) fn is_behind(&self) -> bool {
        self.effects.len() >= limits::EFFECTS
    }

    pub(super) fn accept(&mut self, now: Now) -> Option<ConnId> {
        let half_open = self
            .conns
            .values()
            .filter(|conn| conn.is_half_open())
            .count();
        if self.shutting_down
            || self.is_behind()
            || half_open >= self.config.half_open
            || self.conns.len() >= self.config.max_connections
        {
            self.stats.refused += 1;
            return None;
        }
        self.stats.accepted += 1;
        let session = Session::acceptor(
            now,
            self.session_config(),
            self.shared.own.clone(),
            self.random.fork(),
            Arrival::Direct,
        );
        let mut conn = Conn::new(Purpose::Incoming, Stage::Session(session.into()));
        conn.half_open_until = Some(now.mono + self.config.step);
        Some(self.insert(conn))
    }

    pub(super) fn opened(&mut self, now: Now, id: ConnId) {
        let (config, own) = (self.session_config(), self.shared.own.clone());
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let Stage::Dialling { next, .. } = &conn.stage else {
            return;
        };
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
        let too_much = self.is_behind();
        let Some(conn) = self.conns.get_mut(&id) else {
            return Ok(());
        };
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
                let mut view = View {
                    shared: &mut self.shared,
                    conn: id,
                };
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
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        conn.gone = true;
        match &mut conn.stage {
            Stage::Session(session) => {
                session.closed(
                    how,
                    &mut View {
                        shared: &mut self.shared,
                        conn: id,
                    },
                );
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

    pub(super) fn remove(&mut self, id: ConnId) {
        self.conns.remove(&id);
        self.paused.remove(&id);
        self.timers.set(Owner::Conn(id), None);
    }

    pub(super) fn drained(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.handed_out = 0;
        }
    }

    pub(super) fn pause(&mut self, id: ConnId) {
        if self.paused.insert(id) {
            self.effects.push_back(Queued::Other(Effect::Pause(id)));
        }
    }

    /// Moves a connection as far as it goes, and ends what it displaced.
    pub(super) fn pump(&mut self, now: Now, id: ConnId) {
        self.pump_one(now, id);
        self.arm(id);
        while let Some((other, why)) = self.shared.displaced.pop() {
            if let Some(Conn {
                stage: Stage::Session(session),
                ..
            }) = self.conns.get_mut(&other)
            {
                session.withdraw(
                    why,
                    &mut View {
                        shared: &mut self.shared,
                        conn: other,
                    },
                );
                self.pump_one(now, other);
                self.arm(other);
            }
        }
    }

    fn pump_one(&mut self, now: Now, id: ConnId) {
        loop {
            let mut bytes = self.buffer();
            let Some(conn) = self.conns.get_mut(&id) else {
                return;
            };
            let more = match &mut conn.stage {
                Stage::Dialling { .. } | Stage::Closing { .. } => false,
                Stage::Spare(registration) => match registration.poll(&mut bytes) {
                    None => false,
                    Some(output) => {
                        self.on_registration(now, id, output, take(&mut bytes));
                        true
                    }
                },
                Stage::Session(session) => {
                    if let Some(kind) = session.poll_send(&mut bytes) {
                        self.queue_send(id, kind, take(&mut bytes));
                        true
                    } else if let Some(output) = session.poll_event() {
                        self.on_session(now, id, output);
                        true
                    } else if let Some(kind) = session.poll_received(&mut bytes) {
                        conn.inbound += bytes.len();
                        let message = take(&mut bytes).into();
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
        if let Some(Conn {
            stage: Stage::Session(session),
            half_open_until,
            ..
        }) = self.conns.get_mut(&id)
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
    pub(super) fn end(&mut self, now: Now, id: ConnId, fault: Option<Fault>) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let closing = Stage::Closing {
            limit: now.mono + limits::CLOSE,
        };
        let stage = replace(&mut conn.stage, closing);
        conn.half_open_until = None;
        let purpose = conn.purpose.clone();
        let was_spare = matches!(
            stage,
            Stage::Spare(_)
                | Stage::Dialling {
                    next: AfterOpening::Register,
                    ..
                }
        );
        if !conn.gone {
            let reason = fault
                .as_ref()
                .map_or(CloseReason::Good, CloseReason::of)
                .text()
                .into();
            let close = Effect::Close {
                conn: id,
                code: CloseReason::CODE,
                reason,
            };
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
        let code = fault.as_ref().map_or("good", |fault| fault.why.code());
        *self.stats.ended.entry(code).or_default() += 1;
        self.event(Event::Ended {
            conn: id,
            purpose,
            role,
            fault: fault.clone(),
        });
        if let Stage::Session(session) = &stage {
            let frames = session.order().undelivered;
            if frames > 0 {
                self.stats.undelivered += frames as u64;
                self.event(Event::Undelivered { conn: id, frames });
            }
        }
        if let Stage::Session(session) = stage
            && matches!(
                &fault,
                Some(Fault {
                    why: Why::Frame { .. },
                    ..
                })
            )
        {
            self.effects.push_back(Queued::Diagnose(id, session));
        }
        self.route_ended(now, id, fault.as_ref());
        self.fill_spares(now, false);
        self.arm(id);
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
                Owner::Route(key) => self.dial_route(now, &key),
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
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let half_open_over = conn.half_open_until.is_some_and(|at| at <= now.mono);
        match &mut conn.stage {
            Stage::Dialling { .. } => self.end(now, id, Some(Why::Timeout.at(Step::Dial))),
            Stage::Closing { .. } => self.remove(id),
            Stage::Spare(registration) => {
                registration.tick(now);
                self.pump(now, id);
            }
            Stage::Session(session) => {
                let mut view = View {
                    shared: &mut self.shared,
                    conn: id,
                };
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
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        match &mut conn.stage {
            Stage::Session(session) => {
                session.withdraw(
                    why,
                    &mut View {
                        shared: &mut self.shared,
                        conn: id,
                    },
                );
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
}
