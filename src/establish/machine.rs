//! The machine of both sides' establishment (spec 05).
//!
//! ```text
//! initiator: Sync ─> Person ─> Keys ─> ChallengeAnswer ─> ChallengeSent ─> Instance ─> done
//! acceptor:  Group ─> Person ─> Keys ─> ChallengeSent ─> ChallengeAnswer ─> Instance ─> done
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::surroundings::Surroundings;
use super::wire::{self, Group};
use crate::crypto::{
    self, PairKey, PublicKey, Purpose, Random, SEALED_CHALLENGE, Secret, Static, Suite,
};
use crate::fault::{Part, Why};
use crate::identity::Identity;
use crate::io::{Kind, Message, Output};
use crate::limits;
use crate::note::Layer;
use crate::objects::{Instance, Keys, Person};
use crate::outbox::Outbox;
use crate::role::Role;
use crate::step::Step;
use crate::time::{Alarm, Deadline, Micros, Now};

/// What an establishment needs to know besides identities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EstablishConfig {
    /// The time limit of each step.
    pub step: Micros,
    /// Whether our extensions are announced.
    pub extensions: bool,
    /// Whether a peer of one's own person is accepted. Two federated instances need different persons.
    pub same_person: bool,
    /// Whether passing messages are told as notes.
    pub notes: bool,
}

impl Default for EstablishConfig {
    fn default() -> Self {
        Self {
            step: limits::STEP,
            extensions: true,
            same_person: false,
            notes: false,
        }
    }
}

/// What an establishment proves about the other side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Established {
    /// What the connection is for.
    pub group: Group,
    /// The peer's person. That it holds the person key was proven.
    pub person: Person,
    /// The person's keys. The signing key was not proven.
    pub keys: Keys,
    /// The peer's instance, as it says.
    pub instance: Instance,
    /// The static key of the handshake.
    pub peer: PublicKey<Static>,
    /// Whether both sides have our extensions.
    pub extensions: bool,
}

/// One side of the establishment. It speaks through the channel: what it polls is to be sent there, what the channel
/// received comes here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Establishment<S: Suite> {
    role: Role,
    config: EstablishConfig,
    own: Arc<Identity>,
    peer: PublicKey<Static>,
    random: Random,
    step: Step,
    group: Option<Group>,
    extensions: bool,
    person: Option<Person>,
    keys: Option<(Keys, S::Pair)>,
    challenge: Option<Secret<64>>,
    limit: Micros,
    ended: bool,
    out: Outbox<Established>,
}

impl<S: Suite> Establishment<S> {
    /// The initiator's side, for a group.
    #[must_use]
    pub fn initiator(
        now: Now,
        config: EstablishConfig,
        own: Arc<Identity>,
        peer: PublicKey<Static>,
        random: Random,
        group: Group,
    ) -> Self {
        let mut machine = Self::new(now, Role::Initiator, config, own, peer, random, Step::Sync);
        let text = wire::connection_group(&group, machine.config.extensions);
        machine.out.text("connection_group", text);
        machine.group = Some(group);
        machine
    }

    /// The acceptor's side.
    #[must_use]
    pub fn acceptor(
        now: Now,
        config: EstablishConfig,
        own: Arc<Identity>,
        peer: PublicKey<Static>,
        random: Random,
    ) -> Self {
        Self::new(now, Role::Acceptor, config, own, peer, random, Step::Group)
    }

    fn new(
        now: Now,
        role: Role,
        config: EstablishConfig,
        own: Arc<Identity>,
        peer: PublicKey<Static>,
        random: Random,
        step: Step,
    ) -> Self {
        Self {
            role,
            limit: now.mono + config.step,
            out: Outbox::new(Layer::Establishment, config.notes),
            config,
            own,
            peer,
            random,
            step,
            group: None,
            extensions: false,
            person: None,
            keys: None,
            challenge: None,
            ended: false,
        }
    }

    /// The step it is in.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Takes a message that the channel received.
    pub fn message(&mut self, now: Now, message: Message<'_>, node: &mut dyn Surroundings) {
        if self.ended {
            return;
        }
        match self.handle(now, message, node) {
            Ok(next) => {
                self.limit = now.mono + self.config.step;
                self.step = next;
            }
            Err(why) => self.fail(why, node),
        }
    }

