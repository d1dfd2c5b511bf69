//! Established connections under faults: what is delivered is a prefix of what was said, once, in order, unaltered.

use chumwire::node::Event;
use chumwire::time::Micros;
use chumwire_sim::scenario::{Setting, Stage};
use chumwire_sim::{Faults, Seeded, Told};

fn talk(seed: u64, window: usize, faults: Faults) -> (usize, usize) {
    let setting = Setting {
        window: Some(window),
        ..Setting::default()
    };
    let mut stage = Stage::new(setting, Seeded::new(seed));
    let friends = stage.friends(|_, _| {}).expect("connected");
    stage.let_links(faults);
    let mut said = 0;
    for round in 0..30 {
        for (id, conn) in friends.ids.into_iter().zip(friends.conns) {
            said += usize::from(stage.world.say(id, conn, round * 3).is_ok());
        }
        stage
            .world
            .run_for(Micros::millis(7))
            .expect("no violation");
    }
    stage.world.run_for(Micros::secs(30)).expect("no violation");
    let told = stage.world.told().iter();
    let heard = told
        .filter(|(_, _, told)| matches!(told, Told::Message(..)))
        .count();
    (said, heard)
}

#[test]
fn on_good_links_all_is_heard() {
    assert_eq!(talk(1, 0, Faults::default()), (60, 60));
}

#[test]
fn within_the_window_reordering_loses_nothing() {
    let faults = Faults {
        reorder: 300,
        distance: 2,
        ..Faults::default()
    };
    for seed in 0..10 {
        let (said, heard) = talk(seed, 16, faults);
        assert_eq!((said, heard), (60, 60), "seed {seed}");
    }
}

#[test]
fn whatever_links_do_only_a_prefix_is_heard() {
    for window in [0, 16] {
        let mut heard_some = 0;
        for seed in 0..40 {
            let (said, heard) = talk(seed, window, Faults::every(10));
            assert!(heard <= said, "seed {seed}");
            heard_some += usize::from(heard > 0);
        }
        assert!(heard_some > 10, "{heard_some} of 40");
    }
}

#[test]
fn nodes_say_whom_they_are_connected_with() {
    let mut stage = Stage::new(Setting::default(), Seeded::new(3));
    let friends = stage.friends(|_, _| {}).expect("connected");
    let connected = |event: &Event| matches!(event, Event::Connected { .. });
    for id in friends.ids {
        assert_eq!(stage.world.events(id).filter(|e| connected(e)).count(), 1);
    }
}
