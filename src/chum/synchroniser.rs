//! A node whose connections of group `chum` are synchronised: the machine that a whole instance runs.
//!
//! ```text
//!                 Synchroniser
//!    ┌──────────┬──────┴───────┬──────────────┐
//!   Node     address book    Chum of one   Chum of another     …
//!  sockets    contacts     connection · store
//! ```
//! It is driven as a node is. What it stores is a [`Deed`]: a record of the node, a change of the address book, or a
//! question to the object store, which is answered with data.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::config::ChumConfig;
use super::debug::{Debug, DebugOutput};
use super::endpoint::Endpoint;
use super::entry::Root;
use super::event::ChumEvent;
use super::machine::{Chum, ChumOutput};
use super::peer::Peer;
use super::policy::Policy;
use super::store::{Answer, Ask, AskId};
use crate::book::{AddressBook, BookEvent, BookOutput, Bookkeeper, Change, Someone, Ticket};
use crate::channel::SendError;
use crate::crypto::Random;
use crate::establish::Group;
use crate::io::{Closed, ConnId, Effect, Full, Kind, Machine, Message, NotStored, Source, StoreId};
use crate::node::{Event, Misuse, Record};
use crate::objects::{PersonId, Recipes, SomeoneId};
use crate::role::Role;
use crate::time::{Deadline, Micros, Now};

/// What is to be stored, or asked of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deed {
    /// A record of the node, to be answered [`Reply::Stored`].
    Record(Record),
    /// A change of the address book with what belongs to it, as one transaction; to be answered [`Reply::Answer`]:
    /// [`Answer::Done`], [`Answer::Conflict`] if a head is another one by now, or [`Answer::Failed`].
    Change(Box<Change>),
    /// A question of the address book to the object store, to be answered [`Reply::Answer`].
    Look(Ask),
    /// A question, to be answered [`Reply::Answer`].
    Ask {
        /// The connection whose CHUM asks: its files are its own.
        conn: ConnId,
        /// Names the question within that connection.
        id: AskId,
        /// The question.
        ask: Ask,
    },
    /// A CHUM has ended: what it had not finished of files is not wanted. To be answered [`Reply::Stored`].
    Forget(ConnId),
}

/// The answer to a [`Deed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Whether it was stored.
    Stored(Result<(), NotStored>),
    /// What the object store says.
    Answer(Answer),
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SyncEvent {
    /// By the node.
    Node(Event),
    /// By the address book.
    Book(BookEvent),
    /// By the CHUM of a connection.
    Chum {
        /// The connection.
        conn: ConnId,
        /// With whom.
        person: PersonId,
        /// What.
        event: ChumEvent,
    },
    /// What a contact lets this instance see: the answer on a connection of group `debug` that was begun here.
    Accessible {
        /// The contact.
        person: PersonId,
        /// The entries, without versions.
        roots: Vec<Root>,
    },
}

/// A node and the CHUMs of its connections.
#[derive(Clone, Debug)]
pub struct Synchroniser<N> {
    node: N,
    keeper: Bookkeeper,
    /// Whether a connection with every contact is kept.
    in_touch: bool,
    config: ChumConfig,
    recipes: Recipes,
    policy: Arc<dyn Policy>,
    links: BTreeMap<ConnId, Link>,
    /// Connections of group `debug`.
    looks: BTreeMap<ConnId, (PersonId, Debug)>,
    /// Connections whose CHUM may have something to do.
    ready: BTreeSet<ConnId>,
    waiting: BTreeMap<StoreId, For>,
    next: u64,
    now: Now,
}

#[derive(Clone, Debug)]
struct Link {
    chum: Chum,
    person: PersonId,
    /// A message that found no room.
    blocked: Option<(Kind, Vec<u8>)>,
    /// The node has closed the connection, and tells so when the CHUM has told its last.
    ended: Option<Event>,
}