    fn fail(&mut self, why: Why, node: &mut dyn Surroundings) {
        if self.challenge.take().is_some() {
            node.challenge_answered();
        }
        self.ended = true;
        self.out.fail(why.at(self.step));
    }

    fn handle(
        &mut self,
        now: Now,
        message: Message<'_>,
        node: &mut dyn Surroundings,
    ) -> Result<Step, Why> {
        if message.bytes().len() > limits::CONTROL {
            return Err(Why::Limit {
                what: "bytes of a control message",
                limit: limits::CONTROL,
            });
        }
        match (self.step, message) {
            (Step::Group, Message::Text(text)) => self.on_group(now, text, node),
            (Step::Sync, Message::Text(text)) => self.on_sync(text),
            (Step::Person, Message::Text(text)) => self.on_person(text),
            (Step::Keys, Message::Text(text)) => self.on_keys(text, node),
            (Step::ChallengeSent, Message::Binary(answer)) => self.on_answer(answer, node),
            (Step::ChallengeAnswer, Message::Binary(sealed)) => self.on_challenge(sealed, node),
            (Step::Instance, Message::Text(text)) => self.on_instance(text, node),
            (Step::ChallengeSent | Step::ChallengeAnswer, Message::Text(_)) => Err(Why::Kind {
                expected: Kind::Binary,
            }),
            (_, Message::Binary(_)) => Err(Why::Kind {
                expected: Kind::Text,
            }),
            (_, Message::Text(_)) => Err(Why::Unexpected),
        }
    }

    fn on_group(&mut self, now: Now, text: &str, node: &mut dyn Surroundings) -> Result<Step, Why> {
        let (group, extensions) = wire::read_connection_group(text)?;
        self.out.received("connection_group", text.len());
        self.extensions = extensions && self.config.extensions;
        node.admit(now, &self.peer, &group, self.extensions)?;
        self.group = Some(group);
        self.out.text("sync", wire::sync(self.extensions));
        self.send_person();
        Ok(Step::Person)
    }

    fn on_sync(&mut self, text: &str) -> Result<Step, Why> {
        self.extensions = wire::read_sync(text)? && self.config.extensions;
        self.out.received("sync", text.len());
        self.send_person();
        Ok(Step::Person)
    }

    fn send_person(&mut self) {
        self.out.text(
            "person_id_object",
            wire::person_id_object(self.own.person()),
        );
    }

    fn on_person(&mut self, text: &str) -> Result<Step, Why> {
        let person = wire::read_person_id_object(text)?;
        self.out.received("person_id_object", text.len());
        if person.email.len() > limits::NAME {
            return Err(Why::Limit {
                what: "bytes of an email",
                limit: limits::NAME,
            });
        }
        if person.id() == self.own.person_id() && !self.config.same_person {
            return Err(Why::SamePerson);
        }
        self.person = Some(person);
        self.out
            .text("keys_object", wire::keys_object(&self.own.person_keys()));
        Ok(Step::Keys)
    }

    fn on_keys(&mut self, text: &str, node: &mut dyn Surroundings) -> Result<Step, Why> {
        let keys = wire::read_keys_object(text)?;
        self.out.received("keys_object", text.len());
        if self
            .person
            .as_ref()
            .is_none_or(|person| person.id() != keys.owner)
        {
            return Err(Why::IdentityMismatch {
                part: Part::KeysOwner,
            });
        }
        // The key on record is compared before a challenge is answered.
        if let Some(record) = node.on_record(keys.owner) {
            if record.person_key != keys.public_key {
                return Err(Why::IdentityMismatch {
                    part: Part::PersonKey,
                });
            }
            if record.person_sign_key != keys.sign_key {
                return Err(Why::IdentityMismatch {
                    part: Part::PersonSignKey,
                });
            }
        }
        let pair = self
            .own
            .person_key()
            .before::<S, _>(&keys.public_key)
            .map_err(|_| Why::SmallOrder)?;
        self.keys = Some((keys, pair));
        match self.role {
            Role::Acceptor => self.send_challenge(node),
            Role::Initiator => Ok(Step::ChallengeAnswer),
        }
    }

    /// The key with the peer's person; it is there from the step `keys` on.
    fn pair(&self) -> Result<&S::Pair, Why> {
        self.keys
            .as_ref()
            .map(|(_, pair)| pair)
            .ok_or(Why::Unexpected)
    }

