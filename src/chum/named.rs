//! What a message of a group is called in notes and pictures: by its first bytes, without reading it whole.

use super::services::{SYNCHRONISATION, Service};
use crate::io::Message;

/// The name of a message of an established connection; `message` for what is not of CHUM.
#[must_use]
pub fn name_of(message: Message<'_>) -> &'static str {
    const OTHER: &str = "message";
    let text = match message {
        Message::Text(SYNCHRONISATION) => return SYNCHRONISATION,
        Message::Text(text) => text,
        // The number of a request, and some bytes of a file.
        Message::Binary(bytes) if bytes.len() >= 8 => return "chunk",
        Message::Binary(_) => return OTHER,
    };
    let after = |text: &'_ str, word: &str| -> Option<usize> {
        // Members come in the order of the protocol, so the words stand near the beginning.
        let head = text.get(..text.floor_char_boundary(128))?;
        head.find(word).map(|at| at + word.len())
    };
    if text.starts_with(r#"{"requestId":"#) {
        let service = after(text, r#""serviceId":"#).and_then(|at| {
            let rest = text.get(at..)?;
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            Service::of(rest.get(..end)?.parse().ok()?)
        });
        return match service {
            Some(service) => service.name(),
            None if after(text, r#""type":"write-stream-error""#).is_some() => "write-stream-error",
            None => "request",
        };
    }
    if text.starts_with(r#"{"responseId":"#) {
        let kinds = ["data", "stream-end", "stream-error", "stream", "error"];
        let is = |kind: &&str| {
            after(text, r#""type":""#)
                .and_then(|at| text.get(at..)?.strip_prefix(*kind)?.strip_prefix('"'))
                .is_some()
        };
        return kinds.into_iter().find(is).unwrap_or("answer");
    }
    OTHER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_names_in_the_protocol() {
        let cases = [
            ("synchronisation", "synchronisation"),
            (
                r#"{"requestId":0,"type":"request","serviceId":1,"args":[]}"#,
                "GET_PROTOCOL_VERSION",
            ),
            (
                r#"{"requestId":7,"type":"request","serviceId":77,"args":[]}"#,
                "request",
            ),
            (
                r#"{"requestId":7,"type":"write-stream-error"}"#,
                "write-stream-error",
            ),
            (r#"{"responseId":0,"type":"data","data":8}"#, "data"),
            (r#"{"responseId":5,"type":"stream-end"}"#, "stream-end"),
            (
                r#"{"responseId":5,"type":"stream","chunk":"x","encoding":"utf8"}"#,
                "stream",
            ),
            (r#"{"responseId":5}"#, "answer"),
            ("hello", "message"),
            ("", "message"),
        ];
        for (text, name) in cases {
            assert_eq!(name_of(Message::Text(text)), name, "{text}");
        }
        assert_eq!(name_of(Message::Binary(&[0; 9])), "chunk");
        assert_eq!(name_of(Message::Binary(&[])), "message");
    }
}
