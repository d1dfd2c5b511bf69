//! CHUM on one connection: both sides say `synchronisation`, then each serves and asks (spec 11).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::config::ChumConfig;
use super::event::ChumEvent;
use super::exporter::Exporter;
use super::importer::Importer;
use super::log::ChumLog;
use super::peer::Peer;
use super::policy::Policy;
use super::services::{SYNCHRONISATION, Service};
use super::store::{Answer, Ask, AskId};
use super::trouble::ChumFault;
use super::work::Work;
use crate::io::{Kind, Message};
use crate::limits;
use crate::objects::Recipes;
use crate::rpc::{Data, RequestId, Rpc, RpcEvent, RpcOutput, RpcStats, Want};
use crate::time::{Alarm, Deadline, Micros, Now};

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum ChumOutput {
    /// Send one message; its bytes are in the buffer that was given to `poll`.
    Send(Kind),
    /// Ask the store, and answer with [`Chum::answered`].
    Ask {
        /// To be named in the answer.
        id: AskId,
        /// What is asked.
        ask: Ask,
    },
    /// Something to know. After [`ChumEvent::Ended`] the connection is to be closed.
    Event(ChumEvent),
}

/// CHUM on one connection of group `chum` that is established.
///
/// *Handle*: [`message`](Self::message), [`answered`](Self::answered), [`drained`](Self::drained),
/// [`tick`](Self::tick), [`closed`](Self::closed). *Poll*: [`poll`](Self::poll). *Look*: [`deadline`](Self::deadline).
/// The bytes that wait to be sent are bounded; when the connection takes no more, do not poll on, and say when it
/// has [`drained`](Self::drained).
#[derive(Clone, Debug)]
pub struct Chum {
    config: ChumConfig,
    start: Start,
    rpc: Rpc,
    asks: Asks,
    exporter: Exporter,
    importer: Importer,
    events: VecDeque<ChumEvent>,
    /// Messages that wait to be polled, and their bytes.
    out: VecDeque<(Kind, Vec<u8>)>,
    queued: usize,
    fault: Option<ChumFault>,
    ended: bool,
    /// The event service was called; the request, so that its answer is known.
    telling: Option<RequestId>,
    /// The peer's importer has asked for something, last at this time.
    heard: Option<Micros>,
    /// What the peer had been given when it was quiet last.
    told_sent: u64,
    peer_done: bool,
    /// When the peer's `synchronisation` is given up, or when the first request goes out.
    at: Option<Micros>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The own `synchronisation` waits to be polled; whether the peer's has come.
    Greeting { heard: bool },
    /// The peer's is awaited.
    Waiting,
    /// Both are said. The first request waits for the peer's, or a moment.
    Holding,
    /// It goes.
    Running,
}

/// Questions for the store.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    next: u64,
    queue: VecDeque<(AskId, Ask)>,
}

impl Asks {
    pub(super) fn ask(&mut self, ask: Ask) -> AskId {
        let id = AskId(self.next);
        self.next += 1;
        self.queue.push_back((id, ask));
        id
    }
}

impl Chum {
    /// A CHUM with this peer, from the moment on that its connection is established.
    #[must_use]
    pub fn new(
        now: Now,
        config: ChumConfig,
        peer: Peer,
        recipes: Recipes,
        policy: Arc<dyn Policy>,
    ) -> Self {
        Self {
            start: Start::Greeting { heard: false },
            rpc: Rpc::new(config.rpc.clone()),
            asks: Asks::default(),
            exporter: Exporter::new(peer.person, recipes.clone()),
            importer: Importer::new(peer, recipes, policy),
            events: VecDeque::new(),
            out: VecDeque::new(),
            queued: 0,
            fault: None,
            ended: false,
            telling: None,
            heard: None,
            told_sent: 0,
            peer_done: false,
            at: Some(now.mono + limits::CHUM_SYNCHRONISATION),
            config,
        }
    }

    // --- handle --------------------------------------------------------------------------------------------------

    /// A message of the connection.
    pub fn message(&mut self, now: Now, message: Message<'_>) {
        if self.ended {
            return;
        }
        match self.start {
            Start::Greeting { heard: false } | Start::Waiting => {
                if message != Message::Text(SYNCHRONISATION) {
                    self.fault = Some(ChumFault::NotSynchronised);
                    self.settle(now);
                    return;
                }
                match self.start {
                    Start::Waiting => self.hold(now),
                    _ => self.start = Start::Greeting { heard: true },
                }
            }
            _ => {
                self.rpc.message(now, message);
                self.drain(now);
            }
        }
    }

    /// The store's answer.
    pub fn answered(&mut self, now: Now, id: AskId, answer: Answer) {
        if self.ended {
            return;
        }
        let (exporter, importer, mut work) = self.parts(now);
        if let Some(answer) = exporter.answered(id, answer, &mut work) {
            importer.store_answered(id, answer, &mut work);
        }
        self.drain(now);
    }

