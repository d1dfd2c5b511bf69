//! What became of each message between two parties: which arrival is of which sending, and what never came.
//!
//! Only hashes and lengths are compared, so this is what a picture shows; what it means is for `explain` to say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::line::What;
use crate::passing::{Passing, Sort};
use crate::read::Trace;

/// A message is looked for among so many that were sent before it and have not arrived.
const FLYING: usize = 1024;

/// One end of a connection.
pub(crate) type End<'a> = (&'a str, u64);

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As it was sent, and in its turn.
    InTurn,
    /// Before so many that had been sent before it.
    Early(usize),
    /// After others that had been sent after it.
    Late,
    /// Once more.
    Again,
    /// With another content.
    Altered,
    /// With another content, and shorter.
    Shorter,
    /// To whom had sent it.
    Back,
    /// The trace does not show where it was sent.
    Unseen,
}

/// An arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    /// The index of the line on which it was sent.
    pub(crate) sent: Option<usize>,
    pub(crate) how: How,
}

/// What became of the messages of a trace. Lines are named by their indices.
pub(crate) struct Flights<'a> {
    /// The other end of each message that was sent or received, where the trace shows it.
    far: BTreeMap<usize, End<'a>>,
    came: BTreeMap<usize, Came>,
    lost: BTreeSet<usize>,
    lead_outside: bool,
}

/// A message that was sent and has not arrived.
struct Flying<'a> {
    index: usize,
    message: &'a Passing,
}

/// One direction of a connection, by the end that it leads to.
#[derive(Default)]
struct Way<'a> {
    flying: VecDeque<Flying<'a>>,
    /// What has arrived, by its hash: where it was sent.
    arrived: BTreeMap<&'a str, usize>,
    /// The last sending of which anything has arrived.
    latest: Option<usize>,
}

impl<'a> Flights<'a> {
    pub(crate) fn of(trace: &'a Trace) -> Self {
        let arrivals = arrivals(trace);
        let mut ends: BTreeMap<End<'a>, End<'a>> = BTreeMap::new();
        let mut ways: BTreeMap<End<'a>, Way<'a>> = BTreeMap::new();
        let mut own: BTreeMap<(End<'a>, &str), usize> = BTreeMap::new();
        let mut flights = Self {
            far: BTreeMap::new(),
            came: BTreeMap::new(),
            lost: BTreeSet::new(),
            lead_outside: false,
        };
        for (index, line) in trace.lines.iter().enumerate() {
            match &line.what {
                What::Linked { conn, to, accepted } => {
                    ends.insert((&line.who, *conn), (to, *accepted));
                    ends.insert((to, *accepted), (&line.who, *conn));
                }
                What::Sent { conn, message } => {
                    let near = (&*line.who, *conn);
                    if let Some(hash) = message.hash.as_deref() {
                        own.insert((near, hash), index);
                    }
                    if let Some(far) = flights.lead(index, ends.get(&near)) {
                        let flying = &mut ways.entry(far).or_default().flying;
                        flying.push_back(Flying { index, message });
                    }
                }
                What::Received {
                    conn,
                    message,
                    full: false,
                } => {
                    let near = (&*line.who, *conn);
                    flights.lead(index, ends.get(&near));
                    let way = ways.entry(near).or_default();
                    let hash = message.hash.as_deref();
                    let back = hash.and_then(|hash| own.get(&(near, hash)).copied());
                    let came = way.take(message, back, arrivals.get(&near));
                    flights.came.insert(index, came);
                }
                _ => {}
            }
        }
        let flying = ways.into_values().flat_map(|way| way.flying);
        flights.lost = flying.map(|flying| flying.index).collect();
        flights
    }

    fn lead(&mut self, index: usize, far: Option<&End<'a>>) -> Option<End<'a>> {
        match far {
            Some(far) => _ = self.far.insert(index, *far),
            None => self.lead_outside = true,
        }
        far.copied()
    }

    /// Whether there are messages to or from somebody whom the trace does not show.
    pub(crate) const fn lead_outside(&self) -> bool {
        self.lead_outside
    }

    /// The other end of the message on this line.
    pub(crate) fn far(&self, index: usize) -> Option<End<'a>> {
        self.far.get(&index).copied()
    }

    /// How the message came that was received on this line.
    pub(crate) fn came(&self, index: usize) -> Option<Came> {
        self.came.get(&index).copied()
    }

    /// Every arrival, by its line.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = (usize, Came)> {
        self.came.iter().map(|(index, came)| (*index, *came))
    }

