//! CHUM on one connection, and somebody between the two who says whatever an authenticated peer of bad will can say:
//! to the importer of bob, and to the exporter of alice.

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::Arbitrary;
use chumwire::chum::{
    Answer, Ask, AskId, Chum, ChumConfig, ChumEvent, ChumOutput, MemoryStore, SYNCHRONISATION,
    Service,
};
use chumwire::hex;
use chumwire::io::{Kind, Message};
use chumwire::objects::Reference;
use chumwire::time::{Micros, Millis, Now};
use serde_json::json;

use crate::lie::{Lie, hashes, nth};
use crate::said::{Edit, MadeUp, borrowed};
use crate::store::{ALICES, BOBS, PRIVATE, RECIPES, assert_whole, doc, peer, person, policy};

/// What happens next. A first flag is whom it happens to: alice, or else bob.
#[derive(Arbitrary, Debug)]
pub(crate) enum ChumAction {
    /// The next message arrives.
    Deliver(bool),
    /// So many messages arrive, on both sides in turn.
    Run(u8),
    /// The next message arrives altered.
    Alter(bool, Edit),
    /// The next message arrives with another hash in it.
    Swap(bool, u8, u8),
    /// The next message never arrives.
    Lose(bool),
    /// The next message arrives twice.
    Repeat(bool),
    /// Instead of the next message, an answer arrives that the peer made up.
    Lie(bool, Lie),
    /// A request arrives.
    Request(bool, u8, u8, u8, Option<Edit>),
    /// A binary chunk arrives.
    Chunk(bool, u8, Vec<u8>),
    /// Anything arrives.
    Inject(bool, MadeUp),
    /// Time goes on by so many milliseconds, at most for half a minute.
    Time(u16),
    /// One of them is ticked at its deadline.
    Deadline(bool),
    /// One of them is polled for so many things.
    Poll(bool, u8),
    /// The store answers only when it is told to, or at once.
    Late(bool, bool),
    /// The store answers one question that waits, perhaps that it has failed.
    Answer(bool, u8, bool),
    /// An answer arrives that nobody asked for.
    Unasked(bool, u8, u8),
    /// Something new is granted, or asked for again.
    Call(bool, u8),
    /// The connection has room.
    Drained(bool),
    /// A new version of the document is made.
    Version(bool, u8),
    /// The connection of one is gone.
    Close(bool),
}

/// Whoever is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Bob imports, and alice serves: an importer meets an exporter of bad will.
    Importer,
    /// The other way round.
    Exporter,
    /// Both do both.
    Both,
}

/// Outputs that one input may lead to before there is nothing left to do: what fits into the limits below.
const OUTPUTS: usize = 20_000;

struct Side {
    chum: Chum,
    store: MemoryStore,
    to_come: VecDeque<(Kind, Vec<u8>)>,
    waiting: Vec<(AskId, Ask)>,
    late: bool,
    ended: bool,
    closed: bool,
    /// Whether something that is private must not be sent.
    has_secrets: bool,
}

fn config(imports: bool, exports: bool) -> ChumConfig {
    let mut config = ChumConfig::default();
    config.import = imports;
    config.export = exports;
    config.roots_since = true;
    config.parallel = 3;
    config.ahead = 2_000;
    config.roots = 12;
    config.children = 12;
    config.accessible = 40;
    config.pending = 6;
    config.object = 8_000;
    config.file = 8_000;
    config.serve_at_once = 3;
    config.rpc.served = 12;
    config.rpc.text_bytes = 20_000;
    config.rpc.buffered_bytes = 40_000;
    config.rpc.queued_bytes = 10_000;
    config
}

impl Side {
    fn new(now: Now, names: [&str; 2], store: &MemoryStore, config: ChumConfig) -> Self {
        let [own, other] = names;
        let peer = peer(own, other);
        Self {
            chum: Chum::new(now, config, peer, RECIPES.clone(), Arc::new(policy(own))),
            store: store.clone(),
            to_come: VecDeque::new(),
            waiting: Vec::new(),
            late: false,
            ended: false,
            closed: false,
            has_secrets: own == "alice",
        }
    }

    fn answer(&mut self, now: Now, id: AskId, ask: Ask, good: bool) {
        let writes = matches!(ask, Ask::Write(_) | Ask::Close { .. });
        let answer = match good {
            true => self.store.answer(&RECIPES, 0, id, ask),
            false => Answer::Failed,
        };
        if writes {
            assert_whole(&self.store);
        }
        self.chum.answered(now, id, answer);
    }

