//! Spec to code: each demand of docs/protocol.md is cited by a test, and no test cites what is no demand.
//!
//! A citation is a line of a test's documentation, `/// Demands: M2.2, M3.1.` It says that the test fails when that
//! demand is not kept; tests/demands shows it for some of them, by patches that take a demand out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Demands = BTreeSet<String>;
/// The tests that cite a demand: file and name.
type Citations = BTreeMap<String, BTreeSet<(String, String)>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The demands of the protocol document: `- **M2.1** A reader MUST …`.
fn demands(document: &str) -> Demands {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("- **")?.split_once("** "))
        .map(|(number, _)| number.to_owned())
        .collect()
}

/// The sources in a folder, and in those below.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The functions that run once with each suite; the macro makes them tests.
fn with_both_suites(text: &str) -> BTreeSet<&str> {
    text.split("with_both_suites!(")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .flat_map(|(names, _)| names.split(','))
        .map(str::trim)
        .collect()
}

/// What a source cites: the demands with the names of the tests, and the citations that stand at no test.
fn citations(text: &str) -> (Vec<(String, String)>, Vec<String>) {
    let generic = with_both_suites(text);
    let (mut cited, mut astray) = (Vec::new(), Vec::new());
    let (mut pending, mut is_test): (Vec<String>, bool) = Default::default();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            if let Some(list) = comment.trim().strip_prefix("Demands: ") {
                let list = list.trim_end_matches('.');
                pending.extend(list.split(", ").map(str::to_owned));
            }
        } else if line.starts_with("#[") {
            is_test |= line == "#[test]";
        } else {
            let name = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split(['(', '<']).next());
            match name {
                Some(name) if is_test || generic.contains(name) => {
                    cited.extend(pending.drain(..).map(|number| (number, name.to_owned())));
                }
                _ => astray.append(&mut pending),
            }
            is_test = false;
        }
    }
    (cited, astray)
}

/// All citations of the workspace. One that stands at no test fails.
fn all_citations() -> Citations {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests"), &mut files);
    for driver in fs::read_dir(root().join("drivers")).expect("the drivers") {
        let driver = driver.expect("a readable entry").path();
        sources(&driver.join("src"), &mut files);
        sources(&driver.join("tests"), &mut files);
    }
    let mut all = Citations::new();
    for file in files {
        let name = file.strip_prefix(root()).expect("it is below");
        // This file says how a citation looks.
        if name == Path::new("tests/citations.rs") {
            continue;
        }
        let (cited, astray) = citations(&read(&file));
        assert!(
            astray.is_empty(),
            "{}: {astray:?} is cited at what is no test",
            name.display()
        );
        for (number, test) in cited {
            let place = (name.display().to_string(), test);
            all.entry(number).or_default().insert(place);
        }
    }
    all
}

#[test]
fn every_demand_is_cited_by_a_test() {
    let demands = demands(&read(&root().join("docs/protocol.md")));
    assert!(demands.len() > 60, "the document has {}", demands.len());
    let cited: Demands = all_citations().into_keys().collect();
    let missing: Vec<_> = demands.difference(&cited).collect();
    assert!(missing.is_empty(), "no test cites {missing:?}");
    let unknown: Vec<_> = cited.difference(&demands).collect();
    assert!(unknown.is_empty(), "there are no demands {unknown:?}");
}

/// What the list of tests/demands says of each patch: which test fails then. It has to cite the demand.
#[test]
fn every_patch_is_listed_with_a_test_that_cites_its_demand() {
    let (cited, folder) = (all_citations(), root().join("tests/demands"));
    let mut listed = BTreeSet::new();
    for line in read(&folder.join("list")).lines() {
        let fields: Vec<_> = line.split('|').map(str::trim).collect();
        let [demand, patch, arguments] = fields[..] else {
            assert!(line.starts_with('#'), "{line}");
            continue;
        };
        let path = folder.join(patch);
        assert!(path.is_file(), "{patch} is missing");
        // Tests in modules are named with them.
        let name = arguments.rsplit([' ', ':']).next();
        let cites = cited
            .get(demand)
            .is_some_and(|tests| tests.iter().any(|(_, test)| Some(test.as_str()) == name));
        assert!(cites, "{arguments} does not cite {demand}");
        listed.insert(patch.to_owned());
    }
    assert!(listed.len() >= 20, "there are {}", listed.len());
    for entry in fs::read_dir(&folder).expect("the patches") {
        let name = entry.expect("a readable entry").file_name();
        let name = name.to_string_lossy();
        let is_missing = name.ends_with(".patch") && !listed.contains(&*name);
        assert!(!is_missing, "{name} is not in the list");
    }
}

#[test]
fn citations_are_found_where_they_stand_and_nowhere_else() {
    let text = "
with_both_suites!(generic, other);
/// What it is about.
/// Demands: M1.1, M2.3.
#[test]
fn a_test() {}
    /// Demands: MX.1.
    #[test]
    fn inside(n in 0..3) {
/// Demands: M1.2.
fn generic<S: Suite>() {}
/// Demands: M9.9.
fn helper() {}
// Demands: M8.8.
#[test]
fn silent() {}
";
    let (cited, astray) = citations(text);
    let cited: Vec<_> = cited
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    assert_eq!(
        cited,
        [
            ("M1.1", "a_test"),
            ("M2.3", "a_test"),
            ("MX.1", "inside"),
            ("M1.2", "generic"),
        ]
    );
    assert_eq!(astray, ["M9.9"]);
    assert_eq!(
        demands("- **M0.1** A reader MUST …\n**M0.2** no\n- *M0.3* no"),
        Demands::from(["M0.1".to_owned()])
    );
}
