//! A double of the deployed peer (spec 08): what it does, with its quirks, on the layers up to the pairing.
//!
//! It is written after the recordings and shares nothing with the machines above the primitives of a [`Suite`], so
//! that it can disagree with them. Not modelled: CHUM itself (a `chum` connection is established and then quiet),
//! fragmentation, and the acceptance of all-zero ephemeral keys, which no suite here does.

mod conn;
mod faults;
mod frames;
mod texts;

use std::collections::{BTreeMap, VecDeque};

use chumwire::crypto::{Purpose, Random, Secret, Suite};
use chumwire::io::{Closed, ConnId, Effect, Full, Kind, Message, NotStored, StoreId};
use chumwire::time::{Alarm, Deadline, Micros, Now};

use conn::{Conn, Goal};
pub use faults::{DeployedFaults, Lie};
pub use frames::{Tunnel, boxed, unboxed};

use crate::party::{Action, Party, Told};

/// What a double is given at the start.
#[derive(Clone)]
pub struct DeployedConfig {
    /// The person.
    pub email: String,
    /// The instance's name.
    pub instance: String,
    /// The person's secret encryption key.
    pub person_secret: [u8; 32],
    /// The instance's secret encryption key.
    pub instance_secret: [u8; 32],
    /// The public signing keys of person and instance; nothing here signs.
    pub sign: [[u8; 32]; 2],
    /// The url in its identity; without one it cannot be dialled.
    pub url: Option<String>,
    /// The relay at which it listens.
    pub relay: Option<String>,
    /// Whether it takes connections of unknown peers.
    pub catch_all: bool,
    /// Whether it connects with group `chum` after a pairing.
    pub chum: bool,
    /// Whether it uses its instance key in pairings as the design says; the deployed peer uses its person key.
    pub instance_key_in_pairing: bool,
    /// Whether it writes hex in upper case and adds members of its own: what others may do.
    pub shouts: bool,
    /// How long a key message takes to be worked on. What comes meanwhile is queued unopened.
    pub think: Micros,
    /// The life of its invitations.
    pub life: Micros,
    /// Whether it forgets to close after a pairing that it began.
    pub leaves_open: bool,
    /// After this many messages of a connection it stops talking, but still swallows what comes.
    pub silent_after: Option<u32>,
    /// Faults that the deployed peer does not have.
    pub faults: DeployedFaults,
}

impl DeployedConfig {
    /// The deployed defaults, for an identity of these names. The keys come from the names.
    #[must_use]
    pub fn new(email: &str, instance: &str) -> Self {
        let key = |label: &str| {
            use sha2::{Digest, Sha256};
            Sha256::digest(format!("{label} of {instance} of {email}")).into()
        };
        Self {
            email: email.into(),
            instance: instance.into(),
            person_secret: key("person key"),
            instance_secret: key("instance key"),
            sign: [key("person sign key"), key("instance sign key")],
            url: None,
            relay: None,
            catch_all: true,
            chum: false,
            instance_key_in_pairing: false,
            shouts: false,
            think: Micros::millis(1),
            life: Micros::secs(60),
            leaves_open: false,
            silent_after: None,
            faults: DeployedFaults::default(),
        }
    }
}

/// What a double tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DeployedEvent {
    /// A spare connection is registered.
    Registered(ConnId),
    /// A pairing succeeded, as it sees it.
    Paired {
        /// The connection.
        conn: ConnId,
        /// Whether it dialled.
        initiator: bool,
        /// The peer.
        peer: Known,
    },
    /// A connection of another group is established.
    Connected {
        /// The connection.
        conn: ConnId,
        /// The group.
        group: String,
        /// With whom.
        person: String,
    },
    /// It raised an error and left the connection open and silent.
    Raised(ConnId, String),
    /// It closed a connection, with this reason.
    Closing(ConnId, String),
    /// A connection is gone.
    Gone(ConnId, Closed),
}

