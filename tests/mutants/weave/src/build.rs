//! Weaves and builds until the compiler takes it: a mutant that it refuses is left out and the rest woven anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::list::Mutant;
use crate::weave;

/// The numbers of the mutants that are in the build, and the test programs.
pub(crate) fn build(
    root: &Path,
    tree: &Path,
    mutants: &[Mutant],
    tests: &[String],
) -> (BTreeSet<usize>, Vec<PathBuf>) {
    let mut dropped = BTreeSet::new();
    loop {
        let woven = write(root, tree, mutants, &dropped);
        let (is_taken, messages) = cargo(tree, &["check"]);
        if is_taken {
            let mut arguments = vec!["test", "--no-run"];
            arguments.extend(tests.iter().map(String::as_str));
            let (is_built, messages) = cargo(tree, &arguments);
            assert!(is_built, "the tests cannot be built");
            return (woven, programs(&messages));
        }
        let refused = refused(tree, &messages);
        assert!(!refused.is_empty(), "the crate cannot be built");
        println!("{} mutants are refused by the compiler", refused.len());
        dropped.extend(refused);
    }
}

fn write(
    root: &Path,
    tree: &Path,
    mutants: &[Mutant],
    dropped: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let mut files: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
    for (number, mutant) in (1..).zip(mutants) {
        let file = files.entry(&mutant.file).or_default();
        if !dropped.contains(&number) {
            file.push((number, mutant));
        }
    }
    let mut all = BTreeSet::new();
    for (file, mutants) in files {
        let text = fs::read_to_string(root.join(file)).expect("a source of the crate");
        let (text, woven) = weave::weave(&text, &mutants);
        fs::write(tree.join(file), text).expect("the tree can be written");
        all.extend(woven);
    }
    let library = fs::read_to_string(root.join("src/lib.rs")).expect("the crate's root");
    let library = format!(
        "#![feature(const_eval_select, core_intrinsics)]\n#![allow(internal_features)]\n{library}"
    );
    let library = library
        + "\n#[doc(hidden)]\n#[allow(missing_docs, unreachable_pub, clippy::all)]\npub mod mutant;\n";
    fs::write(tree.join("src/lib.rs"), library).expect("the tree can be written");
    fs::write(tree.join("src/mutant.rs"), include_str!("mutant.rs"))
        .expect("the tree can be written");
    all
}

/// Whether a call of cargo ended well, and its messages.
fn cargo(tree: &Path, arguments: &[&str]) -> (bool, Vec<Value>) {
    let mut command = Command::new("cargo");
    command.args(&arguments[..1]);
    command.args(["--release", "--package=chumwire", "--message-format=json"]);
    command
        .args(&arguments[1..])
        .current_dir(tree)
        .stderr(Stdio::inherit());
    // What a mutant leaves unused is no error; and see `mutant.rs`.
    command
        .env("RUSTFLAGS", "--cap-lints=allow")
        .env("RUSTC_BOOTSTRAP", "chumwire");
    let output = command.output().expect("cargo can be called");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    (output.status.success(), messages.collect())
}

/// The mutants that errors are about. Where one is at no mutant, it is the last one before it that changed what the
/// compiler infers.
fn refused(tree: &Path, messages: &[Value]) -> BTreeSet<usize> {
    let mut refused = BTreeSet::new();
    for message in messages
        .iter()
        .map(|message| &message["message"])
        .filter(|message| message["level"] == "error")
    {
        let spans = message["spans"].as_array().into_iter().flatten();
        for span in spans.filter(|span| span["is_primary"] == true) {
            let (Some(file), Some(line)) =
                (span["file_name"].as_str(), span["line_start"].as_u64())
            else {
                continue;
            };
            let text = fs::read_to_string(tree.join(file)).unwrap_or_default();
            let number = weave::mutant_at(&text, line as usize);
            refused.insert(
                number.unwrap_or_else(|| panic!("no mutant is at {}", message["rendered"])),
            );
        }
    }
    refused
}

fn programs(messages: &[Value]) -> Vec<PathBuf> {
    let programs = messages
        .iter()
        .filter_map(|message| message["executable"].as_str());
    programs.map(PathBuf::from).collect()
}
