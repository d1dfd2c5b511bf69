//! Own requests and what comes back: the tables of the spec.

use chumwire::rpc::{Data, Failed, RemoteError, RequestId, UNDEFINED, UNKNOWN_SERVICE, Want};
use serde_json::json;

use crate::bench::{Bench, answered, failed};

fn remote(name: &str, message: &str, code: Option<&str>) -> Failed {
    Failed::Remote(RemoteError {
        name: name.into(),
        message: message.into(),
        code: code.map(Into::into),
    })
}

#[test]
fn requests_are_written_as_the_deployed_peer_writes_them() {
    let mut bench = Bench::new();
    let args = [
        Data::from("8d97"),
        Data::Undefined,
        Data::Null,
        Data::Number(7),
        Data::Other(json!([true])),
        Data::from("a\"\\\n\u{1}\u{7f}/é\u{2028}😀"),
    ];
    for (number, args) in [&[], &args[..2], &args[..]].into_iter().enumerate() {
        let id = bench.rpc.request(bench.now, 8, args, Want::Value);
        assert_eq!(id, Ok(RequestId(number as u64)));
    }
    bench.poll();
    let sent = bench.texts();
    assert_eq!(
        sent[0],
        r#"{"requestId":0,"type":"request","serviceId":8,"args":[]}"#
    );
    assert_eq!(
        sent[1],
        r#"{"requestId":1,"type":"request","serviceId":8,"args":["8d97","$__undefined$"]}"#
    );
    let start = r#"{"requestId":2,"type":"request","serviceId":8,"args":["8d97","$__undefined$",null,7,[true],"#;
    let rest = "\"a\\\"\\\\\\n\\u0001\u{7f}/é\u{2028}😀\"]}";
    assert_eq!(sent[2], format!("{start}{rest}"));
    assert_eq!(bench.rpc.stats().requests_sent_total, 3);
    assert_eq!(bench.rpc.open_requests(), 3);
}

