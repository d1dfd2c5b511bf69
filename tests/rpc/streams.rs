//! Streams in both directions: chunks, encodings, sizes, ends, and the fault of a deployed sender.

use chumwire::io::{Kind, Message};
use chumwire::limits;
use chumwire::rpc::{Failed, MAX_INTEGER, RequestId, UNDEFINED, Want};
use chumwire::time::Micros;

use crate::bench::{Bench, chunk, end, failed};
use crate::vectors::{by_rule, unhex};

const NOTICE: &str = r#"{"requestId":0,"type":"write-stream-error"}"#;
const END: &str = r#"{"responseId":0,"type":"stream-end"}"#;

fn text_chunk(chunk: &str, encoding: &str) -> String {
    format!(r#"{{"responseId":0,"type":"stream","chunk":"{chunk}"{encoding}}}"#)
}

/// A machine that serves the request of that number.
fn serving(id: u64) -> Bench {
    let mut bench = Bench::new();
    bench.text(&format!(
        r#"{{"requestId":{id},"type":"request","serviceId":8}}"#
    ));
    bench.told();
    bench
}

// ---------------------------------------------------------------- sending

#[test]
fn the_numbers_in_binary_chunks() {
    for (id, header) in [
        (0, "0000000000000000"),
        (1, "000000000000f03f"),
        (2, "0000000000000040"),
        (3, "0000000000000840"),
        (4, "0000000000001040"),
        (19, "0000000000003340"),
        (1000, "0000000000408f40"),
        (1 << 32, "000000000000f041"),
        (MAX_INTEGER, "ffffffffffff3f43"),
    ] {
        let mut bench = serving(id);
        bench.rpc.chunk(RequestId(id), &[0, 1, 2, 0xff]);
        bench.rpc.chunk(RequestId(id), &[]);
        bench.rpc.end_stream(RequestId(id));
        bench.poll();
        let expected = [unhex(header), vec![0, 1, 2, 0xff]].concat();
        assert_eq!(bench.sent[0], (Kind::Binary, expected));
        let end = format!(r#"{{"responseId":{id},"type":"stream-end"}}"#);
        assert_eq!(bench.sent[1], (Kind::Text, end.into_bytes()));
        assert_eq!(bench.sent.len(), 2);
    }
}

#[test]
fn binary_chunks_are_not_fragmented() {
    let mut bench = serving(19);
    bench.rpc.chunk(RequestId(19), &by_rule(200_000, 7));
    bench.poll();
    let lengths: Vec<usize> = bench.sent.iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [65_536, 65_536, 65_536, 3_424]);
    let whole: Vec<u8> = bench
        .sent
        .iter()
        .flat_map(|(_, bytes)| bytes[8..].to_vec())
        .collect();
    assert_eq!(whole, by_rule(200_000, 7));
}

/// Messages stay below the length at which texts are fragmented, characters are whole, the first one alone names
/// the encoding.
#[test]
fn text_chunks_are_not_fragmented() {
    let mut long = String::new();
    for c in ['a', '"', '\n', '\u{1}', 'é', '—', '😀', '\\'] {
        long.extend(std::iter::repeat_n(c, 20_011));
    }
    let mut bench = serving(5);
    bench.rpc.text_chunk(RequestId(5), &long);
    bench.rpc.text_chunk(RequestId(5), "");
    bench.rpc.end_stream(RequestId(5));
    bench.poll();
    let mut texts = bench.texts();
    assert_eq!(
        texts.pop().as_deref(),
        Some(r#"{"responseId":5,"type":"stream-end"}"#)
    );
    let mut whole = String::new();
    for (index, text) in texts.iter().enumerate() {
        assert!(text.encode_utf16().count() < limits::WHOLE_TEXT);
        // Whole but for less than one more character, save the last.
        assert!(index + 1 == texts.len() || text.encode_utf16().count() > limits::WHOLE_TEXT - 7);
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(
            value["encoding"],
            if index == 0 { "utf8" } else { UNDEFINED }
        );
        whole.push_str(value["chunk"].as_str().expect("a text"));
    }
    assert!(whole == long);
}

#[test]
fn no_chunk_is_exactly_the_word_for_undefined() {
    let mut bench = serving(5);
    bench.rpc.text_chunk(RequestId(5), UNDEFINED);
    bench.poll();
    assert_eq!(
        bench.texts(),
        [
            r#"{"responseId":5,"type":"stream","chunk":"$","encoding":"utf8"}"#,
            r#"{"responseId":5,"type":"stream","chunk":"__undefined$","encoding":"$__undefined$"}"#,
        ]
    );
}

// ---------------------------------------------------------------- receiving

#[test]
fn a_binary_file() {
    let mut bench = Bench::asking(&[
        Want::Value,
        Want::Value,
        Want::Value,
        Want::Value,
        Want::Stream,
    ]);
    bench.binary(&unhex("0000000000001040000102ff"));
    // A chunk of nothing is none.
    bench.binary(&unhex("0000000000001040"));
    bench.text(r#"{"responseId":4,"type":"stream-end"}"#);
    assert_eq!(bench.told(), [chunk(4), end(4, 0)]);
    assert_eq!(bench.bytes, [0, 1, 2, 0xff]);
}

#[test]
fn text_files() {
    let (utf8, base64) = (r#","encoding":"utf8""#, r#","encoding":"base64""#);
    let none = r#","encoding":"$__undefined$""#;
    let cases: [(&[String], &[u8]); 6] = [
        (
            &[text_chunk("Grüße, clob text", utf8)],
            "Grüße, clob text".as_bytes(),
        ),
        (
            &[
                text_chunk("a", utf8),
                text_chunk("\\u0000b", none),
                text_chunk("c", ""),
            ],
            b"a\0bc",
        ),
        (&[text_chunk("a", utf8), text_chunk("b", utf8)], b"ab"),
        (
            &[text_chunk("AAEC/w==", base64), text_chunk("Zg==", none)],
            &[0, 1, 2, 0xff, b'f'],
        ),
        (&[text_chunk("", utf8), text_chunk("b", none)], b"b"),
        (
            &[text_chunk(UNDEFINED, utf8), text_chunk(UNDEFINED, none)],
            b"$__undefined$$__undefined$",
        ),
    ];
    for (chunks, expected) in cases {
        let mut bench = Bench::asking(&[Want::Stream]);
        chunks.iter().for_each(|text| bench.text(text));
        bench.text(END);
        assert_eq!(bench.bytes, expected);
        assert_eq!(bench.told().last(), Some(&end(0, 0)));
        assert_eq!(bench.texts(), [""; 0]);
    }
}

#[test]
fn an_empty_file_is_an_end_without_a_chunk() {
    let mut bench = Bench::asking(&[Want::Stream]);
    bench.text(END);
    assert_eq!(bench.told(), [end(0, 0)]);
}

#[test]
fn a_failure_at_the_sender() {
    for begun in [false, true] {
        let mut bench = Bench::asking(&[Want::Stream]);
        if begun {
            bench.binary(&[0; 9]);
            assert_eq!(bench.told(), [chunk(0)]);
        }
        bench.text(r#"{"responseId":0,"type":"stream-error","error":"Error while reading the file stream"}"#);
        assert_eq!(bench.told(), [failed(0, Failed::StreamFailedAtSender)]);
        assert_eq!(bench.texts(), [""; 0]);
    }
}

#[test]
fn malformed_and_mixed_streams_fail_and_the_sender_is_told_once() {
    let base64 = r#","encoding":"base64""#;
    let bad = [
        text_chunk("a", ""),
        text_chunk("a", r#","encoding":"$__undefined$""#),
        text_chunk("a", r#","encoding":"latin1""#),
        text_chunk("a", r#","encoding":null"#),
        text_chunk("Zg=", base64),
        text_chunk("Zg==\\n", base64),
        r#"{"responseId":0,"type":"stream","encoding":"utf8"}"#.into(),
        r#"{"responseId":0,"type":"stream","chunk":7,"encoding":"utf8"}"#.into(),
    ];
    for text in bad {
        let mut bench = Bench::asking(&[Want::Stream]);
        bench.text(&text);
        bench.text(&text);
        assert_eq!(bench.told(), [failed(0, Failed::BadChunk)], "{text}");
        assert_eq!(bench.texts(), [NOTICE]);
        assert_eq!(bench.rpc.stats().chunks_late, 1);
    }
    type Then = fn(&mut Bench);
    let mixed: [(Then, Then); 5] = [
        (
            |b| b.text(&text_chunk("a", r#","encoding":"utf8""#)),
            |b| b.binary(&[0; 9]),
        ),
        (
            |b| b.binary(&[0; 9]),
            |b| b.text(&text_chunk("a", r#","encoding":"utf8""#)),
        ),
        (|b| b.binary(&[0; 8]), |b| b.text(&text_chunk("a", ""))),
        (
            |b| b.text(&text_chunk("a", r#","encoding":"utf8""#)),
            |b| b.text(&text_chunk("Zg==", r#","encoding":"base64""#)),
        ),
        (
            |b| b.text(&text_chunk("Zg==", r#","encoding":"base64""#)),
            |b| b.text(&text_chunk("Zg==", r#","encoding":null"#)),
        ),
    ];
    for (first, second) in mixed {
        let mut bench = Bench::asking(&[Want::Stream]);
        first(&mut bench);
        bench.told();
        second(&mut bench);
        second(&mut bench);
        bench.text(END);
        assert_eq!(bench.told(), [failed(0, Failed::MixedStream)]);
        assert_eq!(bench.texts(), [NOTICE]);
    }
}

/// A chunk for a number that was never asked for opens nothing.
///
/// Demands: M8.1.
#[test]
fn chunks_for_nothing_are_dropped_and_counted() {
    let mut bench = Bench::asking(&[Want::Stream]);
    let doubles = [
        -0.0,
        0.5,
        -1.0,
        f64::NAN,
        f64::INFINITY,
        1e300,
        9_007_199_254_740_992.0,
        1.0,
    ];
    for double in doubles {
        bench.binary(&[&double.to_le_bytes()[..], b"data"].concat());
    }
    assert_eq!((bench.told(), bench.texts()), (vec![], vec![]));
    assert_eq!(bench.rpc.stats().chunks_dropped, doubles.len() as u64);
    assert_eq!(bench.rpc.open_requests(), 1);
}

#[test]
fn a_message_too_short_for_a_number_is_the_deployed_fault() {
    let mut bench = Bench::asking(&[Want::Stream]);
    for length in 0..8 {
        bench.binary(&vec![0; length]);
    }
    let later = bench.ask(Want::Stream);
    bench.binary(&[]);
    bench.text(&format!(
        r#"{{"responseId":{},"type":"stream-end"}}"#,
        later.0
    ));
    bench.text(END);
    assert_eq!(bench.told(), [end(1, 1), end(0, 9)]);
    assert_eq!(bench.rpc.stats().empty_chunks, 9);
    assert_eq!(bench.rpc.stats().chunks_dropped, 0);
    assert!(bench.bytes.is_empty());
}

// ---------------------------------------------------------------- cancelling

#[test]
fn cancelling_tells_the_sender_once_and_drops_the_rest() {
    let mut bench = Bench::asking(&[Want::Stream]);
    bench.binary(&[0; 9]);
    bench.rpc.message(bench.now, Message::Binary(&[0; 10]));
    bench.rpc.cancel(RequestId(0));
    bench.rpc.cancel(RequestId(0));
    bench.rpc.cancel(RequestId(5));
    bench.poll();
    // What had come comes before the end.
    assert_eq!(
        bench.told(),
        [chunk(0), chunk(0), failed(0, Failed::Cancelled)]
    );
    assert_eq!(bench.texts(), [NOTICE]);
    bench.pass(Micros::millis(9_999));
    bench.binary(&[0; 9]);
    bench.text(&text_chunk("x", ""));
    bench.text(
        r#"{"responseId":0,"type":"stream-error","error":"Error while reading the file stream"}"#,
    );
    assert_eq!((bench.told(), bench.texts()), (vec![], vec![]));
    assert_eq!(bench.rpc.stats().chunks_late, 2);
    assert_eq!(bench.rpc.stats().chunks_dropped, 0);
    bench.pass(Micros::millis(1));
    bench.binary(&[0; 9]);
    assert_eq!(bench.rpc.stats().chunks_dropped, 1);
}

#[test]
fn cancelling_a_value_tells_nobody() {
    let mut bench = Bench::asking(&[Want::Value]);
    bench.rpc.cancel(RequestId(0));
    bench.poll();
    bench.text(r#"{"responseId":0,"type":"data","data":1}"#);
    assert_eq!(bench.told(), [failed(0, Failed::Cancelled)]);
    assert_eq!(bench.texts(), [""; 0]);
}
