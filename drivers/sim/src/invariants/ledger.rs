//! A ledger of all frames that were sealed and opened under the keys of the insecure suite, by whom.
//!
//! The suite does not know who uses it. So a world says, around each call into a machine, whose call it is; the ledger
//! of the world that did so last is the one of its thread.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use chumwire::crypto::{NONCE, TAG};
use chumwire::io::ConnId;

use crate::party::PartyId;

/// A key of the insecure suite.
pub(crate) type Words = [u64; 4];

/// A connection of a party, in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) party: PartyId,
    /// Names of connections begin anew with each start.
    pub(crate) start: u32,
    pub(crate) conn: ConnId,
}

/// Whose machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) party: PartyId,
    pub(crate) start: u32,
    /// On which connection, if it is about one.
    pub(crate) conn: Option<ConnId>,
    /// A node or relay of ours: what it does is judged.
    pub(crate) ours: bool,
}

/// A frame, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    tag: [u8; TAG],
    length: usize,
}

/// What was done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) sealed: bool,
    pub(crate) by: Option<Call>,
    pub(crate) key: Words,
    pub(crate) counter: u64,
    pub(crate) frame: Frame,
}

struct Sealed {
    by: Option<Call>,
    frame: Frame,
}

#[derive(Default)]
struct Pages {
    sealed: BTreeMap<(Words, u64), Vec<Sealed>>,
    opened: BTreeSet<(Words, u64, PartyId)>,
    /// The connections on which frames were opened under a key.
    ends: BTreeMap<Words, BTreeSet<End>>,
    keys: BTreeMap<End, Words>,
    wrong: Option<String>,
}

/// The frames of one world.
pub(crate) struct Ledger {
    /// Another for each ledger of a thread.
    pub(crate) number: u64,
    pages: RefCell<Pages>,
    /// Of a ledger that does not judge: what was done since it was last asked.
    list: Option<RefCell<Vec<Entry>>>,
}

thread_local! {
    static COUNT: RefCell<u64> = const { RefCell::new(0) };
    static CURRENT: RefCell<Option<(Rc<Ledger>, Option<Call>)>> = const { RefCell::new(None) };
}

impl Ledger {
    pub(crate) fn new() -> Rc<Self> {
        Self::with(None)
    }

    /// One that judges nothing and lists all: for whoever follows many histories at once.
    pub(crate) fn listing() -> Rc<Self> {
        Self::with(Some(RefCell::default()))
    }

    /// What was done since this was last asked.
    pub(crate) fn take(&self) -> Vec<Entry> {
        self.list.as_ref().map(RefCell::take).unwrap_or_default()
    }

    fn with(list: Option<RefCell<Vec<Entry>>>) -> Rc<Self> {
        let number = COUNT.with_borrow_mut(|count| {
            *count += 1;
            *count
        });
        Rc::new(Self {
            number,
            pages: RefCell::default(),
            list,
        })
    }

    /// From here on a machine of this party runs; with `None`, the test itself.
    pub(crate) fn enter(self: &Rc<Self>, call: Option<Call>) {
        CURRENT.with_borrow_mut(|current| match current {
            Some((ledger, of)) if Rc::ptr_eq(ledger, self) => *of = call,
            _ => *current = Some((self.clone(), call)),
        });
    }

    /// What has been wrong, if anything has.
    pub(crate) fn result(&self) -> Result<(), String> {
        match &self.pages.borrow().wrong {
            Some(what) => Err(what.clone()),
            None => Ok(()),
        }
    }

    /// The other end of a session, if frames were opened at both.
    pub(crate) fn other_end(&self, end: End) -> Option<End> {
        let pages = self.pages.borrow();
        let ends = pages.ends.get(pages.keys.get(&end)?)?;
        ends.iter().find(|other| **other != end).copied()
    }

