//! What is confidential is not shown by `Debug`, neither as text nor as a list of bytes.

use std::sync::Arc;

use chumwire::crypto::{Nacl, Purpose, Random};
use chumwire::establish::{Established, Group};
use chumwire::identity::Identity;
use chumwire::node::{Node, NodeConfig};
use chumwire::pairing::{Invitation, Pairing, PairingConfig};
use chumwire::time::{Micros, Now};

fn identity(name: &str, seed: u8) -> Identity {
    let email = format!("{name}@example.com");
    Identity::generate::<Nacl>(&mut Random::new([seed; 32]), &email, name).unwrap()
}

/// Whether eight bytes of a secret in a row are in what `Debug` shows, in one of its forms.
fn shows(shown: &str, secret: &[u8]) -> bool {
    secret.windows(8).any(|window| {
        let list: Vec<String> = window.iter().map(u8::to_string).collect();
        let text = std::str::from_utf8(window).unwrap_or("\u{0}no text");
        let digits: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
        shown.contains(&list.join(", ")) || shown.contains(text) || shown.contains(&digits)
    })
}

fn token_of(invitation: &Invitation) -> String {
    let json: serde_json::Value = serde_json::from_str(&invitation.json()).unwrap();
    json["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_on_its_way_to_the_seal_is_not_shown() {
    let now = Now::default();
    let (alice, bob) = (identity("alice", 1), Arc::new(identity("bob", 2)));
    let peer = Established {
        group: Group::Pairing,
        person: alice.person().clone(),
        keys: alice.person_keys(),
        instance: alice.instance().clone(),
        peer: alice.instance_key().public().presented(),
        extensions: false,
    };
    let mut node = Node::<Nacl>::new(NodeConfig::new(alice), [3; 32], now).unwrap();
    let invitation = node.invite(now, Micros::secs(60), "ws://relay").unwrap();
    let token = token_of(&invitation);
    let config = PairingConfig::default();
    let mut pairing = Pairing::initiator(now, config, bob, peer, invitation.token());
    for shown in [
        format!("{pairing:?}"),
        format!("{invitation:?}"),
        format!("{node:?}"),
    ] {
        assert!(!shows(&shown, token.as_bytes()), "{shown}");
    }
    let mut bytes = Vec::new();
    assert!(pairing.poll(&mut bytes).is_some());
    assert!(
        shows(&String::from_utf8(bytes).unwrap(), token.as_bytes()),
        "it is looked for rightly"
    );
}

#[test]
fn the_secrets_of_an_identity_and_a_generator_are_not_shown() {
    let alice = identity("alice", 1);
    let secrets = alice.export_secrets();
    let mut random = Random::new([9; 32]);
    let drawn: [u8; 32] = random.array(Purpose::EphemeralKey);
    let node = Node::<Nacl>::new(NodeConfig::new(alice.clone()), [3; 32], Now::default()).unwrap();
    for shown in [
        format!("{alice:?}"),
        format!("{:?} {:?}", alice.instance_key(), alice.person_key()),
        format!("{secrets:?} {random:?}"),
        format!("{node:?}"),
    ] {
        assert!(
            !shows(&shown, secrets.expose()) && !shows(&shown, &drawn),
            "{shown}"
        );
    }
}
