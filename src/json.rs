//! Control messages: one compact JSON object with a string member `command` (spec 00, "Hex, JSON, text").
//!
//! Written as `JSON.stringify` writes, members in the order given. Read with unknown members ignored, as the
//! deployed peer does; every fault names the member and never repeats contents.

use alloc::string::{String, ToString};

use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::crypto::{KeyUse, PublicKey};
use crate::fault::{JsonFault, cut};
use crate::hex;

/// A JSON object as it came. Its texts may be secrets, so they are wiped when it goes.
pub(crate) struct Object(Map<String, Value>);

impl Drop for Object {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Object {
    pub(crate) fn parse(text: &str) -> Result<Self, JsonFault> {
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            _ => Err(JsonFault::NotAnObject),
        }
    }

    /// Its `command`, if it has one.
    pub(crate) fn command(&self) -> Option<&str> {
        self.0.get("command").and_then(Value::as_str)
    }

    /// The object, if it is the message that is due.
    pub(crate) fn due(self, expected: &'static str) -> Result<Self, JsonFault> {
        match self.command() {
            Some(command) if command == expected => Ok(self),
            Some(other) => Err(JsonFault::Command {
                expected,
                got: cut(other.to_string(), 32),
            }),
            None => Err(JsonFault::Member {
                member: "command",
                expected: "a text",
            }),
        }
    }

    /// Parses a text that has to be the message `command`.
    pub(crate) fn message(text: &str, command: &'static str) -> Result<Self, JsonFault> {
        Self::parse(text)?.due(command)
    }

    pub(crate) fn text(&self, member: &'static str) -> Result<&str, JsonFault> {
        self.optional_text(member)?.ok_or(JsonFault::Member {
            member,
            expected: "a text",
        })
    }

    /// `null` and absence are the same.
    pub(crate) fn optional_text(&self, member: &'static str) -> Result<Option<&str>, JsonFault> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JsonFault::Member {
                member,
                expected: "a text",
            }),
        }
    }

    pub(crate) fn hex<const N: usize>(
        &self,
        member: &'static str,
        expected: &'static str,
    ) -> Result<[u8; N], JsonFault> {
        hex::decode(self.text(member)?).ok_or(JsonFault::Member { member, expected })
    }

    pub(crate) fn key<U: KeyUse>(&self, member: &'static str) -> Result<PublicKey<U>, JsonFault> {
        self.hex(member, "64 hex digits").map(PublicKey::new)
    }

    pub(crate) fn integer(&self, member: &'static str) -> Result<u64, JsonFault> {
        let value = self.0.get(member).and_then(|value| {
            // JavaScript has one kind of number: 25000.0 is an integer, too.
            value.as_u64().or_else(|| {
                value
                    .as_f64()
                    .filter(|f| *f >= 0.0 && *f < 9e15 && f % 1.0 == 0.0)
                    .map(|f| f as u64)
            })
        });
        value.ok_or(JsonFault::Member {
            member,
            expected: "an integer",
        })
    }

    pub(crate) fn object(&self, member: &'static str) -> Result<Self, JsonFault> {
        match self.0.get(member) {
            Some(Value::Object(members)) => Ok(Self(members.clone())),
            _ => Err(JsonFault::Member {
                member,
                expected: "an object",
            }),
        }
    }

    /// Whether `member` is a list of texts that holds `item`.
    pub(crate) fn lists(&self, member: &str, item: &str) -> bool {
        self.0
            .get(member)
            .and_then(Value::as_array)
            .is_some_and(|items| items.iter().any(|i| i.as_str() == Some(item)))
    }

    /// How many members it has.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Writes one object, members in the order of the calls.
pub(crate) struct Writer(String);

impl Writer {
    pub(crate) fn new() -> Self {
        Self::with_room(1)
    }

    /// With room for that many bytes: a text that grows leaves copies behind, and a secret has none.
    pub(crate) fn with_room(room: usize) -> Self {
        let mut text = String::with_capacity(room);
        text.push('{');
        Self(text)
    }

    /// Starts the message `command`.
    pub(crate) fn command(command: &str) -> Self {
        Self::new().text("command", command)
    }

    fn name(&mut self, member: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(member);
        self.0.push_str("\":");
    }

    pub(crate) fn text(mut self, member: &str, value: &str) -> Self {
        self.name(member);
        self.0.push_str(&Value::from(value).to_string());
        self
    }

    /// A text without characters that JSON escapes. It is copied to its place and to no other.
    pub(crate) fn plain(mut self, member: &str, value: &str) -> Self {
        self.name(member);
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
        self
    }

    pub(crate) fn optional_text(self, member: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(member, value),
            None => self,
        }
    }

    pub(crate) fn hex(mut self, member: &str, bytes: &[u8]) -> Self {
        self.name(member);
        self.0.push('"');
        hex::push(&mut self.0, bytes);
        self.0.push('"');
        self
    }

    pub(crate) fn integer(mut self, member: &str, value: u64) -> Self {
        self.name(member);
        self.0.push_str(&value.to_string());
        self
    }

    /// A member whose value is JSON already.
    pub(crate) fn json(mut self, member: &str, json: &str) -> Self {
        self.name(member);
        self.0.push_str(json);
        self
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