#[derive(Clone, Copy, Debug)]
enum For {
    Node(StoreId),
    Book,
    Chum(ConnId, AskId),
    Look(ConnId),
    Nobody,
}

type Put = Effect<SyncEvent, Deed>;

impl<N: Endpoint> Synchroniser<N> {
    /// Around a node, which has to serve the group `chum` if others are to begin. `someones` is what was stored of the
    /// address book; the seed is 32 bytes of fresh entropy.
    #[must_use]
    pub fn new(
        node: N,
        config: ChumConfig,
        recipes: Recipes,
        policy: Arc<dyn Policy>,
        someones: Vec<Someone>,
        seed: [u8; 32],
    ) -> Self {
        let contacts = node.contacts().cloned().collect();
        let random = Random::new(seed);
        let (own, url) = (node.identity(), node.url());
        let keeper = Bookkeeper::new(own, url, someones, contacts, recipes.clone(), random);
        Self {
            node,
            keeper,
            in_touch: false,
            config,
            recipes,
            policy,
            links: BTreeMap::new(),
            looks: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: BTreeMap::new(),
            next: 0,
            now: Now::default(),
        }
    }

    /// The node, to look at.
    #[must_use]
    pub const fn node(&self) -> &N {
        &self.node
    }

    /// The node, to call.
    pub const fn node_mut(&mut self) -> &mut N {
        &mut self.node
    }

    /// The recipes.
    #[must_use]
    pub const fn recipes(&self) -> &Recipes {
        &self.recipes
    }

    /// The address book, as it is stored.
    #[must_use]
    pub const fn book(&self) -> &AddressBook {
        self.keeper.book()
    }

    /// Makes two contacts one; a [`BookEvent`] with this ticket tells the end.
    pub fn merge(&mut self, now: Now, one: SomeoneId, other: SomeoneId) -> Ticket {
        self.now = now;
        self.keeper.merge(one, other)
    }

    /// Makes these persons of a contact a contact of their own; a [`BookEvent`] with this ticket tells the end.
    pub fn split(&mut self, now: Now, of: SomeoneId, persons: BTreeSet<PersonId>) -> Ticket {
        self.now = now;
        self.keeper.split(of, persons)
    }

    /// This instance can be reached at this URL: its owner's profile says so from now on. Who may see the profile is
    /// another matter.
    pub fn reachable_at(&mut self, now: Now, url: &str) {
        self.now = now;
        self.keeper.url(url.into());
    }

    /// Keeps a connection with every contact from now on, and with those that are won later. Gives those that cannot
    /// be dialled; they may dial.
    pub fn keep_in_touch(&mut self, now: Now) -> Vec<(PersonId, Misuse)> {
        self.now = now;
        self.in_touch = true;
        let persons: Vec<PersonId> = self.node.contacts().map(|of| of.person_id).collect();
        let dialled = persons.into_iter().filter_map(|person| {
            let result = self.node.connect(now, person, Group::Chum);
            Some((person, result.err()?))
        });
        dialled.collect()
    }

    /// The CHUMs that are under way, with whom.
    pub fn chums(&self) -> impl Iterator<Item = (ConnId, PersonId, &Chum)> {
        self.links
            .iter()
            .map(|(conn, link)| (*conn, link.person, &link.chum))
    }

    /// Something new was granted to a person: it is told, if it is connected.
    pub fn granted(&mut self, now: Now, person: PersonId) {
        self.now = now;
        for (conn, link) in &mut self.links {
            if link.person == person {
                link.chum.granted(now);
                self.ready.insert(*conn);
            }
        }
    }

    /// Looks for new roots of everybody who is connected.
    pub fn poll_roots(&mut self, now: Now) {
        self.now = now;
        for (conn, link) in &mut self.links {
            link.chum.poll_roots(now);
            self.ready.insert(*conn);
        }
    }

