//! The machine of one session.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::pump::pass_notes;
use crate::canon::compare_rebased;
use crate::channel::{Diagnosis, OrderStats, SendError, Sibling};
use crate::contact::Contact;
use crate::crypto::{Instance, KeyPair, PublicKey, Random, Static, Suite, Wiped};
use crate::establish::{EstablishConfig, Established, Establishment, Group, Surroundings};
use crate::fault::{Fault, Refusal, Why};
use crate::handshake::{
    Acceptor, Arrival, CommunicationRequest, HandshakeConfig, Handshaken, Initiator,
};
use crate::identity::Identity;
use crate::io::{Closed, Full, Kind, Message, NotStored, Output};
use crate::pairing::{Pairing, PairingConfig, Token};
use crate::role::Role;
use crate::step::Step;
use crate::time::{Deadline, Micros, Now};

/// What the layers of a session need to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Of the handshake and the channel.
    pub handshake: HandshakeConfig,
    /// Of the establishment.
    pub establish: EstablishConfig,
    /// Of the pairing.
    pub pairing: PairingConfig,
}

/// What an initiator wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// The key to present. A node presents its instance key; recorded deployed peers presented their person key in
    /// pairings.
    pub own: KeyPair<Static>,
    /// The acceptor's instance key.
    pub target: PublicKey<Instance>,
    /// What the connection is for.
    pub group: Group,
    /// The token of an invitation, for [`Group::Pairing`].
    pub token: Option<Token>,
}

/// What a session tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A request came; nothing is proven. [`Session::refuse`] can still stop it.
    Request(CommunicationRequest),
    /// The other side is known and what the connection is for. A pairing goes on by itself; for any other group,
    /// messages can flow now.
    Established(Established),
    /// Store this contact, then call [`Session::stored`].
    Store(Contact),
    /// The pairing has succeeded.
    Paired,
    /// All is said: close in the good way.
    Close,
    /// A message of the group; its bytes are in the buffer that was given to `poll`.
    Message(Kind),
}

/// One session. What it asks of its node goes through [`Surroundings`].
///
/// *Handle*: [`message`](Self::message), [`send`](Self::send), [`stored`](Self::stored), [`closed`](Self::closed),
/// [`tick`](Self::tick). *Poll*: [`poll`](Self::poll). *Look*: [`step`](Self::step), [`deadline`](Self::deadline).
#[derive(Clone, Debug)]
pub struct Session<S: Suite> {
    pub(super) role: Role,
    pub(super) config: SessionConfig,
    pub(super) own: Arc<Identity>,
    /// For the establishment, until it begins.
    pub(super) random: Option<Random>,
    pub(super) wanted: Option<(Group, Option<Token>)>,
    pub(super) stage: Stage<S>,
    pub(super) plain: VecDeque<(Kind, Vec<u8>)>,
    /// Messages of the group that came before the end and were not polled then.
    pub(super) last_words: VecDeque<(Kind, Wiped)>,
    /// Frames that waited behind a gap at the end.
    pub(super) undelivered: usize,
    pub(super) events: VecDeque<Output<SessionEvent>>,
    pub(super) fault: Option<Fault>,
    pub(super) told: bool,
    pub(super) latest: Micros,
}

compare_rebased!(Session {
    role,
    config,
    own,
    random,
    wanted,
    stage,
    plain,
    last_words,
    undelivered,
    events,
    fault,
    told,
});

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage<S: Suite> {
    Initiating(Initiator<S>),
    Accepting(Acceptor<S>),
    Establishing(Link<S>, Establishment<S>),
    Pairing(Link<S>, Pairing),
    Connected(Link<S>),
    /// It is over. The channel stays until a failed frame has been diagnosed.
    Ended(Option<Link<S>>, Step),
}

pub(super) type Link<S> = alloc::boxed::Box<Handshaken<S>>;

