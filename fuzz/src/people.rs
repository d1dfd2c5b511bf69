//! The people of the fuzz targets.

use std::sync::LazyLock;

use chumwire::crypto::{Nacl, Random};
use chumwire::establish::{
    Group, connection_group, instance_id_object, keys_object, person_id_object, sync,
};
use chumwire::handshake::{CommunicationRequest, communication_ready};
use chumwire::identity::Identity;
use chumwire::pairing::{Invitation, PeerIdentity, identity};

/// The token of the only invitation.
pub(crate) const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";

/// Made the invitation.
pub(crate) static ALICE: LazyLock<Identity> = LazyLock::new(|| person("alice", 1));
/// Uses it.
pub(crate) static BOB: LazyLock<Identity> = LazyLock::new(|| person("bob", 2));

fn person(name: &str, seed: u8) -> Identity {
    let email = format!("{name}@example.org");
    Identity::generate::<Nacl>(&mut Random::new([seed; 32]), &email, "laptop").expect("good names")
}

/// Alice's invitation.
pub(crate) fn invitation() -> Invitation {
    let key = ALICE.instance_key().public().hex();
    let json = serde_json::json!({"token": TOKEN, "publicKey": key, "url": "ws://in.memory"});
    Invitation::read(&json.to_string()).expect("an invitation")
}

/// A text of the protocol, as bob says it.
pub(crate) fn known_text(n: u8) -> String {
    let request = CommunicationRequest {
        source: BOB.instance_key().public().presented(),
        target: ALICE.instance_key().public(),
    };
    match n % 12 {
        0 => request.text(),
        1 => communication_ready(),
        2 => connection_group(&Group::Pairing, true),
        3 => connection_group(&Group::Chum, false),
        4 => sync(true),
        5 => person_id_object(BOB.person()),
        6 => keys_object(&BOB.person_keys()),
        7 => instance_id_object(BOB.instance()),
        8 => format!(r#"{{"command":"authentication_token","token":"{TOKEN}"}}"#),
        9 => identity(&PeerIdentity::of(&BOB, Some("ws://bob".into()))),
        10 => r#"{"command":"connection_handover"}"#.into(),
        _ => r#"{"command":"ping"}"#.into(),
    }
}