    /// Whether nothing came of what was sent on this line.
    pub(crate) fn is_lost(&self, index: usize) -> bool {
        self.lost.contains(&index)
    }

    /// The lines of messages that the other end never received as they were sent.
    pub(crate) fn never_came_as_sent(&self) -> BTreeSet<usize> {
        let altered = self
            .came
            .values()
            .filter(|came| matches!(came.how, How::Altered | How::Shorter))
            .filter_map(|came| came.sent);
        self.lost.iter().copied().chain(altered).collect()
    }
}

impl<'a> Way<'a> {
    /// Finds what an arrival is of. `back` is where the receiver itself had sent the same.
    fn take(
        &mut self,
        message: &'a Passing,
        back: Option<usize>,
        arrivals: Option<&BTreeSet<&'a str>>,
    ) -> Came {
        let hash = message.hash.as_deref();
        let near = || self.flying.iter().take(FLYING);
        if let Some(at) = near().position(|flying| flying.message.hash.as_deref() == hash) {
            let latest = self.latest;
            // Frames are all different; texts such as pings are not.
            let again = message.kind == Sort::Binary
                && hash.is_some_and(|hash| self.arrived.contains_key(hash));
            let how = |sent| match at {
                _ if again => How::Again,
                _ if latest > Some(sent) => How::Late,
                0 => How::InTurn,
                missing => How::Early(missing),
            };
            return self.arrive(at, hash, how);
        }
        let Some(hash) = hash else {
            return Came {
                sent: None,
                how: How::Unseen,
            };
        };
        if let Some(sent) = self.arrived.get(hash) {
            return Came {
                sent: Some(*sent),
                how: How::Again,
            };
        }
        if back.is_some() {
            return Came {
                sent: back,
                how: How::Back,
            };
        }
        // What was sent and never comes as it was is what this one has been.
        let altered = near().position(|flying| {
            let known = flying.message.hash.as_deref();
            flying.message.kind == message.kind
                && message.kind == Sort::Binary
                && known.is_some_and(|known| arrivals.is_none_or(|all| !all.contains(known)))
        });
        match altered {
            Some(at) if self.flying[at].message.bytes > message.bytes => {
                self.arrive(at, Some(hash), |_| How::Shorter)
            }
            Some(at) => self.arrive(at, Some(hash), |_| How::Altered),
            None => Came {
                sent: None,
                how: How::Unseen,
            },
        }
    }

    fn arrive(&mut self, at: usize, hash: Option<&'a str>, how: impl FnOnce(usize) -> How) -> Came {
        let sent = self.flying[at].index;
        let how = how(sent);
        self.flying.remove(at);
        self.latest = self.latest.max(Some(sent));
        if let Some(hash) = hash {
            self.arrived.insert(hash, sent);
        }
        Came {
            sent: Some(sent),
            how,
        }
    }
}

/// The hashes of all that ever arrives at each end.
fn arrivals(trace: &Trace) -> BTreeMap<End<'_>, BTreeSet<&str>> {
    let mut arrivals: BTreeMap<End<'_>, BTreeSet<&str>> = BTreeMap::new();
    for line in &trace.lines {
        if let What::Received {
            conn,
            message,
            full: false,
        } = &line.what
            && let Some(hash) = message.hash.as_deref()
        {
            let end = (&*line.who, *conn);
            arrivals.entry(end).or_default().insert(hash);
        }
    }
    arrivals
}
