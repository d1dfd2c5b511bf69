//! 200 pairings of 200 identities at once through one relay, with one slow reader among them.
//!
//! `cargo test --release -p chumwire-cli --test load -- --nocapture` prints how long they took and what the relay's
//! process used.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_tungstenite::tungstenite::Message as WsMessage;
use async_tungstenite::{WebSocketStream, client_async};
use chumwire::crypto::{KeyPair, Nacl, Purpose as Draw, Random};
use chumwire::handshake::CommunicationRequest;
use chumwire::identity::Identity;
use chumwire::io::{Message, Output};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::relay::{Registration, RegistrationEvent};
use chumwire::role::Role;
use chumwire::time::{Micros, Now};
use chumwire_async_std::async_std::future::timeout;
use chumwire_async_std::async_std::net::TcpStream;
use chumwire_async_std::async_std::task;
use chumwire_async_std::{Config, Handle, spawn};
use futures_util::StreamExt;

const PAIRINGS: usize = 200;
/// What a slow machine may take at most for the slowest pairing.
const SLOWEST: Duration = Duration::from_secs(60);
/// What the relay may use: 600 connections, and one pair that is as full as it may be.
const RELAY_MEMORY_KIB: u64 = 128 * 1024;

struct RelayProcess(Child, String);

impl RelayProcess {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chumwire"))
            .args([
                "--json",
                "relay",
                "--listen",
                "127.0.0.1:0",
                "--per-address",
                "0",
                "--rate",
                "0",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the relay starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let url = event["url"].as_str().expect("a url").to_owned();
        Self(child, url)
    }

    /// The most memory that it has used so far, in KiB.
    fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))
            .expect("the relay runs");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .expect("a peak");
        line.split_whitespace()
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("a number")
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(url: &str) -> Socket {
    let stream = TcpStream::connect(url.trim_start_matches("ws://"))
        .await
        .expect("the relay");
    client_async(url, stream).await.expect("a WebSocket").0
}

/// A listener that is handed over to an initiator, and then reads nothing of what that one sends without end.
async fn slow_reader(url: String, blocked: async_channel::Sender<()>) {
    let now = Now::default();
    let key = KeyPair::generate::<Nacl>(&mut Random::new([1; 32]), Draw::StaticKey);
    let target = key.public();
    let mut slow = connect(&url).await;
    let mut registration =
        Registration::<Nacl>::new(now, key, Random::new([2; 32]), Micros::secs(10), false);
    let mut bytes = Vec::new();
    'registered: loop {
        while let Some(output) = registration.poll(&mut bytes) {
            match output {
                Output::Send(_) => {
                    let text = String::from_utf8(bytes.clone()).expect("text");
                    slow.send(WsMessage::text(text)).await.expect("sent");
                }
                Output::Event(RegistrationEvent::Registered { .. }) => break 'registered,
                _ => {}
            }
        }
        let message = slow.next().await.expect("open").expect("a message");
        registration
            .message(now, Message::Text(message.to_text().expect("text")))
            .expect("room");
    }
    let mut fast = connect(&url).await;
    let request = CommunicationRequest {
        source: KeyPair::generate::<Nacl>(&mut Random::new([3; 32]), Draw::StaticKey).public(),
        target,
    };
    fast.send(WsMessage::text(request.text()))
        .await
        .expect("sent");
    // The handover and the request; from the answer on, the relay copies.
    for _ in 0..2 {
        slow.next().await.expect("open").expect("a message");
    }
    slow.send(WsMessage::text("ready")).await.expect("sent");
    fast.next().await.expect("open").expect("a message");
    // It blocks sooner or later: the relay reads no more than the slow one takes.
    let message = || WsMessage::binary(vec![0; 60_000]);
    while let Ok(sent) = timeout(Duration::from_millis(300), fast.send(message())).await {
        sent.expect("the relay keeps the pair");
    }
    blocked.send(()).await.expect("somebody waits for it");
    task::sleep(SLOWEST * 2).await;
}

fn node(i: usize, url: &str, paired: async_channel::Sender<(usize, bool)>) -> Handle<Node<Nacl>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("entropy");
    let mut random = Random::new(seed);
    let email = format!("person{i}@example.com");
    let identity = Identity::generate::<Nacl>(&mut random, &email, "load").expect("good names");
    let node = Node::new(
        NodeConfig::new(identity),
        random.array(Draw::Fork),
        Now::default(),
    );
    let event = move |event, _: &[u8]| match event {
        Event::Paired {
            role: Role::Initiator,
            ..
        } => {
            let _ = paired.try_send((i, true));
        }
        Event::Ended {
            fault: Some(_),
            purpose: chumwire::node::Purpose::Join,
            ..
        } => {
            let _ = paired.try_send((i, false));
        }
        _ => {}
    };
    let (handle, _task) = spawn(
        node.expect("configured"),
        (event, |_| Ok(())),
        Config::default(),
    );
    let url = url.to_owned();
    handle
        .post(move |node, now| node.listen(now, Some(&url)).expect("a good url"))
        .expect("runs");
    handle
}

#[test]
fn two_hundred_pairings_at_once_and_one_slow_reader() {
    let relay = RelayProcess::start();
    let url = relay.1.clone();
    let times = task::block_on(async {
        let (blocked, is_blocked) = async_channel::bounded(1);
        task::spawn(slow_reader(url.clone(), blocked));
        timeout(SLOWEST, is_blocked.recv())
            .await
            .expect("it blocks")
            .expect("open");
        let (sender, paired) = async_channel::unbounded();
        let nodes: Vec<_> = (0..PAIRINGS)
            .map(|i| node(i, &url, sender.clone()))
            .collect();
        for node in &nodes {
            while !node.call(|node, _| node.is_online()).await.expect("runs") {
                task::sleep(Duration::from_millis(10)).await;
            }
        }
        // Each invites its successor, so everybody pairs twice.
        let begin = Instant::now();
        for (i, node) in nodes.iter().enumerate() {
            let url = url.clone();
            let invitation = node
                .call(move |node, now| node.invite(now, Micros::secs(120), &url))
                .await
                .expect("runs")
                .expect("an invitation");
            let joiner = &nodes[(i + 1) % PAIRINGS];
            joiner
                .post(move |node, now| drop(node.join(now, &invitation)))
                .expect("runs");
        }
        let mut times = Vec::new();
        while times.len() < PAIRINGS {
            let (i, ok) = timeout(SLOWEST, paired.recv())
                .await
                .expect("in time")
                .expect("open");
            assert!(ok, "person{i} could not join");
            times.push(begin.elapsed());
        }
        times
    });
    let memory = relay.peak_memory();
    println!(
        "{PAIRINGS} pairings at once: p50 {:?}, p99 {:?}; the relay's peak memory: {memory} KiB",
        times[PAIRINGS / 2],
        times[PAIRINGS * 99 / 100]
    );
    assert!(memory < RELAY_MEMORY_KIB, "the relay used {memory} KiB");
}
