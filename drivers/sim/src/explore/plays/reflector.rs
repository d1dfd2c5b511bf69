//! The stranger of `challenge-reflection`: it holds two connections with one node, claims to be somebody on both, and
//! passes the node's challenges and answers from the one to the other.

use core::hash::{Hash, Hasher};
use std::collections::{BTreeMap, VecDeque};

use chumwire::crypto::{KeyPair, Purpose, Random, Secret, Static, Suite};
use chumwire::io::{Closed, ConnId, Effect, Full, Kind, Message, NotStored, StoreId};
use chumwire::time::{Deadline, Now};

use crate::Insecure;
use crate::catalogue::{GROUP, claim};
use crate::deployed::{Tunnel, boxed, unboxed};
use crate::explore::party::Actor;
use crate::party::{Action, Party};
use crate::stranger::{stranger_key, stranger_request};

/// The static key that it shows.
pub(super) fn reflector_key() -> KeyPair<Static> {
    stranger_key::<Insecure>()
}

/// One of its two connections.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Leg {
    /// It dialled: the node is the acceptor here.
    dialled: bool,
    tunnel: Option<Tunnel<Insecure>>,
    /// The pair of static keys, once both are known.
    pair: Option<<Insecure as Suite>::Pair>,
    /// What was heard in the tunnel so far, and what of the challenges waits for the other connection.
    heard: u32,
    waiting: VecDeque<Vec<u8>>,
    /// The claims have been made: it can pass challenges on.
    claimed: bool,
}

/// The stranger.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Reflector {
    target: [u8; 32],
    begun: bool,
    next: u64,
    legs: BTreeMap<ConnId, Leg>,
    out: VecDeque<(Vec<u8>, Action)>,
    /// The node has gone on behind the challenges: it takes the stranger for whom it claims to be.
    believed: bool,
}

/// What a leg says when it is connected.
fn ephemeral(conn: ConnId) -> (Random, Secret<32>) {
    let mut random = Random::new([conn.0 as u8 + 5; 32]);
    let secret = random.secret(Purpose::EphemeralKey);
    (random, secret)
}

impl Reflector {
    /// One that is after the node of this instance key, which is called Alice.
    pub(super) const fn new(target: [u8; 32]) -> Self {
        Self {
            target,
            begun: false,
            next: 0,
            legs: BTreeMap::new(),
            out: VecDeque::new(),
            believed: false,
        }
    }

