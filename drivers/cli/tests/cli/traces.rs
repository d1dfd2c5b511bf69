//! Traces of real processes: recorded, explained, drawn, compared, run again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ended, Home, Process, handed_over, run};

/// Where the traces of one pairing go.
struct Files(TempDir);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().expect("text").into()
    }
}

const PARTIES: [&str; 3] = ["relay", "alice", "bob"];

/// Alice invites, Bob joins; everybody traces, with and without secrets.
fn traced_pairing() -> (Files, String) {
    let files = Files(TempDir::new().expect("a directory"));
    let of = |who: &str| {
        [
            "--trace".to_owned(),
            files.name(&format!("{who}.open")),
            "--trace-secrets".to_owned(),
            files.name(&format!("{who}.secret")),
        ]
    };
    let args = of("relay");
    let args: Vec<&str> = ["relay", "--listen", "127.0.0.1:0"]
        .into_iter()
        .chain(args.iter().map(String::as_str))
        .collect();
    let mut relay = Process::start(&args);
    let url = relay.event("listening")["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let args = of("alice");
    let args: Vec<&str> = ["--relay", &url]
        .into_iter()
        .chain(args.iter().map(String::as_str))
        .collect();
    let mut invite = alice.start("invite", &args);
    let invitation = invite.event("invitation");
    let link = invitation["link"].as_str().expect("a link");
    let args = of("bob");
    let args: Vec<&str> = [link]
        .into_iter()
        .chain(args.iter().map(String::as_str))
        .collect();
    bob.run("join", &args).ok();
    invite.end().ok();
    relay.interrupt().ok();
    let token = invitation["invitation"]["token"].as_str().expect("a token");
    (files, token.to_owned())
}

fn explained(path: &str) -> Value {
    let events = run(&["explain", path]).ok();
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].clone()
}

#[test]
fn a_pairing_is_recorded_by_all_three_and_each_runs_again() {
    let (files, token) = traced_pairing();
    for who in PARTIES {
        let secret = files.name(&format!("{who}.secret"));
        let mode = fs::metadata(&secret).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{who}");
        let again = run(&["sim", "replay", &secret]).ok();
        assert_eq!(again[0]["event"], "replayed", "{who}");
        assert!(
            again[0]["effects"].as_u64().is_some_and(|n| n > 20),
            "{who}: {again:?}"
        );

        let open = files.name(&format!("{who}.open"));
        let text = fs::read_to_string(&open).expect("a trace");
        assert!(!text.contains(&token) && !text.contains("alice@"), "{who}");
        assert_eq!(run(&["sim", "replay", &open]).kind(), "not_replayable");
        let told = explained(&open);
        assert_eq!(told["event"], "explanation");
        assert_eq!(told["cause"], "nothing_wrong", "{who}: {told}");
        assert_eq!(told["paired"], u64::from(who != "relay"), "{who}: {told}");
        let drawn = run(&["sim", "draw", &open]).ok();
        let drawn = drawn[0]["text"].as_str().expect("a picture");
        assert!(drawn.contains("communication_request"), "{who}\n{drawn}");
        assert_eq!(run(&["sim", "diff", &open, &open]).ok()[0]["same"], true);
    }
    let all = PARTIES.map(|who| files.name(&format!("{who}.open")));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let told = &run(&[&["explain"], &all[..]].concat()).ok()[0];
    assert_eq!(
        (&told["cause"], &told["paired"]),
        (&"nothing_wrong".into(), &2.into())
    );
    let drawn = &run(&[&["sim", "draw"], &all[..]].concat()).ok()[0];
    let drawn = drawn["text"].as_str().expect("a picture");
    for name in ["relay", "alice", "bob", "identity"] {
        assert!(drawn.contains(name), "{name}\n{drawn}");
    }
    let (alice, bob) = (files.name("alice.open"), files.name("bob.open"));
    let parted = &run(&["sim", "diff", &alice, &bob]).ok()[0];
    assert_eq!(parted["same"], false);
    assert!(
        parted["line"].as_u64().is_some_and(|line| line >= 2),
        "{parted}"
    );
}

