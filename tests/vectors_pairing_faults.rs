//! What misbehaving peers were recorded to say to a deployed instance after the handshake, said to a node of ours
//! (spec 05 and 06): each ends with a typed fault in the right step, or goes on. A case of the file without an entry
//! here fails the test.
//!
//! The recording is of plaintexts under keys that are not given, so keys and boxes are replaced by those of a peer of
//! the same name; everything else is said word for word.

mod support;

use std::collections::BTreeMap;

use chumwire::crypto::{self, KeyPair, Nacl, Purpose, Random, Secret, Static};
use chumwire::establish::Group;
use chumwire::hex;
use chumwire::identity::Identity;
use chumwire::io::{Closed, Kind, Machine, Message};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::time::{Micros, Millis, Now};
use serde_json::{Value, json};
use support::bench::{Bench, Tester, Wire};
use support::people::{made_up, named};
use support::vectors::{bytes, list, load, text};

/// What ours makes of a case.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// It ends in a step, with a cause of this code.
    Ends(&'static str, &'static str),
    /// The peers are paired; the connection is left to the initiator to close.
    Paired,
    /// The token was good, the node has said who it is and waits for the other's identity.
    WaitsForIdentity,
    /// It is connected, and that many messages have reached the embedder.
    Connected(usize),
}

use Outcome::{Connected, Ends, Paired, WaitsForIdentity};

/// Where the deployed peer does otherwise, a remark says so.
fn of(case: &str) -> Outcome {
    match case {
        "first message is no connection_group"
        | "first message is not JSON"
        | "connectionGroupName is a number" => Ends("group", "wrong_message"),
        "first message is binary" => Ends("group", "wrong_kind"),
        // The deployed peer refuses these only when everybody has proven who he is; it leaves the debug one open.
        "unknown group name, whole preamble"
        | "group debug from an unknown peer, whole preamble" => Ends("group", "group_not_served"),
        "group chum from an unknown peer, whole preamble" => Ends("group", "not_paired"),
        "pairing: unknown token" | "pairing: the same token again" => {
            Ends("token", "invitation_refused")
        }
        "pairing: token is a number" | "pairing: identity instead of token" => {
            Ends("token", "wrong_message")
        }
        "pairing: identity with type secret"
        | "pairing: identity with a key that is no hex"
        | "pairing: identity with a key of 31 bytes" => Ends("identity", "wrong_message"),
        "pairing: identity with an url (accepted)"
        | "pairing: all good, connection is left open by us: the acceptor does not close" => Paired,
        "pairing again with a known person and instance, new token (source: person key)" => {
            WaitsForIdentity
        }
        // The deployed peer leaves all of these open and silent, or closes without a word (spec 05).
        "known person id, other person keys (pairing group)"
        | "keys_object whose owner is somebody else" => Ends("keys", "identity_mismatch"),
        "person_id_object of another type" => Ends("person", "wrong_message"),
        "keys_object with a short key" => Ends("keys", "wrong_message"),
        "challenge sent back without negation" | "challenge response that does not decrypt" => {
            Ends("challenge-sent", "wrong_challenge")
        }
        "challenge response of 63 bytes" => Ends("challenge-sent", "wrong_length"),
        "chum of the paired peer, but with another instance name" => {
            Ends("instance", "identity_mismatch")
        }
        "second chum connection within 2 s, while the first runs" => Ends("group", "duplicate"),
        "third chum connection after 2 s: what the FIRST one gets" => Ends("connected", "replaced"),
        // What is said on a chum connection is the embedder's affair.
        "chum, see the two entries before this one" | "chum: another word than synchronisation" => {
            Connected(1)
        }
        "chum: invalid messages are ignored" => Connected(10),
        "chum: binary message of 7 bytes"
        | "chum: binary message for an unknown request"
        | "chum: empty binary message" => Connected(2),
        other => panic!("no entry for the case {other:?}"),
    }
}

/// The deployed instance, played by a node; the peers of the recording; and the tokens of the recording, each with the
/// one that stands for it here.
struct Stage {
    bench: Bench,
    now: Now,
    tokens: BTreeMap<String, String>,
    connections: u8,
}

impl Stage {
    fn new() -> Self {
        let now = Now {
            mono: Micros::secs(1),
            wall: Millis(1_700_000_000_000),
        };
        let mut config = NodeConfig::new(named("a@example.org", "instA"));
        config.serve = [Group::Chum].into();
        let node = Node::<Nacl>::new(config, [9; 32], now).expect("a good configuration");
        Self {
            bench: Bench::of(node),
            now,
            tokens: BTreeMap::new(),
            connections: 0,
        }
    }

    fn connect(&mut self, peer: &Identity, source: &Value) -> Tester {
        let own: KeyPair<Static> = match source.as_str() {
            Some("instance") => peer.instance_key().used_as(),
            _ => peer.person_key().used_as(),
        };
        self.connections += 1;
        Tester::connect(&mut self.bench, self.now, own, self.connections)
    }

    fn leave(&mut self, tester: &Tester) {
        self.bench
            .node
            .closed(self.now, tester.conn, Closed::Lost("it is over".into()));
        self.bench.drain(self.now);
    }

