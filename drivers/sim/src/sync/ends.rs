//! Instances, and the connections between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chumwire::chum::{Answer, Ask, AskId, Policy};
use chumwire::io::Kind;
use chumwire::objects::{IdHash, PersonId, Reference};

use super::deployed::DeployedChumFaults;
use super::desk::{Deed, person, policy};
use super::disk::Disk;
use super::speaker::Speaker;

/// A hash of whatever kind.
pub(super) type Hash = [u8; 32];

/// Stands for the user, where a connection is named.
pub(super) const USER: u64 = u64::MAX;

/// An instance.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) person: PersonId,
    /// It is a double of a deployed instance, with these faults.
    pub(super) deployed: Option<DeployedChumFaults>,
    pub(super) policy: Arc<dyn Policy>,
    pub(super) disk: Disk,
    pub(super) up: bool,
    /// By how much its clock is ahead, in milliseconds.
    pub(super) ahead: u64,
    /// What its user will do.
    pub(super) deeds: VecDeque<Deed>,
    /// What its user wants shared, or not: done again after a crash.
    pub(super) wanted: BTreeMap<(Reference, PersonId), bool>,
    /// Documents that its user has edited.
    pub(super) wrote: BTreeSet<IdHash>,
    /// Documents of which a crash took a version.
    pub(super) lost: BTreeSet<IdHash>,
    /// What the store is asked, by connection.
    pub(super) issued: BTreeMap<u64, VecDeque<Issued>>,
    /// What may be here: made here, or granted by somebody at some time.
    pub(super) allowed: BTreeSet<Hash>,
    /// Who stored it, and at which step.
    pub(super) origin: BTreeMap<Hash, (u64, u64)>,
}

/// What waits for the store.
#[derive(Debug)]
pub(super) enum Issued {
    Ask(AskId, Ask),
    /// The connection has ended.
    Forget,
}

impl Place {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            person: person(name),
            deployed: None,
            policy: policy(name),
            disk: Disk::default(),
            up: true,
            ahead: 0,
            deeds: VecDeque::new(),
            wanted: BTreeMap::new(),
            wrote: BTreeSet::new(),
            lost: BTreeSet::new(),
            issued: BTreeMap::new(),
            allowed: BTreeSet::new(),
            origin: BTreeMap::new(),
        }
    }
}

/// Two instances that connect to each other.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) ends: [usize; 2],
    pub(super) conn: Option<Conn>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: u64,
    /// Nothing happens to it that would excuse a failure.
    pub(super) calm: bool,
    pub(super) halves: [Half; 2],
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) chum: Speaker,
    /// What is on its way to this end.
    pub(super) inbox: VecDeque<(Kind, Vec<u8>)>,
    /// What found no room on the way to the other one.
    pub(super) blocked: Option<(Kind, Vec<u8>)>,
    /// Answers of the store that have not been given.
    pub(super) answers: VecDeque<(AskId, Answer)>,
    /// When it last looked whether something is stored.
    pub(super) looked: BTreeMap<Hash, u64>,
    /// Rounds without a failure since a store changed.
    pub(super) rounds: u32,
    pub(super) ended: bool,
}

impl Half {
    pub(super) const fn new(chum: Speaker) -> Self {
        Self {
            chum,
            inbox: VecDeque::new(),
            blocked: None,
            answers: VecDeque::new(),
            looked: BTreeMap::new(),
            rounds: 0,
            ended: false,
        }
    }
}
