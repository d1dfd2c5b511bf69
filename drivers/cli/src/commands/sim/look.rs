//! What is done with a trace that is there.

use std::path::{Path, PathBuf};

use chumwire::crypto::Nacl;
use chumwire_sim::shrink::kind_of;
use chumwire_trace::{Line, NotReplayed, Scene, Trace, What};

use super::scene::{Subject, scene_of};
use crate::event::Event;
use crate::failure::Failure;
use crate::output::Output;
use crate::traces::{read, read_all, write};

/// Draws it.
///
/// # Errors
/// `bad_trace`
pub(super) fn draw(paths: &[PathBuf], output: Output) -> Result<(), Failure> {
    let text = chumwire_trace::draw(&read_all(paths)?.trace);
    output.event(&Event::Drawing { text });
    Ok(())
}

/// Draws it as a page.
///
/// # Errors
/// `bad_trace`, `trace_unusable`
pub(super) fn page(paths: &[PathBuf], html: &Path, output: Output) -> Result<(), Failure> {
    let merged = read_all(paths)?;
    let explanation = chumwire_trace::explain(&merged.trace);
    let page = chumwire_trace::page(&merged, &explanation);
    write("page", html, [page])?;
    output.event(&Event::Page {
        path: html.display().to_string(),
        cause: explanation.cause().code().into(),
    });
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
/// `bad_trace`, `no_scenario`, `not_replayable`, `diverged`
pub(super) fn replay(path: &Path, output: Output) -> Result<(), Failure> {
    let trace = read(path)?;
    output.event(&match scene_of(&trace)? {
        Some((scene, name)) => again(Subject::of(scene, name)?, &trace, scene)?,
        None => live(&trace)?,
    });
    Ok(())
}

fn live(trace: &Trace) -> Result<Event, Failure> {
    match chumwire_trace::replay::<Nacl>(trace) {
        Ok(done) => Ok(Event::Replayed {
            inputs: done.inputs,
            effects: done.effects,
            trace_hash: None,
            failure: None,
        }),
        Err(error @ NotReplayed::Diverged { .. }) => Err(Failure::new("diverged", error)),
        Err(error) => Err(Failure::new("not_replayable", error)),
    }
}

/// Runs a simulated trace again: it has to be the same, and to fail as it did if it did.
///
/// # Errors
/// `diverged`
pub(super) fn again(subject: Subject<'_>, trace: &Trace, scene: &Scene) -> Result<Event, Failure> {
    let ran = subject.run(&scene.schedule);
    let again = Trace {
        header: trace.header.clone(),
        lines: ran.lines,
    };
    let failure = ran.failure;
    let wrong = [
        scene
            .fails
            .as_deref()
            .and_then(|due| fails_otherwise(due, failure.as_deref())),
        chumwire_trace::diff(trace, &again)
            .map(|parted| format!("the run is another one from line {} on", parted.same + 2)),
    ];
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    if !wrong.is_empty() {
        return Err(Failure::new("diverged", wrong.join("; ")));
    }
    let count = |is: fn(&What) -> bool| trace.lines.iter().filter(|line| is(&line.what)).count();
    Ok(Event::Replayed {
        inputs: count(What::is_input),
        effects: count(What::is_effect),
        trace_hash: Some(chumwire::hex::encode(&ran.hash)),
        failure,
    })
}

/// What is wrong with how a run fails.
fn fails_otherwise(due: &str, is: Option<&str>) -> Option<String> {
    match is {
        None => Some(format!("the run does not fail any more; it did: {due}")),
        Some(is) if kind_of(is) != kind_of(due) => {
            Some(format!("it fails otherwise: {is}; it did: {due}"))
        }
        Some(_) => None,
    }
}
