//! One connection of the double, from the dialling to the end: its script, in the protocol's order.

mod establish;
mod handshake;
mod pairing;
mod register;

use std::collections::VecDeque;

use chumwire::crypto::{Secret, Suite};
use chumwire::io::{ConnId, Kind, Message};
use chumwire::time::{Micros, Now};

use super::frames::{Tunnel, decoded, unescaped};
use super::{DeployedEvent, Shared, texts};

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
    /// Messages that were said behind the key message.
    behind_key: u32,
    /// For the keepalive.
    said: Micros,
    heard: Micros,
    ping_limit: Option<Micros>,
    ping_interval: Micros,
    /// What comes before this moment is lost.
    deaf_until: Micros,
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
            behind_key: 0,
            said: Micros::ZERO,
            heard: Micros::ZERO,
            ping_limit: None,
            ping_interval: Micros::ZERO,
            deaf_until: Micros::ZERO,
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
        let unsealed = shared.config.faults.unsealed == Some(self.behind_key);
        self.behind_key += u32::from(self.tunnel.is_some());
        match &mut self.tunnel {
            Some(tunnel) if !unsealed => {
                let frame = tunnel.seal_text(&mut shared.random, &text);
                self.put(now, id, Kind::Binary, frame, shared);
            }
            _ => self.put(now, id, Kind::Text, text.into_bytes(), shared),
        }
    }

    fn binary(&mut self, now: Now, id: ConnId, bytes: Vec<u8>, shared: &mut Shared<S>) {
        self.behind_key += u32::from(self.tunnel.is_some());
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
        if now.mono < self.deaf_until {
            return;
        }
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
            } else if self.said + Micros::secs(20) <= now.mono {
                self.keepalive(now, id, shared);
            }
        }
    }

    fn keepalive(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) {
        if let Some(tunnel) = &mut self.tunnel {
            let frame = tunnel.seal(&mut shared.random, true, b"keepalive");
            self.put(now, id, Kind::Binary, frame, shared);
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
