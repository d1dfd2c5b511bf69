//! The layers of a link: each takes what passes and does one thing to it, and they are stacked.
//!
//! ```text
//! sender ── rules ── layers that were wrapped around ── faults, one after the other ── latency ── pipe ── receiver
//! ```

use chumwire::io::Kind;
use chumwire::time::Micros;

use super::{FaultKind, Faults, Side};
use crate::chooser::{Choice, Chooser};

/// A message on its way, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parcel {
    /// Text or binary.
    pub kind: Kind,
    /// Its content.
    pub bytes: Vec<u8>,
    /// It comes so much later, and others overtake it.
    pub late: Micros,
    /// It comes when so many later messages have gone by.
    pub after: u64,
    /// It overtakes so many others.
    pub ahead: usize,
    /// It goes back to its sender.
    pub back: bool,
    /// It is read together with those behind it.
    pub merged: bool,
}

/// What a sent message has become so far: usually one parcel.
#[derive(Debug)]
pub struct Passage {
    /// To whom.
    pub towards: Side,
    /// What arrives, in order.
    pub parcels: Vec<Parcel>,
    pub(crate) cut: bool,
    pub(crate) silent: bool,
    pub(crate) crash: bool,
    pub(crate) clogged: Option<Micros>,
    /// What was done, in words.
    pub(crate) done: Vec<String>,
}

impl Passage {
    pub(crate) fn new(towards: Side, kind: Kind, bytes: Vec<u8>) -> Self {
        Self {
            towards,
            parcels: vec![Parcel {
                kind,
                bytes,
                late: Micros::ZERO,
                after: 0,
                ahead: 0,
                back: false,
                merged: false,
            }],
            cut: false,
            silent: false,
            crash: false,
            clogged: None,
            done: Vec::new(),
        }
    }

    /// Writes into the trace what was done.
    pub fn note(&mut self, what: impl Into<String>) {
        self.done.push(what.into());
    }

    /// The connection breaks off; nothing of this arrives.
    pub fn cut(&mut self) {
        self.parcels.clear();
        self.cut = true;
    }

    /// Nothing passes from here on, and nobody is told.
    pub fn silence(&mut self) {
        self.parcels.clear();
        self.silent = true;
    }

    /// The pipe stops for so long.
    pub const fn clog(&mut self, time: Micros) {
        self.clogged = Some(time);
    }

    /// Whoever it goes to crashes and starts again at once.
    pub const fn crash(&mut self) {
        self.crash = true;
    }

    /// Alters a bit of every parcel. A text stays one.
    pub fn flip(&mut self, bit: usize) {
        for parcel in &mut self.parcels {
            let length = parcel.bytes.len();
            if length == 0 {
                continue;
            }
            let (byte, bit) = (bit / 8 % length, bit % 8);
            match parcel.kind {
                Kind::Binary => parcel.bytes[byte] ^= 1 << bit,
                Kind::Text if parcel.bytes[byte].is_ascii() => parcel.bytes[byte] ^= 1,
                Kind::Text => {}
            }
        }
    }

    /// Cuts every parcel to at most this length. A text stays one.
    pub fn truncate(&mut self, length: usize) {
        for parcel in &mut self.parcels {
            let mut length = length.min(parcel.bytes.len());
            while parcel.kind == Kind::Text
                && core::str::from_utf8(&parcel.bytes[..length]).is_err()
            {
                length -= 1;
            }
            parcel.bytes.truncate(length);
        }
    }

    /// So many copies of every parcel more.
    pub fn duplicate(&mut self, times: usize) {
        let all = core::mem::take(&mut self.parcels);
        for parcel in all {
            let copies = core::iter::repeat_n(parcel, times + 1);
            self.parcels.extend(copies);
        }
    }

    /// Every parcel goes back to its sender, as well or instead.
    pub fn mirror(&mut self, instead: bool) {
        let mut back = self.parcels.clone();
        for parcel in &mut back {
            parcel.back = true;
        }
        if instead {
            self.parcels.clear();
        }
        self.parcels.append(&mut back);
    }

    fn length(&self) -> usize {
        self.parcels.first().map_or(0, |parcel| parcel.bytes.len())
    }
}

/// A layer of a link. Links wrap links: what one layer makes of a message is what the next one gets.
pub trait Layer {
    /// A message goes in the direction of `passage.towards`.
    fn pass(&mut self, passage: &mut Passage, chooser: &mut dyn Chooser);
}

impl<F: FnMut(&mut Passage, &mut dyn Chooser)> Layer for F {
    fn pass(&mut self, passage: &mut Passage, chooser: &mut dyn Chooser) {
        self(passage, chooser);
    }
}

/// The faults of a profile, each asked for on its own.
impl Layer for Faults {
    fn pass(&mut self, passage: &mut Passage, chooser: &mut dyn Chooser) {
        for kind in FaultKind::ALL {
            let rate = self.rate(kind);
            if rate > 0 && !passage.parcels.is_empty() && chooser.strikes(kind, rate) {
                strike(kind, self.distance, passage, chooser);
            }
        }
    }
}

fn strike(kind: FaultKind, distance: usize, passage: &mut Passage, chooser: &mut dyn Chooser) {
    let mut draw = |options: usize| chooser.choose(Choice::Fault(kind), options);
    let length = passage.length();
    match kind {
        FaultKind::Flip | FaultKind::Truncate if length == 0 => return,
        FaultKind::Reorder if distance == 0 => return,
        _ => {}
    }
    match kind {
        FaultKind::Cut => return passage.cut(),
        FaultKind::Silence => passage.silence(),
        FaultKind::Crash => passage.crash(),
        FaultKind::Loss => passage.parcels.clear(),
        FaultKind::Flip => passage.flip(draw(length * 8)),
        FaultKind::Truncate => passage.truncate(draw(length)),
        FaultKind::Mirror => passage.mirror(draw(2) == 1),
        FaultKind::Duplicate => passage.duplicate(1),
        FaultKind::Reorder => {
            let ahead = 1 + draw(distance);
            for parcel in &mut passage.parcels {
                parcel.ahead = ahead;
            }
        }
        FaultKind::Clog => {
            const STEPS: usize = 8;
            let time = Faults::CLOGGED.0 * (1 + draw(STEPS) as u64) / STEPS as u64;
            passage.clog(Micros(time));
        }
        FaultKind::Merge => {
            for parcel in &mut passage.parcels {
                parcel.merged = true;
            }
        }
    }
    let towards = passage.towards;
    passage.note(format!("{} towards the {towards:?}", kind.name()));
}
