//! Two whole instances in memory: nodes with the CHUMs of their connections, each with a store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chumwire::chum::{
    ChumConfig, ChumEvent, Deed, MemoryStore, Presence, Reply, SyncEvent, Synchroniser,
};
use chumwire::crypto::{Nacl, Random};
use chumwire::establish::Group;
use chumwire::identity::Identity;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, Source};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::objects::{ObjectHash, Reference};
use chumwire::time::{Micros, Millis, Now};

use crate::pair::{note, person, policy, recipes};

type End = (usize, ConnId);
type Wire = (Kind, Vec<u8>);

struct Home {
    sync: Synchroniser<Node<Nacl>>,
    store: MemoryStore,
    events: Vec<SyncEvent>,
}

struct Two {
    now: Now,
    homes: [Home; 2],
    links: BTreeMap<End, End>,
    /// Messages, or the close.
    passing: VecDeque<(End, Option<Wire>)>,
}

const ALICE: usize = 0;
const BOB: usize = 1;
const NAMES: [&str; 2] = ["alice", "bob"];

fn home(who: usize, now: Now) -> Home {
    let (name, seed) = (NAMES[who], [who as u8 + 1; 32]);
    let email = format!("{name}@example.com");
    let identity = Identity::generate::<Nacl>(&mut Random::new(seed), &email, name);
    let mut config = NodeConfig::new(identity.expect("a good name"));
    config.serve = [Group::Chum, Group::Debug].into();
    config.url = Some(format!("ws://{name}"));
    let node = Node::new(config, seed, now).expect("a good configuration");
    let policy = Arc::new(policy(name));
    Home {
        sync: Synchroniser::new(node, ChumConfig::default(), recipes(), policy),
        store: MemoryStore::new(),
        events: Vec::new(),
    }
}

impl Two {
    /// They have paired.
    fn new() -> Self {
        let now = Now {
            mono: Micros::secs(1),
            wall: Millis(1_700_000_000_000),
        };
        let mut two = Self {
            now,
            homes: [home(ALICE, now), home(BOB, now)],
            links: BTreeMap::new(),
            passing: VecDeque::new(),
        };
        let alice = two.homes[ALICE].sync.node_mut();
        let invitation = alice.invite(now, Micros::secs(60), "ws://alice");
        let invitation = invitation.expect("one more");
        let bob = two.homes[BOB].sync.node_mut();
        bob.join(now, &invitation).expect("a join");
        two.run();
        two
    }

    fn drain(&mut self, who: usize) {
        let mut bytes = Vec::new();
        while let Some(effect) = self.homes[who].sync.poll(&mut bytes) {
            let home = &mut self.homes[who];
            match effect {
                Effect::Dial { conn, .. } => {
                    let other = &mut self.homes[1 - who].sync;
                    let accepted = other.accept(self.now, Source::Unknown).expect("room");
                    self.links.insert((who, conn), (1 - who, accepted));
                    self.links.insert((1 - who, accepted), (who, conn));
                    self.homes[who].sync.opened(self.now, conn);
                }
                Effect::Send { conn, kind } => {
                    home.sync.drained(self.now, conn);
                    let to = self.links[&(who, conn)];
                    self.passing.push_back((to, Some((kind, bytes.clone()))));
                }
                Effect::Close { conn, .. } => {
                    let to = self.links[&(who, conn)];
                    self.passing.push_back((to, None));
                }
                Effect::Store { id, record } => {
                    let reply = match record {
                        Deed::Ask { conn, id, ask } => {
                            Reply::Answer(home.store.answer(&recipes(), conn.0, id, ask))
                        }
                        Deed::Forget(conn) => {
                            home.store.forget(conn.0);
                            Reply::Stored(Ok(()))
                        }
                        _ => Reply::Stored(Ok(())),
                    };
                    home.sync.stored(self.now, id, reply);
                }
                Effect::Event(event) => home.events.push(event),
                _ => {}
            }
        }
    }

    fn run(&mut self) {
        loop {
            self.drain(ALICE);
            self.drain(BOB);
            let Some((to, what)) = self.passing.pop_front() else {
                return;
            };
            match what {
                Some((kind, bytes)) => {
                    let message = Message::of(kind, &bytes).expect("UTF-8");
                    let taken = self.homes[to.0].sync.message(self.now, to.1, message);
                    taken.expect("room");
                }
                None => {
                    for (who, conn) in [to, self.links[&to]] {
                        let how = Closed::ByPeer {
                            code: 1000,
                            reason: String::new(),
                        };
                        self.homes[who].sync.closed(self.now, conn, how);
                    }
                }
            }
        }
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now.mono = self.now.mono + Micros::secs(1);
            self.now.wall.0 += 1_000;
            for home in &mut self.homes {
                home.sync.tick(self.now);
            }
            self.run();
        }
    }

    fn connect(&mut self, who: usize, group: Group) {
        let other = person(NAMES[1 - who]);
        let node = self.homes[who].sync.node_mut();
        node.connect(self.now, other, group).expect("an address");
        self.run();
    }

    /// Bob has a note, and lets alice have it.
    fn share(&mut self, text: &str) -> ObjectHash {
        let store = &mut self.homes[BOB].store;
        let hash = store.put(&recipes(), &note(text)).expect("a note");
        store.share(Reference::Object(hash), person("alice"));
        hash
    }

    fn has(&self, hash: ObjectHash) -> bool {
        self.homes[ALICE].store.presence(&Reference::Object(hash)) == Presence::Stored
    }
}

#[test]
fn what_is_shared_arrives_on_the_connections_of_a_node() {
    let mut two = Two::new();
    let first = two.share("first");
    two.connect(ALICE, Group::Chum);
    two.pass(3);
    assert!(two.has(first));
    let (conn, with, _) = two.homes[ALICE].sync.chums().next().expect("a CHUM");
    assert_eq!(with, person("bob"));
    // What is granted while they are connected is told at once.
    let second = two.share("second");
    two.homes[BOB].sync.granted(two.now, person("carol"));
    two.run();
    two.homes[BOB].sync.granted(two.now, person("alice"));
    two.run();
    two.homes[ALICE].sync.poll_roots(two.now);
    two.run();
    assert!(two.has(second));
    two.homes[ALICE].sync.policy_changed(two.now);
    let third = two.share("third");
    two.pass(10);
    assert!(two.has(third));
    // The end is told by the CHUM first, then by the node.
    two.homes[BOB].events.clear();
    two.homes[ALICE].events.clear();
    two.homes[ALICE].sync.node_mut().close(two.now, conn);
    two.run();
    for home in &two.homes {
        let ends: Vec<_> = home
            .events
            .iter()
            .filter_map(|event| match event {
                SyncEvent::Chum {
                    event: ChumEvent::Ended { .. },
                    ..
                } => Some("chum"),
                SyncEvent::Node(Event::Ended { .. }) => Some("node"),
                _ => None,
            })
            .collect();
        assert_eq!(ends[..2], ["chum", "node"], "{ends:?}");
    }
}

#[test]
fn a_contact_is_shown_what_it_may_see() {
    let mut two = Two::new();
    two.share("one");
    two.share("two");
    two.connect(ALICE, Group::Debug);
    two.pass(2);
    let seen = two.homes[ALICE]
        .events
        .iter()
        .find_map(|event| match event {
            SyncEvent::Accessible { person, roots } => Some((*person, roots.len())),
            _ => None,
        });
    assert_eq!(seen, Some((person("bob"), 2)));
}
