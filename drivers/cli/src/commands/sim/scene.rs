//! A simulated run: how it is asked for, and how it is written down.

use std::path::Path;

use chumwire_sim::explore::Play;
use chumwire_sim::scenario::{Scenario, Setting};
use chumwire_sim::shrink::Shrunk;
use chumwire_sim::{Config, Faults, Scheduled};
use chumwire_trace::{Header, Line, Origin, Scene, Trace, text_of};

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

/// The play of this name.
///
/// # Errors
/// `no_scenario`
pub(super) fn play(name: &str) -> Result<&'static Play, Failure> {
    chumwire_sim::explore::play(name).ok_or_else(|| {
        let all: Vec<&str> = chumwire_sim::explore::plays()
            .iter()
            .map(|p| p.name)
            .collect();
        Failure::new(
            "no_scenario",
            format_args!(
                "{name} cannot be explored; what can be is {}",
                all.join(", ")
            ),
        )
    })
}

/// What is run by a list of choices.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A scenario, in a world.
    Scenario(&'a Scenario, Setting),
    /// A play of the explorer, with so many faults at most.
    Play(&'static Play, u32),
}

/// What came of a list of choices.
pub(super) struct Ran {
    pub(super) failure: Option<String>,
    pub(super) lines: Vec<Line>,
    pub(super) hash: [u8; 32],
}

impl Subject<'_> {
    /// What a trace is of.
    ///
    /// # Errors
    /// `no_scenario`, `usage`
    pub(super) fn of(scene: &Scene, name: &str) -> Result<Self, Failure> {
        Ok(match scene.explored {
            Some(faults) => Self::Play(play(name)?, faults),
            None => Self::Scenario(scenario(name)?, setting(scene.window, &scene.faults)?),
        })
    }

    /// Its name.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Scenario(scenario, _) => scenario.name,
            Self::Play(play, _) => play.name,
        }
    }

    /// Runs it, with everything written down.
    pub(super) fn run(&self, choices: &[u32]) -> Ran {
        let (failure, trace) = match self {
            Self::Scenario(scenario, setting) => {
                let run = scenario.run(setting, Scheduled::new(choices.into()));
                (run.outcome.err().map(|is| is.what), run.trace)
            }
            Self::Play(play, faults) => {
                let replay = play.replay(*faults, choices, true);
                (replay.wrong, replay.trace)
            }
        };
        Ran {
            failure,
            hash: trace.hash(),
            lines: trace.into_lines(),
        }
    }

    /// Makes a failing list as short as it gets. `None` if it does not fail.
    pub(super) fn shrink(&self, choices: Vec<u32>, tries: usize) -> Option<Shrunk> {
        match self {
            Self::Scenario(scenario, setting) => {
                let shortest = scenario.shrink(setting, choices, tries)?;
                Some(shortest.shrunk)
            }
            Self::Play(play, faults) => Some(play.shrink(*faults, choices, tries)?.0),
        }
    }

    /// How a trace of it begins.
    pub(super) fn scene(&self, faults: &[String], choices: &[u32]) -> Scene {
        let (window, explored) = match self {
            Self::Scenario(_, setting) => (setting.window, None),
            Self::Play(_, faults) => (None, Some(*faults)),
        };
        Scene {
            scenario: Some(self.name().into()),
            window,
            faults: faults.into(),
            schedule: choices.into(),
            explored,
            ..Scene::default()
        }
    }
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
pub(super) fn record(path: &Path, scene: Scene, ran: &Ran) -> Result<(), Failure> {
    let fails = ran.failure.clone();
    let header = Header {
        scene: Some(Scene { fails, ..scene }),
        ..Header::new(Origin::Simulated, Config::default().wall.0)
    };
    let lines = ran.lines.iter().map(text_of);
    write("trace", path, [text_of(&header)].into_iter().chain(lines))
}
