//! The core is pure: no clock, no entropy, no I/O, no thread, no lock, no unordered map, no unsafe code. That it
//! builds without `std` is checked by the CI script, which compiles it with `--no-default-features`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that the core may depend on.
const DEPENDENCIES: &[&str] = &[
    "chacha20",
    "crypto_box",
    "crypto_secretbox",
    "dryoc",
    "ed25519-dalek",
    "salsa20",
    "serde",
    "serde_json",
    "sha2",
    "subtle",
    "thiserror",
    "x25519-dalek",
    "zeroize",
];

/// What the core must not say, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::", "the core is no_std"),
    ("extern crate std", "the core is no_std"),
    ("print!", "the core does no I/O"),
    ("println!", "the core does no I/O"),
    ("eprint!", "the core does no I/O"),
    ("eprintln!", "the core does no I/O"),
    ("dbg!", "the core does no I/O"),
    ("SystemTime", "the core reads no clock"),
    ("Instant::now", "the core reads no clock"),
    ("thread", "the core spawns nothing"),
    ("sleep", "the core does not wait"),
    ("Mutex", "the core does not lock"),
    ("RwLock", "the core does not lock"),
    ("RefCell", "state is owned, not shared"),
    ("UnsafeCell", "state is owned, not shared"),
    ("thread_local!", "there is no global state"),
    ("static mut", "there is no global state"),
    ("OnceCell", "there is no global state"),
    (
        "HashMap",
        "the order of its entries is not a function of the inputs",
    ),
    (
        "HashSet",
        "the order of its entries is not a function of the inputs",
    ),
    ("getrandom", "all randomness comes from the seed"),
    ("rand::", "all randomness comes from the seed"),
    ("OsRng", "all randomness comes from the seed"),
    ("thread_rng", "all randomness comes from the seed"),
    ("unsafe", "there is no unsafe code"),
    ("todo!", "nothing is left open"),
    ("unimplemented!", "nothing is left open"),
];

/// Counts secrets for the unit tests, and is compiled for them alone.
const FOR_UNIT_TESTS: &str = "crypto/live.rs";

/// The attribute by which the crate itself rules unsafe code out.
const FORBID_UNSAFE: &str = "#![forbid(unsafe_code)]";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The code of a line: no comment, no text between quotes.
fn code(line: &str) -> String {
    let mut kept = String::new();
    let mut characters = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = characters.next() {
        match c {
            '\\' if quoted => drop(characters.next()),
            // The character literal '"' opens nothing.
            '\'' if characters.peek() == Some(&'"') => drop(characters.next()),
            '"' => quoted = !quoted,
            '/' if !quoted && characters.peek() == Some(&'/') => break,
            _ if !quoted => kept.push(c),
            _ => {}
        }
    }
    kept
}

/// Whether `word` stands in `code` by itself, not as a part of a longer name.
fn says(code: &str, word: &str) -> bool {
    let in_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        let after = code[at + word.len()..].chars().next();
        let part_of_another = in_name(code[..at].chars().next_back());
        let goes_on = in_name(word.chars().next_back()) && in_name(after);
        !part_of_another && !goes_on
    })
}

/// `[section]` → the names of its entries, with the rest of their lines.
fn manifest() -> BTreeMap<String, Vec<(String, String)>> {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let mut sections: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((name, value)) = line.split_once('=') {
            let entry = (name.trim().to_owned(), value.trim().to_owned());
            sections.entry(section.clone()).or_default().push(entry);
        }
    }
    sections
}

#[test]
fn the_core_depends_on_nothing_but_the_allow_list() {
    let sections = manifest();
    let names: Vec<&str> = sections["dependencies"]
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert_eq!(
        names, DEPENDENCIES,
        "the dependencies of the core, in order of their names"
    );
    for section in sections.keys() {
        let of_the_core = section.starts_with("dependencies.")
            || section.starts_with("build-dependencies")
            || section.starts_with("target.");
        assert!(!of_the_core, "[{section}] would escape this test");
    }
}

#[test]
fn no_dependency_brings_std_by_itself() {
    let sections = manifest();
    let workspace: BTreeMap<_, _> = sections["workspace.dependencies"].iter().cloned().collect();
    for (name, value) in &sections["dependencies"] {
        let value = if value.contains("workspace = true") {
            &workspace[name]
        } else {
            value
        };
        assert!(
            value.contains("default-features = false"),
            "{name} comes with default features"
        );
        let features = value
            .split_once("features = [")
            .map_or("", |(_, list)| list);
        assert!(!features.contains("\"std\""), "{name} comes with std");
    }
}

#[test]
fn the_crate_is_no_std_and_forbids_unsafe_code() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("a library");
    assert!(lib.lines().any(|line| line == "#![no_std]"));
    assert!(lib.lines().any(|line| line == FORBID_UNSAFE));
    assert!(!lib.contains("cfg_attr"), "no_std is not conditional");
}

/// Demands: M1.4.
#[test]
fn the_sources_say_nothing_forbidden() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    assert!(files.len() > 40, "all of the sources are looked at");
    let mut found = Vec::new();
    let home = fs::read_to_string(root().join("src/crypto/mod.rs")).expect("a source");
    assert!(home.contains("#[cfg(test)]\nmod live;"));
    files.retain(|file| !file.ends_with(FOR_UNIT_TESTS));
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        for (number, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| *line != FORBID_UNSAFE)
        {
            for (word, why) in FORBIDDEN {
                if says(&code(line), word) {
                    found.push(format!("{}:{}: {word}: {why}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_search_finds_words_and_not_parts_of_words() {
    assert!(says("let now = Instant::now();", "Instant::now"));
    assert!(says("use std::fs;", "std::"));
    assert!(!says("crypto_std::x", "std::"));
    assert!(!says("my_thread_count", "thread"));
    assert!(!says(&code("let x = \"unsafe\"; // unsafe, too"), "unsafe"));
    assert!(says(&code("let q = '\"'; unsafe {}"), "unsafe"));
}
