//! The acceptor's side of the handshake (spec 03).
//!
//! ```text
//! (Handover ──) Request ──communication_request──> Key ──72 bytes──> done: a channel
//! ```
//! A refusal is noted at the request and carried out only after the initiator's key message, so that all refusals
//! look alike from outside.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::early::Early;
use super::wire::{CommunicationRequest, communication_ready};
use super::{Arrival, HandshakeConfig, Handshaken, open_key};
use crate::canon::compare_rebased;
use crate::channel::Channel;
use crate::crypto::{
    self, Ephemeral, Instance, KEY, KeyPair, PublicKey, Purpose, Random, SEALED_KEY, Secret,
    Static, Suite, constant_time_eq,
};
use crate::fault::{Refusal, Why};
use crate::io::{Kind, Message, Output};
use crate::note::Layer;
use crate::outbox::Outbox;
use crate::role::Role;
use crate::step::Step;
use crate::time::{Alarm, Deadline, Micros, Now};

/// Answers a request for a connection, on a WebSocket that came in or that a relay handed over.
///
/// When the request has come it tells it as [`Asked`]; the parent may [`refuse`](Self::refuse) before it goes on.
#[derive(Clone, Debug)]
pub struct Acceptor<S: Suite> {
    config: HandshakeConfig,
    own: Vec<KeyPair<Instance>>,
    person_keys: Vec<[u8; 32]>,
    random: Random,
    state: State<S>,
    limit: Micros,
    latest: Micros,
    /// What came glued to the key message. It is for the channel.
    early: Early,
    out: Outbox<Asked>,
}

compare_rebased!(Acceptor {
    config,
    own,
    person_keys,
    random,
    state,
    limit,
    early,
    out,
});

