//! The relay's messages, one by one, against a recording of a deployed relay and listener (spec 02). The machines are
//! replayed elsewhere.

mod support;

use chumwire::crypto::{self, Instance, KeyPair, PublicKey, Relay, SEALED_CHALLENGE, Suite};
use chumwire::fault::{JsonFault, Why};
use chumwire::handshake::{self, CommunicationRequest};
use chumwire::relay::wire::{self, AuthenticationRequest, First, ToSpare};
use serde_json::Value;
use support::people::key_pair;
use support::vectors::{array, list, load, text};
use support::with_both_suites;

with_both_suites!(the_recorded_challenge_is_answered_by_its_inverse);

fn recorded() -> Vec<Value> {
    let vectors = load("commserver_register");
    let both = ["listenerConnection", "clientConnection"];
    both.iter()
        .flat_map(|name| list(&vectors[*name]).to_vec())
        .collect()
}

fn of_command(command: &str) -> Vec<String> {
    let texts = recorded();
    let texts = texts
        .iter()
        .filter_map(|message| message["wire"]["text"].as_str());
    let needle = format!("{{\"command\":\"{command}\"");
    texts
        .filter(|text| text.starts_with(&needle))
        .map(str::to_owned)
        .collect()
}

/// Every recorded text is read, and written again is the same text.
#[test]
fn each_recorded_text_is_read_and_written_again() {
    let mut seen = 0;
    for message in recorded() {
        let Some(text) = message["wire"]["text"].as_str() else {
            continue;
        };
        seen += 1;
        assert_eq!(again(text), text);
    }
    assert_eq!(seen, 13);
}

fn again(text: &str) -> String {
    let command: Value = serde_json::from_str(text).expect("JSON");
    match command["command"].as_str().expect("a command") {
        "register" | "communication_request" => match wire::read_first(text).expect("good") {
            First::Register(key) => wire::register(&PublicKey::new(*key.bytes())),
            First::Request(request) => request.text(),
        },
        "authentication_request" => {
            let request = wire::read_authentication_request(text).expect("good");
            wire::authentication_request(&request)
        }
        "authentication_response" => {
            let response = wire::read_authentication_response(text).expect("good");
            wire::authentication_response(&response)
        }
        "authentication_success" => {
            let interval = wire::read_authentication_success(text).expect("good");
            wire::authentication_success(interval)
        }
        "ping" | "connection_handover" => match wire::read_to_spare(text).expect("good") {
            ToSpare::Ping => wire::ping(),
            ToSpare::Handover => wire::connection_handover(),
            ToSpare::CommPing => panic!("nothing sends it"),
        },
        "pong" => {
            wire::read_pong(text).expect("good");
            wire::pong()
        }
        "communication_ready" => {
            handshake::read_communication_ready(text).expect("good");
            handshake::communication_ready()
        }
        other => panic!("no entry for {other}"),
    }
}

#[test]
fn the_recorded_contents_are_read() {
    let vectors = load("commserver_register");
    let listener = array(&vectors["keys"]["listener"]["public"]);
    let client = array(&vectors["keys"]["client"]["public"]);
    let [register] = &of_command("register")[..] else {
        panic!("one")
    };
    assert_eq!(
        wire::read_first(register),
        Ok(First::Register(PublicKey::new(listener)))
    );
    let requests = of_command("communication_request");
    assert_eq!(
        requests.len(),
        2,
        "what the initiator sends, and what the relay hands on"
    );
    for text in requests {
        let due = CommunicationRequest {
            source: PublicKey::new(client),
            target: PublicKey::new(listener),
        };
        assert_eq!(wire::read_first(&text), Ok(First::Request(due)));
    }
    let [success] = &of_command("authentication_success")[..] else {
        panic!("one")
    };
    assert_eq!(wire::read_authentication_success(success), Ok(400));
}

