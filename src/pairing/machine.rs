//! The machine of both sides' pairing, on an established connection (spec 06).
//!
//! ```text
//! acceptor:  Token ──> Identity ──> stores ──> waits for the close
//! initiator: Identity ──> stores ──> sends its identity, closes
//! ```
//! Both store the contact before they tell the other side, or anyone, of success.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use zeroize::Zeroize;

use super::invitation::Token;
use super::wire::{self, PeerIdentity};
use crate::contact::{Contact, ContactInstance};
use crate::establish::{Established, OnRecord, Surroundings};
use crate::fault::{Part, Why};
use crate::identity::Identity;
use crate::io::{Kind, Message, NotStored, Output};
use crate::limits;
use crate::note::Layer;
use crate::objects::{Instance, Person, PersonId};
use crate::outbox::Outbox;
use crate::role::Role;
use crate::step::Step;
use crate::time::{Alarm, Deadline, Micros, Now};

/// What a pairing needs to know besides identities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PairingConfig {
    /// The time limit of each step.
    pub step: Micros,
    /// Where this instance can be dialled; told to the peer.
    pub url: Option<String>,
    /// Whether a known person may come with an instance that is not on record.
    pub new_instances: bool,
    /// Whether passing messages are told as notes.
    pub notes: bool,
}

impl Default for PairingConfig {
    fn default() -> Self {
        Self {
            step: limits::STEP,
            url: None,
            new_instances: false,
            notes: false,
        }
    }
}

/// What a pairing tells its parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PairingEvent {
    /// All checks are done: store this contact (and, as acceptor, that the token is spent), then call
    /// [`Pairing::stored`].
    Store(Contact),
    /// It has succeeded.
    Paired,
    /// Close the connection: all is said.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Acceptor.
    Token,
    Identity,
    /// The contact is being stored.
    Storing,
    /// Acceptor: success; the initiator closes.
    Closing,
    Ended,
}

/// One side of a pairing. It speaks through the channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pairing {
    role: Role,
    config: PairingConfig,
    own: Arc<Identity>,
    peer: Established,
    state: State,
    limit: Micros,
    out: Outbox<PairingEvent>,
}

impl Pairing {
    /// The side that made the invitation.
    #[must_use]
    pub fn acceptor(
        now: Now,
        config: PairingConfig,
        own: Arc<Identity>,
        peer: Established,
    ) -> Self {
        Self::new(now, Role::Acceptor, config, own, peer, State::Token)
    }

    /// The side that uses an invitation: its token is ready to be polled.
    #[must_use]
    pub fn initiator(
        now: Now,
        config: PairingConfig,
        own: Arc<Identity>,
        peer: Established,
        token: &Token,
    ) -> Self {
        let mut machine = Self::new(now, Role::Initiator, config, own, peer, State::Identity);
        machine
            .out
            .text("authentication_token", wire::authentication_token(token));
        machine
    }

    fn new(
        now: Now,
        role: Role,
        config: PairingConfig,
        own: Arc<Identity>,
        peer: Established,
        state: State,
    ) -> Self {
        let limit = now.mono + config.step;
        let out = Outbox::new(Layer::Pairing, config.notes);
        Self {
            role,
            config,
            own,
            peer,
            state,
            limit,
            out,
        }
    }

