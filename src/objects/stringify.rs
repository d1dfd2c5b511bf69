//! The JSON of stringifiable values: one text for each value, members sorted (spec 12, "Text format").
//!
//! It is read by an own reader because a value has one text only, and because every double has to come back exactly.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Number, Value};

use super::number;
use super::order::by_utf16;
use crate::limits;

/// Integers up to here are held as integers, as `serde_json` reads them; beyond, a double is not every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a value has no text, or a text no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A member name would make the text unreadable: names are not escaped.
    Name,
    /// An integer that no double holds, or no finite number.
    Number,
    /// Nested too deeply.
    TooDeep,
    /// Too many elements.
    TooMany,
    /// Not JSON.
    NotJson,
    /// JSON that would be written otherwise.
    NotCanonical,
}

/// Appends the text of a value.
pub(super) fn write(out: &mut String, value: &Value) -> Result<(), Fault> {
    element(out, value, limits::OBJECT_DEPTH)
}

fn element(out: &mut String, value: &Value, depth: usize) -> Result<(), Fault> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(value) => {
            let value = double(value).ok_or(Fault::Number)?;
            number::write(out, value).ok_or(Fault::Number)?;
        }
        Value::String(value) => quote(out, value),
        Value::Array(items) => {
            let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                element(out, item, depth)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| by_utf16(a, b));
            out.push('{');
            for (i, (name, value)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                if !name.chars().all(is_plain) {
                    return Err(Fault::Name);
                }
                out.push('"');
                out.push_str(name);
                out.push_str("\":");
                element(out, value, depth)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// The double that is exactly this number.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn double(value: &Number) -> Option<f64> {
    if let Some(integer) = value.as_i64() {
        let double = integer as f64;
        (double as i128 == i128::from(integer)).then_some(double)
    } else if let Some(integer) = value.as_u64() {
        let double = integer as f64;
        (double as i128 == i128::from(integer)).then_some(double)
    } else {
        value.as_f64()
    }
}

/// Whether a character stands for itself between quotes.
const fn is_plain(c: char) -> bool {
    !matches!(c, '\0'..='\u{1f}' | '"' | '\\')
}

/// The letter behind the backslash, for the characters that have one.
const SHORT: [(char, char); 7] = [
    ('"', '"'),
    ('\\', '\\'),
    ('\u{8}', 'b'),
    ('\t', 't'),
    ('\n', 'n'),
    ('\u{c}', 'f'),
    ('\r', 'r'),
];

fn quote(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        if is_plain(c) {
            out.push(c);
            continue;
        }
        out.push('\\');
        match SHORT.iter().find(|(special, _)| *special == c) {
            Some((_, letter)) => out.push(*letter),
            None => {
                out.push_str("u00");
                // Only control characters are left: one byte each.
                crate::hex::push(out, &[c as u8]);
            }
        }
    }
    out.push('"');
}

/// Reads a text that [`write`] would have written. Takes its elements off the `items` that are left.
pub(super) fn read(text: &str, depth: usize, items: &mut usize) -> Result<Value, Fault> {
    let mut reader = Reader { rest: text, items };
    let value = reader.element(depth)?;
    if reader.rest.is_empty() {
        Ok(value)
    } else {
        Err(Fault::NotJson)
    }
}

struct Reader<'a, 'b> {
    rest: &'a str,
    items: &'b mut usize,
}

