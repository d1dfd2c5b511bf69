//! One machine on the bench: what it sends and tells, collected.

use chumwire::io::{Kind, Message};
use chumwire::rpc::{Data, Failed, RequestId, Rpc, RpcConfig, RpcEvent, RpcOutput, Want};
use chumwire::time::{Micros, Millis, Now};

/// A machine, its clock, and what came out of it, in order.
pub(crate) struct Bench {
    pub(crate) rpc: Rpc,
    pub(crate) now: Now,
    pub(crate) sent: Vec<(Kind, Vec<u8>)>,
    pub(crate) events: Vec<RpcEvent>,
    /// The bytes of all chunks, in order.
    pub(crate) bytes: Vec<u8>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(RpcConfig::default())
    }

    pub(crate) fn with(config: RpcConfig) -> Self {
        Self {
            rpc: Rpc::new(config),
            now: Now {
                mono: Micros::secs(1000),
                wall: Millis(1_700_000_000_000),
            },
            sent: Vec::new(),
            events: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// With own requests 0.. of these kinds, already sent.
    pub(crate) fn asking(wants: &[Want]) -> Self {
        let mut bench = Self::new();
        for want in wants {
            bench.ask(*want);
        }
        bench.sent.clear();
        bench
    }

    pub(crate) fn ask(&mut self, want: Want) -> RequestId {
        let id = self.rpc.request(self.now, 8, &[], want).expect("room");
        self.poll();
        id
    }

    pub(crate) fn poll(&mut self) {
        let mut bytes = vec![0xee; 3];
        while let Some(output) = self.rpc.poll(&mut bytes) {
            match output {
                RpcOutput::Send(kind) => self.sent.push((kind, bytes.clone())),
                RpcOutput::Event(event) => {
                    if let RpcEvent::Chunk { .. } = event {
                        self.bytes.extend_from_slice(&bytes);
                    }
                    self.events.push(event);
                }
            }
        }
        assert_eq!((self.rpc.queued(), self.rpc.buffered()), (0, 0));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.rpc.message(self.now, Message::Text(text));
        self.poll();
    }

    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        self.rpc.message(self.now, Message::Binary(bytes));
        self.poll();
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Micros) {
        self.now.mono = self.now.mono + time;
        self.rpc.tick(self.now);
        self.poll();
    }

    /// The texts sent since the last call.
    pub(crate) fn texts(&mut self) -> Vec<String> {
        let text = |(kind, bytes)| {
            assert_eq!(kind, Kind::Text);
            String::from_utf8(bytes).expect("UTF-8")
        };
        self.sent.drain(..).map(text).collect()
    }

    /// The events since the last call.
    pub(crate) fn told(&mut self) -> Vec<RpcEvent> {
        std::mem::take(&mut self.events)
    }
}

pub(crate) fn answered(id: u64, data: impl Into<Data>) -> RpcEvent {
    RpcEvent::Answered {
        id: RequestId(id),
        data: data.into(),
    }
}

pub(crate) fn failed(id: u64, failed: Failed) -> RpcEvent {
    RpcEvent::Failed {
        id: RequestId(id),
        failed,
    }
}

pub(crate) fn asked(id: u64, service: u64, args: &[Data]) -> RpcEvent {
    RpcEvent::Request {
        id: RequestId(id),
        service,
        args: args.to_vec(),
    }
}

pub(crate) fn chunk(id: u64) -> RpcEvent {
    RpcEvent::Chunk { id: RequestId(id) }
}

pub(crate) fn end(id: u64, empty_chunks: u64) -> RpcEvent {
    RpcEvent::StreamEnd {
        id: RequestId(id),
        empty_chunks,
    }
}

pub(crate) fn cancelled(id: u64) -> RpcEvent {
    RpcEvent::StreamCancelled { id: RequestId(id) }
}
