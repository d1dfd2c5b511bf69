//! All mutants of some modules in one build, and each of them tried. `tests/mutants/run` says how it is called.

mod build;
mod list;
mod tests;
mod weave;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::Ending;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, state, part, jobs, tests @ ..] = &arguments[..] else {
        eprintln!("weave ROOT STATE K/N JOBS TEST...");
        std::process::exit(2);
    };
    let (root, state, tree) = (
        Path::new(root),
        Path::new(state),
        Path::new(state).join("tree"),
    );
    let (part, parts) = part.split_once('/').expect("K/N");
    let (part, parts): (usize, usize) = (part.parse().expect("a number"), part_count(parts));
    let mutants = list::read(&state.join("list.json"));
    let (woven, programs) = build::build(root, &tree, &mutants, tests);
    println!(
        "{} of {} mutants are woven into one build",
        woven.len(),
        mutants.len()
    );
    // For cargo-mutants, which does the rest.
    let names: Vec<&str> = woven
        .iter()
        .map(|number| mutants[number - 1].name.as_str())
        .collect();
    fs::write(state.join("woven"), names.join("\n") + "\n").expect("the state can be written");
    let map = tests::map(&tree, &programs, state);
    println!(
        "{} tests reach {} of them",
        map.tests.len(),
        map.reached.len()
    );

    let told = ["caught", "timeout"].map(|outcome| lines(&state.join(outcome)));
    let done: BTreeSet<&String> = told.iter().flatten().collect();
    let left = woven
        .iter()
        .copied()
        .filter(|number| number % parts == part);
    let left: Vec<usize> = left
        .filter(|number| !done.contains(&mutants[number - 1].name))
        .collect();
    let (next, count) = (AtomicUsize::new(0), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..jobs.parse::<usize>().expect("a number of jobs") {
            scope.spawn(|| {
                while let Some(&number) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (outcome, by) = match map.try_mutant(&tree, number) {
                        Ending::Caught(by) => ("caught", by),
                        Ending::Hung(by) => ("timeout", by),
                        Ending::Missed => ("missed", ""),
                    };
                    let name = &mutants[number - 1].name;
                    let mut count = count.lock().expect("no panic while it is held");
                    *count += 1;
                    append(&state.join(outcome), name);
                    println!("{}/{} {outcome} {name} {by}", *count, left.len());
                }
            });
        }
    });
}

fn part_count(parts: &str) -> usize {
    parts
        .parse()
        .ok()
        .filter(|parts| *parts > 0)
        .expect("a number of parts")
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(str::to_string)
        .collect()
}

fn append(path: &Path, line: &str) {
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    writeln!(file.expect("the state can be written"), "{line}").expect("the state can be written");
}
