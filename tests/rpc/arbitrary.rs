//! Arbitrary messages, and good ones that were damaged: nothing panics, nothing grows beyond its bound, and no request
//! fails but one that the message names.

use chumwire::io::Message;
use chumwire::rpc::{RequestId, Rpc, RpcConfig, RpcEvent, RpcOutput, Want};
use chumwire::time::{Micros, Now};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The open own requests have numbers that no text has by chance.
const FIRST: u64 = 41;
const OPEN: u64 = 6;

/// What the machine may hold beyond what was asked of it: refusals, notices and ends.
const QUEUED: usize = 4_000;
const BUFFERED: usize = 20_000;

fn id() -> impl Strategy<Value = String> {
    select(vec![
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "47",
        "0",
        "7",
        "41.0",
        "42e0",
        "-41",
        "41.5",
        "\"41\"",
        "null",
        "9007199254740993",
        "1e400",
        "[41]",
        "$",
    ])
    .prop_map(Into::into)
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        id(),
        Just("\"$__undefined$\"".into()),
        Just("\"\\ud800\"".into()),
        Just("{\"name\":\"n\",\"message\":\"m\",\"code\":\"c\"}".into()),
        Just("[[[[[[[[[[]]]]]]]]]]".into()),
        Just("[1,2,{\"a\":\"$__undefined$\"}]".into()),
        "[a-zA-Z0-9+/=é]{0,12}".prop_map(|text| format!("\"{text}\"")),
        (0..3000_usize).prop_map(|length| format!("\"{}\"", "A".repeat(length))),
    ]
}

fn member() -> impl Strategy<Value = String> {
    let kind = select(vec![
        "request",
        "data",
        "stream",
        "stream-end",
        "stream-error",
        "error",
        "write-stream-error",
        "x",
    ]);
    prop_oneof![
        (select(vec!["requestId", "responseId", "serviceId"]), id())
            .prop_map(|(name, id)| format!("\"{name}\":{id}")),
        kind.prop_map(|kind| format!("\"type\":\"{kind}\"")),
        (
            select(vec!["args", "data", "chunk", "encoding", "error", "x"]),
            value()
        )
            .prop_map(|(name, value)| format!("\"{name}\":{value}")),
        select(vec!["utf8", "base64"]).prop_map(|name| format!("\"encoding\":\"{name}\"")),
    ]
}

fn good() -> impl Strategy<Value = String> {
    (FIRST..FIRST + OPEN, 0..8_usize).prop_map(|(id, which)| {
        match which {
            0 => r#"{"responseId":ID,"type":"data","data":"x\"y"}"#,
            1 => r#"{"responseId":ID,"type":"stream","chunk":"Zg==","encoding":"base64"}"#,
            2 => r#"{"responseId":ID,"type":"stream","chunk":"text","encoding":"utf8"}"#,
            3 => r#"{"responseId":ID,"type":"stream-end"}"#,
            4 => r#"{"responseId":ID,"type":"stream-error","error":"Error"}"#,
            5 => {
                r#"{"responseId":ID,"type":"error","error":{"name":"n","message":"m","code":"c"}}"#
            }
            6 => {
                r#"{"requestId":ID,"type":"request","serviceId":8,"args":["8d97","$__undefined$"]}"#
            }
            _ => r#"{"requestId":ID,"type":"write-stream-error"}"#,
        }
        .replace("ID", &id.to_string())
    })
}

/// A good text with some characters taken out, put in or cut off.
fn damaged() -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        0..4_u8,
        select(r#""\{}[]:,0 é"#.chars().collect::<Vec<_>>()),
    );
    (good(), vec(edit, 1..4)).prop_map(|(text, edits)| {
        let mut characters: Vec<char> = text.chars().collect();
        for (at, what, c) in edits {
            let at = at.index(characters.len() + 1);
            match what {
                0 => characters.insert(at, c),
                1 if at < characters.len() => drop(characters.remove(at)),
                2 if at < characters.len() => characters[at] = c,
                _ => characters.truncate(at),
            }
        }
        characters.into_iter().collect()
    })
}

#[derive(Clone, Debug)]
enum Input {
    Text(String),
    Binary(Vec<u8>),
    /// The embedder answers the request of that index, or sends more of a stream.
    Serve(usize, bool),
    Pass(u64),
    Poll,
}

fn input() -> impl Strategy<Value = Input> {
    let number = prop_oneof![
        (FIRST - 1..FIRST + OPEN + 1).prop_map(|id| id as f64),
        any::<f64>(),
        select(vec![41.5, -0.0, f64::NAN]),
    ];
    prop_oneof![
        3 => vec(member(), 0..7).prop_map(|members| Input::Text(format!("{{{}}}", members.join(",")))),
        3 => good().prop_map(Input::Text),
        3 => damaged().prop_map(Input::Text),
        1 => any::<String>().prop_map(Input::Text),
        1 => value().prop_map(Input::Text),
        2 => (number, vec(any::<u8>(), 0..3000)).prop_map(|(number, data)| {
            Input::Binary([&number.to_le_bytes()[..], &data].concat())
        }),
        1 => vec(any::<u8>(), 0..20).prop_map(Input::Binary),
        2 => (0..8_usize, any::<bool>()).prop_map(|(which, ends)| Input::Serve(which, ends)),
        1 => (0..20_000_u64).prop_map(Input::Pass),
        1 => Just(Input::Poll),
    ]
}

