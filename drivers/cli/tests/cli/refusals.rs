//! Pairings that must not happen, and what each side is told.

use std::time::Duration;

use crate::support::{Home, binary, handed_over, relay, run};

#[test]
fn a_used_invitation_is_refused_while_the_inviter_stays_and_unheard_afterwards() {
    let (_relay, url) = relay();
    let [alice, bob, carol] =
        ["alice", "bob", "carol"].map(|name| Home::new(&format!("{name}@example.com")));
    let mut invite = alice.start("invite", &["--relay", &url, "--linger", "8"]);
    let invitation = handed_over(&invite.event("invitation"));
    bob.join(&invitation).ok();
    invite.event("paired");
    let refused = carol.join(&invitation);
    assert_eq!(refused.kind(), "invitation_refused");
    assert!(["token", "identity"].contains(&refused.error()["step"].as_str().expect("a step")));
    let invited = invite.end();
    assert!(
        invited.stderr.contains("the invitation was used"),
        "{}",
        invited.stderr
    );
    invited.ok();
    let unheard = carol.join(&invitation);
    assert_eq!(unheard.kind(), "nobody_listening");
    assert_eq!(unheard.error()["step"], "ready");
    assert!(carol.contacts().is_empty());
    assert_eq!(alice.contacts(), [bob.person()]);
}

#[test]
fn an_expired_invitation_is_refused_and_the_inviter_says_since_when() {
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start(
        "invite",
        &["--listen", "127.0.0.1:0", "--expires", "1", "--linger", "6"],
    );
    let invitation = handed_over(&invite.event("invitation"));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(bob.join(&invitation).kind(), "invitation_refused");
    let invited = invite.end();
    assert_eq!(invited.kind(), "invitation_expired");
    assert!(
        invited.stderr.contains("the invitation expired "),
        "{}",
        invited.stderr
    );
    assert!(bob.contacts().is_empty() && alice.contacts().is_empty());
}

#[test]
fn a_revoked_invitation_ends_the_inviter_and_is_refused() {
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["--listen", "127.0.0.1:0", "--linger", "6"]);
    let event = invite.event("invitation");
    let id = event["id"].as_str().expect("an id");
    let revoked = alice.run("invitations", &["--revoke", id]).ok();
    assert_eq!(revoked[0]["count"], 1);
    assert_eq!(bob.join(&handed_over(&event)).kind(), "invitation_refused");
    let invited = invite.end();
    assert_eq!(invited.kind(), "invitation_revoked");
    assert!(
        invited.stderr.contains("the invitation was revoked"),
        "{}",
        invited.stderr
    );
}

#[test]
fn a_wrong_token_is_refused() {
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["--listen", "127.0.0.1:0"]);
    let mut event = invite.event("invitation");
    event["invitation"]["token"] = "x".repeat(64).into();
    assert_eq!(bob.join(&handed_over(&event)).kind(), "invitation_refused");
    let invited = invite.interrupt();
    assert!(
        invited.stderr.contains("the invitation is unknown"),
        "{}",
        invited.stderr
    );
}

#[test]
fn of_two_that_use_one_invitation_at_once_one_pairs() {
    let (_relay, url) = relay();
    let [alice, bob, carol] =
        ["alice", "bob", "carol"].map(|name| Home::new(&format!("{name}@example.com")));
    let mut invite = alice.start("invite", &["--relay", &url, "--linger", "5"]);
    let invitation = handed_over(&invite.event("invitation"));
    let joins = [
        bob.start("join", &[&invitation]),
        carol.start("join", &[&invitation]),
    ];
    let ends = joins.map(crate::support::Process::end);
    let paired = ends.iter().filter(|end| end.status.success()).count();
    assert_eq!(paired, 1, "{:?} {:?}", ends[0].events, ends[1].events);
    let refused = ends.iter().find(|end| !end.status.success()).expect("one");
    assert_eq!(refused.kind(), "invitation_refused");
    invite.end().ok();
    assert_eq!(alice.contacts().len(), 1);
}

