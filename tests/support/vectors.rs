//! Reading the recorded vectors.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A vector file.
pub(crate) fn load(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let text = std::fs::read_to_string(folder.join(name).with_extension("json"));
    serde_json::from_str(&text.expect("a vector file")).expect("JSON")
}

/// A list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// A text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// A size.
pub(crate) fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a number")).expect("a small number")
}

/// Bytes, recorded as hex digits.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    unhex(text(value))
}

/// Exactly `N` bytes, recorded as hex digits.
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("that many bytes")
}

/// Any even number of hex digits.
pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    let pair = |i| u8::from_str_radix(&digits[i..i + 2], 16).expect("hex digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// The recorded rule of long contents: byte i = (i * 31 + seed) mod 251.
pub(crate) fn by_rule(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * 31 + seed) % 251) as u8).collect()
}

/// SHA-256 in hex digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    chumwire::hex::encode(&Sha256::digest(bytes))
}

/// Whether bytes are those recorded, be it in full or, where they are long, by length and hash.
pub(crate) fn is_recorded(recorded: &Value, got: &[u8]) -> bool {
    match recorded {
        Value::String(digits) => unhex(digits) == got,
        long => size(&long["length"]) == got.len() && text(&long["sha256"]) == sha256(got),
    }
}