impl Reader<'_, '_> {
    fn eat(&mut self, what: &str) -> bool {
        match self.rest.strip_prefix(what) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn due(&mut self, what: &str) -> Result<(), Fault> {
        if self.eat(what) {
            Ok(())
        } else {
            Err(self.otherwise())
        }
    }

    /// What is wrong where nothing fits: space, which JSON may have elsewhere, or anything else.
    fn otherwise(&self) -> Fault {
        if self.rest.starts_with([' ', '\t', '\n', '\r']) {
            Fault::NotCanonical
        } else {
            Fault::NotJson
        }
    }

    /// One more element of an array or object.
    fn count(&mut self) -> Result<(), Fault> {
        *self.items = self.items.checked_sub(1).ok_or(Fault::TooMany)?;
        Ok(())
    }

    fn element(&mut self, depth: usize) -> Result<Value, Fault> {
        if self.eat("null") {
            Ok(Value::Null)
        } else if self.eat("true") {
            Ok(Value::Bool(true))
        } else if self.eat("false") {
            Ok(Value::Bool(false))
        } else if self.eat("\"") {
            self.quoted().map(Value::String)
        } else if self.eat("[") {
            self.array(depth.checked_sub(1).ok_or(Fault::TooDeep)?)
        } else if self.eat("{") {
            self.object(depth.checked_sub(1).ok_or(Fault::TooDeep)?)
        } else if self
            .rest
            .starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        {
            self.number()
        } else {
            Err(self.otherwise())
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn number(&mut self) -> Result<Value, Fault> {
        let other = |c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let end = self.rest.find(other).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end).ok_or(Fault::NotJson)?;
        self.rest = rest;
        let value = number::read(text).map_err(|unread| match unread {
            number::Unread::NotANumber => Fault::NotJson,
            number::Unread::Layout => Fault::NotCanonical,
        })?;
        if value.abs() <= EXACT && value % 1.0 == 0.0 {
            Ok(Value::from(value as i64))
        } else {
            Number::from_f64(value)
                .map(Value::Number)
                .ok_or(Fault::Number)
        }
    }

    /// A text, behind its first quote.
    fn quoted(&mut self) -> Result<String, Fault> {
        let mut value = String::new();
        loop {
            let end = self.rest.find(|c| !is_plain(c)).ok_or(Fault::NotJson)?;
            let (plain, rest) = self.rest.split_at_checked(end).ok_or(Fault::NotJson)?;
            value.push_str(plain);
            self.rest = rest;
            if self.eat("\"") {
                return Ok(value);
            }
            if !self.eat("\\") {
                return Err(Fault::NotJson); // a bare control character
            }
            value.push(self.escaped()?);
        }
    }

    /// One character, behind its backslash.
    fn escaped(&mut self) -> Result<char, Fault> {
        let mut characters = self.rest.chars();
        let letter = characters.next().ok_or(Fault::NotJson)?;
        if let Some((special, _)) = SHORT.iter().find(|(_, short)| *short == letter) {
            self.rest = characters.as_str();
            return Ok(*special);
        }
        // The only long form is that of a control character without a short one, with lower-case digits.
        let digits = self.rest.strip_prefix("u00").ok_or(Fault::NotCanonical)?;
        let (digits, rest) = digits.split_at_checked(2).ok_or(Fault::NotJson)?;
        let [byte] = crate::hex::decode::<1>(digits).ok_or(Fault::NotJson)?;
        let character = char::from(byte);
        let has_short = SHORT.iter().any(|(special, _)| *special == character);
        if byte > 0x1f || has_short || digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(Fault::NotCanonical);
        }
        self.rest = rest;
        Ok(character)
    }

    fn array(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        if self.eat("]") {
            return Ok(Value::Array(items));
        }
        loop {
            self.count()?;
            items.push(self.element(depth)?);
            if self.eat("]") {
                return Ok(Value::Array(items));
            }
            self.due(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut members = Map::new();
        let mut before: Option<&str> = None;
        if self.eat("}") {
            return Ok(Value::Object(members));
        }
        loop {
            self.count()?;
            self.due("\"")?;
            let (name, rest) = self.rest.split_once('"').ok_or(Fault::NotJson)?;
            if !name.chars().all(is_plain) {
                return Err(Fault::Name);
            }
            self.rest = rest;
            if before.is_some_and(|before| by_utf16(before, name).is_ge()) {
                return Err(Fault::NotCanonical);
            }
            before = Some(name);
            self.due(":")?;
            members.insert(name.into(), self.element(depth)?);
            if self.eat("}") {
                return Ok(Value::Object(members));
            }
            self.due(",")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> Result<String, Fault> {
        let mut out = String::new();
        write(&mut out, value)?;
        Ok(out)
    }

    fn again(text: &str) -> Result<Value, Fault> {
        read(text, 4, &mut 100)
    }

    #[test]
    fn only_a_control_character_without_a_short_form_has_the_long_one_in_lower_case() {
        assert_eq!(again(r#""\u001f""#), Ok(json!("\u{1f}")));
        for other in [r#""\u0008""#, r#""\u001F""#, r#""\u0041""#, r#""\u0100""#] {
            assert_eq!(again(other), Err(Fault::NotCanonical), "{other}");
        }
        assert_eq!(again(r#""\u00zz""#), Err(Fault::NotJson));
    }

    #[test]
    fn members_are_sorted_by_utf16_and_everything_is_written_one_way() {
        let value = json!({"é": 1, "a": -0.0, "B": [true, null, "<&>"], "9": {}, "10": [],
            "😀": 1e21, "\u{e000}": "\u{1}\u{8}\t\n\u{c}\r\u{1f}\"\\/\u{7f}\u{2028}é"});
        let written = text(&value).unwrap();
        assert_eq!(
            written,
            "{\"10\":[],\"9\":{},\"B\":[true,null,\"<&>\"],\"a\":0,\"é\":1,\"😀\":1e+21,\
             \"\u{e000}\":\"\\u0001\\b\\t\\n\\f\\r\\u001f\\\"\\\\/\u{7f}\u{2028}é\"}"
        );
        let read = again(&written).unwrap();
        assert_eq!(text(&read).unwrap(), written);
        let standard: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read.to_string(), standard.to_string());
    }

    #[test]
    fn what_has_no_text_is_refused() {
        for name in ["a\"", "a\\", "a\n", "\u{1f}"] {
            assert_eq!(text(&json!({ name: 1 })), Err(Fault::Name), "{name:?}");
        }
        assert_eq!(text(&json!(9_007_199_254_740_993_u64)), Err(Fault::Number));
        assert_eq!(text(&json!(u64::MAX)), Err(Fault::Number));
        assert_eq!(text(&json!(i64::MAX)), Err(Fault::Number));
        assert_eq!(text(&json!(1_u64 << 63)), Ok("9223372036854776000".into()));
        let nested = |n| (0..n).fold(json!(1), |value, _| json!([value]));
        assert!(text(&nested(limits::OBJECT_DEPTH)).is_ok());
        assert_eq!(text(&nested(limits::OBJECT_DEPTH + 1)), Err(Fault::TooDeep));
    }

    #[test]
    fn another_text_of_a_value_is_refused() {
        for text in [
            "[1, 2]",
            " 1",
            "{\"a\" :1}",
            "1.0",
            "-0",
            "1e3",
            "{\"b\":1,\"a\":1}",
            "{\"a\":1,\"a\":1}",
            "\"\\/\"",
            "\"\\u0041\"",
            "\"\\u001F\"",
            "\"\\u000a\"",
            "\"\\u0022\"",
            "\"\\ud83d\\ude00\"",
            "12345678901234567",
        ] {
            assert_eq!(again(text), Err(Fault::NotCanonical), "{text}");
        }
        for text in [
            "",
            "nul",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "\"",
            "\"\\",
            "\"\n\"",
            "1 2x",
            "nullx",
            "-",
            "+1",
            "NaN",
            "\"\\u00",
            "\"\\u00é\"",
            "'a'",
        ] {
            let fault = again(text);
            assert!(matches!(fault, Err(Fault::NotJson)), "{text}: {fault:?}");
        }
        assert_eq!(again("{\"a\\n\":1}"), Err(Fault::Name));
        assert_eq!(again("[[[[1]]]]").map(drop), Ok(()));
        assert_eq!(again("[[[[[1]]]]]"), Err(Fault::TooDeep));
        assert_eq!(read("[1,2,3]", 1, &mut 2), Err(Fault::TooMany));
    }
}
