//! What a trace says of each connection, put together. No judgement yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::line::{FaultLine, What};
use crate::passing::{Passing, Sort};
use crate::read::Trace;

/// A connection of a party: its name, the how-manieth run of the party, the party's name for the connection.
pub(super) type ConnKey<'a> = (&'a str, u32, u64);

/// A message that a party sent or received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed<'a> {
    /// The number of its line.
    pub(super) line: usize,
    pub(super) received: bool,
    pub(super) message: &'a Passing,
}

/// One end of a WebSocket, as its party saw it.
#[derive(Clone, Debug, Default)]
pub(super) struct Conn<'a> {
    /// The other end, where the trace shows it.
    pub(super) far: Option<ConnKey<'a>>,
    /// Whether its party dialled it.
    pub(super) dialled: bool,
    /// The other connection of a pair, at a party that forwards.
    pub(super) pair: Option<u64>,
    pub(super) passed: Vec<Passed<'a>>,
    pub(super) role: Option<&'a str>,
    /// Where it ended, and the cause if there is one.
    pub(super) ended: Option<(usize, Option<&'a FaultLine>)>,
    pub(super) diagnosis: Option<&'a str>,
    /// Whether its party was told that it is gone.
    pub(super) is_closed: bool,
    pub(super) paired: bool,
    pub(super) connected: bool,
}

