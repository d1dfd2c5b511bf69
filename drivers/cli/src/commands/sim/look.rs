//! What is done with a trace that is there.

use std::path::{Path, PathBuf};

use chumwire::crypto::Nacl;
use chumwire_sim::Scheduled;
use chumwire_trace::{Line, NotReplayed, Origin, Scene, Trace};

use super::campaign::{no_scenario, setting};
use crate::event::Event;
use crate::failure::Failure;
use crate::output::Output;
use crate::traces::{read, read_all};

/// Draws it.
///
/// # Errors
/// `bad_trace`
pub(super) fn draw(paths: &[PathBuf], output: Output) -> Result<(), Failure> {
    let text = chumwire_trace::draw(&read_all(paths)?.trace);
    output.event(&Event::Drawing { text });
    Ok(())
}

/// Compares two.
///
/// # Errors
/// `bad_trace`
pub(super) fn diff(one: &Path, other: &Path, output: Output) -> Result<(), Failure> {
    let (one, other) = (read(one)?, read(other)?);
    let difference = chumwire_trace::diff(&one, &other);
    let shown = |lines: &[Line]| lines.iter().map(ToString::to_string).collect();
    output.event(&match difference {
        None => Event::Difference {
            same: true,
            line: None,
            before: Vec::new(),
            one: Vec::new(),
            other: Vec::new(),
        },
        Some(parted) => Event::Difference {
            same: false,
            // The header is the first line.
            line: Some(parted.same + 2),
            before: shown(parted.before),
            one: shown(parted.one),
            other: shown(parted.other),
        },
    });
    Ok(())
}

/// Runs it again.
///
/// # Errors
/// `bad_trace`, `not_replayable`, `diverged`
pub(super) fn replay(path: &Path, output: Output) -> Result<(), Failure> {
    let trace = read(path)?;
    output.event(&match (trace.header.origin, &trace.header.scene) {
        (Origin::Simulated, Some(scene)) => simulated(&trace, scene)?,
        _ => live(&trace)?,
    });
    Ok(())
}

fn live(trace: &Trace) -> Result<Event, Failure> {
    match chumwire_trace::replay::<Nacl>(trace) {
        Ok(done) => Ok(Event::Replayed {
            inputs: done.inputs,
            effects: done.effects,
            trace_hash: None,
        }),
        Err(error @ NotReplayed::Diverged { .. }) => Err(Failure::new("diverged", error)),
        Err(error) => Err(Failure::new("not_replayable", error)),
    }
}

fn simulated(trace: &Trace, scene: &Scene) -> Result<Event, Failure> {
    let Some(name) = &scene.scenario else {
        return Err(Failure::new(
            "not_replayable",
            "the trace does not say which scenario it is of",
        ));
    };
    let scenario = chumwire_sim::catalogue::scenario(name).ok_or_else(|| no_scenario(name))?;
    let setting = setting(scene.window, &scene.faults)?;
    let run = scenario.run(&setting, Scheduled::new(scene.schedule.clone()));
    let again = Trace {
        header: trace.header.clone(),
        lines: run.trace.lines().to_vec(),
    };
    match chumwire_trace::diff(trace, &again) {
        None => Ok(Event::Replayed {
            inputs: trace
                .lines
                .iter()
                .filter(|line| line.what.is_input())
                .count(),
            effects: trace
                .lines
                .iter()
                .filter(|line| line.what.is_effect())
                .count(),
            trace_hash: Some(chumwire::hex::encode(&run.trace.hash())),
        }),
        Some(parted) => Err(Failure::new(
            "diverged",
            format_args!("the run is another one from line {} on", parted.same + 2),
        )),
    }
}
