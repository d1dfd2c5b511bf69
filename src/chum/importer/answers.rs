//! Requests to the peer, questions to the store, and whose each answer is.

use alloc::vec::Vec;

use super::task::Step;
use super::{For, Importer, Outgoing, Phase, is_unknown_service};
use crate::chum::event::ChumEvent;
use crate::chum::services::Service;
use crate::chum::store::{Answer, Ask, AskId};
use crate::chum::trouble::{ChumFault, Trouble};
use crate::chum::work::Work;
use crate::rpc::{Data, Failed, RequestId, Want};

impl Importer {
    pub(super) fn request(
        &mut self,
        of: For,
        service: Service,
        args: Vec<Data>,
        work: &mut Work<'_>,
    ) {
        let want = match service {
            Service::GetObject | Service::GetIdObject => Want::Verbatim,
            Service::GetBlob => Want::Stream,
            _ => Want::Value,
        };
        self.outgoing.push_back(Outgoing {
            of,
            service,
            args,
            want,
        });
        self.flush(work);
    }

    /// Makes the requests that there is room for.
    pub(in crate::chum) fn flush(&mut self, work: &mut Work<'_>) {
        while let Some(next) = self.outgoing.front() {
            let number = next.service.number();
            let Ok(id) = work.rpc.request(work.now, number, &next.args, next.want) else {
                return;
            };
            let (of, service) = (next.of, next.service);
            self.outgoing.pop_front();
            self.requests.insert(id, (of, service));
            if let For::Task(no) = of
                && let Some(task) = self.tasks.get_mut(&no)
                && let Step::File(file) = &mut task.step
            {
                file.request = Some(id);
            }
        }
    }

    pub(super) fn ask(&mut self, of: For, ask: Ask, work: &mut Work<'_>) -> AskId {
        let id = work.asks.ask(ask);
        self.asked.insert(id, of);
        id
    }

    /// An own request was answered.
    pub(in crate::chum) fn answered(&mut self, id: RequestId, data: Data, work: &mut Work<'_>) {
        let Some((of, service)) = self.requests.remove(&id) else {
            return;
        };
        match (of, &self.phase, service) {
            (For::Phase, Phase::Version { .. }, Service::GetProtocolVersion) => {
                self.version_answered(&data, work);
            }
            (For::Phase, Phase::Roots, Service::GetAccessibleRoots) => {
                self.roots_answered(data, work);
            }
            (For::Phase, Phase::Roots, Service::GetRootsSince) => {
                self.since_answered(&data, work);
            }
            (For::Phase, Phase::Fin, Service::Fin) => self.phase = Phase::Done,
            (For::Task(no), ..) => self.task_answered(no, service, data, work),
            _ => {}
        }
    }

    /// An own request failed.
    pub(in crate::chum) fn failed(&mut self, id: RequestId, failed: Failed, work: &mut Work<'_>) {
        let Some((of, service)) = self.requests.remove(&id) else {
            return;
        };
        match (of, &self.phase, service) {
            (For::Phase, Phase::Version { .. }, Service::GetProtocolVersion) => {
                self.version_failed(&failed, work);
            }
            (For::Phase, Phase::Roots, Service::GetRootsSince) if is_unknown_service(&failed) => {
                self.without_since(work);
            }
            (For::Phase, Phase::Roots, Service::GetRootsSince) => {
                let trouble = Trouble::Request { service, failed };
                *work.fault = Some(ChumFault::Roots(trouble));
            }
            (For::Phase, Phase::Roots, Service::GetAccessibleRoots) => {
                if is_unknown_service(&failed) {
                    self.phase = Phase::Done;
                    work.events.push_back(ChumEvent::RemoteExporterEnded);
                } else {
                    let trouble = Trouble::Request { service, failed };
                    *work.fault = Some(ChumFault::Roots(trouble));
                }
            }
            (For::Phase, Phase::Fin, Service::Fin) => self.phase = Phase::Done,
            (For::Task(no), ..) => {
                self.task_failed(no, Trouble::Request { service, failed }, work);
            }
            _ => {}
        }
    }

    /// More of a file.
    pub(in crate::chum) fn chunk(
        &mut self,
        id: RequestId,
        bytes: &mut Vec<u8>,
        work: &mut Work<'_>,
    ) {
        if let Some((For::Task(no), _)) = self.requests.get(&id) {
            self.file_chunk(*no, bytes, work);
        }
    }

    /// A file is complete.
    pub(in crate::chum) fn stream_end(
        &mut self,
        id: RequestId,
        empty_chunks: u64,
        work: &mut Work<'_>,
    ) {
        if let Some((For::Task(no), _)) = self.requests.remove(&id) {
            self.file_end(no, empty_chunks, work);
        }
    }

    /// The store's answer, if the question was one of this importer.
    pub(in crate::chum) fn store_answered(
        &mut self,
        asked: AskId,
        answer: Answer,
        work: &mut Work<'_>,
    ) {
        match (self.asked.remove(&asked), answer) {
            (Some(For::Phase), Answer::Presence(presence)) => {
                self.sifted(&presence, work);
            }
            (Some(For::Phase), answer) if matches!(self.phase, Phase::Cursor) => {
                self.ask_since(answer, work);
            }
            (Some(For::Phase), answer) if matches!(self.phase, Phase::Settling) => {
                self.since.written(&answer);
                self.rest(work);
            }
            (Some(For::Phase), _) => *work.fault = Some(ChumFault::Store),
            (Some(For::Task(no)), answer) => self.task_told(no, answer, work),
            (Some(For::File(no)), answer) => self.file_told((no, asked), &answer, work),
            (Some(For::Part(no, file)), answer) => {
                self.file_told((no, file), &answer, work);
            }
            (Some(For::Nobody) | None, _) => {}
        }
    }
}
