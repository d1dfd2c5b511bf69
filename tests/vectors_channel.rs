//! The layers of the encrypted channel against recordings of the deployed peer (spec 04). Where the deployed peer is
//! lax, the tests say what it does and what ours does.

mod support;

use chumwire::channel::{
    self, Assembled, Assembler, BadEscape, Channel, ChannelConfig, FRAGMENTATION, FragmentFault,
    KEEPALIVE, Opener, PaddingFault, Sealer, escape, is_fragmented, pad, strip, unescape,
};
use chumwire::crypto::{Purpose, Random, RawKey, Secret, Suite};
use chumwire::fault::{CloseReason, Why};
use chumwire::io::{Kind, Message, Output};
use chumwire::limits;
use chumwire::role::Role;
use chumwire::step::Step;
use chumwire::time::{Alarm, Micros, Millis, Now};
use serde_json::Value;
use support::vectors::{by_rule, bytes, is_recorded, list, load, sha256, size, text};
use support::{draws, with_both_suites};

with_both_suites!(
    long_messages_travel_in_the_recorded_pieces,
    short_texts_are_escaped_on_the_way,
    keepalives_are_the_recorded_ones_and_silence_ends_it,
    a_text_that_is_not_utf8_ends_the_channel,
);

// ---------------------------------------------------------------- padding

#[test]
fn padding_is_the_recorded_one() {
    for case in list(&load("padding")["cases"]) {
        let value = by_rule(size(&case["valueLength"]), size(&case["valueSeed"]));
        let r = size(&case["paddingByte"]) as u8;
        let draws = [
            (Purpose::PadLength, vec![r]),
            (Purpose::PadBytes, bytes(&case["randomBytes"])),
        ];
        let mut padded = Vec::new();
        let is_text = case["flags"] == 1;
        pad(is_text, &mut Random::scripted([0; 32], draws), &mut padded);
        assert_eq!(padded.len(), usize::from(r) + 1);
        padded.extend_from_slice(&value);
        assert_eq!(padded.len(), size(&case["totalLength"]));
        assert!(is_recorded(&case["output"], &padded), "r = {r}");
        assert_eq!(strip(&padded), Ok((is_text, usize::from(r) + 1)));
    }
}

/// A sender of ours never writes more than one byte of length; a reader takes up to eight.
#[test]
fn longer_paddings_are_read() {
    for case in list(&load("padding")["longerPaddings"]) {
        let value = bytes(&case["value"]);
        let mut padded = [bytes(&case["f1Byte"]), bytes(&case["f2"])].concat();
        padded.resize(padded.len() + size(&case["randomByteCount"]), 0xee);
        let start = padded.len();
        padded.extend_from_slice(&value);
        assert_eq!(padded.len(), size(&case["totalLength"]));
        assert_eq!(strip(&padded), Ok((case["flags"] == 1, start)));
        if let Value::String(_) = &case["output"] {
            let recorded = bytes(&case["output"]);
            assert_eq!(strip(&recorded), Ok((case["flags"] == 1, start)));
            assert_eq!(recorded[start..], value);
        }
    }
}

