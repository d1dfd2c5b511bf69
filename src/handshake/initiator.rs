//! The initiator's side of the handshake (spec 03).
//!
//! ```text
//! Ready ──communication_ready──> Key ──72 bytes──> done: a channel
//! ```
//! With a reorder window, the peer's first frames may overtake its 72 bytes: they are held while those are due, and
//! the channel takes them first (spec 04). Nothing of this session can come before `communication_ready`: the peer
//! has no key of ours by then.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::early::Early;
use super::wire::{CommunicationRequest, read_communication_ready};
use super::{HandshakeConfig, Handshaken, open_key};
use crate::canon::compare_rebased;
use crate::channel::Channel;
use crate::crypto::{
    self, Ephemeral, Instance, KeyPair, PublicKey, Purpose, Random, SEALED_KEY, Static, Suite,
};
use crate::fault::{Fault, Why};
use crate::io::{Kind, Message, Output};
use crate::note::Layer;
use crate::outbox::Outbox;
use crate::role::Role;
use crate::step::Step;
use crate::time::{Alarm, Deadline, Micros, Now};

/// Asks for a connection with the holder of an instance key, over a WebSocket that is open, direct or to a relay.
///
/// After [`Output::Event`] the channel is taken out with [`finish`](Self::finish).
#[derive(Clone, Debug)]
pub struct Initiator<S: Suite> {
    config: HandshakeConfig,
    own: KeyPair<Static>,
    target: PublicKey<Instance>,
    random: Random,
    state: State<S>,
    limit: Micros,
    latest: Micros,
    /// What overtook the peer's key message, and what came glued to it. It is for the channel.
    early: Early,
    out: Outbox<()>,
}

compare_rebased!(Initiator {
    config,
    own,
    target,
    random,
    state,
    limit,
    early,
    out,
});

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<S: Suite> {
    /// `communication_request` is out.
    Ready,
    /// Our key is out.
    Key(Box<Keyed<S>>),
    Done(Box<Handshaken<S>>),
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Keyed<S: Suite> {
    ephemeral: KeyPair<Ephemeral>,
    sent: [u8; SEALED_KEY],
    static_key: S::Pair,
}

impl<S: Suite> Initiator<S> {
    /// Starts: the request is ready to be polled. `own` is the static key to present; a node takes its instance key
    /// always, recorded deployed peers took their person key for pairing.
    #[must_use]
    pub fn new(
        now: Now,
        config: HandshakeConfig,
        own: KeyPair<Static>,
        target: PublicKey<Instance>,
        random: Random,
    ) -> Self {
        let mut out = Outbox::new(Layer::Handshake, config.notes);
        let request = CommunicationRequest {
            source: own.public(),
            target,
        };
        out.text("communication_request", request.text());
        let limit = now.mono + config.step;
        Self {
            config,
            own,
            target,
            random,
            state: State::Ready,
            limit,
            latest: now.mono,
            early: Early::default(),
            out,
        }
    }

    /// The step it is in.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self.state {
            State::Ready => Step::Ready,
            State::Key(_) | State::Done(_) | State::Failed => Step::Key,
        }
    }

    /// Takes a WebSocket message. Once the handshake is done, they are kept for the channel.
    pub fn message(&mut self, now: Now, message: Message<'_>) {
        let now = now.not_before(&mut self.latest);
        let step = self.step();
        let result = match core::mem::replace(&mut self.state, State::Failed) {
            State::Ready => self.ready(message),
            State::Key(keyed) => self.key(now, *keyed, message),
            State::Done(done) => self
                .early
                .behind_key(self.config.channel.window(), message)
                .map(|()| State::Done(done))
                .map_err(|why| why.at(Step::Sync)),
            State::Failed => Ok(State::Failed),
        };
        match result {
            Ok(state) => {
                self.state = state;
                // What is held gives the peer no more time.
                if self.step() != step {
                    self.limit = now.mono + self.config.step;
                }
            }
            Err(fault) => self.out.fail(fault),
        }
    }

    fn ready(&mut self, message: Message<'_>) -> Result<State<S>, Fault> {
        let at = |why: Why| why.at(Step::Ready);
        let Message::Text(text) = message else {
            return Err(at(Why::Kind {
                expected: Kind::Text,
            }));
        };
        read_communication_ready(text).map_err(at)?;
        self.out.received("communication_ready", text.len());
        let static_key = self
            .own
            .before::<S, _>(&self.target)
            .map_err(|_| at(Why::SmallOrder))?;
        let ephemeral: KeyPair<Ephemeral> =
            KeyPair::generate::<S>(&mut self.random, Purpose::EphemeralKey);
        let public = ephemeral.public();
        let sent = crypto::seal_for(
            Purpose::KeyNonce,
            &static_key,
            &mut self.random,
            public.bytes(),
        );
        self.out.binary("key", &sent);
        Ok(State::Key(Box::new(Keyed {
            ephemeral,
            sent,
            static_key,
        })))
    }

    fn key(&mut self, now: Now, keyed: Keyed<S>, message: Message<'_>) -> Result<State<S>, Fault> {
        let at = |why: Why| why.at(Step::Key);
        let own = Some((&keyed.sent, &keyed.ephemeral.public()));
        let peer = match (open_key::<S>(&keyed.static_key, message, own), message) {
            (Ok(peer), _) => peer,
            // It may be a frame that has overtaken the key message.
            (Err(Why::FrameBeforeKey | Why::KeyMessage), Message::Binary(frame))
                if self.config.channel.window() > 0 =>
            {
                self.early
                    .hold(self.config.channel.window(), frame)
                    .map_err(at)?;
                return Ok(State::Key(keyed.into()));
            }
            (Err(why), _) => return Err(at(why)),
        };
        let Keyed {
            ephemeral,
            static_key,
            ..
        } = keyed;
        self.out.received("key", SEALED_KEY);
        let session = ephemeral
            .before::<S, _>(&peer)
            .map_err(|_| at(Why::SmallOrder))?;
        let config = self.config.channel.clone();
        let channel = Channel::new(now, session, Role::Initiator, self.random.fork(), config);
        self.out.event(());
        Ok(State::Done(Box::new(Handshaken {
            channel,
            peer: self.target.presented(),
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
            let fault = self.early.instead_of_key().at(self.step());
            self.state = State::Failed;
            self.out.fail(fault);
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Output<()>> {
        self.out.poll(bytes)
    }

    /// When `tick` is wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        match self.state {
            State::Ready | State::Key(_) => Some(Deadline {
                at: self.limit,
                why: Alarm::StepLimit,
            }),
            State::Done(_) | State::Failed => None,
        }
    }

    /// The channel, once the handshake is done, with whatever came early already given to it.
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