    fn send_challenge(&mut self, node: &mut dyn Surroundings) -> Result<Step, Why> {
        let challenge = self.random.secret(Purpose::Challenge);
        let sealed = self.seal(&challenge)?;
        self.out.binary("challenge", &sealed);
        node.challenge_sent(&challenge);
        self.challenge = Some(challenge);
        Ok(Step::ChallengeSent)
    }

    fn seal(&mut self, plain: &Secret<64>) -> Result<[u8; SEALED_CHALLENGE], Why> {
        let pair = self.pair()?.clone();
        Ok(crypto::seal(&pair, &mut self.random, plain.expose()))
    }

    fn open(&self, sealed: &[u8]) -> Result<Secret<64>, Why> {
        open_challenge(self.pair()?, sealed)
    }

    /// The answer to our challenge.
    fn on_answer(&mut self, sealed: &[u8], node: &mut dyn Surroundings) -> Result<Step, Why> {
        let answer = self.open(sealed)?;
        let challenge = self.challenge.as_ref().ok_or(Why::Unexpected)?;
        if answer != crypto::inverted(challenge) {
            return Err(Why::Challenge);
        }
        self.out.received("challenge_answer", sealed.len());
        self.challenge = None;
        node.challenge_answered();
        Ok(match self.role {
            Role::Acceptor => Step::ChallengeAnswer,
            Role::Initiator => self.send_instance(),
        })
    }

    /// The peer's challenge to us.
    fn on_challenge(&mut self, sealed: &[u8], node: &mut dyn Surroundings) -> Result<Step, Why> {
        let challenge = self.open(sealed)?;
        if node.is_own_challenge(&challenge) {
            return Err(Why::ReflectedChallenge);
        }
        self.out.received("challenge", sealed.len());
        let answer = self.seal(&crypto::inverted(&challenge))?;
        self.out.binary("challenge_answer", &answer);
        match self.role {
            Role::Initiator => self.send_challenge(node),
            Role::Acceptor => Ok(self.send_instance()),
        }
    }

    fn send_instance(&mut self) -> Step {
        self.out.text(
            "instance_id_object",
            wire::instance_id_object(self.own.instance()),
        );
        Step::Instance
    }

    fn on_instance(&mut self, text: &str, node: &mut dyn Surroundings) -> Result<Step, Why> {
        let instance = wire::read_instance_id_object(text)?;
        self.out.received("instance_id_object", text.len());
        if instance.name.len() > limits::NAME {
            return Err(Why::Limit {
                what: "bytes of an instance name",
                limit: limits::NAME,
            });
        }
        let (Some(group), Some(person), Some((keys, _))) =
            (self.group.clone(), self.person.take(), self.keys.take())
        else {
            return Err(Why::Unexpected);
        };
        if instance.owner != keys.owner {
            return Err(Why::IdentityMismatch {
                part: Part::InstanceOwner,
            });
        }
        // One instance key belongs to one instance of one person, and the other way round. Pairing has rules of its
        // own for what is new.
        if group != Group::Pairing
            && let Some(record) = node.on_record(keys.owner)
        {
            let key = record
                .instances
                .get(&instance.id())
                .ok_or(Why::IdentityMismatch {
                    part: Part::Instance,
                })?;
            if key.bytes() != self.peer.bytes() {
                return Err(Why::IdentityMismatch {
                    part: Part::InstanceKey,
                });
            }
        }
        self.ended = true;
        let (peer, extensions) = (self.peer, self.extensions);
        self.out.event(Established {
            group,
            person,
            keys,
            instance,
            peer,
            extensions,
        });
        Ok(Step::Instance)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now, node: &mut dyn Surroundings) {
        if !self.ended && self.limit <= now.mono {
            self.fail(Why::Timeout, node);
        }
    }

    /// What is to be sent through the channel, or told, next.
    pub fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Output<Established>> {
        self.out.poll(bytes)
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// When `tick` is wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        (!self.ended).then_some(Deadline {
            at: self.limit,
            why: Alarm::StepLimit,
        })
    }

    pub(crate) fn rebase(&mut self, now: Micros) {
        self.limit = self.limit.since(now);
    }
}

fn open_challenge(pair: &impl PairKey, sealed: &[u8]) -> Result<Secret<64>, Why> {
    crypto::open(pair, sealed).map_err(|error| match error {
        crypto::OpenError::Length { expected, got } => Why::Length { expected, got },
        crypto::OpenError::Forged => Why::Challenge,
    })
}
