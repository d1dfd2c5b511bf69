//! What has to be remembered of a party to see that it breaks a rule: part of its state, and as short as can be.
//!
//! A world judges one history; an explorer has one state for many. So each rule is kept as what is true *now*: the
//! counters of the keys that live, the facts of the sessions that are there, what was used up.

use std::collections::{BTreeMap, BTreeSet};

use chumwire::io::ConnId;
use chumwire::node::Event;
use chumwire::pairing::InvitationId;
use chumwire::relay::RelayEvent;

use crate::invariants::sessions::agree;
use crate::invariants::{Entry, Fact, Known, Words, fact};
use crate::party::PartyId;

/// What a party's machine has told and done, as far as it matters still.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Notebook {
    /// The keys of its connections that live.
    keys: BTreeMap<Words, Counters>,
    key_of: BTreeMap<ConnId, Words>,
    /// Sessions of contacts that are connected now.
    connected: BTreeMap<ConnId, (Option<Words>, Fact)>,
    /// All pairings, in their order.
    paired: Vec<(Option<Words>, Fact)>,
    used: BTreeSet<InvitationId>,
    /// Connections of this life that it has told the end of.
    over: BTreeSet<ConnId>,
    handed: BTreeSet<ConnId>,
    /// The causes by which connections have ended; only if somebody asks for them.
    ended: BTreeMap<&'static str, u32>,
    /// What its embedder was given; only if somebody asks for it.
    heard: Vec<Vec<u8>>,
}

/// The counters of a key.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Counters {
    sealed: Option<u64>,
    opened: BTreeSet<u64>,
}

/// What does not hold.
pub(super) type Checked = Result<(), String>;

impl Notebook {
    /// What the suite did for it. `sealed_by_others` tells whether somebody else has sealed this very frame.
    pub(super) fn entry(&mut self, entry: &Entry, sealed_by_others: bool) -> Checked {
        if let Some(conn) = entry.by.and_then(|call| call.conn) {
            self.key_of.insert(conn, entry.key);
        }
        let (counter, counters) = (entry.counter, self.keys.entry(entry.key).or_default());
        if entry.sealed {
            if counters.sealed.is_some_and(|last| counter <= last) {
                return Err(format!("counter {counter} was sealed twice under one key"));
            }
            counters.sealed = Some(counter);
            return Ok(());
        }
        if !sealed_by_others {
            return Err(format!(
                "accepted a frame at {counter} that nobody else has sealed"
            ));
        }
        if !counters.opened.insert(counter) {
            return Err(format!("accepted the frame at {counter} twice"));
        }
        Ok(())
    }

    /// A node tells something. Gives whether there is a new fact to be compared with the other end's.
    pub(super) fn event(
        &mut self,
        event: &Event,
        own: &Known,
        remembers: bool,
    ) -> Result<bool, String> {
        match event {
            Event::Paired {
                invitation: Some(id),
                ..
            } if !self.used.insert(*id) => return Err("an invitation was used twice".into()),
            // Who made no invitation is the initiator.
            Event::Paired {
                conn,
                invitation: None,
                ..
            } if self.over.contains(conn) => {
                return Err("an initiator has paired on a connection that had ended".into());
            }
            Event::Ended { conn, fault, .. } => {
                self.connected.remove(conn);
                self.over.insert(*conn);
                if remembers {
                    let code = fault.as_ref().map_or("good", |fault| fault.why.code());
                    *self.ended.entry(code).or_default() += 1;
                }
            }
            _ => {}
        }
        let Some((conn, fact)) = fact(event, own) else {
            return Ok(false);
        };
        let key = self.key_of.get(&conn).copied();
        match fact.group {
            Some(_) => {
                self.connected.insert(conn, (key, fact));
            }
            None => self.paired.push((key, fact)),
        }
        Ok(true)
    }

    /// Its embedder is given a message.
    pub(super) fn message(&mut self, bytes: &[u8]) {
        self.heard.push(bytes.into());
    }

    /// What its embedder was given.
    pub(super) fn heard(&self) -> &[Vec<u8>] {
        &self.heard
    }

    /// A relay tells something.
    pub(super) fn relay_event(&mut self, event: &RelayEvent, remembers: bool) -> Checked {
        match event {
            RelayEvent::HandedOver { spare, .. } if !self.handed.insert(*spare) => {
                Err(format!("spare {spare} was handed over twice"))
            }
            RelayEvent::Ended { fault, .. } if remembers => {
                *self.ended.entry(fault.why.code()).or_default() += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Forgets what belongs to connections that are gone.
    pub(super) fn forget(&mut self, is_there: impl Fn(ConnId) -> bool) {
        self.key_of.retain(|conn, _| is_there(*conn));
        self.handed.retain(|conn| is_there(*conn));
        let Self { keys, key_of, .. } = self;
        keys.retain(|key, _| key_of.values().any(|live| live == key));
    }

    /// The party has crashed: what it told its embedder was told, what it held is gone.
    pub(super) fn crashed(&mut self) {
        self.keys.clear();
        self.key_of.clear();
        self.connected.clear();
        self.over.clear();
        self.handed.clear();
    }

    /// Both ends of a session have to take it for the same.
    pub(super) fn compare(&self, other: &Self) -> Checked {
        for (key, fact) in self.facts() {
            for (_, theirs) in other.facts().filter(|(of, _)| key.is_some() && *of == key) {
                agree(fact, theirs)?;
            }
        }
        Ok(())
    }

    fn facts(&self) -> impl Iterator<Item = (Option<Words>, &Fact)> {
        let connected = self.connected.values();
        connected
            .chain(&self.paired)
            .map(|(key, fact)| (*key, fact))
    }

    /// How often it has told that it has paired.
    pub(super) const fn pairings(&self) -> usize {
        self.paired.len()
    }

    /// The connections that are established with contacts now, and the keys of their sessions.
    pub(super) fn connected(&self) -> impl Iterator<Item = (ConnId, Option<Words>)> {
        self.connected.iter().map(|(conn, (key, _))| (*conn, *key))
    }

    /// How many connections have ended by this cause.
    pub(super) fn ended(&self, code: &str) -> u32 {
        self.ended.get(code).copied().unwrap_or(0)
    }
}

/// The frames that were sealed in any history of a campaign, and by whom.
#[derive(Default)]
pub(super) struct Sealed(BTreeMap<(Words, u64), Vec<(PartyId, Entry)>>);

impl Sealed {
    /// A frame was sealed.
    pub(super) fn note(&mut self, party: PartyId, entry: &Entry) {
        let all = self.0.entry((entry.key, entry.counter)).or_default();
        if !all
            .iter()
            .any(|(by, e)| *by == party && e.frame == entry.frame)
        {
            all.push((party, *entry));
        }
    }

    /// Whether somebody else than this party has sealed this very frame.
    pub(super) fn by_others(&self, party: PartyId, entry: &Entry) -> bool {
        let all = self.0.get(&(entry.key, entry.counter));
        all.into_iter()
            .flatten()
            .any(|(by, e)| *by != party && e.frame == entry.frame)
    }
}