/// What is known of the parties beside their connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts<'a> {
    pub(super) conns: BTreeMap<ConnKey<'a>, Conn<'a>>,
    /// What machine each party is.
    pub(super) machines: BTreeMap<&'a str, &'a str>,
    /// Where a party ended without a word, and its how-manieth run that was.
    pub(super) stopped: BTreeMap<(&'a str, u32), usize>,
    /// Calls that were refused: the line, the call, the sentence.
    pub(super) refused_calls: Vec<(usize, &'a str, &'a str, &'a str)>,
    /// Connections that a party did not take.
    pub(super) not_taken: Vec<(usize, &'a str)>,
    /// Parties that were told to end.
    ending: BTreeSet<&'a str>,
    /// Records on their way to the store: whose, in which run, the number.
    unstored: BTreeSet<(&'a str, u32, u64)>,
    /// Records that could not be stored.
    pub(super) not_stored: Vec<(usize, &'a str)>,
    /// Binary messages of a key message's length, with every connection that received them.
    pub(super) keys_seen: BTreeMap<&'a str, BTreeSet<ConnKey<'a>>>,
}

/// The length of a key message: a nonce, a tag and a key.
pub(super) const KEY_MESSAGE: usize = 72;

impl Conn<'_> {
    /// Whether a session runs on it.
    fn is_session(&self) -> bool {
        self.ended.is_none()
            && self.passed.iter().any(|passed| {
                passed.message.kind == Sort::Binary
                    || passed.message.name.as_deref() == Some("communication_request")
            })
    }
}

impl<'a> Facts<'a> {
    pub(super) fn of(trace: &'a Trace) -> Self {
        let mut facts = Self::default();
        let mut runs: BTreeMap<&str, u32> = BTreeMap::new();
        for (index, line) in trace.lines.iter().enumerate() {
            // As an editor counts, with the header.
            let number = index + 2;
            let who = &*line.who;
            if let What::Started { machine, .. } = &line.what {
                *runs.entry(who).or_default() += 1;
                facts.machines.insert(who, machine);
                facts.ending.remove(who);
            }
            let run = runs.get(who).copied().unwrap_or_default();
            let key = |conn: &u64| (who, run, *conn);
            match &line.what {
                What::Stopped => {
                    facts.stopped.insert((who, run), number);
                }
                // Who is about to end takes nobody any more.
                What::Accepted { conn: None, .. } if !facts.ending.contains(who) => {
                    facts.not_taken.push((number, who));
                }
                What::Received {
                    conn,
                    message,
                    full: false,
                } => facts.passed(key(conn), number, true, message),
                What::Sent { conn, message } => facts.passed(key(conn), number, false, message),
                What::Storing { id, .. } => {
                    facts.unstored.insert((who, run, *id));
                }
                What::Stored { id, .. } => {
                    facts.unstored.remove(&(who, run, *id));
                }
                What::Closed { conn, .. } => facts.conn(key(conn)).is_closed = true,
                What::Called {
                    call,
                    refused: Some(refused),
                    ..
                } => facts.refused_calls.push((number, who, call, refused)),
                What::Dialled { conn, .. } => facts.conn(key(conn)).dialled = true,
                What::HandedOver { spare, initiator } => {
                    facts.conn(key(spare)).pair = Some(*initiator);
                    facts.conn(key(initiator)).pair = Some(*spare);
                }
                What::Paired { conn, role, .. } => {
                    let conn = facts.conn(key(conn));
                    (conn.paired, conn.role) = (true, Some(role.as_str()));
                }
                What::Connected { conn, role, .. } => {
                    let conn = facts.conn(key(conn));
                    (conn.connected, conn.role) = (true, Some(role.as_str()));
                }
                What::Ended {
                    conn, role, fault, ..
                } => {
                    if fault.as_ref().is_some_and(|fault| fault.code == "shutdown") {
                        facts.ending.insert(who);
                    }
                    let conn = facts.conn(key(conn));
                    conn.role = role.as_deref().or(conn.role);
                    conn.ended = Some((number, fault.as_ref()));
                }
                What::Diagnosed {
                    conn, diagnosis, ..
                } => facts.conn(key(conn)).diagnosis = Some(diagnosis),
                What::NotStored { .. } => facts.not_stored.push((number, who)),
                What::Linked { conn, to, accepted } => {
                    let near = key(conn);
                    let far = (
                        &**to,
                        runs.get(&**to).copied().unwrap_or_default(),
                        *accepted,
                    );
                    facts.conn(near).far = Some(far);
                    facts.conn(far).far = Some(near);
                }
                _ => {}
            }
        }
        facts.find_forwarders();
        facts
    }

    fn conn(&mut self, key: ConnKey<'a>) -> &mut Conn<'a> {
        self.conns.entry(key).or_default()
    }

    fn passed(&mut self, key: ConnKey<'a>, line: usize, received: bool, message: &'a Passing) {
        if received
            && message.bytes == KEY_MESSAGE
            && let Some(hash) = &message.hash
        {
            self.keys_seen.entry(hash).or_default().insert(key);
        }
        self.conn(key).passed.push(Passed {
            line,
            received,
            message,
        });
    }

    /// A party that is no node may forward without saying so: what it received on one connection goes out on another.
    fn find_forwarders(&mut self) {
        let mut heard: BTreeMap<(&str, u32, &str), u64> = BTreeMap::new();
        let mut pairs = Vec::new();
        for (&(who, run, conn), facts) in &self.conns {
            if self.machines.get(who) == Some(&"node") {
                continue;
            }
            for passed in facts.passed.iter().filter(|passed| passed.received) {
                if let Some(hash) = &passed.message.hash {
                    heard.entry((who, run, hash)).or_insert(conn);
                }
            }
        }
        for (&(who, run, conn), facts) in &self.conns {
            for passed in facts.passed.iter().filter(|passed| !passed.received) {
                let Some(hash) = passed.message.hash.as_deref() else {
                    continue;
                };
                match heard.get(&(who, run, hash)) {
                    Some(from) if *from != conn => pairs.push(((who, run), *from, conn)),
                    _ => {}
                }
            }
        }
        for ((who, run), one, other) in pairs {
            for (conn, pair) in [(one, other), (other, one)] {
                self.conn((who, run, conn)).pair.get_or_insert(pair);
            }
        }
    }

    /// The other end of the session, behind any party that forwards.
    pub(super) fn peer(&self, key: ConnKey<'a>) -> Option<ConnKey<'a>> {
        let mut at = key;
        // A chain of relays is not endless; a loop in a forged trace would be.
        for _ in 0..8 {
            let far = self.conns.get(&at)?.far?;
            match self.conns.get(&far)?.pair {
                Some(pair) if self.machines.get(far.0) != Some(&"node") => {
                    at = (far.0, far.1, pair)
                }
                _ => return Some(far),
            }
        }
        None
    }

    /// Whether a session of a node runs when the trace ends, and has come to nothing yet.
    pub(super) fn is_unfinished(&self) -> bool {
        self.conns.iter().any(|((who, ..), conn)| {
            self.machines.get(who) == Some(&"node")
                && conn.is_session()
                && !conn.paired
                && !conn.connected
        })
    }

    /// Where parties ended without a word, and whether that broke something off: a session, or a record on its way to
    /// the store.
    pub(super) fn crashes(&self) -> impl Iterator<Item = (usize, &'a str, bool)> {
        self.stopped.iter().map(|(&(who, run), &line)| {
            let mut conns = self.conns.range((who, run, 0)..=(who, run, u64::MAX));
            let broken = conns.any(|(_, conn)| conn.is_session() && !conn.is_closed);
            let unstored = self
                .unstored
                .iter()
                .any(|(of, in_run, _)| (*of, *in_run) == (who, run));
            (line, who, broken || unstored)
        })
    }
}
