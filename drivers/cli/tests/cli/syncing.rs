//! Two homes are kept in step: files, grants, what is told of it, and kills at random moments.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Home, Process, handed_over, relay};

/// Two homes that are paired, and the relay that both wait at.
struct Paired {
    _relay: Process,
    url: String,
    alice: Home,
    bob: Home,
}

fn paired() -> Paired {
    let (relay, url) = relay();
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["--relay", &url]);
    let invitation = handed_over(&invite.event("invitation"));
    bob.join(&invitation).ok();
    invite.end().ok();
    Paired {
        _relay: relay,
        url,
        alice,
        bob,
    }
}

impl Paired {
    fn once(&self) -> [Value; 2] {
        let args = ["--relay", self.url.as_str(), "--once"];
        let alice = self.alice.start("run", &args);
        let bob = self.bob.run("run", &args).ok();
        let alice = alice.end().ok();
        [alice, bob].map(|events| {
            let last = events.last().expect("an event").clone();
            assert_eq!(last["event"], "synced", "{events:?}");
            assert_eq!(last["failed"], 0, "{last}");
            last
        })
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The `stored` events of a `put`.
fn put(home: &Home, args: &[&str]) -> Vec<Value> {
    let events = home.run("put", args).ok();
    assert!(
        events.iter().all(|event| event["event"] == "stored"),
        "{events:?}"
    );
    events
}

fn get(home: &Home, hash: &Value) -> Vec<u8> {
    let file = home.dir.path().join("out");
    let hash = hash.as_str().expect("a hash");
    let got = home.run("get", &[hash, "-o", text(&file)]).ok();
    assert_eq!(got[0]["event"], "got");
    fs::read(file).expect("it was written")
}

/// Bytes that are the same for the same number.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_directory_a_long_file_and_a_text_arrive_byte_for_byte_and_only_once() {
    let both = paired();
    let dir = both.alice.dir.path().join("files");
    fs::create_dir_all(dir.join("sub")).expect("a directory");
    for n in 0..120 {
        let path = dir.join(if n % 2 == 0 { "sub" } else { "." });
        fs::write(path.join(format!("{n}.bin")), bytes(n, n as usize * 37)).expect("a file");
    }
    let long = both.alice.dir.path().join("long.bin");
    fs::write(&long, bytes(7, 3_000_000)).expect("a file");
    let story = both.alice.dir.path().join("story.txt");
    let words = "Grüße <&> ".repeat(9_000);
    fs::write(&story, &words).expect("a file");

    let share = ["--share", "bob@example.com"];
    let paths = [text(&dir), text(&long), share[0], share[1]];
    let mut stored = put(&both.alice, &paths);
    assert_eq!(stored.len(), 121);
    stored.extend(put(
        &both.alice,
        &[text(&story), "--text", share[0], share[1]],
    ));
    let back = both.bob.dir.path().join("back.txt");
    fs::write(&back, "an answer").expect("a file");
    let answer = put(&both.bob, &[text(&back), "--share", both.alice.person()]);

    let [alice, bob] = both.once();
    // The empty file, and each with its descriptor.
    assert_eq!(bob["received"], 2 * 122);
    assert_eq!(alice["sent"], bob["received"]);
    assert_eq!((&alice["received"], &bob["sent"]), (&2.into(), &2.into()));
    for event in stored.iter().step_by(10).chain(stored.last()) {
        let path = event["path"].as_str().expect("a path");
        let is = get(&both.bob, &event["blob"]);
        assert!(is == fs::read(path).expect("a file"), "{path}");
    }
    assert_eq!(get(&both.alice, &answer[0]["blob"]), b"an answer");
    let descriptor = get(&both.bob, &stored[0]["object"]);
    assert!(descriptor.starts_with(b"<div itemscope itemtype=\"//refin.io/BlobDescriptor\">"));
    let listed = both.bob.run("ls", &[]).ok();
    assert_eq!(listed.last().expect("an end")["count"], 123);

    let again = both.once();
    for side in again {
        assert_eq!((&side["received"], &side["sent"]), (&0.into(), &0.into()));
    }
    let contact = &both.bob.run("contacts", &[]).ok()[0];
    assert_eq!(contact["online"], false);
    assert!(
        contact["syncedAt"]
            .as_u64()
            .is_some_and(|at| at > 1_600_000_000_000)
    );
}

#[test]
fn what_is_shared_while_both_are_online_arrives_at_once_and_what_is_taken_back_does_not() {
    let both = paired();
    let args = ["--relay", both.url.as_str()];
    let mut alice = both.alice.start("run", &args);
    let mut bob = both.bob.start("run", &args);
    bob.event("synced");
    let dir = both.alice.dir.path();
    fs::write(dir.join("one"), bytes(1, 100_000)).expect("a file");
    fs::write(dir.join("two"), "two").expect("a file");
    let one = put(
        &both.alice,
        &[text(&dir.join("one")), "--share", "bob@example.com"],
    );
    let synced = bob.event("synced");
    assert_eq!(synced["received"], 2, "{synced}");
    assert!(get(&both.bob, &one[0]["blob"]) == bytes(1, 100_000));

    // Put in, and shared later.
    let two = put(&both.alice, &[text(&dir.join("two"))]);
    let hash = two[0]["object"].as_str().expect("a hash");
    let shared = both.alice.run("share", &[hash, both.bob.person()]).ok();
    assert_eq!(shared[0]["event"], "shared");
    assert_eq!(bob.event("synced")["received"], 2);
    assert_eq!(get(&both.bob, &two[0]["blob"]), b"two");
    let contact = &both.alice.run("contacts", &[]).ok()[0];
    assert_eq!(contact["online"], true);
    assert_eq!(alice.event("synced")["personId"], both.bob.person());
    bob.terminate().ok();

    // Taken back before the other one has looked.
    fs::write(dir.join("three"), "three").expect("a file");
    let three = put(
        &both.alice,
        &[text(&dir.join("three")), "--share", "bob@example.com"],
    );
    let hash = three[0]["object"].as_str().expect("a hash");
    both.alice.run("unshare", &[hash, "bob@example.com"]).ok();
    let bob = both
        .bob
        .run("run", &["--relay", &both.url, "--once", "--timeout", "30"])
        .ok();
    assert_eq!(bob.last().expect("an event")["received"], 0, "{bob:?}");
    assert_eq!(both.bob.run("get", &[hash]).kind(), "not_found");
    alice.terminate().ok();
}

#[test]
fn nobody_gets_what_was_granted_to_another() {
    let both = paired();
    let carol = Home::new("carol@example.com");
    let mut invite = both.alice.start("invite", &["--relay", &both.url]);
    let invitation = handed_over(&invite.event("invitation"));
    carol.join(&invitation).ok();
    invite.end().ok();
    let file = both.alice.dir.path().join("for-bob");
    fs::write(&file, "for bob").expect("a file");
    put(&both.alice, &[text(&file), "--share", "bob@example.com"]);
    let args = ["--relay", both.url.as_str(), "--once", "--timeout", "20"];
    let alice = both.alice.start("run", &["--relay", both.url.as_str()]);
    let theirs = carol.run("run", &args).ok();
    assert_eq!(theirs.last().expect("an event")["received"], 0);
    let theirs = both.bob.run("run", &args).ok();
    assert_eq!(theirs.last().expect("an event")["received"], 2);
    assert_eq!(carol.run("ls", &[]).ok().len(), 1, "nothing but the end");
    alice.terminate().ok();
}

#[test]
fn a_contact_is_shown_what_it_may_see_if_that_is_served() {
    let both = paired();
    let file = both.alice.dir.path().join("seen");
    fs::write(&file, "seen").expect("a file");
    let stored = put(&both.alice, &[text(&file), "--share", "bob@example.com"]);
    put(&both.alice, &[text(&both.alice.dir.path().join("seen"))]);
    let args = ["--relay", both.url.as_str()];
    let mut closed = both.alice.start("run", &args);
    closed.event("online");
    let bob = both.bob.start("run", &args);
    assert_eq!(
        both.bob.run("debug", &["alice@example.com"]).kind(),
        "not_served"
    );
    closed.terminate().ok();
    let mut open = both
        .alice
        .start("run", &["--relay", &both.url, "--serve-debug"]);
    open.event("online");
    let seen = both.bob.run("debug", &["alice@example.com"]).ok();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0]["hash"], stored[0]["object"]);
    assert_eq!(seen[0]["type"], "BlobDescriptor");
    bob.terminate().ok();
    open.terminate().ok();
}