    /// Does so many things; whether there may be more.
    fn poll(&mut self, now: Now, to: &mut VecDeque<(Kind, Vec<u8>)>, most: usize) -> bool {
        let mut bytes = Vec::new();
        for _ in 0..most {
            let Some(output) = self.chum.poll(now, &mut bytes) else {
                return false;
            };
            match output {
                ChumOutput::Send(kind) => {
                    assert!(!self.ended && !self.closed, "nothing is sent after the end");
                    Message::of(kind, &bytes).expect("UTF-8");
                    if self.has_secrets {
                        assert!(!is_private(&bytes), "what is not granted stays here");
                    }
                    to.push_back((kind, core::mem::take(&mut bytes)));
                }
                ChumOutput::Ask { id, ask } if self.late => self.waiting.push((id, ask)),
                ChumOutput::Ask { id, ask } => self.answer(now, id, ask, true),
                ChumOutput::Event(event) => {
                    assert!(!self.ended, "the end is told last, and once");
                    self.ended = matches!(event, ChumEvent::Ended { .. });
                }
            }
        }
        true
    }

    fn message(&mut self, now: Now, message: &(Kind, Vec<u8>)) {
        self.chum.message(now, borrowed(message));
    }

    fn text(&mut self, now: Now, text: &str) {
        self.chum.message(now, Message::Text(text));
    }

    fn tick(&mut self, now: Now) {
        self.chum.tick(now);
        let next = self.chum.deadline();
        assert!(
            next.is_none_or(|next| next.at > now.mono),
            "a tick moves it"
        );
    }
}

/// Whether a message has something private, as it is or in base64.
fn is_private(bytes: &[u8]) -> bool {
    let found = |what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
    found(PRIVATE.as_bytes()) || found(b"UFJJVkFURS1QUklWQVRF")
}

/// Bob's store is whole whatever comes, alice gives only what is granted, nothing stands still, and the end is the end.
pub(crate) fn chum(of: Of, actions: &[ChumAction]) {
    let mut now = Now {
        mono: Micros::secs(1),
        wall: Millis(1_700_000_000_000),
    };
    let [bobs, alices] = match of {
        Of::Importer => [config(true, false), config(false, true)],
        Of::Exporter => [config(false, false), config(false, true)],
        Of::Both => [config(true, true), config(true, true)],
    };
    let mut sides = [
        Side::new(now, ["bob", "alice"], &BOBS, bobs),
        Side::new(now, ["alice", "bob"], &ALICES, alices),
    ];
    // Both have begun: without it nothing is said.
    for of in [false, true] {
        poll(&mut sides, now, of);
    }
    for action in actions.iter().take(120) {
        act(&mut sides, &mut now, action);
    }
    for side in &mut sides {
        side.closed = true;
        side.chum.closed();
        let more = side.poll(now, &mut VecDeque::new(), OUTPUTS);
        assert!(!more && side.ended, "the end is told");
        assert_eq!(side.chum.deadline(), None, "nothing is due after the end");
        side.tick(now);
        side.text(now, SYNCHRONISATION);
        assert!(side.chum.poll(now, &mut Vec::new()).is_none());
        side.store.forget(0);
        assert_whole(&side.store);
    }
}

/// Polls one of them until there is nothing left to do.
fn poll(sides: &mut [Side; 2], now: Now, of: bool) {
    assert!(
        !poll_some(sides, now, of, OUTPUTS),
        "it does not come to rest"
    );
}

fn poll_some(sides: &mut [Side; 2], now: Now, of: bool, most: usize) -> bool {
    let [one, other] = sides;
    match of {
        false => one.poll(now, &mut other.to_come, most),
        true => other.poll(now, &mut one.to_come, most),
    }
}

