//! The reorder window: frames that overtook others wait here for their turn (spec 04, "Ordering: strict and tolerant").
//!
//! ```text
//! frame ──its tag is known──────> verified once, dropped, counted
//!       ──opens at n────────────> delivered, and what is held right behind it
//!       ──opens at n+2 … n+2W──> held; the gap before it may stay open for so long
//!       ──opens nowhere─────────> refused
//! ```
//! A held frame is kept opened, in a wiped buffer of its own: it was authenticated when it came, and is
//! decrypted once. Its padding is looked at only when its turn comes, so that a tolerant channel ends at the frame at
//! which a strict one ends that gets the same frames in order.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::frame::{FrameFault, Opened, Opener};
use super::nonce::COUNTER_END;
use super::padding::{self, MAX_PADDING};
use crate::crypto::{PairKey, TAG, Wiped};
use crate::fault::Why;
use crate::limits;
use crate::time::{Alarm, Deadline, Micros};

/// What a reorder window holds and has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OrderStats {
    /// Frames that wait behind a gap.
    pub held: usize,
    /// Their bytes on the wire.
    pub held_bytes: usize,
    /// Copies of frames that came and were dropped.
    pub duplicates: usize,
    /// Frames that waited behind a gap when the channel ended, and were dropped.
    pub undelivered: usize,
}

/// Where a frame belongs that was not refused.
pub(super) enum Place {
    /// It is the next one, opened into the buffer that was given.
    Due(Opened),
    /// It waits.
    Held,
    /// It came before.
    Duplicate,
}

/// The window of one direction, W frames wide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Window {
    size: usize,
    max_bytes: usize,
    /// By counter, all of them beyond the next one.
    held: VecDeque<Held>,
    /// Bytes on the wire of the held frames.
    bytes: usize,
    /// When the gap before the first held frame has been open for too long.
    gap_until: Option<Micros>,
    /// The tags of the frames delivered last, the newest at `delivered % size`.
    tags: Vec<[u8; TAG]>,
    delivered: u64,
    duplicates: usize,
    undelivered: usize,
}

/// A frame whose turn has not come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    counter: u64,
    tag: [u8; TAG],
    plain: Wiped,
    /// What is missing before it has to come by then.
    until: Micros,
}

impl Held {
    fn wire_len(&self) -> usize {
        self.plain.len() + TAG
    }
}

/// A held frame whose turn has come.
pub(super) struct Released {
    pub(super) counter: u64,
    pub(super) wire_len: usize,
    pub(super) plain: Wiped,
}

impl Released {
    /// Its text flag, and where its message starts.
    pub(super) fn opened(&self) -> Result<Opened, FrameFault> {
        let (text, start) = padding::strip(&self.plain)?;
        Ok(Opened {
            text,
            start,
            counter: self.counter,
        })
    }
}

impl Window {
    /// A window of that many frames, and of that many bytes in them; `None` for the strict order.
    pub(super) fn new(size: usize, max_bytes: usize) -> Option<Self> {
        let size = size.min(limits::REORDER_WINDOW);
        (size > 0).then(|| Self {
            size,
            max_bytes,
            held: VecDeque::new(),
            bytes: 0,
            gap_until: None,
            tags: vec![[0; TAG]; size],
            delivered: 0,
            duplicates: 0,
            undelivered: 0,
        })
    }

