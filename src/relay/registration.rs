//! The listener's side of one spare connection, from `register` to the handover (spec 02, "Registration" and
//! "The listener side").
//!
//! ```text
//! Challenge --authentication_request--> Success --authentication_success--> Spare --connection_handover--> HandedOver
//!     |                                    |                                  | ^ ping, comm_ping: answered
//!     +------------------------------------+----------------------------------+--> Failed
//! ```
//!
//! After the handover not one message more belongs here: [`Registration::message`] refuses it unchanged, and
//! [`Registration::into_handed_over`] gives the token with which the next protocol starts on this connection.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use super::wire::{self, ToSpare};
use crate::crypto::{self, Instance, KeyPair, Random, SEALED_CHALLENGE, Suite};
use crate::fault::{Fault, Why};
use crate::handshake::HandedOver;
use crate::io::{Kind, Message, Output};
use crate::limits;
use crate::note::{Layer, Note};
use crate::step::Step;
use crate::time::{Alarm, Deadline, Micros, Now};

/// The spare connection of one listener at a relay, from the open WebSocket to the handover.
///
/// Two compare equal if they behave equally from their latest input on; deadlines count from there.
#[derive(Clone, Debug)]
pub struct Registration<S: Suite> {
    key: KeyPair<Instance>,
    random: Random,
    step_limit: Micros,
    notes: bool,
    state: State,
    /// When the state has to have been left. `None` once it is over.
    deadline: Option<Deadline>,
    latest: Micros,
    out: VecDeque<Out>,
    suite: PhantomData<fn() -> S>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// `register` is sent, `authentication_request` is due.
    Challenge,
    /// The challenge is answered, `authentication_success` is due.
    Success,
    /// Registered and idle.
    Spare { ping_interval: Micros },
    /// `connection_handover` came.
    HandedOver,
    /// A fault ended it, in this step.
    Failed(Step),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Out {
    Send(String),
    Note(Note),
    Event(RegistrationEvent),
    Fault(Fault),
}

/// What a [`Registration`] tells its parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistrationEvent {
    /// The relay took the registration: the connection is spare.
    Registered {
        /// How often the relay says it will ping, 1 ms to 1 h.
        ping_interval: Micros,
    },
    /// The connection belongs to the handshake's acceptor from here on. Take the token with
    /// [`Registration::into_handed_over`].
    HandedOver,
}

/// Why a message was not taken. Nothing has changed, and the message is still the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Outputs wait to be polled; offer it again after that.
    #[error("no room for now; poll, and offer it again")]
    Full,
    /// The connection was handed over: the message is the handshake acceptor's.
    #[error("the connection was handed over; the message belongs to what runs on it now")]
    HandedOver,
}

/// Outputs that wait to be polled before `Full` is answered. A parent that drains in its own call sees at most 3.
const OUTPUTS: usize = 16;

impl<S: Suite> Registration<S> {
    /// Starts on an open WebSocket: `register` goes out at once.
    ///
    /// `step_limit` is the time that the relay has for each answer ([`limits::STEP`] by default). With `notes`,
    /// every message is told as [`Output::Note`].
    #[must_use]
    pub fn new(
        now: Now,
        key: KeyPair<Instance>,
        random: Random,
        step_limit: Micros,
        notes: bool,
    ) -> Self {
        let register = wire::register(&key.public());
        let mut registration = Self {
            key,
            random,
            step_limit,
            notes,
            state: State::Challenge,
            deadline: None,
            latest: now.mono,
            out: VecDeque::new(),
            suite: PhantomData,
        };
        registration.send("register", register);
        registration.arm(step_limit, Alarm::StepLimit);
        registration
    }

    /// Where in the protocol it is; after a fault, where that happened.
    #[must_use]
    pub fn step(&self) -> Step {
        match self.state {
            State::Challenge | State::Success => Step::Register,
            State::Spare { .. } => Step::Spare,
            State::HandedOver => Step::Handover,
            State::Failed(step) => step,
        }
    }

    /// Whether it is registered and waits for its use.
    #[must_use]
    pub fn is_spare(&self) -> bool {
        matches!(self.state, State::Spare { .. })
    }

    /// A message came from the relay. After a fault it is ignored.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing has changed.
    pub fn message(&mut self, now: Now, message: Message<'_>) -> Result<(), NotTaken> {
        if self.state == State::HandedOver {
            return Err(NotTaken::HandedOver);
        }
        if self.out.len() >= OUTPUTS {
            return Err(NotTaken::Full);
        }
        let now = now.not_before(&mut self.latest);
        // A message at the very moment of the limit is in time.
        self.give_up_if(|deadline| deadline.at < now.mono);
        if let Err(why) = self.take(message) {
            self.fail(why);
        }
        Ok(())
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        let now = now.not_before(&mut self.latest);
        self.give_up_if(|deadline| deadline.at <= now.mono);
    }

    /// When `tick` is wanted next, if at all.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// The next thing to do. For [`Output::Send`] the message's bytes replace what is in `bytes`.
    pub fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Output<RegistrationEvent>> {
        Some(match self.out.pop_front()? {
            Out::Send(text) => {
                bytes.clear();
                bytes.extend_from_slice(text.as_bytes());
                Output::Send(Kind::Text)
            }
            Out::Note(note) => Output::Note(note),
            Out::Event(event) => Output::Event(event),
            Out::Fault(fault) => Output::Fault(fault),
        })
    }