/// The texts of a history, and who said each.
fn said(home: &Home, with: &Home) -> Vec<(String, String)> {
    let events = home.run("chat", &[with.person(), "--history"]).ok();
    let (last, lines) = events.split_last().expect("an end");
    assert_eq!(last["count"], lines.len());
    lines
        .iter()
        .map(|line| {
            assert_eq!(line["affirmed"], true, "{line}");
            let word = |name: &str| line[name].as_str().expect("text").to_owned();
            (word("sender"), word("text"))
        })
        .collect()
}

#[test]
fn two_talk_and_have_the_same_history_though_one_was_away() {
    let both = paired();
    let say = |home: &Home, with: &Home, text: &str| {
        home.run("chat", &[with.person(), "--send", text]).ok();
    };
    say(&both.alice, &both.bob, "are you there?");
    say(&both.bob, &both.alice, "I was away <&> \"back\" now");
    both.once();
    let args = ["--relay", both.url.as_str()];
    let alice = both.alice.start("run", &args);
    let mut bob = both.bob.start("run", &args);
    bob.event("synced");
    let home = both.bob.path();
    let args = ["chat", "--home", text(&home), "alice@example.com"];
    let spoken = Process::start_with(&args, Some("a line of the standard input\n"))
        .end()
        .ok();
    assert_eq!(spoken[2]["event"], "history", "{spoken:?}");
    say(&both.alice, &both.bob, "this arrives at once");
    for n in 0..5 {
        say(&both.bob, &both.alice, &format!("bob {n}"));
        say(&both.alice, &both.bob, &format!("alice {n}"));
    }
    alice.terminate().ok();
    bob.terminate().ok();
    both.once();
    both.once();
    let (at_alice, at_bob) = (said(&both.alice, &both.bob), said(&both.bob, &both.alice));
    assert_eq!(at_alice, at_bob);
    assert_eq!(at_alice.len(), 14, "{at_alice:?}");
    assert_eq!(at_alice[0].1, "are you there?");
    assert_eq!(at_alice[0].0, both.alice.person());
}