    /// The policy takes more than before: what it refused is looked at again, of everybody who is connected.
    pub fn policy_changed(&mut self, now: Now) {
        self.now = now;
        for (conn, link) in &mut self.links {
            link.chum.policy_changed(now);
            self.ready.insert(*conn);
        }
    }

    fn store(&mut self, of: For, record: Deed) -> Put {
        let id = StoreId(self.next);
        self.next += 1;
        self.waiting.insert(id, of);
        Effect::Store { id, record }
    }

    /// What the CHUM of a connection wants done.
    fn poll_chum(&mut self, conn: ConnId, bytes: &mut Vec<u8>) -> Option<Put> {
        let now = self.now;
        let link = self.links.get_mut(&conn)?;
        loop {
            let message = match link.blocked.take() {
                Some(message) => message,
                None => match link.chum.poll(now, bytes) {
                    Some(ChumOutput::Send(kind)) => (kind, core::mem::take(bytes)),
                    Some(ChumOutput::Ask { id, ask }) => {
                        let deed = Deed::Ask { conn, id, ask };
                        return Some(self.store(For::Chum(conn, id), deed));
                    }
                    Some(ChumOutput::Event(event)) => {
                        let person = link.person;
                        if matches!(event, ChumEvent::Ended { .. }) && link.ended.is_none() {
                            self.node.close(now, conn);
                        }
                        self.told_by_chum(person, &event);
                        return Some(Effect::Event(SyncEvent::Chum {
                            conn,
                            person,
                            event,
                        }));
                    }
                    None => return self.quiet(conn),
                },
            };
            let (kind, content) = &message;
            let sent = match Message::of(*kind, content) {
                Ok(message) => self.node.send(now, conn, message),
                Err(_) => Err(SendError::Ended),
            };
            match sent {
                Ok(()) => {}
                Err(SendError::Full(_)) => {
                    link.blocked = Some(message);
                    // It goes on when the connection has drained.
                    self.ready.remove(&conn);
                    return None;
                }
                // Longer than the channel takes: it cannot go on. Or it has ended, which the node tells.
                Err(SendError::TooLong(_) | SendError::Ended) => {
                    self.node.close(now, conn);
                    return None;
                }
            }
        }
    }

    /// What the address book wants done.
    fn poll_book(&mut self) -> Option<Put> {
        loop {
            match self.keeper.poll(self.now, self.node.identity())? {
                BookOutput::Ask(ask) => return Some(self.store(For::Book, Deed::Look(ask))),
                BookOutput::Change(change) => {
                    return Some(self.store(For::Book, Deed::Change(change)));
                }
                BookOutput::Stored(id, result) => self.node.stored(self.now, id, result),
                BookOutput::Learned(person, devices) => {
                    // Who is no contact any more has told nothing.
                    let learned = self.node.learn(self.now, person, &devices);
                    for (instance, part) in learned.unwrap_or_default() {
                        self.keeper.not_taken(person, instance, part);
                    }
                }
                BookOutput::Event(event) => {
                    return Some(Effect::Event(SyncEvent::Book(event)));
                }
            }
        }
    }

    /// A contact has sent a version of its profile: it may tell of its devices.
    fn told_by_chum(&mut self, person: PersonId, event: &ChumEvent) {
        if let ChumEvent::NewVersion {
            type_name, came, ..
        } = event
            && type_name == "Profile"
            && let Some(contact) = self.node.contacts().find(|of| of.person_id == person)
        {
            self.keeper.profile(contact.clone(), *came);
        }
    }

