//! CHUM under faults: every scenario over many seeds, and every position of one fault.

use chumwire_sim::Seeded;
use chumwire_sim::sync::sync_catalogue;

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
