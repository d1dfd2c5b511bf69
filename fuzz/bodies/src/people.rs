//! The people of the fuzz targets.

use std::sync::LazyLock;

use chumwire::crypto::{Nacl, Random, Suite};
use chumwire::establish::{
    Group, connection_group, instance_id_object, keys_object, person_id_object, sync,
};
use chumwire::handshake::{CommunicationRequest, communication_ready};
use chumwire::identity::Identity;
use chumwire::pairing::{Invitation, PeerIdentity, identity};
use chumwire_sim::Insecure;

/// The token of the only invitation.
pub(crate) const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";

/// Their keys belong to a suite.
type People = [Identity; 2];

static REAL: LazyLock<People> = LazyLock::new(people::<Nacl>);
static INSECURE: LazyLock<People> = LazyLock::new(people::<Insecure>);

fn people<S: Suite>() -> People {
    [("bob", 2), ("alice", 1)].map(|(name, seed)| {
        let email = format!("{name}@example.org");
        let identity = Identity::generate::<S>(&mut Random::new([seed; 32]), &email, "laptop");
        identity.expect("good names")
    })
}

fn of_suite<S: Suite>() -> &'static People {
    match S::NAME == Insecure::NAME {
        true => &INSECURE,
        false => &REAL,
    }
}

/// Made the invitation.
pub(crate) fn alice<S: Suite>() -> &'static Identity {
    &of_suite::<S>()[1]
}

/// Uses it.
pub(crate) fn bob<S: Suite>() -> &'static Identity {
    &of_suite::<S>()[0]
}

/// Alice's invitation.
pub(crate) fn invitation<S: Suite>() -> Invitation {
    let key = alice::<S>().instance_key().public().hex();
    let json = serde_json::json!({"token": TOKEN, "publicKey": key, "url": "ws://in.memory"});
    Invitation::read(&json.to_string()).expect("an invitation")
}

/// A text of the protocol, as bob says it.
pub(crate) fn known_text(n: u8) -> String {
    let (alice, bob) = (alice::<Nacl>(), bob::<Nacl>());
    let request = CommunicationRequest {
        source: bob.instance_key().public().presented(),
        target: alice.instance_key().public(),
    };
    match n % 12 {
        0 => request.text(),
        1 => communication_ready(),
        2 => connection_group(&Group::Pairing, true),
        3 => connection_group(&Group::Chum, false),
        4 => sync(true),
        5 => person_id_object(bob.person()),
        6 => keys_object(&bob.person_keys()),
        7 => instance_id_object(bob.instance()),
        8 => format!(r#"{{"command":"authentication_token","token":"{TOKEN}"}}"#),
        9 => identity(&PeerIdentity::of(bob, Some("ws://bob".into()))),
        10 => r#"{"command":"connection_handover"}"#.into(),
        _ => r#"{"command":"ping"}"#.into(),
    }
}