    /// How many counters behind the one that is due it covers.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Finds out where a frame belongs.
    pub(super) fn place<K: PairKey>(
        &mut self,
        now: Micros,
        opener: &mut Opener<K>,
        frame: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<Place, Why> {
        let Some((tag, _)) = frame.split_first_chunk::<TAG>() else {
            return Err(FrameFault::TooShort(frame.len()).into());
        };
        if frame.len() <= limits::FRAME
            && let Some(counter) = self.counter_of(tag, opener.counter().raw())
        {
            if !opener.verifies(counter, frame) {
                // No frame of this key has this tag and another body.
                let counter = opener.counter().raw();
                return Err(Why::Frame { counter });
            }
            return self.duplicate();
        }
        match opener.open(frame, plain) {
            Ok(opened) => {
                self.remember(*tag);
                Ok(Place::Due(opened))
            }
            Err(FrameFault::DoesNotOpen(next)) => self.hold(now, opener, next, tag, frame),
            Err(other) => Err(other.into()),
        }
    }

    /// The counter of the frame that came with this tag, if it is kept.
    fn counter_of(&self, tag: &[u8; TAG], next: u64) -> Option<u64> {
        let kept = self.delivered.min(self.size as u64);
        let delivered = (0..kept)
            .find(|back| self.tags[((self.delivered - back) % self.size as u64) as usize] == *tag)
            .map(|back| next - 2 * (back + 1));
        let held = || self.held.iter().find(|held| held.tag == *tag);
        delivered.or_else(|| held().map(|held| held.counter))
    }

    fn duplicate(&mut self) -> Result<Place, Why> {
        if self.duplicates == limits::DUPLICATES {
            return Err(Why::TooManyDuplicates);
        }
        self.duplicates += 1;
        Ok(Place::Duplicate)
    }

    /// The frame with this tag was delivered.
    fn remember(&mut self, tag: [u8; TAG]) {
        self.delivered += 1;
        self.tags[(self.delivered % self.size as u64) as usize] = tag;
    }

    fn hold<K: PairKey>(
        &mut self,
        now: Micros,
        opener: &Opener<K>,
        next: u64,
        tag: &[u8; TAG],
        frame: &[u8],
    ) -> Result<Place, Why> {
        for ahead in 1..=self.size as u64 {
            let counter = next + 2 * ahead;
            if counter >= COUNTER_END {
                break;
            }
            // Of a counter that is held already, only a copy can come.
            let Err(at) = self
                .held
                .binary_search_by_key(&counter, |held| held.counter)
            else {
                continue;
            };
            if !opener.verifies(counter, frame) {
                continue;
            }
            if frame.len() > self.max_bytes - self.bytes {
                return Err(Why::Limit {
                    what: "bytes of frames behind a gap",
                    limit: self.max_bytes,
                });
            }
            // Not one of the recycled buffers: what those have allocated is not counted.
            // When it is delivered it becomes one of those, and then has room for other paddings.
            let mut plain = Wiped::default();
            plain.make_room(frame.len(), MAX_PADDING);
            plain.resize(frame.len() - TAG, 0);
            if opener.open_at(counter, frame, &mut plain).is_err() {
                break;
            }
            let until = now + limits::GAP;
            self.gap_until.get_or_insert(until);
            self.bytes += frame.len();
            let held = Held {
                counter,
                tag: *tag,
                plain,
                until,
            };
            self.held.insert(at, held);
            return Ok(Place::Held);
        }
        Err(Why::Frame { counter: next })
    }

    /// The next frame, if it is held: its turn has come.
    pub(super) fn release<K: PairKey>(&mut self, opener: &mut Opener<K>) -> Option<Released> {
        let next = opener.counter().raw();
        let held = self.held.pop_front_if(|held| held.counter == next)?;
        opener.advance();
        self.remember(held.tag);
        self.bytes -= held.wire_len();
        // Each gap counts from the first frame behind it, and all that are left are behind the next one.
        self.gap_until = self.held.iter().map(|held| held.until).min();
        Some(Released {
            counter: held.counter,
            wire_len: held.wire_len(),
            plain: held.plain,
        })
    }

    /// Whether the gap has been open for too long: at `now`, or, if not `also_at`, already before.
    pub(super) fn is_lost(&self, now: Micros, also_at: bool) -> bool {
        self.gap_until
            .is_some_and(|until| until < now || (also_at && until == now))
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.gap_until.map(|at| Deadline {
            at,
            why: Alarm::GapLimit,
        })
    }

    /// The channel has ended: nothing that is held will be delivered.
    pub(super) fn close(&mut self) {
        self.undelivered += self.held.len();
        self.held = VecDeque::new();
        self.bytes = 0;
        self.gap_until = None;
    }

    pub(super) fn stats(&self) -> OrderStats {
        OrderStats {
            held: self.held.len(),
            held_bytes: self.bytes,
            duplicates: self.duplicates,
            undelivered: self.undelivered,
        }
    }

    /// Whether what it counts is what it holds, within its bounds.
    pub(super) fn self_check(&self, next: u64) -> Result<(), &'static str> {
        let bytes: usize = self.held.iter().map(Held::wire_len).sum();
        let mut before = next;
        for held in &self.held {
            if held.counter <= before || held.counter > next + 2 * self.size as u64 {
                return Err("held frames are in the order of their counters, within the window");
            }
            before = held.counter;
        }
        if bytes != self.bytes || bytes > self.max_bytes {
            return Err("bytes of held frames are counted and bounded");
        }
        if self.held.len() > self.size || self.duplicates > limits::DUPLICATES {
            return Err("held frames and duplicates are bounded");
        }
        if self.gap_until != self.held.iter().map(|held| held.until).min() {
            return Err("a gap is open while frames are held");
        }
        Ok(())
    }

