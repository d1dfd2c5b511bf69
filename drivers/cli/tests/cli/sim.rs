//! The simulator as a command.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::run;

/// The rows of what goes wrong in the protocol's description.
const ROWS: &[&str] = &[
    "no-invitation",
    "wrong-key-in-invitation",
    "both-accept",
    "both-connect",
    "nonce-minus-one",
    "same-parity",
    "handover-burst",
    "handover-answer-early",
    "ping-in-flight",
    "group-before-key",
    "frame-overtakes-key",
    "reorder-frames",
    "duplicate-frame",
    "duplicate-flood",
    "lost-frame",
    "truncated-frame",
    "bit-flip",
    "mirror",
    "challenge-reflection",
    "unasked-pong",
    "spare-drain",
    "cross-connection",
    "pairing-on-all-spares",
    "plaintext-after-handshake",
    "missing-sync",
    "close-mid-step",
    "spare-dies-at-handover",
    "two-initiators-one-spare",
    "token-double-spend",
    "token-expires-midway",
    "token-replayed",
    "simultaneous-dial",
    "keepalive-edge",
    "nonce-exhaustion",
    "half-open-replay",
];

fn sim(args: &[&str]) -> Vec<Value> {
    let events = run(&[&["sim"], args].concat()).ok();
    assert!(
        events
            .iter()
            .all(|event| event["failed"].as_u64() == Some(0)),
        "{events:?}"
    );
    events
}

#[test]
fn every_row_is_listed_and_runs() {
    let listed = run(&["sim", "list"]).ok();
    let names: Vec<&str> = listed
        .iter()
        .filter_map(|event| event["name"].as_str())
        .collect();
    for row in ROWS {
        assert!(names.contains(row), "{row}");
    }
    let events = sim(&["run", "all", "--seeds", "0..3"]);
    let (all, each) = events.split_last().expect("a last line");
    assert_eq!(all["scenario"], "all");
    assert_eq!(all["runs"], names.len() * 3);
    let ran: Vec<&str> = each
        .iter()
        .filter_map(|event| event["scenario"].as_str())
        .collect();
    assert_eq!(ran, names);
}

#[test]
fn a_seed_is_a_run_in_every_process_and_its_trace_replays() {
    let dir = TempDir::new().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    for scenario in ["pairing", "reorder-frames", "crash-restart"] {
        let (one, two, three) = (path("one"), path("two"), path("three"));
        let first = &sim(&["run", scenario, "--seed", "7", "--trace", &one])[0];
        let again = &sim(&["run", scenario, "--seed", "7", "--trace", &two])[0];
        let other = &sim(&["run", scenario, "--seed", "8", "--trace", &three])[0];
        assert_eq!(first["traceHash"], again["traceHash"]);
        assert_ne!(first["traceHash"], other["traceHash"]);
        let bytes = fs::read(&one).expect("a trace");
        assert_eq!(bytes, fs::read(&two).expect("a trace"), "byte for byte");

        let replayed = &run(&["sim", "replay", &one]).ok()[0];
        assert_eq!(replayed["traceHash"], first["traceHash"]);
        assert_eq!(run(&["sim", "diff", &one, &three]).ok()[0]["same"], false);

        // What is no longer as it was is found.
        let text = String::from_utf8(bytes).expect("text");
        let at = text.rfind("\"bytes\":").expect("a message") + "\"bytes\":".len();
        fs::write(&two, format!("{}9{}", &text[..at], &text[at..])).expect("written");
        assert_eq!(run(&["sim", "replay", &two]).kind(), "diverged");
    }
}

#[test]
fn shards_are_the_whole_and_faults_and_windows_can_be_asked_for() {
    let runs = |args: &[&str]| {
        let events = sim(&[&["run", "handover-burst", "--seeds", "0..50"], args].concat());
        events[0]["runs"].as_u64().expect("a number")
    };
    let parts: u64 = ["0/3", "1/3", "2/3"]
        .iter()
        .map(|part| runs(&["--shard", part]))
        .sum();
    assert_eq!(parts, runs(&[]));
    assert_eq!(
        runs(&["--fault", "loss=0.2", "--fault", "duplicate=0.1"]),
        50
    );
    for chooser in ["swarm", "pct"] {
        assert_eq!(runs(&["--chooser", chooser, "--fault", "loss=0.1"]), 50);
    }
    let hash = |args: &[&str]| {
        sim(&[&["run", "pairing", "--seed", "1"], args].concat())[0]["traceHash"].clone()
    };
    assert_eq!(hash(&[]), hash(&[]));
    assert_ne!(hash(&[]), hash(&["--fault", "loss=0.5"]));
    assert_ne!(hash(&[]), hash(&["--reorder-window", "16"]));
}

