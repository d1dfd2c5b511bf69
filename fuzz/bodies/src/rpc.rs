//! Two machines of requests and answers, and somebody between them.

use std::collections::{BTreeSet, VecDeque};

use arbitrary::Arbitrary;
use chumwire::io::{Kind, Message};
use chumwire::rpc::{Data, Refusal, RequestId, Rpc, RpcConfig, RpcEvent, RpcOutput, Want};
use chumwire::time::{Micros, Now};

use crate::said::{Edit, borrowed};

/// What happens next. The first flag is whom it happens to.
#[derive(Arbitrary, Debug)]
pub(crate) enum RpcAction {
    /// It asks something.
    Request(bool, u8, Vec<Value>, u8),
    /// A request of its peer is answered, in one of many ways.
    Serve(bool, u8, Way),
    /// It does not want an answer any more.
    Cancel(bool, u8),
    /// So many messages arrive, on both sides in turn.
    Deliver(u8),
    /// The next message arrives altered.
    Alter(bool, Edit),
    /// The next message never arrives.
    Lose(bool),
    /// The next message arrives twice.
    Repeat(bool),
    /// A text arrives that nobody sent: an answer, or a request.
    Inject(bool, Forged, Option<Edit>),
    /// A binary message of this number arrives.
    Chunk(bool, u8, Vec<u8>),
    /// Anything arrives.
    Raw(bool, Result<String, Vec<u8>>),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// One of them is ticked at its deadline.
    Deadline(bool),
    /// It is polled to the end.
    Poll(bool),
    /// The connection of one is gone.
    Close(bool),
}

/// How a request is served.
#[derive(Arbitrary, Debug)]
pub(crate) enum Way {
    Answer(Value),
    Text(String),
    Refuse(String),
    RefuseAs(u8),
    Unknown,
    Bytes(Vec<u8>),
    Long(u8),
    Said(String),
    End,
    Fail,
}

/// An argument or an answer.
#[derive(Arbitrary, Debug)]
pub(crate) enum Value {
    Undefined,
    Null,
    Number(u64),
    Text(String),
    List(u8),
}

impl Value {
    fn data(&self) -> Data {
        match self {
            Self::Undefined => Data::Undefined,
            Self::Null => Data::Null,
            Self::Number(n) => Data::Number(*n),
            Self::Text(text) => Data::Text(text.clone()),
            Self::List(n) => Data::Other(vec![serde_json::Value::from(*n); (*n).into()].into()),
        }
    }
}

/// A text of the layer.
#[derive(Arbitrary, Debug)]
pub(crate) struct Forged {
    template: u8,
    id: u8,
}

impl Forged {
    fn text(&self) -> String {
        let templates = [
            r#"{"responseId":ID,"type":"data","data":"x\"y"}"#,
            r#"{"responseId":ID,"type":"stream","chunk":"Zg==","encoding":"base64"}"#,
            r#"{"responseId":ID,"type":"stream","chunk":"text","encoding":"utf8"}"#,
            r#"{"responseId":ID,"type":"stream-end"}"#,
            r#"{"responseId":ID,"type":"stream-error","error":"Error"}"#,
            r#"{"responseId":ID,"type":"error","error":{"name":"n","message":"m","code":"c"}}"#,
            r#"{"requestId":ID,"type":"request","serviceId":8,"args":["8d97","$__undefined$"]}"#,
            r#"{"requestId":ID,"type":"write-stream-error"}"#,
        ];
        let template = templates[usize::from(self.template) % templates.len()];
        template.replace("ID", &self.id.to_string())
    }
}

const SERVED: usize = 6;
const QUEUED: usize = 20_000;
const BUFFERED: usize = 30_000;
/// What a refusal or an end may add beyond a limit, for each request that there can be.
const SLACK: usize = 1_024;

struct Side {
    rpc: Rpc,
    to_come: VecDeque<(Kind, Vec<u8>)>,
    /// Own requests, and those of them that have not ended.
    own: u64,
    open: BTreeSet<RequestId>,
    serving: Vec<RequestId>,
    closed: bool,
    /// The most that one answer of the embedder has put into the queue since the last poll.
    put: usize,
}

