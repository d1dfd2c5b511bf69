//! Layer 1: registration, pings, the handover (spec 02). The handlers are in the order of the states.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;

use super::connection::{Challenge, Waiting, charge};
use super::report::count;
use super::{Queued, Relay, RelayEvent, State};
use crate::crypto::{
    self, Instance, PublicKey, Purpose, SEALED_CHALLENGE, Secret, Suite, constant_time_eq,
};
use crate::fault::Why;
use crate::handshake::CommunicationRequest;
use crate::io::{ConnId, Kind, Message};
use crate::limits;
use crate::note::Layer;
use crate::relay::wire::{self, AuthenticationRequest, First};
use crate::time::Alarm;

/// The name of a message that is not the one that was due.
const UNKNOWN: &str = "unknown";

impl<S: Suite> Relay<S> {
    /// A message of any connection.
    pub(super) fn take(&mut self, conn: ConnId, message: Message<'_>) {
        let Some(entry) = self.connections.get(&conn) else {
            return;
        };
        let step = entry.state.step();
        let result = match entry.state {
            State::First => self.first(conn, message),
            State::Challenged(_) => self.answered(conn, message),
            State::Spare { .. } | State::Picked { .. } => self.pong(conn, message),
            State::Handed { initiator } => self.answers_at_once(conn, initiator, message),
            State::Waiting(_) => self.hold(conn, message),
            State::Relayed {
                partner, unheard, ..
            } => self.relay(conn, partner, unheard, message),
            State::Draining { .. } | State::Closing => Ok(()),
        };
        if let Err(why) = result {
            self.end(conn, why.at(step));
        }
    }

