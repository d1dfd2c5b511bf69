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

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    importers: usize,
    connects: usize,
    disturbances: usize,
    deeds: usize,
}

fn run(control: Control, bounds: Bounds, stop: bool) -> Found {
    let (store, [first, thing, second]) = alice();
    let deeds = [
        Deed::Grant(thing),
        Deed::Withdraw(first),
        Deed::Grant(first),
        Deed::Grant(second),
    ];
    let play = Play {
        recipes: recipes(),
        control,
        deeds: deeds[..bounds.deeds].to_vec(),
        only_shared_order: bounds.importers > 1,
    };
    let start = State::new(
        store,
        bounds.importers,
        bounds.connects,
        bounds.disturbances,
    );
    let found = explore(&play, start, stop);
    println!(
        "{control:?}, {bounds:?}: {} states, {} moves, {} paths to {} ends, {} of them lose",
        found.states, found.moves, found.paths, found.ends, found.losses
    );
    found
}

/// `CHUMWIRE_EXPLORE`: how much more of everything, 0 if it is not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the length of the campaign is no input of a run"
)]
fn more() -> usize {
    let more = std::env::var("CHUMWIRE_EXPLORE").ok();
    more.and_then(|more| more.parse().ok()).unwrap_or(0)
}

const ONE: Bounds = Bounds {
    importers: 1,
    connects: 2,
    disturbances: 1,
    deeds: 3,
};

#[test]
fn one_importer_loses_nothing_in_any_schedule() {
    let mut bounds = ONE;
    bounds.disturbances += more();
    let found = run(Control::No, bounds, false);
    assert_eq!(found.losses, 0, "{:?}", found.first);
}

const TWO: Bounds = Bounds {
    importers: 2,
    connects: 2,
    disturbances: 1,
    deeds: 1,
};

#[test]
fn two_importers_lose_nothing_in_any_schedule() {
    let mut bounds = TWO;
    bounds.disturbances += more();
    let found = run(Control::No, bounds, false);
    assert_eq!(found.losses, 0, "{:?}", found.first);
}

#[test]
fn the_same_exploration_finds_a_stamp_alone_and_an_early_cursor() {
    for control in [Control::StampAlone, Control::Early] {
        let found = run(control, ONE, false);
        println!("{:?}", found.first);
        assert!(found.losses > 0, "{control:?}");
    }
}
