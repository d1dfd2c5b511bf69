//! Rules: what happens to a message of a certain kind, at a certain time of its coming.

use chumwire::io::Kind;
use chumwire::time::Micros;
use chumwire_trace::command_of;

use super::layer::{Parcel, Passage};

/// A rule of a world, in the order of the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub usize);

/// Which messages a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// Every one.
    Any,
    /// Texts.
    Text,
    /// Binary messages.
    Binary,
    /// A text of relay control or the handshake, by its `command`.
    Command(String),
    /// Messages of this length.
    Length(usize),
}

impl Match {
    fn is(&self, kind: Kind, bytes: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Text => kind == Kind::Text,
            Self::Binary => kind == Kind::Binary,
            Self::Command(name) => command_of(kind, bytes) == Some(name),
            Self::Length(length) => bytes.len() == *length,
        }
    }
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// It does not come.
    Drop,
    /// It comes so many times more.
    Duplicate(usize),
    /// It comes so much later, and others overtake it.
    Hold(Micros),
    /// It comes when so many later ones have gone by; if they never do, never.
    HoldUntil(u64),
    /// It comes after the next one.
    SwapWithNext,
    /// This bit is altered.
    Flip(usize),
    /// It is cut to this length.
    Truncate(usize),
    /// It comes back to its sender, as well.
    Mirror,
    /// It comes back to its sender instead.
    Reflect,
    /// Another message comes instead.
    Replace(Kind, Vec<u8>),
    /// Another message comes before it.
    Inject(Kind, Vec<u8>),
    /// The connection breaks off.
    Cut,
    /// Nothing passes from here on, and nobody is told.
    Silence,
    /// The pipe stops for so long.
    Clog(Micros),
    /// It is read together with those behind it.
    Merge,
    /// Whoever it goes to crashes and starts again at once.
    Crash,
}

impl Act {
    fn apply(&self, passage: &mut Passage) {
        let plain = |kind: &Kind, bytes: &[u8]| Parcel {
            kind: *kind,
            bytes: bytes.into(),
            late: Micros::ZERO,
            after: 0,
            ahead: 0,
            back: false,
            merged: false,
        };
        match self {
            Self::Drop => passage.parcels.clear(),
            Self::Duplicate(times) => passage.duplicate(*times),
            Self::Hold(time) => passage.parcels.iter_mut().for_each(|p| p.late = *time),
            Self::HoldUntil(count) => passage.parcels.iter_mut().for_each(|p| p.after = *count),
            Self::SwapWithNext => passage.parcels.iter_mut().for_each(|p| p.after = 1),
            Self::Flip(bit) => passage.flip(*bit),
            Self::Truncate(length) => passage.truncate(*length),
            Self::Mirror => passage.mirror(false),
            Self::Reflect => passage.mirror(true),
            Self::Replace(kind, bytes) => passage.parcels = vec![plain(kind, bytes)],
            Self::Inject(kind, bytes) => passage.parcels.insert(0, plain(kind, bytes)),
            Self::Cut => passage.cut(),
            Self::Silence => passage.silence(),
            Self::Clog(time) => passage.clog(*time),
            Self::Merge => passage.parcels.iter_mut().for_each(|p| p.merged = true),
            Self::Crash => passage.crash(),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Duplicate(_) => "duplicate",
            Self::Hold(_) | Self::HoldUntil(_) => "hold",
            Self::SwapWithNext => "swap",
            Self::Flip(_) => "flip",
            Self::Truncate(_) => "truncate",
            Self::Mirror | Self::Reflect => "mirror",
            Self::Replace(..) => "replace",
            Self::Inject(..) => "inject",
            Self::Cut => "cut",
            Self::Silence => "silence",
            Self::Clog(_) => "clog",
            Self::Merge => "merge",
            Self::Crash => "crash",
        }
    }
}

/// What happens to a message of a certain kind: `Rule::new(Match::Command("communication_ready".into()), Act::Drop)
/// .from("relay").to("bob").nth(2)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    from: Option<String>,
    to: Option<String>,
    matches: Match,
    nth: u64,
    act: Act,
}

impl Rule {
    /// For every message that matches, whoever sends it.
    #[must_use]
    pub const fn new(matches: Match, act: Act) -> Self {
        Self {
            from: None,
            to: None,
            matches,
            nth: 0,
            act,
        }
    }

    /// Only for messages that this party sends.
    #[must_use]
    pub fn from(mut self, party: &str) -> Self {
        self.from = Some(party.into());
        self
    }

    /// Only for messages that go to this party.
    #[must_use]
    pub fn to(mut self, party: &str) -> Self {
        self.to = Some(party.into());
        self
    }

    /// Only for the `nth` message that matches, counted from 1 over all links. 0 is every one.
    #[must_use]
    pub const fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }
}

/// A rule, and how often it matched and did something.
#[derive(Debug)]
pub(crate) struct Ruling {
    rule: Rule,
    matched: u64,
    pub(crate) fired: u64,
}

impl Ruling {
    pub(crate) const fn new(rule: Rule) -> Self {
        Self {
            rule,
            matched: 0,
            fired: 0,
        }
    }

    /// Does to a message from one party to another what the rule says.
    pub(crate) fn pass(&mut self, from: &str, to: &str, passage: &mut Passage) {
        let rule = &self.rule;
        let is = |of: &Option<String>, name: &str| of.as_ref().is_none_or(|of| of == name);
        let Some(parcel) = passage.parcels.first() else {
            return;
        };
        if !is(&rule.from, from)
            || !is(&rule.to, to)
            || !rule.matches.is(parcel.kind, &parcel.bytes)
        {
            return;
        }
        self.matched += 1;
        if rule.nth == 0 || rule.nth == self.matched {
            self.fired += 1;
            let towards = passage.towards;
            passage.note(format!(
                "{} towards the {towards:?} (a rule)",
                rule.act.name()
            ));
            rule.act.apply(passage);
        }
    }
}