    fn seal(&self, call: Option<Call>, key: Words, counter: u64, frame: Frame) {
        let mut pages = self.pages.borrow_mut();
        let all = pages.sealed.entry((key, counter)).or_default();
        let ours = |call: &Option<Call>| call.is_some_and(|call| call.ours);
        let twice = ours(&call)
            && all
                .iter()
                .any(|sealed| ours(&sealed.by) && sealed.frame != frame);
        all.push(Sealed { by: call, frame });
        if twice {
            pages.wrong(format!(
                "{}: counter {counter} was sealed twice under one key",
                name(call)
            ));
        }
    }

    fn open(&self, call: Option<Call>, key: Words, counter: u64, frame: Frame) {
        let Some(by) = call.filter(|call| call.ours) else {
            return;
        };
        let mut pages = self.pages.borrow_mut();
        let sealed = pages.sealed.get(&(key, counter));
        let mut same = sealed
            .into_iter()
            .flatten()
            .filter(|sealed| sealed.frame == frame)
            .peekable();
        if same.peek().is_none() {
            pages.wrong(format!(
                "{}: accepted a frame at {counter} that nobody has sealed",
                by.party
            ));
        } else if same.all(|sealed| sealed.by.is_some_and(|sealer| sealer.party == by.party)) {
            pages.wrong(format!("{}: accepted its own frame at {counter}", by.party));
        }
        if !pages.opened.insert((key, counter, by.party)) {
            pages.wrong(format!(
                "{}: accepted the frame at {counter} twice",
                by.party
            ));
        }
        if let Some(conn) = by.conn {
            let end = End {
                party: by.party,
                start: by.start,
                conn,
            };
            pages.keys.insert(end, key);
            let ends = pages.ends.entry(key).or_default();
            ends.insert(end);
            if ends.len() > 2 {
                pages.wrong(format!("{}: a key with three ends", by.party));
            }
        }
    }
}

impl Pages {
    fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }
}

fn name(call: Option<Call>) -> String {
    call.map_or("the test".into(), |call| call.party.to_string())
}

/// The counter of a channel's frame; the nonces of other boxes are random.
fn counter(nonce: &[u8; NONCE]) -> Option<u64> {
    let (zeros, counter) = nonce.split_at(16);
    let counter = u64::from_be_bytes(counter.try_into().ok()?);
    zeros.iter().all(|byte| *byte == 0).then_some(counter)
}

fn with(
    nonce: &[u8; NONCE],
    tag: [u8; TAG],
    length: usize,
    act: impl FnOnce(&Ledger, Option<Call>, u64, Frame),
) {
    CURRENT.with_borrow(|current| {
        if let Some((ledger, call)) = current
            && let Some(counter) = counter(nonce)
        {
            act(ledger, *call, counter, Frame { tag, length });
        }
    });
}

/// The suite has sealed.
pub(crate) fn sealed(key: &Words, nonce: &[u8; NONCE], tag: [u8; TAG], length: usize) {
    done(true, key, nonce, tag, length);
}

/// The suite has opened.
pub(crate) fn opened(key: &Words, nonce: &[u8; NONCE], tag: [u8; TAG], length: usize) {
    done(false, key, nonce, tag, length);
}

fn done(sealed: bool, key: &Words, nonce: &[u8; NONCE], tag: [u8; TAG], length: usize) {
    with(nonce, tag, length, |ledger, by, counter, frame| {
        let key = *key;
        match &ledger.list {
            Some(list) => list.borrow_mut().push(Entry {
                sealed,
                by,
                key,
                counter,
                frame,
            }),
            None if sealed => ledger.seal(by, key, counter, frame),
            None => ledger.open(by, key, counter, frame),
        }
    });
}