/// Answers may come in any order, with members in any order and in any spelling.
#[test]
fn values() {
    let cases = [
        (
            r#"{"responseId":0,"type":"data","data":"x"}"#,
            Data::from("x"),
        ),
        (
            r#"{"data":8,"x":[{}],"type":"data","responseId":0.0}"#,
            Data::Number(8),
        ),
        (
            r#" {"type":"x","type":"data","responseId":0e5,"data":8.0} "#,
            Data::Number(8),
        ),
        (
            r#"{"responseId":0,"type":"data","data":"$__undefined$"}"#,
            Data::Undefined,
        ),
        (r#"{"responseId":0,"type":"data"}"#, Data::Undefined),
        (r#"{"responseId":0,"type":"data","data":null}"#, Data::Null),
        (
            r#"{"responseId":0,"type":"data","data":-1}"#,
            Data::Other(json!(-1)),
        ),
        (
            r#"{"responseId":0,"type":"data","data":true}"#,
            Data::Other(json!(true)),
        ),
        (
            r#"{"responseId":0,"type":"data","data":[{"a":"$__undefined$","b":1}]}"#,
            Data::Other(json!([{"b": 1}])),
        ),
        (
            r#"{"responseId":0,"type":"data","data":"\u0024__undefined$"}"#,
            Data::Undefined,
        ),
    ];
    for (text, data) in cases {
        let mut bench = Bench::asking(&[Want::Value, Want::Value]);
        bench.text(text);
        assert_eq!(bench.told(), [answered(0, data)], "{text}");
        assert_eq!(bench.texts(), [""; 0]);
        assert_eq!(bench.rpc.open_requests(), 1);
    }
}

/// Microdata that reads like the word for undefined is microdata.
#[test]
fn verbatim_texts_are_taken_as_they_are() {
    let mut bench = Bench::asking(&[Want::Verbatim, Want::Verbatim]);
    bench.text(r#"{"responseId":1,"type":"data","data":"$__undefined$"}"#);
    bench.text(r#"{"responseId":0,"type":"data"}"#);
    assert_eq!(
        bench.told(),
        [answered(1, UNDEFINED), answered(0, Data::Undefined)]
    );
}

#[test]
fn errors() {
    let cases = [
        (
            r#"{"name":"TypeError","message":"Not a function: Servcie ID 9 [number]","code":"UNKNOWN-SERVICE"}"#,
            remote(
                "TypeError",
                "Not a function: Servcie ID 9 [number]",
                Some(UNKNOWN_SERVICE),
            ),
        ),
        (
            r#"{"name":"Error","message":"m","code":"$__undefined$"}"#,
            remote("Error", "m", None),
        ),
        (
            r#"{"name":"Error","message":"m"}"#,
            remote("Error", "m", None),
        ),
        (r#"{"code":7,"name":null}"#, remote("", "", None)),
        (r#""text""#, Failed::Malformed),
        (r#"null"#, Failed::Malformed),
    ];
    for want in [Want::Value, Want::Verbatim, Want::Stream] {
        for (error, expected) in &cases {
            let mut bench = Bench::asking(&[want]);
            bench.text(&format!(
                r#"{{"responseId":0,"type":"error","error":{error}}}"#
            ));
            assert_eq!(bench.told(), [failed(0, expected.clone())], "{error}");
            let malformed = *expected == Failed::Malformed;
            assert_eq!(bench.rpc.stats().answers_malformed, u64::from(malformed));
            // Only of a text that says nothing sure it may be that chunks follow.
            assert_eq!(
                bench.texts().len(),
                usize::from(malformed && want == Want::Stream)
            );
        }
    }
    let mut bench = Bench::asking(&[Want::Value]);
    bench.text(r#"{"responseId":0,"type":"error"}"#);
    assert_eq!(bench.told(), [failed(0, Failed::Malformed)]);
    assert!(matches!(&cases[0].1, Failed::Remote(error) if error.is_unknown_service()));
}

#[test]
fn texts_of_errors_are_cut() {
    let mut bench = Bench::asking(&[Want::Value]);
    let long = "é".repeat(1000);
    bench.text(&format!(
        r#"{{"responseId":0,"type":"error","error":{{"name":"{long}","message":"{long}","code":"{long}"}}}}"#
    ));
    let cut = |bytes: usize| &long[..bytes];
    assert_eq!(
        bench.told(),
        [failed(0, remote(cut(64), cut(512), Some(cut(64))))]
    );
}

/// The wrong kind of answer fails the request; the sender is told where chunks may follow.
///
/// Demands: M8.1.
#[test]
fn the_wrong_kind_of_answer() {
    let data = r#"{"responseId":0,"type":"data","data":{"hash":"8d97","status":"new"}}"#;
    let chunk = r#"{"responseId":0,"type":"stream","chunk":"x","encoding":"utf8"}"#;
    let end = r#"{"responseId":0,"type":"stream-end"}"#;
    let error =
        r#"{"responseId":0,"type":"stream-error","error":"Error while reading the file stream"}"#;
    let notice = r#"{"requestId":0,"type":"write-stream-error"}"#;
    for (want, text, told) in [
        (Want::Stream, data, false),
        (Want::Value, chunk, true),
        (Want::Verbatim, chunk, true),
        (Want::Value, end, false),
        (Want::Value, error, false),
    ] {
        let mut bench = Bench::asking(&[want]);
        bench.text(text);
        assert_eq!(bench.told(), [failed(0, Failed::WrongKind)], "{text}");
        assert_eq!(bench.texts(), if told { vec![notice] } else { vec![] });
        // It is over, and nothing is said twice.
        for text in [text, chunk, end, data] {
            bench.text(text);
        }
        bench.binary(&[0; 9]);
        assert_eq!((bench.told(), bench.texts()), (vec![], vec![]));
        assert_eq!(bench.rpc.stats().chunks_dropped, 0);
    }
    let mut bench = Bench::asking(&[Want::Value]);
    bench.binary(&[0; 9]);
    assert_eq!(bench.told(), [failed(0, Failed::WrongKind)]);
    assert_eq!(bench.texts(), [notice]);

    // A value in the midst of a stream.
    let mut bench = Bench::asking(&[Want::Stream]);
    bench.text(chunk);
    bench.text(data);
    assert_eq!(bench.told().last(), Some(&failed(0, Failed::WrongKind)));
    assert_eq!(bench.texts(), [notice]);
}

#[test]
fn answers_to_nothing_are_ignored() {
    let mut bench = Bench::asking(&[Want::Value]);
    for text in [
        r#"{"responseId":1,"type":"data","data":1}"#,
        r#"{"responseId":1,"type":"error"}"#,
        r#"{"responseId":9007199254740991,"type":"stream","chunk":5}"#,
        r#"{"responseId":1,"type":"stream-end"}"#,
        r#"{"responseId":1,"type":"stream-error","error":"x"}"#,
    ] {
        bench.text(text);
    }
    assert_eq!((bench.told(), bench.texts()), (vec![], vec![]));
    assert_eq!(bench.rpc.stats().answers_ignored, 5);
    assert_eq!(bench.rpc.stats().requests_received_invalid, 0);
}

/// What is no JSON for us, but names a request, must not let that request hang; and no other one fails.
///
/// Demands: M8.2.
#[test]
fn texts_that_cannot_be_parsed_fail_their_request() {
    for text in [
        r#"{"responseId":1,"type":"data","data":"\ud800"}"#,
        r#"{"responseId":1,"type":"data","data":1e400}"#,
        r#"{"type":"data","data":[{"responseId":0},"\udc00"],"responseId":1}"#,
        r#"{"responseId":1,"type":"da"#,
    ] {
        let mut bench = Bench::asking(&[Want::Value, Want::Value, Want::Stream]);
        bench.text(text);
        assert_eq!(bench.told(), [failed(1, Failed::Malformed)], "{text}");
        assert_eq!(bench.texts(), [""; 0]);
        bench.text(&text.replace("\"responseId\":1", "\"responseId\":2"));
        assert_eq!(bench.told(), [failed(2, Failed::Malformed)], "{text}");
        assert_eq!(
            bench.texts(),
            [r#"{"requestId":2,"type":"write-stream-error"}"#]
        );
        assert_eq!(bench.rpc.stats().answers_malformed, 2);
        // None that is open: ignored and counted.
        bench.text(text);
        assert_eq!(bench.rpc.stats().requests_received_invalid, 1);
    }
}
