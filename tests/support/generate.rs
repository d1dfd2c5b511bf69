//! Arbitrary values for properties.

use chumwire::crypto::PublicKey;
use chumwire::io::{Closed, Kind};
use chumwire::role::Role;
use proptest::prelude::*;

use super::bench::Wire;

/// Any text, control words and characters of all lengths among it.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "keepalive",
        "fragmentation_start_binary",
        "fragmentation_start_string",
        "fragmentation_end",
        "x",
        "😀",
        "\u{feff}",
        "\0",
        "\"",
        "\\",
    ]);
    prop_oneof![
        any::<String>(),
        prop::collection::vec(words, 0..5).prop_map(|words| words.concat()),
    ]
}

/// A text that is, or nearly is, a control message.
pub(crate) fn any_control() -> impl Strategy<Value = String> {
    let command = prop::sample::select(vec![
        "register",
        "authentication_request",
        "authentication_response",
        "authentication_success",
        "ping",
        "comm_ping",
        "pong",
        "connection_handover",
        "communication_request",
        "communication_ready",
        "connection_group",
        "sync",
        "person_id_object",
        "keys_object",
        "instance_id_object",
        "authentication_token",
        "identity",
        "",
    ]);
    let member = prop::sample::select(vec![
        "publicKey",
        "challenge",
        "response",
        "pingInterval",
        "sourcePublicKey",
        "targetPublicKey",
        "connectionGroupName",
        "ext",
        "obj",
        "$type$",
        "email",
        "name",
        "owner",
        "publicSignKey",
        "token",
        "url",
        "type",
        "personEmail",
        "command",
    ]);
    let value = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        Just(format!("\"{}\"", "ab".repeat(32))),
        Just(format!("\"{}\"", "cd".repeat(104))),
        Just(r#"["chumwire/1"]"#.to_owned()),
        Just(r#"{"$type$":"Person","email":"a@b"}"#.to_owned()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    let members = prop::collection::vec((member, value), 0..5);
    (command, members).prop_map(|(command, members)| {
        let mut text = format!("{{\"command\":\"{command}\"");
        for (name, value) in members {
            text += &format!(",\"{name}\":{value}");
        }
        text + "}"
    })
}

/// Any message.
pub(crate) fn any_message() -> impl Strategy<Value = Wire> {
    let length = prop_oneof![
        0..40_usize,
        Just(71),
        Just(72),
        Just(73),
        Just(104),
        100..400_usize
    ];
    let binary = (length, any::<u8>()).prop_map(|(length, seed)| {
        let bytes = (0..length)
            .map(|i| seed.wrapping_mul(7).wrapping_add(i as u8))
            .collect();
        (Kind::Binary, bytes)
    });
    prop_oneof![
        any_text().prop_map(|text| (Kind::Text, text.into_bytes())),
        any_control().prop_map(|text| (Kind::Text, text.into_bytes())),
        binary,
    ]
}

/// Any way for a connection to end.
pub(crate) fn any_end() -> impl Strategy<Value = Closed> {
    prop_oneof![
        (any::<u16>(), any::<String>()).prop_map(|(code, reason)| Closed::ByPeer { code, reason }),
        any::<String>().prop_map(Closed::Lost),
        any::<String>().prop_map(Closed::NotOpened),
    ]
}

/// Any public key.
pub(crate) fn any_key<U: chumwire::crypto::KeyUse>() -> impl Strategy<Value = PublicKey<U>> {
    any::<[u8; 32]>().prop_map(PublicKey::new)
}

/// An address of a WebSocket.
pub(crate) fn any_url() -> impl Strategy<Value = String> {
    "wss?://[a-z0-9.:-]{1,30}(/[a-zA-Z0-9%?&=é~_-]{0,20})?"
}

/// Either side.
pub(crate) fn any_role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Initiator, Role::Acceptor])
}