#[test]
fn nobody_pairs_with_oneself_or_the_same_person() {
    let alice = Home::new("alice@example.com");
    let mut invite = alice.start("invite", &["--listen", "127.0.0.1:0"]);
    let invitation = handed_over(&invite.event("invitation"));
    assert_eq!(alice.join(&invitation).kind(), "own_invitation");
    let other_device = Home::new("alice@example.com");
    let same = other_device.join(&invitation);
    assert!(
        ["same_person", "closed_by_peer"].contains(&same.kind()),
        "{}",
        same.kind()
    );
    invite.interrupt();
}

#[test]
fn what_is_no_invitation_is_said_to_be_none() {
    let bob = Home::new("bob@example.com");
    for bad in [
        "",
        "{}",
        "nonsense",
        "https://one.example/#%7B%",
        "{\"token\":\"x\"}",
    ] {
        assert_eq!(bob.join(bad).kind(), "bad_invitation", "{bad}");
    }
}

#[test]
fn a_relay_that_is_not_there_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let bob = Home::new("bob@example.com");
    let key = bob.identity["personKeyPublic"]
        .as_str()
        .expect("a key")
        .replace('0', "1");
    let token = "t".repeat(64);
    let url = format!("ws://127.0.0.1:{port}");
    let invitation = format!("{{\"token\":\"{token}\",\"publicKey\":\"{key}\",\"url\":\"{url}\"}}");
    let joined = bob.join(&invitation);
    assert_eq!(joined.kind(), "relay_unreachable");
    assert_eq!(joined.error()["step"], "dial");
    let message = joined.error()["message"].as_str().expect("text");
    assert!(
        message.contains(&format!("no relay answered at {url}; is it running?")),
        "{message}"
    );
}

#[test]
fn a_relay_that_says_nothing_runs_into_the_time_limit_of_its_step() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        chumwire_async_std::async_std::task::block_on(async move {
            let (stream, _) = chumwire_async_std::async_std::net::TcpListener::from(listener)
                .accept()
                .await?;
            // Opened, and never read from.
            let open = async_tungstenite::accept_async(stream).await;
            std::thread::sleep(crate::support::LIMIT);
            drop(open);
            std::io::Result::Ok(())
        })
    });
    let bob = Home::new("bob@example.com");
    let key = bob.identity["personKeyPublic"].as_str().expect("a key");
    let token = "t".repeat(64);
    let joined = bob.join(&format!(
        "{{\"token\":\"{token}\",\"publicKey\":\"{key}\",\"url\":\"ws://{place}\"}}"
    ));
    assert_eq!(joined.kind(), "timeout");
    assert_eq!(joined.error()["step"], "ready");
}

#[test]
fn bad_usage_exits_with_2_and_says_so_as_json_too() {
    for args in [
        &["invite"][..],
        &["unheard-of"],
        &["relay"],
        &[
            "invite", "--home", "x", "--relay", "ws://a", "--listen", "b:1",
        ],
        &[],
    ] {
        let said = run(args);
        assert_eq!(said.status.code(), Some(2), "{args:?}");
        assert_eq!(
            said.events.last().expect("an event")["kind"],
            "usage",
            "{args:?}"
        );
        assert!(!said.stderr.is_empty());
        let plain = binary().args(args).output().expect("it runs");
        assert_eq!(plain.status.code(), Some(2), "{args:?}");
        assert!(plain.stdout.is_empty());
    }
    let alice = Home::new("alice@example.com");
    let nowhere = alice.run("invite", &[]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert_eq!(nowhere.events[0]["kind"], "usage");
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [["--help"], ["--version"]] {
        let said = binary().args(args).output().expect("it runs");
        assert!(said.status.success() && !said.stdout.is_empty());
    }
}