    /// The invitation that stands for a recorded token.
    fn token(&mut self, recorded: &str) -> String {
        if recorded == "nonsense" {
            return recorded.into();
        }
        let (node, now) = (&mut self.bench.node, self.now);
        let token = self.tokens.entry(recorded.into()).or_insert_with(|| {
            let invitation = node
                .invite(now, Micros::secs(3600), "ws://here")
                .expect("one more");
            let json: Value = serde_json::from_str(&invitation.json()).expect("JSON");
            text(&json["token"]).into()
        });
        token.clone()
    }
}

/// The peer of that email. A case with other keys for a known person has another one.
fn peer_of(case: &Value) -> Identity {
    let person = &case["sent"]
        .as_array()
        .and_then(|sent| sent.get(1))
        .unwrap_or(&Value::Null);
    let email = person["obj"]["email"].as_str().unwrap_or("p0@example.org");
    let instance: String = email.chars().filter(char::is_ascii_digit).collect();
    if text(&case["name"]).starts_with("known person id, other person keys") {
        let secrets = Random::new([77; 32]).secret::<128>(Purpose::StaticKey);
        return Identity::import::<Nacl>(email, "another", &secrets);
    }
    named(email, &format!("inst{instance}"))
}

/// Puts a key in the place of a recorded one; what is malformed stays.
fn replace(object: &mut Value, member: &str, key: &[u8; 32]) {
    if object[member]
        .as_str()
        .is_some_and(|digits| hex::decode::<32>(digits).is_some())
    {
        object[member] = json!(hex::encode(key));
    }
}

fn with_own_keys(mut message: Value, peer: &Identity) -> Value {
    let object = &mut message["obj"];
    replace(object, "publicKey", peer.person_key().public().bytes());
    replace(object, "publicSignKey", &peer.person_sign_key().0);
    replace(
        object,
        "personKeyPublic",
        peer.person_key().public().bytes(),
    );
    replace(object, "personSignKeyPublic", &peer.person_sign_key().0);
    replace(
        object,
        "instanceKeyPublic",
        peer.instance_key().public().bytes(),
    );
    replace(object, "instanceSignKeyPublic", &peer.instance_sign_key().0);
    message
}

/// The boxes of a peer: answers to the challenges that it hears, and a challenge of its own.
struct Boxes {
    key: <Nacl as chumwire::crypto::Suite>::Pair,
    random: Random,
    challenge: Option<Secret<64>>,
    sent: usize,
}

impl Boxes {
    fn seal(&mut self, plain: &[u8; 64]) -> Vec<u8> {
        crypto::seal::<64, 104>(&self.key, &mut self.random, plain).to_vec()
    }

    /// In the place of the next recorded box.
    fn next(&mut self, case: &str) -> Vec<u8> {
        self.sent += 1;
        let challenge = self.challenge.take();
        match (case, challenge) {
            ("challenge sent back without negation", Some(challenge)) => {
                self.seal(challenge.expose())
            }
            ("challenge response of 63 bytes", Some(challenge)) => {
                let answer = crypto::inverted(&challenge);
                let cut = answer.expose().first_chunk::<63>().expect("it is longer");
                crypto::seal::<63, 103>(&self.key, &mut self.random, cut).to_vec()
            }
            ("challenge response that does not decrypt", _) => vec![5; 104],
            (_, Some(challenge)) => self.seal(crypto::inverted(&challenge).expose()),
            (_, None) => self.seal(&[42; 64]),
        }
    }

    fn hear(&mut self, heard: &[Wire]) {
        for (kind, sealed) in heard {
            if *kind == Kind::Binary && self.sent == 0 {
                let challenge = crypto::open::<64>(&self.key, sealed).expect("a challenge");
                self.challenge = Some(challenge);
            }
        }
    }
}

/// Demands: M0.2, M5.1, M5.5, M5.6, M6.5.
#[test]
fn misbehaving_peers_end_by_name_and_good_ones_get_through() {
    let vectors = load("pairing_errors");
    let mut stage = Stage::new();
    for case in list(&vectors["cases"]) {
        let name = text(&case["name"]);
        let outcome = match case.get("sent") {
            Some(_) => play(&mut stage, case),
            None => second_connection(&mut stage, &vectors, name),
        };
        assert_eq!(outcome, of(name), "{name}");
        // No case leaves anything behind for the next one.
        stage.now.mono = stage.now.mono + Micros::secs(3);
    }
}

fn play(stage: &mut Stage, case: &Value) -> Outcome {
    let peer = peer_of(case);
    let mut tester = stage.connect(&peer, &case["sourceKey"]);
    let heard = say_all(stage, &mut tester, case, &peer);
    let outcome = outcome(stage, &tester, &heard);
    match outcome {
        Ends(..) => {
            let fault = stage.bench.fault(tester.conn).expect("a fault").clone();
            assert!(
                !support::bench::reason(&fault).contains("Error"),
                "the close tells no cause"
            );
        }
        // Whoever got as far as with the deployed peer has heard the same.
        _ => assert_eq!(heard, recorded_answers(case), "{}", case["name"]),
    }
    stage.leave(&tester);
    outcome
}

