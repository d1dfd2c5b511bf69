//! The bytes of files, as fast as the connection takes them.

use super::{Exporter, Fail, Job, Stream};
use crate::chum::services::Refusal;
use crate::chum::store::{Ask, Piece};
use crate::chum::work::Work;
use crate::limits;
use crate::objects::Reference;
use crate::rpc::RequestId;

impl Exporter {
    /// Asks for more of the streams, as long as there is room for it on the connection.
    pub(in crate::chum) fn pump(&mut self, work: &mut Work<'_>) {
        let mut turns = self.streams.len();
        while turns > 0 && work.queued + work.rpc.queued() + self.reading() < work.config.ahead {
            turns -= 1;
            let Some(id) = self.streams.pop_front() else {
                return;
            };
            if let Some(Job::Stream(stream)) = self.jobs.get(&id) {
                let ask = Ask::Bytes {
                    hash: stream.hash,
                    offset: stream.offset,
                    length: limits::RPC_CHUNK,
                };
                self.ask(id, ask, work);
            }
        }
    }

    /// Bytes that were asked for and have not come.
    fn reading(&self) -> usize {
        self.asked.len().saturating_mul(limits::RPC_CHUNK)
    }

    pub(super) fn piece(
        &mut self,
        id: RequestId,
        mut stream: Stream,
        piece: Option<Piece>,
        work: &mut Work<'_>,
    ) -> Result<(), Fail> {
        let Some(Piece { bytes, last }) = piece else {
            return match stream.offset {
                0 => Err(Refusal::Missing.into()),
                _ => Err(Fail::Stream),
            };
        };
        stream.offset = stream.offset.saturating_add(bytes.len() as u64);
        match &mut stream.text {
            None if bytes.is_empty() => {}
            None => work.rpc.chunk(id, &bytes),
            Some(carry) => {
                carry.extend_from_slice(&bytes);
                let whole = match core::str::from_utf8(carry) {
                    Ok(_) => carry.len(),
                    Err(error) if error.error_len().is_none() && !last => error.valid_up_to(),
                    Err(_) => return Err(Fail::Stream),
                };
                let rest = carry.split_off(whole);
                if let Ok(text) = core::str::from_utf8(carry)
                    && !text.is_empty()
                {
                    work.rpc.text_chunk(id, text);
                }
                *carry = rest;
            }
        }
        if last {
            let reference = match stream.text {
                None => Reference::Blob(stream.hash),
                Some(_) => Reference::Clob(stream.hash),
            };
            self.sent.add(reference, stream.offset);
            work.rpc.end_stream(id);
        } else {
            self.job(id, Job::Stream(stream));
            self.streams.push_back(id);
            self.pump(work);
        }
        Ok(())
    }
}
