//! Every committed input of every target goes through its body, on a stable compiler: the minimised corpora, and the
//! inputs that once broke something, by their names.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use chumwire_fuzz_bodies::{TARGETS, run};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What is in a folder, by name; nothing if there is none.
fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a name in UTF-8")
        })
        .collect()
}

fn names() -> BTreeSet<String> {
    TARGETS.iter().map(|target| target.name.into()).collect()
}

/// Runs all inputs of a folder of folders; gives what failed, and how many there were.
fn replayed(folder: &Path, run: impl Fn(&str, &[u8]) + RefUnwindSafe) -> (Vec<String>, usize) {
    let (mut failed, mut count) = (Vec::new(), 0);
    for target in entries(folder) {
        for name in entries(&folder.join(&target)) {
            let bytes = fs::read(folder.join(&target).join(&name)).expect("an input");
            count += 1;
            if catch_unwind(|| run(&target, &bytes)).is_err() {
                failed.push(format!("{target}/{name}"));
            }
        }
    }
    (failed, count)
}

#[test]
fn no_input_of_a_corpus_breaks_anything() {
    let (failed, count) = replayed(&fuzz().join("corpus"), run);
    assert_eq!(failed, [""; 0]);
    assert!(count >= TARGETS.len());
}

/// The control: a body that breaks at one of its inputs is named with that input, and with no other.
#[test]
fn what_breaks_is_named() {
    let (failed, count) = replayed(&fuzz().join("regressions"), |target, bytes| {
        assert!(target != "history" || bytes.is_empty(), "as planted");
    });
    assert_eq!(failed, ["history/schedule-longer-than-its-history"]);
    assert!(count > failed.len());
}

#[test]
fn no_input_that_once_broke_something_does_so_again() {
    let (failed, _) = replayed(&fuzz().join("regressions"), run);
    assert_eq!(failed, [""; 0]);
}

#[test]
fn each_target_has_its_program_its_corpus_and_its_row() {
    let programs: BTreeSet<String> = entries(&fuzz().join("targets"))
        .iter()
        .map(|file| file.trim_end_matches(".rs").to_owned())
        .collect();
    assert_eq!(programs, names(), "fuzz/targets");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    for target in TARGETS {
        let (name, program) = (
            target.name,
            fuzz().join(format!("targets/{}.rs", target.name)),
        );
        let bin = format!("[[bin]]\nname = \"{name}\"\npath = \"targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "{name} in fuzz/Cargo.toml");
        let program = fs::read_to_string(program).expect("a program");
        assert!(
            program.contains(&format!("run(\"{name}\", bytes)")),
            "{name} runs itself"
        );
        let corpus = entries(&fuzz().join("corpus").join(name));
        assert!(!corpus.is_empty(), "fuzz/corpus/{name} is empty");
        assert!(corpus.len() <= 600, "fuzz/corpus/{name} is to be minimised");
    }
    assert_eq!(entries(&fuzz().join("corpus")), names(), "fuzz/corpus");
    assert!(
        entries(&fuzz().join("regressions")).is_subset(&names()),
        "fuzz/regressions"
    );
    assert!(TARGETS.is_sorted_by_key(|target| target.name));
}

#[test]
fn the_table_of_the_documentation_is_that_of_the_code() {
    let page = fuzz().join("../docs/assurance-fuzzing.md");
    let page = fs::read_to_string(page).expect("the page");
    for target in TARGETS {
        let row = format!(
            "| `{}` | {} | {} |",
            target.name, target.goes_in, target.asserted
        );
        assert!(page.contains(&row), "a row that begins {row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), TARGETS.len());
}
