//! Recordings of the deployed relay and listeners, byte for byte.

use crate::bench::*;

pub(crate) fn vector(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn payload(wire: &Value) -> Got {
    match wire["kind"].as_str().unwrap() {
        "text" => (Kind::Text, wire["text"].as_str().unwrap().into()),
        _ => (Kind::Binary, unhex(wire["hex"].as_str().unwrap())),
    }
}

pub(crate) fn offered<'a>((kind, bytes): &'a Got) -> Message<'a> {
    match kind {
        Kind::Text => Message::Text(core::str::from_utf8(bytes).unwrap()),
        Kind::Binary => Message::Binary(bytes),
    }
}

pub(crate) fn micros(message: &Value) -> Micros {
    Micros((message["t"].as_f64().unwrap() * 1000.0) as u64)
}

pub(crate) fn nonce_and_plain(message: &Value) -> (Vec<u8>, Vec<u8>) {
    let of = |name: &str| unhex(message["embedded"][name].as_str().unwrap());
    (of("nonce"), of("plain"))
}

/// The whole recording, byte for byte: both connections of it, in the order of the clock.
pub(crate) fn relay_replays_the_recording<S: Suite>() {
    let vector = vector("commserver_register");
    let listener_messages = vector["listenerConnection"].as_array().unwrap();
    let (nonce, challenge) = nonce_and_plain(&listener_messages[1]);
    let draws = [
        (
            Purpose::StaticKey,
            unhex(vector["keys"]["server"]["secret"].as_str().unwrap()),
        ),
        (Purpose::Challenge, challenge),
        (Purpose::BoxNonce, nonce),
    ];
    let mut config = RelayConfig::default();
    config.ping_interval = Micros::millis(400);
    let random = Random::scripted([0; 32], draws);
    let start = micros(&listener_messages[0]);
    let mut bench = Bench::<S>::of(Relay::with_random(config, random, at(start)));
    bench.now = start;
    assert_eq!(
        bench.relay.public_key().hex(),
        vector["keys"]["server"]["public"].as_str().unwrap()
    );
    let listener = bench.accept();
    let client = bench.accept();
    let mut all: Vec<(ConnId, &str, &Value)> = Vec::new();
    all.extend(listener_messages.iter().map(|m| (listener, "listener", m)));
    all.extend(
        vector["clientConnection"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| (client, "client", m)),
    );
    // What the relay sends is compared with what it must have sent when the recording shows it.
    all.sort_by(|a, b| {
        a.2["t"]
            .as_f64()
            .unwrap()
            .total_cmp(&b.2["t"].as_f64().unwrap())
    });
    // The client is accepted early here, and its first message comes after a second: within its limit.
    for (conn, who, message) in all {
        bench.now = micros(message).max(bench.now);
        bench.relay.tick(at(bench.now));
        bench.pump();
        let from_client = message["from"] == *who;
        match (from_client, message.get("close")) {
            (true, None) => {
                // The client's second message was recorded before the relay got the first answer.
                bench
                    .offer(conn, offered(&payload(&message["wire"])))
                    .unwrap();
                bench.pump();
            }
            (true, Some(close)) => bench.close(conn, close["reason"].as_str().unwrap()),
            (false, None) => {
                let got = bench.inbox.get_mut(&conn).and_then(VecDeque::pop_front);
                assert_eq!(
                    got,
                    Some(payload(&message["wire"])),
                    "message {}",
                    message["n"]
                );
            }
            // The one who closed sees its own close come back: the socket's business.
            (false, Some(_)) if conn == client => {}
            (false, Some(close)) => {
                assert_eq!(bench.closed_with(conn), close["reason"].as_str());
            }
        }
    }
    assert!(
        bench.inbox.values().all(VecDeque::is_empty),
        "nothing but what was recorded"
    );
    assert_eq!(bench.relay.stats().handed_over, 1);
}

#[test]
fn the_relay_does_byte_for_byte_what_the_deployed_one_was_recorded_doing() {
    relay_replays_the_recording::<Nacl>();
    relay_replays_the_recording::<Reference>();
}

/// Runs a registration along recorded messages; `sent_by_us` tells which are ours.
pub(crate) fn registration_replays<S: Suite>(
    secret: &str,
    messages: &[Value],
    sent_by_us: impl Fn(&Value) -> bool,
) -> Vec<RegistrationEvent> {
    let (nonce, _) = nonce_and_plain_of_response::<S>(secret, messages);
    let random = Random::scripted([0; 32], [(Purpose::BoxNonce, nonce)]);
    let start = micros(&messages[0]);
    let mut registration =
        Registration::<S>::new(at(start), pair_of::<S>(secret), random, limits::STEP, false);
    let mut events = Vec::new();
    let mut sent = VecDeque::new();
    let mut bytes = Vec::new();
    for message in messages {
        let now = at(micros(message));
        registration.tick(now);
        while let Some(output) = registration.poll(&mut bytes) {
            match output {
                Output::Send(kind) => sent.push_back((kind, bytes.clone())),
                Output::Event(event) => events.push(event),
                other => panic!("{other:?}"),
            }
        }
        if sent_by_us(message) {
            assert_eq!(
                sent.pop_front(),
                Some(payload(&message["wire"])),
                "n {}",
                message["n"]
            );
        } else {
            registration
                .message(now, offered(&payload(&message["wire"])))
                .unwrap();
        }
    }
    while let Some(output) = registration.poll(&mut bytes) {
        match output {
            Output::Event(event) => events.push(event),
            other => panic!("{other:?} was not recorded"),
        }
    }
    assert!(sent.is_empty());
    assert!(registration.into_handed_over().is_some());
    events
}