    /// The step it is in.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self.state {
            State::Token => Step::Token,
            State::Identity => Step::Identity,
            State::Storing | State::Closing | State::Ended => Step::Closing,
        }
    }

    /// The person at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Established {
        &self.peer
    }

    /// Takes a message that the channel received.
    pub fn message(&mut self, now: Now, message: Message<'_>, node: &mut dyn Surroundings) {
        let step = self.step();
        match self.handle(now, message, node) {
            Ok(state) => {
                self.limit = now.mono + self.config.step;
                self.state = state;
            }
            Err(why) => {
                self.state = State::Ended;
                self.out.fail(why.at(step));
            }
        }
    }

    fn handle(
        &mut self,
        now: Now,
        message: Message<'_>,
        node: &mut dyn Surroundings,
    ) -> Result<State, Why> {
        if self.state == State::Ended {
            return Ok(State::Ended);
        }
        let Message::Text(text) = message else {
            return Err(Why::Kind {
                expected: Kind::Text,
            });
        };
        if text.len() > limits::CONTROL {
            return Err(Why::Limit {
                what: "bytes of a control message",
                limit: limits::CONTROL,
            });
        }
        match self.state {
            State::Token => self.on_token(now, text, node),
            State::Identity => self.on_identity(now, text, node),
            State::Storing | State::Closing | State::Ended => Err(Why::Unexpected),
        }
    }

    fn on_token(
        &mut self,
        now: Now,
        text: &str,
        node: &mut dyn Surroundings,
    ) -> Result<State, Why> {
        let mut token = wire::read_authentication_token(text)?;
        self.out.received("authentication_token", text.len());
        let presented = node.present_token(now, &token, self.peer.keys.owner);
        token.zeroize();
        presented.map_err(|token| Why::Token { token })?;
        self.send_identity();
        Ok(State::Identity)
    }

    fn send_identity(&mut self) {
        let identity = PeerIdentity::of(&self.own, self.config.url.clone());
        self.out.text("identity", wire::identity(&identity));
    }

    fn on_identity(
        &mut self,
        now: Now,
        text: &str,
        node: &mut dyn Surroundings,
    ) -> Result<State, Why> {
        let identity = wire::read_identity(text)?;
        self.out.received("identity", text.len());
        let key_proven = check(&identity, &self.peer, self.role)?;
        let contact = contact(now, identity, &self.peer, key_proven);
        if let Some(record) = node.on_record(contact.person_id) {
            self.compare(&contact, &record)?;
        }
        self.out.event(PairingEvent::Store(contact));
        Ok(State::Storing)
    }

    /// A known person: neither other keys nor an unseen instance are added silently.
    fn compare(&self, contact: &Contact, record: &OnRecord) -> Result<(), Why> {
        let known = |part| Why::KnownPerson { part };
        if contact.person_key != record.person_key {
            return Err(known(Part::PersonKey));
        }
        if contact.person_sign_key != record.person_sign_key {
            return Err(known(Part::PersonSignKey));
        }
        for instance in &contact.instances {
            match record.instances.get(&instance.instance_id) {
                Some(key) if *key != instance.instance_key => return Err(known(Part::InstanceKey)),
                None if !self.config.new_instances => return Err(known(Part::Instance)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The answer of the storage.
    pub fn stored(&mut self, now: Now, result: Result<(), NotStored>) {
        if self.state != State::Storing {
            return;
        }
        self.limit = now.mono + self.config.step;
        match (result, self.role) {
            (Err(NotStored), _) => {
                self.state = State::Ended;
                self.out.fail(Why::NotStored.at(Step::Closing));
            }
            (Ok(()), Role::Acceptor) => {
                self.state = State::Closing;
                self.out.event(PairingEvent::Paired);
            }
            (Ok(()), Role::Initiator) => {
                self.state = State::Ended;
                self.send_identity();
                self.out.event(PairingEvent::Paired);
                self.out.event(PairingEvent::Close);
            }
        }
    }

    /// Whether the end of the connection, now, is no failure: the acceptor has all that it needs and awaits the
    /// close. The initiator closes right behind its identity, so the close may overtake the storage.
    #[must_use]
    pub const fn awaits_close(&self) -> bool {
        matches!(
            (self.state, self.role),
            (State::Closing, _) | (State::Storing, Role::Acceptor)
        )
    }

    /// Time has passed. The storage has no time limit: it is this side's own.
    pub fn tick(&mut self, now: Now) {
        if self
            .deadline()
            .is_none_or(|deadline| deadline.at > now.mono)
        {
            return;
        }
        if self.state == State::Closing {
            // A peer that does not close is closed; the pairing has succeeded long ago.
            self.out.event(PairingEvent::Close);
        } else {
            self.out.fail(Why::Timeout.at(self.step()));
        }
        self.state = State::Ended;
    }

    /// What is to be sent through the channel, or told, next.
    pub fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Output<PairingEvent>> {
        self.out.poll(bytes)
    }

    /// When `tick` is wanted.
    #[must_use]
    pub const fn deadline(&self) -> Option<Deadline> {
        match self.state {
            State::Token | State::Identity | State::Closing => Some(Deadline {
                at: self.limit,
                why: Alarm::StepLimit,
            }),
            State::Storing | State::Ended => None,
        }
    }

    pub(crate) fn rebase(&mut self, now: Micros) {
        self.limit = self.limit.since(now);
    }
}

/// What the identity says has to agree with what was proven before. Tells whether the instance key was proven.
fn check(identity: &PeerIdentity, proven: &Established, own_role: Role) -> Result<bool, Why> {
    let mismatch = |part| Err(Why::IdentityMismatch { part });
    let person: PersonId = Person {
        email: identity.person_email.clone(),
    }
    .id();
    if person != proven.keys.owner {
        return mismatch(Part::Person);
    }
    if identity.person_key != proven.keys.public_key {
        return mismatch(Part::PersonKey);
    }
    if identity.person_sign_key != proven.keys.sign_key {
        return mismatch(Part::PersonSignKey);
    }
    let instance = Instance {
        name: identity.instance_name.clone(),
        owner: person,
    };
    if instance.id() != proven.instance.id() {
        return mismatch(Part::Instance);
    }
    let key_proven = proven.peer == identity.instance_key.presented();
    // A deployed initiator presents its person key; an acceptor's is always the instance key.
    let person_key = proven.peer.bytes() == identity.person_key.bytes();
    if key_proven || (own_role == Role::Acceptor && person_key) {
        Ok(key_proven)
    } else {
        mismatch(Part::InstanceKey)
    }
}

fn contact(now: Now, identity: PeerIdentity, proven: &Established, key_proven: bool) -> Contact {
    Contact {
        person_id: proven.keys.owner,
        email: identity.person_email,
        person_key: identity.person_key,
        person_sign_key: identity.person_sign_key,
        instances: vec![ContactInstance {
            instance_id: proven.instance.id(),
            name: identity.instance_name,
            instance_key: identity.instance_key,
            instance_sign_key: identity.instance_sign_key,
            key_proven,
            url: identity.url,
            paired_at: now.wall,
        }],
    }
}
