//! The exporter: it serves what this instance has to the person at the other end (spec 11, "Exporter").

mod accessible;
mod roots;
mod streams;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use self::accessible::Accessible;
use crate::chum::entry::write_children;
use crate::chum::log::Transferred;
use crate::chum::services::{Refusal, Service, VERSION};
use crate::chum::since::{Cursor, digest};
use crate::chum::store::{Answer, Ask, AskId, Grant};
use crate::chum::version::VersionNode;
use crate::chum::walk::Walk;
use crate::chum::work::Work;
use crate::limits;
use crate::objects::{
    FileHash, IdHash, ObjectHash, PersonId, Recipes, RefKind, Reference, type_of,
};
use crate::rpc::{Data, RequestId, Rpc};

/// How many nodes are read at once.
const BATCH: usize = 64;
/// The longest argument: a hash.
const ARGUMENT: usize = 64;

/// The exporter of one connection.
#[derive(Clone, Debug)]
pub(super) struct Exporter {
    person: PersonId,
    recipes: Recipes,
    accessible: Accessible,
    /// Version nodes that were read before; they never change.
    nodes: BTreeMap<ObjectHash, VersionNode>,
    jobs: BTreeMap<RequestId, Job>,
    asked: BTreeMap<AskId, RequestId>,
    /// Requests that wait for their turn.
    waiting: VecDeque<(RequestId, Service, Vec<Data>)>,
    /// Streams that wait for room.
    streams: VecDeque<RequestId>,
    ended: bool,
    /// Lists of roots that were given.
    pub(super) lists: u64,
    pub(super) sent: Transferred,
}

#[derive(Clone, Debug)]
enum Job {
    Grants(Wanted),
    Histories(Histories),
    Journal(Listed),
    Children(Walk),
    Text(Reference),
    Stream(Stream),
}

/// Which list of roots is wanted.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// All of it, by service 2.
    Whole,
    /// What is not in the list of this cursor, by service 100.
    Since(Option<Cursor>),
}

/// A list of roots that is made, and what the peer has settled of it.
#[derive(Clone, Debug)]
struct Listed {
    /// The texts of the entries.
    entries: Vec<String>,
    digest: [u8; 32],
    cursor: Option<Cursor>,
}

/// A list of roots in the making: the versions of all things are being read.
#[derive(Clone, Debug)]
struct Histories {
    wanted: Wanted,
    grants: Vec<Grant>,
    ahead: Vec<ObjectHash>,
    asked: Vec<ObjectHash>,
    seen: BTreeSet<ObjectHash>,
}

#[derive(Clone, Debug)]
struct Stream {
    hash: FileHash,
    offset: u64,
    /// As text; `carry` is the beginning of a character that the last piece cut.
    text: Option<Vec<u8>>,
}

impl Exporter {
    pub(super) fn new(person: PersonId, recipes: Recipes) -> Self {
        Self {
            person,
            recipes,
            accessible: Accessible::default(),
            nodes: BTreeMap::new(),
            jobs: BTreeMap::new(),
            asked: BTreeMap::new(),
            waiting: VecDeque::new(),
            streams: VecDeque::new(),
            ended: false,
            lists: 0,
            sent: Transferred::default(),
        }
    }

    /// Whether the peer has said that it wants nothing more.
    pub(super) const fn is_done(&self) -> bool {
        self.ended
    }

    /// Whether it has something to do.
    pub(super) fn is_busy(&self) -> bool {
        !self.jobs.is_empty() || !self.waiting.is_empty()
    }

    /// A request of the peer.
    pub(super) fn request(
        &mut self,
        id: RequestId,
        service: Service,
        mut args: Vec<Data>,
        work: &mut Work<'_>,
    ) {
        // Of a cursor its two values are kept.
        if service == Service::GetRootsSince {
            args = match args.first().and_then(Cursor::of) {
                Some(cursor) => cursor_args(&cursor),
                None => Vec::new(),
            };
        }
        // What waits is small, whatever was sent: no service has more arguments, or longer ones.
        args.truncate(2);
        args.shrink_to_fit();
        for arg in &mut args {
            match arg {
                Data::Text(text) if text.len() <= ARGUMENT => text.shrink_to_fit(),
                Data::Undefined | Data::Number(_) => {}
                _ => *arg = Data::Null,
            }
        }
        self.waiting.push_back((id, service, args));
        self.go_on(work);
    }

