//! Two whole instances that have paired: nodes that synchronise, with a store each, and a bad connection between them.

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::Arbitrary;
use chumwire::chum::{Answer, AskId, ChumConfig, Deed, MemoryStore, Reply, Synchroniser};
use chumwire::establish::Group;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, NotStored, Source, StoreId};
use chumwire::node::{Node, NodeConfig};
use chumwire::objects::Reference;
use chumwire::time::{Micros, Millis, Now};
use chumwire_sim::Insecure;

use crate::people::{alice, bob};
use crate::said::{MadeUp, borrowed};
use crate::store::{ALICES, BOBS, RECIPES, assert_whole, doc, person, policy};

/// What happens next. A first flag is whom it happens to: alice, or else bob.
#[derive(Arbitrary, Debug)]
pub(crate) enum SyncAction {
    /// So many messages arrive, on both sides in turn.
    Deliver(u8),
    /// The next message arrives altered.
    Alter(bool, u16, u8),
    /// The next message never arrives.
    Lose(bool),
    /// A message arrives that nobody sent.
    Inject(bool, u8, MadeUp),
    /// A stranger comes.
    Accept(bool),
    /// A connection is gone.
    Close(bool, u8),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// One of them is ticked at its deadline.
    Deadline(bool),
    /// A route to the other, to synchronise or to look at what it may see.
    Connect(bool, bool),
    /// No route any more.
    Disconnect(bool),
    /// The store answers only when it is told to, or at once.
    Late(bool, bool),
    /// The store answers one question that waits, in one of several ways.
    Answer(bool, u8, u8),
    /// What is sent does not leave any more, or again.
    Slow(bool),
    /// Nobody polls any more, or again.
    Hold(bool),
    /// Something new is granted, or asked for again.
    Call(bool, u8),
    /// A new version of a document is made.
    Version(bool, u8),
    /// One of them is shut down.
    Shutdown(bool),
}

/// Where both can be dialled directly.
const URL: &str = "ws://in.memory";
/// Effects that one input may lead to before there is nothing left to do.
const EFFECTS: usize = 50_000;

type Wire = (ConnId, (Kind, Vec<u8>));

struct Side {
    sync: Synchroniser<Node<Insecure>>,
    store: MemoryStore,
    to_come: VecDeque<Wire>,
    waiting: Vec<(StoreId, Deed)>,
    late: bool,
    slow: bool,
    /// Messages that found no room.
    full: VecDeque<Wire>,
}

impl Side {
    fn answer(&mut self, now: Now, id: StoreId, deed: Deed, how: u8) {
        let reply = match (deed, how % 4) {
            (Deed::Ask { .. } | Deed::Look(_) | Deed::Change(_), 1) => {
                Reply::Answer(Answer::Failed)
            }
            (_, 1) => Reply::Stored(Err(NotStored)),
            // A driver that mistakes one for the other.
            (Deed::Ask { .. } | Deed::Look(_) | Deed::Change(_), 2) => Reply::Stored(Ok(())),
            (Deed::Change(_), 3) => Reply::Answer(Answer::Conflict),
            (Deed::Record(_), 2) => Reply::Answer(Answer::Done),
            (Deed::Look(ask), _) => {
                let nobody = u64::MAX;
                Reply::Answer(self.store.answer(&RECIPES, nobody, AskId(0), ask))
            }
            (Deed::Change(change), _) => {
                Reply::Answer(self.store.change(&change.plan, change.write))
            }
            (Deed::Ask { conn, id, ask }, _) => {
                Reply::Answer(self.store.answer(&RECIPES, conn.0, id, ask))
            }
            (Deed::Forget(conn), _) => {
                self.store.forget(conn.0);
                Reply::Stored(Ok(()))
            }
            _ => Reply::Stored(Ok(())),
        };
        self.sync.stored(now, id, reply);
    }

    fn message(&mut self, now: Now, wire: Wire) {
        let (conn, message) = &wire;
        if self.sync.message(now, *conn, borrowed(message)).is_err() {
            self.full.push_back(wire);
        }
    }

    fn tick(&mut self, now: Now) {
        self.sync.tick(now);
        let next = self.sync.deadline();
        assert!(
            next.is_none_or(|next| next.at > now.mono),
            "a tick moves it"
        );
    }
}