/// The response's nonce: its first 24 bytes, whether the recording decodes it or not.
pub(crate) fn nonce_and_plain_of_response<S: Suite>(
    secret: &str,
    messages: &[Value],
) -> (Vec<u8>, Vec<u8>) {
    let text = |n: usize| messages[n]["wire"]["text"].as_str().unwrap();
    let asked = wire::read_authentication_request(text(1)).unwrap();
    let response = wire::read_authentication_response(text(2)).unwrap();
    let pair = pair_of::<S>(secret)
        .before::<S, _>(&asked.relay_key)
        .unwrap();
    let challenge = crypto::open::<64>(&pair, &asked.challenge).unwrap();
    let answer = crypto::open::<64>(&pair, &response).unwrap();
    assert_eq!(answer, crypto::inverted(&challenge));
    (response[..24].to_vec(), answer.expose().to_vec())
}

pub(crate) fn both_recorded_registrations<S: Suite>() {
    let vector_1 = vector("commserver_register");
    let until_handover = &vector_1["listenerConnection"].as_array().unwrap()[..9];
    let secret = vector_1["keys"]["listener"]["secret"].as_str().unwrap();
    let events = registration_replays::<S>(secret, until_handover, |m| m["from"] == "listener");
    let ping_interval = Micros::millis(400);
    let registered = RegistrationEvent::Registered { ping_interval };
    assert_eq!(events, [registered, RegistrationEvent::HandedOver]);

    let vector_2 = vector("pairing_full");
    let until_handover = &vector_2["acceptorA"]["messages"].as_array().unwrap()[..5];
    let secret = vector_2["keys"]["A"]["instance"]["box"]["secret"]
        .as_str()
        .unwrap();
    let events = registration_replays::<S>(secret, until_handover, |m| m["dir"] == "out");
    let ping_interval = Micros::secs(25);
    let registered = RegistrationEvent::Registered { ping_interval };
    assert_eq!(events, [registered, RegistrationEvent::HandedOver]);
}

#[test]
fn the_listener_does_byte_for_byte_what_the_deployed_ones_were_recorded_doing() {
    both_recorded_registrations::<Nacl>();
    both_recorded_registrations::<Reference>();
}

/// What the deployed relay does with faulty clients. Ours closes wherever the deployed one does, with one coarse
/// reason instead of the cause, and is stricter in the cases named here.
#[test]
fn faulty_clients_are_treated_as_the_deployed_relay_does_or_more_strictly() {
    const STRICTER: [&str; 2] = [
        "register, key not hex (parsed as zeros)",
        "registered, unasked pongs and other messages",
    ];
    let vector = vector("commserver_register");
    let mut seen = 0;
    for reaction in vector["serverReactions"].as_array().unwrap() {
        let name = reaction["name"].as_str().unwrap();
        let Some(sent) = reaction["sent"].as_array() else {
            continue;
        };
        // The challenges of the recording were sealed for its draws.
        let draws = reaction["received"]
            .as_array()
            .into_iter()
            .flatten()
            .find_map(|message| {
                let asked = wire::read_authentication_request(message["text"].as_str()?).ok()?;
                let secret = vector["keys"]["client"]["secret"].as_str()?;
                let pair = pair_of::<Nacl>(secret)
                    .before::<Nacl, _>(&asked.relay_key)
                    .ok()?;
                let plain = crypto::open::<64>(&pair, &asked.challenge).ok()?;
                Some((plain.expose().to_vec(), asked.challenge[..24].to_vec()))
            });
        let server = unhex(vector["keys"]["server"]["secret"].as_str().unwrap());
        let mut script = vec![(Purpose::StaticKey, server)];
        if let Some((plain, nonce)) = draws {
            script.extend([(Purpose::Challenge, plain), (Purpose::BoxNonce, nonce)]);
        }
        let mut config = RelayConfig::default();
        config.ping_interval = Micros::millis(400);
        let relay = Relay::<Nacl>::with_random(
            config,
            Random::scripted([0; 32], script),
            at(Micros::secs(100)),
        );
        let mut bench = Bench::of(relay);
        let conn = bench.accept();
        let pings = reaction["received"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["text"] == PING);
        for (n, message) in sent.iter().enumerate() {
            if pings && n == 2 {
                bench.pass(Micros::millis(400));
            }
            let message = match (message.as_str(), message["hex"].as_str()) {
                (Some(text), _) => (Kind::Text, text.as_bytes().to_vec()),
                (None, Some(hex)) => (Kind::Binary, unhex(hex)),
                _ => payload(message),
            };
            bench.offer(conn, offered(&message)).unwrap();
            bench.pump();
        }
        if pings && sent.len() == 2 {
            bench.pass(Micros::millis(400));
            bench.pass(Micros::secs(1));
        }
        let closed = bench.closed_with(conn);
        let there_closed = reaction["closed"]["reason"].as_str();
        match there_closed {
            Some(NOBODY) => assert_eq!(closed, Some(NOBODY), "{name}"),
            Some(_) => assert_eq!(closed, Some(FAILED), "{name}"),
            None if STRICTER.contains(&name) => assert_eq!(closed, Some(FAILED), "{name}"),
            None => assert_eq!(closed, None, "{name}"),
        }
        if !STRICTER.contains(&name) {
            let commands = |texts: Vec<String>| -> Vec<Value> {
                let parse = |text: &String| serde_json::from_str::<Value>(text).unwrap();
                texts
                    .iter()
                    .map(|text| parse(text)["command"].clone())
                    .collect()
            };
            let texts = reaction["received"].as_array().unwrap().iter();
            let texts = texts.map(|m| m["text"].as_str().unwrap().into()).collect();
            assert_eq!(commands(bench.got(conn)), commands(texts), "{name}");
        }
        seen += 1;
    }
    assert!(seen >= 20, "{seen} reactions were tried");
}
