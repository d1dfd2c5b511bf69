//! The extension "roots since" loses nothing, whatever happens on either side; and two importers that are almost right
//! do (spec 11, "Extension \"roots since\"").

use chumwire::chum::{MemoryStore, Verdict};
use chumwire::objects::{Reference, Value};
use chumwire::time::{Micros, Millis};

use crate::pair::{doc, note, person};
use crate::world::{ALICE, Control, Crash, World};

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn place(&mut self) -> usize {
        self.below(3) as usize
    }
}

/// One run.
struct Run {
    dice: Dice,
    world: World,
    made: Vec<Reference>,
    backups: [Vec<MemoryStore>; 3],
}

impl Run {
    /// Alice has something new, which may be granted before or after.
    fn put(&mut self) {
        let n = self.made.len();
        let (recipes, alice) = (&self.world.recipes, &mut self.world.stores[ALICE]);
        let what = match self.dice.below(4) {
            0 => {
                let data = doc(&format!("d{}", self.dice.below(2)), &format!("title {n}"));
                let at = Millis(1_000 + n as u64);
                Reference::Id(alice.put_version(recipes, &data, at).expect("a version"))
            }
            1 => {
                let data = doc("single", &format!("title {n}"));
                Reference::Object(alice.put(recipes, &data).expect("a document"))
            }
            2 => {
                let leaf = note(&format!("leaf {n}"));
                let leaf = alice.put(recipes, &leaf).expect("a note");
                let data = note(&format!("note {n}")).with("uses", Value::list([leaf]));
                Reference::Object(alice.put(recipes, &data).expect("a note"))
            }
            _ => {
                let data = note(&format!("note {n}"));
                Reference::Object(alice.put(recipes, &data).expect("a note"))
            }
        };
        self.made.push(what);
        if self.dice.below(3) > 0 {
            alice.share(what, person("bob"));
        }
    }

    /// Of what was made at any time; in a restored store it may be no more, or not yet.
    fn grant(&mut self, gives: bool) {
        if self.made.is_empty() {
            return;
        }
        let at = self.dice.below(self.made.len() as u64) as usize;
        let (what, alice) = (self.made[at], &mut self.world.stores[ALICE]);
        match gives {
            true => alice.share(what, person("bob")),
            false => alice.unshare(&what, person("bob")),
        }
    }

    fn clock(&mut self) {
        let by = self.dice.below(20_000);
        let place = self.dice.place();
        let wall = &mut self.world.walls[place];
        *wall = match self.dice.below(3) {
            0 => wall.saturating_sub(by),
            1 => wall.saturating_add(by),
            _ => wall.saturating_sub(by * 60_000),
        };
    }

    fn meet(&mut self) {
        let dice = &mut self.dice;
        match dice.below(6) {
            0 => {
                self.world.crash = Some(Crash {
                    place: dice.place(),
                    writes: dice.below(6) as usize,
                    behind: dice.below(2) == 0,
                    lost: dice.below(3) as usize,
                });
            }
            1 => self.world.fail = Some((dice.place(), dice.below(12) as usize)),
            2 => self.world.cut = Some(dice.below(30) as usize),
            _ => {}
        }
        self.world.mood = match dice.below(4) {
            0 => Some((dice.below(4) as u8, Verdict::Refuse)),
            1 => Some((dice.below(4) as u8, Verdict::Later)),
            _ => None,
        };
        let who: &[usize] = [&[1][..], &[2], &[1, 2]][dice.below(3) as usize];
        let time = [1, 1, 6, 11][dice.below(4) as usize];
        self.world.meet(who, Micros::secs(time));
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..=3 => self.put(),
            4 => self.grant(true),
            5 | 6 => self.grant(false),
            7 => self.clock(),
            8 if self.dice.below(2) == 0 => self.world.lose_journal(),
            8 | 9 => {
                let place = self.dice.place();
                let backup = self.world.stores[place].clone();
                self.backups[place].push(backup);
            }
            10 => {
                let place = self.dice.place();
                let count = self.backups[place].len() as u64;
                if count > 0 {
                    let at = self.dice.below(count) as usize;
                    let backup = self.backups[place][at].clone();
                    self.world.restore(place, backup);
                }
            }
            _ => self.meet(),
        }
    }
}

/// Whether an importer lacks something at the end; how many lists were parts.
fn run(seed: u64, control: Control) -> (bool, usize) {
    let mut run = Run {
        dice: Dice(seed),
        world: World::new(control),
        made: Vec::new(),
        backups: Default::default(),
    };
    for _ in 0..10 + run.dice.below(25) {
        run.step();
    }
    run.world.mood = None;
    for _ in 0..2 {
        for place in [1, 2] {
            run.world.meet(&[place], Micros::secs(6));
        }
    }
    let loses = [1, 2]
        .iter()
        .any(|place| !run.world.missing(*place).is_empty());
    let parts = run.world.lists.iter().filter(|(full, _)| !full);
    (loses, parts.count())
}

/// `CHUMWIRE_RUNS`, say 10 000; they take 15 s.
#[expect(
    clippy::disallowed_methods,
    reason = "the length of the campaign is no input of a run"
)]
fn runs() -> u64 {
    let runs = std::env::var("CHUMWIRE_RUNS").ok();
    runs.and_then(|runs| runs.parse().ok()).unwrap_or(1_500)
}

#[test]
fn nothing_is_lost_whatever_happens() {
    let mut parts = 0;
    for seed in 0..runs() {
        let (loses, part) = run(seed, Control::No);
        assert!(!loses, "seed {seed}");
        parts += part;
    }
    println!("{} runs, {parts} lists that were parts", runs());
    assert!(parts as u64 > runs(), "{parts}");
}

#[test]
fn a_stamp_alone_loses() {
    assert_loses(Control::StampAlone);
}

#[test]
fn a_cursor_that_is_written_early_loses() {
    assert_loses(Control::Early);
}

/// The campaign finds what it looks for.
fn assert_loses(control: Control) {
    let runs = runs() / 3;
    let lost = (0..runs).filter(|seed| run(*seed, control).0).count();
    println!("{control:?}: {lost} of {runs} runs lose");
    assert!(lost as u64 > runs / 50, "{lost} of {runs}");
}
