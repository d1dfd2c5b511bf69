//! The peer's requests: what a receiver does with a text, and what it answers.

use chumwire::io::Message;
use chumwire::rpc::{Data, MAX_INTEGER, Refusal, RequestId, RpcConfig, UNDEFINED, Want};
use serde_json::json;

use crate::bench::{Bench, answered, asked, cancelled};

const RQ_DUP: &str = r#"{"responseId":7,"type":"error","error":{"name":"Error","message":"RQ-DUP: A request of this number is being served","code":"RQ-DUP"}}"#;

fn request(id: &str, rest: &str) -> String {
    format!(r#"{{"requestId":{id},"type":"request"{rest}}}"#)
}

/// Rows 1 and 5 of the table: ignored, and counted.
#[test]
fn what_is_nothing_of_the_layer() {
    let mut bench = Bench::asking(&[Want::Value, Want::Stream]);
    let texts = [
        "",
        " ",
        "synchronisation",
        "{",
        "null",
        "1",
        "true",
        "\"text\"",
        "[]",
        "{}",
        "[[{}],1]",
        r#"{"type":"foo"}"#,
        r#"{"command":"ping"}"#,
        r#"{"responseId":0}"#,
        r#"{"responseId":0,"type":"foo"}"#,
        r#"{"responseId":0,"type":7}"#,
        r#"{"responseId":"0","type":"data"}"#,
        r#"{"responseId":0.5,"type":"data"}"#,
        r#"{"responseId":-0,"type":"data"}"#,
        r#"{"responseId":-1,"type":"stream-end"}"#,
        r#"{"requestId":0,"type":"request"}"#,
        r#"{"type":"request","serviceId":1}"#,
        r#"{"requestId":0,"type":"data","data":1}"#,
    ];
    for text in texts {
        bench.text(text);
    }
    assert_eq!((bench.told(), bench.texts()), (vec![], vec![]));
    assert_eq!(
        bench.rpc.stats().requests_received_invalid,
        texts.len() as u64
    );
    assert_eq!(bench.rpc.stats().requests_received_total, 0);
    assert_eq!(bench.rpc.open_requests(), 2);
}

/// Row 2: integers in 0..2^53 in any spelling are numbers, and are echoed plainly.
#[test]
fn numbers() {
    for (id, read) in [
        ("0", 0),
        ("8.0", 8),
        ("1e3", 1000),
        ("9007199254740991", MAX_INTEGER),
        ("1.0", 1),
    ] {
        let mut bench = Bench::new();
        bench.text(&request(id, &format!(r#","serviceId":{id},"args":[]"#)));
        assert_eq!(bench.told(), [asked(read, read, &[])]);
        bench.rpc.answer(RequestId(read), &Data::Number(8));
        bench.poll();
        assert_eq!(
            bench.texts(),
            [format!(r#"{{"responseId":{read},"type":"data","data":8}}"#)]
        );
    }
    let mut bench = Bench::new();
    let bad = [
        "-1",
        "-0",
        "-0.0",
        "0.5",
        "1e300",
        "\"1\"",
        "null",
        "9007199254740992",
        "[1]",
    ];
    for bad in bad {
        bench.text(&request(bad, r#","serviceId":1"#));
        bench.text(&request("1", &format!(r#","serviceId":{bad}"#)));
    }
    assert_eq!((bench.told(), bench.texts()), (vec![], vec![]));
    assert_eq!(
        bench.rpc.stats().requests_received_invalid,
        2 * bad.len() as u64
    );
}

#[test]
fn arguments() {
    let text = |text: &str| Data::from(text);
    let cases = [
        ("", vec![]),
        (r#","args":[]"#, vec![]),
        (r#","args":"$__undefined$""#, vec![]),
        (
            r#","args":["8d97","$__undefined$"]"#,
            vec![text("8d97"), Data::Undefined],
        ),
        (
            r#","args":[1,null,-2,"é"],"x":1"#,
            vec![
                Data::Number(1),
                Data::Null,
                Data::Other(json!(-2)),
                text("é"),
            ],
        ),
    ];
    for (args, expected) in cases {
        let mut bench = Bench::new();
        bench.text(&request("3", &format!(r#","serviceId":8{args}"#)));
        assert_eq!(bench.told(), [asked(3, 8, &expected)]);
        assert_eq!(Data::argument(&expected, 7), &Data::Undefined);
    }
    let mut bench = Bench::new();
    for args in ["{}", "null", "\"text\"", "1", "true"] {
        bench.text(&request("3", &format!(r#","serviceId":8,"args":{args}"#)));
    }
    let refused = r#"{"responseId":3,"type":"error","error":{"name":"Error","message":"UTC-ARGS: The arguments are not a list","code":"UTC-ARGS"}}"#;
    assert_eq!(bench.texts(), [refused; 5]);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.rpc.stats().requests_received_total, 5);
    assert_eq!(bench.rpc.stats().requests_refused, 5);
    assert_eq!(bench.rpc.served_requests(), 0);
}

/// Demands: M8.5.
#[test]
fn every_answer_byte_for_byte() {
    let mut bench = Bench::new();
    for id in [9, 22, 5, 4, 1, 2, 3, 6, 7] {
        bench.text(&request(&id.to_string(), r#","serviceId":1"#));
    }
    let id = RequestId;
    bench.rpc.unknown_service(id(9), 9);
    bench.rpc.answer(id(22), &Data::Undefined);
    bench.rpc.text_chunk(id(5), "Grüße, clob text");
    bench.rpc.end_stream(id(5));
    bench.rpc.answer_text(id(1), "[{\"type\":\"id\"}]\n");
    bench.rpc.answer(id(2), &Data::from(UNDEFINED));
    bench
        .rpc
        .refuse(id(3), "Error", "CES-GO1: Unauthorized, obj ab", "CES-GO1");
    bench.rpc.refuse(id(6), "Error", "m", "");
    bench.rpc.fail_stream(id(4));
    bench.rpc.refuse_as(id(7), Refusal::Internal);
    bench.poll();
    assert_eq!(
        bench.texts(),
        [
            r#"{"responseId":9,"type":"error","error":{"name":"TypeError","message":"Not a function: Servcie ID 9 [number]","code":"UNKNOWN-SERVICE"}}"#,
            r#"{"responseId":22,"type":"data","data":"$__undefined$"}"#,
            r#"{"responseId":5,"type":"stream","chunk":"Grüße, clob text","encoding":"utf8"}"#,
            r#"{"responseId":5,"type":"stream-end"}"#,
            r#"{"responseId":1,"type":"data","data":"[{\"type\":\"id\"}]\n"}"#,
            r#"{"responseId":2,"type":"data","data":"$__undefined$"}"#,
            r#"{"responseId":3,"type":"error","error":{"name":"Error","message":"CES-GO1: Unauthorized, obj ab","code":"CES-GO1"}}"#,
            r#"{"responseId":6,"type":"error","error":{"name":"Error","message":"m","code":"$__undefined$"}}"#,
            r#"{"responseId":4,"type":"stream-error","error":"Error while reading the file stream"}"#,
            r#"{"responseId":7,"type":"error","error":{"name":"Error","message":"RQ-INTERNAL: The request could not be served","code":"RQ-INTERNAL"}}"#,
        ]
    );
    assert_eq!(bench.rpc.served_requests(), 0);
    // All have their end: what is said now is said to nobody.
    bench.rpc.answer(id(9), &Data::Null);
    bench.rpc.chunk(id(5), b"x");
    bench.rpc.end_stream(id(5));
    bench.rpc.answer(id(77), &Data::Null);
    bench.poll();
    assert_eq!(bench.texts(), [""; 0]);
}

/// A number that is being served is refused, be it a stream or not, and the first request goes on. A finished one is
/// free.
#[test]
fn a_number_is_served_once_at_a_time() {
    let mut bench = Bench::new();
    let text = request("7", r#","serviceId":8"#);
    bench.text(&text);
    bench.text(&text);
    assert_eq!(bench.texts(), [RQ_DUP]);
    bench.rpc.text_chunk(RequestId(7), "a");
    bench.text(&text);
    bench.rpc.end_stream(RequestId(7));
    bench.poll();
    let texts = bench.texts();
    assert!(texts[0].contains(r#""chunk":"a""#) && texts[1] == RQ_DUP);
    assert!(texts[2].contains("stream-end"));
    assert_eq!(bench.told(), [asked(7, 8, &[])]);
    bench.text(&text);
    assert_eq!(bench.told(), [asked(7, 8, &[])]);
}

/// Row 3: whatever else it has, it is counted like a request.
#[test]
fn a_cancelled_stream_stops() {
    let mut bench = Bench::new();
    let notice = |id: &str| format!(r#"{{"requestId":{id},"type":"write-stream-error"}}"#);
    let error =
        r#"{"responseId":7,"type":"stream-error","error":"Error while reading the file stream"}"#;
    for nothing in ["7", "-1", "\"x\"", "1e300"] {
        bench.text(&notice(nothing));
    }
    bench.text(r#"{"type":"write-stream-error","responseId":7}"#);
    assert_eq!((bench.told(), bench.texts()), (vec![], vec![]));
    assert_eq!(bench.rpc.stats().requests_received_total, 5);

    bench.text(&request("7", r#","serviceId":8"#));
    bench.rpc.text_chunk(RequestId(7), "a");
    bench.poll();
    bench.texts();
    // Until the embedder knows, what it says is said to nobody, and the number is not free.
    bench.rpc.message(bench.now, Message::Text(&notice("7")));
    bench.rpc.message(bench.now, Message::Text(&notice("7")));
    bench
        .rpc
        .message(bench.now, Message::Text(&request("7", r#","serviceId":1"#)));
    bench.rpc.text_chunk(RequestId(7), "b");
    bench.rpc.end_stream(RequestId(7));
    bench.poll();
    assert_eq!(bench.texts(), [error, RQ_DUP]);
    assert_eq!(bench.told(), [asked(7, 8, &[]), cancelled(7)]);
    bench.text(&request("7", r#","serviceId":1"#));
    assert_eq!(bench.told(), [asked(7, 1, &[])]);
}

/// Before the first chunk the notice is kept: a stream does not start, and a value goes out all the same.
#[test]
fn a_stream_can_be_cancelled_before_it_starts() {
    for is_stream in [false, true] {
        let mut bench = Bench::new();
        bench.text(&request("7", r#","serviceId":8"#));
        bench.text(r#"{"requestId":7,"type":"write-stream-error"}"#);
        bench.told();
        if is_stream {
            bench.rpc.chunk(RequestId(7), b"bytes");
            bench.poll();
            assert_eq!(bench.told(), [cancelled(7)]);
            assert!(bench.texts()[0].contains("stream-error"));
        } else {
            bench.rpc.answer(RequestId(7), &Data::Null);
            bench.poll();
            assert_eq!(
                bench.texts(),
                [r#"{"responseId":7,"type":"data","data":null}"#]
            );
            assert_eq!(bench.told(), []);
        }
        assert_eq!(bench.rpc.served_requests(), 0);
    }
}

/// What would break the rules of a stream ends it instead.
#[test]
fn an_embedder_cannot_break_a_stream() {
    type Wrong = fn(&mut Bench);
    let wrong: [Wrong; 4] = [
        |b| b.rpc.chunk(RequestId(7), b"x"),
        |b| b.rpc.answer(RequestId(7), &Data::Null),
        |b| b.rpc.answer_text(RequestId(7), "x"),
        |b| b.rpc.refuse_as(RequestId(7), Refusal::Limit),
    ];
    for wrong in wrong {
        let mut bench = Bench::new();
        bench.text(&request("7", r#","serviceId":8"#));
        bench.rpc.text_chunk(RequestId(7), "a");
        wrong(&mut bench);
        bench.rpc.text_chunk(RequestId(7), "b");
        bench.poll();
        let texts = bench.texts();
        assert_eq!(texts.len(), 2);
        assert!(texts[1].contains("stream-error"));
    }
}

/// Both directions have their own numbers.
#[test]
fn both_sides_ask_under_the_same_numbers() {
    let mut bench = Bench::asking(&[Want::Value]);
    bench.text(&request("0", r#","serviceId":1"#));
    bench.rpc.answer(RequestId(0), &Data::Number(8));
    bench.text(r#"{"responseId":0,"type":"data","data":9}"#);
    assert_eq!(bench.told(), [asked(0, 1, &[]), answered(0, 9)]);
    assert_eq!(
        bench.texts(),
        [r#"{"responseId":0,"type":"data","data":8}"#]
    );
}

/// A peer that floods requests and reads nothing gets refusals up to a bound, and no more.
#[test]
fn a_flood_of_requests_is_refused_within_a_bound() {
    let config = RpcConfig {
        served: 3,
        queued_bytes: 10_000,
        ..RpcConfig::default()
    };
    let mut bench = Bench::with(config);
    for id in 0..1000 {
        let text = request(&id.to_string(), r#","serviceId":1"#);
        bench.rpc.message(bench.now, Message::Text(&text));
        assert!(bench.rpc.queued() < 10_500 && bench.rpc.buffered() < 20_000);
    }
    bench.poll();
    assert_eq!(bench.told().len(), 3);
    let texts = bench.texts();
    assert_eq!(
        texts[0],
        r#"{"responseId":3,"type":"error","error":{"name":"Error","message":"RQ-LIMIT: A limit is reached","code":"RQ-LIMIT"}}"#
    );
    let stats = bench.rpc.stats();
    assert_eq!(stats.requests_received_total, 1000);
    assert_eq!(stats.requests_refused, 997);
    assert_eq!(stats.refusals_dropped, 997 - texts.len() as u64);
}
