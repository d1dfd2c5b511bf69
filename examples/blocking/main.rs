//! Two nodes pair over a real socket, on threads and without any async runtime.
//!
//! `driver.rs` beside this file is the whole driver. Run it with `cargo run --example blocking`.
#![expect(
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

use driver::Input;

type Peer = Node<Nacl>;

fn fresh_seed() -> Result<[u8; 32], Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

fn peer(email: &str, now: Now) -> Result<Peer, Box<dyn Error>> {
    let identity = Identity::generate::<Nacl>(&mut Random::new(fresh_seed()?), email, "laptop")?;
    Ok(Peer::new(NodeConfig::new(identity), fresh_seed()?, now)?)
}

/// Runs a node in a thread. The sender can stop it.
fn start(
    peer: Peer,
    listener: Option<TcpListener>,
    events: Sender<Event>,
) -> (Sender<Input>, JoinHandle<Peer>) {
    let (inputs, inbox) = channel();
    let stop = inputs.clone();
    let event = move |event, _: &[u8]| drop(events.send(event));
    // A program would write the record to its disk here, and answer only after that.
    let store = |_record| Ok(());
    let run = move || driver::run(peer, listener, (inputs, inbox), event, store);
    (stop, thread::spawn(run))
}

fn main() -> Result<(), Box<dyn Error>> {
    // The driver's monotonic clock starts when the driver does: until then it is zero.
    let wall = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = Now {
        mono: Micros::ZERO,
        wall: Millis(u64::try_from(wall)?),
    };
    let (mut alice, mut bob) = (
        peer("alice@example.com", now)?,
        peer("bob@example.com", now)?,
    );
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}", listener.local_addr()?);
    let invitation = alice.invite(now, Micros::secs(60), &url)?;
    bob.join(now, &invitation)?;

    let (tell, events) = channel();
    let nodes = [
        start(alice, Some(listener), tell.clone()),
        start(bob, None, tell),
    ];
    let mut ended = 0;
    while ended < nodes.len() {
        match events.recv()? {
            Event::Paired { role, contact, .. } => {
                println!("{role:?}: paired with {}", contact.email)
            }
            Event::Ended {
                fault: Some(fault), ..
            } => return Err(fault.to_string().into()),
            Event::Ended { .. } => ended += 1,
            _ => {}
        }
    }
    for (stop, node) in nodes {
        stop.send(Input::Stop)?;
        let node = node.join().map_err(|_| "a driver failed")?;
        assert_eq!(node.contacts().count(), 1);
    }
    Ok(())
}
