//! The explorer: that what it prunes is nothing, that it finds what is wrong by its shortest way, and that what it says
//! is complete is so.

use std::io::Cursor;

use chumwire_sim::explore::{
    Bounds, Ending, Fault, NotResumed, Play, Print, Pruning, Search, play, plays,
};

fn of(name: &str) -> &'static Play {
    play(name).expect("there is such a play")
}

fn explored(play: &'static Play, bounds: Bounds) -> (Search, Ending) {
    let mut search = Search::new(play, bounds);
    let ending = search.run(|_| None);
    (search, ending)
}

/// The same states, without a list of them if they are not.
fn same(some: &[Print], others: &[Print], what: &str) {
    let missing = others.iter().filter(|p| some.binary_search(p).is_err());
    let (missing, too_many) = (missing.count(), some.len().saturating_sub(others.len()));
    assert!(
        some == others,
        "{what}: {} states, {missing} missing, {too_many} too many",
        some.len()
    );
}

fn faults(faults: u32) -> Bounds {
    Bounds {
        faults,
        ..Bounds::default()
    }
}

#[test]
fn whatever_is_pruned_the_states_are_the_same() {
    for (name, faults, depth) in [
        ("pairing-direct", 0, None),
        ("pairing-direct", 1, Some(9)),
        ("pairing-direct", 2, Some(7)),
        ("simultaneous-dial", 0, Some(9)),
        ("pairing", 1, Some(7)),
    ] {
        let [all, seen, nothing] = [Pruning::All, Pruning::Seen, Pruning::Nothing].map(|pruning| {
            let bounds = Bounds {
                faults,
                depth,
                pruning,
                ..Bounds::default()
            };
            explored(of(name), bounds).0
        });
        same(&all.reached(), &nothing.reached(), name);
        same(&seen.reached(), &nothing.reached(), name);
        assert!(all.counts().commuted > 0, "{name}: something commutes");
        assert!(
            all.counts().moves < seen.counts().moves
                && seen.counts().moves < nothing.counts().moves,
            "{name}: less is done"
        );
    }
}

/// Those that have to be complete with one fault.
const REQUIRED: &[&str] = &[
    "pairing",
    "handover-burst",
    "ping-in-flight",
    "token-double-spend",
    "challenge-reflection",
    "simultaneous-dial",
];

#[test]
fn what_has_to_hold_holds_in_every_schedule_with_one_fault() {
    for name in REQUIRED {
        let (search, ending) = explored(of(name), faults(1));
        assert_eq!(search.found(), None, "{name}");
        assert_eq!(ending, Ending::Complete, "{name}");
        assert!(search.counts().finals > 0, "{name} comes to an end");
    }
}

#[test]
fn every_play_holds_undisturbed() {
    // The rest is too large for a test; docs/exploring.md tells how far it was walked.
    for play in plays() {
        let bounds = Bounds {
            states: Some(150_000),
            ..faults(0)
        };
        let (search, ending) = explored(play, bounds);
        assert_eq!(search.found(), None, "{}", play.name);
        assert!(matches!(ending, Ending::Complete | Ending::States));
    }
}

/// Two who pair although somebody says that they must not.
static NEVER: Play = Play {
    name: "never",
    goal: |view| match view.pairings(0) {
        0 => Ok(()),
        _ => Err("nobody may pair".into()),
    },
    ..Play::EMPTY
};

fn never() -> &'static Play {
    static BOTH: std::sync::OnceLock<Play> = std::sync::OnceLock::new();
    BOTH.get_or_init(|| Play {
        name: NEVER.name,
        goal: NEVER.goal,
        faults: |fault, _| fault == Fault::Duplicate,
        ..*of("pairing-direct")
    })
}