#[test]
fn two_homes_are_in_step_without_a_relay() {
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["--listen", "127.0.0.1:0"]);
    let invitation = invite.event("invitation");
    bob.join(&handed_over(&invitation)).ok();
    invite.end().ok();
    let url = invitation["invitation"]["url"].as_str().expect("a url");
    let place = url.trim_start_matches("ws://");
    let file = bob.dir.path().join("direct");
    fs::write(&file, "direct").expect("a file");
    let stored = put(&bob, &[text(&file), "--share", "alice@example.com"]);
    let listening = alice.start("run", &["--listen", place, "--once"]);
    let synced = bob.run("run", &["--once"]).ok();
    assert_eq!(synced.last().expect("an event")["sent"], 2);
    listening.end().ok();
    assert_eq!(get(&alice, &stored[0]["blob"]), b"direct");
}

#[test]
fn kills_at_random_moments_cost_nothing_in_the_end() {
    let both = paired();
    let dir = both.alice.dir.path().join("files");
    fs::create_dir_all(&dir).expect("a directory");
    for n in 0..600 {
        fs::write(dir.join(n.to_string()), bytes(n, n as usize * 71)).expect("a file");
    }
    fs::write(dir.join("long"), bytes(9, 20_000_000)).expect("a file");
    let stored = put(&both.alice, &[text(&dir), "--share", "bob@example.com"]);
    let args = ["--relay", both.url.as_str()];
    for round in 0..10_u64 {
        let alice = both.alice.start("run", &args);
        let bob = both.bob.start("run", &args);
        std::thread::sleep(Duration::from_millis(150 + (round * 97) % 400));
        match round % 2 {
            0 => bob.kill(),
            _ => alice.kill(),
        }
        // What is listed is whole.
        for file in both.bob.run("ls", &[]).ok().iter().step_by(50) {
            if file["event"] == "file" {
                let length = get(&both.bob, &file["blob"]).len();
                assert_eq!(file["size"], length, "round {round}");
            }
        }
    }
    both.once();
    assert_eq!(both.bob.run("ls", &[]).ok().len(), stored.len() + 1);
    for event in stored.iter().step_by(40).chain(stored.last()) {
        let path = event["path"].as_str().expect("a path");
        let is = get(&both.bob, &event["blob"]);
        assert!(is == fs::read(path).expect("a file"), "{path}");
    }
    let again = both.once();
    assert_eq!(again[1]["received"], 0);
}

#[test]
fn what_cannot_be_done_says_why() {
    let both = paired();
    let nothing = "0".repeat(64);
    let binary = both.alice.dir.path().join("binary");
    fs::write(&binary, [0xff, 0xfe, 0]).expect("a file");
    let cases: &[(&str, &[&str], &str)] = &[
        ("put", &["/nowhere/at/all"], "unreadable"),
        ("put", &["/dev/zero"], "unreadable"),
        ("put", &[text(&binary), "--text"], "not_text"),
        (
            "put",
            &[text(&binary), "--share", "carol@example.com"],
            "not_paired",
        ),
        ("get", &["xyz"], "bad_hash"),
        ("get", &[&nothing], "not_found"),
        ("share", &[&nothing, "bob@example.com"], "not_found"),
        ("unshare", &[&nothing, "bob@example.com"], "not_shared"),
        ("run", &["--once", "--timeout", "1"], "nobody_reachable"),
    ];
    for (command, args, kind) in cases {
        assert_eq!(both.alice.run(command, args).kind(), *kind, "{command}");
    }
}
