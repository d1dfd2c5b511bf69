//! A home that a process has open is reached through it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use chumwire::crypto::{Purpose, Random};
use serde_json::{Value, json};

use crate::support::{Home, handed_over, relay};

#[test]
fn every_command_works_while_run_has_the_home_open() {
    let (_relay, url) = relay();
    let [alice, bob, carol] =
        ["alice", "bob", "carol"].map(|name| Home::new(&format!("{name}@example.com")));
    let mut running = alice.start("run", &["--relay", &url]);
    assert_eq!(running.event("online")["url"], url);
    let socket = std::fs::metadata(alice.path().join("control.sock")).expect("the socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);

    assert_eq!(
        alice.run("whoami", &[]).ok(),
        std::slice::from_ref(&alice.identity)
    );
    let mut invite = alice.start("invite", &[]);
    let event = invite.event("invitation");
    let listed = alice.run("invitations", &[]).ok();
    assert_eq!(listed[0]["event"], "open_invitation");
    assert_eq!(listed[0]["id"], event["id"]);
    assert_eq!(listed[1]["count"], 1);
    bob.join(&handed_over(&event)).ok();
    assert_eq!(
        invite.end().ok().last().expect("an event")["personId"],
        bob.person()
    );
    assert_eq!(running.event("paired")["personId"], bob.person());
    assert_eq!(alice.contacts(), [bob.person()]);

    let mut theirs = carol.start("invite", &["--relay", &url]);
    let theirs_event = theirs.event("invitation");
    alice.join(&handed_over(&theirs_event)).ok();
    theirs.end().ok();
    assert_eq!(alice.contacts().len(), 2);
    let forgotten = alice.run("forget", &["bob@example.com"]).ok();
    assert_eq!(forgotten[0]["personId"], bob.person());
    assert_eq!(
        alice.run("forget", &["bob@example.com"]).kind(),
        "not_paired"
    );
    let prefix = carol.person()[..8].to_uppercase();
    assert_eq!(
        alice.run("forget", &[&prefix]).ok()[0]["personId"],
        carol.person()
    );
    assert!(alice.contacts().is_empty());

    let mut unused = alice.start("invite", &["--relay", &url]);
    unused.event("invitation");
    assert_eq!(
        alice.run("invitations", &["--revoke-all"]).ok()[0]["count"],
        1
    );
    assert_eq!(unused.end().kind(), "invitation_revoked");
    assert_eq!(
        alice.run("invite", &["--relay", "ws://127.0.0.1:1"]).kind(),
        "other_relay"
    );
    assert_eq!(alice.run("run", &[]).kind(), "home_in_use");
    running.interrupt().ok();
    assert!(!alice.path().join("control.sock").exists());
    assert!(alice.contacts().is_empty());
}

#[test]
fn an_invitation_made_for_one_command_is_served_until_the_other_is_done() {
    let [alice, bob, carol] =
        ["alice", "bob", "carol"].map(|name| Home::new(&format!("{name}@example.com")));
    let mut first = alice.start("invite", &["--listen", "127.0.0.1:0"]);
    let first_event = first.event("invitation");
    let mut second = alice.start("invite", &[]);
    let second_event = second.event("invitation");
    bob.join(&handed_over(&first_event)).ok();
    first.event("paired");
    carol.join(&handed_over(&second_event)).ok();
    assert_eq!(
        second.end().ok().last().expect("an event")["personId"],
        carol.person()
    );
    first.end().ok();
    assert_eq!(alice.contacts().len(), 2);
}

#[test]
fn the_socket_of_a_killed_process_is_replaced() {
    let alice = Home::new("alice@example.com");
    let mut running = alice.start("run", &["--listen", "127.0.0.1:0"]);
    running.event("online");
    running.kill();
    assert!(alice.path().join("control.sock").exists());
    assert_eq!(
        alice.run("whoami", &[]).ok(),
        std::slice::from_ref(&alice.identity)
    );
    let mut running = alice.start("run", &["--listen", "127.0.0.1:0"]);
    running.event("online");
    assert_eq!(
        alice.run("whoami", &[]).ok(),
        std::slice::from_ref(&alice.identity)
    );
    running.interrupt().ok();
}

#[test]
fn a_home_with_a_long_path_has_its_socket_elsewhere() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let long = dir.path().join("x".repeat(120));
    let path = long.to_str().expect("text");
    let init = ["init", "--home", path, "--email", "alice@example.com"];
    let identity = crate::support::run(&init).ok();
    let mut running =
        crate::support::Process::start(&["run", "--home", path, "--listen", "127.0.0.1:0"]);
    running.event("online");
    let socket = std::fs::read_to_string(long.join("control.path")).expect("where it is");
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(socket.as_ref()), 0o600);
    assert_eq!(
        mode(std::path::Path::new(&socket).parent().expect("a directory")),
        0o700
    );
    assert_eq!(
        crate::support::run(&["whoami", "--home", path]).ok(),
        identity
    );
    running.interrupt().ok();
    assert!(!std::path::Path::new(&socket).exists());
}

