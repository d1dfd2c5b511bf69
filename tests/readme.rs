//! The README's program is the example, to the letter. That it compiles and pairs is shown by the documentation tests.

#[test]
fn the_readme_shows_the_example() {
    let readme = include_str!("../README.md");
    let example = include_str!("../examples/two_peers.rs");
    assert!(
        readme.contains(example.trim_end()),
        "README.md and examples/two_peers.rs differ"
    );
    assert!(example.lines().count() <= 60, "it fits a page");
}
