//! The catalogue: every scenario over many seeds; that it can fail; and that a run can be had again.

use std::collections::BTreeSet;

use chumwire::io::{Machine, StoreId};
use chumwire_sim::catalogue::{catalogue, scenario};
use chumwire_sim::scenario::{Run, Scenario, Setting, Stage, Stop, Truth, Via, Who};
use chumwire_sim::{Bytes, Chooser, Faults, Pct, Scheduled, Seeded, Swarm};
use chumwire_trace::Cause;

fn check(scenario: &Scenario, setting: &Setting, seed: u64) -> Run {
    let run = scenario.run(setting, Seeded::new(seed));
    if let Err(failure) = &run.outcome {
        panic!(
            "{}, {setting:?}, seed {seed} ({}): {failure}",
            scenario.name, run.variant
        );
    }
    run
}

#[test]
fn every_scenario_holds() {
    for scenario in catalogue() {
        for seed in 0..60 {
            check(scenario, &Setting::default(), seed);
        }
    }
}

#[test]
fn every_scenario_holds_in_either_order() {
    for window in [0, 1, 16, 64] {
        let setting = Setting {
            window: Some(window),
            ..Setting::default()
        };
        for scenario in catalogue() {
            for seed in 0..10 {
                check(scenario, &setting, seed);
            }
        }
    }
}

#[test]
fn what_must_always_hold_does_so_under_faults_that_no_script_reckons_with() {
    let faults = Faults {
        loss: 10,
        duplicate: 10,
        reorder: 20,
        distance: 2,
        flip: 10,
        truncate: 10,
        cut: 10,
        silence: 5,
        mirror: 5,
        crash: 10,
        clog: 10,
        merge: 10,
    };
    let setting = Setting {
        faults: Some(faults),
        ..Setting::default()
    };
    let mut disturbed = 0;
    for scenario in catalogue() {
        for seed in 0..10 {
            disturbed += u32::from(check(scenario, &setting, seed).disturbed);
        }
    }
    assert!(disturbed > 100, "{disturbed} runs were disturbed");
}

#[test]
fn the_table_of_the_documents_is_the_catalogue() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/races.md");
    let text = std::fs::read_to_string(path).expect("the document is there");
    let rows: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let names: Vec<&str> = catalogue().iter().map(|scenario| scenario.name).collect();
    assert_eq!(rows, names);
    let set: BTreeSet<_> = names.iter().collect();
    assert_eq!(set.len(), names.len(), "no name is used twice");
}

/// Demands: M1.4.
#[test]
fn a_seed_gives_the_same_run_again_and_so_does_its_schedule() {
    for scenario in catalogue() {
        let run = check(scenario, &Setting::default(), 7);
        let again = check(scenario, &Setting::default(), 7);
        assert_eq!(run.trace, again.trace, "{}", scenario.name);
        assert_eq!(run.trace.hash(), again.trace.hash(), "{}", scenario.name);
        let replayed = scenario.run(&Setting::default(), Scheduled::new(run.schedule.clone()));
        assert_eq!(run.trace, replayed.trace, "{}", scenario.name);
        assert_eq!(run.variant, replayed.variant, "{}", scenario.name);
        assert_eq!(run.truth, replayed.truth, "{}", scenario.name);
    }
}

