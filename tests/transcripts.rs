//! Recorded connections of the deployed peer, replayed: given the same keys, the same draws and the same incoming
//! messages, each machine of ours emits byte for byte what the deployed peer sent on its side (spec 03 to 06).

mod support;

use std::sync::Arc;

use chumwire::channel::Channel;
use chumwire::contact::Contact;
use chumwire::crypto::{Instance, KeyPair, PublicKey, Random, Static, Suite};
use chumwire::establish::Group;
use chumwire::fault::CloseReason;
use chumwire::handshake::{Acceptor, Arrival, Asked, HandshakeConfig, Initiator};
use chumwire::identity::Identity;
use chumwire::io::{Closed, Kind, Message, Output};
use chumwire::pairing::Invitation;
use chumwire::role::Role;
use chumwire::session::{Opening, Session, SessionConfig, SessionEvent};
use chumwire::step::Step;
use chumwire::time::{Micros, Millis, Now};
use serde_json::Value;
use support::arrival::handed_over;
use support::people::{key_pair, recorded};
use support::stub::Stub;
use support::vectors::{array, by_rule, bytes, is_recorded, list, load, size, text};
use support::{draws, with_both_suites};

with_both_suites!(
    the_initiator_of_a_pairing_through_a_relay_sends_what_was_recorded,
    the_initiator_of_a_direct_pairing_sends_what_was_recorded,
    the_acceptor_of_a_pairing_through_a_relay_sends_what_was_recorded,
    the_acceptor_of_a_direct_pairing_sends_what_was_recorded,
    a_direct_handshake_and_its_frames_are_the_recorded_ones,
);

const NOW: Now = Now {
    mono: Micros::secs(5),
    wall: Millis(1_700_000_000_000),
};

// ---------------------------------------------------------------- pairings

fn the_initiator_of_a_pairing_through_a_relay_sends_what_was_recorded<S: Suite>() {
    initiator_of::<S>("pairing_full");
}

fn the_initiator_of_a_direct_pairing_sends_what_was_recorded<S: Suite>() {
    initiator_of::<S>("pairing_direct");
}

fn the_acceptor_of_a_pairing_through_a_relay_sends_what_was_recorded<S: Suite>() {
    acceptor_of::<S>("pairing_full");
}

fn the_acceptor_of_a_direct_pairing_sends_what_was_recorded<S: Suite>() {
    acceptor_of::<S>("pairing_direct");
}

/// One message, as it was on the wire.
type Wire = (Kind, Vec<u8>);

fn wire(message: &Value) -> Option<Wire> {
    let wire = message.get("wire")?;
    Some(match text(&wire["kind"]) {
        "text" => (Kind::Text, text(&wire["text"]).into()),
        _ => (Kind::Binary, bytes(&wire["hex"])),
    })
}

fn borrowed((kind, bytes): &Wire) -> Message<'_> {
    match kind {
        Kind::Text => Message::Text(std::str::from_utf8(bytes).expect("a text")),
        Kind::Binary => Message::Binary(bytes),
    }
}

fn going<'a>(messages: &'a [Value], direction: &str) -> impl Iterator<Item = &'a Value> {
    messages
        .iter()
        .filter(move |message| message["dir"] == direction)
}

/// A deployed peer, as far as a session of ours can be configured to be one.
fn config(url: &Value) -> SessionConfig {
    let mut config = SessionConfig::default();
    config.establish.extensions = false;
    config.pairing.url = Some(text(url).into());
    config
}

/// What came out of a replay.
#[derive(Default)]
struct Replayed {
    sent: Vec<Wire>,
    contact: Option<Contact>,
    paired: bool,
    closed: bool,
}

