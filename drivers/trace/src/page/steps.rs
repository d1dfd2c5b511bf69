//! From the lines of a trace to the steps of a page.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chumwire::time::Micros;

use super::data::{Change, Data, Jump, Mark, Message, Step, To, Told};
use super::failed::Failed;
use super::groups::{self, group, passing};
use super::state::{Before, changes};
use super::text::{shown, told};
use crate::explain::{Cause, Explanation, Finding};
use crate::flights::{Flights, How as Came};
use crate::header::Header;
use crate::lanes::Lanes;
use crate::line::{Line, What};
use crate::merge::Merged;
use crate::names::Names;
use crate::passing::{Passing, Sort};

/// The most steps of a page: what a browser reads and lays out in a moment.
const STEPS: usize = 100_000;
/// The most findings that are told.
const FINDINGS: usize = 20;

/// Everything that steps are made from.
struct Maker<'a> {
    merged: &'a Merged,
    flights: Flights<'a>,
    names: Names<'a>,
    lanes: Lanes<'a>,
    failed: Failed<'a>,
    /// The number of the step of each line that is one, from 1.
    numbers: BTreeMap<usize, usize>,
    /// The first arrival of each sending.
    arrival: BTreeMap<usize, usize>,
    /// Lines that findings are about.
    found: BTreeSet<usize>,
}

/// What the page is given.
pub(super) fn data(merged: &Merged, explanation: &Explanation) -> Data {
    let trace = &merged.trace;
    let flights = Flights::of(trace);
    let mut arrival = BTreeMap::new();
    for (received, came) in flights.arrivals() {
        if let Some(sent) = came.sent {
            arrival.entry(sent).or_insert(received);
        }
    }
    let shown_lines = || {
        let lines = trace.lines.iter().enumerate();
        lines.filter(|(_, line)| group(&line.what).is_some())
    };
    let maker = Maker {
        lanes: Lanes::of(trace, &flights),
        flights,
        names: Names::of(&trace.lines),
        failed: Failed::of(trace),
        numbers: shown_lines()
            .enumerate()
            .map(|(number, (index, _))| (index, number + 1))
            .collect(),
        arrival,
        found: explanation.findings.iter().filter_map(index_of).collect(),
        merged,
    };
    let findings: Vec<Told> = explanation
        .findings
        .iter()
        .take(FINDINGS)
        .map(|finding| maker.told(finding))
        .collect();
    let about = findings
        .iter()
        .flat_map(|told| &told.jumps)
        .map(|jump| jump.to)
        .next();
    let here = window(maker.numbers.len(), about);
    let (mut before, mut steps) = (Before::default(), Vec::with_capacity(here.len()));
    for (number, (index, line)) in shown_lines().enumerate() {
        if number < here.start {
            maker
                .changes(index, line)
                .into_iter()
                .for_each(|change| before.add(change));
        } else if number < here.end {
            steps.push(maker.step(index, line, &here));
        }
    }
    Data {
        title: title(&trace.header),
        wall: trace.header.wall,
        lanes: maker.lanes.names().iter().map(|name| shown(name)).collect(),
        outside: maker.lanes.outside(),
        groups: groups::used(&mut steps),
        more_findings: explanation.findings.len().saturating_sub(FINDINGS),
        findings,
        paired: explanation.paired,
        connected: explanation.connected,
        first: here.start + 1,
        total: maker.numbers.len(),
        before: before.into_changes(),
        steps,
    }
}

/// Which steps are shown, from 0: around the one that matters, if they are too many.
fn window(steps: usize, about: Option<usize>) -> Range<usize> {
    let start = about.map_or(0, |about| about.saturating_sub(STEPS * 3 / 4));
    let start = start.min(steps.saturating_sub(STEPS));
    start..steps.min(start + STEPS)
}

fn title(header: &Header) -> String {
    let Some(scene) = &header.scene else {
        return "A connection, as it was recorded".into();
    };
    let mut title = shown(scene.scenario.as_deref().unwrap_or("A simulated run"));
    if let Some(seed) = scene.seed {
        title += &format!(", seed {seed}");
    }
    if let Some(window) = scene.window {
        title += &format!(", reorder window {window}");
    }
    for fault in scene.faults.iter().take(16) {
        title += &format!(", {}", shown(fault));
    }
    title
}

/// The line of a finding, as an index: the header is line 1.
fn index_of(finding: &Finding) -> Option<usize> {
    finding.line?.checked_sub(2)
}