/// Whose key is being made: the world and the party.
pub(crate) fn owner() -> Option<(u64, PartyId)> {
    CURRENT.with_borrow(|current| {
        let (ledger, call) = current.as_ref()?;
        Some((ledger.number, call.as_ref()?.party))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Words = [1, 2, 3, 4];
    const FRAME: Frame = Frame {
        tag: [5; TAG],
        length: 9,
    };
    const OTHER: Frame = Frame {
        tag: [6; TAG],
        length: 9,
    };

    fn by(party: usize) -> Option<Call> {
        Some(Call {
            party: PartyId(party),
            start: 1,
            conn: Some(ConnId(7)),
            ours: true,
        })
    }

    fn wrong(act: impl FnOnce(&Ledger)) -> String {
        let ledger = Ledger::new();
        act(&ledger);
        ledger.result().err().unwrap_or_default()
    }

    #[test]
    fn what_is_sealed_by_one_and_opened_by_the_other_is_good() {
        let ledger = Ledger::new();
        ledger.seal(by(0), KEY, 1, FRAME);
        ledger.open(by(1), KEY, 1, FRAME);
        ledger.seal(by(1), KEY, 2, OTHER);
        ledger.open(by(0), KEY, 2, OTHER);
        assert_eq!(ledger.result(), Ok(()));
        let end = |party| End {
            party: PartyId(party),
            start: 1,
            conn: ConnId(7),
        };
        assert_eq!(ledger.other_end(end(0)), Some(end(1)));
        assert_eq!(ledger.other_end(end(2)), None);
    }

    #[test]
    fn a_nonce_that_is_sealed_twice_is_found() {
        let twice = wrong(|ledger| {
            ledger.seal(by(0), KEY, 1, FRAME);
            ledger.seal(by(1), KEY, 1, OTHER);
        });
        assert!(twice.contains("sealed twice"), "{twice}");
    }

    #[test]
    fn a_frame_of_nobody_is_found() {
        let foreign = wrong(|ledger| {
            ledger.seal(by(0), KEY, 1, FRAME);
            ledger.open(by(1), [9; 4], 1, FRAME);
        });
        assert!(foreign.contains("nobody has sealed"), "{foreign}");
        let altered = wrong(|ledger| {
            ledger.seal(by(0), KEY, 1, FRAME);
            ledger.open(by(1), KEY, 1, OTHER);
        });
        assert!(altered.contains("nobody has sealed"), "{altered}");
    }

    #[test]
    fn a_reflected_frame_is_found() {
        let own = wrong(|ledger| {
            ledger.seal(by(0), KEY, 1, FRAME);
            ledger.open(by(0), KEY, 1, FRAME);
        });
        assert!(own.contains("its own"), "{own}");
    }

    #[test]
    fn a_replayed_frame_is_found() {
        let replayed = wrong(|ledger| {
            ledger.seal(by(0), KEY, 1, FRAME);
            ledger.open(by(1), KEY, 1, FRAME);
            ledger.open(by(1), KEY, 1, FRAME);
        });
        assert!(replayed.contains("twice"), "{replayed}");
    }

    #[test]
    fn what_the_suite_does_is_in_the_ledger_of_whoever_runs() {
        use chumwire::crypto::{PairKey, RawKey, Secret};

        let ledger = Ledger::new();
        let key = crate::insecure::InsecureKey::from_raw(Secret::take(&mut [3; 32]));
        let mut nonce = [0; NONCE];
        nonce[NONCE - 1] = 1;
        let (mut frame, mut plain) = ([0; TAG + 2], [0; 2]);
        ledger.enter(by(0));
        key.seal(&nonce, b"ab", &mut frame);
        assert_eq!(key.open(&nonce, &frame, &mut plain), Ok(()));
        ledger.enter(None);
        let own = ledger.result().expect_err("it is its own");
        assert!(own.contains("its own"), "{own}");
        // A box with a random nonce is no frame.
        nonce[0] = 1;
        let other = Ledger::new();
        other.enter(by(0));
        key.seal(&nonce, b"ab", &mut frame);
        key.seal(&nonce, b"cd", &mut frame);
        other.enter(None);
        assert_eq!(other.result(), Ok(()));
    }

    #[test]
    fn a_key_of_three_is_found() {
        let three = wrong(|ledger| {
            ledger.seal(None, KEY, 1, FRAME);
            for party in 0..3 {
                ledger.open(by(party), KEY, 1, FRAME);
            }
        });
        assert!(three.contains("three ends"), "{three}");
    }
}