/// The catalogue has no run that fails, so what is left is that each form finds its run. What a failing one becomes is
/// tested beside the command.
#[test]
fn a_run_that_does_not_fail_is_not_shrunk() {
    let dir = TempDir::new().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let (trace, bytes, out) = (path("trace"), path("bytes"), path("out"));
    let faults = ["--fault", "loss=0.1", "--reorder-window", "4"];
    let run_it = ["run", "pairing", "--seed", "3", "--trace", &trace];
    sim(&[&run_it, &faults[..]].concat());
    fs::write(&bytes, [7, 255, 1, 0, 9]).expect("written");
    for args in [
        &[trace.as_str()][..],
        &["pairing", "--bytes", &bytes],
        &["pairing", "--seed", "3", "--chooser", "swarm"],
        &[&["pairing", "--seed", "3"][..], &faults].concat(),
    ] {
        let ended = run(&[&["sim", "shrink", "-o", &out], args].concat());
        assert_eq!(ended.kind(), "not_failing", "{args:?}");
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        assert!(fs::metadata(&out).is_err(), "nothing is written");
    }

    // A trace that says that it fails is held to it.
    let text = fs::read_to_string(&trace).expect("a trace");
    let said = text.replacen(
        "\"schedule\":",
        "\"fails\":\"both have paired\",\"schedule\":",
        1,
    );
    fs::write(&trace, said).expect("written");
    assert_eq!(run(&["sim", "replay", &trace]).kind(), "diverged");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for args in [
        &["sim", "run", "no-such-race"][..],
        &["sim", "shrink", "no-such-race", "--seed", "1", "-o", "out"],
    ] {
        assert_eq!(run(args).kind(), "no_scenario");
    }
    let no_bytes = [
        "sim",
        "shrink",
        "pairing",
        "--bytes",
        "no-such-file",
        "-o",
        "out",
    ];
    assert_eq!(run(&no_bytes).kind(), "bad_bytes");
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("trace");
    let file = file.to_str().expect("text");
    let live = "{\"chumwire_trace\":1,\"origin\":\"live\",\"wall\":0}\n";
    fs::write(file, live).expect("written");
    let of_live = run(&["sim", "shrink", file, "-o", "out"]);
    assert_eq!(of_live.kind(), "not_replayable");
    for args in [
        &["sim", "run", "all", "--fault", "nonsense=0.1"][..],
        &["sim", "run", "all", "--fault", "loss=2"],
        &["sim", "run", "all", "--fault", "loss"],
        &["sim", "run", "all", "--seeds", "9..3"],
        &["sim", "run", "all", "--shard", "5/3"],
        &["sim", "run", "all", "--reorder-window", "65"],
        &["sim", "run", "all", "--seed", "1", "--seeds", "0..2"],
        &["sim", "shrink", "pairing", "-o", "out"],
        &["sim", "shrink", "pairing", "--seed", "1"],
        &[
            "sim", "shrink", "pairing", "--seed", "1", "--bytes", "b", "-o", "out",
        ],
        &["sim", "shrink", file, "--seed", "1", "-o", "out"],
    ] {
        let ended = run(args);
        assert_eq!(ended.status.code(), Some(2), "{args:?}");
        assert_eq!(
            ended.events.last().map(|event| &event["kind"]),
            Some(&"usage".into()),
            "{args:?}"
        );
    }
}

fn explored(args: &[&str]) -> Value {
    let events = run(&[&["sim", "explore"], args].concat()).ok();
    events.last().expect("a last line").clone()
}

#[test]
fn an_exploration_says_what_it_has_walked() {
    let all = explored(&["challenge-reflection", "--faults", "1"]);
    assert_eq!(all["event"], "explore");
    assert_eq!(
        (&all["complete"], &all["bound"]),
        (&true.into(), &Value::Null)
    );
    assert!(all["states"].as_u64() > Some(1_000) && all["finals"].as_u64() > Some(1));
    assert!(all["alphabet"].as_array().is_some_and(|all| all.len() > 10));
    let some = explored(&["pairing", "--faults", "2", "--depth", "5"]);
    assert_eq!(
        (&some["complete"], &some["bound"]),
        (&false.into(), &"depth".into())
    );
    assert_eq!(some["depth"], 5);
    let unknown = run(&["sim", "explore", "no-such-thing"]);
    assert_eq!(unknown.kind(), "no_scenario");
}

#[test]
fn an_exploration_can_be_put_away_and_gone_on_with() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("away").to_str().expect("text").to_owned();
    let whole = explored(&["pairing-direct", "--faults", "2"]);
    let args = ["pairing-direct", "--faults", "2", "--checkpoint", &file];
    let some = explored(&[&args[..], &["--states", "5000"]].concat());
    assert_eq!(
        (&some["complete"], &some["bound"]),
        (&false.into(), &"states".into())
    );
    let rest = explored(&args);
    assert_eq!(rest["complete"], true);
    for member in ["states", "moves", "finals", "depth"] {
        assert_eq!(rest[member], whole[member], "{member}");
    }
    let other = run(&[
        "sim",
        "explore",
        "pairing-direct",
        "--faults",
        "1",
        "--checkpoint",
        &file,
    ]);
    assert_eq!(other.kind(), "bad_checkpoint");
}
