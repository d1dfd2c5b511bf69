//! Traces that others have recorded, and have changed since.

use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};

use arbitrary::Arbitrary;
use chumwire::io::{Closed, Effect, Kind, Machine, Message, Source};
use chumwire::node::{Node, NodeConfig};
use chumwire::time::{Micros, Millis, Now};
use chumwire_sim::scenario::Setting;
use chumwire_sim::{Bytes, Insecure, catalogue};
use chumwire_trace::{
    Header, Line, NodeStart, Origin, Sink, Start, Trace, Traced, diff, draw, explain, merge, page,
    replay, text_of,
};

use crate::people::{alice, bob};
use crate::said::Edit;

/// A trace, and what has become of it.
#[derive(Arbitrary, Debug)]
pub(crate) enum Told {
    /// One that was recorded, with some lines changed.
    Recorded(bool, Vec<(u8, Change)>),
    /// Anything.
    Raw(Vec<u8>),
    /// A first line that is one, and anything.
    Begun(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Change {
    Drop,
    Twice,
    Swap(u8),
    Text(Edit),
}

/// A recorded node with its secrets, and a simulated pairing without.
static RECORDED: LazyLock<[Vec<String>; 2]> = LazyLock::new(|| [live(), simulated()].map(lines));

fn lines(text: String) -> Vec<String> {
    text.lines().map(Into::into).collect()
}

fn simulated() -> String {
    let scenario = catalogue::scenario("pairing").or_else(|| catalogue::catalogue().first());
    let run = scenario
        .expect("a scenario")
        .run(&Setting::default(), Bytes::new(&[]));
    let mut text = text_of(&Header::new(Origin::Simulated, 0));
    run.trace
        .lines()
        .iter()
        .for_each(|line| text.push_str(&text_of(line)));
    text
}

struct ToMemory(Sender<String>);

impl Sink for ToMemory {
    fn line(&mut self, line: &Line) {
        // Whoever recorded has what it wants already.
        let _ = self.0.send(text_of(line));
    }
}

/// Bob's node, which alice joins.
fn live() -> String {
    const URL: &str = "ws://in.memory";
    let mut now = Now {
        mono: Micros::ZERO,
        wall: Millis(1_700_000_000_000),
    };
    let wall = now.wall.0;
    let mut config = NodeConfig::new(bob::<Insecure>().clone());
    config.url = Some(URL.into());
    let start = Start::Node(NodeStart::of(&config, &[1; 32], now));
    let node = Node::<Insecure>::new(config, [1; 32], now).expect("a node");
    let (sender, come) = channel();
    let mut bobs = Traced::new(node, &start, wall);
    bobs.tell(true, Box::new(ToMemory(sender)));
    let config = NodeConfig::new(alice::<Insecure>().clone());
    let mut alices = Node::<Insecure>::new(config, [2; 32], now).expect("a node");
    let invitation = bobs.invite(now, Micros::secs(60), URL);
    let joined = alices.join(now, &invitation.expect("an invitation"));
    let dialled = joined.expect("it is dialled");
    let accepted = bobs.accept(now, Source::Unknown).expect("room");
    alices.opened(now, dialled);
    let mut bytes = Vec::new();
    let mut is_over = false;
    while !is_over {
        is_over = true;
        now.mono = now.mono + Micros::millis(3);
        now.wall.0 += 3;
        while let Some(effect) = alices.poll(&mut bytes) {
            is_over = false;
            match effect {
                Effect::Send { kind, .. } => {
                    let message = Message::of(kind, &bytes).expect("UTF-8");
                    bobs.message(now, accepted, message).expect("room");
                    alices.drained(now, dialled);
                }
                Effect::Store { id, .. } => alices.stored(now, id, Ok(())),
                Effect::Close { code, reason, .. } => {
                    let how = Closed::ByPeer { code, reason };
                    bobs.closed(now, accepted, how.clone());
                    alices.closed(now, dialled, how);
                }
                _ => {}
            }
        }
        while let Some(effect) = bobs.poll(&mut bytes) {
            is_over = false;
            match effect {
                Effect::Send { kind, .. } => {
                    let kept: (Kind, Vec<u8>) = (kind, bytes.clone());
                    let message = Message::of(kept.0, &kept.1).expect("UTF-8");
                    alices.message(now, dialled, message).expect("room");
                    bobs.drained(now, accepted);
                }
                Effect::Store { id, .. } => bobs.stored(now, id, Ok(())),
                _ => {}
            }
        }
    }
    let header = Header {
        start: Some(start.into()),
        ..Header::new(Origin::Live, wall)
    };
    let mut text = text_of(&header);
    text.extend(come.try_iter());
    text
}

/// What is read is written back as itself, and whatever is made of it is made without harm.
pub(crate) fn trace(told: Told) {
    let (bytes, is_whole) = match told {
        Told::Raw(bytes) => (bytes, false),
        Told::Begun(bytes) => {
            let mut text = text_of(&Header::new(Origin::Live, 5)).into_bytes();
            text.extend(bytes);
            (text, false)
        }
        Told::Recorded(which, changes) => {
            let mut lines = RECORDED[usize::from(which)].clone();
            for (at, change) in changes.iter().take(8) {
                let at = usize::from(*at) % lines.len().max(1);
                change.apply(&mut lines, at);
            }
            let text = lines.join("\n") + "\n";
            (text.into_bytes(), !which && changes.is_empty())
        }
    };
    let Ok(trace) = Trace::read(bytes.as_slice()) else {
        assert!(!is_whole);
        return;
    };
    let mut text = text_of(&trace.header);
    for line in &trace.lines {
        text.push_str(&text_of(line));
    }
    let again = Trace::read(text.as_bytes()).expect("what was written");
    assert_eq!(again, trace);
    assert!(diff(&trace, &again).is_none());
    let _ = draw(&trace);
    let explanation = explain(&trace);
    assert!(!explanation.findings.is_empty());
    let replayed = replay::<Insecure>(&trace);
    assert!(!is_whole || replayed.is_ok(), "{replayed:?}");
    let merged = merge(vec![("a".into(), trace.clone()), ("b".into(), again)]);
    assert!(page(&merged, &explain(&merged.trace)).contains("<html"));
}

impl Change {
    fn apply(&self, lines: &mut Vec<String>, at: usize) {
        match self {
            _ if lines.is_empty() => {}
            Self::Drop => drop(lines.remove(at)),
            Self::Twice => lines.insert(at, lines[at].clone()),
            Self::Swap(with) => {
                let with = usize::from(*with) % lines.len();
                lines.swap(at, with);
            }
            Self::Text(edit) => edit.apply(&mut lines[at]),
        }
    }
}
