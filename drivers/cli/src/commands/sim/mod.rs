//! `chumwire sim`.

mod campaign;
mod explore;
mod look;
mod progress;
mod scene;
mod seeds;
mod shrink;
mod tally;

use crate::args::Sim;
use crate::event::Event;
use crate::failure::Failure;
use crate::output::Output;

/// Simulates, or looks at what was recorded.
///
/// # Errors
/// `no_scenario`, `bad_trace`, `sim_failed`, `violation`, `bad_checkpoint`, `not_failing`, `not_replayable`, `diverged`
pub(super) fn sim(command: Sim, output: Output) -> Result<(), Failure> {
    match command {
        Sim::List => {
            for scenario in chumwire_sim::catalogue::catalogue() {
                output.event(&Event::Scenario {
                    name: scenario.name.into(),
                    happens: scenario.about.into(),
                    required: scenario.required.into(),
                });
            }
            for scenario in chumwire_sim::sync::sync_catalogue() {
                output.event(&Event::Scenario {
                    name: scenario.name.into(),
                    happens: scenario.about.into(),
                    required: scenario.required.into(),
                });
            }
            for play in chumwire_sim::explore::plays() {
                output.event(&Event::Play {
                    play: play.name.into(),
                    happens: play.about.into(),
                });
            }
            Ok(())
        }
        Sim::Run(args) => campaign::run(&args, output),
        Sim::Explore(args) => explore::explore(&args, output),
        Sim::Shrink(args) => shrink::shrink(&args, output),
        Sim::Replay { trace } => look::replay(&trace, output),
        Sim::Draw { traces, html: None } => look::draw(&traces, output),
        Sim::Draw {
            traces,
            html: Some(html),
        } => look::page(&traces, &html, output),
        Sim::Diff { one, other } => look::diff(&one, &other, output),
    }
}
