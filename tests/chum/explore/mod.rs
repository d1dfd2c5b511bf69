//! All schedules of a small world, not some at random: whatever happens in whatever order, the extension "roots since"
//! loses nothing; and two importers that are almost right do (spec 11, "Extension \"roots since\"").
//!
//! A path is a sequence of moves: which message comes next and which question of a store is answered next; when alice
//! grants, withdraws and grants again; whether a connection lasts for one round or two; and a bounded number of
//! disturbances at any place of it: a lost connection, a crash with up to three writes lost, a store that fails at a
//! question, a lost journal, a backup put back, a clock that goes back. Behind each path everything connects in quiet
//! until nothing moves; then nothing granted is missing. A state that was reached before is not looked at again, but
//! its paths count.

mod state;

use std::collections::{BTreeMap, BTreeSet};

use chumwire::chum::MemoryStore;
use chumwire::objects::{Reference, Value};
use chumwire::time::Millis;

use self::state::{Deed, Move, Play, State};
use crate::pair::{doc, note, person, recipes};
use crate::world::Control;

/// What an exploration has looked at.
#[derive(Debug, Default)]
struct Found {
    states: usize,
    moves: usize,
    /// Different ways through, up to where the moves are used up.
    paths: u128,
    /// Different states at their ends.
    ends: usize,
    /// Ends where something is missing.
    losses: usize,
    /// The moves to the first of them.
    first: Option<Vec<Move>>,
}

/// A state whose moves are being made.
struct Frame {
    state: State,
    print: u64,
    left: Vec<Move>,
    paths: u128,
}

/// Looks at everything; or until something is lost.
fn explore(play: &Play, start: State, stop: bool) -> Found {
    let mut found = Found::default();
    // By state, the paths from there.
    let mut seen: BTreeMap<u64, u128> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    let mut stack = vec![Frame::of(play, start)];
    let mut trail = Vec::new();
    found.states = 1;
    while let Some(frame) = stack.last_mut() {
        let Some(next) = frame.left.pop() else {
            let done = stack.pop().expect("a frame");
            trail.pop();
            seen.insert(done.print, done.paths);
            match stack.last_mut() {
                Some(frame) => frame.paths = frame.paths.saturating_add(done.paths),
                None => found.paths = done.paths,
            }
            continue;
        };
        found.moves += 1;
        let mut state = frame.state.clone();
        state.make(play, next);
        if let Some(paths) = seen.get(&state.print()) {
            frame.paths = frame.paths.saturating_add(*paths);
            continue;
        }
        found.states += 1;
        trail.push(next);
        let mut frame = Frame::of(play, state);
        if frame.left.is_empty() {
            frame.paths = 1;
            if ended.insert(frame.state.print_at_rest()) {
                found.ends += 1;
                if frame.state.clone().loses(play) {
                    found.losses += 1;
                    found.first.get_or_insert_with(|| trail.clone());
                    if stop {
                        return found;
                    }
                }
            }
        }
        stack.push(frame);
    }
    found
}

impl Frame {
    fn of(play: &Play, state: State) -> Self {
        let (print, mut left) = (state.print(), state.moves(play));
        // The last is made first.
        left.reverse();
        Self {
            state,
            print,
            left,
            paths: 0,
        }
    }
}

/// Alice's store: a note with a child, which is granted from the start, and a thing with versions and a note, which
/// are not.
fn alice() -> (MemoryStore, [Reference; 3]) {
    let (recipes, mut alice) = (recipes(), MemoryStore::new());
    let leaf = alice.put(&recipes, &note("leaf")).expect("a note");
    let first = note("first").with("uses", Value::list([leaf]));
    let first = alice.put(&recipes, &first).expect("a note");
    let thing = alice.put_version(&recipes, &doc("d", "title"), Millis(1_000));
    let second = alice.put(&recipes, &note("second")).expect("a note");
    let first = Reference::Object(first);
    alice.share(first, person("bob"));
    let thing = Reference::Id(thing.expect("a version"));
    (alice, [first, thing, Reference::Object(second)])
}

/// A play of alice's, and how much of it is looked at.
struct Bounds {
    name: &'static str,
    importers: usize,
    /// Connections of a path, each of one round or two.
    connects: usize,
    disturbances: usize,
    deeds: fn([Reference; 3]) -> Vec<Deed>,
}

const PLAYS: [Bounds; 4] = [
    Bounds {
        name: "a thing with versions is granted",
        importers: 1,
        connects: 2,
        disturbances: 2,
        deeds: |[_, thing, _]| vec![Deed::Grant(thing)],
    },
    Bounds {
        name: "a root is withdrawn and granted again",
        importers: 1,
        connects: 2,
        disturbances: 2,
        deeds: |[first, ..]| vec![Deed::Withdraw(first), Deed::Grant(first)],
    },
    Bounds {
        name: "two are granted",
        importers: 1,
        connects: 3,
        disturbances: 1,
        deeds: |[_, thing, second]| vec![Deed::Grant(thing), Deed::Grant(second)],
    },
    Bounds {
        name: "two devices, and one is granted",
        importers: 2,
        connects: 2,
        disturbances: 1,
        deeds: |[_, _, second]| vec![Deed::Grant(second)],
    },
];

impl Bounds {
    fn explore(&self, control: Control, stop: bool) -> Found {
        let (store, roots) = alice();
        let play = Play {
            recipes: recipes(),
            control,
            deeds: (self.deeds)(roots),
            only_shared_order: self.importers > 1,
        };
        let disturbances = self.disturbances + more();
        let start = State::new(store, self.importers, self.connects, disturbances);
        let found = explore(&play, start, stop);
        println!(
            "{control:?}, {}; importers {}, connections {}, disturbances {disturbances}: {} states, {} moves, \
             {} paths to {} ends, {} of them lose",
            self.name,
            self.importers,
            self.connects,
            found.states,
            found.moves,
            found.paths,
            found.ends,
            found.losses
        );
        found
    }
}

/// `CHUMWIRE_EXPLORE`: so many disturbances more than in every run of the tests, which take half a minute; with 1 it
/// is hours.
#[expect(
    clippy::disallowed_methods,
    reason = "the length of the campaign is no input of a run"
)]
fn more() -> usize {
    let more = std::env::var("CHUMWIRE_EXPLORE").ok();
    more.and_then(|more| more.parse().ok()).unwrap_or(0)
}

fn loses_nothing(which: usize) {
    let found = PLAYS[which].explore(Control::No, false);
    assert_eq!(found.losses, 0, "{:?}", found.first);
}

#[test]
fn a_thing_that_is_granted_arrives_in_every_schedule() {
    loses_nothing(0);
}

#[test]
fn a_root_that_is_withdrawn_and_granted_again_arrives_in_every_schedule() {
    loses_nothing(1);
}

#[test]
fn two_that_are_granted_arrive_in_every_schedule() {
    loses_nothing(2);
}

#[test]
fn two_devices_of_a_person_get_all_in_every_schedule() {
    loses_nothing(3);
}

#[test]
fn the_same_plays_find_a_stamp_alone_and_an_early_cursor() {
    for control in [Control::StampAlone, Control::Early] {
        let mut plays = PLAYS.iter();
        let loses = plays.any(|play| play.explore(control, true).losses > 0);
        assert!(loses, "{control:?}");
    }
}