/// With one byte of a message changed, the trace is another run.
#[test]
fn a_forged_trace_does_not_replay() {
    let (files, token) = traced_pairing();
    let path = files.path("bob.secret");
    let text = fs::read_to_string(&path).expect("a trace");
    assert!(text.contains(&token), "it has everything");
    let forged = text.replacen(&token, &format!("A{}", &token[1..]), 1);
    fs::write(&path, forged).expect("it is written");
    let ended = run(&["sim", "replay", path.to_str().expect("text")]);
    assert!(
        !format!("{:?}", ended.events).contains(&token[1..]),
        "no secret is told"
    );
    if !token.starts_with('A') {
        assert_eq!(ended.kind(), "diverged");
    }
}

fn failing(files: &Files, args: &[&str], name: &str) -> (Ended, Value) {
    let path = files.name(name);
    let ended = run(&[args, &["--trace", &path]].concat());
    (ended, explained(&path))
}

#[test]
fn failures_of_real_processes_are_explained() {
    let files = Files(TempDir::new().expect("a directory"));
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let home = bob.path();
    let home = home.to_str().expect("text");

    // The inviter is gone, and so is its port.
    let mut invite = alice.start("invite", &["--listen", "127.0.0.1:0"]);
    let gone = handed_over(&invite.event("invitation"));
    invite.kill();
    let (_, told) = failing(&files, &["join", "--home", home, &gone], "gone");
    assert_eq!(told["cause"], "unreachable", "{told}");
    assert_eq!(told["step"], "dial");

    // It is back at a relay, but not under this key.
    let mut relay = Process::start(&["relay", "--listen", "127.0.0.1:0"]);
    let url = relay.event("listening")["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    let mut elsewhere: Value = serde_json::from_str(&gone).expect("JSON");
    elsewhere["url"] = url.clone().into();
    let elsewhere = elsewhere.to_string();
    let (_, told) = failing(&files, &["join", "--home", home, &elsewhere], "nobody");
    assert_eq!(told["cause"], "nobody_listening", "{told}");

    // The acceptor knows why it refused; the initiator only that it was.
    let path = files.name("inviter");
    let mut invite = alice.start(
        "invite",
        &["--relay", &url, "--trace", &path, "--linger", "60"],
    );
    let good = handed_over(&invite.event("invitation"));
    let mut wrong: Value = serde_json::from_str(&good).expect("JSON");
    wrong["token"] = "A".repeat(64).into();
    let (_, told) = failing(
        &files,
        &["join", "--home", home, &wrong.to_string()],
        "wrong",
    );
    assert_eq!(told["cause"], "peer_closed", "{told}");
    drop(invite.interrupt());
    assert_eq!(explained(&path)["cause"], "invitation_unknown");
    // Both sides together: one knows.
    let both = run(&["explain", &files.name("wrong"), &path]).ok();
    assert_eq!(both[0]["cause"], "invitation_unknown", "{both:?}");
    assert_eq!(both[0]["others"], Value::Array(Vec::new()), "{both:?}");
    relay.interrupt().ok();
}

#[test]
fn what_is_no_trace_is_refused() {
    let files = Files(TempDir::new().expect("a directory"));
    let nonsense = files.name("nonsense");
    fs::write(&nonsense, "hello\n").expect("it is written");
    for command in [&["explain"][..], &["sim", "draw"], &["sim", "replay"]] {
        assert_eq!(run(&[command, &[&nonsense]].concat()).kind(), "bad_trace");
        assert_eq!(
            run(&[command, &["/nowhere/at/all"]].concat()).kind(),
            "bad_trace"
        );
    }
    let alice = Home::new("alice@example.com");
    let ended = alice.run(
        "invite",
        &["--listen", "127.0.0.1:0", "--trace", "/nowhere/at/all"],
    );
    assert_eq!(ended.kind(), "trace_unusable");
    assert!(Path::new(&nonsense).exists());
}
