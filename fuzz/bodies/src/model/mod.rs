//! Two nodes and a relay, and a small model of them: bytes become transitions that the model allows; after each one
//! machines and model are compared.

mod compare;
mod judge;
mod reference;
mod texts;
mod world;

use chumwire_sim::scenario::Stop;

use world::Pair;

/// The most transitions of one input.
const TRANSITIONS: usize = 30;

/// What may happen. Where the model does not allow it, the next one that it allows happens instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transition {
    Invite,
    Join,
    Connect,
    Say,
    Disconnect,
    Forget,
    Revoke,
    Crash,
    Restart,
    StopRelay,
    StartRelay,
    Cut,
    Pass,
    Latency,
}

use Transition::{
    Connect, Crash, Cut, Disconnect, Forget, Invite, Join, Latency, Pass, Restart, Revoke, Say,
    StartRelay, StopRelay,
};

const ALL: [Transition; 14] = [
    Invite, Join, Connect, Say, Disconnect, Forget, Revoke, Crash, Restart, StopRelay, StartRelay,
    Cut, Pass, Latency,
];

/// How it happens: by whom, whether the next one waits until all is quiet, and which of several.
#[derive(Clone, Copy)]
struct How {
    who: usize,
    pause: Option<u64>,
    which: usize,
}

impl How {
    const fn of(byte: u8) -> Self {
        Self {
            who: byte as usize & 1,
            pause: match byte >> 1 & 3 {
                0 => None,
                // A pairing takes some of these.
                1 => Some(250),
                // A write takes at most 9 ms.
                2 => Some(10),
                _ => Some(80),
            },
            which: byte as usize >> 3,
        }
    }
}

/// The reorder window, two bytes for each transition, and behind a byte of ones the choices of the simulator.
pub(crate) fn model(bytes: &[u8]) {
    let Some((window, bytes)) = bytes.split_first() else {
        return;
    };
    let (steps, choices) = match bytes.iter().position(|byte| *byte == u8::MAX) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    let window = [0, 1, 4, 16, 64][usize::from(*window) % 5];
    let mut pair = Pair::new(window, &choices[..choices.len().min(1000)]);
    let mut happened = Vec::new();
    if let Err(stop) = run(&mut pair, steps, &mut happened) {
        let what = match stop {
            Stop::Violation(violation) => violation.to_string(),
            Stop::Unmet(what) => what,
            Stop::Disturbed => "disturbed".into(),
        };
        panic!("{what}\nafter {happened:?}\nthe model: {:?}", pair.model);
    }
}

/// Does all of it, then lets both nodes and the relay run until all is quiet.
fn run(pair: &mut Pair, steps: &[u8], happened: &mut Vec<String>) -> Result<(), Stop> {
    pair.settle()?;
    for step in steps.as_chunks::<2>().0.iter().take(TRANSITIONS) {
        let how = How::of(step[1]);
        let first = usize::from(step[0]) % ALL.len();
        let mut in_order = ALL[first..].iter().chain(&ALL[..first]);
        let Some(transition) = in_order.find(|transition| pair.allows(**transition, how)) else {
            continue;
        };
        happened.push(format!(
            "{transition:?} {} {:?} {}",
            how.who, how.pause, how.which
        ));
        pair.happen(*transition, how)?;
        pair.look()?;
        match how.pause {
            None => pair.settle()?,
            Some(millis) => pair.run(millis)?,
        }
        pair.look()?;
    }
    happened.push("all run".into());
    pair.mend();
    pair.settle()
}
