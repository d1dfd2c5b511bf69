//! What went wrong in a trace, in which step, whose fault it is, and what to do.
//!
//! ```text
//! lines ──> facts (each connection, and who is at its other end) ──> judge (a cause for each) ──> what is told first
//! ```
//!
//! It looks only at what machines saw and told: what a simulator did to a link is left aside. A trace of one side
//! shows less than one of both; where it does not show the cause, the answer is [`Cause::Unknown`] or one that leaves
//! it open, never a guess.

mod cause;
mod facts;
mod judge;
mod reasons;

use core::fmt;

use facts::{ConnKey, Facts};

pub use cause::{Cause, Fault};

use crate::read::Trace;

/// One thing that went wrong, or the word that nothing did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What.
    pub cause: Cause,
    /// Whose machine saw it.
    pub who: Option<String>,
    /// On which of its connections.
    pub conn: Option<u64>,
    /// In which step, by its name.
    pub step: Option<String>,
    /// The machine's own words.
    pub words: Option<String>,
    /// The line of the trace that shows it, from 1.
    pub line: Option<usize>,
    /// When, on the trace's monotonic clock, in microseconds.
    pub at: Option<u64>,
    /// It broke nothing off: told after everything else.
    pub weak: bool,
}

/// What a trace tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The first is the most telling; never empty.
    pub findings: Vec<Finding>,
    /// Pairings that succeeded, as machines told.
    pub paired: usize,
    /// Connections of contacts that were established, as machines told.
    pub connected: usize,
}

impl Explanation {
    /// The most telling finding's cause.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.findings
            .first()
            .map_or(Cause::NothingWrong, |finding| finding.cause)
    }
}

/// Explains a trace.
#[must_use]
pub fn explain(trace: &Trace) -> Explanation {
    let facts = Facts::of(trace);
    let mut findings = of_parties(&facts);
    for key in facts.conns.keys() {
        if let Some(finding) = of_conn(&facts, *key) {
            findings.push(finding);
        }
    }
    findings.sort_by_key(|finding| (finding.weak, finding.line));
    findings.dedup_by(|later, first| {
        // One event has two ends: it is told once.
        later.cause == first.cause && later.who == first.who && later.conn == first.conn
    });
    for finding in &mut findings {
        finding.at = finding
            .line
            .and_then(|line| trace.lines.get(line - 2))
            .map(|line| line.at);
    }
    if findings.is_empty() {
        // The doubles of other implementations keep what they think to themselves.
        let ours = facts
            .machines
            .values()
            .any(|machine| matches!(*machine, "node" | "relay"));
        findings.push(Finding {
            // A session that the trace leaves in the middle has not gone well yet.
            cause: if ours && !facts.is_unfinished() {
                Cause::NothingWrong
            } else {
                Cause::Unknown
            },
            who: None,
            conn: None,
            step: None,
            words: None,
            line: None,
            at: None,
            weak: true,
        });
    }
    Explanation {
        findings,
        paired: facts.conns.values().filter(|conn| conn.paired).count(),
        connected: facts.conns.values().filter(|conn| conn.connected).count(),
    }
}

/// What parties were asked for and could not do, whatever their connections.
fn of_parties(facts: &Facts<'_>) -> Vec<Finding> {
    let finding = |cause: Cause, who: &str, line, words: Option<&str>| Finding {
        cause,
        weak: cause.is_weak(),
        who: Some(who.into()),
        conn: None,
        step: None,
        words: words.map(Into::into),
        line: Some(line),
        at: None,
    };
    let mut findings = Vec::new();
    for (line, who, call, refused) in &facts.refused_calls {
        let cause = match (*call, *refused) {
            ("connect" | "forget", refused) if refused.starts_with("not paired") => {
                Cause::NotPaired
            }
            ("join", refused) if refused.contains("this very instance") => Cause::Oneself,
            ("send" | "close", _) => continue,
            _ => Cause::Unknown,
        };
        findings.push(finding(cause, who, *line, Some(refused)));
    }
    for (line, who, broke) in facts.crashes() {
        findings.push(Finding {
            weak: !broke,
            ..finding(Cause::PartyCrashed, who, line, None)
        });
    }
    for (line, who) in &facts.not_stored {
        findings.push(finding(Cause::StorageFailed, who, *line, None));
    }
    if let Some((line, who)) = facts.not_taken.first() {
        findings.push(finding(Cause::TooManyHalfOpen, who, *line, None));
    }
    findings
}

/// What went wrong with one connection, unless it only shows what another one knows better.
fn of_conn<'a>(facts: &Facts<'a>, key: ConnKey<'a>) -> Option<Finding> {
    let judged = facts.judge(key)?;
    let conn = facts.conns.get(&key)?;
    // The other end of the session may know better.
    if let Some(peer) = facts.peer(key)
        && let Some(other) = facts.judge(peer)
        && other.cause.rank() < judged.cause.rank()
    {
        return None;
    }
    let fault = conn.ended.and_then(|(_, fault)| fault);
    Some(Finding {
        cause: judged.cause,
        weak: judged.cause.is_weak(),
        who: Some(key.0.into()),
        conn: Some(key.2),
        step: fault.map(|fault| fault.step.clone()),
        words: fault.map(|fault| fault.message.clone()),
        line: Some(judged.line),
        at: None,
    })
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "at {}", chumwire::time::Micros(at))?;
            if let Some(line) = self.line {
                write!(f, " (line {line})")?;
            }
            f.write_str(": ")?;
        }
        if let Some(who) = &self.who {
            f.write_str(who)?;
            if let Some(conn) = self.conn {
                write!(f, ", connection {conn}")?;
            }
            if let Some(step) = &self.step {
                write!(f, ", step {step}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(self.cause.means())?;
        if let Some(words) = &self.words {
            write!(f, " It said: {words}.")?;
        }
        if self.cause != Cause::NothingWrong {
            write!(
                f,
                " The fault is {}. {}",
                self.cause.fault(),
                self.cause.advice()
            )?;
        }
        Ok(())
    }
}
