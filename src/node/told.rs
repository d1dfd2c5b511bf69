//! What the layers of a connection tell the node, and what the storage answers.

use alloc::vec::Vec;
use core::mem::replace;

use super::conn::{Conn, Stage};
use super::event::{Event, Record};
use super::machine::{Inner, Stored};
use super::route::{Fresh, RouteKey};
use super::shared::View;
use crate::crypto::Suite;
use crate::establish::{Established, Group};
use crate::fault::{Part, Why};
use crate::handshake::Arrival;
use crate::io::{ConnId, NotStored, Output, StoreId};
use crate::limits;
use crate::relay::RegistrationEvent;
use crate::role::Role;
use crate::session::{Session, SessionEvent};
use crate::time::Now;

impl<S: Suite> Inner<S> {
    pub(super) fn on_registration(
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
            Output::Event(RegistrationEvent::HandedOver) => self.handed_over(now, id),
        }
    }

    /// From here on the connection is a session of its own: not one message is between the two.
    fn handed_over(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let closing = Stage::Closing {
            limit: now.mono + limits::CLOSE,
        };
        let Stage::Spare(registration) = replace(&mut conn.stage, closing) else {
            return;
        };
        // It has told its last: nothing is left over.
        let Some(token) = registration.into_handed_over() else {
            return;
        };
        conn.half_open_until = Some(now.mono + self.config.step);
        let session = Session::acceptor(
            now,
            self.session_config(),
            self.shared.own.clone(),
            self.random.fork(),
            Arrival::HandedOver(token),
        );
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.stage = Stage::Session(session.into());
        }
        self.stats.handed_over += 1;
        self.fill_spares(now, true);
    }

    pub(super) fn on_session(&mut self, now: Now, id: ConnId, output: Output<SessionEvent>) {
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
                let record = Record::Paired { contact, spent };
                self.store(record, |record| Stored::Pairing(id, record));
            }
            Output::Event(SessionEvent::Close) => self.end(now, id, None),
            // Told by `stored`, with the contact.
            Output::Event(
                SessionEvent::Paired | SessionEvent::Request(_) | SessionEvent::Message(_),
            )
            | Output::Send(_)
            | Output::Fault(_) => {}
        }
    }

    /// The other side is known: whether it may have what it wants.
    pub(super) fn established(&mut self, now: Now, id: ConnId, peer: &Established) {
        let person = peer.keys.owner;
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.person = Some(person);
        }
        if peer.group == Group::Pairing {
            return;
        }
        let known = self.shared.contacts.get_mut(&person).and_then(|contact| {
            contact
                .instances
                .iter_mut()
                .find(|i| i.instance_key.presented() == peer.peer)
        });
        let Some(instance) = known else {
            let why = match self.shared.contact_of_key(&peer.peer) {
                Some(_) => Why::IdentityMismatch { part: Part::Person },
                None => Why::NotPaired,
            };
            if let Some(Conn {
                stage: Stage::Session(session),
                ..
            }) = self.conns.get_mut(&id)
            {
                session.withdraw(
                    why,
                    &mut View {
                        shared: &mut self.shared,
                        conn: id,
                    },
                );
            }
            return;
        };
        let newly_proven = !replace(&mut instance.key_proven, true);
        let instance = instance.instance_id;
        if newly_proven && let Some(contact) = self.shared.contacts.get(&person).cloned() {
            self.store(Record::Contact(contact), Stored::Other);
        }
        let Some(Conn {
            stage: Stage::Session(session),
            ..
        }) = self.conns.get(&id)
        else {
            return;
        };
        let role = session.role();
        let key = RouteKey::new(person, instance, peer.group.clone());
        if let Some(route) = self.routes.get_mut(&key) {
            route.established();
            if route.conn.is_none() {
                route.rest();
            }
            self.arm_route(now, &key);
        }
        self.event(Event::Connected {
            conn: id,
            role,
            person,
            group: peer.group.clone(),
            extensions: peer.extensions,
        });
    }

    pub(super) fn stored(&mut self, now: Now, id: StoreId, result: Result<(), NotStored>) {
        let Some(stored) = self.stores.remove(&id) else {
            return;
        };
        match stored {
            Stored::Pairing(conn, record) => self.pairing_stored(now, conn, record, result),
            Stored::Invitation(invitation, record) => {
                if result.is_err() {
                    self.shared.invitations.revoke(now, invitation);
                    self.arm_invitations();
                    self.event(Event::StoreFailed(record));
                }
            }
            Stored::Forgotten(contact, record) => {
                if result.is_err() {
                    // It is a contact still, unless it has been paired with again.
                    let contacts = &mut self.shared.contacts;
                    contacts.entry(contact.person_id).or_insert(contact);
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

    pub(super) fn pairing_stored(
        &mut self,
        now: Now,
        id: ConnId,
        record: Record,
        result: Result<(), NotStored>,
    ) {
        let Record::Paired { contact, spent } = record.clone() else {
            return;
        };
        let person = contact.person_id;
        let alive = match self.conns.get(&id) {
            Some(Conn {
                stage: Stage::Session(session),
                ..
            }) => Some(session.role()),
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
                    Some(before) => self.store(Record::Contact(before), Stored::Other),
                    None => self.store(
                        Record::Forgotten {
                            person,
                            hide_before: None,
                        },
                        Stored::Other,
                    ),
                }
                return;
            }
            (Ok(()), role) => {
                self.shared.contacts.insert(person, contact.clone());
                let role = role.unwrap_or(Role::Acceptor);
                self.fresh.insert(person, Fresh::new(now.mono, role));
                self.stats.paired += 1;
                self.event(Event::Paired {
                    conn: id,
                    role,
                    contact,
                    invitation: spent,
                });
            }
        }
        if let Some(Conn {
            stage: Stage::Session(session),
            ..
        }) = self.conns.get_mut(&id)
        {
            session.stored(
                now,
                result,
                &mut View {
                    shared: &mut self.shared,
                    conn: id,
                },
            );
        }
        self.pump(now, id);
    }
}
