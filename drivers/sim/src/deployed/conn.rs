//! One connection of the double, from the dialling to the end: its script, in the protocol's order.

use std::collections::VecDeque;

use chumwire::crypto::{Purpose, Secret, Suite};
use chumwire::io::{ConnId, Kind, Message};
use chumwire::time::{Micros, Now};
use serde_json::Value;

use super::frames::{Tunnel, boxed, decoded, unboxed, unescaped};
use super::texts::{self, OwnIdentity};
use super::{DeployedEvent, Known, Route, Shared};

/// What a dialled connection is for.
pub(super) enum Goal {
    Register,
    Initiate {
        target: [u8; 32],
        group: String,
        token: Option<String>,
        person_key: bool,
    },
}

/// What the script waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Open,
    RegisterChallenge,
    RegisterSuccess,
    Spare,
    Request,
    Ready,
    Key,
    /// A key message is being worked on.
    Thinking(Micros),
    Group,
    Sync,
    Person,
    Keys,
    /// The answer to its own challenge.
    Answer,
    /// The other side's challenge.
    Challenge,
    Instance,
    Token,
    Identity,
    /// All is well; nothing is due.
    Established,
    /// It raised an error, or hangs: nobody reads any more.
    Silent,
    Over,
}

/// How a step of the script fails.
enum Fail {
    /// It closes, with this text.
    Close(String),
    /// It closes without a text.
    CloseBare,
    /// It raises an error event and leaves the connection open.
    Raise(String),
}

impl From<String> for Fail {
    fn from(error: String) -> Self {
        Self::Close(format!("Error: {error}"))
    }
}

impl From<&str> for Fail {
    fn from(error: &str) -> Self {
        Self::Close(format!("Error: {error}"))
    }
}

/// In the establishment most errors are raised only.
fn raise(error: impl Into<String>) -> Fail {
    Fail::Raise(error.into())
}

/// A message as the script reads it.
enum Read {
    Text(String),
    Binary(Vec<u8>),
}

impl Read {
    fn text(&self) -> Result<&str, &'static str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err("Received message that is not a string message."),
        }
    }

    fn binary(&self) -> Result<&[u8], &'static str> {
        match self {
            Self::Binary(bytes) => Ok(bytes),
            Self::Text(_) => Err("Received message that is not a binary message."),
        }
    }
}

/// What it has learned of the other side.
#[derive(Default)]
struct Peer {
    email: String,
    person: String,
    person_key: [u8; 32],
    instance: String,
}

pub(super) struct Conn<S: Suite> {
    goal: Option<Goal>,
    wait: Wait,
    initiator: bool,
    spare: bool,
    /// The key that the other side presents.
    peer_key: [u8; 32],
    static_pair: Option<S::Pair>,
    ephemeral: Option<Secret<32>>,
    received_key: Vec<u8>,
    tunnel: Option<Tunnel<S>>,
    group: String,
    peer: Peer,
    person_pair: Option<S::Pair>,
    challenge: [u8; 64],
    unread: VecDeque<Read>,
    sent: u32,
    /// For the keepalive.
    said: Micros,
    heard: Micros,
    ping_limit: Option<Micros>,
    ping_interval: Micros,
}

impl<S: Suite> Conn<S> {
    fn new(wait: Wait, goal: Option<Goal>) -> Self {
        Self {
            spare: matches!(goal, Some(Goal::Register)),
            initiator: matches!(goal, Some(Goal::Initiate { .. })),
            goal,
            wait,
            peer_key: [0; 32],
            static_pair: None,
            ephemeral: None,
            received_key: Vec::new(),
            tunnel: None,
            group: String::new(),
            peer: Peer::default(),
            person_pair: None,
            challenge: [0; 64],
            unread: VecDeque::new(),
            sent: 0,
            said: Micros::ZERO,
            heard: Micros::ZERO,
            ping_limit: None,
            ping_interval: Micros::ZERO,
        }
    }

    pub(super) fn dialling(goal: Goal) -> Self {
        Self::new(Wait::Open, Some(goal))
    }

    pub(super) fn accepted(_: Now) -> Self {
        Self::new(Wait::Request, None)
    }

