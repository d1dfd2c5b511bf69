//! A peer that stops talking, in each step, over real sockets: whoever waits says in which step, and ends.
//!
//! The connection of the inviter to the relay goes through a proxy that forwards a number of messages and then holds
//! everything. Each number makes somebody wait in some step; together they make up the machines' own list of steps.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_std::future::timeout;
use async_std::net::{TcpListener, TcpStream};
use async_std::stream::StreamExt;
use async_std::task;
use async_tungstenite::{accept_async, client_async};
use chumwire::crypto::{Nacl, Purpose as Draw, Random};
use chumwire::fault::Why;
use chumwire::identity::Identity;
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::step::Step;
use chumwire::time::{Micros, Now};
use chumwire_async_std::{Config, Handle, spawn};

const STEP: Micros = Micros::millis(500);

/// The steps in which the end of a peer's talk is no failure here, or cannot be waited for, each with its reason.
const ELSEWHERE: [(Step, &str); 2] = [
    (
        Step::Closing,
        "both sides have stored the contact by then: it is a success",
    ),
    (
        Step::Connected,
        "the keepalive takes 25 s; the simulated world waits for it",
    ),
];

type Steps = Arc<Mutex<BTreeSet<Step>>>;

/// A node that notes in which steps it waited in vain.
fn node(name: &str, steps: &Steps, relayed: bool) -> Handle<Node<Nacl>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("entropy");
    let mut random = Random::new(seed);
    let email = format!("{name}@example.com");
    let identity = Identity::generate::<Nacl>(&mut random, &email, name).expect("good names");
    let mut config = NodeConfig::new(identity);
    config.step = STEP;
    config.spares = usize::from(relayed);
    let node = Node::new(config, random.array(Draw::Fork), Now::default()).expect("configured");
    let steps = steps.clone();
    let event = move |event, _: &[u8]| {
        if let Event::Ended {
            fault: Some(fault), ..
        } = event
            && matches!(
                fault.why,
                Why::Timeout | Why::TimeoutBothAccept | Why::NoPing | Why::NotOpened { .. }
            )
        {
            steps.lock().expect("no panic").insert(fault.step);
        }
    };
    spawn(node, (event, |_| Ok(())), Config::default()).0
}

/// Forwards the first `messages` of each connection to `to`, whichever way they go, and holds the rest.
async fn proxy(to: SocketAddr, messages: usize) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    task::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            task::spawn(async move {
                let mut near = accept_async(stream).await.expect("a WebSocket");
                let far = TcpStream::connect(to).await.expect("the relay");
                let (mut far, _) = client_async(format!("ws://{to}"), far)
                    .await
                    .expect("a WebSocket");
                let mut left = messages;
                while left > 0 {
                    let forwarded = futures_util::select_biased! {
                        message = futures_util::FutureExt::fuse(near.next()) => match message {
                            Some(Ok(message)) => far.send(message).await,
                            _ => return,
                        },
                        message = futures_util::FutureExt::fuse(far.next()) => match message {
                            Some(Ok(message)) => near.send(message).await,
                            _ => return,
                        },
                    };
                    if forwarded.is_err() {
                        return;
                    }
                    left -= 1;
                }
                task::sleep(Duration::from_secs(30)).await;
            });
        }
    });
    address
}

/// One pairing through a relay, where the inviter's connection stops after some messages.
async fn stalled_after(messages: usize, steps: Steps) {
    let mut config = RelayConfig::default();
    config.ping_interval = Micros::secs(60);
    config.burst = usize::MAX;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("entropy");
    let relay = Relay::<Nacl>::new(config, seed, Now::default());
    let (relay, _task) = spawn(relay, (|_, _: &[u8]| {}, |_| Ok(())), Config::default());
    let address = relay
        .listen(([127, 0, 0, 1], 0).into(), None)
        .await
        .expect("a port");
    let near = format!("ws://{}", proxy(address, messages).await);

    let inviter = node(&format!("inviter{messages}"), &steps, true);
    let joiner = node(&format!("joiner{messages}"), &steps, false);
    inviter
        .call(move |node, now| node.listen(now, Some(&near)))
        .await
        .unwrap()
        .unwrap();
    for _ in 0..40 {
        if inviter.call(|node, _| node.is_online()).await.unwrap() {
            let url = format!("ws://{address}");
            let invitation = inviter
                .call(move |node, now| node.invite(now, Micros::secs(60), &url))
                .await
                .unwrap()
                .unwrap();
            joiner
                .call(move |node, now| node.join(now, &invitation))
                .await
                .unwrap()
                .unwrap();
            break;
        }
        task::sleep(Duration::from_millis(20)).await;
    }
    task::sleep(Duration::from_secs(4)).await;
}

/// The spare connection at a relay that pings no more: a relay that tells a short interval and never keeps it.
async fn silent_relay(steps: Steps) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut config = RelayConfig::default();
    config.ping_interval = Micros::millis(200);
    let relay = Relay::<Nacl>::new(config, [5; 32], Now::default());
    let (relay, _task) = spawn(relay, (|_, _: &[u8]| {}, |_| Ok(())), Config::default());
    let behind = relay
        .listen(([127, 0, 0, 1], 0).into(), None)
        .await
        .expect("a port");
    drop(listener);
    let near = format!("ws://{}", proxy(behind, 4).await);
    let node = node("spare", &steps, true);
    node.call(move |node, now| node.listen(now, Some(&near)))
        .await
        .unwrap()
        .unwrap();
    let _ = address;
    task::sleep(Duration::from_secs(6)).await;
}

/// A client that connects directly and says nothing, and a server that never answers as a WebSocket.
async fn silent_sockets(steps: Steps) {
    let direct = node("direct", &steps, false);
    let address = direct
        .listen(([127, 0, 0, 1], 0).into(), None)
        .await
        .expect("a port");
    let stream = TcpStream::connect(address).await.expect("it listens");
    let socket = client_async(format!("ws://{address}"), stream)
        .await
        .expect("a WebSocket");

    let mute = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("ws://{}", mute.local_addr().expect("an address"));
    let host = node("host", &steps, false);
    let invitation = host
        .call(move |node, now| node.invite(now, Micros::secs(60), &url))
        .await
        .unwrap()
        .unwrap();
    let joiner = node("dialler", &steps, false);
    joiner
        .call(move |node, now| node.join(now, &invitation))
        .await
        .unwrap()
        .unwrap();
    task::sleep(Duration::from_secs(7)).await;
    drop((socket, mute));
}

#[test]
fn a_peer_that_stops_talking_is_told_by_the_step_in_every_step() {
    let steps = Steps::default();
    task::block_on(async {
        let mut runs = vec![
            task::spawn(silent_relay(steps.clone())),
            task::spawn(silent_sockets(steps.clone())),
        ];
        // Registration has 4 messages, handover and request 2, the rest of a pairing 18.
        for messages in 0..24 {
            runs.push(task::spawn(stalled_after(messages, steps.clone())));
        }
        for run in runs {
            timeout(Duration::from_secs(60), run)
                .await
                .expect("it ends");
        }
    });
    let seen = steps.lock().expect("no panic").clone();
    for step in Step::ALL {
        let elsewhere = ELSEWHERE.iter().any(|(other, _)| other == step);
        assert!(
            elsewhere || seen.contains(step),
            "nobody waited in vain in {step}: {seen:?}"
        );
    }
}