#[test]
fn nonsense_on_the_socket_is_answered_and_harms_nobody() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixStream;

    let alice = Home::new("alice@example.com");
    let mut running = alice.start("run", &["--listen", "127.0.0.1:0"]);
    running.event("online");
    let ask = |text: &[u8]| {
        let mut stream = UnixStream::connect(alice.path().join("control.sock")).expect("a socket");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a limit");
        // It may hang up before it has read all.
        let _ = stream.write_all(text);
        let mut answer = String::new();
        let _ = BufReader::new(stream).read_line(&mut answer);
        answer
    };
    assert!(ask(b"nonsense\n").contains("control_version"));
    assert!(ask(b"{\"version\":2,\"request\":\"whoami\"}\n").contains("control_version"));
    assert!(ask(b"{\"version\":1,\"request\":\"unheard-of\"}\n").contains("control_version"));
    assert!(ask(b"{\"version\":1,\"request\":\"contacts\"}\n").contains("\"count\":0"));
    assert_eq!(ask(&[b'x'; 100_000]), "");
    assert_eq!(
        alice.run("whoami", &[]).ok(),
        std::slice::from_ref(&alice.identity)
    );
    running.interrupt().ok();
}

#[test]
fn commands_that_meet_at_a_home_wait_for_each_other() {
    let alice = Home::new("alice@example.com");
    let all: Vec<_> = (0..6).map(|_| alice.start("whoami", &[])).collect();
    let mut running = alice.start("run", &["--listen", "127.0.0.1:0"]);
    for one in all {
        assert_eq!(one.end().ok(), std::slice::from_ref(&alice.identity));
    }
    running.event("online");
    running.terminate().ok();
}

/// Whoever can reach the socket may say anything: each request ends with an answer, and the process goes on.
#[test]
fn whatever_is_asked_at_the_socket_is_answered() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixStream;

    let alice = Home::new("alice@example.com");
    let mut running = alice.start("run", &["--listen", "127.0.0.1:0"]);
    running.event("online");
    let mut random = Random::new([5; 32]);
    let mut answers = std::collections::BTreeMap::<String, usize>::new();
    for n in 0..600 {
        let asked = json!({"version": 1, "request": request(&mut random)});
        let mut text = asked.to_string().into_bytes();
        if n % 3 == 0 {
            let at = below(&mut random, text.len());
            let other = ["", "0", "\"", "}", "[", "\\u0000"][n / 3 % 6];
            text.splice(at..=at, other.bytes());
        }
        let mut stream =
            UnixStream::connect(alice.path().join("control.sock")).expect("it goes on");
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).expect("a limit");
        text.push(b'\n');
        stream.write_all(&text).expect("it reads");
        let mut answer = String::new();
        let read = BufReader::new(stream).read_line(&mut answer);
        read.unwrap_or_else(|error| panic!("{asked}: {error}"));
        let answer = serde_json::from_str::<Value>(&answer);
        let answer = answer.unwrap_or_else(|error| panic!("{asked}: {error}"));
        let kind = match &answer["failed"]["kind"] {
            Value::String(kind) => kind.clone(),
            _ => "good".into(),
        };
        *answers.entry(kind).or_default() += 1;
    }
    assert!(answers["good"] > 50, "{answers:?}");
    assert!(answers["control_version"] > 50, "{answers:?}");
    assert!(answers.len() > 6, "{answers:?}");
    assert!(!answers.contains_key("internal"), "{answers:?}");
    assert_eq!(alice.run("contacts", &[]).ok().len(), 1);
    running.interrupt().ok();
}

fn below(random: &mut Random, most: usize) -> usize {
    random.below(Purpose::Jitter, most as u64) as usize
}

/// A request that can be read, of anything.
fn request(random: &mut Random) -> Value {
    let hash = "ab".repeat(32);
    let long = "x".repeat(100_000);
    let texts = [
        "",
        "alice@example.com",
        &hash,
        &hash[1..],
        &long,
        "ws://127.0.0.1:1",
        "wss://[::1]:0",
        "127.0.0.1:0",
        "127.0.0.1:99999",
        "{\"token\":\"\",\"publicKey\":\"\",\"url\":\"\"}",
        "\u{202e}\u{1b}[2J\0",
        "/nowhere/../at\0all",
    ];
    let mut text = || texts[below(random, texts.len())].to_owned();
    let (one, other, third) = (text(), text(), text());
    let maybe = [json!(null), json!(other)];
    let mut any = |of: &[Value]| of[below(random, of.len())].clone();
    let numbers = [0, 1, 60, u64::MAX / 1_000, u64::MAX].map(|n| json!(n));
    let truth = [json!(true), json!(false)];
    let all = [
        json!("whoami"),
        json!("contacts"),
        json!("invitations"),
        json!("revoke_all"),
        json!("list"),
        json!({"merge": {"one": one, "other": other}}),
        json!({"split": {"contact": one, "persons": [other, third]}}),
        json!({"forget": {"person": one, "delete_history": any(&truth)}}),
        json!({"revoke": {"id": one}}),
        json!({"invite": {"relay": any(&maybe), "listen": any(&maybe), "url": any(&maybe),
                          "expires": any(&numbers), "linger": any(&numbers)}}),
        json!({"join": {"invitation": one}}),
        json!({"put": {"paths": [one], "text": any(&truth), "share": [other]}}),
        json!({"share": {"hash": one, "person": other}}),
        json!({"unshare": {"hash": one, "person": other}}),
        json!({"get": {"hash": one}}),
        json!({"debug": {"person": one}}),
        json!({"chat": {"person": one, "send": any(&maybe), "follow": any(&truth)}}),
    ];
    any(&all)
}