/// The deployed peer reads a length of 9 to 15 bytes by its first eight; ours refuses it (spec 04). In everything else
/// both agree, and each error of ours is a typed one.
#[test]
fn malformed_padding_is_refused() {
    let mut stricter = 0;
    for case in list(&load("padding")["malformed"]) {
        let (name, padded) = (text(&case["name"]), bytes(&case["padded"]));
        let deployed = case["removePaddingOwnBuffer"].get("returns");
        let ours = strip(&padded);
        match (deployed, ours) {
            (None, Err(PaddingFault::Empty)) => assert!(padded.is_empty(), "{name}"),
            (None, Err(PaddingFault::PastEnd)) => {}
            (_, Err(PaddingFault::LengthBytes(n @ 9..=15))) => {
                assert!(name.starts_with(&format!("F1={n}")), "{name}");
                stricter += usize::from(deployed.is_some());
            }
            (Some(deployed), Ok((is_text, start))) => {
                assert_eq!(padded[start..], bytes(&deployed["value"]), "{name}");
                assert_eq!(
                    is_text,
                    size(&deployed["flags"]) & 1 == 1,
                    "{name}: reserved flags"
                );
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(stricter, 5, "how often the deployed peer is laxer");
}

/// What the deployed writer refuses cannot be said to ours: it computes lengths by itself and has one flag.
#[test]
fn a_padding_is_always_longer_than_the_message_by_one_at_least() {
    assert!(!list(&load("padding")["addPaddingErrors"]).is_empty());
    for r in 0..=255 {
        let draws = [(Purpose::PadLength, vec![r])];
        let mut padded = Vec::new();
        pad(true, &mut Random::scripted([0; 32], draws), &mut padded);
        assert_eq!(padded.len(), usize::from(r) + 1);
    }
}

fn utf16(recorded: &Value) -> Vec<u16> {
    bytes(recorded)
        .chunks_exact(2)
        .map(|two| u16::from_le_bytes([two[0], two[1]]))
        .collect()
}

#[test]
fn texts_are_written_as_utf8() {
    for case in list(&load("padding")["stringEncodingWithPaddingByte0"]) {
        let name = text(&case["name"]);
        // A lone surrogate does not exist here; the deployed peer writes U+FFFD for it, and so does the conversion.
        let message = String::from_utf16_lossy(&utf16(&case["utf16"]));
        let mut padded = Vec::new();
        let draws = [(Purpose::PadLength, vec![0])];
        pad(true, &mut Random::scripted([0; 32], draws), &mut padded);
        padded.extend_from_slice(message.as_bytes());
        assert_eq!(padded, bytes(&case["padded"]), "{name}");
    }
}

/// The deployed peer drops a leading byte order mark and replaces what is not UTF-8; ours keeps the one and ends the
/// channel at the other (spec 00).
fn a_text_that_is_not_utf8_ends_the_channel<S: Suite<Pair: RawKey>>() {
    for case in list(&load("padding")["stringDecoding"]) {
        let (name, sent) = (text(&case["name"]), bytes(&case["bytes"]));
        let mut sealer = Sealer::new(key::<S>(), Role::Initiator, Random::new([1; 32]));
        let mut frame = Vec::new();
        sealer.seal(true, &sent, 0, &mut frame).expect("a counter");
        let mut receiver = end::<S>(Role::Acceptor);
        receiver
            .message(NOW, Message::Binary(&frame))
            .expect("room");
        match std::str::from_utf8(&sent) {
            Ok(due) => {
                assert_eq!(receiver.received(), Some(Message::Text(due)), "{name}");
                let deployed = due.strip_prefix('\u{feff}').unwrap_or(due);
                assert_eq!(deployed, text(&case["delivered"]), "{name}");
            }
            Err(_) => {
                assert!(text(&case["delivered"]).contains('\u{fffd}'), "{name}");
                assert_eq!(receiver.received(), None, "{name}");
                assert_eq!(end_of(&mut receiver), Some(Why::NotUtf8), "{name}");
            }
        }
    }
}

// ---------------------------------------------------------------- two ends of a channel

const NOW: Now = Now {
    mono: Micros::ZERO,
    wall: Millis(0),
};

fn key<S: Suite<Pair: RawKey>>() -> S::Pair {
    S::Pair::from_raw(Secret::take(&mut [7; 32]))
}

fn end<S: Suite<Pair: RawKey>>(role: Role) -> Channel<S> {
    let random = Random::new([role.first_counter() as u8; 32]);
    Channel::from_session_key(
        NOW,
        Secret::take(&mut [7; 32]),
        role,
        random,
        Default::default(),
    )
}

fn frames<S: Suite>(channel: &mut Channel<S>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut bytes = Vec::new();
    while channel.has_frames() {
        assert_eq!(
            channel.poll::<()>(&mut bytes),
            Some(Output::Send(Kind::Binary))
        );
        frames.push(std::mem::take(&mut bytes));
    }
    frames
}

fn end_of<S: Suite>(channel: &mut Channel<S>) -> Option<Why> {
    match channel.poll::<()>(&mut Vec::new()) {
        Some(Output::Fault(fault)) => Some(fault.why),
        other => {
            assert_eq!(other, None);
            None
        }
    }
}

/// Whether the plaintext of a frame is the recorded message of the layer below fragmentation.
fn is_sent(recorded: &Value, is_text: bool, content: &[u8]) -> bool {
    if recorded["kind"] == "binary" {
        return !is_text
            && size(&recorded["length"]) == content.len()
            && text(&recorded["sha256"]) == sha256(content);
    }
    is_text
        && match recorded.get("text") {
            Some(due) => text(due).as_bytes() == content,
            None => {
                size(&recorded["utf8Length"]) == content.len()
                    && text(&recorded["sha256OfUtf8"]) == sha256(content)
            }
        }
}

// ---------------------------------------------------------------- escape

/// The deployed peer cuts the last character of any text that starts with a keyword; ours wants an `x` there, or
/// reports `BadEscape` (spec 04).
fn ours(deployed: &str, message: &str) -> Result<String, BadEscape> {
    if deployed == message || message.ends_with('x') {
        Ok(deployed.to_owned())
    } else {
        Err(BadEscape)
    }
}

#[test]
fn escaping_is_the_recorded_one() {
    let vectors = load("escape");
    let recorded: Vec<&str> = list(&vectors["fragmentationKeywordsInOrder"])
        .iter()
        .map(text)
        .collect();
    assert_eq!(recorded, FRAGMENTATION);
    assert_eq!(text(&vectors["keepaliveKeyword"]), KEEPALIVE);
    for case in list(&vectors["cases"]) {
        let message = text(&case["message"]);
        assert_eq!(escape(message, &[KEEPALIVE]), text(&case["keepaliveOut"]));
        let fragmentation = escape(message, &FRAGMENTATION);
        assert_eq!(fragmentation, text(&case["fragmentationOut"]));
        assert_eq!(
            escape(&fragmentation, &[KEEPALIVE]),
            text(&case["wholeStackOut"])
        );
        assert_eq!(unescape(&fragmentation, &FRAGMENTATION), Ok(message));
        for (words, deployed) in [
            (&[KEEPALIVE][..], &case["keepaliveUnescape"]),
            (&FRAGMENTATION[..], &case["fragmentationUnescape"]),
        ] {
            let got = unescape(message, words).map(str::to_owned);
            match deployed.get("returns") {
                Some(returned) => assert_eq!(got, ours(text(returned), message), "{message:?}"),
                // A keyword itself is never unescaped.
                None => assert_eq!(got, Err(BadEscape), "{message:?}"),
            }
        }
        // `null`: it was taken as a sign of life.
        assert_eq!(
            case["keepaliveIn"]["returns"].is_null(),
            message == KEEPALIVE
        );
    }
}

#[test]
fn several_keywords_are_escaped_as_recorded() {
    for case in list(&load("escape")["genericSeveralKeywords"]) {
        let words: Vec<&str> = list(&case["keywords"]).iter().map(text).collect();
        let message = text(&case["message"]);
        let escaped = escape(message, &words);
        assert_eq!(escaped, text(&case["escaped"]), "{words:?} {message}");
        assert_eq!(
            unescape(&escaped, &words),
            Ok(message),
            "{words:?} {message}"
        );
        let got = unescape(message, &words);
        match case["unescapeOfMessageItself"].get("returns") {
            // Only marks are ever cut by ours.
            Some(returned) => match got {
                Ok(got) => assert_eq!(got, text(returned), "{words:?} {message}"),
                Err(BadEscape) => {
                    let cut = &message[text(returned).len()..];
                    let marks_alone = cut.chars().all(|c| c == 'x');
                    assert!(!marks_alone, "{words:?} {message}");
                }
            },
            None => assert_eq!(got, Err(BadEscape), "{words:?} {message}"),
        }
    }
}

/// Through the whole stack, each text arrives as it was sent, and is on the wire as recorded.
///
/// Demands: M4.4.
fn short_texts_are_escaped_on_the_way<S: Suite<Pair: RawKey>>() {
    let (mut from, mut to) = (end::<S>(Role::Initiator), end::<S>(Role::Acceptor));
    let mut opener = Opener::new(key::<S>(), Role::Initiator);
    for case in list(&load("escape")["cases"]) {
        let message = text(&case["message"]);
        from.send(NOW, Message::Text(message)).expect("room");
        let sent = frames(&mut from);
        let [frame] = &sent[..] else {
            panic!("a short text is one frame")
        };
        let mut plain = Vec::new();
        let opened = opener.open(frame, &mut plain).expect("a good frame");
        assert!(opened.text);
        assert_eq!(
            &plain[opened.start..],
            text(&case["wholeStackOut"]).as_bytes()
        );
        to.message(NOW, Message::Binary(frame)).expect("room");
        assert_eq!(to.received(), Some(Message::Text(message)));
    }
}

// ---------------------------------------------------------------- fragmentation

enum Content {
    Text(String),
    Binary(Vec<u8>),
}

impl Content {
    fn message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// The recorded input, made by its rule.
fn content(input: &Value) -> Content {
    if input["kind"] == "binary" {
        let length = size(&input["length"]);
        return Content::Binary(match input.get("seed") {
            Some(seed) => by_rule(length, size(seed)),
            // A view at offset 10 of a buffer of seed 1.
            None => by_rule(20, 1)[10..].to_vec(),
        });
    }
    let units = size(&input["utf16Length"]);
    let text = match text(&input["content"]) {
        "ascii" => (0..units)
            .map(|i| char::from(b'a' + (i % 26) as u8))
            .collect(),
        "two-byte" => "ä".repeat(units),
        "three-byte" => "€".repeat(units),
        "four-byte" => "a".repeat(units % 2) + &"😀".repeat(units / 2),
        rule if rule.contains("U+FEFF") => "\u{feff}".to_owned() + &"a".repeat(units - 1),
        rule if rule.contains("keyword") => channel::END.to_owned() + &"a".repeat(units - 17),
        other => panic!("an unknown rule: {other}"),
    };
    assert_eq!(text.encode_utf16().count(), units);
    if let Some(hash) = input.get("sha256OfUtf8") {
        assert_eq!(
            hash,
            &sha256(text.as_bytes()),
            "the rule makes the recorded text"
        );
    }
    Content::Text(text)
}

/// Each arrives as it was sent. (The deployed receiver drops a leading byte order mark of a long text; ours keeps it.)
fn long_messages_travel_in_the_recorded_pieces<S: Suite<Pair: RawKey>>() {
    let vectors = load("fragmentation");
    assert_eq!(size(&vectors["chunkSize"]), limits::FRAGMENT);
    for case in list(&vectors["cases"]) {
        let input = content(&case["input"]);
        let message = input.message();
        let (mut from, mut to) = (end::<S>(Role::Initiator), end::<S>(Role::Acceptor));
        from.send(NOW, message).expect("room");
        let sent = frames(&mut from);
        let recorded = list(&case["sent"]);
        assert_eq!(sent.len(), recorded.len(), "{}", case["input"]);
        assert_eq!(
            is_fragmented(message.kind(), message.bytes()),
            recorded.len() > 1
        );
        let mut opener = Opener::new(key::<S>(), Role::Initiator);
        for (frame, due) in sent.iter().zip(recorded) {
            assert!(frame.len() <= limits::FRAME);
            let mut plain = Vec::new();
            let opened = opener.open(frame, &mut plain).expect("a good frame");
            assert!(is_sent(due, opened.text, &plain[opened.start..]), "{due}");
            assert_eq!(to.received(), None);
            to.message(NOW, Message::Binary(frame)).expect("room");
        }
        assert!(to.received() == Some(message), "{}", case["input"]);
    }
}

#[test]
fn fragments_that_do_not_fit_are_refused_by_name() {
    for case in list(&load("fragmentation")["errors"]) {
        let name = text(&case["name"]);
        let due = match name {
            "end without start" => FragmentFault::EndOutside,
            name if name.starts_with("start ") => FragmentFault::StartInside,
            name if name.contains(" inside ") => FragmentFault::TextInside,
            other => panic!("no entry for {other}"),
        };
        let mut assembler = Assembler::new(limits::ASSEMBLED);
        let (last, before) = list(&case["incoming"])
            .split_last()
            .expect("something comes");
        for word in before {
            assert_eq!(assembler.text(text(word)), Ok(Assembled::Nothing), "{name}");
        }
        assert_eq!(assembler.text(text(last)), Err(due), "{name}");
    }
}

/// An assembled text that is not UTF-8 is an error of ours; the deployed peer replaces what is wrong in it.
#[test]
fn odd_fragments_are_taken_as_recorded_but_not_bad_utf8() {
    for case in list(&load("fragmentation")["oddities"]) {
        let name = text(&case["name"]);
        let mut assembler = Assembler::new(limits::ASSEMBLED);
        let mut delivered = Vec::new();
        let mut fault = None;
        for piece in list(&case["incoming"]) {
            let piece_bytes;
            let result = match text(&piece["kind"]) {
                "string" => assembler.text(text(&piece["text"])),
                _ => {
                    piece_bytes = match piece.get("hex") {
                        Some(digits) => bytes(digits),
                        None => by_rule(size(&piece["length"]), 9),
                    };
                    assembler.binary(&piece_bytes)
                }
            };
            match result {
                Ok(Assembled::Nothing) => {}
                Ok(Assembled::Text(text)) => delivered.push((true, text.as_bytes().to_vec())),
                Ok(Assembled::LongText(text)) => delivered.push((true, text.into_bytes())),
                Ok(Assembled::Binary(bytes)) => delivered.push((false, bytes.to_vec())),
                Ok(Assembled::LongBinary(bytes)) => delivered.push((false, bytes)),
                Err(why) => fault = Some(why),
            }
        }
        let recorded = list(&case["delivered"]);
        if name == "string chunks with invalid UTF-8" {
            assert_eq!((fault, delivered.len()), (Some(FragmentFault::NotUtf8), 0));
            continue;
        }
        assert_eq!((fault, delivered.len()), (None, recorded.len()), "{name}");
        for ((is_text, content), due) in delivered.iter().zip(recorded) {
            assert!(is_sent(due, *is_text, content), "{name}");
        }
        // Whether it still waits for the end shows in what an end does now.
        let state = &case["stateAfter"];
        let waits = state["string"] == true || state["binary"] == true;
        assert_eq!(assembler.text(channel::END).is_ok(), waits, "{name}");
    }
}

/// What the recorded version sends for a blob: start, end, and nothing between. It arrives as an empty message.
#[test]
fn the_empty_blobs_of_the_recorded_version_arrive_empty() {
    for sent in list(&load("fragmentation")["vendorBug"]["sent"]) {
        let mut assembler = Assembler::new(limits::ASSEMBLED);
        let words: Vec<&str> = list(sent)
            .iter()
            .map(|piece| text(&piece["text"]))
            .collect();
        assert_eq!(assembler.text(words[0]), Ok(Assembled::Nothing));
        assert_eq!(
            assembler.text(words[1]),
            Ok(Assembled::LongBinary(Vec::new()))
        );
    }
}

// ---------------------------------------------------------------- keepalive

/// Recorded times are a little later than due, never earlier.
fn is_due(recorded: &Value, due: Micros, since: f64) {
    let late = recorded.as_f64().expect("a time") - since - due.as_millis() as f64;
    assert!((0.0..50.0).contains(&late), "{late} ms late");
}

/// Demands: M4.6.
fn keepalives_are_the_recorded_ones_and_silence_ends_it<S: Suite<Pair: RawKey>>() {
    let vectors = load("keepalive");
    let messages = list(&vectors["messages"]);
    let side = |role: Role| {
        let sent = messages.iter().filter(move |m| m["from"] == role.name());
        let draws = sent
            .filter_map(|m| m.get("enc"))
            .flat_map(|f| draws::of_padding(&f["padded"]));
        let key = support::vectors::array(&vectors["keys"]["sessionSharedKey"]);
        let random = Random::scripted([0; 32], draws);
        let config = ChannelConfig::default();
        Channel::<S>::from_session_key(NOW, Secret::take(&mut { key }), role, random, config)
    };
    let (mut initiator, mut acceptor) = (side(Role::Initiator), side(Role::Acceptor));
    let start = messages[3]["t"]
        .as_f64()
        .expect("the time of the last key message");
    let wire = |n: usize| bytes(&messages[n]["wire"]["hex"]);

    // Both are silent for 20 s; each gives a sign of life of its own.
    let mut now = NOW;
    now.mono = Micros::secs(20);
    for (channel, n) in [(&mut acceptor, 4), (&mut initiator, 5)] {
        let deadline = channel.deadline().expect("a deadline");
        assert_eq!(
            (deadline.at, deadline.why),
            (now.mono, Alarm::KeepaliveSend)
        );
        is_due(&messages[n]["t"], deadline.at, start);
        channel.tick(Now {
            mono: Micros(now.mono.0 - 1),
            ..now
        });
        assert!(!channel.has_frames(), "not a moment earlier");
        channel.tick(now);
        assert_eq!(frames(channel), [wire(n)]);
    }
    acceptor
        .message(now, Message::Binary(&wire(5)))
        .expect("room");
    initiator
        .message(now, Message::Binary(&wire(4)))
        .expect("room");
    assert_eq!(
        (acceptor.received(), initiator.received()),
        (None, None),
        "they are swallowed"
    );

    // The initiator falls silent. The acceptor sends once more, and gives up 25 s after it heard something last.
    now.mono = Micros::secs(40);
    acceptor.tick(now);
    assert_eq!(frames(&mut acceptor), [wire(6)]);
    is_due(&messages[6]["t"], now.mono, start);
    let deadline = acceptor.deadline().expect("a deadline");
    assert_eq!(
        (deadline.at, deadline.why),
        (Micros::secs(45), Alarm::KeepaliveGiveUp)
    );
    is_due(&messages[7]["t"], deadline.at, start);
    acceptor.tick(Now {
        mono: deadline.at,
        ..now
    });
    let fault = end_of(&mut acceptor)
        .expect("it has ended")
        .at(Step::Connected);
    assert_eq!(fault.why, Why::Silent);
    assert_eq!(
        CloseReason::of(&fault).text(),
        text(&messages[7]["close"]["reason"])
    );
    assert_eq!(acceptor.deadline(), None);
}