    fn leg(&mut self, dialled: bool) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        let leg = Leg {
            dialled,
            tunnel: None,
            pair: None,
            heard: 0,
            waiting: VecDeque::new(),
            claimed: false,
        };
        self.legs.insert(conn, leg);
        conn
    }

    fn send(&mut self, conn: ConnId, kind: Kind, bytes: Vec<u8>) {
        self.out.push_back((bytes, Effect::Send { conn, kind }));
    }

    fn seal(&mut self, conn: ConnId, text: bool, bytes: &[u8]) {
        let Some(tunnel) = self.legs.get_mut(&conn).and_then(|leg| leg.tunnel.as_mut()) else {
            return;
        };
        // Another draw for each frame.
        let mut random = Random::new([tunnel.send as u8; 32]);
        let frame = tunnel.seal(&mut random, text, bytes);
        self.send(conn, Kind::Binary, frame);
    }

    fn say(&mut self, conn: ConnId, text: &str) {
        self.seal(conn, true, text.as_bytes());
    }

    /// A message of the handshake.
    fn shake(&mut self, conn: ConnId, message: Message<'_>) {
        let Some(leg) = self.legs.get_mut(&conn) else {
            return;
        };
        let (mut random, secret) = ephemeral(conn);
        let key = Insecure::public_key(&secret);
        match (leg.dialled, message) {
            (true, Message::Text(_)) => {
                let pair = Insecure::before(&self.target, reflector_key().expose_secret());
                leg.pair = pair.ok();
                if let Some(pair) = leg.pair.clone() {
                    let sealed = boxed(&pair, &mut random, &key);
                    self.send(conn, Kind::Binary, sealed);
                }
            }
            (false, Message::Text(_)) => {
                let pair = Insecure::before(&self.target, reflector_key().expose_secret());
                leg.pair = pair.ok();
                let ready = br#"{"command":"communication_ready"}"#;
                self.send(conn, Kind::Text, ready.to_vec());
            }
            (dialled, Message::Binary(bytes)) => {
                let Some(pair) = leg.pair.clone() else { return };
                let theirs = unboxed(&pair, bytes)
                    .ok()
                    .and_then(|key| key.try_into().ok());
                let session = theirs.and_then(|key: [u8; 32]| Insecure::before(&key, &secret).ok());
                let Some(session) = session else { return };
                leg.tunnel = Some(Tunnel::new(session, dialled));
                match dialled {
                    true => self.say(conn, GROUP),
                    false => {
                        let sealed = boxed(&pair, &mut random, &key);
                        self.send(conn, Kind::Binary, sealed);
                    }
                }
            }
        }
    }

    /// A frame.
    fn hear(&mut self, conn: ConnId, frame: &[u8]) {
        let Some(leg) = self.legs.get_mut(&conn) else {
            return;
        };
        let Some(Ok((text, bytes))) = leg.tunnel.as_mut().map(|tunnel| tunnel.open(frame)) else {
            return;
        };
        if !text {
            leg.waiting.push_back(bytes);
            return self.pass_on();
        }
        leg.heard += 1;
        let (dialled, heard) = (leg.dialled, leg.heard);
        let [person, keys] = claim();
        match (dialled, heard) {
            // `sync`, then the node's person; its keys need no answer.
            (true, 1) => self.say(conn, &person),
            (true, 2) => {
                self.say(conn, &keys);
                self.claimed(conn);
            }
            // The group.
            (false, 1) => {
                for text in [r#"{"command":"sync"}"#, &person, &keys] {
                    self.say(conn, text);
                }
                self.claimed(conn);
            }
            _ => {
                let text = String::from_utf8_lossy(&bytes);
                self.believed |= text.contains("instance_id_object");
            }
        }
    }

    fn claimed(&mut self, conn: ConnId) {
        if let Some(leg) = self.legs.get_mut(&conn) {
            leg.claimed = true;
        }
        self.pass_on();
    }

    /// What came on one connection goes out on the other.
    fn pass_on(&mut self) {
        let conns: Vec<ConnId> = self.legs.keys().copied().collect();
        for from in &conns {
            for to in conns.iter().filter(|to| *to != from) {
                let ready = self.legs.get(to).is_some_and(|leg| leg.claimed);
                while ready
                    && let Some(bytes) = self
                        .legs
                        .get_mut(from)
                        .and_then(|leg| leg.waiting.pop_front())
                {
                    self.seal(*to, false, &bytes);
                }
            }
        }
    }
}

impl Actor for Reflector {
    fn copy(&self) -> Box<dyn Actor> {
        Box::new(self.clone())
    }

    fn hash_into(&self, mut hasher: &mut dyn Hasher) {
        self.hash(&mut hasher);
    }

    fn got(&self) -> Option<String> {
        self.believed
            .then(|| "a stranger is taken for somebody else".into())
    }
}

impl Party for Reflector {
    fn accept(&mut self, _: Now) -> Option<ConnId> {
        Some(self.leg(false))
    }

    fn opened(&mut self, _: Now, conn: ConnId) {
        let request = stranger_request::<Insecure>(&self.target);
        self.send(conn, Kind::Text, request.into_bytes());
    }

    fn message(&mut self, _: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        let tunnelled = self.legs.get(&conn).is_some_and(|leg| leg.tunnel.is_some());
        match message {
            Message::Binary(frame) if tunnelled => self.hear(conn, frame),
            message => self.shake(conn, message),
        }
        Ok(())
    }

    fn drained(&mut self, _: Now, _: ConnId) {}

    fn closed(&mut self, _: Now, conn: ConnId, _: Closed) {
        self.legs.remove(&conn);
    }

    fn stored(&mut self, _: Now, _: StoreId, _: Result<(), NotStored>) {}

    fn tick(&mut self, _: Now) {}

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Action> {
        if !self.begun {
            self.begun = true;
            let conn = self.leg(true);
            let url = "ws://alice".into();
            return Some(Effect::Dial { conn, url });
        }
        let (message, action) = self.out.pop_front()?;
        *bytes = message;
        Some(action)
    }

    fn deadline(&self) -> Option<Deadline> {
        None
    }
}
