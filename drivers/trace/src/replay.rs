//! Running a machine again from its trace with secrets: the same inputs have to give the same effects, byte for byte.

use chumwire::crypto::Suite;
use chumwire::hex;
use chumwire::io::{Closed, ConnId, Message, NotStored, Source, StoreId};
use chumwire::node::Node;
use chumwire::relay::Relay;
use chumwire::time::{Micros, Millis, Now};

use crate::call::{Call, Callable};
use crate::line::{How, What};
use crate::read::Trace;
use crate::start::{BadStart, Start};
use crate::traced::{Telling, of_effect};

/// A replay that went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Inputs that were given.
    pub inputs: usize,
    /// Effects that came out, each as recorded.
    pub effects: usize,
}

/// Why a trace cannot be replayed, or where the replay is another run. No content is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayed {
    /// The trace has no secrets.
    #[error(
        "this trace cannot be replayed: it was recorded without secrets (--trace-secrets records them)"
    )]
    NoSecrets,
    /// The machine cannot be started.
    #[error(transparent)]
    Start(#[from] BadStart),
    /// A line is no input that could be given.
    #[error("line {line} of the trace: `{what}` cannot be given to the machine")]
    Input {
        /// From 1.
        line: usize,
        /// What is in the line.
        what: &'static str,
    },
    /// Another effect than the recorded one.
    #[error("line {line} of the trace: `{recorded}` was recorded, {}", came.map_or("nothing came".into(), |came| if came == *recorded { format!("another `{came}` came") } else { format!("`{came}` came") }))]
    Diverged {
        /// From 1.
        line: usize,
        /// What was recorded.
        recorded: &'static str,
        /// What came.
        came: Option<&'static str>,
    },
}

/// Replays a live trace on this suite (drivers run on `Nacl`).
///
/// # Errors
/// [`NotReplayed`]
pub fn replay<S: Suite>(trace: &Trace) -> Result<Replayed, NotReplayed> {
    match trace.header.start.as_deref() {
        None => Err(NotReplayed::NoSecrets),
        Some(Start::Node(start)) => run::<Node<S>>(start.node()?, trace),
        Some(Start::Relay(start)) => run::<Relay<S>>(start.relay()?, trace),
    }
}

fn run<M: Telling + Callable>(mut machine: M, trace: &Trace) -> Result<Replayed, NotReplayed> {
    let mut done = Replayed::default();
    let mut bytes = Vec::new();
    let mut wall = i128::from(trace.header.wall);
    for (index, line) in trace.lines.iter().enumerate() {
        let mono = Micros(line.at);
        if let Some(new) = line.wall {
            wall = i128::from(new) - i128::from(mono.as_millis());
        }
        let now = Now {
            mono,
            wall: Millis(u64::try_from(wall + i128::from(mono.as_millis())).unwrap_or(0)),
        };
        let number = index + 2;
        match give(&mut machine, now, &line.what) {
            Given::Yes => done.inputs += 1,
            Given::Beside => {}
            Given::No => {
                return Err(NotReplayed::Input {
                    line: number,
                    what: line.what.name(),
                });
            }
            Given::Other(came) => {
                return Err(NotReplayed::Diverged {
                    line: number,
                    recorded: line.what.name(),
                    came: Some(came),
                });
            }
            Given::Effect => {
                let came = loop {
                    let Some(effect) = machine.poll(&mut bytes) else {
                        break None;
                    };
                    // What the format has no word for was not recorded either.
                    if let Some(what) = of_effect::<M>(&effect, &bytes, true) {
                        break Some(what);
                    }
                };
                if came.as_ref() != Some(&line.what) {
                    return Err(NotReplayed::Diverged {
                        line: number,
                        recorded: line.what.name(),
                        came: came.map(|what| what.name()),
                    });
                }
                done.effects += 1;
            }
        }
    }
    Ok(done)
}

/// What a line is to a machine.
enum Given {
    /// An input, and it was taken as recorded.
    Yes,
    /// An input, and the machine answered otherwise than recorded.
    Other(&'static str),
    /// An input that cannot be given.
    No,
    /// An effect.
    Effect,
    /// Neither.
    Beside,
}

fn give<M: Telling + Callable>(machine: &mut M, now: Now, what: &What) -> Given {
    match what {
        What::Accepted { conn, source } => {
            let from = match source {
                None => Source::Unknown,
                Some(digits) => match hex::decode(digits) {
                    Some(address) => Source::Address(address),
                    None => return Given::No,
                },
            };
            if machine.accept(now, from).map(|conn| conn.0) != *conn {
                return Given::Other("accepted");
            }
        }
        What::Opened { conn } => machine.opened(now, ConnId(*conn)),
        What::Received {
            conn,
            message,
            full,
        } => {
            let Some(bytes) = message.content() else {
                return Given::No;
            };
            let Ok(message) = Message::of(message.kind.into(), &bytes) else {
                return Given::No;
            };
            if machine.message(now, ConnId(*conn), message).is_err() != *full {
                return Given::Other("received");
            }
        }
        What::Drained { conn } => machine.drained(now, ConnId(*conn)),
        What::Closed {
            conn,
            how,
            code,
            reason,
        } => {
            let reason = reason.clone();
            let how = match how {
                How::ByPeer => Closed::ByPeer {
                    code: code.unwrap_or(1005),
                    reason,
                },
                How::Lost => Closed::Lost(reason),
                How::NotOpened => Closed::NotOpened(reason),
            };
            machine.closed(now, ConnId(*conn), how);
        }
        What::Stored { id, ok } => {
            let result = if *ok { Ok(()) } else { Err(NotStored) };
            machine.stored(now, StoreId(*id), result);
        }
        What::Tick => machine.tick(now),
        What::Called {
            call,
            args,
            refused,
        } => {
            let call = serde_json::json!({ "call": call, "args": args });
            let Ok(call) = serde_json::from_value::<Call>(call) else {
                return Given::No;
            };
            match machine.call(now, &call) {
                Err(_) => return Given::No,
                Ok(answer) if answer != *refused => return Given::Other("called"),
                Ok(_) => {}
            }
        }
        what if !what.is_effect() => return Given::Beside,
        _ => return Given::Effect,
    }
    Given::Yes
}
