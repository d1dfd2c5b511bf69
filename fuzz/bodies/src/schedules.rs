//! What the simulator reads from a file: schedules of its scenarios and of its explorations, and explorations that were
//! put away.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use chumwire_sim::explore::{Bounds, Search, play, plays};
use chumwire_sim::scenario::Setting;
use chumwire_sim::{Bytes, Faults, catalogue};

/// A run of a scenario.
#[derive(Arbitrary, Debug)]
pub(crate) struct Scene {
    scenario: u8,
    window: Option<u8>,
    faults: Option<u8>,
    choices: Vec<u8>,
}

/// All that a scenario requires is so, whatever is chosen.
pub(crate) fn scene(scene: Scene) {
    let all = catalogue::catalogue();
    let scenario = &all[usize::from(scene.scenario) % all.len()];
    let faults = scene.faults.map(|rate| Faults::every(u32::from(rate)));
    let setting = Setting {
        window: scene.window.map(|window| usize::from(window) % 65),
        faults,
        trace: false,
    };
    let choices: Vec<u8> = scene.choices.into_iter().take(400).collect();
    let run = scenario.run(&setting, Bytes::new(&choices));
    if let Err(failure) = run.outcome {
        panic!("{}: {failure}", scenario.name);
    }
}

/// A history of a play.
#[derive(Arbitrary, Debug)]
pub(crate) struct History {
    play: u8,
    faults: u8,
    schedule: Vec<u8>,
}

/// Nothing is wrong in any history of any play.
pub(crate) fn history(history: History) {
    let all = plays();
    let play = &all[usize::from(history.play) % all.len()];
    let schedule: Vec<u32> = history
        .schedule
        .iter()
        .take(200)
        .map(|n| u32::from(*n))
        .collect();
    let replay = play.replay(u32::from(history.faults % 3), &schedule, false);
    assert_eq!(replay.wrong, None, "{}", play.name);
}

/// An exploration that was put away in the middle, and its play.
static PUT_AWAY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut search = Search::new(play("pairing").unwrap_or(&plays()[0]), bounds(60));
    let _ = search.run(|_| None);
    let mut file = Vec::new();
    search.save(&mut file).expect("a file");
    file
});

fn bounds(states: usize) -> Bounds {
    Bounds {
        states: Some(states),
        ..Bounds::default()
    }
}

/// What became of the file.
#[derive(Arbitrary, Debug)]
pub(crate) struct File {
    changes: Vec<(u16, u8)>,
    cut: Option<u16>,
    more: Vec<u8>,
}

/// A file that was changed is refused, or goes on as another exploration.
pub(crate) fn checkpoint(file: File) {
    let mut bytes = PUT_AWAY.clone();
    let length = bytes.len();
    for (at, by) in file.changes.iter().take(8) {
        bytes[usize::from(*at) % length] ^= by;
    }
    if let Some(cut) = file.cut {
        bytes.truncate(usize::from(cut) % length);
        bytes.extend(file.more);
    }
    let changed = bytes != *PUT_AWAY;
    let play = play("pairing").unwrap_or(&plays()[0]);
    match Search::load(play, bounds(90), &mut bytes.as_slice()) {
        Ok(mut search) => drop(search.run(|_| None)),
        Err(refused) => assert!(changed, "{refused}"),
    }
}
