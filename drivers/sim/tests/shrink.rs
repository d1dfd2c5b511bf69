//! Shrinking: of lists alone, and of runs of scenarios that fail.

use std::panic;

use chumwire_sim::scenario::{Scenario, Setting, Shortest, Stage, Stop, Truth, Via, Who, pairings};
use chumwire_sim::shrink::{Shrunk, kind_of, shrink, steps};
use chumwire_sim::{Faults, Scheduled, Seeded};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

const MANY: usize = 100_000;

/// Each of these places has to have a number as great as this.
type Needs = std::collections::BTreeMap<usize, u32>;

fn holds(needs: &Needs, choices: &[u32]) -> bool {
    let at = |place: usize| choices.get(place).copied().unwrap_or(0);
    needs.iter().all(|(place, least)| at(*place) >= *least)
}

/// A list, and two reasons to fail, the first of which it has.
fn failing() -> impl Strategy<Value = (Vec<u32>, [Needs; 2])> {
    let needs = || btree_map(0_usize..60, 1_u32..1_000_000, 0..6);
    let list = vec(prop_oneof![Just(0), 0_u32..4, any::<u32>()], 0..80);
    (list, needs(), needs()).prop_map(|(mut list, one, other)| {
        for (place, least) in &one {
            if list.len() <= *place {
                list.resize(place + 1, 0);
            }
            list[*place] = list[*place].max(*least);
        }
        (list, [one, other])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_comes_out_fails_and_needs_each_of_its_steps((list, reasons) in failing()) {
        let fails = |choices: &[u32]| reasons.iter().any(|needs| holds(needs, choices));
        let mut runs = 0;
        let shrunk = shrink(list.clone(), MANY, |choices| {
            runs += 1;
            fails(choices)
        });
        prop_assert!(shrunk.finished);
        prop_assert_eq!(shrunk.runs, runs);
        prop_assert_eq!(shrunk.steps, steps(&shrunk.choices));
        prop_assert!(fails(&shrunk.choices));
        prop_assert!(shrunk.steps <= steps(&list));
        prop_assert_ne!(shrunk.choices.last(), Some(&0));
        for place in (0..shrunk.choices.len()).filter(|place| shrunk.choices[*place] != 0) {
            let mut less = shrunk.choices.clone();
            less[place] = 0;
            prop_assert!(!fails(&less), "the step at {} can be taken back", place);
            less[place] = shrunk.choices[place] - 1;
            prop_assert!(!fails(&less), "the number at {} can be smaller", place);
        }

        let again = shrink(list.clone(), MANY, fails);
        prop_assert_eq!(&again, &shrunk, "it is a function of the list");
        let twice = shrink(shrunk.choices.clone(), MANY, fails);
        prop_assert_eq!(&twice.choices, &shrunk.choices, "what is short stays as it is");
    }

    #[test]
    fn a_bound_is_kept((list, reasons) in failing(), bound in 0_usize..40) {
        let fails = |choices: &[u32]| reasons.iter().any(|needs| holds(needs, choices));
        let shrunk = shrink(list.clone(), bound, fails);
        prop_assert!(shrunk.runs <= bound);
        prop_assert!(fails(&shrunk.choices));
        prop_assert!(shrunk.steps <= steps(&list));
        prop_assert_eq!(shrunk.finished, shrunk == shrink(list, MANY, fails));
    }

    /// What fails by an order of numbers, wherever they are: all else is taken out.
    #[test]
    fn later_choices_move_forward(order in vec(1_u32..9, 0..5), filling in vec(0_u32..9, 0..50)) {
        let fails = |choices: &[u32]| {
            let mut rest = order.iter().peekable();
            for choice in choices {
                rest.next_if(|due| *due == choice);
            }
            rest.peek().is_none()
        };
        let mut list = filling;
        for (i, number) in order.iter().enumerate() {
            list.insert((i * 7).min(list.len()), *number);
        }
        if fails(&list) {
            prop_assert_eq!(shrink(list, MANY, fails).choices, order);
        }
    }
}

/// A message that is lost asks for no latency: without the loss of the first, the loss of the sixth is asked for later.
#[test]
fn later_choices_move_back() {
    let sixth_is_lost = |choices: &[u32]| {
        let mut choices = choices.iter().copied().chain(std::iter::repeat(0));
        let mut lost = |_| choices.next() != Some(0) || choices.next().is_none();
        (0..6).map(&mut lost).last() == Some(true)
    };
    let list = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert!(sixth_is_lost(&list));
    let mut due = vec![0; 10];
    due.push(1);
    assert_eq!(shrink(list, MANY, sixth_is_lost).choices, due);
}

#[test]
fn what_always_fails_needs_nothing() {
    let shrunk = shrink(vec![3, 0, 5, 0], MANY, |_| true);
    assert_eq!((shrunk.choices, shrunk.finished), (Vec::new(), true));
    let untried = Shrunk {
        choices: vec![3, 0, 5],
        steps: 2,
        runs: 0,
        finished: false,
    };
    assert_eq!(shrink(vec![3, 0, 5, 0], 0, |_| true), untried);
}

/// What comes after the failure goes in a few runs, however much it is.
#[test]
fn a_long_tail_is_cheap() {
    let list: Vec<u32> = (1..=4_096).collect();
    let mut lengths = Vec::new();
    let fails = |choices: &[u32]| {
        lengths.push(choices.len());
        choices
            .iter()
            .take(9)
            .filter(|choice| **choice != 0)
            .count()
            == 9
    };
    let _ = shrink(list, 13, fails);
    assert!(lengths.contains(&9), "{lengths:?}");
}

// --- scenarios -------------------------------------------------------------------------------------------------------

/// It takes for granted that links are good, and they are not.
fn hopes(stage: &mut Stage) -> Result<Truth, Stop> {
    let via = stage.one_of(&[Via::Direct, Via::Relay]);
    let meeting = stage.meeting(via, Who::Ours, Who::Ours)?;
    let mut faults = Faults::default();
    (faults.loss, faults.duplicate, faults.clog) = (100, 100, 100);
    stage.let_links(faults);
    stage.join(meeting.joiner, &meeting.invitation)?;
    let paired = stage.paired(&meeting)?;
    let count = pairings(&stage.world, meeting.inviter);
    stage.require(
        paired,
        &format!("both have paired, the inviter {count} times"),
    )?;
    Ok(Truth::open())
}

const HOPES: Scenario = Scenario {
    name: "hopes",
    about: "two pair over bad links",
    required: "both pair, whatever happens",
    script: hopes,
};

/// The same, said by a machine that panics.
const PANICS: Scenario = Scenario {
    name: "panics",
    script: |stage| match hopes(stage) {
        Err(Stop::Unmet(what)) => panic!("{what} at {:?}", stage.world.now().mono),
        other => other,
    },
    ..HOPES
};

/// Of many runs that fail, one that is long.
fn failing_run(scenario: &Scenario) -> (Vec<u32>, String) {
    let setting = Setting {
        trace: false,
        ..Setting::default()
    };
    let failing = (0..300).filter_map(|seed| {
        let run = scenario.run(&setting, Seeded::new(seed));
        Some((run.schedule, run.outcome.err()?.what))
    });
    let longest = failing.max_by_key(|(schedule, _)| steps(schedule));
    longest.expect("some seed fails")
}

fn check(scenario: &Scenario) -> Shortest {
    let (schedule, what) = failing_run(scenario);
    let shrink = |choices| scenario.shrink(&Setting::default(), choices, MANY);
    let shortest = shrink(schedule.clone()).expect("it fails");
    let choices = &shortest.shrunk.choices;
    assert!(shortest.shrunk.finished);
    assert_eq!(kind_of(&shortest.failure.what), kind_of(&what));
    assert!(!shortest.run.trace.lines().is_empty());
    let again = scenario.run(&Setting::default(), Scheduled::new(choices.clone()));
    assert_eq!(again.outcome, Err(shortest.failure.clone()));
    assert_eq!(again.trace.hash(), shortest.run.trace.hash());
    for place in 0..choices.len() {
        let mut less = choices.clone();
        if std::mem::take(&mut less[place]) == 0 {
            continue;
        }
        let run = scenario.run(&Setting::default(), Scheduled::new(less));
        let kind = run.outcome.err().map(|failure| kind_of(&failure.what));
        assert_ne!(kind, Some(kind_of(&what)), "the step at {place} is needed");
    }
    let twice = shrink(choices.clone()).expect("it still fails");
    assert_eq!(twice.shrunk.choices, *choices);
    eprintln!(
        "{}: {} choices, {} steps, became {choices:?} in {} runs",
        scenario.name,
        schedule.len(),
        steps(&schedule),
        shortest.shrunk.runs
    );
    shortest
}

#[test]
fn a_failing_run_becomes_a_single_fault() {
    assert_eq!(check(&HOPES).shrunk.steps, 1, "one message is lost");
}

#[test]
fn a_panic_is_a_failure_like_others() {
    // Hundreds of runs would each say it on the terminal.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let shortest = panic::catch_unwind(|| check(&PANICS));
    panic::set_hook(hook);
    let shortest = shortest.unwrap_or_else(|why| panic::resume_unwind(why));
    assert!(
        shortest
            .failure
            .what
            .starts_with("panicked: both have paired")
    );
    assert_eq!(shortest.shrunk.steps, 1);
}

/// Less would fail as well, but otherwise.
#[test]
fn it_goes_on_failing_in_the_same_way() {
    const SCENARIO: Scenario = Scenario {
        name: "ways",
        about: "there are two ways to fail",
        required: "none is taken",
        script: |stage| {
            let (one, other) = (stage.pick(9), stage.pick(9));
            stage.require(one == 0 || other < 3, &format!("both, {one} and {other}"))?;
            stage.require(one == 0, "one")?;
            Ok(Truth::nothing())
        },
    };
    let shortest = SCENARIO.shrink(&Setting::default(), vec![5, 7, 8], MANY);
    let shortest = shortest.expect("it fails");
    assert_eq!(shortest.failure.what, "both, 1 and 3");
    assert_eq!(shortest.shrunk.choices, [0, 1, 3]);
}

#[test]
fn what_does_not_fail_is_not_shrunk() {
    let shortest = HOPES.shrink(&Setting::default(), Vec::new(), MANY);
    assert!(shortest.is_none(), "nothing is lost");
}
