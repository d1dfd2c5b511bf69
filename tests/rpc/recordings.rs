//! What the deployed peers said to each other: each side is replayed by a machine of ours, which is told what came in
//! and has to send the same, where ours sends the same.

use std::collections::BTreeMap;

use chumwire::io::{Kind, Message};
use chumwire::rpc::{Data, RequestId, RpcEvent, UNDEFINED, UNKNOWN_SERVICE, Want};
use serde_json::Value;

use crate::bench::{Bench, chunk, end};
use crate::vectors::{by_rule, bytes, is_recorded, list, load, sha256, size, text};

/// The files that were streamed.
fn big_blob() -> Vec<u8> {
    by_rule(200_000, 7)
}

fn big_clob() -> String {
    "Grüße — some UTF-8 text \u{1F600}\n".repeat(5000)
}

/// A recorded message above the channel, whole.
#[derive(Clone, Debug)]
enum Recorded {
    Text(String),
    Binary(Vec<u8>),
}

/// The messages behind `synchronisation`, with long ones made again from what is known of them.
fn messages(connection: &Value) -> Vec<(bool, Recorded)> {
    let all = list(&connection["app"]);
    let last = all.iter().rposition(|m| m["text"] == "synchronisation");
    let (mut blobs, mut clobs) = (0, 0);
    let mut whole = |message: &Value| match (&message["text"], &message["hex"]) {
        (Value::String(text), _) => Recorded::Text(text.clone()),
        (long @ Value::Object(_), _) => {
            clobs += 1;
            let text = clob_message(clobs - 1);
            assert_eq!(
                sha256(text.as_bytes()),
                crate::vectors::text(&long["sha256"])
            );
            Recorded::Text(text)
        }
        (_, hex) => {
            let big = blobs * 65_536..((blobs + 1) * 65_536).min(200_000);
            let long = [
                &35_f64.to_le_bytes()[..],
                big_blob().get(big).unwrap_or(&[]),
            ]
            .concat();
            if is_recorded(hex, &long) {
                blobs += 1;
                return Recorded::Binary(long);
            }
            Recorded::Binary(bytes(hex))
        }
    };
    let behind = &all[last.map_or(all.len(), |at| at + 1)..];
    behind
        .iter()
        .map(|m| (m["dir"] == "in", whole(m)))
        .collect()
}