/// What the acceptor tells its parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// A request came. The initiator has proven nothing yet.
    Request(CommunicationRequest),
    /// The handshake is done; take the channel with [`Acceptor::finish`].
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<S: Suite> {
    /// After `connection_handover`.
    Handover,
    Request,
    Key(Box<Keyed>),
    Done(Box<Handshaken<S>>),
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Keyed {
    /// Our secret of the key that is asked for, or a random one.
    own: Secret<KEY>,
    peer: PublicKey<Static>,
    refusal: Option<Refusal>,
}

impl<S: Suite> Acceptor<S> {
    /// Waits for a request for one of `own` keys. `person_keys` are ours, too, and only serve to name a frequent
    /// mistake.
    #[must_use]
    pub fn new(
        now: Now,
        config: HandshakeConfig,
        own: Vec<KeyPair<Instance>>,
        person_keys: Vec<[u8; 32]>,
        random: Random,
        arrival: Arrival,
    ) -> Self {
        let state = match arrival {
            Arrival::Direct => State::Request,
            Arrival::HandedOver(_) => State::Handover,
        };
        Self {
            out: Outbox::new(Layer::Handshake, config.notes),
            limit: now.mono + config.step,
            config,
            own,
            person_keys,
            random,
            state,
            latest: now.mono,
            early: Early::default(),
        }
    }

    /// The step it is in.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self.state {
            State::Handover => Step::Handover,
            State::Request => Step::Request,
            State::Key(_) | State::Done(_) | State::Failed => Step::Key,
        }
    }

    /// Takes a WebSocket message.
    pub fn message(&mut self, now: Now, message: Message<'_>) {
        let now = now.not_before(&mut self.latest);
        let step = self.step();
        let result = match core::mem::replace(&mut self.state, State::Failed) {
            State::Handover | State::Request => self.request(message).map_err(|why| why.at(step)),
            State::Key(keyed) => self
                .key(now, *keyed, message)
                .map_err(|why| why.at(Step::Key)),
            // The parent has not taken the channel yet.
            State::Done(done) => self
                .early
                .behind_key(self.config.channel.window(), message)
                .map(|()| State::Done(done))
                .map_err(|why| why.at(Step::Group)),
            State::Failed => Ok(State::Failed),
        };
        match result {
            Ok(state) => {
                if !matches!(state, State::Done(_)) {
                    self.limit = now.mono + self.config.step;
                }
                self.state = state;
            }
            Err(fault) => self.out.fail(fault),
        }
    }

    fn request(&mut self, message: Message<'_>) -> Result<State<S>, Why> {
        let Message::Text(text) = message else {
            return Err(Why::Kind {
                expected: Kind::Text,
            });
        };
        let request = CommunicationRequest::read(text)?;
        self.out.received("communication_request", text.len());
        self.out.text("communication_ready", communication_ready());
        // Every key is looked at, whichever fits.
        let mut own = self.random.secret(Purpose::DummyKey);
        let mut refusal = Some(Refusal::UnknownTarget);
        for key in &self.own {
            if constant_time_eq(key.public().bytes(), request.target.bytes()) {
                own = key.expose_secret().clone();
                refusal = None;
            }
        }
        if refusal.is_some() && self.person_keys.contains(request.target.bytes()) {
            refusal = Some(Refusal::PersonKeyTarget);
        }
        let keyed = Keyed {
            own,
            peer: request.source,
            refusal,
        };
        self.out.event(Asked::Request(request));
        Ok(State::Key(Box::new(keyed)))
    }

    /// Notes a refusal, for instance that this peer is not wanted. It is told after its key message, like any other refusal.
    pub fn refuse(&mut self, refusal: Refusal) {
        if let State::Key(keyed) = &mut self.state {
            keyed.refusal.get_or_insert(refusal);
        }
    }

    fn key(&mut self, now: Now, keyed: Keyed, message: Message<'_>) -> Result<State<S>, Why> {
        let Keyed { own, peer, refusal } = keyed;
        let static_key = S::before(peer.bytes(), &own).map_err(|_| Why::SmallOrder);
        let opened = static_key.and_then(|key| Ok((open_key::<S>(&key, message, None)?, key)));
        // Malformed messages are told by their form; every other refusal comes here, alike from outside.
        if let Some(refusal) = refusal
            && !matches!(opened, Err(Why::Kind { .. } | Why::FrameBeforeKey))
        {
            return Err(Why::Refused { refusal });
        }
        let (peer_ephemeral, static_key) = opened?;
        self.out.received("key", SEALED_KEY);
        let ephemeral: KeyPair<Ephemeral> =
            KeyPair::generate::<S>(&mut self.random, Purpose::EphemeralKey);
        let session = ephemeral
            .before::<S, _>(&peer_ephemeral)
            .map_err(|_| Why::SmallOrder)?;
        let public = ephemeral.public();
        let sealed: [u8; SEALED_KEY] = crypto::seal_for(
            Purpose::KeyNonce,
            &static_key,
            &mut self.random,
            public.bytes(),
        );
        self.out.binary("key", &sealed);
        let config = self.config.channel.clone();
        let channel = Channel::new(now, session, Role::Acceptor, self.random.fork(), config);
        self.out.event(Asked::Done);
        Ok(State::Done(Box::new(Handshaken {
            channel,
            peer,
            static_key,
        })))
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        let now = now.not_before(&mut self.latest);
        if self
            .deadline()
            .is_some_and(|deadline| deadline.at <= now.mono)
        {
            let step = self.step();
            let why = if step == Step::Request {
                Why::TimeoutBothAccept
            } else {
                Why::Timeout
            };
            self.state = State::Failed;
            self.out.fail(why.at(step));
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Output<Asked>> {
        self.out.poll(bytes)
    }

    /// When `tick` is wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        match self.state {
            State::Handover | State::Request | State::Key(_) => Some(Deadline {
                at: self.limit,
                why: Alarm::StepLimit,
            }),
            State::Done(_) | State::Failed => None,
        }
    }

    /// The channel, with whatever came glued to the key message already given to it.
    /// `None` if it is not done, which it would have told.
    #[must_use]
    pub fn finish(self) -> Option<Handshaken<S>> {
        match self.state {
            State::Done(mut done) => {
                self.early.give(self.latest, &mut done.channel);
                Some(*done)
            }
            _ => None,
        }
    }

    pub(crate) fn rebase(&mut self, now: Micros) {
        self.limit = self.limit.since(now);
        self.latest = Micros::ZERO;
        if let State::Done(done) = &mut self.state {
            done.channel.rebase(now);
        }
    }
}