/// What it keeps of a peer, in hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// The person's id.
    pub person: String,
    /// The person's key.
    pub person_key: String,
    /// The instance's id.
    pub instance: String,
    /// The instance's key.
    pub instance_key: String,
    /// Where it can be dialled.
    pub url: Option<String>,
}

struct Route {
    conn: Option<ConnId>,
    at: Option<Micros>,
    failures: usize,
}

/// What all connections of a double share.
struct Shared<S: Suite> {
    config: DeployedConfig,
    person_id: String,
    person: Secret<32>,
    instance: Secret<32>,
    person_public: [u8; 32],
    instance_public: [u8; 32],
    random: Random,
    known: BTreeMap<String, Known>,
    tokens: BTreeMap<String, Micros>,
    /// Connections that have reached `sync`: peer key, group, since when.
    live: BTreeMap<ConnId, ([u8; 32], String, Micros)>,
    /// Connections that another one replaced.
    replaced: Vec<ConnId>,
    /// A spare was handed over, and by its fault every other one is taken for handed over too.
    ready_everywhere: bool,
    out: VecDeque<(Vec<u8>, Action)>,
    routes: BTreeMap<String, Route>,
    suite: core::marker::PhantomData<S>,
}

/// Whom a double that lies speaks of.
const NOBODY: &str = "nobody@example.org";

impl<S: Suite> Shared<S> {
    /// Its person's id, or somebody else's if that is its lie.
    fn owner_unless(&self, lie: Lie) -> String {
        match self.config.faults.lie == Some(lie) {
            true => texts::person_id(NOBODY),
            false => self.person_id.clone(),
        }
    }

    fn tell(&mut self, event: DeployedEvent) {
        self.out
            .push_back((Vec::new(), Effect::Event(Told::Deployed(event))));
    }

    fn send(&mut self, conn: ConnId, kind: Kind, bytes: Vec<u8>) {
        self.out.push_back((bytes, Effect::Send { conn, kind }));
    }

    fn close(&mut self, conn: ConnId, why: Option<&str>) {
        let mut reason = why.map_or("Close called.".into(), |why| format!("Close called: {why}"));
        while reason.len() > 123 {
            reason.pop();
        }
        self.tell(DeployedEvent::Closing(conn, reason.clone()));
        self.out.push_back((
            Vec::new(),
            Effect::Close {
                conn,
                code: 1000,
                reason,
            },
        ));
    }

    fn terminate(&mut self, conn: ConnId) {
        let reason = "Terminate called: Keepalive: No lifesign of the other side".to_owned();
        self.tell(DeployedEvent::Closing(conn, reason.clone()));
        self.out.push_back((
            Vec::new(),
            Effect::Close {
                conn,
                code: 1000,
                reason,
            },
        ));
    }
}

/// The double.
pub struct Deployed<S: Suite> {
    shared: Shared<S>,
    conns: BTreeMap<ConnId, Conn<S>>,
    next: u64,
    register_at: Option<Micros>,
    started: bool,
}

/// Spare connections of its listener.
const SPARES: usize = 2;
const BACK_OFF: [u64; 6] = [5, 10, 20, 30, 60, 120];

impl<S: Suite> Deployed<S> {
    /// A double that draws from this source: recorded values replay a recording.
    #[must_use]
    pub fn new(config: DeployedConfig, random: Random, now: Now) -> Self {
        let person = Secret::take(&mut config.person_secret.clone());
        let instance = Secret::take(&mut config.instance_secret.clone());
        let mut double = Self {
            shared: Shared {
                person_id: texts::person_id(&config.email),
                person_public: S::public_key(&person),
                instance_public: S::public_key(&instance),
                person,
                instance,
                config,
                random,
                known: BTreeMap::new(),
                tokens: BTreeMap::new(),
                live: BTreeMap::new(),
                replaced: Vec::new(),
                ready_everywhere: false,
                out: VecDeque::new(),
                routes: BTreeMap::new(),
                suite: core::marker::PhantomData,
            },
            conns: BTreeMap::new(),
            next: 0,
            register_at: None,
            started: false,
        };
        double.fill_spares(now);
        double
    }