/// The n-th chunk of the long CLOB from Node: reads of 65536 bytes, a character that is cut goes to the next one.
fn clob_message(n: usize) -> String {
    let clob = big_clob();
    let cut = |at: usize| {
        (0..=at.min(clob.len()))
            .rev()
            .find(|at| clob.is_char_boundary(*at))
    };
    let range = cut(n * 65_536).expect("a start")..cut((n + 1) * 65_536).expect("an end");
    let encoding = if n == 0 { "utf8" } else { UNDEFINED };
    let chunk = Value::from(&clob[range]);
    format!(r#"{{"responseId":41,"type":"stream","chunk":{chunk},"encoding":"{encoding}"}}"#)
}

fn data(value: &Value) -> Data {
    match value {
        Value::Null => Data::Null,
        Value::String(text) if text == UNDEFINED => Data::Undefined,
        Value::String(text) => Data::Text(text.clone()),
        value => Data::Number(value.as_u64().expect("an integer")),
    }
}

fn want(service: u64) -> Want {
    match service {
        6 | 7 => Want::Verbatim,
        8 => Want::Stream,
        _ => Want::Value,
    }
}

/// Makes the machine send what was sent then. Gives whether it is to be byte for byte the same.
fn say(bench: &mut Bench, message: &Recorded, services: &BTreeMap<u64, u64>) -> bool {
    let said = match message {
        Recorded::Binary(bytes) => {
            let id = f64::from_le_bytes(bytes[..8].try_into().expect("eight")) as u64;
            bench.rpc.chunk(RequestId(id), &bytes[8..]);
            return bytes.len() <= 65_536;
        }
        Recorded::Text(said) => said,
    };
    let value: Value = serde_json::from_str(said).expect("JSON");
    let number = |member: &str| value[member].as_u64();
    if let Some(id) = number("requestId") {
        let service = number("serviceId").expect("a service");
        let args: Vec<Data> = list(&value["args"]).iter().map(data).collect();
        let given = bench.rpc.request(bench.now, service, &args, want(service));
        assert_eq!(given, Ok(RequestId(id)));
        return true;
    }
    let id = number("responseId").expect("an answer");
    let error = &value["error"];
    match text(&value["type"]) {
        "data" => match &value["data"] {
            Value::String(data) if data != UNDEFINED => bench.rpc.answer_text(RequestId(id), data),
            value => bench.rpc.answer(RequestId(id), &data(value)),
        },
        "stream" => bench.rpc.text_chunk(RequestId(id), text(&value["chunk"])),
        "stream-end" => bench.rpc.end_stream(RequestId(id)),
        "error" if error["code"] == UNKNOWN_SERVICE => {
            bench.rpc.unknown_service(RequestId(id), services[&id]);
        }
        "error" => {
            let [name, message, code] = ["name", "message", "code"].map(|m| text(&error[m]));
            bench.rpc.refuse(RequestId(id), name, message, code);
        }
        other => panic!("{other}"),
    }
    said.len() < 16_384
}

/// Replays one side; gives its bench and how many messages were checked byte for byte.
fn replay(connection: &Value, is_mirrored: bool) -> (Bench, usize) {
    let mut bench = Bench::new();
    let (mut same, mut services, mut open) = (0, BTreeMap::new(), BTreeMap::new());
    for (is_in, message) in messages(connection) {
        if is_in != is_mirrored {
            let before = bench.events.len();
            match &message {
                Recorded::Text(text) => bench.text(text),
                Recorded::Binary(bytes) => bench.binary(bytes),
            }
            assert_eq!(
                bench.events.len(),
                before + 1,
                "each message says one thing"
            );
            match bench.events.last() {
                Some(RpcEvent::Request { id, service, .. }) => {
                    services.insert(id.0, *service);
                }
                Some(RpcEvent::Chunk { .. }) => {}
                Some(
                    RpcEvent::Answered { id, .. }
                    | RpcEvent::StreamEnd { id, .. }
                    | RpcEvent::Failed { id, .. },
                ) => assert_eq!(open.remove(&id.0), Some(())),
                other => panic!("{other:?}"),
            }
            continue;
        }
        bench.sent.clear();
        let is_same = say(&mut bench, &message, &services);
        bench.poll();
        if is_same {
            let expected = match &message {
                Recorded::Text(text) => (Kind::Text, text.clone().into_bytes()),
                Recorded::Binary(bytes) => (Kind::Binary, bytes.clone()),
            };
            assert!(bench.sent == [expected]);
            same += 1;
        }
        if let Recorded::Text(text) = message
            && text.starts_with("{\"requestId\"")
        {
            let value: Value = serde_json::from_str(&text).expect("JSON");
            open.insert(value["requestId"].as_u64().expect("a number"), ());
        }
    }
    bench.poll();
    let stats = bench.rpc.stats();
    assert_eq!(stats.requests_received_invalid, 0);
    assert_eq!(
        (
            stats.answers_ignored,
            stats.chunks_dropped,
            stats.empty_chunks
        ),
        (0, 0, 0)
    );
    assert_eq!(bench.rpc.open_requests(), open.len());
    (bench, same)
}

#[test]
fn both_sides_of_the_recording_are_replayed() {
    let recording = load("chum_full");
    let connection = &recording["viewA"][1];
    let (a, same_a) = replay(connection, false);
    let (b, same_b) = replay(connection, true);
    let recorded = messages(connection);
    // Only the long chunks go out in other pieces.
    assert_eq!(same_a + same_b, recorded.len() - 6);
    assert!(same_a > 60 && same_b > 60);
    assert!(a.bytes.is_empty());
    let small = "Grüße, ein CLOB 😀\na small BLOB";
    let files = [small.into(), big_blob(), big_clob().into_bytes()].concat();
    assert!(b.bytes.starts_with(&files));
}

/// What the embedder of the asking side learned then, ours tells, too.
#[test]
fn the_probes_end_as_recorded() {
    let recording = load("chum_full");
    let (b, _) = replay(&recording["viewA"][1], true);
    let errors: Vec<_> = b
        .events
        .iter()
        .filter_map(|event| match event {
            RpcEvent::Failed {
                failed: chumwire::rpc::Failed::Remote(error),
                ..
            } => Some(error),
            _ => None,
        })
        .collect();
    let probes = recording["probes"].as_object().expect("probes");
    let mut rejected = 0;
    for (name, probe) in probes {
        let Some(rejection) = probe.get("rejected") else {
            continue;
        };
        rejected += 1;
        let cause = &rejection["cause"];
        let is_it = |error: &&&chumwire::rpc::RemoteError| {
            error.name == text(&cause["name"])
                && error.message == text(&cause["message"])
                && error.code.as_deref() == Some(text(&cause["code"]))
        };
        assert!(errors.iter().find(is_it).is_some(), "{name}");
    }
    assert_eq!(rejected, 9);
}

/// The fault of a deployed sender: its BLOB comes as an empty message. Ours goes on.
#[test]
fn an_empty_chunk_kills_nothing() {
    let recording = load("chum_vendor_blob_bug");
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.ask(Want::Value);
    }
    for message in list(&recording["app"]) {
        match (text(&message["dir"]), text(&message["kind"])) {
            ("out", _) => {
                bench.sent.clear();
                let args = [Data::from(text(&recording["blob"])), Data::Undefined];
                let id = bench.rpc.request(bench.now, 8, &args, Want::Stream);
                assert_eq!(id, Ok(RequestId(4)));
                bench.poll();
                assert_eq!(bench.texts(), [text(&message["text"])]);
            }
            (_, "binary") => {
                assert_eq!(size(&Value::from(text(&message["hex"]).len())), 0);
                bench.rpc.message(bench.now, Message::Binary(&[]));
            }
            _ => bench.text(text(&message["text"])),
        }
    }
    assert_eq!(bench.told(), [end(4, 1)]);
    assert_eq!(bench.rpc.stats().empty_chunks, 1);
    assert_eq!(bench.rpc.open_requests(), 4);
    let next = bench.ask(Want::Stream);
    bench.binary(&[&(next.0 as f64).to_le_bytes()[..], b"x"].concat());
    assert_eq!(bench.told(), [chunk(next.0)]);
}
