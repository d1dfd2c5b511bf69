//! Limits and times, each reached and each passed by one.

use chumwire::io::{Full, Message};
use chumwire::rpc::{Data, Failed, RequestId, Rpc, RpcConfig, RpcEvent, Want};
use chumwire::time::{Alarm, Deadline, Micros, Now};

use crate::bench::{Bench, answered, asked, cancelled, chunk, failed};

const NOTICE: &str = r#"{"requestId":0,"type":"write-stream-error"}"#;

fn with(change: impl FnOnce(&mut RpcConfig)) -> Bench {
    let mut config = RpcConfig::default();
    change(&mut config);
    Bench::with(config)
}

fn limit(id: u64) -> String {
    format!(
        r#"{{"responseId":{id},"type":"error","error":{{"name":"Error","message":"RQ-LIMIT: A limit is reached","code":"RQ-LIMIT"}}}}"#
    )
}

/// Demands: M8.3.
#[test]
fn open_requests_and_streams() {
    let mut bench = with(|config| (config.requests, config.streams) = (3, 1));
    bench.ask(Want::Stream);
    let again = bench.rpc.request(bench.now, 8, &[], Want::Stream);
    assert_eq!(again, Err(Full));
    bench.ask(Want::Value);
    bench.ask(Want::Verbatim);
    assert_eq!(bench.rpc.request(bench.now, 8, &[], Want::Value), Err(Full));
    assert_eq!(bench.rpc.open_requests(), 3);
    bench.text(r#"{"responseId":0,"type":"stream-end"}"#);
    assert_eq!(bench.ask(Want::Stream), RequestId(3));
}

/// Demands: M8.3, M8.5.
#[test]
fn served_requests_and_streams() {
    let mut bench = with(|config| (config.served, config.streams_served) = (2, 1));
    for id in 0..3 {
        bench.text(&format!(
            r#"{{"requestId":{id},"type":"request","serviceId":8}}"#
        ));
    }
    assert_eq!(bench.told(), [asked(0, 8, &[]), asked(1, 8, &[])]);
    assert_eq!(bench.texts(), [limit(2)]);
    bench.rpc.text_chunk(RequestId(0), "x");
    bench.rpc.text_chunk(RequestId(1), "y");
    bench.rpc.end_stream(RequestId(1));
    bench.poll();
    assert_eq!(bench.told(), [cancelled(1)]);
    assert_eq!(bench.texts()[1..], [limit(1)]);
    bench.rpc.end_stream(RequestId(0));
    bench.text(r#"{"requestId":1,"type":"request","serviceId":8}"#);
    bench.rpc.text_chunk(RequestId(1), "y");
    bench.poll();
    assert!(bench.texts()[1].contains(r#""chunk":"y""#));
}

/// A text over a limit is not parsed, but whom it concerns learns of it; nobody else does.
///
/// Demands: M8.3.
#[test]
fn long_deep_and_wide_texts() {
    let long = format!(r#""{}""#, "x".repeat(1000));
    let deep = format!("{}{}", "[".repeat(9), "]".repeat(9));
    let wide = format!("[{}0]", "0,".repeat(50));
    for content in [&long, &deep, &wide] {
        let new =
            || with(|config| (config.text_bytes, config.nesting, config.values) = (1000, 9, 50));
        let mut bench = new();
        for _ in 0..3 {
            bench.ask(Want::Value);
        }
        bench.ask(Want::Stream);
        bench.sent.clear();
        bench.text(&format!(
            r#"{{"data":{content},"responseId":1,"type":"data"}}"#
        ));
        assert_eq!(bench.told(), [failed(1, Failed::TooLong)]);
        assert_eq!(bench.texts(), [""; 0]);
        bench.text(&format!(
            r#"{{"responseId":3,"type":"stream","chunk":{content}}}"#
        ));
        assert_eq!(bench.told(), [failed(3, Failed::TooLong)]);
        assert_eq!(bench.texts(), [NOTICE.replace('0', "3")]);
        assert_eq!(bench.rpc.stats().requests_received_invalid, 0);

        let request =
            format!(r#"{{"requestId":0,"type":"request","serviceId":1,"args":[{content}]}}"#);
        bench.text(&request);
        assert_eq!(bench.texts(), [limit(0)]);
        bench.text(r#"{"requestId":0,"type":"request","serviceId":1,"args":[]}"#);
        bench.text(&request);
        assert!(bench.texts()[0].contains("RQ-DUP"));
        assert_eq!(bench.told(), [asked(0, 1, &[])]);

        bench.text(content);
        bench.text(&format!(
            r#"{{"responseId":77,"type":"data","data":{content}}}"#
        ));
        assert_eq!((bench.told(), bench.texts()), (vec![], vec![]));
        assert_eq!(bench.rpc.stats().requests_received_invalid, 2);
        assert_eq!(bench.rpc.open_requests(), 2);
    }
    // Just within them.
    let frame = r#"{"responseId":0,"type":"data","data":}"#.len();
    let long = format!(r#""{}""#, "x".repeat(1000 - frame - 2));
    let deep = format!("{}{}", "[".repeat(8), "]".repeat(8));
    let wide = format!("[{}0]", "0,".repeat(44));
    for content in [long, deep, wide] {
        let mut bench =
            with(|config| (config.text_bytes, config.nesting, config.values) = (1000, 9, 50));
        bench.ask(Want::Value);
        bench.text(&format!(
            r#"{{"responseId":0,"type":"data","data":{content}}}"#
        ));
        assert!(
            matches!(bench.told()[..], [RpcEvent::Answered { .. }]),
            "{content}"
        );
    }
}

/// However high the limit stands, the stack does not overflow.
#[test]
fn nesting_ends_somewhere() {
    let mut bench = with(|config| (config.nesting, config.values) = (usize::MAX, usize::MAX));
    bench.ask(Want::Value);
    bench.ask(Want::Value);
    let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    bench.text(&format!(
        r#"{{"responseId":0,"type":"data","data":{}}}"#,
        deep(126)
    ));
    assert!(matches!(bench.told()[..], [RpcEvent::Answered { .. }]));
    bench.text(&format!(
        r#"{{"responseId":1,"type":"data","data":{}}}"#,
        deep(1_000_000)
    ));
    assert_eq!(bench.told(), [failed(1, Failed::Malformed)]);
}

#[test]
fn long_files() {
    let chunk_of = |length: usize| vec![0; 8 + length];
    for (second, fits) in [(50, true), (51, false)] {
        let mut bench = with(|config| config.file_bytes = 100);
        bench.ask(Want::Stream);
        bench.sent.clear();
        bench.binary(&chunk_of(50));
        bench.binary(&chunk_of(second));
        let last = if fits {
            chunk(0)
        } else {
            failed(0, Failed::TooLong)
        };
        assert_eq!(bench.told(), [chunk(0), last]);
        assert_eq!(bench.texts().len(), usize::from(!fits));
    }
}

/// What is not polled is bounded, in each kind of message.
///
/// Demands: M8.3.
#[test]
fn bytes_that_wait() {
    let mut bench = with(|config| config.buffered_bytes = 10_000);
    for want in [Want::Stream, Want::Stream, Want::Value, Want::Value] {
        bench.ask(want);
    }
    bench.sent.clear();
    bench.rpc.message(bench.now, Message::Binary(&[0; 5000]));
    bench.rpc.message(bench.now, Message::Binary(&[0; 5000]));
    let text = format!(
        r#"{{"responseId":1,"type":"stream","chunk":"{}","encoding":"utf8"}}"#,
        "x".repeat(5000)
    );
    bench.rpc.message(bench.now, Message::Text(&text));
    let text = format!(
        r#"{{"responseId":2,"type":"data","data":"{}"}}"#,
        "x".repeat(5000)
    );
    bench.rpc.message(bench.now, Message::Text(&text));
    let text = format!(
        r#"{{"requestId":0,"type":"request","serviceId":1,"args":["{}"]}}"#,
        "x".repeat(5000)
    );
    bench.rpc.message(bench.now, Message::Text(&text));
    assert!(bench.rpc.buffered() <= 10_000);
    bench.poll();
    let flooded = |id| failed(id, Failed::Flooded);
    assert_eq!(bench.told(), [chunk(0), flooded(0), flooded(1), flooded(2)]);
    assert_eq!(
        bench.texts(),
        [NOTICE, &NOTICE.replace('0', "1"), &limit(0)]
    );
    // There is room again.
    bench.text(r#"{"responseId":3,"type":"data","data":1}"#);
    assert_eq!(bench.told(), [answered(3, 1)]);
}

/// Demands: M8.4.
#[test]
fn requests_have_a_time_limit() {
    for (want, notices) in [(Want::Value, 0), (Want::Stream, 1)] {
        let mut bench = Bench::asking(&[want]);
        let at = bench.now.mono + Micros::secs(30);
        let why = Alarm::RequestLimit;
        assert_eq!(bench.rpc.deadline(), Some(Deadline { at, why }));
        bench.pass(Micros(29_999_999));
        assert_eq!(bench.told(), []);
        bench.pass(Micros(1));
        assert_eq!(bench.told(), [failed(0, Failed::Timeout { service: 8 })]);
        assert_eq!(bench.texts(), vec![NOTICE; notices]);
        assert_eq!(bench.rpc.deadline(), None);
        // The answer comes late, and is nobody's.
        bench.text(r#"{"responseId":0,"type":"data","data":1}"#);
        assert_eq!(bench.told(), []);
    }
}

/// Demands: M8.4.
#[test]
fn streams_have_a_time_limit_from_chunk_to_chunk() {
    let mut bench = Bench::asking(&[Want::Stream]);
    for _ in 0..3 {
        bench.pass(Micros::secs(29));
        bench.binary(&[0; 9]);
    }
    assert_eq!(bench.told(), [chunk(0), chunk(0), chunk(0)]);
    let at = bench.now.mono + Micros::secs(30);
    let why = Alarm::StreamLimit;
    assert_eq!(bench.rpc.deadline(), Some(Deadline { at, why }));
    bench.pass(Micros::secs(30));
    assert_eq!(
        bench.told(),
        [failed(0, Failed::StreamTimeout { service: 8 })]
    );
    assert_eq!(bench.texts(), [NOTICE]);
}

/// A clock that goes back is taken as standing still.
#[test]
fn time_does_not_go_back() {
    let mut bench = Bench::asking(&[Want::Value]);
    let at = bench.now.mono + Micros::secs(30);
    bench.rpc.tick(Now::default());
    bench
        .rpc
        .request(Now::default(), 1, &[], Want::Value)
        .expect("room");
    let why = Alarm::RequestLimit;
    assert_eq!(bench.rpc.deadline(), Some(Deadline { at, why }));
    assert_eq!(bench.rpc.open_requests(), 2);
}

#[test]
fn the_end_of_the_connection_ends_everything() {
    let mut bench = Bench::asking(&[Want::Value, Want::Stream]);
    bench.text(r#"{"requestId":4,"type":"request","serviceId":8}"#);
    bench.rpc.chunk(RequestId(4), b"x");
    bench.rpc.message(
        bench.now,
        Message::Binary(&[&1_f64.to_le_bytes()[..], b"x"].concat()),
    );
    bench.rpc.closed();
    bench.rpc.closed();
    bench.poll();
    let closed = |id| failed(id, Failed::Closed);
    assert_eq!(
        bench.told(),
        [asked(4, 8, &[]), chunk(1), closed(0), closed(1)]
    );
    assert!(bench.sent.is_empty());
    // Nothing moves any more, but a request has its end.
    bench.rpc.answer(RequestId(4), &Data::Null);
    bench.text(r#"{"requestId":5,"type":"request","serviceId":8}"#);
    bench.binary(&[]);
    let id = bench.ask(Want::Value);
    assert_eq!(bench.told(), [closed(id.0)]);
    assert!(bench.sent.is_empty());
    assert_eq!(bench.rpc.deadline(), None);
    assert_eq!(bench.rpc.stats().requests_sent_total, 2);
    assert_eq!(bench.rpc.stats().empty_chunks, 0);
}

/// Demands: M0.2.
#[test]
fn codes_are_distinct_and_no_sentence_repeats_contents() {
    let all = [
        Failed::Remote(chumwire::rpc::RemoteError {
            name: "secret".into(),
            message: "secret".into(),
            code: Some("secret".into()),
        }),
        Failed::Timeout { service: 1 },
        Failed::StreamTimeout { service: 1 },
        Failed::WrongKind,
        Failed::TooLong,
        Failed::BadChunk,
        Failed::MixedStream,
        Failed::Malformed,
        Failed::Flooded,
        Failed::StreamFailedAtSender,
        Failed::Cancelled,
        Failed::Closed,
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(Failed::code).collect();
    assert_eq!(codes.len(), all.len());
    assert!(
        all.iter()
            .all(|failed| !failed.to_string().contains("secret"))
    );
    let mut machine = Rpc::new(RpcConfig::default());
    machine.message(
        Now::default(),
        Message::Text(r#"{"requestId":5,"type":"request","serviceId":8,"args":["secret"]}"#),
    );
    assert!(!format!("{machine:?}").contains("secret"));
}