impl Side {
    fn new() -> Self {
        let config = RpcConfig {
            requests: 8,
            served: SERVED,
            streams: 3,
            streams_served: 3,
            text_bytes: 4_000,
            nesting: 8,
            values: 40,
            file_bytes: 10_000,
            buffered_bytes: BUFFERED,
            queued_bytes: QUEUED,
            ..RpcConfig::default()
        };
        Self {
            rpc: Rpc::new(config),
            to_come: VecDeque::new(),
            own: 0,
            open: BTreeSet::new(),
            serving: Vec::new(),
            closed: false,
            put: 0,
        }
    }

    fn poll(&mut self, to: &mut VecDeque<(Kind, Vec<u8>)>) {
        let mut bytes = Vec::new();
        while let Some(output) = self.rpc.poll(&mut bytes) {
            match output {
                RpcOutput::Send(kind) => {
                    assert!(!self.closed, "nothing is sent after the end");
                    Message::of(kind, &bytes).expect("UTF-8");
                    to.push_back((kind, bytes.clone()));
                }
                RpcOutput::Event(RpcEvent::Request { id, .. }) => self.serving.push(id),
                RpcOutput::Event(RpcEvent::StreamCancelled { id }) => {
                    self.serving.retain(|other| *other != id);
                }
                RpcOutput::Event(RpcEvent::Chunk { id }) => {
                    assert!(self.open.contains(&id), "a chunk behind the end");
                    assert!(!bytes.is_empty(), "an empty chunk");
                }
                RpcOutput::Event(
                    RpcEvent::Answered { id, .. }
                    | RpcEvent::Failed { id, .. }
                    | RpcEvent::StreamEnd { id, .. },
                ) => assert!(self.open.remove(&id), "a second end"),
            }
        }
        assert_eq!((self.rpc.queued(), self.rpc.buffered()), (0, 0));
        assert_eq!(self.open.len(), self.rpc.open_requests());
        self.put = 0;
    }

    fn check(&self) {
        assert!(self.rpc.served_requests() <= SERVED);
        assert!(self.rpc.open_requests() <= 8);
        // One message comes after the last look, and each request may end at once.
        assert!(self.rpc.buffered() <= BUFFERED + SLACK * (8 + SERVED));
        let own = self.put + 2 * SLACK * (8 + SERVED);
        assert!(self.rpc.queued() <= QUEUED + own, "{}", self.rpc.queued());
    }

    fn message(&mut self, now: Now, message: &(Kind, Vec<u8>)) {
        let open = self.rpc.open_requests();
        self.rpc.message(now, borrowed(message));
        assert!(
            open <= self.rpc.open_requests() + 1,
            "it ends one request at most"
        );
    }
}

/// Every request ends once, and nothing grows beyond its bound.
pub(crate) fn rpc(actions: Vec<RpcAction>) {
    let mut now = Now::default();
    let mut sides = [Side::new(), Side::new()];
    for action in actions.iter().take(200) {
        act(&mut sides, &mut now, action);
        sides.iter().for_each(Side::check);
    }
    for side in &mut sides {
        side.closed = true;
        side.rpc.closed();
        side.poll(&mut VecDeque::new());
        assert!(side.open.is_empty(), "each own request has its end");
        assert_eq!((side.rpc.deadline(), side.rpc.served_requests()), (None, 0));
    }
}

fn poll(sides: &mut [Side; 2], of: bool) {
    let [one, other] = sides;
    match of {
        false => one.poll(&mut other.to_come),
        true => other.poll(&mut one.to_come),
    }
}

