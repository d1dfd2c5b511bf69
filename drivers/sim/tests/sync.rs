//! CHUM under faults: every scenario over many seeds, and every position of one fault.

use chumwire_sim::sync::{Blow, GRAPH, Moment, Planned, SyncRun, sync_catalogue};
use chumwire_sim::{Choice, Chooser, Scheduled, Seeded};

#[test]
fn every_scenario_of_synchronisation_holds() {
    let mut failures = String::new();
    for scenario in sync_catalogue() {
        let mut failed = (0..300).filter_map(|seed| {
            let failure = scenario.run(Seeded::new(seed)).outcome.err()?;
            Some(format!("{}, seed {seed}: {failure}\n\n", scenario.name))
        });
        failures.extend(failed.next());
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn a_seed_gives_the_same_run_again_and_so_does_its_schedule() {
    for scenario in sync_catalogue() {
        let run = scenario.run(Seeded::new(7));
        let again = scenario.run(Seeded::new(7));
        assert_eq!(run.log, again.log, "{}", scenario.name);
        assert_eq!(run.hash(), again.hash(), "{}", scenario.name);
        let replayed = scenario.run(Scheduled::new(run.schedule));
        assert_eq!(run.log, replayed.log, "{}", scenario.name);
    }
}

/// Of what can happen next, always what is farthest: messages before the store's answers.
#[derive(Debug)]
struct Farthest;

impl Chooser for Farthest {
    fn choose(&mut self, what: Choice, options: usize) -> usize {
        match what {
            Choice::Tie => options - 1,
            _ => 0,
        }
    }
}

/// An order of events, by its name.
type Order = (&'static str, fn() -> Box<dyn Chooser>);

/// The orders of events under which every position of a fault is tried.
fn orders() -> Vec<Order> {
    vec![
        ("nearest", || Box::new(Scheduled::default())),
        ("farthest", || Box::new(Farthest)),
        ("seed 1", || Box::new(Seeded::new(1))),
        ("seed 2", || Box::new(Seeded::new(2))),
    ]
}

/// Every blow: the connection is cut, or one of the two crashes and loses up to three writes.
fn blows() -> Vec<Blow> {
    let crashes = (0..2).flat_map(|place| (0..=3).map(move |lost| Blow::Crash { place, lost }));
    [Blow::Cut].into_iter().chain(crashes).collect()
}

/// Every fault of a run with so many messages and writes.
fn positions(run: &SyncRun) -> Vec<Planned> {
    let messages = (0..run.messages).map(Moment::Message);
    let writes = (0..run.writes).map(Moment::Write);
    messages
        .chain(writes)
        .flat_map(|at| blows().into_iter().map(move |blow| Planned { at, blow }))
        .collect()
}

fn run(planned: &[Planned], order: Order) -> SyncRun {
    let run = GRAPH.run_with(planned, (order.1)());
    if let Err(failure) = &run.outcome {
        panic!("{}, {planned:?}: {failure}", order.0);
    }
    run
}

#[test]
fn one_fault_at_every_position_is_survived() {
    let mut runs = 0;
    for order in orders() {
        for fault in positions(&run(&[], order)) {
            run(&[fault], order);
            runs += 1;
        }
    }
    println!(
        "{runs} runs with one fault: every position, in {} orders",
        orders().len()
    );
}

#[test]
fn two_faults_are_survived() {
    // One pair of so many: a prime, so that all kinds are met.
    pairs(23);
}

#[test]
#[ignore = "it takes minutes"]
fn every_pair_of_faults_is_survived() {
    pairs(1);
}

fn pairs(stride: usize) {
    let (mut runs, mut all) = (0, 0);
    let order = orders()[0];
    for first in positions(&run(&[], order)) {
        // What comes after it is as many messages and writes as this run has.
        for second in positions(&run(&[first], order)) {
            all += 1;
            if all % stride == 0 && second.at != first.at {
                run(&[first, second], order);
                runs += 1;
            }
        }
    }
    println!("{runs} runs with two faults, of {all} pairs");
}