    pub(super) const fn is_spare(&self) -> bool {
        self.spare
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.wait, Wait::Over)
    }

    pub(super) const fn end(&mut self) {
        self.wait = Wait::Over;
    }

    // --- sending -------------------------------------------------------------------------------------------------

    fn text(&mut self, now: Now, id: ConnId, text: &str, shared: &mut Shared<S>) {
        let text = match shared.config.shouts {
            true => shouted(text),
            false => text.to_owned(),
        };
        match &mut self.tunnel {
            Some(tunnel) => {
                let frame = tunnel.seal_text(&mut shared.random, &text);
                self.put(now, id, Kind::Binary, frame, shared);
            }
            None => self.put(now, id, Kind::Text, text.into_bytes(), shared),
        }
    }

    fn binary(&mut self, now: Now, id: ConnId, bytes: Vec<u8>, shared: &mut Shared<S>) {
        let bytes = match &mut self.tunnel {
            Some(tunnel) => tunnel.seal(&mut shared.random, false, &bytes),
            None => bytes,
        };
        self.put(now, id, Kind::Binary, bytes, shared);
    }

    fn put(&mut self, now: Now, id: ConnId, kind: Kind, bytes: Vec<u8>, shared: &mut Shared<S>) {
        self.said = now.mono;
        let silent = shared
            .config
            .silent_after
            .is_some_and(|limit| self.sent >= limit);
        self.sent += 1;
        if !silent {
            shared.send(id, kind, bytes);
        }
    }

    // --- what happens --------------------------------------------------------------------------------------------

    pub(super) fn opened(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) {
        match self.goal.take() {
            Some(Goal::Register) => {
                self.wait = Wait::RegisterChallenge;
                let text = texts::register(&shared.instance_public);
                self.text(now, id, &text, shared);
            }
            Some(Goal::Initiate {
                target,
                group,
                token,
                person_key,
            }) => {
                let (secret, source) = match person_key {
                    true => (&shared.person, shared.person_public),
                    false => (&shared.instance, shared.instance_public),
                };
                self.static_pair = S::before(&target, secret).ok();
                self.peer_key = target;
                self.wait = Wait::Ready;
                let text = texts::communication_request(&source, &target);
                self.goal = Some(Goal::Initiate {
                    target,
                    group: group.clone(),
                    token,
                    person_key,
                });
                self.group = group;
                self.text(now, id, &text, shared);
            }
            None => {}
        }
    }

    pub(super) fn message(
        &mut self,
        now: Now,
        id: ConnId,
        message: Message<'_>,
        shared: &mut Shared<S>,
    ) {
        let read = match self.open(now, message) {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(error) => return self.fail(id, Fail::Close(error), shared),
        };
        if matches!(
            self.wait,
            Wait::Thinking(_) | Wait::Silent | Wait::Established
        ) {
            // Nobody reads; of these it keeps ten.
            if self.unread.len() == 10 {
                let text = "Queue is full, it reached its maximum length of 10".into();
                return self.fail(id, Fail::Close(text), shared);
            }
            self.unread.push_back(read);
            return;
        }
        match self.read(now, id, &read, shared) {
            Ok(next) if self.wait != Wait::Over => self.wait = next,
            Ok(_) => {}
            Err(fail) => self.fail(id, fail, shared),
        }
    }

    /// Through the layers below the script. `None`: a keepalive.
    fn open(&mut self, now: Now, message: Message<'_>) -> Result<Option<Read>, String> {
        let Some(tunnel) = &mut self.tunnel else {
            return Ok(Some(match message {
                Message::Text(text) => Read::Text(text.into()),
                Message::Binary(bytes) => Read::Binary(bytes.into()),
            }));
        };
        let Message::Binary(frame) = message else {
            return Err("Incoming encrypted message is a string, it needs to be binary".into());
        };
        let (text, bytes) = tunnel.open(frame)?;
        self.heard = now.mono;
        if !text {
            return Ok(Some(Read::Binary(bytes)));
        }
        let text = decoded(&bytes);
        Ok((text != "keepalive").then(|| Read::Text(unescaped(text))))
    }

    fn fail(&mut self, id: ConnId, fail: Fail, shared: &mut Shared<S>) {
        match fail {
            Fail::Close(text) => shared.close(id, Some(&text)),
            Fail::CloseBare => shared.close(id, None),
            Fail::Raise(error) => {
                shared.tell(DeployedEvent::Raised(id, error));
                self.wait = Wait::Silent;
                return;
            }
        }
        self.wait = Wait::Over;
    }

    /// One step of the script.
    fn read(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        match self.wait {
            Wait::RegisterChallenge => self.on_register_challenge(now, id, message, shared),
            Wait::RegisterSuccess => self.on_register_success(now, id, message, shared),
            Wait::Spare => self.on_spare(now, id, message, shared),
            Wait::Request => self.on_request(now, id, message, shared),
            Wait::Ready => self.on_ready(now, id, message, shared),
            Wait::Key => self.on_key(now, message, shared),
            Wait::Group => self.on_group(now, id, message, shared),
            Wait::Sync => self.on_sync(now, id, message, shared),
            Wait::Person => self.on_person(now, id, message, shared),
            Wait::Keys => self.on_keys(now, id, message, shared),
            Wait::Answer => self.on_answer(now, id, message, shared),
            Wait::Challenge => self.on_challenge(now, id, message, shared),
            Wait::Instance => self.on_instance(now, id, message, shared),
            Wait::Token => self.on_token(now, id, message, shared),
            Wait::Identity => self.on_identity(now, id, message, shared),
            wait @ (Wait::Open
            | Wait::Thinking(_)
            | Wait::Established
            | Wait::Silent
            | Wait::Over) => Ok(wait),
        }
    }

    // --- layer 1 -------------------------------------------------------------------------------------------------

    fn on_register_challenge(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "authentication_request";
        let value = texts::read(message.text()?, command)?;
        let relay = texts::key(texts::text(&value, command, &["publicKey"])?);
        let challenge = texts::unhex(texts::text(&value, command, &["challenge"])?);
        let (Some(relay), Some(challenge)) = (relay, challenge) else {
            return Err(texts::mismatch(command).into());
        };
        let pair = S::before(&relay, &shared.instance).map_err(|_| "bad key")?;
        let plain = unboxed(&pair, &challenge)?;
        let answer = boxed(&pair, &mut shared.random, &inverted(&plain));
        self.text(now, id, &texts::authentication_response(&answer), shared);
        Ok(Wait::RegisterSuccess)
    }

    fn on_register_success(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let value = texts::read(message.text()?, "authentication_success")?;
        let interval = value
            .get("pingInterval")
            .and_then(Value::as_u64)
            .unwrap_or(25_000);
        self.ping_interval = Micros::millis(interval);
        self.ping_limit = Some(now.mono + self.ping_interval + Micros::secs(4));
        shared.tell(DeployedEvent::Registered(id));
        Ok(Wait::Spare)
    }

    fn on_spare(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let text = message.text()?;
        if texts::read(text, "ping").is_ok() {
            self.ping_limit = Some(now.mono + self.ping_interval + Micros::secs(4));
            self.text(now, id, &texts::command("pong"), shared);
            return Ok(Wait::Spare);
        }
        texts::read(text, "connection_handover")?;
        self.ping_limit = None;
        self.spare = false;
        Ok(Wait::Request)
    }

    // --- layer 2 -------------------------------------------------------------------------------------------------

    fn on_request(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "communication_request";
        let value = texts::read(message.text()?, command)?;
        let source = texts::text(&value, command, &["sourcePublicKey"])?;
        let target = texts::text(&value, command, &["targetPublicKey"])?;
        let (Some(source), Some(target)) = (texts::key(source), texts::key(target)) else {
            return Err("CYENC-ENSPUB: Data is not a public key".into());
        };
        self.text(now, id, &texts::command("communication_ready"), shared);
        if target != shared.instance_public {
            return Err("We do not accept connections for this target public key".into());
        }
        self.peer_key = source;
        self.static_pair = S::before(&source, &shared.instance).ok();
        Ok(Wait::Key)
    }

    fn on_ready(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        texts::read(message.text()?, "communication_ready")?;
        self.send_key(now, id, shared)?;
        Ok(Wait::Key)
    }

    fn send_key(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) -> Result<(), Fail> {
        let pair = self.static_pair.clone().ok_or("bad key")?;
        let secret = shared.random.secret(Purpose::EphemeralKey);
        let key = boxed(&pair, &mut shared.random, &S::public_key(&secret));
        self.ephemeral = Some(secret);
        self.binary(now, id, key, shared);
        Ok(())
    }

    fn on_key(&mut self, now: Now, message: &Read, shared: &Shared<S>) -> Result<Wait, Fail> {
        let pair = self.static_pair.as_ref().ok_or("bad key")?;
        self.received_key = unboxed(pair, message.binary()?)?;
        Ok(Wait::Thinking(now.mono + shared.config.think))
    }

    /// The key message has been worked on.
    fn thought(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) -> Result<Wait, Fail> {
        if !self.initiator {
            self.send_key(now, id, shared)?;
        }
        // The length is looked at only now.
        let key: [u8; 32] = self
            .received_key
            .as_slice()
            .try_into()
            .map_err(|_| "bad public key size")?;
        let secret = self.ephemeral.take().ok_or("bad key")?;
        let session = S::before(&key, &secret).map_err(|_| "bad key")?;
        self.tunnel = Some(Tunnel::new(session, self.initiator));
        (self.said, self.heard) = (now.mono, now.mono);
        if self.initiator {
            let text = texts::connection_group(&self.group);
            self.text(now, id, &text, shared);
        }
        if !self.unread.is_empty() {
            // They stay in the queue as they are, in front of everything that comes.
            return Ok(Wait::Silent);
        }
        Ok(if self.initiator {
            Wait::Sync
        } else {
            Wait::Group
        })
    }

    // --- layer 6 -------------------------------------------------------------------------------------------------

    fn on_group(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "connection_group";
        let value = texts::read(message.text()?, command)?;
        self.group = texts::text(&value, command, &["connectionGroupName"])?.into();
        if !shared.config.catch_all && self.record(shared).is_none() {
            return Err(Fail::Close(
                "I do not want to communicate with you. Go Away!".into(),
            ));
        }
        let same = |(key, group, _): &([u8; 32], String, Micros)| {
            *key == self.peer_key && *group == self.group
        };
        let older: Vec<(ConnId, Micros)> = shared
            .live
            .iter()
            .filter(|(_, l)| same(l))
            .map(|(id, (.., since))| (*id, *since))
            .collect();
        if older
            .iter()
            .any(|(_, since)| now.mono.since(*since) < Micros::secs(2))
        {
            return Err(Fail::Close(
                "Duplicate connection - dropped new connection".into(),
            ));
        }
        shared.replaced.extend(older.iter().map(|(id, _)| *id));
        self.text(now, id, &texts::command("sync"), shared);
        Ok(self.synced(now, id, shared))
    }

    fn on_sync(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        texts::read(message.text()?, "sync").map_err(raise)?;
        Ok(self.synced(now, id, shared))
    }

    fn synced(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) -> Wait {
        shared
            .live
            .insert(id, (self.peer_key, self.group.clone(), now.mono));
        let text = texts::person_id_object(&shared.config.email);
        self.text(now, id, &text, shared);
        Wait::Person
    }

    /// What is on record of the key that the other side presented.
    fn record<'a>(&self, shared: &'a Shared<S>) -> Option<&'a Known> {
        let key = texts::hex(&self.peer_key);
        shared
            .known
            .values()
            .find(|known| known.instance_key == key || known.person_key == key)
    }

    fn on_person(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "person_id_object";
        let establish = || -> Result<Value, String> {
            let value = texts::read(message.text()?, command)?;
            match texts::text(&value, command, &["obj", "$type$"])? {
                "Person" => Ok(value),
                _ => Err(texts::mismatch(command)),
            }
        };
        let value = establish().map_err(raise)?;
        self.peer.email = texts::text(&value, command, &["obj", "email"])
            .map_err(raise)?
            .into();
        self.peer.person = texts::person_id(&self.peer.email);
        let text = texts::keys_object(
            &shared.person_id,
            &shared.person_public,
            &shared.config.sign[0],
        );
        self.text(now, id, &text, shared);
        Ok(Wait::Keys)
    }

    fn on_keys(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "keys_object";
        let value = message
            .text()
            .map_err(raise)
            .and_then(|text| texts::read(text, command).map_err(raise))?;
        let owner = texts::text(&value, command, &["obj", "owner"]).map_err(raise)?;
        if owner != self.peer.person {
            return Err(raise(
                "Received keys object does not belong to the transmitted person id object",
            ));
        }
        let key = texts::text(&value, command, &["obj", "publicKey"]).map_err(raise)?;
        self.peer.person_key =
            texts::key(key).ok_or_else(|| raise("CYENC-ENSPUB: Data is not a public key"))?;
        let pair =
            S::before(&self.peer.person_key, &shared.person).map_err(|_| raise("bad key"))?;
        self.person_pair = Some(pair);
        if self.initiator {
            return Ok(Wait::Challenge);
        }
        self.send_challenge(now, id, shared)
    }

    fn send_challenge(
        &mut self,
        now: Now,
        id: ConnId,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        self.challenge = shared.random.array(Purpose::Challenge);
        let pair = self.person_pair.clone().ok_or_else(|| raise("bad key"))?;
        let sealed = boxed(&pair, &mut shared.random, &self.challenge);
        self.binary(now, id, sealed, shared);
        Ok(Wait::Answer)
    }

    fn on_answer(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let pair = self.person_pair.as_ref().ok_or_else(|| raise("bad key"))?;
        let answer = unboxed(pair, message.binary().map_err(raise)?).map_err(raise)?;
        if answer != inverted(&self.challenge) {
            return Err(Fail::CloseBare);
        }
        if self.initiator {
            self.proven(now, id, shared)
        } else {
            Ok(Wait::Challenge)
        }
    }

    fn on_challenge(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let pair = self.person_pair.clone().ok_or_else(|| raise("bad key"))?;
        let challenge = unboxed(&pair, message.binary().map_err(raise)?).map_err(raise)?;
        let answer = boxed(&pair, &mut shared.random, &inverted(&challenge));
        self.binary(now, id, answer, shared);
        if self.initiator {
            self.send_challenge(now, id, shared)
        } else {
            self.proven(now, id, shared)
        }
    }

    /// All four messages have passed. Only now a known person's key is compared.
    fn proven(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) -> Result<Wait, Fail> {
        if let Some(known) = shared.known.get(&self.peer.person)
            && known.person_key != texts::hex(&self.peer.person_key)
        {
            return Err(raise("Key does not match your previous visit"));
        }
        let text = texts::instance_id_object(&shared.config.instance, &shared.person_id);
        self.text(now, id, &text, shared);
        Ok(Wait::Instance)
    }

    fn on_instance(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "instance_id_object";
        let value = message
            .text()
            .map_err(raise)
            .and_then(|text| texts::read(text, command).map_err(raise))?;
        let name = texts::text(&value, command, &["obj", "name"]).map_err(raise)?;
        // Whose instance it says it is, is not compared with the person.
        let owner = texts::text(&value, command, &["obj", "owner"]).map_err(raise)?;
        self.peer.instance = texts::instance_id(name, owner);
        let known = self.record(shared).cloned();
        if let Some(known) = &known
            && known.instance != self.peer.instance
        {
            return Err(raise(
                "The instance id we have on record for your specified public key does not match \
                 the instance id that you sent us.",
            ));
        }
        match self.group.as_str() {
            "pairing" => self.start_pairing(now, id, shared),
            "chum" if known.is_none() => Err("Unable to start chum because you are unknown".into()),
            "chum" | "debug" => {
                let (group, person) = (self.group.clone(), self.peer.person.clone());
                shared.tell(DeployedEvent::Connected {
                    conn: id,
                    group,
                    person,
                });
                Ok(Wait::Established)
            }
            other => Err(format!("ConnectionRoutesGroupName {other} not supported").into()),
        }
    }

    // --- layer 7a ------------------------------------------------------------------------------------------------

    fn start_pairing(
        &mut self,
        now: Now,
        id: ConnId,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        match &self.goal {
            Some(Goal::Initiate {
                token: Some(token), ..
            }) => {
                let text = texts::authentication_token(token);
                self.text(now, id, &text, shared);
                Ok(Wait::Identity)
            }
            _ => Ok(Wait::Token),
        }
    }

    fn on_token(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "authentication_token";
        let value = texts::read(message.text()?, command)?;
        let token = texts::text(&value, command, &["token"])?;
        if !shared.tokens.contains_key(token) {
            return Err("Authentication token is not existing.".into());
        }
        // It is looked at here and deleted at the end: two connections can share it.
        self.goal = Some(Goal::Initiate {
            target: self.peer_key,
            group: String::new(),
            token: Some(token.into()),
            person_key: false,
        });
        self.send_identity(now, id, shared);
        Ok(Wait::Identity)
    }

    fn send_identity(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) {
        let text = texts::identity(&OwnIdentity {
            email: &shared.config.email,
            name: &shared.config.instance,
            person_key: &shared.person_public,
            person_sign: &shared.config.sign[0],
            instance_key: &shared.instance_public,
            instance_sign: &shared.config.sign[1],
            url: shared.config.url.as_deref(),
        });
        self.text(now, id, &text, shared);
    }

    fn on_identity(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "identity";
        let value = texts::read(message.text()?, command)?;
        let member = |name: &str| texts::text(&value, command, &["obj", name]);
        if member("type")? != "public" {
            return Err(texts::mismatch(command).into());
        }
        let (email, name) = (member("personEmail")?, member("instanceName")?);
        let key = |name: &str| -> Result<String, Fail> {
            let bytes = texts::unhex(member(name)?).ok_or_else(|| texts::mismatch(command))?;
            match bytes.len() {
                32 => Ok(texts::hex(&bytes)),
                _ => Err(format!(
                    "O2M-RTYC3: Property \"publicKey\" value \"{}\"",
                    texts::hex(&bytes)
                )
                .into()),
            }
        };
        let (person_key, instance_key) = (key("personKeyPublic")?, key("instanceKeyPublic")?);
        key("personSignKeyPublic")?;
        key("instanceSignKeyPublic")?;
        let person = texts::person_id(email);
        let peer = Known {
            instance: texts::instance_id(name, &person),
            person,
            person_key,
            instance_key,
            url: member("url").ok().map(Into::into),
        };
        shared.known.insert(peer.person.clone(), peer.clone());
        if shared.config.chum && peer.url.is_some() {
            let route = Route {
                conn: None,
                at: Some(now.mono),
                failures: 0,
            };
            shared.routes.insert(peer.person.clone(), route);
        }
        if self.initiator {
            self.send_identity(now, id, shared);
            shared.tell(DeployedEvent::Paired {
                conn: id,
                initiator: true,
                peer,
            });
            return if shared.config.leaves_open {
                Ok(Wait::Established)
            } else {
                Err(Fail::CloseBare)
            };
        }
        if let Some(Goal::Initiate {
            token: Some(token), ..
        }) = &self.goal
        {
            shared.tokens.remove(token);
        }
        shared.tell(DeployedEvent::Paired {
            conn: id,
            initiator: false,
            peer,
        });
        Ok(Wait::Established)
    }

    // --- time ----------------------------------------------------------------------------------------------------

    pub(super) fn deadline(&self) -> Option<Micros> {
        let thinking = match self.wait {
            Wait::Thinking(until) => Some(until),
            _ => None,
        };
        let keepalive = self
            .tunnel
            .is_some()
            .then(|| (self.said + Micros::secs(20)).min(self.heard + Micros::secs(25)));
        thinking
            .into_iter()
            .chain(keepalive)
            .chain(self.ping_limit)
            .min()
    }

    pub(super) fn tick(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) {
        if let Wait::Thinking(until) = self.wait
            && until <= now.mono
        {
            match self.thought(now, id, shared) {
                Ok(next) => self.wait = next,
                Err(fail) => return self.fail(id, fail, shared),
            }
        }
        if self.ping_limit.is_some_and(|at| at <= now.mono) {
            return self.fail(id, Fail::Close("Error: no ping".into()), shared);
        }
        if self.tunnel.is_some() {
            if self.heard + Micros::secs(25) <= now.mono {
                shared.terminate(id);
                self.wait = Wait::Over;
            } else if self.said + Micros::secs(20) <= now.mono
                && let Some(tunnel) = &mut self.tunnel
            {
                let frame = tunnel.seal(&mut shared.random, true, b"keepalive");
                self.put(now, id, Kind::Binary, frame, shared);
            }
        }
    }
}

fn inverted(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

/// The same message with hex in upper case, and with members that nobody knows.
fn shouted(text: &str) -> String {
    let mut out = String::new();
    for piece in text.split_inclusive('"') {
        let digits = piece.trim_end_matches('"');
        let is_hex = digits.len() >= 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        out.push_str(&if is_hex {
            piece.to_uppercase()
        } else {
            piece.to_owned()
        });
    }
    match out.strip_suffix('}') {
        Some(start) => format!("{start},\"unheardOf\":[1,{{\"a\":null}}]}}"),
        None => out,
    }
}
