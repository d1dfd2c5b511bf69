//! Two peers pair in memory: no socket, no driver, no clock.

use chumwire::crypto::{Nacl, Random};
use chumwire::identity::Identity;
use chumwire::io::{ConnId, Effect, Kind, Machine, Message};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::time::{Micros, Now};

type Peer = Node<Nacl>;

/// Moves what `from` wants done to `to`; tells whether there was anything, and prints who has paired.
fn deliver(now: Now, from: &mut Peer, to: &mut Peer, accepted: &mut Option<ConnId>) -> bool {
    let (mut bytes, mut any) = (Vec::new(), false);
    while let Some(effect) = from.poll(&mut bytes) {
        any = true;
        let other = accepted.unwrap_or(ConnId(0));
        match effect {
            Effect::Dial { conn, .. } => {
                *accepted = to.accept(now, Default::default());
                from.opened(now, conn);
            }
            Effect::Send { kind: Kind::Text, .. } => {
                let text = std::str::from_utf8(&bytes).expect("texts are UTF-8");
                to.message(now, other, Message::Text(text)).expect("there is room");
            }
            Effect::Send { .. } => {
                to.message(now, other, Message::Binary(&bytes)).expect("there is room");
            }
            Effect::Store { id, .. } => from.stored(now, id, Ok(())),
            Effect::Event(Event::Paired { contact, .. }) => println!("paired with {}", contact.email),
            _ => {}
        }
    }
    any
}

fn main() {
    let now = Now::default();
    let mut random = Random::new([1; 32]); // a program draws its seeds from the operating system
    let mut peer = |email: &str| {
        let identity = Identity::generate::<Nacl>(&mut random, email, "laptop").expect("good names");
        let seed = random.array(chumwire::crypto::Purpose::Fork);
        Peer::new(NodeConfig::new(identity), seed, now).expect("a good configuration")
    };
    let (mut alice, mut bob) = (peer("alice@example.com"), peer("bob@example.com"));
    let life = Micros::secs(60);
    let invitation = alice.invite(now, life, "ws://in.memory").expect("a good url");
    bob.join(now, &invitation).expect("another's invitation");
    // Bob dials, so his connection is his first; Alice's is the one that she accepted.
    let (mut of_alice, mut of_bob) = (None, Some(ConnId(0)));
    while deliver(now, &mut bob, &mut alice, &mut of_alice)
        | deliver(now, &mut alice, &mut bob, &mut of_bob)
    {}
    assert!(alice.contacts().any(|c| c.person_id == bob.identity().person_id()));
    assert!(bob.contacts().any(|c| c.person_id == alice.identity().person_id()));
}