    /// The text of a control message.
    fn control<'a>(&mut self, conn: ConnId, message: Message<'a>) -> Result<&'a str, Why> {
        let why = match message {
            Message::Text(text) if text.len() <= limits::CONTROL => return Ok(text),
            Message::Text(_) => Why::Limit {
                what: "bytes of a control message",
                limit: limits::CONTROL,
            },
            Message::Binary(_) => Why::Kind {
                expected: Kind::Text,
            },
        };
        self.note(conn, false, Layer::Relay, UNKNOWN, message.bytes().len());
        Err(why)
    }

    fn first(&mut self, conn: ConnId, message: Message<'_>) -> Result<(), Why> {
        let text = self.control(conn, message)?;
        let first = wire::read_first(text);
        let name = match &first {
            Ok(First::Register(_)) => "register",
            Ok(First::Request(_)) => "communication_request",
            Err(_) => UNKNOWN,
        };
        self.note(conn, false, Layer::Relay, name, text.len());
        match first? {
            First::Register(key) => self.challenge(conn, PublicKey::new(*key.bytes())),
            First::Request(request) => {
                let waiting = Waiting {
                    request,
                    spare: None,
                    held: VecDeque::new(),
                    held_bytes: 0,
                };
                self.enter(conn, State::Waiting(Box::new(waiting)));
                self.set_deadline(conn, self.after(self.config.step, Alarm::StepLimit));
                self.next_spare(conn);
                Ok(())
            }
        }
    }

    // The listener's registration.

    fn challenge(&mut self, conn: ConnId, key: PublicKey<Instance>) -> Result<(), Why> {
        // Refused before the multiplication, which costs more than all the rest.
        let limit = self.config.challenges;
        if self.stats.challenged >= limit {
            return Err(Why::Limit {
                what: "challenges that wait for an answer",
                limit,
            });
        }
        self.room_for_spare(&key)?;
        let pair = self.key.before::<S, _>(&key).map_err(|_| Why::SmallOrder)?;
        let plain: Secret<64> = self.random.secret(Purpose::Challenge);
        let challenge: [u8; SEALED_CHALLENGE] =
            crypto::seal(&pair, &mut self.random, plain.expose());
        let answer = crypto::inverted(&plain);
        self.enter(
            conn,
            State::Challenged(Box::new(Challenge { key, pair, answer })),
        );
        self.set_deadline(conn, self.after(self.config.step, Alarm::StepLimit));
        let request = AuthenticationRequest {
            relay_key: self.key.public(),
            challenge,
        };
        self.send(
            conn,
            "authentication_request",
            wire::authentication_request(&request),
        );
        Ok(())
    }

    /// Whether one more spare connection may be kept.
    fn room_for_spare(&self, key: &PublicKey<Instance>) -> Result<(), Why> {
        let limit = self.config.spares_per_key;
        if self.listeners.count(key) >= limit {
            return Err(Why::Limit {
                what: "spare connections of one key",
                limit,
            });
        }
        let limit = self.config.spares;
        if self.stats.spares.saturating_add(self.stats.picked) >= limit {
            return Err(Why::Limit {
                what: "spare connections in all",
                limit,
            });
        }
        Ok(())
    }

    fn answered(&mut self, conn: ConnId, message: Message<'_>) -> Result<(), Why> {
        let text = self.control(conn, message)?;
        let response = wire::read_authentication_response(text);
        let name = if response.is_ok() {
            "authentication_response"
        } else {
            UNKNOWN
        };
        self.note(conn, false, Layer::Relay, name, text.len());
        let response = response?;
        let Some(State::Challenged(challenge)) = self.connections.get(&conn).map(|c| &c.state)
        else {
            return Ok(());
        };
        let answer = crypto::open::<64>(&challenge.pair, &response).map_err(|_| Why::Challenge)?;
        if !constant_time_eq(answer.expose(), challenge.answer.expose()) {
            return Err(Why::Challenge);
        }
        let key = challenge.key;
        // Again: others may have come first in the meantime.
        self.room_for_spare(&key)?;
        self.enter(conn, State::Spare { key, asked: false });
        self.listeners.add(key, conn);
        self.ping_later(conn);
        let success = wire::authentication_success(self.config.ping_interval_ms());
        self.send(conn, "authentication_success", success);
        count(&mut self.stats.registered);
        self.outbox
            .push(Queued::Event(RelayEvent::Registered { conn, key }));
        Ok(())
    }

    // The spare connection.

    fn ping_later(&mut self, conn: ConnId) {
        let interval = crate::time::Micros::millis(self.config.ping_interval_ms());
        self.set_deadline(conn, self.after(interval, Alarm::Ping));
    }

    /// A spare connection may say `pong`, when it was asked, and nothing else.
    fn pong(&mut self, conn: ConnId, message: Message<'_>) -> Result<(), Why> {
        let text = self.control(conn, message)?;
        let read = wire::read_pong(text);
        let name = if read.is_ok() { "pong" } else { UNKNOWN };
        self.note(conn, false, Layer::Relay, name, text.len());
        read?;
        match self
            .connections
            .get_mut(&conn)
            .map(|entry| &mut entry.state)
        {
            Some(State::Spare {
                asked: asked @ true,
                ..
            }) => {
                *asked = false;
                self.ping_later(conn);
                Ok(())
            }
            Some(State::Picked { key, initiator }) => {
                let (key, initiator) = (*key, *initiator);
                self.hand_over(conn, &key, initiator);
                Ok(())
            }
            // Taken for the answer to a later ping, it would let the real one leak into a relayed stream.
            _ => Err(Why::UnaskedPong),
        }
    }

    // The handover.

    /// Picks the next spare for a waiting initiator, or refuses it.
    pub(super) fn next_spare(&mut self, initiator: ConnId) {
        let Some(State::Waiting(waiting)) = self
            .connections
            .get_mut(&initiator)
            .map(|entry| &mut entry.state)
        else {
            return;
        };
        let key = waiting.request.target;
        waiting.spare = self.listeners.pick(&key);
        let Some(spare) = waiting.spare else {
            let step = crate::step::Step::Handover;
            self.end(initiator, Why::NoListener.at(step));
            return;
        };
        // It is picked in any case, so that the stacks and states agree; its pong limit goes on.
        let old = self.enter(spare, State::Picked { key, initiator });
        if !matches!(old, Some(State::Spare { asked: true, .. })) {
            self.hand_over(spare, &key, initiator);
        }
    }

    /// No ping is out: the handover, then the request.
    fn hand_over(&mut self, spare: ConnId, key: &PublicKey<Instance>, initiator: ConnId) {
        let Some(request) = self.request_of(initiator).map(CommunicationRequest::text) else {
            return;
        };
        self.listeners.left(key);
        self.enter(spare, State::Handed { initiator });
        self.set_deadline(spare, None);
        self.send(spare, "connection_handover", wire::connection_handover());
        self.send(spare, "communication_request", request);
    }

    fn request_of(&self, initiator: ConnId) -> Option<&CommunicationRequest> {
        match &self.connections.get(&initiator)?.state {
            State::Waiting(waiting) => Some(&waiting.request),
            _ => None,
        }
    }

    /// A listener's first message while we do not know yet that the request has left: it has.
    fn answers_at_once(
        &mut self,
        conn: ConnId,
        initiator: ConnId,
        message: Message<'_>,
    ) -> Result<(), Why> {
        Self::no_pong(message)?;
        self.begin(initiator);
        self.relay(conn, initiator, false, message)
    }

    /// The first message behind a handover answers the request. A pong there crossed the handover unasked.
    pub(super) fn no_pong(message: Message<'_>) -> Result<(), Why> {
        match message {
            Message::Text(text)
                if text.len() <= limits::CONTROL && wire::read_pong(text).is_ok() =>
            {
                Err(Why::UnaskedPong)
            }
            _ => Ok(()),
        }
    }

    /// What an initiator says before the relaying begins is kept.
    fn hold(&mut self, conn: ConnId, message: Message<'_>) -> Result<(), Why> {
        let bytes = message.bytes();
        self.note(
            conn,
            false,
            Layer::Relayed,
            super::pair::name(message.kind()),
            bytes.len(),
        );
        let Some(State::Waiting(waiting)) = self
            .connections
            .get_mut(&conn)
            .map(|entry| &mut entry.state)
        else {
            return Ok(());
        };
        let charge = charge(bytes.len());
        let limit = self.config.held;
        if waiting.held_bytes.saturating_add(charge) > limit {
            return Err(Why::Limit {
                what: "bytes sent before the relaying began",
                limit,
            });
        }
        waiting.held_bytes = waiting.held_bytes.saturating_add(charge);
        waiting
            .held
            .push_back((message.kind(), self.outbox.copy(bytes)));
        self.stats.held = self.stats.held.saturating_add(charge);
        Ok(())
    }

    /// The request has left for the listener: the relaying begins, with what was kept.
    pub(super) fn begin(&mut self, initiator: ConnId) {
        let Some(State::Waiting(waiting)) =
            self.connections.get(&initiator).map(|entry| &entry.state)
        else {
            return;
        };
        let Some(spare) = waiting.spare else { return };
        let (source, target) = (waiting.request.source, waiting.request.target);
        let moved = self.latest;
        self.enter(
            spare,
            State::Relayed {
                partner: initiator,
                moved,
                unheard: true,
            },
        );
        let old = self.enter(
            initiator,
            State::Relayed {
                partner: spare,
                moved,
                unheard: false,
            },
        );
        // One deadline for the pair.
        self.set_deadline(initiator, self.after(self.config.idle, Alarm::Idle));
        count(&mut self.stats.handed_over);
        self.outbox.push(Queued::Event(RelayEvent::HandedOver {
            spare,
            initiator,
            source,
            target,
        }));
        if let Some(State::Waiting(waiting)) = old {
            self.pass_on(initiator, spare, *waiting);
        }
    }

    /// Relays what was kept.
    pub(super) fn pass_on(&mut self, from: ConnId, to: ConnId, mut waiting: Waiting) {
        self.stats.held = self.stats.held.saturating_sub(waiting.held_bytes);
        while let Some((kind, bytes)) = waiting.held.pop_front() {
            self.forward(from, to, kind, bytes);
        }
    }

    /// The reason for a close, from a text.
    pub(super) fn reason(text: &str) -> String {
        crate::fault::cut(text.into(), 123)
    }
}
