//! How fast a world runs: deliveries and pairings a second through the simulated relay, on one core.
//!
//! `cargo bench -p chumwire-sim`. A delivery is one message handed to one party: a message between two nodes makes
//! two, one at the relay and one at the other node. Trace and invariants are off; everything else is as in a scenario.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hint::black_box;
use std::time::{Duration, Instant};

use chumwire::crypto::{Nacl, Random, Suite};
use chumwire::establish::Group;
use chumwire::identity::Identity;
use chumwire::io::{Closed, ConnId, Effect, Message};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::step::Step;
use chumwire::time::{Micros, Millis, Now};
use chumwire_sim::{
    Action, Choice, Chooser, Config, Insecure, Party, PartyId, Profile, Seeded, Told, World,
};

/// What is measured.
type Figure = fn() -> f64;

/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(2);
/// Bytes of each message.
const LENGTH: usize = 64;
/// Messages that an embedder sends at a time.
const BURST: usize = 16;
/// Steps of the world between two bursts of both: what they need, and some.
const STEPS: usize = 128;
/// Runs of which the median is told.
const RUNS: usize = 5;
const RELAY: &str = "ws://relay";
const LONG: Micros = Micros::secs(60);

fn node<S: Suite>(name: &str) -> NodeConfig {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    let email = format!("{name}@example.org");
    let identity = Identity::generate::<S>(&mut Random::new(seed), &email, "laptop");
    let mut config = NodeConfig::new(identity.expect("good names"));
    config.serve.insert(Group::Chum);
    config
}

fn quiet(profile: Profile) -> Config {
    Config {
        profile,
        trace: false,
        schedule: false,
        messages: false,
        watch: false,
        ..Config::default()
    }
}

/// Two nodes at a relay, paired.
fn paired<S: Suite>(
    configs: &[NodeConfig; 2],
    seed: u64,
    profile: Profile,
) -> (World<S>, [PartyId; 2]) {
    let mut world = World::<S>::new(quiet(profile), Seeded::new(seed));
    let relay = world.add_relay("relay", RelayConfig::default());
    let alice = world.add_node("alice", configs[0].clone(), Some(RELAY));
    let bob = world.add_node("bob", configs[1].clone(), Some(RELAY));
    let listening = |world: &World<S>| world.relay(relay).stats().spares == 4;
    assert!(world.run_until(LONG, listening).expect("no violation"));
    let invitation = world
        .on_node(alice, |node, now| node.invite(now, LONG, RELAY))
        .expect("an invitation");
    world
        .on_node(bob, |node, now| node.join(now, &invitation))
        .expect("joins");
    let contacts = |world: &World<S>, id| world.node(id).contacts().count();
    let both = |world: &World<S>| [alice, bob].iter().all(|id| contacts(world, *id) == 1);
    assert!(world.run_until(LONG, both).expect("no violation"));
    (world, [alice, bob])
}

fn connected<S: Suite>() -> (World<S>, [(PartyId, ConnId); 2]) {
    let configs = [node::<S>("alice"), node::<S>("bob")];
    let (mut world, [alice, bob]) = paired::<S>(&configs, 1, Profile::default());
    world.run_for(Micros::secs(1)).expect("no violation");
    let person = world.node(bob).contacts().next().expect("paired").person_id;
    world
        .on_node(bob, |node, now| node.connect(now, person, Group::Chum))
        .expect("connects");
    let conn = |world: &World<S>, id| {
        world.events(id).find_map(|event| match event {
            Event::Connected { conn, .. } => Some(*conn),
            _ => None,
        })
    };
    let both = |world: &World<S>| [alice, bob].iter().all(|id| conn(world, *id).is_some());
    assert!(world.run_until(LONG, both).expect("no violation"));
    let ends = [alice, bob].map(|id| (id, conn(&world, id).expect("connected")));
    (world, ends)
}

/// Deliveries a second.
fn deliveries<S: Suite>() -> f64 {
    let (mut world, ends) = connected::<S>();
    let message = [7; LENGTH];
    let pump = |world: &mut World<S>| {
        for (id, conn) in ends {
            world.on_node(id, |node, now| {
                for _ in 0..BURST {
                    // A window that is full opens again with the steps below.
                    let _ = node.send(now, conn, Message::Binary(&message));
                }
            });
        }
        for _ in 0..STEPS {
            world.step().expect("no violation");
        }
    };
    (0..100).for_each(|_| pump(&mut world));
    let (before, start) = (world.deliveries(), Instant::now());
    while start.elapsed() < TIME {
        (0..10).for_each(|_| pump(&mut world));
    }
    (world.deliveries() - before) as f64 / start.elapsed().as_secs_f64()
}

