//! Relays that come and go.

use crate::support::{Home, Process, handed_over, relay, relay_at};

#[test]
fn an_invitation_survives_the_loss_of_its_relay() {
    let (first, url) = relay();
    let place = url.trim_start_matches("ws://").to_owned();
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["--relay", &url, "--expires", "300"]);
    let invitation = handed_over(&invite.event("invitation"));
    first.kill();
    let offline = invite.event("offline");
    assert_eq!(offline["url"], url);
    let (_second, again) = relay_at(&place);
    assert_eq!(again, url);
    assert_eq!(invite.event("online")["url"], url);
    bob.join(&invitation).ok();
    invite.event("paired");
    invite.end().ok();
}

#[test]
fn an_inviter_waits_for_a_relay_that_is_not_there_yet() {
    let (first, url) = relay();
    first.kill();
    let alice = Home::new("alice@example.com");
    let mut invite = alice.start("invite", &["--relay", &url]);
    let offline = invite.event("offline");
    assert_eq!(offline["kind"], "relay_unreachable");
    assert!(
        offline["message"]
            .as_str()
            .is_some_and(|text| text.contains(&url))
    );
    let (_second, _) = relay_at(url.trim_start_matches("ws://"));
    invite.event("invitation");
    assert!(invite.heard.iter().any(|event| event["event"] == "online"));
}

#[test]
fn a_place_that_is_taken_cannot_be_listened_at() {
    let (_relay, url) = relay();
    let place = url.trim_start_matches("ws://");
    let second = Process::start(&["relay", "--listen", place]).end();
    assert_eq!(second.kind(), "cannot_listen");
    assert_eq!(
        Process::start(&["relay", "--listen", "nonsense"])
            .end()
            .kind(),
        "cannot_listen"
    );
}

#[test]
fn who_invites_while_the_relay_is_away_already_is_told_so() {
    let alice = Home::new("alice@example.com");
    let mut running = alice.start("run", &["--relay", "ws://127.0.0.1:1"]);
    let first = running.event("offline");
    let mut invite = alice.start("invite", &[]);
    assert_eq!(invite.event("offline"), first);
    running.interrupt().ok();
}
