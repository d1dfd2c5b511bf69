//! What an explanation says of a run is right, or it is `unknown`: the confusion matrix of all scenarios.
//!
//! `CHUMWIRE_SEEDS=A..B` takes other seeds; `-- --nocapture` prints the matrix as docs/traces.md has it.

use std::collections::BTreeMap;
use std::ops::Range;

use chumwire_sim::catalogue::catalogue;
use chumwire_sim::scenario::{Setting, Truth};
use chumwire_sim::{Config, Seeded};
use chumwire_trace::{Cause, Explanation, Header, Line, Origin, Trace, What, explain};

#[expect(
    clippy::disallowed_methods,
    reason = "which runs there are is asked from outside"
)]
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("CHUMWIRE_SEEDS") else {
        return 0..60;
    };
    let (from, to) = text.split_once("..").expect("A..B");
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// What was said of runs, and what of that was wrong.
#[derive(Default)]
struct Matrix {
    said: BTreeMap<&'static str, BTreeMap<(Cause, bool), usize>>,
    wrong: BTreeMap<(&'static str, Cause), String>,
}

impl Matrix {
    fn add(
        &mut self,
        scenario: &'static str,
        run: &Of<'_>,
        explanation: &Explanation,
        open: &[Cause],
    ) {
        let cause = explanation.cause();
        let truth = run.truth;
        let right = truth.open
            || cause == Cause::Unknown
            || open.contains(&cause)
            || (cause == Cause::NothingWrong && truth.causes.is_empty())
            || truth.causes.contains(&cause.code())
            // It leaves open which of the two.
            || (cause == Cause::ReorderedOrLost
                && truth.causes.iter().any(|right| ["reordered", "lost_frame"].contains(right)));
        *self
            .said
            .entry(scenario)
            .or_default()
            .entry((cause, right))
            .or_default() += 1;
        if !right {
            self.wrong.entry((scenario, cause)).or_insert_with(|| {
                let sentence = &explanation.findings[0];
                format!(
                    "[{}] seed {}; right are {:?}\n    {sentence}",
                    run.variant, run.seed, truth.causes
                )
            });
        }
    }

    fn check(self) {
        println!("| scenario | said |\n| --- | --- |");
        for (scenario, said) in &self.said {
            let said: Vec<String> = said
                .iter()
                .map(|((cause, right), count)| {
                    format!("`{cause}`{} {count}", if *right { "" } else { " (WRONG)" })
                })
                .collect();
            println!("| `{scenario}` | {} |", said.join(", "));
        }
        for ((name, cause), sentence) in &self.wrong {
            println!("WRONG {name}: said {cause}, {sentence}");
        }
        assert!(self.wrong.is_empty(), "{} wrong", self.wrong.len());
    }
}

/// Which run.
struct Of<'a> {
    seed: u64,
    variant: &'a str,
    truth: &'a Truth,
}

/// Explains every run, as each view of it shows it.
fn explained(views: impl Fn(&[Line]) -> Vec<Vec<Line>>, open: &[Cause]) -> Matrix {
    let mut matrix = Matrix::default();
    for scenario in catalogue() {
        for seed in seeds() {
            let run = scenario.run(&Setting::default(), Seeded::new(seed));
            if let Err(failure) = &run.outcome {
                panic!("{} {seed}: {failure}", scenario.name);
            }
            for lines in views(run.trace.lines()) {
                // The scenario's name is not in it.
                let header = Header::new(Origin::Simulated, Config::default().wall.0);
                let of = Of {
                    seed,
                    variant: &run.variant,
                    truth: &run.truth,
                };
                let explanation = explain(&Trace { header, lines });
                matrix.add(scenario.name, &of, &explanation, open);
            }
        }
    }
    matrix
}

#[test]
fn no_explanation_names_a_wrong_cause() {
    explained(|lines| vec![lines.to_vec()], &[]).check();
}

/// One side alone sees less: that it was closed, that nothing came. That is no wrong cause, but another one would be.
#[test]
fn no_explanation_of_one_side_alone_names_a_wrong_cause() {
    let seen_from_one_side = [
        Cause::NothingWrong,
        Cause::PeerClosed,
        Cause::ConnectionLost,
        Cause::SilentPeer,
        Cause::Keepalive,
        Cause::SpareDied,
        Cause::Unreachable,
        Cause::Shutdown,
        Cause::TooManyHalfOpen,
        Cause::NobodyListening,
        Cause::ReorderedOrLost,
        Cause::BadKeyMessage,
    ];
    let views = |lines: &[Line]| {
        let mut parties: Vec<&str> = lines
            .iter()
            .filter(|line| matches!(&line.what, What::Started { machine, .. } if machine == "node" || machine == "relay"))
            .map(|line| &*line.who)
            .collect();
        parties.sort_unstable();
        parties.dedup();
        let of = |who: &&str| {
            let own =
                |line: &&Line| *line.who == **who && !matches!(line.what, What::Linked { .. });
            lines.iter().filter(own).cloned().collect()
        };
        parties.iter().map(of).collect()
    };
    explained(views, &seen_from_one_side).check();
}
