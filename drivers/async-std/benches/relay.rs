//! Messages over loopback through the relay, against a plain TCP splice of the same bytes in the same run.
//!
//! `cargo bench -p chumwire-async-std --bench relay`

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_std::io::{ReadExt, WriteExt};
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use async_tungstenite::tungstenite::Message as WsMessage;
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use async_tungstenite::{WebSocketStream, client_async_with_config};
use chumwire::crypto::{KeyPair, Nacl, Purpose, Random};
use chumwire::handshake::CommunicationRequest;
use chumwire::io::{Message, Output};
use chumwire::relay::{Registration, RegistrationEvent, Relay, RelayConfig};
use chumwire::time::{Micros, Now};
use chumwire_async_std::{Config, spawn};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{SinkExt, StreamExt};

type Socket = WebSocketStream<TcpStream>;

async fn connect(address: SocketAddr) -> Socket {
    let stream = TcpStream::connect(address).await.expect("the relay");
    stream.set_nodelay(true).expect("a socket");
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
    let url = format!("ws://{address}");
    client_async_with_config(url, stream, Some(config))
        .await
        .expect("a WebSocket")
        .0
}

/// Both ends of a pair that the relay copies between: the initiator's and the listener's.
async fn relayed(address: SocketAddr) -> (Socket, Socket) {
    let now = Now::default();
    let key = KeyPair::generate::<Nacl>(&mut Random::new([1; 32]), Purpose::StaticKey);
    let target = key.public();
    let mut listener = connect(address).await;
    let mut registration =
        Registration::<Nacl>::new(now, key, Random::new([2; 32]), Micros::secs(10), false);
    let mut bytes = Vec::new();
    'registered: loop {
        while let Some(output) = registration.poll(&mut bytes) {
            match output {
                Output::Send(_) => {
                    let text = String::from_utf8(bytes.clone()).expect("text");
                    listener.send(WsMessage::text(text)).await.expect("sent");
                }
                Output::Event(RegistrationEvent::Registered { .. }) => break 'registered,
                _ => {}
            }
        }
        let message = listener.next().await.expect("open").expect("a message");
        registration
            .message(now, Message::Text(message.to_text().expect("text")))
            .expect("room");
    }
    let mut initiator = connect(address).await;
    let source = KeyPair::generate::<Nacl>(&mut Random::new([3; 32]), Purpose::StaticKey).public();
    let request = CommunicationRequest { source, target }.text();
    initiator
        .send(WsMessage::text(request))
        .await
        .expect("sent");
    // The handover and the request.
    for _ in 0..2 {
        listener.next().await.expect("open").expect("a message");
    }
    (initiator, listener)
}

/// Sends `count` messages from one end and takes them at the other.
async fn flow(from: &mut Socket, to: &mut Socket, message: &WsMessage, count: u64) {
    let send = async {
        for _ in 0..count {
            from.feed(message.clone()).await.expect("sent");
        }
        from.flush().await.expect("sent");
    };
    let take = async {
        let mut left = count;
        while left > 0 {
            if to
                .next()
                .await
                .expect("open")
                .expect("a message")
                .is_binary()
            {
                left -= 1;
            }
        }
    };
    futures_util::join!(send, take);
}

/// Copies one way between two TCP connections: the least that any relay has to do.
async fn splice() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let from = TcpStream::connect(address).await.expect("it listens");
    let (mut near, _) = listener.accept().await.expect("it comes");
    let to = TcpStream::connect(address).await.expect("it listens");
    let (mut far, _) = listener.accept().await.expect("it comes");
    task::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = near.read(&mut buffer).await {
            if far.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    });
    (from, to)
}

async fn flow_bytes(from: &mut TcpStream, to: &mut TcpStream, length: usize, count: u64) {
    let message = vec![5; length];
    let send = async {
        for _ in 0..count {
            from.write_all(&message).await.expect("sent");
        }
    };
    let take = async {
        let (mut buffer, mut left) = (vec![0; 64 * 1024], length as u64 * count);
        while left > 0 {
            left -= to.read(&mut buffer).await.expect("open") as u64;
        }
    };
    futures_util::join!(send, take);
}

fn bench(criterion: &mut Criterion) {
    let mut config = RelayConfig::default();
    config.ping_interval = Micros::secs(3600);
    let relay = Relay::<Nacl>::new(config, [1; 32], Now::default());
    let (relay, _task) = spawn(relay, (|_, _: &[u8]| {}, |_| Ok(())), Config::default());
    let address = task::block_on(relay.listen(([127, 0, 0, 1], 0).into(), None)).expect("a port");
    let mut group = criterion.benchmark_group("over loopback, one message");
    group
        .measurement_time(Duration::from_secs(3))
        .sample_size(20);
    for length in [1024, 65_536] {
        group.throughput(Throughput::Bytes(length as u64));
        let (mut from, mut to) = task::block_on(relayed(address));
        let message = WsMessage::binary(vec![5; length]);
        group.bench_function(BenchmarkId::new("relay", length), |b| {
            b.iter_custom(|count| {
                let begin = Instant::now();
                task::block_on(flow(&mut from, &mut to, &message, count));
                begin.elapsed()
            });
        });
        let (mut from, mut to) = task::block_on(splice());
        group.bench_function(BenchmarkId::new("TCP splice", length), |b| {
            b.iter_custom(|count| {
                let begin = Instant::now();
                task::block_on(flow_bytes(&mut from, &mut to, length, count));
                begin.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
