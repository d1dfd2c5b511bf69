//! Which test reaches which mutants, and whether one of them notices.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A test that takes longer than this many times its time without a mutant hangs; and longer than this many seconds.
const TIMES: u32 = 10;
const SECONDS: u64 = 10;
/// A test that takes longer is not asked: it would be, by each mutant that it reaches.
const LONGEST: Duration = Duration::from_secs(4);
/// What a test may have of memory, in KiB: a mutant may ask for all there is.
const MEMORY: &str = "ulimit -v 6000000; exec \"$@\"";
/// Tests that are shorter are asked first, all at once.
const SHORT: Duration = Duration::from_millis(150);

pub(crate) struct Test {
    program: PathBuf,
    name: String,
    takes: Duration,
}

/// The tests, the shortest first, and which of them reach a mutant.
pub(crate) struct Map {
    pub(crate) tests: Vec<Test>,
    pub(crate) reached: BTreeMap<usize, Vec<usize>>,
}

/// How it ended, and the test that noticed, or the first of those that did.
pub(crate) enum Ending<'a> {
    Caught(&'a str),
    Hung(&'a str),
    Missed,
}

/// Runs each test once, with no mutant on.
pub(crate) fn map(tree: &Path, programs: &[PathBuf], state: &Path) -> Map {
    let (mut tests, mut reaching) = (Vec::new(), Vec::new());
    let file = state.join("reached");
    for program in programs {
        let listed = Command::new(program)
            .args(["--list", "--format=terse"])
            .current_dir(tree)
            .output();
        let listed =
            String::from_utf8(listed.expect("a test program").stdout).expect("names of tests");
        for name in listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
        {
            let _ = fs::remove_file(&file);
            let began = Instant::now();
            let mut command = command(tree, program, [name]);
            let status = command
                .env("WEAVE_MUTANT", "0")
                .env("WEAVE_REACHED", &file)
                .status()
                .expect("a test program");
            if !status.success() {
                println!("{name} fails without a mutant, and is not asked");
                continue;
            }
            if began.elapsed() > LONGEST {
                println!("{name} takes too long, and is not asked");
                continue;
            }
            let numbers = fs::read_to_string(&file).unwrap_or_default();
            let numbers: BTreeSet<usize> = numbers
                .lines()
                .filter_map(|line| line.parse().ok())
                .collect();
            tests.push(Test {
                program: program.clone(),
                name: name.to_string(),
                takes: began.elapsed(),
            });
            reaching.push(numbers);
        }
    }
    let mut order: Vec<usize> = (0..tests.len()).collect();
    order.sort_by_key(|test| tests[*test].takes);
    let mut reached: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for test in order {
        for number in &reaching[test] {
            reached.entry(*number).or_default().push(test);
        }
    }
    Map { tests, reached }
}

impl Map {
    /// Asks the tests that reach a mutant: the short ones of a program at once, then the others, each alone.
    pub(crate) fn try_mutant(&self, tree: &Path, number: usize) -> Ending<'_> {
        let tests = self.reached.get(&number).map_or(&[][..], Vec::as_slice);
        let tests = tests.iter().map(|test| &self.tests[*test]);
        let (short, long): (Vec<_>, Vec<_>) = tests.partition(|test| test.takes < SHORT);
        let mut together: BTreeMap<&Path, Vec<&Test>> = BTreeMap::new();
        for test in short {
            together.entry(&test.program).or_default().push(test);
        }
        let together = together
            .into_values()
            .chain(long.into_iter().map(|test| vec![test]));
        for tests in together {
            let takes: Duration = tests.iter().map(|test| test.takes).sum();
            let names = tests.iter().map(|test| test.name.as_str());
            let mut command = command(tree, &tests[0].program, names);
            command.env("WEAVE_MUTANT", number.to_string());
            match within(command, takes * TIMES + Duration::from_secs(SECONDS)) {
                None => return Ending::Hung(&tests[0].name),
                Some(false) => return Ending::Caught(&tests[0].name),
                Some(true) => {}
            }
        }
        Ending::Missed
    }
}

fn command<'a>(tree: &Path, program: &Path, names: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", MEMORY, "sh"])
        .arg(program)
        .args(["--exact", "--test-threads=1"])
        .args(names);
    command
        .current_dir(tree)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // A failure that proptest finds is not to be a part of the next mutant's run.
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
    command
}

/// Whether it ended well; `None` if it had to be stopped.
fn within(mut command: Command, limit: Duration) -> Option<bool> {
    let mut child = command.spawn().expect("a test program");
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status.success());
        }
        thread::sleep(Duration::from_millis(3));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