/// Their connections: bob's number of each, and alice's.
type Links = Vec<[ConnId; 2]>;

struct World {
    sides: [Side; 2],
    links: Links,
    now: Now,
    held: bool,
}

/// Two instances, before they have met.
fn world() -> World {
    let now = Now {
        mono: Micros::secs(1),
        wall: Millis(1_700_000_000_000),
    };
    let side = |own: &chumwire::identity::Identity, seed, name, store: &MemoryStore| {
        let mut config = NodeConfig::new(own.clone());
        config.serve = [Group::Chum, Group::Debug].into();
        config.url = Some(URL.into());
        let node = Node::new(config, [seed; 32], now).expect("a good configuration");
        let chum = ChumConfig::default();
        Side {
            sync: Synchroniser::new(
                node,
                chum,
                RECIPES.clone(),
                Arc::new(policy(name)),
                Vec::new(),
                [seed + 100; 32],
            ),
            store: store.clone(),
            to_come: VecDeque::new(),
            waiting: Vec::new(),
            late: false,
            slow: false,
            full: VecDeque::new(),
        }
    };
    World {
        sides: [
            side(bob::<Insecure>(), 3, "bob", &BOBS),
            side(alice::<Insecure>(), 4, "alice", &ALICES),
        ],
        links: Links::new(),
        now,
        held: false,
    }
}

impl World {
    fn drain(&mut self) {
        for of in [0, 1, 0, 1] {
            let mut bytes = Vec::new();
            let mut count = 0;
            while let Some(effect) = self.sides[of].sync.poll(&mut bytes) {
                count += 1;
                assert!(count < EFFECTS, "it does not come to rest");
                self.does(of, effect, &bytes);
            }
        }
        for side in &mut self.sides {
            for wire in core::mem::take(&mut side.full) {
                side.message(self.now, wire);
            }
        }
    }

    fn does<E>(&mut self, of: usize, effect: Effect<E, Deed>, bytes: &[u8]) {
        let (now, other) = (self.now, 1 - of);
        match effect {
            Effect::Dial { conn, url } if url == URL => {
                let Some(accepted) = self.sides[other].sync.accept(now, Source::Unknown) else {
                    return;
                };
                let mut link = [conn; 2];
                link[other] = accepted;
                self.links.push(link);
                self.sides[of].sync.opened(now, conn);
            }
            Effect::Send { conn, kind } => {
                if !self.sides[of].slow {
                    self.sides[of].sync.drained(now, conn);
                }
                if let Some(link) = self.links.iter().find(|link| link[of] == conn) {
                    let wire = (link[other], (kind, bytes.to_vec()));
                    self.sides[other].to_come.push_back(wire);
                }
            }
            Effect::Store { id, record } if self.sides[of].late => {
                self.sides[of].waiting.push((id, record));
            }
            Effect::Store { id, record } => {
                self.sides[of].answer(now, id, record, 0);
                assert_whole(&self.sides[of].store);
            }
            Effect::Close { conn, .. } => {
                let how = Closed::Lost(String::new());
                self.sides[of].sync.closed(now, conn, how);
            }
            _ => {}
        }
    }

    fn deliver(&mut self, count: usize) {
        for n in 0..count {
            let side = &mut self.sides[usize::from(n % 2 == 0)];
            if let Some(wire) = side.to_come.pop_front() {
                side.message(self.now, wire);
            }
            self.drain();
        }
    }

    fn pass(&mut self, to: Micros) {
        let to = to.max(self.now.mono);
        self.now.wall.0 += to.since(self.now.mono).as_millis();
        self.now.mono = to;
        let now = self.now;
        self.sides.iter_mut().for_each(|side| side.tick(now));
    }
}

