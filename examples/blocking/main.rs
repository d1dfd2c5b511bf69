//! Two nodes pair over a real socket, on threads and without any async runtime.
//!
//! `driver.rs` beside this file is the whole driver. Run it with `cargo run --example blocking`.
#![allow(
    clippy::disallowed_methods,
    reason = "the core may not read clocks or spawn; a program may"
)]

mod driver;

use std::error::Error;
use std::net::TcpListener;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use chumwire::crypto::{Nacl, Random};
use chumwire::identity::Identity;
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::time::{Micros, Millis, Now};

type Peer = Node<Nacl>;

/// The driver's monotonic clock starts when the driver does: until then it is zero.
fn before_the_start() -> Result<Now, Box<dyn Error>> {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(Now {
        mono: Micros::ZERO,
        wall: Millis(u64::try_from(wall)?),
    })
}

fn fresh_seed() -> Result<[u8; 32], Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

fn peer(email: &str) -> Result<Peer, Box<dyn Error>> {
    let mut random = Random::new(fresh_seed()?);
    let identity = Identity::generate::<Nacl>(&mut random, email, "laptop")?;
    Ok(Peer::new(
        NodeConfig::new(identity),
        fresh_seed()?,
        before_the_start()?,
    )?)
}

/// Runs a node in a thread until it has paired and its connection is closed.
fn start(
    name: &'static str,
    peer: Peer,
    listener: Option<TcpListener>,
    paired: Sender<String>,
) -> JoinHandle<Peer> {
    let event = move |event: Event, _: &[u8]| match event {
        Event::Paired { contact, .. } => {
            drop(paired.send(format!("{name} has paired with {}", contact.email)))
        }
        Event::Ended { fault, .. } => {
            println!("{name}'s connection has ended, fault: {fault:?}");
        }
        _ => {}
    };
    // A program would write the record to its disk here, and answer only after that.
    let store = |_record| Ok(());
    let done = |peer: &Peer| peer.contacts().next().is_some() && peer.is_idle();
    thread::spawn(move || driver::run(peer, listener, channel(), event, store, done))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut alice, mut bob) = (peer("alice@example.com")?, peer("bob@example.com")?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}", listener.local_addr()?);
    let invitation = alice.invite(before_the_start()?, Micros::secs(60), &url)?;
    bob.join(before_the_start()?, &invitation)?;

    let (tell, paired) = channel();
    let alice = start("alice", alice, Some(listener), tell.clone());
    let bob = start("bob", bob, None, tell);
    for pairing in paired {
        println!("{pairing}");
    }
    let alice = alice.join().map_err(|_| "alice's driver failed")?;
    let bob = bob.join().map_err(|_| "bob's driver failed")?;
    assert!(
        alice
            .contacts()
            .any(|contact| contact.person_id == bob.identity().person_id())
    );
    assert!(
        bob.contacts()
            .any(|contact| contact.person_id == alice.identity().person_id())
    );
    Ok(())
}
