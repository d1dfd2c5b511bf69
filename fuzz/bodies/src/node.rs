//! Two nodes, one of which joins the other, and somebody between them.

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use chumwire::crypto::Suite;
use chumwire::establish::Group;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, NotStored, Source, StoreId};
use chumwire::node::{Node, NodeConfig};
use chumwire::objects::PersonId;
use chumwire::pairing::Invitation;
use chumwire::time::{Micros, Millis, Now};

use crate::people::{alice, bob};
use crate::said::{MadeUp, borrowed};

/// What happens next. A first flag is whom it happens to: alice, who invites, or else bob.
#[derive(Arbitrary, Debug)]
pub(crate) enum NodeAction {
    /// Bob uses an invitation of alice's.
    Join,
    /// So many messages arrive on both sides.
    Deliver(u8),
    /// The next message arrives altered.
    Alter(bool, u16, u8),
    /// A message arrives that nobody sent.
    Inject(bool, u8, MadeUp),
    /// A stranger comes.
    Accept(bool),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// The next thing is due.
    Deadline(bool),
    /// A connection is gone.
    Close(bool, u8),
    /// A dialled connection is open.
    Opened(bool, u8),
    /// The storage answers late, or not as it should.
    Stored(bool, u8, bool),
    /// A relay is used, or no longer.
    Listen(bool, bool),
    /// A route to the other.
    Connect(bool),
    /// Something is said.
    Send(bool, u8, MadeUp),
    /// The embedder ends things.
    End(bool, u8),
    /// Nobody polls any more, or again.
    Hold(bool),
    /// What is sent does not leave any more, or again.
    Slow(bool),
}

type Wire = (ConnId, (Kind, Vec<u8>));

struct Side<S: Suite> {
    node: Node<S>,
    to_come: VecDeque<Wire>,
    slow: bool,
}

impl<S: Suite> Side<S> {
    fn message(&mut self, now: Now, conn: ConnId, message: &(Kind, Vec<u8>)) {
        if self.node.message(now, conn, borrowed(message)).is_ok() {
            return;
        }
        // It has asked for a pause, and done nothing else; offered again, not even that.
        let once = self.node.clone();
        let again = self.node.message(now, conn, borrowed(message));
        assert!(again.is_err() && once == self.node, "Full changes nothing");
    }
}

/// The person whom one knows.
fn other_than<S: Suite>(is_alice: bool) -> PersonId {
    match is_alice {
        true => bob::<S>().person_id(),
        false => alice::<S>().person_id(),
    }
}

/// Their connections: bob's number of each, and alice's.
type Links = Vec<[ConnId; 2]>;

/// Where both can be dialled directly.
const URL: &str = "ws://in.memory";

/// A whole pairing between two nodes, disturbed.
pub(crate) fn node<S: Suite>(actions: Vec<NodeAction>) {
    let mut now = Now {
        mono: Micros::secs(1),
        wall: Millis(5_000),
    };
    let side = |identity: &chumwire::identity::Identity, seed| {
        let mut config = NodeConfig::new(identity.clone());
        config.serve = [Group::Chum].into();
        config.url = Some(URL.into());
        Side::<S> {
            node: Node::new(config, [seed; 32], now).expect("a good configuration"),
            to_come: VecDeque::new(),
            slow: false,
        }
    };
    let mut sides = [side(bob::<S>(), 3), side(alice::<S>(), 4)];
    let invitation = sides[1]
        .node
        .invite(now, Micros::secs(60), URL)
        .expect("an invitation");
    let mut links = Links::new();
    let mut held = false;
    for action in actions.iter().take(200) {
        if let NodeAction::Hold(on) = action {
            held = *on;
        }
        act(&mut sides, &mut now, &mut links, &invitation, action);
        if !held {
            drain(&mut sides, now, &mut links);
        }
        for (side, other) in sides.iter().zip([alice::<S>(), bob::<S>()]) {
            assert_eq!(side.node.self_check(), Ok(()), "the tables agree");
            let mut contacts = side.node.contacts();
            let due = other.person_id();
            assert!(
                contacts.all(|contact| contact.person_id == due),
                "nobody poses as another"
            );
        }
    }
    for side in &mut sides {
        side.slow = false;
        side.node.shutdown(now);
    }
    for _ in 0..40 {
        drain(&mut sides, now, &mut links);
        let due = sides.iter().filter_map(|side| side.node.deadline());
        let Some(due) = due.map(|due| due.at).min() else {
            break;
        };
        now.mono = now.mono.max(due);
        sides.iter_mut().for_each(|side| side.node.tick(now));
    }
    let mut idle = sides.iter().map(|side| side.node.is_idle());
    assert!(idle.all(|is_idle| is_idle), "a shutdown ends it");
}