    /// Ends the registration for the protocol that follows on its connection. `None` unless it was handed over and
    /// has nothing left to be polled.
    #[must_use]
    pub fn into_handed_over(self) -> Option<HandedOver> {
        (self.state == State::HandedOver && self.out.is_empty()).then(HandedOver::proven)
    }

    /// Counts all times from `now`, so that a parent can compare its children's states.
    pub(crate) fn rebase(&mut self, now: Micros) {
        if let Some(deadline) = &mut self.deadline {
            deadline.at = deadline.at.since(now);
        }
        self.latest = Micros::ZERO;
    }

    // Handlers, in the order of the states.

    fn take(&mut self, message: Message<'_>) -> Result<(), Why> {
        if matches!(self.state, State::Failed(_)) {
            return Ok(());
        }
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(bytes) => {
                self.note(false, "unknown", bytes.len());
                return Err(Why::Kind {
                    expected: Kind::Text,
                });
            }
        };
        if text.len() > limits::CONTROL {
            self.note(false, "unknown", text.len());
            return Err(Why::Limit {
                what: "bytes of a control message",
                limit: limits::CONTROL,
            });
        }
        match self.state {
            State::Challenge => self.challenged(text),
            State::Success => self.registered(text),
            State::Spare { ping_interval } => self.spare(text, ping_interval),
            State::HandedOver | State::Failed(_) => Ok(()),
        }
    }

    fn challenged(&mut self, text: &str) -> Result<(), Why> {
        let read = wire::read_authentication_request(text);
        self.note_received("authentication_request", text, read.is_ok());
        let request = read?;
        let pair = self
            .key
            .before::<S, _>(&request.relay_key)
            .map_err(|_| Why::SmallOrder)?;
        let challenge =
            crypto::open::<64>(&pair, &request.challenge).map_err(|_| Why::Challenge)?;
        let answer = crypto::inverted(&challenge);
        let sealed: [u8; SEALED_CHALLENGE] = crypto::seal(&pair, &mut self.random, answer.expose());
        self.send(
            "authentication_response",
            wire::authentication_response(&sealed),
        );
        self.state = State::Success;
        self.arm(self.step_limit, Alarm::StepLimit);
        Ok(())
    }

    fn registered(&mut self, text: &str) -> Result<(), Why> {
        let read = wire::read_authentication_success(text);
        self.note_received("authentication_success", text, read.is_ok());
        let ping_interval = Micros::millis(read?);
        self.state = State::Spare { ping_interval };
        self.arm(ping_interval + limits::PING_GRACE, Alarm::PingLimit);
        self.out
            .push_back(Out::Event(RegistrationEvent::Registered { ping_interval }));
        Ok(())
    }

    fn spare(&mut self, text: &str, ping_interval: Micros) -> Result<(), Why> {
        let read = wire::read_to_spare(text);
        let name = match read {
            Ok(ToSpare::Ping) => "ping",
            Ok(ToSpare::CommPing) => "comm_ping",
            _ => "connection_handover",
        };
        self.note_received(name, text, read.is_ok());
        match read? {
            ToSpare::Ping => {
                self.send("pong", wire::pong());
                self.arm(ping_interval + limits::PING_GRACE, Alarm::PingLimit);
            }
            // Not the relay's sign of life: that is `ping`, and the limit waits for it.
            ToSpare::CommPing => self.send("comm_pong", wire::comm_pong()),
            ToSpare::Handover => {
                self.state = State::HandedOver;
                self.deadline = None;
                self.out
                    .push_back(Out::Event(RegistrationEvent::HandedOver));
            }
        }
        Ok(())
    }

    fn give_up_if(&mut self, due: impl Fn(Deadline) -> bool) {
        if self.deadline.is_some_and(due) {
            self.fail(if self.is_spare() {
                Why::NoPing
            } else {
                Why::Timeout
            });
        }
    }

    fn fail(&mut self, why: Why) {
        let step = self.step();
        self.state = State::Failed(step);
        self.deadline = None;
        self.out.push_back(Out::Fault(why.at(step)));
    }

    fn arm(&mut self, after: Micros, why: Alarm) {
        // At least one microsecond, so that a tick at the deadline always moves it.
        self.deadline = Some(Deadline {
            at: self.latest + after.max(Micros(1)),
            why,
        });
    }

    fn send(&mut self, name: &'static str, text: String) {
        self.note(true, name, text.len());
        self.out.push_back(Out::Send(text));
    }

    fn note_received(&mut self, name: &'static str, text: &str, known: bool) {
        self.note(false, if known { name } else { "unknown" }, text.len());
    }

    fn note(&mut self, sent: bool, name: &'static str, bytes: usize) {
        if self.notes {
            let layer = Layer::Relay;
            self.out.push_back(Out::Note(Note {
                sent,
                layer,
                name,
                bytes,
                nonce: None,
            }));
        }
    }

    /// What decides how it behaves from now on.
    fn canonical(&self) -> Canonical<'_> {
        let deadline = self.deadline.map(|deadline| Deadline {
            at: deadline.at.since(self.latest),
            why: deadline.why,
        });
        (
            &self.key,
            self.step_limit,
            self.notes,
            &self.state,
            deadline,
            &self.out,
        )
    }
}

type Canonical<'a> = (
    &'a KeyPair<Instance>,
    Micros,
    bool,
    &'a State,
    Option<Deadline>,
    &'a VecDeque<Out>,
);

impl<S: Suite> PartialEq for Registration<S> {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl<S: Suite> Eq for Registration<S> {}

impl<S: Suite> Hash for Registration<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}