    /// The public key of its instance.
    #[must_use]
    pub const fn instance_key(&self) -> &[u8; 32] {
        &self.shared.instance_public
    }

    /// The public key of its person.
    #[must_use]
    pub const fn person_key(&self) -> &[u8; 32] {
        &self.shared.person_public
    }

    /// The person's id.
    #[must_use]
    pub fn person_id(&self) -> &str {
        &self.shared.person_id
    }

    /// The peers that it knows.
    pub fn known(&self) -> impl Iterator<Item = &Known> {
        self.shared.known.values()
    }

    /// Whether a token can be used.
    #[must_use]
    pub fn has_token(&self, token: &str) -> bool {
        self.shared.tokens.contains_key(token)
    }

    /// Makes an invitation, as JSON.
    pub fn invite(&mut self, now: Now, url: &str) -> String {
        const ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
        let bits: [u8; 64] = self.shared.random.array(Purpose::Token);
        let token: String = bits
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte & 63)]))
            .collect();
        self.invite_with(now, &token, url)
    }

    /// Makes an invitation of a known token.
    pub fn invite_with(&mut self, now: Now, token: &str, url: &str) -> String {
        self.shared
            .tokens
            .insert(token.into(), now.mono + self.shared.config.life);
        let key = match self.shared.config.faults.person_key_in_invitation {
            true => &self.shared.person_public,
            false => &self.shared.instance_public,
        };
        texts::invitation(token, key, url)
    }

    /// Uses an invitation. `None` if it cannot be read.
    pub fn join(&mut self, invitation: &str) -> Option<ConnId> {
        let value: serde_json::Value = serde_json::from_str(invitation).ok()?;
        let member = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
        let target = texts::key(member("publicKey")?)?;
        let goal = Goal::Initiate {
            target,
            group: "pairing".into(),
            token: Some(member("token")?.into()),
            person_key: !self.shared.config.instance_key_in_pairing,
        };
        Some(self.dial(member("url")?, goal))
    }

    /// Connects for a group. Says nothing of success.
    pub fn connect(&mut self, url: &str, target: [u8; 32], group: &str) -> ConnId {
        let group = group.into();
        self.dial(
            url,
            Goal::Initiate {
                target,
                group,
                token: None,
                person_key: false,
            },
        )
    }

    fn dial(&mut self, url: &str, goal: Goal) -> ConnId {
        let id = self.insert(Conn::dialling(goal));
        self.shared.out.push_back((
            Vec::new(),
            Effect::Dial {
                conn: id,
                url: url.into(),
            },
        ));
        id
    }

    fn insert(&mut self, conn: Conn<S>) -> ConnId {
        let id = ConnId(self.next);
        self.next += 1;
        self.conns.insert(id, conn);
        id
    }

    fn fill_spares(&mut self, now: Now) {
        let Some(relay) = self.shared.config.relay.clone() else {
            return;
        };
        if self.register_at.is_some_and(|at| at > now.mono) {
            return;
        }
        self.register_at = None;
        self.started = true;
        let spares = self.conns.values().filter(|conn| conn.is_spare()).count();
        for _ in spares..SPARES {
            self.dial(&relay, Goal::Register);
        }
    }

    /// Works on one connection, then on what that did to others.
    fn on(&mut self, now: Now, id: ConnId, act: impl FnOnce(&mut Conn<S>, &mut Shared<S>)) {
        let Some(mut conn) = self.conns.remove(&id) else {
            return;
        };
        act(&mut conn, &mut self.shared);
        if conn.is_over() {
            self.gone(now, id, &conn);
        } else {
            self.conns.insert(id, conn);
        }
        while let Some(other) = self.shared.replaced.pop() {
            if let Some(conn) = self.conns.remove(&other) {
                self.shared
                    .close(other, Some("New connection replaced old one"));
                self.gone(now, other, &conn);
            }
        }
        if core::mem::take(&mut self.shared.ready_everywhere) {
            self.ready_everywhere();
        }
        self.fill_spares(now);
        self.dial_routes(now);
    }

    /// Every spare connection answers the request that one of them was given.
    fn ready_everywhere(&mut self) {
        let ready = texts::command("communication_ready");
        for (id, _) in self.conns.iter().filter(|(_, conn)| conn.is_spare()) {
            self.shared.send(*id, Kind::Text, ready.clone().into());
        }
    }

    fn gone(&mut self, now: Now, id: ConnId, conn: &Conn<S>) {
        let live = self.shared.live.remove(&id);
        if conn.is_spare() {
            self.register_at.get_or_insert(now.mono + Micros::secs(10));
        }
        let jitter = self.shared.random.below(Purpose::Jitter, 5_000_000);
        for (person, route) in &mut self.shared.routes {
            let peer = self
                .shared
                .known
                .get(person)
                .and_then(|known| texts::key(&known.instance_key));
            let served = live
                .as_ref()
                .is_some_and(|(key, group, _)| group == "chum" && Some(*key) == peer);
            if route.conn != Some(id) && !served {
                continue;
            }
            route.conn = None;
            route.at = Some(if live.is_some() {
                route.failures = 0;
                now.mono + Micros::secs(5) + Micros(jitter)
            } else {
                route.failures += 1;
                now.mono + Micros::secs(BACK_OFF[(route.failures - 1).min(BACK_OFF.len() - 1)])
            });
        }
    }

    fn dial_routes(&mut self, now: Now) {
        let due: Vec<String> = self
            .shared
            .routes
            .iter()
            .filter(|(_, route)| route.conn.is_none() && route.at.is_some_and(|at| at <= now.mono))
            .map(|(person, _)| person.clone())
            .collect();
        for person in due {
            let Some(known) = self.shared.known.get(&person).cloned() else {
                continue;
            };
            let target = texts::key(&known.instance_key);
            let (Some(url), Some(target)) = (known.url, target) else {
                continue;
            };
            let served = self
                .shared
                .live
                .values()
                .any(|(key, group, _)| *key == target && group == "chum");
            let conn = (!served).then(|| self.connect(&url, target, "chum"));
            if let Some(route) = self.shared.routes.get_mut(&person) {
                (route.at, route.conn) = (None, conn);
            }
        }
    }
}