fn drain<S: Suite>(sides: &mut [Side<S>; 2], now: Now, links: &mut Links) {
    let mut bytes = Vec::new();
    for of in [0, 1, 0] {
        while let Some(effect) = sides[of].node.poll(&mut bytes) {
            match effect {
                Effect::Dial { conn, url } if url == URL => {
                    if let Some(accepted) = sides[1 - of].node.accept(now, Source::Unknown) {
                        let mut link = [conn; 2];
                        link[1 - of] = accepted;
                        links.push(link);
                        sides[of].node.opened(now, conn);
                    }
                }
                Effect::Send { conn, kind } => {
                    if !sides[of].slow {
                        sides[of].node.drained(now, conn);
                    }
                    if let Some(link) = links.iter().find(|link| link[of] == conn) {
                        sides[1 - of]
                            .to_come
                            .push_back((link[1 - of], (kind, bytes.clone())));
                    }
                }
                Effect::Store { id, .. } => sides[of].node.stored(now, id, Ok(())),
                Effect::Close { conn, .. } => {
                    sides[of]
                        .node
                        .closed(now, conn, Closed::Lost(String::new()));
                }
                _ => {}
            }
        }
    }
}

fn act<S: Suite>(
    sides: &mut [Side<S>; 2],
    now: &mut Now,
    links: &mut Links,
    invitation: &Invitation,
    action: &NodeAction,
) {
    use NodeAction as A;
    let conn = |n: &u8| ConnId(u64::from(*n % 8));
    match action {
        A::Join => drop(sides[0].node.join(*now, invitation)),
        A::Deliver(count) => {
            for n in 0..*count % 40 {
                let side = &mut sides[usize::from(n % 2 == 0)];
                if let Some((conn, message)) = side.to_come.pop_front() {
                    side.message(*now, conn, &message);
                }
                drain(sides, *now, links);
            }
        }
        A::Alter(to, at, by) => {
            let side = &mut sides[usize::from(*to)];
            if let Some((conn, (kind, mut bytes))) = side.to_come.pop_front() {
                let length = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(*at) % length) {
                    *byte ^= by;
                }
                side.message(*now, conn, &(kind, bytes));
            }
        }
        A::Inject(to, n, message) => {
            sides[usize::from(*to)].message(*now, conn(n), &message.wire());
        }
        A::Accept(by) => drop(sides[usize::from(*by)].node.accept(*now, Source::Unknown)),
        A::Time(by) => {
            now.mono = now.mono + Micros::millis((*by).into());
            now.wall.0 += u64::from(*by);
            for side in sides {
                side.node.tick(*now);
            }
        }
        A::Deadline(of) => {
            let node = &mut sides[usize::from(*of)].node;
            if let Some(due) = node.deadline() {
                now.mono = now.mono.max(due.at);
                node.tick(*now);
                let next = node.deadline();
                assert!(
                    next.is_none_or(|next| next.at > now.mono),
                    "a tick moves the deadline"
                );
            }
        }
        A::Close(of, n) => {
            sides[usize::from(*of)]
                .node
                .closed(*now, conn(n), Closed::Lost(String::new()));
        }
        A::Opened(of, n) => sides[usize::from(*of)].node.opened(*now, conn(n)),
        A::Stored(of, n, good) => {
            let result = if *good { Ok(()) } else { Err(NotStored) };
            sides[usize::from(*of)]
                .node
                .stored(*now, StoreId((*n).into()), result);
        }
        A::Listen(of, on) => {
            let _ = sides[usize::from(*of)]
                .node
                .listen(*now, on.then_some("wss://relay.example"));
        }
        A::Connect(of) => {
            let other = other_than::<S>(*of);
            let _ = sides[usize::from(*of)]
                .node
                .connect(*now, other, Group::Chum);
        }
        A::Send(of, n, message) => {
            let node = &mut sides[usize::from(*of)].node;
            let _ = node.send(*now, conn(n), borrowed(&message.wire()));
        }
        A::End(of, n) => {
            let node = &mut sides[usize::from(*of)].node;
            match n % 4 {
                0 => node.close(*now, conn(&(n / 4))),
                1 => drop(node.revoke_all(*now)),
                2 => {
                    let other = other_than::<S>(*of);
                    let _ = node.forget(*now, other, None);
                }
                _ => node.shutdown(*now),
            }
        }
        A::Hold(_) => {}
        A::Slow(on) => sides.iter_mut().for_each(|side| side.slow = *on),
    }
}