    /// The peer does not want the rest of a stream.
    pub(super) fn cancelled(&mut self, id: RequestId, work: &mut Work<'_>) {
        self.jobs.remove(&id);
        self.streams.retain(|stream| *stream != id);
        // The peer may use the number again.
        self.asked.retain(|_, asked| *asked != id);
        self.go_on(work);
    }

    fn go_on(&mut self, work: &mut Work<'_>) {
        while self.jobs.len() < work.config.serve_at_once {
            let Some((id, service, args)) = self.waiting.pop_front() else {
                return;
            };
            if let Err(refusal) = self.begin(id, service, &args, work) {
                refuse(work.rpc, id, refusal);
            }
        }
    }

    fn begin(
        &mut self,
        id: RequestId,
        service: Service,
        args: &[Data],
        work: &mut Work<'_>,
    ) -> Result<(), Refusal> {
        if self.ended {
            work.rpc.unknown_service(id, service.number());
            return Ok(());
        }
        match service {
            Service::GetProtocolVersion => work.rpc.answer(id, &Data::Number(VERSION)),
            Service::GetAccessibleRoots => {
                self.job(id, Job::Grants(Wanted::Whole));
                self.ask(id, Ask::Granted(self.person), work);
            }
            Service::GetRootsSince if work.config.extensions => {
                self.job(id, Job::Grants(Wanted::Since(cursor_of(args))));
                self.ask(id, Ask::Granted(self.person), work);
            }
            Service::GetObjectChildren => {
                let hash = object_hash(args)?;
                let kind = self.accessible.kind(&hash.0);
                let _ = kind.ok_or(Refusal::ObjectChildren)?;
                self.walk(id, Reference::Object(hash), work);
            }
            Service::GetIdObjectChildren => {
                let hash = id_hash(args)?;
                let kind = self.accessible.kind(&hash.0);
                let _ = kind.ok_or(Refusal::IdObjectChildren)?;
                self.walk(id, Reference::Id(hash), work);
            }
            Service::GetObject => {
                let hash = object_hash(args)?;
                match self.accessible.kind(&hash.0) {
                    None => return Err(Refusal::Object),
                    Some(RefKind::Object) => self.text(id, Reference::Object(hash), work),
                    Some(_) => return Err(Refusal::NoObject),
                }
            }
            Service::GetIdObject => {
                let hash = id_hash(args)?;
                match self.accessible.kind(&hash.0) {
                    None => return Err(Refusal::IdObject),
                    Some(RefKind::Id) => self.text(id, Reference::Id(hash), work),
                    Some(_) => return Err(Refusal::NoIdObject),
                }
            }
            Service::GetBlob => {
                let hash = FileHash(object_hash(args)?.0);
                let text = match args.get(1) {
                    None | Some(Data::Undefined) => None,
                    Some(Data::Text(encoding)) if encoding == "utf8" => Some(Vec::new()),
                    Some(_) => return Err(Refusal::Encoding),
                };
                self.accessible.kind(&hash.0).ok_or(Refusal::Blob)?;
                let stream = Stream {
                    hash,
                    offset: 0,
                    text,
                };
                self.job(id, Job::Stream(stream));
                self.streams.push_back(id);
                self.pump(work);
            }
            Service::Fin => {
                self.ended = true;
                work.rpc.answer(id, &Data::Undefined);
            }
            // An importer's, or one that is switched off.
            Service::NewAccessibleRootEvent | Service::GetRootsSince => {
                work.rpc.unknown_service(id, service.number());
            }
        }
        Ok(())
    }

    fn job(&mut self, id: RequestId, job: Job) {
        self.jobs.insert(id, job);
    }

    fn ask(&mut self, id: RequestId, ask: Ask, work: &mut Work<'_>) {
        let asked = work.asks.ask(ask);
        self.asked.insert(asked, id);
    }

    fn text(&mut self, id: RequestId, reference: Reference, work: &mut Work<'_>) {
        self.job(id, Job::Text(reference));
        self.ask(id, Ask::Texts([reference].into()), work);
    }

    fn walk(&mut self, id: RequestId, root: Reference, work: &mut Work<'_>) {
        let mut walk = Walk::new(root, work.config.children);
        if let Some(wanted) = walk.wants() {
            self.ask(id, Ask::Texts(wanted), work);
        }
        self.job(id, Job::Children(walk));
    }

    /// The store's answer; it is given back if the question was none of this exporter.
    pub(super) fn answered(
        &mut self,
        asked: AskId,
        answer: Answer,
        work: &mut Work<'_>,
    ) -> Option<Answer> {
        let Some(id) = self.asked.remove(&asked) else {
            return Some(answer);
        };
        self.told(id, answer, work);
        None
    }

