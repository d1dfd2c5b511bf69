//! The messages of the layer: each is written in one place and read in one place (spec 10, "Messages").

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::data::{Data, UNDEFINED, integer, integer_of_double, is_undefined};
use super::failed::RemoteError;
use crate::fault::cut;
use crate::hex;
use crate::limits;

/// The bytes before the data of a binary chunk.
pub(super) const HEADER: usize = 8;

// ---------------------------------------------------------------- reading

/// A text, as it was understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Incoming {
    Request {
        id: u64,
        service: u64,
        /// Nothing, if it is no list.
        args: Option<Vec<Data>>,
    },
    /// The peer wants no more of a stream.
    WriteStreamError {
        id: Option<u64>,
    },
    Answer {
        id: u64,
        answer: Answer,
    },
    /// Nothing of this layer.
    Invalid,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// Whether a text in it is verbatim depends on the request.
    Data(Option<Value>),
    Chunk(TextChunk),
    StreamEnd,
    StreamError,
    /// Nothing, if it has no form.
    Error(Option<RemoteError>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextChunk {
    /// Nothing, if it is no text.
    pub(super) chunk: Option<String>,
    pub(super) encoding: Encoding,
}

/// What `encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Absent,
    Utf8,
    Base64,
    Unknown,
}

/// Not JSON, as far as this side reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson;

/// Reads a text; the checks are in the order of the spec.
pub(super) fn read(text: &str) -> Result<Incoming, NotJson> {
    let Top(envelope) = serde_json::from_str(text).map_err(|_| NotJson)?;
    let Some(envelope) = envelope else {
        return Ok(Incoming::Invalid);
    };
    let request = envelope.request_id.as_ref().and_then(whole);
    let service = envelope.service_id.as_ref().and_then(whole);
    let response = envelope.response_id.as_ref().and_then(whole);
    let kind = envelope.kind.as_ref().and_then(Value::as_str);
    Ok(match (kind, request, service, response) {
        (Some("request"), Some(id), Some(service), _) => Incoming::Request {
            id,
            service,
            args: arguments(envelope.args),
        },
        (Some("write-stream-error"), id, ..) => Incoming::WriteStreamError { id },
        (Some(kind), .., Some(id)) => {
            let answer = match kind {
                "data" => Answer::Data(envelope.data),
                "stream" => Answer::Chunk(TextChunk {
                    encoding: encoding(envelope.encoding.as_ref()),
                    chunk: text_of(envelope.chunk),
                }),
                "stream-end" => Answer::StreamEnd,
                "stream-error" => Answer::StreamError,
                "error" => Answer::Error(remote_error(envelope.error)),
                _ => return Ok(Incoming::Invalid),
            };
            Incoming::Answer { id, answer }
        }
        _ => Incoming::Invalid,
    })
}

/// Splits a binary chunk into the number of its request, if that is one, and its data. Nothing: it is too short.
pub(super) fn read_chunk(message: &[u8]) -> Option<(Option<u64>, &[u8])> {
    let (header, data) = message.split_first_chunk::<HEADER>()?;
    Some((integer_of_double(f64::from_le_bytes(*header)), data))
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => integer(number),
        _ => None,
    }
}

fn text_of(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn arguments(args: Option<Value>) -> Option<Vec<Data>> {
    match args {
        None => Some(Vec::new()),
        Some(args) if is_undefined(&args) => Some(Vec::new()),
        Some(Value::Array(args)) => {
            let args = args.into_iter().map(|arg| Data::of(Some(arg), false));
            Some(args.collect())
        }
        Some(_) => None,
    }
}

fn encoding(value: Option<&Value>) -> Encoding {
    match value {
        None => Encoding::Absent,
        Some(value) => match value.as_str() {
            Some(UNDEFINED) => Encoding::Absent,
            Some("utf8") => Encoding::Utf8,
            Some("base64") => Encoding::Base64,
            _ => Encoding::Unknown,
        },
    }
}

fn remote_error(error: Option<Value>) -> Option<RemoteError> {
    let Some(Value::Object(mut members)) = error else {
        return None;
    };
    Some(RemoteError {
        name: member(&mut members, "name", 64).unwrap_or_default(),
        message: member(&mut members, "message", 512).unwrap_or_default(),
        code: member(&mut members, "code", 64),
    })
}

fn member(members: &mut Map<String, Value>, name: &str, limit: usize) -> Option<String> {
    let text = text_of(members.remove(name)).filter(|text| text != UNDEFINED)?;
    let mut text = cut(text, limit);
    // What was cut off is not kept.
    text.shrink_to_fit();
    Some(text)
}

/// The members that any message has; the last one of a name counts, others are skipped.
#[derive(Default)]
struct Envelope {
    request_id: Option<Value>,
    response_id: Option<Value>,
    kind: Option<Value>,
    service_id: Option<Value>,
    args: Option<Value>,
    data: Option<Value>,
    chunk: Option<Value>,
    encoding: Option<Value>,
    error: Option<Value>,
}

impl Envelope {
    fn member(&mut self, name: &str) -> Option<&mut Option<Value>> {
        Some(match name {
            "requestId" => &mut self.request_id,
            "responseId" => &mut self.response_id,
            "type" => &mut self.kind,
            "serviceId" => &mut self.service_id,
            "args" => &mut self.args,
            "data" => &mut self.data,
            "chunk" => &mut self.chunk,
            "encoding" => &mut self.encoding,
            "error" => &mut self.error,
            _ => return None,
        })
    }
}

/// One JSON value: its members, if it is an object.
struct Top(Option<Envelope>);

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopVisitor).map(Self)
    }
}

