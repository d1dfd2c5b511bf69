//! The double against the recordings: given the recorded inputs and draws, it says what was recorded, byte for byte.

use chumwire::crypto::{Nacl, Purpose, Random};
use chumwire::io::{ConnId, Effect, Kind, Message};
use chumwire::time::{Micros, Millis, Now};
use chumwire_sim::Party;
use chumwire_sim::deployed::{Deployed, DeployedConfig, DeployedEvent};
use serde_json::Value;

pub(crate) fn recording(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the vectors are there");
    serde_json::from_str(&text).expect("JSON")
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hex");
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex"))
        .collect()
}

pub(crate) fn key(value: &Value) -> [u8; 32] {
    bytes(value)[..32].try_into().expect("32 bytes")
}

/// What the recorded side drew, in its order.
fn draws(recording: &Value, side: &str, messages: &[Value]) -> Vec<(Purpose, Vec<u8>)> {
    let secret = &recording["keys"]["ephemeral"][side][0]["secret"];
    let mut draws = vec![(Purpose::EphemeralKey, bytes(secret))];
    let mut boxes = 0;
    for message in messages.iter().filter(|message| message["dir"] == "out") {
        if let Some(text) = message["wire"]["text"].as_str()
            && let Ok(value) = serde_json::from_str::<Value>(text)
            && value["command"] == "authentication_response"
        {
            draws.push((Purpose::BoxNonce, bytes(&value["response"])[..24].into()));
        }
        if let Some(padded) = message["enc"].get("padded") {
            let padded = bytes(padded);
            let (length, start) = match padded[0] & 15 {
                0 => (0, 1),
                _ => (padded[1] + 1, 2),
            };
            draws.push((Purpose::PadLength, vec![length]));
            if length > 0 {
                let end = start + usize::from(length) - 1;
                draws.push((Purpose::PadBytes, padded[start..end].into()));
            }
        }
        if let Some(embedded) = message.get("embedded") {
            draws.push((Purpose::BoxNonce, bytes(&embedded["nonce"])));
            if message.get("enc").is_some() {
                boxes += 1;
                // The acceptor challenges, then answers; the initiator the other way round.
                if boxes == if side == "A" { 1 } else { 2 } {
                    draws.push((Purpose::Challenge, bytes(&embedded["plain"])));
                }
            }
        }
    }
    draws
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Close(String),
}

fn replay(file: &str, side: &str) {
    let recording = recording(file);
    let view = if side == "A" {
        "acceptorA"
    } else {
        "initiatorB"
    };
    let messages = recording[view]["messages"].as_array().expect("messages");
    let keys = &recording["keys"][side];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut config = DeployedConfig::new(&text(&keys["email"]), &text(&keys["instanceName"]));
    config.person_secret = key(&keys["person"]["box"]["secret"]);
    config.instance_secret = key(&keys["instance"]["box"]["secret"]);
    config.sign = [
        key(&keys["person"]["sign"]["public"]),
        key(&keys["instance"]["sign"]["public"]),
    ];
    config.url = recording["ownIdentityMessages"][side]["url"]
        .as_str()
        .map(Into::into);
    config.think = Micros::ZERO;
    let relayed = recording[view]["messages"][0]["wire"]["text"]
        .as_str()
        .is_some_and(|t| t.contains("register"));
    config.relay = relayed.then(|| "ws://relay".into());
    let at = |t: f64| {
        let mono = Micros((t * 1000.0) as u64);
        Now {
            mono,
            wall: Millis(mono.as_millis()),
        }
    };
    let mut now = at(recording[view]["openedAt"].as_f64().expect("a time"));
    let random = Random::scripted([0; 32], draws(&recording, side, messages));
    let mut double = Deployed::<Nacl>::new(config, random, now);
    let invitation = &recording["invitation"];
    let conn = ConnId(0);
    if side == "A" {
        double.invite_with(now, &text(&invitation["token"]), &text(&invitation["url"]));
        if !relayed {
            assert_eq!(double.accept(now), Some(conn));
        }
    } else {
        assert_eq!(double.join(&invitation.to_string()), Some(conn));
    }
    if relayed || side == "B" {
        double.opened(now, conn);
    }
    let (mut said, mut paired, mut buffer) = (Vec::new(), 0, Vec::new());
    let mut listen = |double: &mut Deployed<Nacl>, now: Now| {
        while double
            .deadline()
            .is_some_and(|deadline| deadline.at <= now.mono)
        {
            double.tick(now);
        }
        while let Some(action) = double.poll(&mut buffer) {
            match action {
                Effect::Send { conn: on, kind } if on == conn => said.push(match kind {
                    Kind::Text => Said::Text(String::from_utf8(buffer.clone()).expect("UTF-8")),
                    Kind::Binary => Said::Binary(buffer.clone()),
                }),
                Effect::Close {
                    conn: on, reason, ..
                } if on == conn => said.push(Said::Close(reason)),
                Effect::Event(chumwire_sim::Told::Deployed(DeployedEvent::Paired { .. })) => {
                    paired += 1
                }
                _ => {}
            }
        }
    };
    listen(&mut double, now);
    for message in messages.iter().filter(|message| message["dir"] == "in") {
        now = at(message["t"].as_f64().expect("a time"));
        let wire = &message["wire"];
        match wire["kind"].as_str() {
            Some("text") => double.message(now, conn, Message::Text(&text(&wire["text"]))),
            Some(_) => double.message(now, conn, Message::Binary(&bytes(&wire["hex"]))),
            None => continue,
        }
        .expect("there is room");
        listen(&mut double, now);
    }
    let recorded: Vec<Said> = messages
        .iter()
        .filter(|message| message["dir"] == "out")
        .map(|message| match (&message["wire"], &message["close"]) {
            (wire, _) if wire["kind"] == "text" => Said::Text(text(&wire["text"])),
            (wire, _) if wire["kind"] == "binary" => Said::Binary(bytes(&wire["hex"])),
            (_, close) => Said::Close(text(&close["reason"])),
        })
        .collect();
    for (i, (ours, theirs)) in said.iter().zip(&recorded).enumerate() {
        assert_eq!(ours, theirs, "{file}, {side}, message {i} it said");
    }
    assert_eq!(said.len(), recorded.len(), "{file}, {side}");
    assert_eq!(paired, 1, "{file}, {side}");
}

#[test]
fn the_double_says_what_the_deployed_acceptor_said() {
    replay("pairing_direct.json", "A");
    replay("pairing_full.json", "A");
}

#[test]
fn the_double_says_what_the_deployed_initiator_said() {
    replay("pairing_direct.json", "B");
    replay("pairing_full.json", "B");
}
