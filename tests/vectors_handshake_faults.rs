//! What faulty peers of a handshake were recorded to do to the deployed peer, done to ours (spec 03 and 04): each ends
//! with a typed fault in the right step, or goes on. A case of the file without an entry here fails the test.

mod support;

use chumwire::channel::Channel;
use chumwire::crypto::{
    self, Ephemeral, Instance, KeyPair, PublicKey, Purpose, Random, RawKey, Secret, Static, Suite,
};
use chumwire::fault::Fault;
use chumwire::handshake::{
    Acceptor, Arrival, HandshakeConfig, Handshaken, Initiator, communication_ready,
};
use chumwire::io::{Message, Output};
use chumwire::role::Role;
use chumwire::time::Now;
use dryoc::classic::crypto_box::crypto_box_beforenm;
use serde_json::Value;
use support::people::key_pair;
use support::vectors::{array, bytes, list, load, text};
use support::with_both_suites;

with_both_suites!(faulty_initiators_end_by_name, faulty_acceptors_end_by_name);

/// What ours makes of a case.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// It ends in a step, with a cause of this code.
    Ends(&'static str, &'static str),
    /// It waits in a step.
    Waits(&'static str),
    /// The handshake is done, and that many messages have arrived.
    Delivers(usize),
}

use Outcome::{Delivers, Ends, Waits};

/// Where the deployed peer does otherwise, a remark says so.
fn of_initiators(case: &str) -> Outcome {
    match case {
        "first message binary" => Ends("request", "wrong_kind"),
        "first message not JSON"
        | "communication_request without keys"
        | "other command"
        | "message without command"
        | "short target key" => Ends("request", "wrong_message"),
        // The deployed peer closes here, with a text that tells. Ours looks the same until the key message has come.
        "unknown target key (communication_ready is sent first)" => Waits("key"),
        "target key in upper case"
        | "extra properties in the request"
        | "key message sent before communication_ready was awaited (pipelined)"
        | "GLUED in one TCP write: communication_request and key message" => Delivers(0),
        "key message is text" => Ends("key", "wrong_kind"),
        "key message does not decrypt" => Ends("key", "bad_key_message"),
        // The deployed peer notices a wrong length only after it has sent its own key.
        "key message too short"
        | "key message carries 31 bytes"
        | "key message carries 33 bytes" => Ends("key", "frame_before_key"),
        // The deployed peer goes on with a key that everybody knows.
        "key message carries an all-zero key" => Ends("key", "small_order_key"),
        // The deployed peer queues it unopened and hangs.
        "GLUED in one TCP write: key message and a further binary message" => {
            Ends("connected", "bad_frame")
        }
        "good handshake, then text message" => Ends("connected", "plaintext_after_handshake"),
        "good handshake, then a frame with nonce 0 instead of 1"
        | "good handshake, same frame twice" => Ends("connected", "bad_frame"),
        "good handshake, then 15 bytes"
        | "good handshake, empty binary message"
        | "good handshake, empty padded plaintext" => Ends("connected", "frame_too_short"),
        "good handshake, padding length beyond the message" => Ends("connected", "bad_padding"),
        "fragmentation_end without start" | "string inside chunks" => {
            Ends("connected", "bad_fragments")
        }
        "good handshake, two good string frames" | "binary before start and chunks" => Delivers(2),
        "keepalive inside chunks is fine" => Delivers(1),
        // The deployed peer holds ten messages.
        "more than 10 messages that nobody reads (PromisePlugin queue is 10)" => Delivers(12),
        other => panic!("no entry for the case {other:?}"),
    }
}

fn of_acceptors(case: &str) -> Outcome {
    match case {
        "other command instead of communication_ready" => Ends("ready", "role_conflict"),
        "communication_ready with extra property" | "ready and key in one go" => Delivers(0),
        "key does not decrypt" => Ends("key", "bad_key_message"),
        "key is text" => Ends("key", "wrong_kind"),
        "key of 31 bytes" => Ends("key", "frame_before_key"),
        "good, then a text message" => Ends("connected", "plaintext_after_handshake"),
        // The deployed peer reports that it is connected.
        "reflects the key message" => Ends("key", "reflected_key"),
        other => panic!("no entry for the case {other:?}"),
    }
}