fn the_recorded_challenge_is_answered_by_its_inverse<S: Suite>() {
    let vectors = load("commserver_register");
    let listener: KeyPair<Instance> = key_pair::<S, _>(&vectors["keys"]["listener"]);
    let [request] = &of_command("authentication_request")[..] else {
        panic!("one")
    };
    let [response] = &of_command("authentication_response")[..] else {
        panic!("one")
    };
    let AuthenticationRequest {
        relay_key,
        challenge,
    } = wire::read_authentication_request(request).expect("good");
    let response = wire::read_authentication_response(response).expect("good");
    let relay: KeyPair<Relay> = key_pair::<S, _>(&vectors["keys"]["server"]);
    assert_eq!(relay_key, relay.public());
    let pair = listener.before::<S, _>(&relay_key).expect("a good key");
    let challenge = crypto::open::<64>(&pair, &challenge).expect("a good box");
    let answer = crypto::open::<64>(&pair, &response).expect("a good box");
    assert!(answer == crypto::inverted(&challenge));
}

/// What a deployed relay was sent by faulty clients, and what ours says to each text of it (spec 02). The deployed one
/// takes a key that is not hex digits for zeros; ours refuses it.
#[test]
fn faulty_first_messages_are_refused_by_name() {
    let key = JsonFault::Member {
        member: "publicKey",
        expected: "64 hex digits",
    };
    let source = |expected| JsonFault::Member {
        member: "sourcePublicKey",
        expected,
    };
    let command = |got: &str| JsonFault::Command {
        expected: "register",
        got: got.into(),
    };
    let no_command = JsonFault::Member {
        member: "command",
        expected: "a text",
    };
    let mut refused = 0;
    for case in list(&load("commserver_register")["serverReactions"]) {
        let Some(sent) = case.get("sent").and_then(|sent| sent[0].as_str()) else {
            continue;
        };
        let due = match text(&case["name"]) {
            "not JSON" | "JSON but no object" | "JSON null" => JsonFault::NotAnObject,
            "unknown command" => command("foo"),
            "no command" => no_command.clone(),
            "comm_pong as first message" => command("comm_pong"),
            "authentication_response as first message" => command("authentication_response"),
            "register without publicKey" => JsonFault::Member {
                member: "publicKey",
                expected: "a text",
            },
            "register with a short key" | "register, key not hex (parsed as zeros)" => key.clone(),
            "communication_request, keys not hex" => source("64 hex digits"),
            "communication_request, source key missing" => source("a text"),
            name => {
                assert!(wire::read_first(sent).is_ok(), "{name}");
                continue;
            }
        };
        assert_eq!(wire::read_first(sent), Err(due), "{}", case["name"]);
        refused += 1;
    }
    assert_eq!(refused, 12);
}

#[test]
fn the_other_messages_are_refused_by_name() {
    for interval in ["0", "3600001", "-1", "0.5", "\"400\"", "null", "1e300"] {
        let text = format!(r#"{{"command":"authentication_success","pingInterval":{interval}}}"#);
        assert_eq!(
            wire::read_authentication_success(&text),
            Err(Why::PingInterval),
            "{interval}"
        );
    }
    for (interval, due) in [
        ("1", 1),
        ("3600000", 3_600_000),
        ("400.0", 400),
        ("4e2", 400),
    ] {
        let text = format!(r#"{{"command":"authentication_success","pingInterval":{interval}}}"#);
        assert_eq!(wire::read_authentication_success(&text), Ok(due));
    }
    for length in [0, 2, SEALED_CHALLENGE - 1, SEALED_CHALLENGE + 1] {
        let digits = "ab".repeat(length);
        let text = format!(r#"{{"command":"authentication_response","response":"{digits}"}}"#);
        let due = JsonFault::Member {
            member: "response",
            expected: "208 hex digits",
        };
        assert_eq!(
            wire::read_authentication_response(&text),
            Err(due),
            "refused unopened"
        );
        let key = "ab".repeat(32);
        let text = format!(
            r#"{{"command":"authentication_request","publicKey":"{key}","challenge":"{digits}"}}"#
        );
        let due = JsonFault::Member {
            member: "challenge",
            expected: "208 hex digits",
        };
        assert_eq!(
            wire::read_authentication_request(&text),
            Err(due),
            "refused unopened"
        );
    }
    let ping = Ok(ToSpare::CommPing);
    assert_eq!(
        wire::read_to_spare(r#"{"command":"comm_ping","more":[1]}"#),
        ping
    );
    assert_eq!(wire::comm_pong(), r#"{"command":"comm_pong"}"#);
    assert!(wire::read_pong(r#"{"command":"comm_pong"}"#).is_err());
}