#[test]
fn a_scenario_runs_under_every_source_of_choices() {
    fn sources(seed: u64) -> [(&'static str, Box<dyn Chooser>); 4] {
        let mut draw = Seeded::new(seed);
        let bytes: Vec<u8> = (0..2_000).map(|_| draw.next() as u8).collect();
        [
            ("priorities", Box::new(Pct::new(seed, 3, 200))),
            ("moods", Box::new(Swarm::new(seed))),
            ("bytes", Box::new(Bytes::new(&bytes))),
            ("no bytes", Box::new(Bytes::new(&[]))),
        ]
    }
    for scenario in catalogue() {
        for seed in 0..5 {
            for (name, source) in sources(seed) {
                let run = scenario.run(&Setting::default(), source);
                if let Err(failure) = run.outcome {
                    panic!(
                        "{}, {name}, seed {seed} ({}): {failure}",
                        scenario.name, run.variant
                    );
                }
            }
        }
    }
}

#[test]
fn a_scenario_is_there_under_its_name() {
    for known in catalogue() {
        assert_eq!(scenario(known.name).map(|s| s.about), Some(known.about));
    }
    assert!(scenario("no-such-race").is_none());
}

#[test]
fn races_are_lost_and_won() {
    // A race that always goes the same way shows nothing.
    for (name, ways) in [
        ("handover-answer-early", ["early", "late"]),
        ("ping-in-flight", ["Ours, ping", "no ping"]),
        ("spare-dies-at-handover", ["in time", "too late"]),
        ("token-double-spend", ["2 pairings", "1 pairings"]),
        ("token-double-spend", ["invitation_held", "invitation_used"]),
        ("token-expires-midway", ["went on", "expired"]),
        ("two-initiators-one-spare", ["refused", "replaced"]),
        ("simultaneous-dial", ["collided", "one"]),
    ] {
        let scenario = scenario(name).expect("it is there");
        let seen: BTreeSet<String> = (0..300)
            .map(|seed| check(scenario, &Setting::default(), seed).variant)
            .collect();
        for way in ways {
            assert!(
                seen.iter().any(|variant| variant.contains(way)),
                "{name}: {way} is not among {seen:?}"
            );
        }
    }
}

#[test]
fn causes_are_known_ones() {
    let codes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.code()).collect();
    for scenario in catalogue() {
        for seed in 0..40 {
            let truth = check(scenario, &Setting::default(), seed).truth;
            for cause in truth.causes {
                assert!(codes.contains(&cause), "{}: {cause}", scenario.name);
            }
        }
    }
}

/// A scenario of this script fails in some of the first runs, for this reason.
fn fails(script: fn(&mut Stage) -> Result<Truth, Stop>, why: &str) {
    let scenario = Scenario {
        name: "planted",
        about: "",
        required: "",
        script,
    };
    let found = (0..20).any(|seed| {
        let run = scenario.run(&Setting::default(), Seeded::new(seed));
        let failure = run.outcome.err();
        failure.is_some_and(|failure| failure.what.contains(why))
    });
    assert!(found, "{why}");
}

#[test]
fn a_requirement_that_is_not_met_fails_the_run() {
    fails(
        |stage| {
            let meeting = stage.meeting(Via::Direct, Who::Ours, Who::Ours)?;
            // Nobody joins.
            let paired = stage.paired(&meeting)?;
            stage.require(paired, "both have paired")?;
            Ok(Truth::nothing())
        },
        "both have paired",
    );
}

#[test]
fn a_driver_that_says_too_early_that_all_is_stored_is_found() {
    fails(
        |stage| {
            let meeting = stage.meeting(Via::Direct, Who::Ours, Who::Ours)?;
            stage.join(meeting.joiner, &meeting.invitation)?;
            for _ in 0..3_000 {
                stage.run(1)?;
                stage.world.on_node(meeting.inviter, |node, now| {
                    for id in 0..20 {
                        Machine::stored(node, now, StoreId(id), Ok(()));
                    }
                });
            }
            Ok(Truth::nothing())
        },
        "stored",
    );
}

#[test]
fn an_invariant_of_a_script_is_looked_at_after_every_step() {
    fails(
        |stage| {
            let meeting = stage.meeting(Via::Relay, Who::Ours, Who::Deployed)?;
            stage.world.always(|world| match world.deliveries() {
                0..40 => Ok(()),
                _ => Err("too much is said".into()),
            });
            stage.pair(&meeting)?;
            Ok(Truth::nothing())
        },
        "too much is said",
    );
}