    pub(super) fn rebase(&mut self, now: Micros) {
        self.gap_until = self.gap_until.map(|until| until.since(now));
        for held in &mut self.held {
            held.until = held.until.since(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use alloc::sync::Arc;

    use super::super::nonce::{Counter, nonce};
    use super::*;
    use crate::crypto::{Forged, NONCE, Nacl, RawKey, Secret, Suite};

    /// A key that counts how often it is asked.
    #[derive(Clone, Debug)]
    struct Counting(<Nacl as Suite>::Pair, Arc<[AtomicUsize; 2]>);

    impl PartialEq for Counting {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Eq for Counting {}

    impl core::hash::Hash for Counting {
        fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    impl PairKey for Counting {
        fn seal(&self, nonce: &[u8; NONCE], plain: &[u8], sealed: &mut [u8]) {
            self.0.seal(nonce, plain, sealed);
        }

        fn open(&self, nonce: &[u8; NONCE], sealed: &[u8], plain: &mut [u8]) -> Result<(), Forged> {
            self.1[0].fetch_add(1, Ordering::Relaxed);
            self.0.open(nonce, sealed, plain)
        }

        fn verify(&self, nonce: &[u8; NONCE], sealed: &[u8]) -> bool {
            self.1[1].fetch_add(1, Ordering::Relaxed);
            self.0.verify(nonce, sealed)
        }
    }

    struct Bench {
        key: Counting,
        opener: Opener<Counting>,
        window: Window,
    }

    impl Bench {
        fn at(next: u64, size: usize) -> Self {
            let key = Counting(RawKey::from_raw(Secret::take(&mut [7; 32])), Arc::default());
            Self {
                opener: Opener::at(key.clone(), Counter::at(next)),
                window: Window::new(size, limits::HELD).expect("a window"),
                key,
            }
        }

        fn frame(&self, counter: u64) -> Vec<u8> {
            let plain = [0, b'a', b'b'];
            let mut frame = vec![0; plain.len() + TAG];
            self.key.seal(&nonce(counter), &plain, &mut frame);
            frame
        }

        /// Where it belongs, and how often the key was asked: to open, to verify.
        fn place(&mut self, counter: u64) -> (Result<&'static str, Why>, [usize; 2]) {
            let frame = self.frame(counter);
            let mut plain = Vec::new();
            let place = self
                .window
                .place(Micros::ZERO, &mut self.opener, &frame, &mut plain);
            let place = place.map(|place| match place {
                Place::Due(_) => "due",
                Place::Held => "held",
                Place::Duplicate => "duplicate",
            });
            let asked = [0, 1].map(|i| self.key.1[i].swap(0, Ordering::Relaxed));
            let next = self.opener.counter().raw();
            assert_eq!(self.window.self_check(next), Ok(()));
            (place, asked)
        }
    }

    /// Demands: M4.8.
    #[test]
    fn no_counter_beyond_the_last_is_tried() {
        for last in [COUNTER_END - 2, COUNTER_END - 1] {
            for left in 1..6 {
                let next = last - 2 * (left - 1);
                let mut bench = Bench::at(next, 4);
                let refused = Err(Why::Frame { counter: next });
                // One is opened, and those left are verified, not more.
                let tried = [1, (left as usize - 1).min(4)];
                assert_eq!(bench.place(last + 2), (refused, tried), "{last} {left}");
                let place = if left == 1 { "due" } else { "held" };
                if left <= 5 {
                    assert_eq!(bench.place(last).0, Ok(place));
                }
                while bench.window.release(&mut bench.opener).is_some() {}
            }
            let mut over = Bench::at(last, 4);
            assert_eq!(over.place(last), (Ok("due"), [1, 0]));
            assert_eq!(over.place(last + 2), (Err(Why::NonceExhausted), [0, 0]));
            assert_eq!(over.place(last), (Ok("duplicate"), [0, 1]));
        }
    }

    /// Demands: M4.11, M4.10.
    #[test]
    fn a_new_frame_costs_at_most_a_window_of_openings_and_a_copy_one() {
        for size in [1, 3, 64] {
            let mut bench = Bench::at(0, size);
            assert_eq!(
                bench.place(0),
                (Ok("due"), [1, 0]),
                "in order nothing is added"
            );
            assert_eq!(bench.place(0), (Ok("duplicate"), [0, 1]));
            let w = size as u64;
            // It fails once at the next counter, is found, and decrypted.
            assert_eq!(bench.place(2 + 2 * w), (Ok("held"), [2, size]));
            assert_eq!(bench.place(2 + 2 * w), (Ok("duplicate"), [0, 1]));
            let refused = Err(Why::Frame { counter: 2 });
            assert_eq!(bench.place(4 + 2 * w), (refused, [1, size - 1]));
        }
    }

    /// At its bounds all is well; what is beyond one is told.
    #[test]
    fn a_check_finds_what_is_wrong_and_nothing_else() {
        const SIZE: usize = 5;
        let full = || {
            let mut bench = Bench::at(1, SIZE);
            bench.window.max_bytes = SIZE * bench.frame(1).len();
            for back in 0..SIZE as u64 {
                assert_eq!(bench.place(11 - 2 * back).0, Ok("held"));
            }
            bench.window.duplicates = limits::DUPLICATES;
            assert_eq!(bench.window.self_check(1), Ok(()));
            bench.window
        };
        let wrong = |what: fn(&mut Window)| {
            let mut window = full();
            what(&mut window);
            window.self_check(1).is_err()
        };
        assert!(wrong(|window| window.held.swap(1, 2)));
        assert!(wrong(|window| window.held[0].counter = 1));
        assert!(wrong(|window| window.held[SIZE - 1].counter = 13));
        assert!(wrong(|window| window.bytes -= 1));
        assert!(wrong(|window| window.max_bytes -= 1));
        assert!(wrong(|window| window.duplicates += 1));
        assert!(wrong(|window| window.gap_until = None));
        let more = |window: &mut Window| {
            let one = window.held[0].clone();
            window.held.push_back(Held { counter: 0, ..one });
        };
        assert!(wrong(more));
        assert!(full().self_check(3).is_err());
        // More held than its size, each of them where it may be: counters of both parities.
        assert!(wrong(|window| {
            let between = Held {
                counter: 4,
                ..window.held[0].clone()
            };
            window.bytes += between.wire_len();
            window.max_bytes = window.bytes;
            window.held.insert(1, between);
        }));
    }
}