struct TopVisitor;

impl<'de> Visitor<'de> for TopVisitor {
    type Value = Option<Envelope>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(name) = members.next_key::<String>()? {
            match envelope.member(&name) {
                Some(member) => *member = Some(members.next_value()?),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(envelope))
    }
}

// ---------------------------------------------------------------- writing

/// A request.
pub(super) fn request(out: &mut Vec<u8>, id: u64, service: u64, args: &[Data]) {
    put(out, "{\"requestId\":");
    put_number(out, id);
    put(out, ",\"type\":\"request\",\"serviceId\":");
    put_number(out, service);
    put(out, ",\"args\":[");
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            put(out, ",");
        }
        put_data(out, arg);
    }
    put(out, "]}");
}

/// An answer with a value.
pub(super) fn data(out: &mut Vec<u8>, id: u64, data: &Data) {
    answer(out, id, "data");
    put(out, ",\"data\":");
    put_data(out, data);
    put(out, "}");
}

/// An answer with a text.
pub(super) fn data_text(out: &mut Vec<u8>, id: u64, text: &str) {
    answer(out, id, "data");
    put(out, ",\"data\":");
    put_text(out, text);
    put(out, "}");
}

/// A chunk of a text stream.
pub(super) fn text_chunk(out: &mut Vec<u8>, id: u64, chunk: &str, is_first: bool) {
    answer(out, id, "stream");
    put(out, ",\"chunk\":");
    put_text(out, chunk);
    put(out, ",\"encoding\":\"");
    put(out, if is_first { "utf8" } else { UNDEFINED });
    put(out, "\"}");
}

/// The end of a stream.
pub(super) fn stream_end(out: &mut Vec<u8>, id: u64) {
    answer(out, id, "stream-end");
    put(out, "}");
}

/// The end of a stream that its sender cannot complete.
pub(super) fn stream_error(out: &mut Vec<u8>, id: u64) {
    answer(out, id, "stream-error");
    put(out, ",\"error\":\"Error while reading the file stream\"}");
}

/// An answer with an error. No code is an empty one.
pub(super) fn error(out: &mut Vec<u8>, id: u64, name: &str, message: &str, code: &str) {
    answer(out, id, "error");
    put(out, ",\"error\":{\"name\":");
    put_text(out, name);
    put(out, ",\"message\":");
    put_text(out, message);
    put(out, ",\"code\":");
    put_text(out, if code.is_empty() { UNDEFINED } else { code });
    put(out, "}}");
}

/// The receiver of a stream wants no more of it.
pub(super) fn write_stream_error(out: &mut Vec<u8>, id: u64) {
    put(out, "{\"requestId\":");
    put_number(out, id);
    put(out, ",\"type\":\"write-stream-error\"}");
}

/// A chunk of a binary stream.
pub(super) fn binary_chunk(out: &mut Vec<u8>, id: u64, data: &[u8]) {
    out.reserve(HEADER + data.len());
    // Numbers of requests are below 2^53, so the double is exact.
    out.extend_from_slice(&(id as f64).to_le_bytes());
    out.extend_from_slice(data);
}

/// Splits off as much of a text as fits into one chunk of a stream, and never exactly `$__undefined$`.
pub(super) fn split_text(text: &str, id: u64, is_first: bool) -> (&str, &str) {
    let mut frame = Vec::new();
    text_chunk(&mut frame, id, "", is_first);
    // A text of `WHOLE_TEXT` units is fragmented already.
    let room = (limits::WHOLE_TEXT - 1).saturating_sub(frame.len());
    let mut units = 0;
    let end = text
        .char_indices()
        .find(|(_, c)| {
            units += escaped_units(*c);
            units > room
        })
        .map_or(text.len(), |(at, _)| at);
    let (piece, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if piece == UNDEFINED {
        return text.split_at_checked(1).unwrap_or((text, ""));
    }
    (piece, rest)
}

/// UTF-16 code units of a character in a JSON text.
const fn escaped_units(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf16(),
    }
}

fn answer(out: &mut Vec<u8>, id: u64, kind: &str) {
    put(out, "{\"responseId\":");
    put_number(out, id);
    put(out, ",\"type\":\"");
    put(out, kind);
    put(out, "\"");
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    use alloc::string::ToString;
    put(out, &number.to_string());
}

fn put_data(out: &mut Vec<u8>, data: &Data) {
    use alloc::string::ToString;
    match data {
        Data::Undefined => put_text(out, UNDEFINED),
        Data::Null => put(out, "null"),
        Data::Number(number) => put_number(out, *number),
        Data::Text(text) => put_text(out, text),
        Data::Other(value) => put(out, &value.to_string()),
    }
}

/// A JSON string, escaped as `JSON.stringify` escapes. A long text is copied once, in runs.
fn put_text(out: &mut Vec<u8>, text: &str) {
    // Room for the quotes, and for some escapes: microdata has many quotes.
    out.reserve(text.len() + text.len() / 8 + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    while let Some(at) = rest.iter().position(is_special) {
        let (run, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(run);
        let Some((special, after)) = after.split_first() else {
            break;
        };
        rest = after;
        let short = match special {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            b'"' | b'\\' => *special,
            control => {
                put(out, "\\u00");
                put(out, &hex::encode(&[*control]));
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