fn drain<S: Suite>(session: &mut Session<S>, node: &mut Stub, replayed: &mut Replayed) {
    let mut bytes = Vec::new();
    while let Some(output) = session.poll(&mut bytes) {
        match output {
            Output::Send(kind) => replayed.sent.push((kind, bytes.clone())),
            Output::Event(SessionEvent::Store(contact)) => {
                replayed.contact = Some(contact);
                session.stored(NOW, Ok(()), node);
            }
            Output::Event(SessionEvent::Paired) => replayed.paired = true,
            Output::Event(SessionEvent::Close) => replayed.closed = true,
            Output::Event(SessionEvent::Request(_) | SessionEvent::Established(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Feeds what came in, in its order, and compares what goes out with what went out.
fn replay<S: Suite>(
    mut session: Session<S>,
    node: &mut Stub,
    messages: &[Value],
) -> (Session<S>, Replayed) {
    let mut replayed = Replayed::default();
    drain(&mut session, node, &mut replayed);
    for message in going(messages, "in").filter_map(wire) {
        session
            .message(NOW, borrowed(&message), node)
            .expect("room");
        drain(&mut session, node, &mut replayed);
    }
    let due: Vec<Wire> = going(messages, "out").filter_map(wire).collect();
    for (n, (got, due)) in replayed.sent.iter().zip(&due).enumerate() {
        assert!(got == due, "message {n} that goes out differs");
    }
    assert_eq!(replayed.sent.len(), due.len());
    (session, replayed)
}

fn initiator_of<S: Suite>(file: &str) {
    let vectors = load(file);
    let (own, other) = (&vectors["keys"]["B"], &vectors["participants"]["A"]);
    let identity = recorded::<S>(own);
    check_ids(&identity, &vectors["participants"]["B"]);
    let invitation = Invitation::read(&vectors["invitation"].to_string()).expect("an invitation");
    assert_eq!(
        invitation.public_key(),
        PublicKey::new(array(&own_key(&vectors, "A")))
    );

    let messages = list(&vectors["initiatorB"]["messages"]);
    let ephemeral = &vectors["keys"]["ephemeral"]["B"][0];
    // It is challenged first: its first box is an answer.
    let draws = draws::of_session(ephemeral, going(messages, "out"), 1);
    let opening = Opening {
        // The deployed initiator of a pairing presents its person key.
        own: key_pair::<S, Static>(&own["person"]["box"]),
        target: invitation.public_key(),
        group: Group::Pairing,
        token: Some(invitation.token().clone()),
    };
    let random = Random::scripted([0; 32], draws);
    let config = config(&vectors["participants"]["B"]["endpointUrl"]);
    let session = Session::<S>::initiator(NOW, config, identity, random, opening);
    let (session, replayed) = replay(session, &mut Stub::default(), messages);

    assert!(
        replayed.paired && replayed.closed,
        "it is the initiator that closes"
    );
    let close = going(messages, "out")
        .find_map(|m| m.get("close"))
        .expect("a close");
    assert_eq!(CloseReason::Good.text(), text(&close["reason"]));
    assert_eq!(session.step(), Step::Closing);
    let contact = replayed.contact.expect("a contact");
    check_contact(&contact, other, &vectors["ownIdentityMessages"]["A"]);
    assert!(
        contact.instances[0].key_proven,
        "an acceptor proves its instance key"
    );
}

fn acceptor_of<S: Suite>(file: &str) {
    let vectors = load(file);
    let (own, other) = (&vectors["keys"]["A"], &vectors["participants"]["B"]);
    let identity = recorded::<S>(own);
    check_ids(&identity, &vectors["participants"]["A"]);

    // Behind a relay, the session begins after the handover.
    let all = list(&vectors["acceptorA"]["messages"]);
    let handover = all.iter().position(|message| {
        message["wire"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("connection_handover"))
    });
    let (messages, first) = match handover {
        Some(at) => (&all[at + 1..], handed_over()),
        None => (all, Arrival::Direct),
    };
    let ephemeral = &vectors["keys"]["ephemeral"]["A"][0];
    let draws = draws::of_session(ephemeral, going(messages, "out"), 0);
    let random = Random::scripted([0; 32], draws);
    let config = config(&vectors["participants"]["A"]["endpointUrl"]);
    let session = Session::<S>::acceptor(NOW, config, identity, random, first);
    let mut node = Stub::accepting(text(&vectors["invitation"]["token"]));
    let (mut session, mut replayed) = replay(session, &mut node, messages);

    assert!(
        replayed.paired,
        "the acceptor counts success when the identity is in"
    );
    assert!(!replayed.closed, "it is the initiator that closes");
    assert_eq!(session.step(), Step::Closing);
    assert!(node.tokens.is_empty(), "the token is presented once");
    assert!(node.challenges.is_empty(), "no challenge is outstanding");
    let contact = replayed.contact.take().expect("a contact");
    assert_eq!(node.presenters, [contact.person_id]);
    check_contact(&contact, other, &vectors["ownIdentityMessages"]["B"]);
    assert!(
        !contact.instances[0].key_proven,
        "the initiator proved its person key alone"
    );

    let close = going(messages, "in")
        .find_map(|m| m.get("close"))
        .expect("a close");
    let reason = text(&close["reason"]).to_owned();
    session.closed(
        Closed::ByPeer {
            code: size(&close["code"]) as u16,
            reason,
        },
        &mut node,
    );
    drain(&mut session, &mut node, &mut replayed);
    assert!(replayed.closed, "a close after success is the good end");
}

fn own_key(vectors: &Value, who: &str) -> Value {
    vectors["participants"][who]["instanceKeys"]["publicKey"].clone()
}

fn check_ids(identity: &Identity, recorded: &Value) {
    assert_eq!(
        identity.person_id().to_string(),
        text(&recorded["personId"])
    );
    assert_eq!(
        identity.instance_id().to_string(),
        text(&recorded["instanceId"])
    );
    assert_eq!(
        identity.person_keys().hash().to_string(),
        text(&recorded["personKeysHash"])
    );
}

/// The contact says what the other side is recorded to be.
fn check_contact(contact: &Contact, recorded: &Value, said: &Value) {
    let (person, instance) = (&recorded["personKeys"], &recorded["instanceKeys"]);
    assert_eq!(contact.person_id.to_string(), text(&recorded["personId"]));
    assert_eq!(contact.email, text(&said["personEmail"]));
    assert_eq!(contact.person_key.hex(), text(&person["publicKey"]));
    assert_eq!(
        contact.person_sign_key.0,
        array::<32>(&person["publicSignKey"])
    );
    let [device] = &contact.instances[..] else {
        panic!("one device")
    };
    assert_eq!(
        device.instance_id.to_string(),
        text(&recorded["instanceId"])
    );
    assert_eq!(device.name, text(&said["instanceName"]));
    assert_eq!(device.instance_key.hex(), text(&instance["publicKey"]));
    assert_eq!(
        device.instance_sign_key.0,
        array::<32>(&instance["publicSignKey"])
    );
    assert_eq!(device.url.as_deref(), recorded["endpointUrl"].as_str());
    assert_eq!(device.paired_at, NOW.wall);
}

// ---------------------------------------------------------------- handshake_direct

/// One side of the recorded handshake.
fn side(vectors: &Value, role: Role) -> Random {
    let messages = list(&vectors["messages"]);
    let ephemeral = list(&vectors["keys"]["ephemeral"])
        .iter()
        .find(|key| key["of"] == role.name())
        .expect("its ephemeral key");
    let sent = messages
        .iter()
        .filter(|message| message["from"] == role.name());
    let draws = sent.flat_map(
        |message| match (message.get("enc"), message.get("embedded")) {
            (Some(frame), _) => draws::of_padding(&frame["padded"]),
            (None, Some(_)) => {
                draws::of_key_message(ephemeral, &bytes(&message["wire"]["hex"])).into()
            }
            (None, None) => Vec::new(),
        },
    );
    Random::scripted([0; 32], draws)
}

fn sent<E: PartialEq + std::fmt::Debug>(output: Option<Output<E>>, bytes: &[u8]) -> Wire {
    let Some(Output::Send(kind)) = output else {
        panic!("{output:?}")
    };
    (kind, bytes.to_vec())
}

fn a_direct_handshake_and_its_frames_are_the_recorded_ones<S: Suite>() {
    let vectors = load("handshake_direct");
    let messages = list(&vectors["messages"]);
    let due = |n: usize| wire(&messages[n]).expect("a message");
    let own: KeyPair<Static> = key_pair::<S, _>(&vectors["keys"]["initiator"]);
    let target: KeyPair<Instance> = key_pair::<S, _>(&vectors["keys"]["acceptor"]);
    let config = HandshakeConfig::default();
    let random = side(&vectors, Role::Initiator);
    let mut initiator =
        Initiator::<S>::new(NOW, config.clone(), own.clone(), target.public(), random);
    let random = side(&vectors, Role::Acceptor);
    let keys = vec![target];
    let mut acceptor = Acceptor::<S>::new(NOW, config, keys, Vec::new(), random, Arrival::Direct);

    let mut bytes = Vec::new();
    assert_eq!(sent(initiator.poll(&mut bytes), &bytes), due(0));
    acceptor.message(NOW, borrowed(&due(0)));
    assert_eq!(sent(acceptor.poll(&mut bytes), &bytes), due(1));
    let Some(Output::Event(Asked::Request(request))) = acceptor.poll(&mut bytes) else {
        panic!("it is asked");
    };
    assert_eq!(request.source, own.public());
    initiator.message(NOW, borrowed(&due(1)));
    assert_eq!(sent(initiator.poll(&mut bytes), &bytes), due(2));
    acceptor.message(NOW, borrowed(&due(2)));
    assert_eq!(sent(acceptor.poll(&mut bytes), &bytes), due(3));
    assert_eq!(acceptor.poll(&mut bytes), Some(Output::Event(Asked::Done)));
    initiator.message(NOW, borrowed(&due(3)));
    assert_eq!(initiator.poll(&mut bytes), Some(Output::Event(())));
    let ours = initiator.finish().expect("it is done");
    let theirs = acceptor.finish().expect("it is done");
    assert_eq!(theirs.peer, own.public());

    let (mut initiator, mut acceptor) = (ours.channel, theirs.channel);
    let frames = |role: Role| {
        let sent = messages.iter().filter(move |m| m["from"] == role.name());
        sent.filter(|m| m.get("enc").is_some())
    };
    let mut by_initiator = frames(Role::Initiator);
    let mut by_acceptor = frames(Role::Acceptor);
    for message in list(&vectors["applicationMessages"]) {
        if message["from"] == "initiator" {
            passes(
                &message["sent"],
                &mut initiator,
                &mut acceptor,
                &mut by_initiator,
            );
        } else {
            passes(
                &message["sent"],
                &mut acceptor,
                &mut initiator,
                &mut by_acceptor,
            );
        }
    }
    assert_eq!(
        (by_initiator.count(), by_acceptor.count()),
        (0, 0),
        "every frame was compared"
    );
}

/// One message of the application passes, in the recorded frames.
fn passes<'a, S: Suite>(
    message: &Value,
    from: &mut Channel<S>,
    to: &mut Channel<S>,
    recorded: &mut impl Iterator<Item = &'a Value>,
) {
    let content = match message {
        Value::String(text) if text == "\"a\" x 16384" => (Kind::Text, "a".repeat(16384).into()),
        Value::String(text) => (Kind::Text, text.as_bytes().to_vec()),
        long if long.get("rule").is_some() => {
            let content = by_rule(size(&long["binaryLength"]), 3);
            assert_eq!(support::vectors::sha256(&content), text(&long["sha256"]));
            (Kind::Binary, content)
        }
        short => (Kind::Binary, bytes(&short["hex"])),
    };
    from.send(NOW, borrowed(&content)).expect("room");
    let mut frame = Vec::new();
    while from.has_frames() {
        assert_eq!(
            from.poll::<()>(&mut frame),
            Some(Output::Send(Kind::Binary))
        );
        let due = &recorded.next().expect("a recorded frame")["wire"]["hex"];
        match due {
            // The padding of the long ones is recorded in part: length and the first of their ciphertext.
            Value::Object(long) => {
                assert_eq!(frame.len(), size(&long["length"]));
                assert_eq!(frame[16..32], bytes(&long["first32"])[16..32]);
            }
            due => assert!(is_recorded(due, &frame)),
        }
        assert_eq!(to.received(), None);
        to.message(NOW, Message::Binary(&frame)).expect("room");
    }
    assert!(
        to.received() == Some(borrowed(&content)),
        "it arrives as it was sent"
    );
}

#[test]
fn the_recorded_identities_are_whole() {
    let identity: Arc<Identity> =
        recorded::<chumwire::crypto::Nacl>(&load("pairing_full")["keys"]["A"]);
    let again = Identity::import::<chumwire::crypto::Reference>(
        &identity.person().email,
        &identity.instance().name,
        &identity.export_secrets(),
    );
    assert!(*identity == again, "both suites make the same public keys");
}