    fn told(&mut self, id: RequestId, answer: Answer, work: &mut Work<'_>) {
        // A stream can have been cancelled meanwhile.
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        if let Err(refusal) = self.job_answered(id, job, answer, work) {
            match refusal {
                Fail::Request(refusal) => refuse(work.rpc, id, refusal),
                Fail::Stream => work.rpc.fail_stream(id),
            }
        }
        self.go_on(work);
    }

    fn job_answered(
        &mut self,
        id: RequestId,
        job: Job,
        answer: Answer,
        work: &mut Work<'_>,
    ) -> Result<(), Fail> {
        match (job, answer) {
            (Job::Grants(wanted), Answer::Granted(grants)) => {
                if grants.len() > work.config.roots {
                    return Err(Refusal::Limit.into());
                }
                let heads = grants.iter().filter_map(|grant| match grant {
                    Grant::Id { head, .. } => *head,
                    Grant::Object { .. } => None,
                });
                let ahead = heads.collect();
                if self.nodes.len() > limits::CHUM_HISTORY {
                    self.nodes.clear();
                }
                let histories = Histories {
                    wanted,
                    grants,
                    ahead,
                    asked: Vec::new(),
                    seen: BTreeSet::new(),
                };
                self.histories(id, histories, work)
            }
            (Job::Histories(mut histories), Answer::Texts(texts)) => {
                self.read_nodes(&mut histories, &texts);
                self.histories(id, histories, work)
            }
            (Job::Journal(listed), answer) => {
                // A store that keeps none, or cannot say, lists everything.
                let bytes = match &answer {
                    Answer::Journal(Some(bytes)) => bytes.as_slice(),
                    _ => &[],
                };
                self.since(id, &listed, bytes, work);
                Ok(())
            }
            (Job::Children(mut walk), Answer::Texts(texts)) => {
                walk.came(&texts)?;
                if let Some(wanted) = walk.wants() {
                    self.ask(id, Ask::Texts(wanted), work);
                    self.job(id, Job::Children(walk));
                    return Ok(());
                }
                let children = walk.children();
                self.accessible
                    .listed(walk.root(), &children, work.config.accessible)?;
                work.rpc.answer_text(id, &write_children(&children));
                Ok(())
            }
            (Job::Text(reference), Answer::Texts(texts)) => {
                let text = texts.into_iter().next().flatten();
                let text = text.ok_or(Refusal::Missing)?;
                let is_id = matches!(reference, Reference::Id(_));
                match type_of(&text) {
                    Some((_, id_only)) if id_only == is_id => {}
                    _ if is_id => return Err(Refusal::NoIdObject.into()),
                    _ => return Err(Refusal::NoObject.into()),
                }
                self.sent.add(reference, text.len() as u64);
                work.rpc.answer_text(id, &text);
                Ok(())
            }
            (Job::Stream(stream), Answer::Bytes(piece)) => self.piece(id, stream, piece, work),
            (Job::Stream(_), _) => Err(Fail::Stream),
            _ => Err(Refusal::Internal.into()),
        }
    }
}

enum Fail {
    Request(Refusal),
    Stream,
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Self {
        Self::Request(refusal)
    }
}

fn refuse(rpc: &mut Rpc, id: RequestId, refusal: Refusal) {
    rpc.refuse(id, refusal.name(), refusal.message(), refusal.code());
}

/// A cursor while its request waits.
fn cursor_args(cursor: &Cursor) -> Vec<Data> {
    let digest = Data::Text(crate::hex::encode(&cursor.digest));
    [digest, Data::Number(cursor.stamp)].into()
}

fn cursor_of(args: &[Data]) -> Option<Cursor> {
    let [Data::Text(text), Data::Number(stamp)] = args else {
        return None;
    };
    let (digest, stamp) = (digest(text)?, *stamp);
    Some(Cursor { digest, stamp })
}

fn object_hash(args: &[Data]) -> Result<ObjectHash, Refusal> {
    match args.first() {
        Some(Data::Text(text)) => ObjectHash::parse_strict(text).ok_or(Refusal::NotAHash),
        _ => Err(Refusal::NotAHash),
    }
}

fn id_hash(args: &[Data]) -> Result<IdHash, Refusal> {
    match args.first() {
        Some(Data::Text(text)) => IdHash::parse_strict(text).ok_or(Refusal::NotAnIdHash),
        _ => Err(Refusal::NotAnIdHash),
    }
}