    /// What a connection of group `debug` wants done.
    fn poll_look(&mut self, conn: ConnId) -> Option<Put> {
        let (person, debug) = self.looks.get_mut(&conn)?;
        let person = *person;
        while let Some(output) = debug.poll() {
            match output {
                DebugOutput::Send(text) => {
                    // Too much for the connection, or too long a list: it ends without an answer.
                    if self
                        .node
                        .send(self.now, conn, Message::Text(&text))
                        .is_err()
                    {
                        self.node.close(self.now, conn);
                    }
                }
                DebugOutput::Ask(id, ask) => {
                    return Some(self.store(For::Look(conn), Deed::Ask { conn, id, ask }));
                }
                DebugOutput::Accessible(roots) => {
                    return Some(Effect::Event(SyncEvent::Accessible { person, roots }));
                }
                DebugOutput::Close => self.node.close(self.now, conn),
            }
        }
        self.ready.remove(&conn);
        None
    }

    /// The CHUM of a connection has nothing to say.
    fn quiet(&mut self, conn: ConnId) -> Option<Put> {
        self.ready.remove(&conn);
        self.links.get(&conn)?.ended.as_ref()?;
        let event = self.links.remove(&conn)?.ended?;
        self.ready.remove(&conn);
        Some(Effect::Event(SyncEvent::Node(event)))
    }

    /// What the node tells.
    fn told(&mut self, event: Event, bytes: &[u8]) -> Option<Put> {
        match &event {
            Event::Connected {
                conn,
                person,
                group: Group::Chum,
                extensions,
                ..
            } => {
                let mut config = self.config.clone();
                let own = self.node.identity().person_id();
                let instance = self.node.peer_key(*conn);
                // Without a key there is no saying whose list is settled.
                config.roots_since = *extensions && instance.is_some();
                let peer = Peer {
                    own,
                    person: *person,
                    instance: instance.unwrap_or_default(),
                };
                match extensions {
                    // One of ours loses no request that comes right behind `synchronisation`.
                    true => config.start_delay = Micros::ZERO,
                    // A deployed peer is asked for one root at a time.
                    false => config.parallel = 1,
                }
                let chum = Chum::new(
                    self.now,
                    config,
                    peer,
                    self.recipes.clone(),
                    self.policy.clone(),
                );
                let link = Link {
                    chum,
                    person: *person,
                    blocked: None,
                    ended: None,
                };
                self.links.insert(*conn, link);
                self.ready.insert(*conn);
            }
            Event::Connected {
                conn,
                person,
                group: Group::Debug,
                role,
                ..
            } => {
                let debug = match role {
                    Role::Initiator => Debug::look(*person),
                    Role::Acceptor => Debug::serve(*person),
                };
                self.looks.insert(*conn, (*person, debug));
                self.ready.insert(*conn);
            }
            Event::Message { conn, kind } => {
                if let Some((_, debug)) = self.looks.get_mut(conn) {
                    if let Ok(Message::Text(text)) = Message::of(*kind, bytes) {
                        debug.message(text);
                        self.ready.insert(*conn);
                    }
                    return None;
                }
                if let Some(link) = self.links.get_mut(conn) {
                    if let Ok(message) = Message::of(*kind, bytes) {
                        link.chum.message(self.now, message);
                        self.ready.insert(*conn);
                    }
                    return None;
                }
            }
            Event::Ended { conn, .. } => {
                self.looks.remove(conn);
                if let Some(link) = self.links.get_mut(conn) {
                    link.chum.closed();
                    link.blocked = None;
                    let conn = *conn;
                    link.ended = Some(event);
                    self.ready.insert(conn);
                    return Some(self.store(For::Nobody, Deed::Forget(conn)));
                }
            }
            Event::Paired { contact, .. } if self.in_touch => {
                // Who has no address may dial.
                let _ = self.node.connect(self.now, contact.person_id, Group::Chum);
            }
            _ => {}
        }
        Some(Effect::Event(SyncEvent::Node(event)))
    }

    /// A CHUM has something to do at this time at the latest.
    fn chum_deadline(&self) -> Option<Deadline> {
        self.links
            .values()
            .filter_map(|link| link.chum.deadline())
            .min()
    }
}

impl<N: Endpoint> Machine for Synchroniser<N> {
    type Event = SyncEvent;
    type Record = Deed;
    type Answer = Reply;