impl Maker<'_> {
    fn step(&self, index: usize, line: &Line, here: &Range<usize>) -> Step {
        let what = &line.what;
        let message = self.message(index, what, here);
        let marked = message.as_ref().is_some_and(|message| {
            // What is to be looked at is the arrival, unless there is none.
            message.marks.iter().any(|mark| mark.kind != "early")
        });
        Step {
            at: line.at,
            time: Micros(line.at).to_string(),
            who: self.lanes.of_party(&line.who),
            what: what.name(),
            group: match passing(what) {
                Some((_, message)) => self.layer(index, message),
                None => group(what).unwrap_or(groups::UNNAMED),
            },
            conn: groups::conn(what).map(|conn| conn.to_string()),
            text: message.is_none().then(|| told(what)),
            trouble: marked || groups::is_trouble(what) || self.found.contains(&index),
            message,
            line: self.merged.line_of(index),
            state: self.changes(index, line),
        }
    }

    fn changes(&self, index: usize, line: &Line) -> Vec<Change> {
        let lane = self.lanes.of_party(&line.who);
        let mut changes = changes(lane, &line.what);
        if let Some((conn, message)) = passing(&line.what) {
            let layer = groups::name(self.layer(index, message));
            let verb = match line.what {
                What::Sent { .. } => "sent",
                _ => "received",
            };
            changes.push(Change {
                lane,
                conn: Some(conn.to_string()),
                to: To::Last(format!("{layer}: {} {verb}", self.name(index, message))),
            });
        }
        changes
    }

    fn name(&self, index: usize, message: &Passing) -> String {
        let known = self.names.known(index, message).map(|name| name.name);
        let plain = match message.kind {
            Sort::Text => "text",
            Sort::Binary => "frame",
        };
        shown(known.or(message.name.as_deref()).unwrap_or(plain))
    }

    /// The place of a message's layer among the groups.
    fn layer(&self, index: usize, message: &Passing) -> usize {
        let known = self.names.known(index, message);
        groups::of_layer(known.map(|known| known.layer))
    }

    fn message(&self, index: usize, what: &What, here: &Range<usize>) -> Option<Message> {
        let (_, message) = passing(what)?;
        let sent = matches!(what, What::Sent { .. });
        let came = self.flights.came(index);
        let other = if sent {
            self.arrival.get(&index).copied()
        } else {
            came.and_then(|came| came.sent)
        };
        let far = self.flights.far(index);
        Some(Message {
            sent,
            name: self.name(index, message),
            bytes: message.bytes,
            nonce: self.names.known(index, message).and_then(|name| name.nonce),
            hash: message.hash.as_deref().map(shown),
            peer: match far {
                Some(end) => Some(self.lanes.of_party(end.0)),
                None => self.lanes.outside(),
            },
            other: other
                .and_then(|other| self.numbers.get(&other).copied())
                .filter(|number| here.contains(&(number - 1))),
            marks: self.marks(index, what),
        })
    }

    fn marks(&self, index: usize, what: &What) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut mark = |kind, words: String| marks.push(Mark { kind, words });
        if let Some(words) = self.failed.words(index) {
            mark("failed", format!("failed: {}", shown(words)));
        }
        if self.flights.is_lost(index) {
            mark("lost", "never came".into());
        }
        if matches!(what, What::Received { full: true, .. }) {
            mark("full", "not taken yet: full".into());
        }
        match self.flights.came(index).map(|came| came.how) {
            Some(Came::Early(1)) => mark("early", "overtook one".into()),
            Some(Came::Early(others)) => mark("early", format!("overtook {others}")),
            Some(Came::Late) => mark("late", "late: overtaken".into()),
            Some(Came::Again) => mark("copy", "a copy".into()),
            Some(Came::Altered) => mark("altered", "altered on the way".into()),
            Some(Came::Shorter) => mark("altered", "cut short on the way".into()),
            Some(Came::Back) => mark("copy", "its own, sent back".into()),
            Some(Came::InTurn | Came::Unseen) | None => {}
        }
        marks
    }

    fn told(&self, finding: &Finding) -> Told {
        let cause = finding.cause;
        let index = index_of(finding);
        let mut jumps = Vec::new();
        let mut jump = |label, line: Option<usize>| {
            if let Some(to) = line.and_then(|line| self.numbers.get(&line).copied()) {
                jumps.push(Jump { label, to });
            }
        };
        let message = index.and_then(|index| self.failed.message(index));
        jump("Find the failed message", message);
        let sent = message.and_then(|message| self.flights.came(message)?.sent);
        jump("Where it was sent", sent);
        jump(
            if message.is_some() {
                "Where it ended"
            } else {
                "Find it"
            },
            index,
        );
        Told {
            cause: cause.code(),
            means: cause.means(),
            fault: cause.fault().to_string(),
            advice: cause.advice(),
            wrong: cause != Cause::NothingWrong,
            weak: finding.weak,
            who: finding.who.as_deref().map(shown),
            conn: finding.conn.map(|conn| conn.to_string()),
            step: finding.step.as_deref().map(shown),
            words: finding.words.as_deref().map(shown),
            at: finding.at.map(|at| Micros(at).to_string()),
            line: index.and_then(|index| self.merged.line_of(index)),
            jumps,
        }
    }
}