/// Says what was recorded, and gives the commands of what is answered.
fn say_all(stage: &mut Stage, tester: &mut Tester, case: &Value, peer: &Identity) -> Vec<String> {
    let node_key = stage.bench.node.identity().person_key().public();
    let mut boxes = Boxes {
        key: peer
            .person_key()
            .before::<Nacl, _>(&node_key)
            .expect("a good key"),
        random: Random::new([11; 32]),
        challenge: None,
        sent: 0,
    };
    let mut answers = Vec::new();
    for said in list(&case["sent"]) {
        let message = match said {
            Value::String(text) => (Kind::Text, text.clone().into_bytes()),
            boxed if boxed.get("hex").is_some() => {
                let recorded = bytes(&boxed["hex"]);
                let is_box = matches!(recorded.len(), 103 | 104) && boxes.sent < 2;
                let own = if is_box {
                    boxes.next(text(&case["name"]))
                } else {
                    recorded
                };
                (Kind::Binary, own)
            }
            command => {
                let mut command = with_own_keys(command.clone(), peer);
                if let Some(token) = command["token"].as_str() {
                    command["token"] = json!(stage.token(token));
                }
                (Kind::Text, command.to_string().into_bytes())
            }
        };
        tester.say(
            &mut stage.bench,
            stage.now,
            support::bench::borrowed(&message),
        );
        let heard = tester.hear(&mut stage.bench, stage.now);
        boxes.hear(&heard);
        answers.extend(heard.iter().map(command_of));
    }
    answers
}

fn command_of((kind, content): &Wire) -> String {
    match kind {
        Kind::Binary => format!("{} bytes", content.len()),
        Kind::Text => {
            let json: Value = serde_json::from_slice(content).expect("JSON");
            text(&json["command"]).into()
        }
    }
}

/// What the deployed peer answered, without what belongs to the layer above.
fn recorded_answers(case: &Value) -> Vec<String> {
    let mut answers = Vec::new();
    for answer in list(&case["received"]) {
        let command = answer
            .as_str()
            .and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let Some(digits) = answer.get("hex") {
            answers.push(format!("{} bytes", bytes(digits).len()));
        } else if let Some(command) = command.as_ref().and_then(|json| json["command"].as_str()) {
            answers.push(command.to_owned());
        }
    }
    answers
}

fn outcome(stage: &Stage, tester: &Tester, heard: &[String]) -> Outcome {
    let bench = &stage.bench;
    if let Some(fault) = bench.fault(tester.conn) {
        return Ends(fault.step.name(), fault.why.code());
    }
    let is = |event: &Event, of: &Tester| match event {
        Event::Paired { conn, .. } | Event::Message { conn, .. } => *conn == of.conn,
        _ => false,
    };
    let messages = bench.count(|event| is(event, tester) && matches!(event, Event::Message { .. }));
    if bench.count(|event| is(event, tester) && matches!(event, Event::Paired { .. })) == 1 {
        return Paired;
    }
    match heard.last().map(String::as_str) {
        Some("identity") => WaitsForIdentity,
        _ => Connected(messages),
    }
}

/// The two entries on a second connection of the same peer for the same group.
fn second_connection(stage: &mut Stage, vectors: &Value, name: &str) -> Outcome {
    let chum = list(&vectors["cases"])
        .iter()
        .find(|case| text(&case["name"]).starts_with("chum, see the two entries"))
        .expect("a good chum connection");
    let peer = peer_of(chum);
    let mut first = stage.connect(&peer, &chum["sourceKey"]);
    say_all(stage, &mut first, chum, &peer);
    let late = name.starts_with("third chum connection after 2 s");
    if late {
        stage.now.mono = stage.now.mono + Micros::secs(2);
    }
    let mut second = stage.connect(&peer, &chum["sourceKey"]);
    say_all(stage, &mut second, chum, &peer);
    let (ended, stays) = if late {
        (&first, &second)
    } else {
        (&second, &first)
    };
    let fault = stage
        .bench
        .fault(ended.conn)
        .expect("one of them ends")
        .clone();
    assert_eq!(stage.bench.fault(stays.conn), None, "the other one stays");
    assert_eq!(
        support::bench::reason(&fault),
        "Close called: Duplicate connection."
    );
    let outcome = Ends(fault.step.name(), fault.why.code());
    stage.leave(&first);
    stage.leave(&second);
    outcome
}

/// The hand-made peer is a good one when it says the good things: the table above means what it says.
#[test]
fn a_hand_made_peer_is_heard() {
    let mut stage = Stage::new();
    let mut tester = stage.connect(&made_up("carol"), &json!("instance"));
    let group = r#"{"command":"connection_group","connectionGroupName":"pairing"}"#;
    tester.say(&mut stage.bench, stage.now, Message::Text(group));
    let heard = tester.hear(&mut stage.bench, stage.now);
    assert_eq!(
        heard.iter().map(command_of).collect::<Vec<_>>(),
        ["sync", "person_id_object"]
    );
}