fn ends(fault: &Fault) -> Outcome {
    Ends(fault.step.name(), fault.why.code())
}

/// A recorded message: a text, or bytes in hex digits.
enum Sent {
    Text(String),
    Binary(Vec<u8>),
}

impl Sent {
    fn of(recorded: &Value) -> Self {
        match recorded {
            Value::String(text) => Self::Text(text.clone()),
            binary => Self::Binary(bytes(&binary["hex"])),
        }
    }

    fn message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// What a channel makes of messages.
fn through<S: Suite>(mut channel: Channel<S>, messages: &[Sent]) -> Outcome {
    for message in messages {
        channel
            .message(Now::default(), message.message())
            .expect("room");
    }
    let mut delivered = 0;
    while channel.received().is_some() {
        delivered += 1;
    }
    match channel.poll::<()>(&mut Vec::new()) {
        Some(Output::Fault(fault)) => ends(&fault),
        _ => Delivers(delivered),
    }
}

/// Demands: M0.2, M0.1.
fn faulty_initiators_end_by_name<S: Suite<Pair: RawKey>>() {
    let vectors = load("errors_close");
    let own: KeyPair<Instance> = key_pair::<S, _>(&vectors["keys"]["acceptor"]);
    let peer: KeyPair<Static> = key_pair::<S, _>(&vectors["keys"]["initiator"]);
    for case in list(&vectors["realAcceptor"]) {
        let name = text(&case["name"]);
        let sent: Vec<Sent> = list(&case["sentByInitiator"])
            .iter()
            .map(Sent::of)
            .collect();
        let recorded = list(&case["receivedFromAcceptor"]);
        let mut acceptor = Acceptor::<S>::new(
            Now::default(),
            HandshakeConfig::default(),
            vec![own.clone()],
            Vec::new(),
            Random::new([3; 32]),
            Arrival::Direct,
        );
        // What is glued to the key message goes to the same machine. Other frames were sealed for the key of the
        // recorded session, which a channel is made from.
        let to_acceptor = if name.starts_with("GLUED") {
            sent.len()
        } else {
            2.min(sent.len())
        };
        for message in &sent[..to_acceptor] {
            acceptor.message(Now::default(), message.message());
        }
        let mut outcome = Waits(acceptor.step().name());
        let mut answers = 0;
        let mut buffer = Vec::new();
        while let Some(output) = acceptor.poll(&mut buffer) {
            match output {
                Output::Send(kind) => {
                    assert_eq!(kind.to_string(), text(&recorded[answers]["kind"]), "{name}");
                    if let Some(due) = recorded[answers]["text"].as_str() {
                        assert_eq!(buffer, due.as_bytes(), "{name}");
                    }
                    answers += 1;
                }
                Output::Fault(fault) => outcome = ends(&fault),
                _ => {}
            }
        }
        if let Some(Handshaken {
            channel,
            peer: presented,
            ..
        }) = acceptor.finish()
        {
            assert_eq!(presented, peer.public(), "{name}");
            outcome = if to_acceptor < sent.len() {
                let channel = recorded_session::<S>(&vectors, &own, &peer, recorded);
                through(channel, &sent[to_acceptor..])
            } else {
                through(channel, &[])
            };
        }
        assert_eq!(outcome, of_initiators(name), "{name}");
    }
}

/// The acceptor's channel of a recorded session. The secret of its ephemeral key is not recorded, the tester's is.
fn recorded_session<S: Suite<Pair: RawKey>>(
    vectors: &Value,
    own: &KeyPair<Instance>,
    peer: &KeyPair<Static>,
    recorded: &[Value],
) -> Channel<S> {
    let static_key = own.before::<S, _>(&peer.public()).expect("a good key");
    let sealed = bytes(&recorded[1]["hex"]);
    let ephemeral = crypto::open::<32>(&static_key, &sealed).expect("a key message");
    let tester = array::<32>(&vectors["keys"]["ephemeralOfTester"]["secret"]);
    let mut key = crypto_box_beforenm(ephemeral.expose(), &tester).expect("a good key");
    let (random, config) = (Random::new([4; 32]), Default::default());
    let key = Secret::take(&mut key);
    Channel::from_session_key(Now::default(), key, Role::Acceptor, random, config)
}

/// A refusal comes after the key message, whatever that is, and looks the same for every cause.
///
/// Demands: M3.1.
#[test]
fn an_unknown_target_is_refused_after_the_key_message() {
    type S = chumwire::crypto::Nacl;
    let vectors = load("errors_close");
    let own: KeyPair<Instance> = key_pair::<S, _>(&vectors["keys"]["acceptor"]);
    let case = list(&vectors["realAcceptor"])
        .iter()
        .find(|case| text(&case["name"]).starts_with("unknown target key"))
        .expect("the case");
    let mut acceptor = Acceptor::<S>::new(
        Now::default(),
        HandshakeConfig::default(),
        vec![own],
        Vec::new(),
        Random::new([3; 32]),
        Arrival::Direct,
    );
    acceptor.message(
        Now::default(),
        Sent::of(&case["sentByInitiator"][0]).message(),
    );
    acceptor.message(Now::default(), Message::Binary(&[0; 72]));
    let mut faults = Vec::new();
    while let Some(output) = acceptor.poll(&mut Vec::new()) {
        if let Output::Fault(fault) = output {
            faults.push(ends(&fault));
        }
    }
    assert_eq!(faults, [Ends("key", "refused")]);
}

/// The recording has what the deployed initiator sent; what the faulty acceptor said is made from the case's name.
///
/// Demands: M3.2, M3.3.
fn faulty_acceptors_end_by_name<S: Suite>() {
    let vectors = load("errors_close");
    let own: KeyPair<Static> = key_pair::<S, _>(&vectors["keys"]["initiator"]);
    let acceptor: KeyPair<Instance> = key_pair::<S, _>(&vectors["keys"]["acceptor"]);
    let static_key = acceptor.before::<S, _>(&own.public()).expect("a good key");
    let mut random = Random::new([5; 32]);
    let ephemeral: KeyPair<Ephemeral> = KeyPair::generate::<S>(&mut random, Purpose::EphemeralKey);
    let public: PublicKey<Ephemeral> = ephemeral.public();
    let sealed: [u8; 72] = crypto::seal(&static_key, &mut random, public.bytes());
    for case in list(&vectors["realInitiator"]) {
        let name = text(&case["name"]);
        let target = acceptor.public();
        let (now, config) = (Now::default(), HandshakeConfig::default());
        let mut initiator =
            Initiator::<S>::new(now, config, own.clone(), target, Random::new([6; 32]));
        let mut buffer = Vec::new();
        initiator.poll(&mut buffer);
        let request = String::from_utf8(buffer.clone()).expect("a text");
        assert_eq!(
            request,
            text(&case["receivedFromInitiator"][0]["text"]),
            "{name}"
        );

        let ready = match name {
            "other command instead of communication_ready" => request,
            "communication_ready with extra property" => {
                r#"{"command":"communication_ready","extra":1}"#.to_owned()
            }
            _ => communication_ready(),
        };
        initiator.message(Now::default(), Message::Text(&ready));
        let mut outcome = Waits("?");
        if name != "ready and key in one go" {
            match initiator.poll(&mut buffer) {
                Some(Output::Fault(fault)) => outcome = ends(&fault),
                other => assert!(matches!(other, Some(Output::Send(_))), "{name}: {other:?}"),
            }
        }
        let key: [u8; 71] = crypto_seal_short::<S>(&static_key);
        initiator.message(
            Now::default(),
            match name {
                "key does not decrypt" => Message::Binary(&[0; 72]),
                "key is text" => Message::Text("hello"),
                "key of 31 bytes" => Message::Binary(&key),
                "reflects the key message" => Message::Binary(&buffer),
                _ => Message::Binary(&sealed),
            },
        );
        while let Some(output) = initiator.poll(&mut Vec::new()) {
            if let Output::Fault(fault) = output {
                outcome = ends(&fault);
            }
        }
        if let Some(Handshaken { channel, .. }) = initiator.finish() {
            let more = match name {
                "good, then a text message" => vec![Sent::Text("hello".into())],
                _ => Vec::new(),
            };
            outcome = through(channel, &more);
        }
        assert_eq!(outcome, of_acceptors(name), "{name}");
    }
}

/// A good box with 31 bytes in it.
fn crypto_seal_short<S: Suite>(key: &S::Pair) -> [u8; 71] {
    crypto::seal(key, &mut Random::new([8; 32]), &[1; 31])
}
