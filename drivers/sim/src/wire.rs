//! A relay that can do harm: it dials on for everyone who dials it, and does to what passes what it is told.

use std::collections::{BTreeMap, VecDeque};

use chumwire::io::{Closed, ConnId, Effect, Full, Kind, Message, NotStored, StoreId};
use chumwire::time::{Alarm, Deadline, Micros, Now};

use crate::link::Side;
use crate::party::{Action, Party};

/// A message that has come to a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Passing<'a> {
    /// Which pair of connections, from 0 in the order of the dialling.
    pub pair: usize,
    /// Who sent it: the one who dialled the wire, or the one whom the wire dialled.
    pub from: Side,
    /// Which message of this sender on this pair, from 0.
    pub index: u64,
    /// Text or binary.
    pub kind: Kind,
    /// Its content.
    pub bytes: &'a [u8],
}

/// A message that leaves a wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Onward {
    /// On which pair of connections.
    pub pair: usize,
    /// To whom.
    pub to: Side,
    /// How much later than the message that has come.
    pub after: Micros,
    /// Text or binary.
    pub kind: Kind,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What a wire does to a message: the list holds its honest copy, and may be changed in any way.
pub type Meddle = Box<dyn FnMut(Passing<'_>, &mut Vec<Onward>)>;

/// A relay without registration, in one of two forms: it dials on to its target, or it couples two who dial it.
pub struct Wire {
    target: Option<String>,
    meddle: Meddle,
    /// By pair: the ends, and how many messages came from each.
    pairs: Vec<[Option<ConnId>; 2]>,
    counts: Vec<[u64; 2]>,
    next: u64,
    out: VecDeque<(Vec<u8>, Action)>,
    later: BTreeMap<(Micros, u64), Onward>,
}

impl Wire {
    /// Whoever dials it is connected with who is at this url.
    #[must_use]
    pub fn to(target: &str, meddle: impl FnMut(Passing<'_>, &mut Vec<Onward>) + 'static) -> Self {
        Self {
            target: Some(target.into()),
            meddle: Box::new(meddle),
            pairs: Vec::new(),
            counts: Vec::new(),
            next: 0,
            out: VecDeque::new(),
            later: BTreeMap::new(),
        }
    }

    /// Of those who dial it each two are connected with each other.
    #[must_use]
    pub fn between() -> Self {
        Self {
            target: None,
            ..Self::to("", |_, _| {})
        }
    }

    fn conn(&mut self) -> ConnId {
        self.next += 1;
        ConnId(self.next - 1)
    }

    fn find(&self, conn: ConnId) -> Option<(usize, Side)> {
        self.pairs.iter().enumerate().find_map(|(pair, ends)| {
            let side = Side::BOTH
                .into_iter()
                .find(|side| ends[end(*side)] == Some(conn))?;
            Some((pair, side))
        })
    }

    fn pass(&mut self, onward: Onward) {
        let to = self.pairs.get(onward.pair).map(|ends| ends[end(onward.to)]);
        if let Some(Some(conn)) = to {
            let kind = onward.kind;
            self.out
                .push_back((onward.bytes, Effect::Send { conn, kind }));
        }
    }
}

const fn end(side: Side) -> usize {
    match side {
        Side::Dialler => 0,
        Side::Listener => 1,
    }
}

impl Party for Wire {
    fn accept(&mut self, _: Now) -> Option<ConnId> {
        let conn = self.conn();
        if let Some(url) = self.target.clone() {
            let onward = self.conn();
            self.pairs.push([Some(conn), Some(onward)]);
            self.counts.push([0; 2]);
            let dial = Effect::Dial { conn: onward, url };
            self.out.push_back((Vec::new(), dial));
            return Some(conn);
        }
        match self.pairs.last_mut() {
            Some([Some(first), second @ None]) => {
                *second = Some(conn);
                self.out.push_back((Vec::new(), Effect::Resume(*first)));
            }
            _ => {
                self.pairs.push([Some(conn), None]);
                self.counts.push([0; 2]);
            }
        }
        Some(conn)
    }

    fn opened(&mut self, _: Now, _: ConnId) {}

    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        let Some((pair, from)) = self.find(conn) else {
            return Ok(());
        };
        if self.pairs[pair][end(from.other())].is_none() {
            // Nobody is at the other end yet.
            return Err(Full);
        }
        let count = &mut self.counts[pair][end(from)];
        let passing = Passing {
            pair,
            from,
            index: *count,
            kind: message.kind(),
            bytes: message.bytes(),
        };
        *count += 1;
        let mut onwards = vec![Onward {
            pair,
            to: from.other(),
            after: Micros::ZERO,
            kind: message.kind(),
            bytes: message.bytes().into(),
        }];
        (self.meddle)(passing, &mut onwards);
        for onward in onwards {
            if onward.after == Micros::ZERO {
                self.pass(onward);
            } else {
                let number = self.next;
                self.next += 1;
                self.later.insert((now.mono + onward.after, number), onward);
            }
        }
        Ok(())
    }

    fn drained(&mut self, _: Now, _: ConnId) {}

    fn closed(&mut self, _: Now, conn: ConnId, how: Closed) {
        let Some((pair, side)) = self.find(conn) else {
            return;
        };
        self.pairs[pair][end(side)] = None;
        // As a relay does: the other one is closed with the same words.
        if let Some(other) = self.pairs[pair][end(side.other())] {
            let (code, reason) = match how {
                Closed::ByPeer { code, reason } => (code, reason),
                Closed::Lost(_) | Closed::NotOpened(_) => (1000, "Close called.".into()),
            };
            let close = Effect::Close {
                conn: other,
                code,
                reason,
            };
            self.out.push_back((Vec::new(), close));
        }
    }

    fn stored(&mut self, _: Now, _: StoreId, _: Result<(), NotStored>) {}

    fn tick(&mut self, now: Now) {
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now.mono
        {
            let onward = entry.remove();
            self.pass(onward);
        }
    }

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Action> {
        let (message, action) = self.out.pop_front()?;
        *bytes = message;
        Some(action)
    }

    fn deadline(&self) -> Option<Deadline> {
        let ((at, _), _) = self.later.first_key_value()?;
        Some(Deadline {
            at: *at,
            why: Alarm::StepLimit,
        })
    }
}