impl<S: Suite> Session<S> {
    /// The side that dialled, on an open WebSocket.
    #[must_use]
    pub fn initiator(
        now: Now,
        config: SessionConfig,
        own: Arc<Identity>,
        mut random: Random,
        opening: Opening,
    ) -> Self {
        let Opening {
            own: static_key,
            target,
            group,
            token,
        } = opening;
        let handshake = Initiator::new(
            now,
            config.handshake.clone(),
            static_key,
            target,
            random.fork(),
        );
        let mut session = Self::new(
            now,
            Role::Initiator,
            config,
            own,
            random,
            Stage::Initiating(handshake),
        );
        session.wanted = Some((group, token));
        while session.pump_initiator(now) {}
        session
    }

    /// The side that waits.
    #[must_use]
    pub fn acceptor(
        now: Now,
        config: SessionConfig,
        own: Arc<Identity>,
        mut random: Random,
        arrival: Arrival,
    ) -> Self {
        let handshake = Acceptor::new(
            now,
            config.handshake.clone(),
            vec![own.instance_key().clone()],
            vec![*own.person_key().public().bytes()],
            random.fork(),
            arrival,
        );
        Self::new(
            now,
            Role::Acceptor,
            config,
            own,
            random,
            Stage::Accepting(handshake),
        )
    }

    fn new(
        now: Now,
        role: Role,
        config: SessionConfig,
        own: Arc<Identity>,
        random: Random,
        stage: Stage<S>,
    ) -> Self {
        Self {
            role,
            config,
            own,
            random: Some(random),
            wanted: None,
            stage,
            plain: VecDeque::new(),
            last_words: VecDeque::new(),
            undelivered: 0,
            events: VecDeque::new(),
            fault: None,
            told: false,
            latest: now.mono,
        }
    }

    /// This side's role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The step it is in.
    #[must_use]
    pub const fn step(&self) -> Step {
        match &self.stage {
            Stage::Initiating(handshake) => handshake.step(),
            Stage::Accepting(handshake) => handshake.step(),
            Stage::Establishing(_, establishment) => establishment.step(),
            Stage::Pairing(_, pairing) => pairing.step(),
            Stage::Connected(_) => Step::Connected,
            Stage::Ended(_, step) => *step,
        }
    }

    /// Takes a WebSocket message.
    ///
    /// # Errors
    /// [`Full`]: poll for the messages that have come, then offer it again.
    pub fn message(
        &mut self,
        now: Now,
        message: Message<'_>,
        node: &mut dyn Surroundings,
    ) -> Result<(), Full> {
        let now = now.not_before(&mut self.latest);
        // Time limits that have passed come first; a message at the very deadline is in time.
        if self
            .deadline()
            .is_some_and(|deadline| deadline.at < now.mono)
        {
            self.tick(now, node);
        }
        match &mut self.stage {
            Stage::Initiating(handshake) => handshake.message(now, message),
            Stage::Accepting(handshake) => handshake.message(now, message),
            Stage::Establishing(link, _) | Stage::Pairing(link, _) | Stage::Connected(link) => {
                link.channel.message(now, message)?;
            }
            Stage::Ended(..) => return Ok(()),
        }
        self.pump(now, node);
        Ok(())
    }

    /// Refuses the initiator that has just asked; told to it later, like any refusal.
    pub fn refuse(&mut self, refusal: Refusal) {
        if let Stage::Accepting(handshake) = &mut self.stage {
            handshake.refuse(refusal);
        }
    }

    /// Sends a message of the group. Only on a connected session.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed then.
    pub fn send(&mut self, now: Now, message: Message<'_>) -> Result<(), SendError> {
        let now = now.not_before(&mut self.latest);
        let Stage::Connected(link) = &mut self.stage else {
            return Err(SendError::Ended);
        };
        let sent = link.channel.send(now, message);
        pass_notes(&mut link.channel, true, &mut self.events);
        sent
    }

    /// The answer to [`SessionEvent::Store`].
    pub fn stored(&mut self, now: Now, result: Result<(), NotStored>, node: &mut dyn Surroundings) {
        let now = now.not_before(&mut self.latest);
        if let Stage::Pairing(_, pairing) = &mut self.stage {
            pairing.stored(now, result);
        }
        self.pump(now, node);
    }

