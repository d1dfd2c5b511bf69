//! A simulated run: how it is asked for, and how it is written down.

use std::path::Path;

use chumwire_sim::scenario::{Run, Scenario, Setting};
use chumwire_sim::{Config, Faults};
use chumwire_trace::{Header, Origin, Scene, Trace, text_of};

use crate::failure::Failure;
use crate::traces::write;

/// The scenario of this name.
///
/// # Errors
/// `no_scenario`
pub(super) fn scenario(name: &str) -> Result<&'static Scenario, Failure> {
    chumwire_sim::catalogue::scenario(name).ok_or_else(|| {
        Failure::new(
            "no_scenario",
            format_args!("there is no scenario {name}; `chumwire sim list` names them all"),
        )
    })
}

/// How runs are made.
///
/// # Errors
/// `usage`: a fault that is none.
pub(super) fn setting(window: Option<usize>, faults: &[String]) -> Result<Setting, Failure> {
    let mut setting = Setting {
        window,
        ..Setting::default()
    };
    for text in faults {
        let (name, rate) = text.split_once('=').unwrap_or((text, ""));
        let rate: f64 = rate.parse().map_err(|_| {
            Failure::usage(format_args!(
                "--fault {text}: a name and a rate from 0 to 1 are due, as in loss=0.1"
            ))
        })?;
        let faults = setting.faults.get_or_insert_with(Faults::default);
        faults
            .set(name, rate)
            .map_err(|error| Failure::usage(format_args!("--fault {text}: {error}")))?;
    }
    Ok(setting)
}

/// How the run of a trace is made again: its scene, and the name of its scenario. `None`: it is no simulated one.
///
/// # Errors
/// `not_replayable`: it does not say which scenario it is of.
pub(super) fn scene_of(trace: &Trace) -> Result<Option<(&Scene, &str)>, Failure> {
    let (Origin::Simulated, Some(scene)) = (trace.header.origin, &trace.header.scene) else {
        return Ok(None);
    };
    match &scene.scenario {
        Some(name) => Ok(Some((scene, name))),
        None => Err(Failure::new(
            "not_replayable",
            "the trace does not say which scenario it is of",
        )),
    }
}

/// Writes a run down. Its scene says how it is made again, and how it fails if it does.
///
/// # Errors
/// `trace_unusable`
pub(super) fn record(path: &Path, scene: Scene, run: &Run) -> Result<(), Failure> {
    let fails = run.outcome.as_ref().err().map(|is| is.what.clone());
    let header = Header {
        scene: Some(Scene { fails, ..scene }),
        ..Header::new(Origin::Simulated, Config::default().wall.0)
    };
    let lines = run.trace.lines().iter().map(text_of);
    write(path, [text_of(&header)].into_iter().chain(lines))
}
