//! Two machines that talk to each other, in any interleaving: each request has exactly one end, and a file arrives
//! whole and in order or not at all.

use std::collections::{BTreeMap, VecDeque};

use chumwire::io::{Kind, Message};
use chumwire::rpc::{Data, RequestId, Rpc, RpcConfig, RpcEvent, RpcOutput, Want};
use chumwire::time::{Micros, Now};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Ask(usize, Want),
    Answer(usize, usize, String),
    Refuse(usize, usize),
    Chunk(usize, usize, usize),
    End(usize, usize, bool),
    Cancel(usize, usize),
    Deliver(usize, usize),
    Poll(usize),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let side = 0..2_usize;
    let which = 0..8_usize;
    let want = prop_oneof![
        1 => Just(Want::Value),
        1 => Just(Want::Verbatim),
        2 => Just(Want::Stream),
    ];
    let length =
        prop_oneof![4 => 0..40_usize, 1 => 16_000..17_000_usize, 1 => 65_000..140_000_usize];
    let text = prop_oneof![5 => "[a\"é😀\n]{0,20}", 1 => Just(chumwire::rpc::UNDEFINED.to_owned())];
    prop_oneof![
        4 => (side.clone(), want).prop_map(|(s, w)| Op::Ask(s, w)),
        2 => (side.clone(), which.clone(), text).prop_map(|(s, w, t)| Op::Answer(s, w, t)),
        1 => (side.clone(), which.clone()).prop_map(|(s, w)| Op::Refuse(s, w)),
        4 => (side.clone(), which.clone(), length).prop_map(|(s, w, l)| Op::Chunk(s, w, l)),
        2 => (side.clone(), which.clone(), prop::bool::weighted(0.8)).prop_map(|(s, w, ok)| Op::End(s, w, ok)),
        1 => (side.clone(), which).prop_map(|(s, w)| Op::Cancel(s, w)),
        6 => (side.clone(), 1..4_usize).prop_map(|(s, n)| Op::Deliver(s, n)),
        8 => side.prop_map(Op::Poll),
        1 => (0..40_000_u64).prop_map(Op::Pass),
    ]
}

/// An own request, as its asker knows it.
struct Own {
    want: Want,
    received: Vec<u8>,
    end: Option<RpcEvent>,
}

/// What the server said to a request.
#[derive(Default)]
struct Said {
    answer: Option<String>,
    file: Vec<u8>,
    ended: bool,
}

struct Side {
    rpc: Rpc,
    out: VecDeque<(Kind, Vec<u8>)>,
    own: BTreeMap<u64, Own>,
    /// The peer's requests that wait for more of their answer.
    serving: Vec<(u64, Want)>,
    said: BTreeMap<u64, Said>,
}

struct World {
    now: Now,
    sides: [Side; 2],
    counter: u8,
}

impl World {
    fn new() -> Self {
        let config = RpcConfig {
            requests: 6,
            served: 5,
            streams: 4,
            streams_served: 3,
            queued_bytes: 300_000,
            buffered_bytes: 400_000,
            ..RpcConfig::default()
        };
        let side = || Side {
            rpc: Rpc::new(config.clone()),
            out: VecDeque::new(),
            own: BTreeMap::new(),
            serving: Vec::new(),
            said: BTreeMap::new(),
        };
        Self {
            now: Now::default(),
            sides: [side(), side()],
            counter: 0,
        }
    }

    fn take(&mut self, side: usize, which: usize, is_stream: bool) -> Option<u64> {
        let side = &mut self.sides[side];
        let fit: Vec<u64> = side
            .serving
            .iter()
            .filter(|(_, want)| (*want == Want::Stream) == is_stream)
            .map(|(id, _)| *id)
            .collect();
        fit.get(which % fit.len().max(1)).copied()
    }