    /// The connection has room again.
    pub fn drained(&mut self, now: Now) {
        if !self.ended {
            self.drain(now);
        }
    }

    /// Something new was granted to the peer: it is told.
    pub fn granted(&mut self, now: Now) {
        // Before the first answer, one message at most may be on its way (spec 11, "Start").
        let early = self.config.import && self.importer.is_early();
        if self.start == Start::Running && !early && self.telling.is_none() && !self.ended {
            let service = Service::NewAccessibleRootEvent.number();
            self.telling = self.rpc.request(now, service, &[], Want::Value).ok();
            self.drain(now);
        }
    }

    /// Looks for new roots now.
    pub fn poll_roots(&mut self, now: Now) {
        if !self.ended {
            let (_, importer, mut work) = self.parts(now);
            importer.poll_now(&mut work);
            self.drain(now);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        if self.ended {
            return;
        }
        if let Some(at) = self.at.filter(|at| now.mono >= *at) {
            match self.start {
                Start::Holding => self.run(now),
                Start::Greeting { .. } | Start::Waiting => {
                    self.fault = Some(ChumFault::SilentStart);
                }
                Start::Running => drop(self.at.take_if(|own| *own == at)),
            }
        }
        self.rpc.tick(now);
        if self.start == Start::Running && self.config.import {
            let (_, importer, mut work) = self.parts(now);
            importer.tick(&mut work);
        }
        self.drain(now);
    }

    /// The connection is gone. The last event tells what was done.
    pub fn closed(&mut self) {
        self.out.clear();
        self.queued = 0;
        if !self.ended {
            self.rpc.closed();
            self.end(None);
        }
    }

    /// The policy takes more than before: what it refused is looked at again.
    pub fn policy_changed(&mut self, now: Now) {
        if !self.ended {
            let (_, importer, mut work) = self.parts(now);
            importer.policy_changed(&mut work);
        }
        self.poll_roots(now);
    }

    // --- look ----------------------------------------------------------------------------------------------------

    /// When `tick` is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        if self.ended {
            return None;
        }
        let importer = match self.start {
            Start::Running => self.importer.deadline(),
            _ => None,
        };
        let own = [self.at, importer, self.quiet_at()]
            .into_iter()
            .flatten()
            .min()
            .map(|at| Deadline {
                at,
                why: Alarm::Chum,
            });
        [own, self.rpc.deadline()].into_iter().flatten().min()
    }

    /// Counters of the requests.
    #[must_use]
    pub fn stats(&self) -> RpcStats {
        self.rpc.stats()
    }

    /// Whether nothing is under way: between two rounds, and nothing is being served.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let importing = self.config.import && !self.importer.is_asleep();
        !importing && !self.exporter.is_busy() && self.start == Start::Running
    }

    // --- poll ----------------------------------------------------------------------------------------------------

    /// The next thing to do, if any. For [`ChumOutput::Send`] the message's bytes replace what is in `bytes`.
    pub fn poll(&mut self, now: Now, bytes: &mut Vec<u8>) -> Option<ChumOutput> {
        if let Start::Greeting { heard } = self.start
            && !self.ended
        {
            bytes.clear();
            bytes.extend_from_slice(SYNCHRONISATION.as_bytes());
            match heard {
                true => self.hold(now),
                false => self.start = Start::Waiting,
            }
            return Some(ChumOutput::Send(Kind::Text));
        }
        // What is still to be said goes out before the end is told: the connection is closed then.
        let next = self.events.front();
        let is_end = matches!(next, Some(ChumEvent::Ended { .. }));
        if let Some(event) = self.events.pop_front_if(|_| !is_end || self.out.is_empty()) {
            return Some(ChumOutput::Event(event));
        }
        if let Some((id, ask)) = self.asks.queue.pop_front() {
            return Some(ChumOutput::Ask { id, ask });
        }
        let (kind, message) = self.out.pop_front()?;
        self.queued -= message.len();
        *bytes = message;
        if self.queued < self.config.ahead && !self.ended {
            self.pump(now);
        }
        Some(ChumOutput::Send(kind))
    }

    // --- within --------------------------------------------------------------------------------------------------

    fn parts(&mut self, now: Now) -> (&mut Exporter, &mut Importer, Work<'_>) {
        let work = Work {
            now,
            queued: self.queued,
            rpc: &mut self.rpc,
            asks: &mut self.asks,
            config: &self.config,
            events: &mut self.events,
            fault: &mut self.fault,
        };
        (&mut self.exporter, &mut self.importer, work)
    }

    /// Both have said `synchronisation`. A request right behind it would be lost at a deployed peer.
    fn hold(&mut self, now: Now) {
        self.start = Start::Holding;
        self.at = Some(now.mono + self.config.start_delay);
    }

    fn run(&mut self, now: Now) {
        self.start = Start::Running;
        self.at = None;
        if self.config.import {
            let (_, importer, mut work) = self.parts(now);
            importer.start(&mut work);
        }
    }

    /// Takes what the requests tell.
    fn drain(&mut self, now: Now) {
        self.take(now);
        self.pump(now);
        self.settle(now);
    }

    /// Takes what the layer of requests has to say, to its end: events are seen to, messages wait.
    fn take(&mut self, now: Now) {
        let mut bytes = Vec::new();
        while let Some(output) = self.rpc.poll(&mut bytes) {
            match output {
                RpcOutput::Send(kind) => {
                    self.queued += bytes.len();
                    self.out.push_back((kind, core::mem::take(&mut bytes)));
                }
                RpcOutput::Event(event) => self.heard_of(now, event, &mut bytes),
            }
        }
    }

    fn heard_of(&mut self, now: Now, event: RpcEvent, bytes: &mut Vec<u8>) {
        if let RpcEvent::Request { .. } = event
            && self.start == Start::Holding
        {
            self.run(now);
        }
        let telling = self.telling;
        match event {
            RpcEvent::Request { id, service, args } => self.requested(now, id, service, args),
            RpcEvent::Answered { id, .. } | RpcEvent::Failed { id, .. } if Some(id) == telling => {
                self.telling = None;
            }
            RpcEvent::StreamCancelled { id } => {
                let (exporter, _, mut work) = self.parts(now);
                exporter.cancelled(id, &mut work);
            }
            RpcEvent::Answered { id, data } => {
                let (_, importer, mut work) = self.parts(now);
                importer.answered(id, data, &mut work);
            }
            RpcEvent::Failed { id, failed } => {
                let (_, importer, mut work) = self.parts(now);
                importer.failed(id, failed, &mut work);
            }
            RpcEvent::Chunk { id } => {
                let (_, importer, mut work) = self.parts(now);
                importer.chunk(id, bytes, &mut work);
            }
            RpcEvent::StreamEnd { id, empty_chunks } => {
                let (_, importer, mut work) = self.parts(now);
                importer.stream_end(id, empty_chunks, &mut work);
            }
        }
    }

    fn requested(&mut self, now: Now, id: RequestId, number: u64, args: Vec<Data>) {
        let importing = self.config.import && !self.importer.is_done();
        match Service::of(number) {
            Some(Service::NewAccessibleRootEvent) if importing => {
                self.rpc.answer(id, &Data::Undefined);
                let (_, importer, mut work) = self.parts(now);
                importer.poll_now(&mut work);
            }
            Some(service) if self.config.export && !self.exporter.is_done() => {
                if service != Service::GetProtocolVersion {
                    self.heard = Some(now.mono);
                }
                let (exporter, _, mut work) = self.parts(now);
                exporter.request(id, service, args, &mut work);
            }
            _ => self.rpc.unknown_service(id, number),
        }
    }

    /// When the peer will have been quiet for long enough, if it was given a list.
    fn quiet_at(&self) -> Option<Micros> {
        let heard = self.heard.filter(|_| self.exporter.lists > 0)?;
        Some(heard + self.config.quiet)
    }

    /// Goes on with what waited for room.
    fn pump(&mut self, now: Now) {
        let (exporter, importer, mut work) = self.parts(now);
        exporter.pump(&mut work);
        importer.flush(&mut work);
        self.take(now);
    }

    fn settle(&mut self, now: Now) {
        if self.ended {
            return;
        }
        // It can have waited for its turn behind other requests.
        if self.exporter.is_done() && !self.peer_done {
            self.peer_done = true;
            self.events.push_back(ChumEvent::PeerDone);
        }
        if self.queued > limits::CHUM_QUEUED {
            self.fault = Some(ChumFault::Flooded);
        }
        if self.exporter.is_busy() {
            // What is being served counts as asked for now.
            self.heard = self.heard.map(|_| now.mono);
        } else if self.quiet_at().is_some_and(|at| now.mono >= at) {
            self.heard = None;
            let count = self.exporter.sent.count();
            let sent = count - self.told_sent;
            self.told_sent = count;
            self.events.push_back(ChumEvent::PeerQuiet { sent });
        }
        if let Some(fault) = self.fault.take() {
            self.end(Some(fault));
        } else if self.start == Start::Running
            && (self.importer.is_done() || !self.config.import)
            && (self.exporter.is_done() || !self.config.export)
        {
            self.end(None);
        }
    }

    fn end(&mut self, fault: Option<ChumFault>) {
        self.ended = true;
        self.asks.queue.clear();
        if fault.is_some() {
            self.out.clear();
            self.queued = 0;
        }
        let log = ChumLog {
            sent: core::mem::take(&mut self.exporter.sent),
            received: core::mem::take(&mut self.importer.received),
            failures: self.importer.failures,
            stamp: self.importer.stamp(),
            statistics: self.rpc.stats(),
        };
        let log = Box::new(log);
        self.events.push_back(ChumEvent::Ended { fault, log });
    }
}