    /// The connection is gone. Gives the cause, unless all was said.
    pub fn closed(&mut self, how: Closed, node: &mut dyn Surroundings) {
        let good = matches!(&self.stage, Stage::Pairing(_, pairing) if pairing.awaits_close());
        if good {
            self.end(None);
            self.events.push_back(Output::Event(SessionEvent::Close));
        } else {
            self.fail(Why::from_close(how).at(self.step()));
        }
        node.challenge_answered();
    }

    /// This side ends it.
    pub fn withdraw(&mut self, why: Why, node: &mut dyn Surroundings) {
        self.fail(why.at(self.step()));
        node.challenge_answered();
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now, node: &mut dyn Surroundings) {
        let now = now.not_before(&mut self.latest);
        match &mut self.stage {
            Stage::Initiating(handshake) => handshake.tick(now),
            Stage::Accepting(handshake) => handshake.tick(now),
            Stage::Establishing(link, establishment) => {
                link.channel.tick(now);
                establishment.tick(now, node);
            }
            Stage::Pairing(link, pairing) => {
                link.channel.tick(now);
                pairing.tick(now);
            }
            Stage::Connected(link) => link.channel.tick(now),
            Stage::Ended(..) => {}
        }
        self.pump(now, node);
    }

    /// When `tick` is wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        match &self.stage {
            Stage::Initiating(handshake) => handshake.deadline(),
            Stage::Accepting(handshake) => handshake.deadline(),
            Stage::Establishing(link, establishment) => {
                Deadline::earlier(link.channel.deadline(), establishment.deadline())
            }
            Stage::Pairing(link, pairing) => {
                Deadline::earlier(link.channel.deadline(), pairing.deadline())
            }
            Stage::Connected(link) => link.channel.deadline(),
            Stage::Ended(..) => None,
        }
    }

    /// The next thing to send, or told. The end, if it is a fault, comes last and once.
    pub fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Output<SessionEvent>> {
        if let Some(kind) = self.poll_send(bytes) {
            return Some(Output::Send(kind));
        }
        if let Some(event) = self.poll_event() {
            return Some(event);
        }
        if let Some(kind) = self.poll_received(bytes) {
            return Some(Output::Event(SessionEvent::Message(kind)));
        }
        self.poll_fault().map(Output::Fault)
    }

    pub(crate) fn poll_send(&mut self, bytes: &mut Vec<u8>) -> Option<Kind> {
        if let Some((kind, message)) = self.plain.pop_front() {
            *bytes = message;
            return Some(kind);
        }
        let link = self.link_mut()?;
        // The fault of a channel is taken by `pump`.
        if !link.channel.has_frames() {
            return None;
        }
        match link.channel.poll::<()>(bytes) {
            Some(Output::Send(kind)) => Some(kind),
            _ => None,
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<Output<SessionEvent>> {
        self.events.pop_front()
    }

    pub(crate) fn poll_received(&mut self, bytes: &mut Vec<u8>) -> Option<Kind> {
        if let Some((kind, mut message)) = self.last_words.pop_front() {
            *bytes = core::mem::take(&mut *message);
            return Some(kind);
        }
        let Stage::Connected(link) = &mut self.stage else {
            return None;
        };
        let message = link.channel.received()?;
        bytes.clear();
        bytes.extend_from_slice(message.bytes());
        let kind = message.kind();
        pass_notes(&mut link.channel, true, &mut self.events);
        Some(kind)
    }

    pub(crate) fn poll_fault(&mut self) -> Option<Fault> {
        if self.told {
            return None;
        }
        let fault = self.fault.clone()?;
        self.told = true;
        Some(fault)
    }

    fn link_mut(&mut self) -> Option<&mut Link<S>> {
        match &mut self.stage {
            Stage::Establishing(link, _) | Stage::Pairing(link, _) | Stage::Connected(link) => {
                Some(link)
            }
            Stage::Ended(link, _) => link.as_mut(),
            Stage::Initiating(_) | Stage::Accepting(_) => None,
        }
    }

    /// What the reorder window of the channel holds and has seen; after the end, how many frames it dropped.
    #[must_use]
    pub fn order(&self) -> OrderStats {
        match &self.stage {
            Stage::Establishing(link, _) | Stage::Pairing(link, _) | Stage::Connected(link) => {
                link.channel.order()
            }
            Stage::Initiating(_) | Stage::Accepting(_) | Stage::Ended(..) => OrderStats {
                undelivered: self.undelivered,
                ..OrderStats::default()
            },
        }
    }

    /// Whether what its channel counts is what it holds.
    pub(crate) fn self_check(&self) -> Result<(), &'static str> {
        match &self.stage {
            Stage::Establishing(link, _) | Stage::Pairing(link, _) | Stage::Connected(link) => {
                link.channel.self_check()
            }
            Stage::Initiating(_) | Stage::Accepting(_) | Stage::Ended(..) => Ok(()),
        }
    }

    /// The channel, as the diagnosis of another one sees it.
    #[must_use]
    pub fn sibling(&self) -> Option<Sibling<'_, S::Pair>> {
        match &self.stage {
            Stage::Establishing(link, _) | Stage::Pairing(link, _) | Stage::Connected(link) => {
                Some(link.channel.sibling())
            }
            _ => None,
        }
    }

    /// Why a frame failed, if that ended this session (spec 07). To be asked once, after the close.
    #[must_use]
    pub fn diagnose(self, siblings: &[Sibling<'_, S::Pair>]) -> Option<Diagnosis> {
        let Stage::Ended(Some(link), _) = self.stage else {
            return None;
        };
        let Handshaken {
            channel,
            static_key,
            ..
        } = *link;
        channel.diagnose(Some(&static_key), siblings)
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        if self.fault.is_none() && !matches!(self.stage, Stage::Ended(..)) {
            self.fault = Some(fault);
            self.end(None);
        }
    }

    /// Goes to the final state; the secrets go with what is dropped. Frames that are sealed already are kept, and
    /// messages of the group that have come.
    pub(super) fn end(&mut self, step: Option<Step>) {
        let step = step.unwrap_or_else(|| self.step());
        let connected = matches!(self.stage, Stage::Connected(_));
        (self.random, self.wanted) = (None, None);
        let stage = core::mem::replace(&mut self.stage, Stage::Ended(None, step));
        let link = match stage {
            Stage::Establishing(link, _) | Stage::Pairing(link, _) | Stage::Connected(link) => link,
            Stage::Ended(Some(link), _) => link,
            Stage::Initiating(_) | Stage::Accepting(_) | Stage::Ended(None, _) => return,
        };
        let mut link = link;
        let mut bytes = Vec::new();
        pass_notes(&mut link.channel, connected, &mut self.events);
        while link.channel.has_frames() {
            if let Some(Output::<()>::Send(kind)) = link.channel.poll(&mut bytes) {
                self.plain.push_back((kind, core::mem::take(&mut bytes)));
            }
        }
        while connected && let Some(message) = link.channel.received() {
            let bytes: Vec<u8> = message.bytes().into();
            self.last_words.push_back((message.kind(), bytes.into()));
        }
        pass_notes(&mut link.channel, connected, &mut self.events);
        let order = link.channel.order();
        self.undelivered = order.held + order.undelivered;
        if link.channel.has_post_mortem() {
            self.stage = Stage::Ended(Some(link), step);
        }
    }

    pub(crate) fn rebase(&mut self, now: Micros) {
        self.latest = Micros::ZERO;
        match &mut self.stage {
            Stage::Initiating(handshake) => handshake.rebase(now),
            Stage::Accepting(handshake) => handshake.rebase(now),
            Stage::Establishing(link, establishment) => {
                link.channel.rebase(now);
                establishment.rebase(now);
            }
            Stage::Pairing(link, pairing) => {
                link.channel.rebase(now);
                pairing.rebase(now);
            }
            Stage::Connected(link) => link.channel.rebase(now),
            Stage::Ended(link, _) => {
                if let Some(link) = link {
                    link.channel.rebase(now);
                }
            }
        }
    }
}
