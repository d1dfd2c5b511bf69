//! Two peers pair in memory: no socket, no driver, no clock.

use chumwire::crypto::{Nacl, Purpose, Random};
use chumwire::identity::Identity;
use chumwire::io::{ConnId, Effect, Machine, Message};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::time::{Micros, Now};

type Peer = Node<Nacl>;
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Does what `from` wants done, with `to` at the other end of its one connection; tells whether
/// there was anything.
fn drive(now: Now, from: &mut Peer, to: &mut Peer, end: &mut Option<ConnId>) -> Result<bool> {
    let (mut bytes, mut any) = (Vec::new(), false);
    while let Some(effect) = from.poll(&mut bytes) {
        any = true;
        match (effect, *end) {
            (Effect::Dial { conn, .. }, _) => {
                *end = to.accept(now, Default::default());
                from.opened(now, conn);
            }
            (Effect::Send { kind, .. }, Some(end)) => {
                to.message(now, end, Message::of(kind, &bytes)?)?;
            }
            (Effect::Store { id, .. }, _) => from.stored(now, id, Ok(())),
            (Effect::Event(Event::Paired { contact, .. }), _) => {
                println!("paired with {}", contact.email);
            }
            _ => {}
        }
    }
    Ok(any)
}

fn peer(email: &str, seed: u8) -> Result<Peer> {
    let mut random = Random::new([seed; 32]); // a program draws it from the operating system
    let identity = Identity::generate::<Nacl>(&mut random, email, "laptop")?;
    let seed = random.array(Purpose::Fork);
    Ok(Peer::new(NodeConfig::new(identity), seed, Now::default())?)
}

fn main() -> Result<()> {
    let now = Now::default();
    let (mut alice, mut bob) = (peer("alice@example.com", 1)?, peer("bob@example.com", 2)?);
    let invitation = alice.invite(now, Micros::secs(60), "ws://in.memory")?;
    // Bob's end is the connection that he dials; Alice's is the one that she accepts then.
    let (mut at_alice, mut at_bob) = (None, Some(bob.join(now, &invitation)?));
    while drive(now, &mut bob, &mut alice, &mut at_alice)?
        | drive(now, &mut alice, &mut bob, &mut at_bob)?
    {}
    let known = |peer: &Peer| -> Vec<_> { peer.contacts().map(|c| c.person_id).collect() };
    assert_eq!(known(&alice), [bob.identity().person_id()]);
    assert_eq!(known(&bob), [alice.identity().person_id()]);
    Ok(())
}