fn act(sides: &mut [Side; 2], now: &mut Now, action: &RpcAction) {
    use RpcAction as A;
    let at = |of: &bool| usize::from(*of);
    match action {
        A::Request(of, service, args, want) => {
            let side = &mut sides[at(of)];
            let args: Vec<Data> = args.iter().take(4).map(Value::data).collect();
            let want = [Want::Value, Want::Verbatim, Want::Stream][usize::from(want % 3)];
            let before = side.rpc.clone();
            match side.rpc.request(*now, (*service).into(), &args, want) {
                Ok(id) => {
                    assert_eq!(id.0, side.own, "they are numbered");
                    side.own += 1;
                    side.open.insert(id);
                    side.put += 8_000
                        + args
                            .iter()
                            .filter_map(Data::text)
                            .map(str::len)
                            .sum::<usize>()
                            * 6;
                }
                Err(_) => assert!(before == side.rpc, "Full changes nothing"),
            }
        }
        A::Serve(of, which, way) => {
            let side = &mut sides[at(of)];
            let count = side.serving.len().max(1);
            let known = side.serving.get(usize::from(*which) % count).copied();
            let before = side.rpc.queued();
            serve(
                &mut side.rpc,
                known.unwrap_or(RequestId((*which).into())),
                way,
            );
            side.put += side.rpc.queued() - before;
        }
        A::Cancel(of, n) => sides[at(of)].rpc.cancel(RequestId((*n).into())),
        A::Deliver(count) => {
            for n in 0..*count % 40 {
                let side = &mut sides[usize::from(n % 2)];
                if let Some(message) = side.to_come.pop_front() {
                    side.message(*now, &message);
                }
                poll(sides, n % 2 == 1);
            }
        }
        A::Alter(of, edit) => {
            let side = &mut sides[at(of)];
            if let Some((kind, bytes)) = side.to_come.pop_front() {
                let mut text = String::from_utf8_lossy(&bytes).into_owned();
                edit.apply(&mut text);
                side.message(*now, &(kind, text.into_bytes()));
            }
        }
        A::Lose(of) => drop(sides[at(of)].to_come.pop_front()),
        A::Repeat(of) => {
            let side = &mut sides[at(of)];
            if let Some(message) = side.to_come.pop_front() {
                side.message(*now, &message);
                side.message(*now, &message);
            }
        }
        A::Inject(of, forged, edit) => {
            let mut text = forged.text();
            if let Some(edit) = edit {
                edit.apply(&mut text);
            }
            sides[at(of)].message(*now, &(Kind::Text, text.into_bytes()));
        }
        A::Chunk(of, id, bytes) => {
            let message = [&f64::from(*id).to_le_bytes()[..], bytes].concat();
            sides[at(of)].message(*now, &(Kind::Binary, message));
        }
        A::Raw(of, Ok(text)) => {
            sides[at(of)].message(*now, &(Kind::Text, text.clone().into_bytes()));
        }
        A::Raw(of, Err(bytes)) => sides[at(of)].message(*now, &(Kind::Binary, bytes.clone())),
        A::Time(by) => {
            now.mono = now.mono + Micros::millis((*by).into());
            sides.iter_mut().for_each(|side| side.rpc.tick(*now));
        }
        A::Deadline(of) => {
            if let Some(due) = sides[at(of)].rpc.deadline() {
                now.mono = now.mono.max(due.at);
            }
            for side in sides {
                side.rpc.tick(*now);
                let next = side.rpc.deadline();
                assert!(
                    next.is_none_or(|next| next.at > now.mono),
                    "a tick moves it"
                );
            }
        }
        A::Poll(of) => poll(sides, *of),
        A::Close(of) => {
            let side = &mut sides[at(of)];
            side.rpc.closed();
            side.closed = true;
            side.serving.clear();
        }
    }
}

/// Serves a request that there may be.
fn serve(rpc: &mut Rpc, id: RequestId, way: &Way) {
    match way {
        Way::Answer(value) => rpc.answer(id, &value.data()),
        Way::Text(text) => rpc.answer_text(id, text),
        Way::Refuse(text) => rpc.refuse(id, text, text, text),
        Way::RefuseAs(n) => rpc.refuse_as(
            id,
            match n % 2 {
                0 => Refusal::Limit,
                _ => Refusal::Duplicate,
            },
        ),
        Way::Unknown => rpc.unknown_service(id, 7),
        Way::Bytes(bytes) => rpc.chunk(id, bytes),
        Way::Long(n) => rpc.chunk(id, &vec![*n; usize::from(*n) * 300]),
        Way::Said(text) => rpc.text_chunk(id, text),
        Way::End => rpc.end_stream(id),
        Way::Fail => rpc.fail_stream(id),
    }
}