struct World {
    rpc: Rpc,
    now: Now,
    ended: Vec<u64>,
    serving: Vec<RequestId>,
}

impl World {
    fn new() -> Self {
        let config = RpcConfig {
            served: 4,
            text_bytes: 2000,
            nesting: 8,
            values: 20,
            file_bytes: 5000,
            buffered_bytes: BUFFERED,
            queued_bytes: QUEUED,
            ..RpcConfig::default()
        };
        let mut world = Self {
            rpc: Rpc::new(config),
            now: Now::default(),
            ended: Vec::new(),
            serving: Vec::new(),
        };
        for number in 0..FIRST + OPEN {
            let want = [Want::Value, Want::Verbatim, Want::Stream][number as usize % 3];
            let id = world.rpc.request(world.now, 1, &[], want).expect("room");
            if number < FIRST {
                world.rpc.cancel(id);
            }
            world.poll();
        }
        world.ended.clear();
        world
    }

    fn poll(&mut self) {
        let mut bytes = Vec::new();
        while let Some(output) = self.rpc.poll(&mut bytes) {
            match output {
                RpcOutput::Send(kind) => drop(Message::of(kind, &bytes).expect("UTF-8")),
                RpcOutput::Event(RpcEvent::Request { id, .. }) => self.serving.push(id),
                RpcOutput::Event(RpcEvent::StreamCancelled { id }) => {
                    self.serving.retain(|other| *other != id)
                }
                RpcOutput::Event(RpcEvent::Chunk { id }) => assert!(!self.ended.contains(&id.0)),
                RpcOutput::Event(
                    RpcEvent::Answered { id, .. }
                    | RpcEvent::Failed { id, .. }
                    | RpcEvent::StreamEnd { id, .. },
                ) => {
                    assert!(!self.ended.contains(&id.0), "a second end");
                    self.ended.push(id.0);
                }
            }
        }
        assert_eq!((self.rpc.queued(), self.rpc.buffered()), (0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Demands: M8.2.
    #[test]
    fn nothing_harms_but_its_own_request(inputs in vec(input(), 1..60)) {
        let mut world = World::new();
        for input in inputs {
            let before = world.rpc.clone();
            match &input {
                Input::Text(text) => world.rpc.message(world.now, Message::Text(text)),
                Input::Binary(bytes) => world.rpc.message(world.now, Message::Binary(bytes)),
                Input::Serve(which, ends) => {
                    if let Some(id) = world.serving.get(*which).copied() {
                        if *ends {
                            world.rpc.end_stream(id);
                            world.serving.remove(*which);
                        } else {
                            world.rpc.chunk(id, b"data");
                        }
                    }
                }
                Input::Pass(millis) => {
                    world.now.mono = world.now.mono + Micros::millis(*millis);
                    world.rpc.tick(world.now);
                }
                Input::Poll => world.poll(),
            }
            // The bounds: one refusal or notice more for each request, one end each.
            prop_assert!(world.rpc.queued() <= QUEUED + 40 * 300, "{}", world.rpc.queued());
            prop_assert!(world.rpc.buffered() <= BUFFERED + 1024 * (OPEN as usize + 4));
            prop_assert!(world.rpc.served_requests() <= 4);
            // A message ends one request at most, and that one it names.
            let lost = before.open_requests() - world.rpc.open_requests();
            let ended = { let mut probe = world.rpc.clone(); ended_in(&before, &mut probe) };
            match &input {
                Input::Text(text) => {
                    prop_assert!(lost <= 1);
                    prop_assert!(ended.iter().all(|id| text.contains(&id.to_string())), "{text}");
                }
                Input::Binary(bytes) => {
                    prop_assert!(lost <= 1);
                    prop_assert!(ended.iter().all(|id| bytes.starts_with(&(*id as f64).to_le_bytes())));
                }
                Input::Pass(_) => {}
                Input::Serve(..) | Input::Poll => prop_assert_eq!(lost, 0),
            }
        }
        world.poll();
        let open = world.rpc.open_requests();
        world.rpc.closed();
        world.poll();
        prop_assert_eq!(world.ended.len(), OPEN as usize);
        prop_assert!(open <= OPEN as usize);
    }
}

/// The requests that ended between two states of a machine.
fn ended_in(before: &Rpc, after: &mut Rpc) -> Vec<u64> {
    let ends = |rpc: &mut Rpc| {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        rpc.closed();
        while let Some(output) = rpc.poll(&mut bytes) {
            if let RpcOutput::Event(RpcEvent::Failed {
                id,
                failed: chumwire::rpc::Failed::Closed,
            }) = output
            {
                ends.push(id.0);
            }
        }
        ends
    };
    let still_open = ends(after);
    let mut ended = ends(&mut before.clone());
    ended.retain(|id| !still_open.contains(id));
    ended
}
