//! The exporter: it serves what this instance has to the person at the other end (spec 11, "Exporter").

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::config::ChumConfig;
use super::debug::root;
use super::entry::{Root, write_children, write_roots};
use super::journal::Journal;
use super::log::Transferred;
use super::machine::Asks;
use super::services::{Refusal, Service, VERSION};
use super::since::{Cursor, digest, digest_of, write_since};
use super::store::{Answer, Ask, AskId, Grant, Piece, Write};
use super::version::{VersionNode, listing};
use super::walk::Walk;
use crate::limits;
use crate::objects::{
    FileHash, IdHash, ObjectHash, PersonId, ReadLimits, Recipes, RefKind, Reference, type_of,
};
use crate::rpc::{Data, RequestId, Rpc};
use crate::time::Now;

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

    /// The store's answer, if the question was one of this exporter.
    pub(super) fn answered(&mut self, asked: AskId, answer: Answer, work: &mut Work<'_>) {
        let Some(id) = self.asked.remove(&asked) else {
            return;
        };
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

    // --- roots ---------------------------------------------------------------------------------------------------

    fn read_nodes(&mut self, histories: &mut Histories, texts: &[Option<String>]) {
        let asked = core::mem::take(&mut histories.asked);
        for (hash, text) in asked.into_iter().zip(texts) {
            let object = text
                .as_deref()
                .and_then(|text| self.recipes.read(text, &ReadLimits::default()).ok());
            if let Some(node) = object.as_ref().and_then(VersionNode::of) {
                histories.ahead.extend(node.predecessors());
                self.nodes.insert(hash, node);
            }
        }
    }

    /// Reads the version nodes that are not known yet, then makes the list.
    fn histories(
        &mut self,
        id: RequestId,
        mut histories: Histories,
        work: &mut Work<'_>,
    ) -> Result<(), Fail> {
        // What is known already leads on to what is before it.
        let mut wanted = Vec::new();
        while wanted.len() < BATCH
            && let Some(hash) = histories.ahead.pop()
        {
            if histories.seen.insert(hash) {
                match self.nodes.get(&hash) {
                    Some(node) => histories.ahead.extend(node.predecessors()),
                    None => wanted.push(hash),
                }
            }
        }
        if !wanted.is_empty() && histories.seen.len() <= limits::CHUM_HISTORY {
            histories.asked = wanted;
            let asked = histories.asked.iter().map(|node| Reference::Object(*node));
            let ask = Ask::Texts(asked.collect());
            self.ask(id, ask, work);
            self.job(id, Job::Histories(histories));
            return Ok(());
        }
        let roots = self.roots(&histories.grants, work.config.roots);
        if roots.len() > work.config.roots {
            return Err(Refusal::Limit.into());
        }
        self.accessible.roots(&roots);
        self.lists += 1;
        match histories.wanted {
            Wanted::Whole => work.rpc.answer_text(id, &write_roots(&roots)),
            Wanted::Since(cursor) => self.list_since(id, &roots, cursor, work),
        }
        Ok(())
    }

    /// The list is made, and all of it may be asked for: what of it the peer has not settled.
    fn list_since(
        &mut self,
        id: RequestId,
        roots: &[Root],
        cursor: Option<Cursor>,
        work: &mut Work<'_>,
    ) {
        let entries: Vec<String> = roots.iter().map(ToString::to_string).collect();
        let digest = digest_of(entries.clone());
        if let Some(cursor) = cursor.filter(|cursor| cursor.digest == digest) {
            // All of it is settled; that needs no journal.
            let nothing = core::iter::empty();
            work.rpc
                .answer_text(id, &write_since(false, cursor, nothing));
            return;
        }
        let listed = Listed {
            entries,
            digest,
            cursor,
        };
        self.job(id, Job::Journal(listed));
        self.ask(id, Ask::Journal(self.person), work);
    }

    /// Takes the list into the journal, and gives what is new since the peer's cursor.
    fn since(&self, id: RequestId, listed: &Listed, journal: &[u8], work: &mut Work<'_>) {
        let hashes: Vec<[u8; 32]> = listed
            .entries
            .iter()
            .map(|text| ObjectHash::of(text).0)
            .collect();
        let mut journal = Journal::read(journal).unwrap_or_default();
        let before = journal.clone();
        journal.listed(hashes.iter().copied(), work.now.wall);
        let known = listed.cursor.as_ref();
        let since = known.and_then(|cursor| journal.stamp_of_list(&cursor.digest));
        journal.remember(listed.digest);
        let cursor = Cursor {
            digest: listed.digest,
            stamp: journal.last(),
        };
        let is_new = |hash| since.is_none_or(|stamp| journal.stamp_of_entry(hash) > stamp);
        let all = listed.entries.iter().zip(&hashes);
        let entries = all.filter(|(_, hash)| is_new(*hash));
        let entries = entries.map(|(text, _)| text.as_str());
        let answer = write_since(since.is_none(), cursor, entries);
        work.rpc.answer_text(id, &answer);
        if journal != before {
            // Nobody waits for it: a list that was given and is not in the journal is unknown, and all is given then.
            work.asks.ask(Ask::Write(Write {
                journal: Some(Box::new((self.person, journal.write()))),
                ..Write::default()
            }));
        }
    }

    fn roots(&self, grants: &[Grant], most: usize) -> Vec<Root> {
        let mut roots = Vec::new();
        let mut seen = BTreeSet::new();
        let mut add = |root: Root| {
            if seen.insert(*root.reference().bytes()) {
                roots.push(root);
            }
        };
        for grant in grants {
            add(root(grant.clone()));
            if let Grant::Id {
                id,
                type_name,
                head: Some(head),
            } = grant
            {
                let node_of = |hash| self.nodes.get(&hash).cloned();
                for node in listing(*head, node_of, most).unwrap_or_default() {
                    add(Root::VersionNode {
                        node,
                        id: *id,
                        type_name: type_name.clone(),
                    });
                }
            }
        }
        roots
    }

    // --- streams -------------------------------------------------------------------------------------------------

    /// Asks for more of the streams, as long as there is room for it on the connection.
    pub(super) fn pump(&mut self, work: &mut Work<'_>) {
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

    fn piece(
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

/// What the parts of a connection work with.
pub(super) struct Work<'a> {
    pub(super) now: Now,
    /// Bytes that wait to be sent.
    pub(super) queued: usize,
    pub(super) rpc: &'a mut Rpc,
    pub(super) asks: &'a mut Asks,
    pub(super) config: &'a ChumConfig,
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

/// What the peer may ask for: the roots of the last list, and what their lists of children named (spec 11,
/// "Accessible set"). What was reached through a root that was taken back is gone with it.
#[derive(Clone, Debug, Default)]
struct Accessible {
    roots: BTreeMap<[u8; 32], RefKind>,
    /// By root, what it reaches.
    reach: BTreeMap<[u8; 32], Vec<Reference>>,
    /// How many roots reach it.
    reached: BTreeMap<[u8; 32], (RefKind, u32)>,
}

impl Accessible {
    fn kind(&self, hash: &[u8; 32]) -> Option<RefKind> {
        let reached = || self.reached.get(hash).map(|(kind, _)| *kind);
        self.roots.get(hash).copied().or_else(reached)
    }

    fn roots(&mut self, roots: &[Root]) {
        self.roots.clear();
        for root in roots {
            let reference = root.reference();
            self.roots.insert(*reference.bytes(), reference.kind());
            if let Root::Versioned { id, .. } = root {
                self.roots.insert(id.0, RefKind::Id);
            }
        }
        let gone: Vec<[u8; 32]> = self
            .reach
            .keys()
            .filter(|root| !self.roots.contains_key(*root))
            .copied()
            .collect();
        for root in gone {
            self.forget(&root);
        }
    }

    fn forget(&mut self, root: &[u8; 32]) {
        for child in self.reach.remove(root).unwrap_or_default() {
            if let Some((_, count)) = self.reached.get_mut(child.bytes()) {
                *count -= 1;
                if *count == 0 {
                    self.reached.remove(child.bytes());
                }
            }
        }
    }

    /// The children of something accessible were listed. What is no root reaches nothing that its root does not.
    fn listed(
        &mut self,
        of: Reference,
        children: &[Reference],
        most: usize,
    ) -> Result<(), Refusal> {
        let root = *of.bytes();
        if !self.roots.contains_key(&root) {
            return Ok(());
        }
        self.forget(&root);
        if self.reached.len().saturating_add(children.len()) > most {
            return Err(Refusal::Limit);
        }
        for child in children {
            let entry = self.reached.entry(*child.bytes());
            entry.or_insert((child.kind(), 0)).1 += 1;
        }
        self.reach.insert(root, children.to_vec());
        Ok(())
    }
}