    fn accept(&mut self, now: Now, from: Source) -> Option<ConnId> {
        self.now = now;
        self.node.accept(now, from)
    }

    fn opened(&mut self, now: Now, conn: ConnId) {
        self.now = now;
        self.node.opened(now, conn);
    }

    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        self.now = now;
        self.node.message(now, conn, message)
    }

    fn drained(&mut self, now: Now, conn: ConnId) {
        self.now = now;
        self.node.drained(now, conn);
        if let Some(link) = self.links.get_mut(&conn) {
            link.chum.drained(now);
            self.ready.insert(conn);
        }
    }

    fn closed(&mut self, now: Now, conn: ConnId, how: Closed) {
        self.now = now;
        self.node.closed(now, conn, how);
    }

    fn stored(&mut self, now: Now, id: StoreId, answer: Reply) {
        self.now = now;
        match (self.waiting.remove(&id), answer) {
            (Some(For::Node(id)), answer) => {
                let result = match answer {
                    Reply::Stored(result) => result,
                    Reply::Answer(_) => Err(NotStored),
                };
                self.node.stored(now, id, result);
            }
            (Some(For::Book), answer) => {
                let answer = match answer {
                    Reply::Answer(answer) => answer,
                    Reply::Stored(_) => Answer::Failed,
                };
                self.keeper.answered(now, self.node.identity(), answer);
            }
            (Some(For::Chum(conn, id)), answer) => {
                let answer = match answer {
                    Reply::Answer(answer) => answer,
                    Reply::Stored(_) => Answer::Failed,
                };
                if let Some(link) = self.links.get_mut(&conn) {
                    link.chum.answered(now, id, answer);
                    self.ready.insert(conn);
                }
            }
            (Some(For::Look(conn)), answer) => {
                if let (Some((_, debug)), Reply::Answer(answer)) =
                    (self.looks.get_mut(&conn), answer)
                {
                    debug.answered(answer);
                    self.ready.insert(conn);
                }
            }
            (Some(For::Nobody) | None, _) => {}
        }
    }

    fn tick(&mut self, now: Now) {
        self.now = now;
        self.node.tick(now);
        for (conn, link) in &mut self.links {
            if link.chum.deadline().is_some_and(|due| due.at <= now.mono) {
                link.chum.tick(now);
                self.ready.insert(*conn);
            }
        }
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Put> {
        loop {
            // The CHUMs first: so no more comes in than they have seen to.
            let mut from = ConnId(0);
            while let Some(conn) = self.ready.range(from..).next().copied() {
                let put = match self.looks.contains_key(&conn) {
                    true => self.poll_look(conn),
                    false => self.poll_chum(conn, bytes),
                };
                if put.is_some() {
                    return put;
                }
                from = ConnId(conn.0 + 1);
            }
            if let Some(put) = self.poll_book() {
                return Some(put);
            }
            let put = match self.node.poll(bytes)? {
                Effect::Event(event) => self.told(event, bytes),
                // What makes or ends a contact changes the address book as well.
                Effect::Store {
                    id,
                    record: record @ (Record::Paired { .. } | Record::Forgotten { .. }),
                } => {
                    self.keeper.record(id, record);
                    None
                }
                Effect::Store { id, record } => {
                    Some(self.store(For::Node(id), Deed::Record(record)))
                }
                Effect::Dial { conn, url } => Some(Effect::Dial { conn, url }),
                Effect::Send { conn, kind } => Some(Effect::Send { conn, kind }),
                Effect::Close { conn, code, reason } => Some(Effect::Close { conn, code, reason }),
                Effect::Pause(conn) => Some(Effect::Pause(conn)),
                Effect::Resume(conn) => Some(Effect::Resume(conn)),
            };
            if put.is_some() {
                return put;
            }
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        Deadline::earlier(self.node.deadline(), self.chum_deadline())
    }
}