    /// More of a file: of bytes under even numbers, of text under odd ones.
    fn content(&mut self, id: u64, length: usize) -> Vec<u8> {
        self.counter = self.counter.wrapping_add(1);
        let start = self.counter;
        if id.is_multiple_of(2) {
            (0..length).map(|i| start.wrapping_add(i as u8)).collect()
        } else {
            let all = ["a", "\"", "é", "\n", "—", "😀", "$__undefined$"];
            (0..length)
                .map(|i| all[(i / 3 + usize::from(start)) % 7])
                .collect::<String>()
                .into()
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Ask(side, want) => {
                let service = match want {
                    Want::Value => 1,
                    Want::Verbatim => 6,
                    Want::Stream => 8,
                };
                let side = &mut self.sides[side];
                if let Ok(id) = side
                    .rpc
                    .request(self.now, service, &[Data::Number(service)], want)
                {
                    let own = Own {
                        want,
                        received: Vec::new(),
                        end: None,
                    };
                    assert!(side.own.insert(id.0, own).is_none());
                }
            }
            Op::Answer(side, which, text) => {
                if let Some(id) = self.take(side, which, false) {
                    let side = &mut self.sides[side];
                    side.rpc.answer_text(RequestId(id), &text);
                    side.said.entry(id).or_default().answer = Some(text);
                    side.serving.retain(|(other, _)| *other != id);
                }
            }
            Op::Refuse(side, which) => {
                if let Some(id) = self.take(side, which, false) {
                    let side = &mut self.sides[side];
                    side.rpc.unknown_service(RequestId(id), 1);
                    side.serving.retain(|(other, _)| *other != id);
                }
            }
            Op::Chunk(side, which, length) => {
                if let Some(id) = self.take(side, which, true) {
                    let content = self.content(id, length);
                    let side = &mut self.sides[side];
                    if id.is_multiple_of(2) {
                        side.rpc.chunk(RequestId(id), &content);
                    } else {
                        let text = std::str::from_utf8(&content).expect("UTF-8");
                        side.rpc.text_chunk(RequestId(id), text);
                    }
                    side.said.entry(id).or_default().file.extend(content);
                }
            }
            Op::End(side, which, ok) => {
                if let Some(id) = self.take(side, which, true) {
                    let side = &mut self.sides[side];
                    if ok {
                        side.rpc.end_stream(RequestId(id));
                    } else {
                        side.rpc.fail_stream(RequestId(id));
                    }
                    side.said.entry(id).or_default().ended = ok;
                    side.serving.retain(|(other, _)| *other != id);
                }
            }
            Op::Cancel(side, which) => {
                let side = &mut self.sides[side];
                let open: Vec<u64> = side
                    .own
                    .iter()
                    .filter(|(_, own)| own.end.is_none())
                    .map(|(id, _)| *id)
                    .collect();
                if let Some(id) = open.get(which % open.len().max(1)) {
                    side.rpc.cancel(RequestId(*id));
                }
            }
            Op::Deliver(side, count) => {
                for _ in 0..count {
                    if let Some((kind, bytes)) = self.sides[side].out.pop_front() {
                        let message = Message::of(kind, &bytes).expect("UTF-8");
                        self.sides[1 - side].rpc.message(self.now, message);
                    }
                }
            }
            Op::Poll(side) => self.poll(side),
            Op::Pass(millis) => {
                self.now.mono = self.now.mono + Micros::millis(millis);
                for side in &mut self.sides {
                    side.rpc.tick(self.now);
                    assert!(
                        side.rpc
                            .deadline()
                            .is_none_or(|deadline| deadline.at > self.now.mono)
                    );
                }
            }
        }
    }