/// Whatever happens to their connections and stores: the tables agree, stores are whole, and nothing stands still.
pub(crate) fn sync(actions: Vec<SyncAction>) {
    let mut world = world();
    let now = world.now;
    let alices = world.sides[1].sync.node_mut();
    let invitation = alices.invite(now, Micros::secs(60), URL);
    let bobs = world.sides[0].sync.node_mut();
    let joined = bobs.join(now, &invitation.expect("an invitation"));
    joined.expect("it is dialled");
    world.drain();
    world.deliver(60);
    for side in &world.sides {
        assert_eq!(side.sync.node().contacts().count(), 1, "they have paired");
    }
    for action in actions.iter().take(100) {
        act(&mut world, action);
        if !world.held {
            world.drain();
        }
        for side in &world.sides {
            assert_eq!(side.sync.node().self_check(), Ok(()), "the tables agree");
            assert_eq!(side.sync.book().self_check(), Ok(()), "of the book as well");
        }
    }
    for side in &mut world.sides {
        side.late = false;
        side.slow = false;
        side.sync.node_mut().shutdown(world.now);
    }
    for _ in 0..40 {
        world.drain();
        let due = world.sides.iter().filter_map(|side| side.sync.deadline());
        match due.map(|due| due.at).min() {
            Some(due) => world.pass(due),
            None => break,
        }
    }
    for side in &world.sides {
        assert!(side.sync.node().is_idle(), "a shutdown ends it");
        assert_eq!(side.sync.chums().count(), 0, "a shutdown ends each CHUM");
        assert_whole(&side.store);
    }
}

fn act(world: &mut World, action: &SyncAction) {
    use SyncAction as A;
    let (now, at) = (world.now, |of: &bool| usize::from(*of));
    let conn = |n: &u8| ConnId(u64::from(*n % 8));
    match action {
        A::Deliver(count) => world.deliver((*count).into()),
        A::Alter(of, place, by) => {
            let side = &mut world.sides[at(of)];
            if let Some((conn, (kind, mut bytes))) = side.to_come.pop_front() {
                let length = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(*place) % length) {
                    *byte ^= by;
                }
                side.message(now, (conn, (kind, bytes)));
            }
        }
        A::Lose(of) => drop(world.sides[at(of)].to_come.pop_front()),
        A::Inject(of, n, message) => world.sides[at(of)].message(now, (conn(n), message.wire())),
        A::Accept(of) => drop(world.sides[at(of)].sync.accept(now, Source::Unknown)),
        A::Close(of, n) => {
            let how = Closed::Lost(String::new());
            world.sides[at(of)].sync.closed(now, conn(n), how);
        }
        A::Time(by) => world.pass(now.mono + Micros::millis((*by).into())),
        A::Deadline(of) => {
            if let Some(due) = world.sides[at(of)].sync.deadline() {
                world.pass(due.at);
            }
        }
        A::Connect(of, looks) => {
            let other = [alice::<Insecure>(), bob::<Insecure>()][at(of)].person_id();
            let group = if *looks { Group::Debug } else { Group::Chum };
            let _ = world.sides[at(of)]
                .sync
                .node_mut()
                .connect(now, other, group);
        }
        A::Disconnect(of) => {
            let other = [alice::<Insecure>(), bob::<Insecure>()][at(of)].person_id();
            world.sides[at(of)]
                .sync
                .node_mut()
                .disconnect(now, other, &Group::Chum);
        }
        A::Late(of, late) => world.sides[at(of)].late = *late,
        A::Answer(of, n, how) => {
            let side = &mut world.sides[at(of)];
            let count = side.waiting.len();
            if count > 0 {
                let (id, deed) = side.waiting.remove(usize::from(*n) % count);
                side.answer(now, id, deed, *how);
            }
        }
        A::Slow(slow) => {
            for side in &mut world.sides {
                side.slow = *slow;
                if !slow {
                    let conns: Vec<ConnId> = (0..40).map(ConnId).collect();
                    conns.iter().for_each(|conn| side.sync.drained(now, *conn));
                }
            }
        }
        A::Hold(held) => world.held = *held,
        A::Call(of, which) => {
            let sync = &mut world.sides[at(of)].sync;
            match which % 3 {
                0 => sync.granted(now, person(if *of { "bob" } else { "alice" })),
                1 => sync.poll_roots(now),
                _ => sync.policy_changed(now),
            }
        }
        A::Version(of, n) => {
            let side = &mut world.sides[at(of)];
            let id = side
                .store
                .put_version(&RECIPES, &doc("d", &n.to_string()), now.wall);
            let other = person(if *of { "bob" } else { "alice" });
            side.store
                .share(Reference::Id(id.expect("a version")), other);
        }
        A::Shutdown(of) => world.sides[at(of)].sync.node_mut().shutdown(now),
    }
}