fn act(sides: &mut [Side; 2], now: &mut Now, action: &ChumAction) {
    use ChumAction as A;
    let at = |of: &bool| usize::from(*of);
    let (A::Deliver(of)
    | A::Alter(of, _)
    | A::Swap(of, ..)
    | A::Lose(of)
    | A::Repeat(of)
    | A::Lie(of, _)) = action
    else {
        return act_otherwise(sides, now, action);
    };
    let side = &mut sides[at(of)];
    let Some((kind, bytes)) = side.to_come.pop_front() else {
        return;
    };
    match action {
        A::Alter(_, edit) => {
            let mut text = String::from_utf8_lossy(&bytes).into_owned();
            edit.apply(&mut text);
            side.message(*now, &(kind, text.into_bytes()));
        }
        A::Swap(_, which, by) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let named: Vec<String> = hashes()
                .iter()
                .map(|hash| hex::encode(hash.bytes()))
                .collect();
            let inside: Vec<&String> = named.iter().filter(|hash| text.contains(*hash)).collect();
            let text = match inside.get(usize::from(*which) % inside.len().max(1)) {
                Some(hash) => text.replace(*hash, &hex::encode(nth(*by).bytes())),
                None => text,
            };
            side.message(*now, &(kind, text.into_bytes()));
        }
        A::Lose(_) => {}
        A::Repeat(_) => {
            side.message(*now, &(kind, bytes.clone()));
            side.message(*now, &(kind, bytes));
        }
        A::Lie(_, lie) => side.text(*now, &lie.text()),
        _ => side.message(*now, &(kind, bytes)),
    }
}

fn act_otherwise(sides: &mut [Side; 2], now: &mut Now, action: &ChumAction) {
    use ChumAction as A;
    let at = |of: &bool| usize::from(*of);
    match action {
        A::Run(count) => {
            for n in 0..*count {
                poll(sides, *now, n % 2 == 0);
                let side = &mut sides[usize::from(n % 2)];
                if let Some(message) = side.to_come.pop_front() {
                    side.message(*now, &message);
                }
            }
        }
        A::Request(of, id, service, what, edit) => {
            let service = Service::ALL[usize::from(*service) % Service::ALL.len()];
            let what = hex::encode(nth(*what).bytes());
            let encoding = if id % 2 == 0 { "base64" } else { "utf8" };
            let args = json!([what, encoding]);
            let request = json!({
                "requestId": id, "type": "request", "serviceId": service.number(), "args": args
            });
            let mut text = request.to_string();
            if let Some(edit) = edit {
                edit.apply(&mut text);
            }
            sides[at(of)].text(*now, &text);
        }
        A::Chunk(of, id, bytes) => {
            let message = [&f64::from(*id).to_le_bytes()[..], bytes].concat();
            sides[at(of)].message(*now, &(Kind::Binary, message));
        }
        A::Inject(of, message) => sides[at(of)].message(*now, &message.wire()),
        A::Time(by) => {
            let by = u64::from(*by) / 2;
            now.mono = now.mono + Micros::millis(by);
            now.wall.0 += by;
            sides.iter_mut().for_each(|side| side.tick(*now));
        }
        A::Deadline(of) => {
            if let Some(due) = sides[at(of)].chum.deadline() {
                let due = due.at.max(now.mono);
                now.wall.0 += due.since(now.mono).as_millis();
                now.mono = due;
            }
            sides.iter_mut().for_each(|side| side.tick(*now));
        }
        A::Poll(of, times) => drop(poll_some(sides, *now, *of, (*times).into())),
        A::Late(of, late) => sides[at(of)].late = *late,
        A::Answer(of, n, good) => {
            let side = &mut sides[at(of)];
            let count = side.waiting.len();
            if count > 0 {
                let (id, ask) = side.waiting.remove(usize::from(*n) % count);
                side.answer(*now, id, ask, *good);
            }
        }
        A::Unasked(of, id, what) => {
            let answer = match what % 6 {
                0 => Answer::Done,
                1 => Answer::Conflict,
                2 => Answer::Granted(Vec::new()),
                3 => Answer::Texts(vec![None]),
                4 => Answer::Bytes(None),
                _ => Answer::Presence(Vec::new()),
            };
            // One that is asked for later, or was answered already; the store has made a mistake.
            let id = AskId(u64::from(*id) + 200);
            sides[at(of)].chum.answered(*now, id, answer);
        }
        A::Call(of, which) => {
            let chum = &mut sides[at(of)].chum;
            match which % 3 {
                0 => chum.granted(*now),
                1 => chum.poll_roots(*now),
                _ => chum.policy_changed(*now),
            }
        }
        A::Drained(of) => sides[at(of)].chum.drained(*now),
        A::Version(of, n) => {
            let side = &mut sides[at(of)];
            let version = doc("d", &n.to_string());
            let id = side.store.put_version(&RECIPES, &version, now.wall);
            let other = if *of { "bob" } else { "alice" };
            side.store
                .share(Reference::Id(id.expect("a version")), person(other));
        }
        A::Close(of) => {
            let side = &mut sides[at(of)];
            side.closed = true;
            side.chum.closed();
        }
        _ => {}
    }
}
