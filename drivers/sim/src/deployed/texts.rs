//! The JSON and the ids of the deployed peer: members in its order, read without strictness.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Upper and lower case.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok())
        .collect()
}

pub(super) fn key(text: &str) -> Option<[u8; 32]> {
    unhex(text)?.try_into().ok()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn id_of(microdata: &str) -> String {
    hex(&Sha256::digest(microdata))
}

/// The id of the person of an email.
pub(super) fn person_id(email: &str) -> String {
    id_of(&format!(
        "<div data-id-object=\"true\" itemscope itemtype=\"//refin.io/Person\">\
         <span itemprop=\"email\">{}</span></div>",
        escaped(email)
    ))
}

/// The id of an instance.
pub(super) fn instance_id(name: &str, owner: &str) -> String {
    id_of(&format!(
        "<div data-id-object=\"true\" itemscope itemtype=\"//refin.io/Instance\">\
         <span itemprop=\"name\">{}</span>\
         <a itemprop=\"owner\" data-type=\"id\">{owner}</a></div>",
        escaped(name)
    ))
}

pub(super) fn command(name: &str) -> String {
    format!(r#"{{"command":"{name}"}}"#)
}

pub(super) fn register(key: &[u8]) -> String {
    format!(r#"{{"command":"register","publicKey":"{}"}}"#, hex(key))
}

pub(super) fn authentication_response(response: &[u8]) -> String {
    format!(
        r#"{{"command":"authentication_response","response":"{}"}}"#,
        hex(response)
    )
}

pub(super) fn communication_request(source: &[u8], target: &[u8]) -> String {
    let (source, target) = (hex(source), hex(target));
    format!(
        r#"{{"command":"communication_request","sourcePublicKey":"{source}","targetPublicKey":"{target}"}}"#
    )
}

pub(super) fn connection_group(group: &str) -> String {
    format!(
        r#"{{"command":"connection_group","connectionGroupName":{}}}"#,
        quoted(group)
    )
}

pub(super) fn person_id_object(email: &str) -> String {
    let email = quoted(email);
    format!(r#"{{"command":"person_id_object","obj":{{"$type$":"Person","email":{email}}}}}"#)
}

pub(super) fn keys_object(owner: &str, key: &[u8], sign: &[u8]) -> String {
    let (key, sign) = (hex(key), hex(sign));
    format!(
        r#"{{"command":"keys_object","obj":{{"$type$":"Keys","owner":"{owner}","publicKey":"{key}","publicSignKey":"{sign}"}}}}"#
    )
}

pub(super) fn instance_id_object(name: &str, owner: &str) -> String {
    let name = quoted(name);
    format!(
        r#"{{"command":"instance_id_object","obj":{{"$type$":"Instance","name":{name},"owner":"{owner}"}}}}"#
    )
}

pub(super) fn authentication_token(token: &str) -> String {
    format!(
        r#"{{"command":"authentication_token","token":{}}}"#,
        quoted(token)
    )
}

/// What `identity` says of its sender.
pub(super) struct OwnIdentity<'a> {
    pub(super) email: &'a str,
    pub(super) name: &'a str,
    pub(super) person_key: &'a [u8],
    pub(super) person_sign: &'a [u8],
    pub(super) instance_key: &'a [u8],
    pub(super) instance_sign: &'a [u8],
    pub(super) url: Option<&'a str>,
}

pub(super) fn identity(own: &OwnIdentity<'_>) -> String {
    let url = own
        .url
        .map(|url| format!(r#","url":{}"#, quoted(url)))
        .unwrap_or_default();
    format!(
        r#"{{"command":"identity","obj":{{"type":"public","personEmail":{},"instanceName":{},"personKeyPublic":"{}","personSignKeyPublic":"{}","instanceKeyPublic":"{}","instanceSignKeyPublic":"{}"{url}}}}}"#,
        quoted(own.email),
        quoted(own.name),
        hex(own.person_key),
        hex(own.person_sign),
        hex(own.instance_key),
        hex(own.instance_sign),
    )
}

pub(super) fn invitation(token: &str, key: &[u8], url: &str) -> String {
    let (key, url) = (hex(key), quoted(url));
    format!(r#"{{"token":"{token}","publicKey":"{key}","url":{url}}}"#)
}

/// A message with this command.
pub(super) fn read(text: &str, expected: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|_| {
        "Received message that does not conform to JSON: SyntaxError: Unexpected token".to_owned()
    })?;
    match value.get("command").and_then(Value::as_str) {
        None => Err("Received message without a 'command' member.".into()),
        Some(command) if command == expected => Ok(value),
        Some(command) => Err(format!(
            "Received unexpected type '{command}'. Expected type '{expected}'."
        )),
    }
}

/// A text member, anywhere in a message.
pub(super) fn text<'a>(value: &'a Value, command: &str, path: &[&str]) -> Result<&'a str, String> {
    let mut at = Some(value);
    for name in path {
        at = at.and_then(|value| value.get(name));
    }
    at.and_then(Value::as_str).ok_or_else(|| mismatch(command))
}

pub(super) fn mismatch(command: &str) -> String {
    format!("Received data does not match the data expected for command '{command}'")
}
