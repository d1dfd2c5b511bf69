//! The own requests: asking, and what comes back (spec 10, "Handling an answer", "Streams").

use alloc::vec::Vec;

use super::base64;
use super::data::{Data, MAX_INTEGER, RequestId};
use super::event::RpcEvent;
use super::failed::Failed;
use super::machine::Rpc;
use super::queue::weight;
use super::wire::{self, Answer, Encoding, TextChunk};
use crate::io::Full;
use crate::limits;
use crate::time::{Alarm, Deadline, Micros, Now};

/// What a request is for. An answer of another kind fails it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// A value.
    Value,
    /// A value; if it is a text, then as it stands, even where it reads `$__undefined$`.
    Verbatim,
    /// A file.
    Stream,
}

/// How the chunks of a stream travel; its first one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Coding {
    Binary,
    Utf8,
    Base64,
}

/// An own request without its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Own {
    service: u64,
    want: Want,
    /// When the answer, or the next sign of the stream, has to be there.
    until: Micros,
    coding: Option<Coding>,
    received: u64,
    /// Empty chunks that had come before.
    empty_chunks: u64,
}

impl Own {
    pub(super) const fn deadline(&self) -> Deadline {
        let why = match self.coding {
            None => Alarm::RequestLimit,
            Some(_) => Alarm::StreamLimit,
        };
        Deadline {
            at: self.until,
            why,
        }
    }

    const fn too_late(&self) -> Failed {
        let service = self.service;
        match self.coding {
            None => Failed::Timeout { service },
            Some(_) => Failed::StreamTimeout { service },
        }
    }
}

impl Rpc {
    /// Asks the peer. The request has its end as one event, whatever happens.
    ///
    /// # Errors
    /// [`Full`]: too many requests, or streams, are open, or too much waits to be polled; nothing has changed.
    pub fn request(
        &mut self,
        now: Now,
        service: u64,
        args: &[Data],
        want: Want,
    ) -> Result<RequestId, Full> {
        self.see(now);
        let is_stream = want == Want::Stream;
        if self.own.len() >= self.config.requests
            || (is_stream && self.own_streams >= self.config.streams)
            || self.queue.out() >= self.config.queued_bytes
            || !self.has_room(0)
            || self.next > MAX_INTEGER
        {
            return Err(Full);
        }
        let id = self.next;
        self.next += 1;
        self.own_streams += usize::from(is_stream);
        self.own.insert(
            id,
            Own {
                service,
                want,
                until: self.latest + self.config.request_time,
                coding: None,
                received: 0,
                empty_chunks: self.stats.empty_chunks,
            },
        );
        if self.closed {
            self.fail(id, Failed::Closed, false);
        } else {
            self.stats.requests_sent_total += 1;
            self.send(|out| wire::request(out, id, service, args));
        }
        Ok(RequestId(id))
    }

    /// Gives an own request up: it fails as cancelled, after what has come already. The sender of a stream is told,
    /// once; what still comes is dropped.
    pub fn cancel(&mut self, id: RequestId) {
        self.fail(id.0, Failed::Cancelled, self.wants_stream(id.0));
    }

    /// Ends a request, if it is open. `notice`: the peer is told that chunks are not wanted.
    pub(super) fn fail(&mut self, id: u64, failed: Failed, notice: bool) {
        if self.end(id).is_none() {
            return;
        }
        if notice {
            self.send(|out| wire::write_stream_error(out, id));
        }
        let texts = match &failed {
            Failed::Remote(error) => {
                error.name.len() + error.message.len() + error.code.as_ref().map_or(0, |c| c.len())
            }
            _ => 0,
        };
        let id = RequestId(id);
        self.queue
            .event(RpcEvent::Failed { id, failed }, weight(texts));
    }

    /// Forgets an open request, but for its late chunks.
    fn end(&mut self, id: u64) -> Option<Own> {
        let own = self.own.remove(&id)?;
        self.own_streams -= usize::from(own.want == Want::Stream);
        if self.ended.len() >= limits::RPC_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((id, self.latest));
        Some(own)
    }

    /// Whether that request ended so lately that its chunks may be on their way.
    fn has_just_ended(&mut self, id: u64) -> bool {
        let is_long_ago = |at: Micros| self.latest.since(at) >= limits::RPC_LATE;
        while self.ended.front().is_some_and(|(_, at)| is_long_ago(*at)) {
            self.ended.pop_front();
        }
        self.ended.iter().any(|(ended, _)| *ended == id)
    }

    pub(super) fn wants_stream(&self, id: u64) -> bool {
        self.own
            .get(&id)
            .is_some_and(|own| own.want == Want::Stream)
    }

    /// An answer that could not be read.
    pub(super) fn malformed(&mut self, id: u64) {
        self.stats.answers_malformed += 1;
        self.fail(id, Failed::Malformed, self.wants_stream(id));
    }

