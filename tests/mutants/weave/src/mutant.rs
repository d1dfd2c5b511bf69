//! Which mutant is on. `weave` puts this module into a copy of the crate, never into the crate.

extern crate std;
use std::env::var;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::string::{String, ToString as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ON: OnceLock<u32> = OnceLock::new();
static REACHED: [AtomicBool; 8192] = [const { AtomicBool::new(false) }; 8192];

/// Whether this mutant is on. What the compiler works out has none.
#[inline]
pub const fn is(mutant: u32) -> bool {
    core::intrinsics::const_eval_select((mutant,), never, is_now)
}

const fn never(_: u32) -> bool {
    false
}

/// The one that `WEAVE_MUTANT` names is on. If that is 0, none is, and each that is reached is written to the file
/// `WEAVE_REACHED`.
#[inline]
fn is_now(mutant: u32) -> bool {
    let on = *ON.get_or_init(|| var("WEAVE_MUTANT").map_or(u32::MAX, |on| on.parse().unwrap_or(u32::MAX)));
    if on == 0 {
        reached(mutant);
    }
    on == mutant
}

#[cold]
fn reached(mutant: u32) {
    if REACHED[mutant as usize].swap(true, Ordering::Relaxed) {
        return;
    }
    let mut line: String = mutant.to_string();
    line.push('\n');
    let file = OpenOptions::new().append(true).create(true).open(var("WEAVE_REACHED").unwrap());
    file.unwrap().write_all(line.as_bytes()).unwrap();
}
