//! Values as they travel: what JSON has, and `undefined`, which it lacks (spec 10, "Values that JSON lacks").

use alloc::string::String;
use core::fmt;

use serde_json::{Number, Value};

/// How `undefined` is written, everywhere.
pub const UNDEFINED: &str = "$__undefined$";

/// The largest integer that every double up to it tells apart: 2^53 - 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The number of a request. Each side numbers its own, from 0; the two number spaces are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// An argument or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Data {
    /// No value: a missing member, a missing trailing argument, and `$__undefined$` are all this.
    #[default]
    Undefined,
    /// `null`, which is a value of its own.
    Null,
    /// An integer in 0..2^53. A larger one is written as it is, and the reader rounds it.
    Number(u64),
    /// A text.
    Text(String),
    /// Whatever else JSON has. A read one holds no `$__undefined$`: such members of objects are taken out, such items
    /// of lists are `null`.
    Other(Value),
}

impl Data {
    /// The argument of that index; a missing one is undefined.
    #[must_use]
    pub fn argument(args: &[Self], index: usize) -> &Self {
        args.get(index).unwrap_or(&Self::Undefined)
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A value as it was read. `verbatim`: a text is taken as it is.
    pub(super) fn of(value: Option<Value>, verbatim: bool) -> Self {
        match value {
            None => Self::Undefined,
            Some(Value::Null) => Self::Null,
            Some(Value::String(text)) if !verbatim && text == UNDEFINED => Self::Undefined,
            Some(Value::String(text)) => Self::Text(text),
            Some(Value::Number(number)) => match integer(&number) {
                Some(integer) => Self::Number(integer),
                None => Self::Other(Value::Number(number)),
            },
            Some(mut other) => {
                take_undefined_out(&mut other);
                Self::Other(other)
            }
        }
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Data {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// Whether a value stands for `undefined`.
pub(super) fn is_undefined(value: &Value) -> bool {
    value.as_str() == Some(UNDEFINED)
}

/// Recursion ends at the reader's bound on nesting.
fn take_undefined_out(value: &mut Value) {
    match value {
        Value::Array(items) => {
            for item in items {
                if is_undefined(item) {
                    *item = Value::Null;
                } else {
                    take_undefined_out(item);
                }
            }
        }
        Value::Object(members) => {
            members.retain(|_, member| !is_undefined(member));
            members.values_mut().for_each(take_undefined_out);
        }
        _ => {}
    }
}

/// The integer in 0..2^53 that a JSON number is: JavaScript has one kind of number, so `8.0` and `8e0` are 8.
pub(super) fn integer(number: &Number) -> Option<u64> {
    match number.as_u64() {
        Some(integer) => (integer <= MAX_INTEGER).then_some(integer),
        None => number.as_f64().and_then(integer_of_double),
    }
}

/// The integer in 0..2^53 that a double is. Negative zero is none.
pub(super) fn integer_of_double(double: f64) -> Option<u64> {
    let fits = double.is_sign_positive() && double <= MAX_INTEGER as f64 && double % 1.0 == 0.0;
    fits.then_some(double as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Data {
        Data::of(serde_json::from_str(json).ok(), false)
    }

    #[test]
    fn integers_in_every_spelling() {
        for json in ["8", "8.0", "8e0", "0.8e1", "80e-1"] {
            assert_eq!(read(json), Data::Number(8), "{json}");
        }
        assert_eq!(read("9007199254740991"), Data::Number(MAX_INTEGER));
        for json in ["-0", "-0.0", "-1", "1.5", "1e300", "9007199254740992"] {
            assert!(matches!(read(json), Data::Other(_)), "{json}");
        }
        for double in [f64::NAN, f64::INFINITY, -f64::INFINITY, -0.0, 0.5, -1.0] {
            assert_eq!(integer_of_double(double), None);
        }
    }

    #[test]
    fn undefined_goes_out_at_any_depth() {
        let read =
            read(r#"{"a":"$__undefined$","b":[{"c":"$__undefined$","d":null},"$__undefined$"]}"#);
        let expected = serde_json::json!({"b": [{"d": null}, null]});
        assert_eq!(read, Data::Other(expected));
    }

    #[test]
    fn verbatim_texts_stay() {
        let text = Some(Value::from(UNDEFINED));
        assert_eq!(Data::of(text.clone(), true), Data::from(UNDEFINED));
        assert_eq!(Data::of(text, false), Data::Undefined);
        assert_eq!(Data::of(None, true), Data::Undefined);
    }
}