    pub(super) fn expire(&mut self) {
        let late: Vec<u64> = self
            .own
            .iter()
            .filter(|(_, own)| own.until <= self.latest)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            if let Some(failed) = self.own.get(&id).map(Own::too_late) {
                self.fail(id, failed, self.wants_stream(id));
            }
        }
    }

    pub(super) fn answered(&mut self, id: u64, answer: Answer, weight: usize) {
        let Some(own) = self.own.get(&id) else {
            match answer {
                Answer::Chunk(_) if self.has_just_ended(id) => self.stats.chunks_late += 1,
                _ => self.stats.answers_ignored += 1,
            }
            return;
        };
        let (want, has_begun) = (own.want, own.coding.is_some());
        match (answer, want) {
            (Answer::Error(Some(error)), _) => self.fail(id, Failed::Remote(error), has_begun),
            (Answer::Error(None), _) => self.malformed(id),
            (Answer::Data(value), Want::Value | Want::Verbatim) => {
                if !self.has_room(weight) {
                    return self.fail(id, Failed::Flooded, false);
                }
                let data = Data::of(value, want == Want::Verbatim);
                self.end(id);
                let id = RequestId(id);
                self.queue.event(RpcEvent::Answered { id, data }, weight);
            }
            (Answer::Chunk(chunk), Want::Stream) => self.text_chunk_came(RequestId(id), chunk),
            (Answer::StreamEnd, Want::Stream) => self.stream_ended(RequestId(id)),
            (Answer::StreamError, Want::Stream) => {
                self.fail(id, Failed::StreamFailedAtSender, false);
            }
            // Chunks may follow a chunk, and a value in the midst of a stream.
            (Answer::Chunk(_), _) => self.fail(id, Failed::WrongKind, true),
            (Answer::Data(_), Want::Stream) => self.fail(id, Failed::WrongKind, has_begun),
            (Answer::StreamEnd | Answer::StreamError, _) => {
                self.fail(id, Failed::WrongKind, false);
            }
        }
    }

    fn stream_ended(&mut self, id: RequestId) {
        if let Some(own) = self.end(id.0) {
            let empty_chunks = self.stats.empty_chunks - own.empty_chunks;
            let event = RpcEvent::StreamEnd { id, empty_chunks };
            self.queue.event(event, weight(0));
        }
    }

    pub(super) fn binary_chunk(&mut self, id: RequestId, data: &[u8]) {
        match self.own.get(&id.0).map(|own| own.want) {
            Some(Want::Stream) => {
                if self.admit(id.0, Coding::Binary, data.len()) {
                    let mut bytes = self.queue.buffer();
                    bytes.extend_from_slice(data);
                    self.push_chunk(id, bytes);
                }
            }
            Some(Want::Value | Want::Verbatim) => self.fail(id.0, Failed::WrongKind, true),
            None if self.has_just_ended(id.0) => self.stats.chunks_late += 1,
            None => self.stats.chunks_dropped += 1,
        }
    }

    fn text_chunk_came(&mut self, id: RequestId, chunk: TextChunk) {
        let TextChunk { chunk, encoding } = chunk;
        let begun = self.own.get(&id.0).and_then(|own| own.coding);
        let coding = match (begun, encoding) {
            (None, Encoding::Utf8) => Coding::Utf8,
            (None, Encoding::Base64) => Coding::Base64,
            (None, Encoding::Absent | Encoding::Unknown) => {
                return self.fail(id.0, Failed::BadChunk, true);
            }
            (Some(Coding::Utf8), Encoding::Absent | Encoding::Utf8) => Coding::Utf8,
            (Some(Coding::Base64), Encoding::Absent | Encoding::Base64) => Coding::Base64,
            (Some(_), _) => return self.fail(id.0, Failed::MixedStream, true),
        };
        let bytes = chunk.and_then(|chunk| match coding {
            Coding::Base64 => base64::decode(chunk.as_bytes()),
            Coding::Binary | Coding::Utf8 => Some(chunk.into_bytes()),
        });
        match bytes {
            None => self.fail(id.0, Failed::BadChunk, true),
            Some(bytes) => {
                if self.admit(id.0, coding, bytes.len()) {
                    self.push_chunk(id, bytes);
                }
            }
        }
    }

    /// Whether a chunk fits its stream and the limits; if not, the request has failed.
    fn admit(&mut self, id: u64, coding: Coding, bytes: usize) -> bool {
        let has_room = self.has_room(weight(bytes));
        let Some(own) = self.own.get_mut(&id) else {
            return false;
        };
        let received = own.received.saturating_add(bytes as u64);
        let failed = if own.coding.is_some_and(|begun| begun != coding) {
            Failed::MixedStream
        } else if received > self.config.file_bytes {
            Failed::TooLong
        } else if !has_room {
            Failed::Flooded
        } else {
            own.coding = Some(coding);
            own.received = received;
            own.until = self.latest + self.config.stream_gap;
            return true;
        };
        self.fail(id, failed, true);
        false
    }

    fn push_chunk(&mut self, id: RequestId, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.queue.chunk(id, bytes);
        }
    }
}