    fn poll(&mut self, side: usize) {
        let mut bytes = Vec::new();
        let [a, b] = &mut self.sides;
        let (side, other) = if side == 0 { (a, b) } else { (b, a) };
        while let Some(output) = side.rpc.poll(&mut bytes) {
            let event = match output {
                RpcOutput::Send(kind) => {
                    side.out.push_back((kind, bytes.clone()));
                    continue;
                }
                RpcOutput::Event(event) => event,
            };
            match event {
                RpcEvent::Request { id, service, args } => {
                    assert_eq!(args, [Data::Number(service)]);
                    let want = other.own[&id.0].want;
                    side.serving.push((id.0, want));
                }
                RpcEvent::StreamCancelled { id } => {
                    side.serving.retain(|(other, _)| *other != id.0);
                }
                RpcEvent::Chunk { id } => {
                    let own = side.own.get_mut(&id.0).expect("an own request");
                    assert!(own.end.is_none() && own.want == Want::Stream && !bytes.is_empty());
                    own.received.extend_from_slice(&bytes);
                    assert!(other.said[&id.0].file.starts_with(&own.received));
                }
                RpcEvent::Answered { id, .. }
                | RpcEvent::Failed { id, .. }
                | RpcEvent::StreamEnd { id, .. } => {
                    let own = side.own.get_mut(&id.0).expect("an own request");
                    assert!(own.end.is_none(), "a second end: {event:?}");
                    let said = other.said.get(&id.0);
                    match &event {
                        RpcEvent::Answered { data, .. } => {
                            let text = said.and_then(|said| said.answer.as_deref());
                            let is_word = text == Some(chumwire::rpc::UNDEFINED);
                            if is_word && own.want == Want::Value {
                                assert_eq!(data, &Data::Undefined);
                            } else {
                                assert_eq!(data.text(), text);
                            }
                        }
                        RpcEvent::StreamEnd { empty_chunks, .. } => {
                            let said = said.expect("a file");
                            assert!(said.ended && said.file == own.received);
                            assert_eq!(*empty_chunks, 0);
                        }
                        _ => {}
                    }
                    own.end = Some(event);
                }
            }
        }
    }

    /// All that was said arrives.
    fn settle(&mut self) {
        loop {
            for side in 0..2 {
                self.poll(side);
                self.run(Op::Deliver(side, 1));
            }
            if self
                .sides
                .iter()
                .all(|side| side.out.is_empty() && side.rpc.queued() + side.rpc.buffered() == 0)
            {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_request_has_one_end(ops in vec(op(), 0..120)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
        world.settle();
        // A peer of ours is never at fault.
        for side in &world.sides {
            let stats = side.rpc.stats();
            prop_assert_eq!(stats.requests_received_invalid + stats.answers_malformed, 0);
            prop_assert_eq!(stats.empty_chunks, 0);
            let open = side.own.values().filter(|own| own.end.is_none()).count();
            prop_assert_eq!(side.rpc.open_requests(), open);
        }
        // Who closes first does not matter: each side hears it.
        for side in 0..2 {
            world.sides[side].rpc.closed();
            world.poll(side);
            prop_assert!(world.sides[side].own.values().all(|own| own.end.is_some()));
            prop_assert_eq!(world.sides[side].rpc.served_requests(), 0);
        }
    }

    /// Without limits, cancels and waiting, every request that is answered to the end succeeds.
    #[test]
    fn what_is_answered_arrives(
        wants in vec(prop_oneof![Just(Want::Verbatim), Just(Want::Stream)], 1..4),
        ops in vec(op(), 0..60),
    ) {
        let mut world = World::new();
        for want in wants {
            world.run(Op::Ask(0, want));
        }
        world.settle();
        for op in ops {
            if !matches!(op, Op::Ask(..) | Op::Cancel(..) | Op::Pass(_) | Op::Refuse(..) | Op::End(_, _, false)) {
                world.run(op);
                // A reader that keeps up is never flooded.
                world.poll(0);
            }
        }
        while let Some((_, want)) = world.sides[1].serving.first().copied() {
            world.run(if want == Want::Stream { Op::End(1, 0, true) } else { Op::Answer(1, 0, "x".into()) });
        }
        world.settle();
        for own in world.sides[0].own.values() {
            prop_assert!(
                matches!(own.end, Some(RpcEvent::Answered { .. } | RpcEvent::StreamEnd { .. })),
                "{:?}", own.end
            );
        }
    }
}
