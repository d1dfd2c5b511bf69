//! The README's program is the example, to the letter, and it pairs.

#[path = "../examples/two_peers.rs"]
mod two_peers;

#[test]
fn the_readme_shows_the_example() {
    let readme = include_str!("../README.md");
    let example = include_str!("../examples/two_peers.rs");
    assert!(readme.contains(example.trim_end()), "README.md and examples/two_peers.rs differ");
    assert!(example.lines().count() <= 60, "it fits a page");
}

#[test]
fn the_example_pairs() {
    two_peers::main();
}