impl<S: Suite> Party for Deployed<S> {
    fn accept(&mut self, now: Now) -> Option<ConnId> {
        Some(self.insert(Conn::accepted(now)))
    }

    fn opened(&mut self, now: Now, id: ConnId) {
        self.on(now, id, |conn, shared| conn.opened(now, id, shared));
    }

    fn message(&mut self, now: Now, id: ConnId, message: Message<'_>) -> Result<(), Full> {
        self.on(now, id, |conn, shared| {
            conn.message(now, id, message, shared)
        });
        Ok(())
    }

    fn drained(&mut self, _: Now, _: ConnId) {}

    fn closed(&mut self, now: Now, id: ConnId, how: Closed) {
        self.shared.tell(DeployedEvent::Gone(id, how));
        self.on(now, id, |conn, _| conn.end());
    }

    fn stored(&mut self, _: Now, _: StoreId, _: Result<(), NotStored>) {}

    fn tick(&mut self, now: Now) {
        let due: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.deadline().is_some_and(|at| at <= now.mono))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.on(now, id, |conn, shared| conn.tick(now, id, shared));
        }
        self.shared.tokens.retain(|_, until| *until > now.mono);
        self.fill_spares(now);
        self.dial_routes(now);
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Action> {
        let (message, action) = self.shared.out.pop_front()?;
        *bytes = message;
        Some(action)
    }

    fn deadline(&self) -> Option<Deadline> {
        let conns = self.conns.values().filter_map(Conn::deadline);
        let routes = self.shared.routes.values().filter_map(|route| route.at);
        let tokens = self.shared.tokens.values().copied();
        let at = conns
            .chain(routes)
            .chain(tokens)
            .chain(self.register_at)
            .min()?;
        Some(Deadline {
            at,
            why: Alarm::StepLimit,
        })
    }
}