/// Pairings a second, each in a world of its own.
fn pairings<S: Suite>() -> f64 {
    let configs = [node::<S>("alice"), node::<S>("bob")];
    let jittery = Profile {
        jitter: Micros::millis(20),
        ..Profile::default()
    };
    let (mut count, start) = (0, Instant::now());
    while start.elapsed() < TIME {
        black_box(paired::<S>(&configs, count, jittery));
        count += 1;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// The same three machines with nothing between them: what they cost alone.
struct Alone<S: Suite> {
    nodes: [Node<S>; 2],
    relay: Relay<S>,
    ends: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    told: Vec<Event>,
    deliveries: u64,
    bytes: Vec<u8>,
}

impl<S: Suite> Alone<S> {
    const RELAY: usize = 2;
    const NOW: Now = Now {
        mono: Micros::secs(1),
        wall: Millis(1_700_000_000_000),
    };

    fn party(&mut self, i: usize) -> &mut dyn Party {
        match i {
            Self::RELAY => &mut self.relay,
            node => &mut self.nodes[node],
        }
    }

    /// Does what all want done until nobody wants anything.
    fn settle(&mut self) {
        let (mut idle, mut bytes) = (0, core::mem::take(&mut self.bytes));
        for i in (0..=Self::RELAY).cycle() {
            idle += 1;
            while let Some(action) = self.party(i).poll(&mut bytes) {
                idle = 0;
                self.act(i, action, &mut bytes);
            }
            if idle > Self::RELAY {
                break;
            }
        }
        self.bytes = bytes;
    }

    fn act(&mut self, i: usize, action: Action, bytes: &mut Vec<u8>) {
        match action {
            Effect::Dial { conn, .. } => {
                let accepted = self.relay.accept(Self::NOW).expect("room");
                self.ends.insert((i, conn), (Self::RELAY, accepted));
                self.ends.insert((Self::RELAY, accepted), (i, conn));
                self.party(i).opened(Self::NOW, conn);
            }
            Effect::Send { conn, kind } => {
                if let Some((to, at)) = self.ends.get(&(i, conn)).copied() {
                    let message = Message::of(kind, bytes).expect("a text");
                    self.party(to)
                        .message(Self::NOW, at, message)
                        .expect("room");
                    self.deliveries += 1;
                    self.party(i).drained(Self::NOW, conn);
                }
            }
            Effect::Close { conn, code, reason } => {
                let how = Closed::ByPeer { code, reason };
                if let Some((to, at)) = self.ends.remove(&(i, conn)) {
                    self.ends.remove(&(to, at));
                    self.party(to).closed(Self::NOW, at, how.clone());
                    self.party(i).closed(Self::NOW, conn, how);
                }
            }
            Effect::Store { id, .. } => self.party(i).stored(Self::NOW, id, Ok(())),
            Effect::Event(Told::Message(_, buffer)) => *bytes = buffer,
            Effect::Event(Told::Node(event)) => self.told.push(event),
            _ => {}
        }
    }

    /// Deliveries a second.
    fn deliveries() -> f64 {
        let node = |name, seed| {
            let mut node = Node::<S>::new(node::<S>(name), [seed; 32], Self::NOW).expect("a node");
            node.listen(Self::NOW, Some(RELAY)).expect("listens");
            node
        };
        let mut alone = Self {
            nodes: [node("alice", 1), node("bob", 2)],
            relay: Relay::new(RelayConfig::default(), [3; 32], Self::NOW),
            ends: BTreeMap::new(),
            told: Vec::new(),
            deliveries: 0,
            bytes: Vec::new(),
        };
        alone.settle();
        let invitation = alone.nodes[0].invite(Self::NOW, LONG, RELAY).expect("made");
        alone.nodes[1].join(Self::NOW, &invitation).expect("joins");
        alone.settle();
        let person = alone.nodes[1].contacts().next().expect("paired").person_id;
        alone.nodes[1]
            .connect(Self::NOW, person, Group::Chum)
            .expect("connects");
        alone.settle();
        let conns: Vec<ConnId> = (0..2)
            .filter_map(|i| {
                alone.nodes[i]
                    .connections()
                    .find(|info| info.step == Step::Connected)
                    .map(|info| info.conn)
            })
            .collect();
        let start = Instant::now();
        alone.deliveries = 0;
        while start.elapsed() < TIME {
            for _ in 0..100 {
                for (i, conn) in conns.iter().enumerate() {
                    for _ in 0..BURST {
                        let message = Message::Binary(&[7; LENGTH]);
                        alone.nodes[i]
                            .send(Self::NOW, *conn, message)
                            .expect("room");
                    }
                }
                alone.settle();
            }
        }
        alone.deliveries as f64 / start.elapsed().as_secs_f64()
    }
}

/// The same heap and the same choices without machines and links: what no simulator of this kind can exceed.
fn bare() -> f64 {
    let mut chooser: Box<dyn Chooser> = Box::new(Seeded::new(1));
    let mut heap = BinaryHeap::new();
    for i in 0..1024_u64 {
        heap.push(Reverse((i % 7, i, vec![7_u8; LENGTH])));
    }
    let (mut count, start) = (0_u64, Instant::now());
    while start.elapsed() < TIME {
        for _ in 0..1000 {
            if let Some(Reverse((at, id, message))) = heap.pop() {
                let latency = 5_000 + chooser.choose(Choice::Latency, 8) as u64;
                heap.push(Reverse((at + latency, id, black_box(message))));
            }
        }
        count += 1000;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let figures: [(&str, Figure); 7] = [
        ("bare heap, events/s", bare),
        ("machines alone, insecure", Alone::<Insecure>::deliveries),
        ("machines alone, nacl", Alone::<Nacl>::deliveries),
        ("deliveries/s, insecure", deliveries::<Insecure>),
        ("deliveries/s, nacl", deliveries::<Nacl>),
        ("pairings/s, insecure", pairings::<Insecure>),
        ("pairings/s, nacl", pairings::<Nacl>),
    ];
    for (name, figure) in figures {
        if wanted
            .as_ref()
            .is_some_and(|wanted| !name.contains(wanted.as_str()))
        {
            continue;
        }
        let mut runs: Vec<f64> = (0..RUNS).map(|_| figure()).collect();
        runs.sort_by(f64::total_cmp);
        println!(
            "{name:<24} {:>12.0}   ({:.0} to {:.0})",
            runs[RUNS / 2],
            runs[0],
            runs[RUNS - 1]
        );
    }
}