#[test]
fn what_is_wrong_is_found_by_its_shortest_way_and_runs_again() {
    let mut lengths = Vec::new();
    for pruning in [Pruning::All, Pruning::Seen] {
        let bounds = Bounds {
            pruning,
            ..faults(1)
        };
        let (search, ending) = explored(never(), bounds);
        assert_eq!(ending, Ending::Violation);
        let found = search.found().expect("it is found");
        assert_eq!(found.what, "nobody may pair");
        let again = never().replay(1, &found.schedule, true);
        assert_eq!(again.wrong.as_deref(), Some(found.what.as_str()));
        assert_eq!(again.moves, found.schedule.len());
        assert!(!again.trace.lines().is_empty());
        let quiet = never().replay(1, &found.schedule, false);
        assert_eq!(quiet.wrong, again.wrong);
        lengths.push(found.schedule.len());
    }
    assert_eq!(lengths[0], lengths[1]);
    // What happens if nothing is chosen is no shorter.
    let undisturbed = never().replay(1, &[], false);
    assert_eq!(undisturbed.wrong.as_deref(), Some("nobody may pair"));
    assert!(undisturbed.moves >= lengths[0]);
}

#[test]
fn the_same_schedule_leaves_the_same_trace() {
    let run = || of("pairing").replay(1, &[0, 0, 1, 0, 7, 2], true).trace;
    assert_eq!(run().hash(), run().hash());
    assert_ne!(
        run().hash(),
        of("pairing").replay(1, &[], true).trace.hash()
    );
}

#[test]
fn parts_make_up_the_whole() {
    let (whole, _) = explored(of("pairing-direct"), faults(2));
    let mut all = Vec::new();
    for part in 0..3 {
        let bounds = Bounds {
            shard: (part, 3),
            ..faults(2)
        };
        let (search, ending) = explored(of("pairing-direct"), bounds);
        assert_eq!(ending, Ending::Complete);
        assert!(search.counts().states < whole.counts().states);
        all.append(&mut search.reached());
    }
    all.sort_unstable();
    all.dedup();
    same(&all, &whole.reached(), "parts");
}

fn put_away(search: &Search) -> Vec<u8> {
    let mut bytes = Vec::new();
    search.save(&mut bytes).expect("a Vec takes all");
    bytes
}

#[test]
fn an_exploration_goes_on_where_it_was_put_away() {
    let (whole, _) = explored(of("pairing-direct"), faults(2));
    let mut search = Search::new(of("pairing-direct"), faults(2));
    for turn in 1.. {
        // It is asked every 1024 states.
        let mut asked = 0;
        let ending = search.run(|_| {
            asked += 1;
            (asked > 2).then_some(Ending::Stopped)
        });
        if ending == Ending::Complete {
            assert!(turn > 5, "it was put away {turn} times");
            break;
        }
        let bytes = put_away(&search);
        search = Search::load(of("pairing-direct"), faults(2), &mut Cursor::new(&bytes))
            .expect("it goes on");
    }
    same(&search.reached(), &whole.reached(), "put away");
    let (is, due) = (search.counts(), whole.counts());
    assert_eq!(
        (is.moves, is.finals, is.depth),
        (due.moves, due.finals, due.depth)
    );
}

#[test]
fn what_was_put_away_is_not_believed() {
    let mut search = Search::new(of("pairing-direct"), faults(1));
    assert_eq!(
        Search::new(of("pairing-direct"), faults(1)).run(|_| None),
        Ending::Complete
    );
    search.run(|search| (search.counts().states > 500).then_some(Ending::Stopped));
    let good = put_away(&search);
    let load = |bytes: &[u8], bounds| {
        Search::load(of("pairing-direct"), bounds, &mut Cursor::new(bytes)).map(|_| ())
    };
    assert!(load(&good, faults(1)).is_ok());
    assert!(matches!(load(&good, faults(2)), Err(NotResumed::Other(..))));
    assert!(matches!(load(b"", faults(1)), Err(NotResumed::Form)));
    for length in (0..good.len()).step_by(997) {
        assert!(load(&good[..length], faults(1)).is_err(), "cut at {length}");
    }
    // Whatever is altered, it ends, and nothing that is out of bounds is touched.
    for place in (0..good.len()).step_by(101) {
        let mut bad = good.clone();
        bad[place] ^= 0x55;
        let _ = load(&bad, faults(1));
    }
}
