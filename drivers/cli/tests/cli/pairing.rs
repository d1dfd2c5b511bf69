//! Two homes pair.

use serde_json::Value;

use crate::support::{Home, Process, handed_over, relay, run};

fn assert_paired(event: &Value, role: &str, with: &Home) {
    assert_eq!(event["event"], "paired");
    assert_eq!(event["role"], role);
    for member in ["personId", "instanceId", "email", "name"] {
        assert_eq!(event[member], with.identity[member], "{member}");
    }
}

#[test]
fn four_processes_pair_through_a_relay_and_each_names_the_other() {
    let (relay, url) = relay();
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["--relay", &url]);
    let invitation = invite.event("invitation");
    assert_eq!(invite.heard.len(), 1, "a script reads it as the first line");
    assert_eq!(
        invitation["invitation"]["publicKey"],
        alice.identity["instanceKeyPublic"]
    );
    assert_eq!(invitation["invitation"]["url"], url);
    let joined = bob.join(&handed_over(&invitation)).ok();
    assert_paired(joined.last().expect("an event"), "initiator", &alice);
    let invited = invite.end().ok();
    assert_paired(invited.last().expect("an event"), "acceptor", &bob);

    assert_eq!(alice.contacts(), [bob.person()]);
    assert_eq!(bob.contacts(), [alice.person()]);
    let contact = &bob.run("contacts", &[]).ok()[0];
    let device = &contact["instances"][0];
    assert_eq!(contact["email"], "alice@example.com");
    assert_eq!(device["instanceId"], alice.identity["instanceId"]);
    assert_eq!(
        device["instanceKeyPublic"],
        alice.identity["instanceKeyPublic"]
    );
    assert_eq!(device["url"], url);
    assert_eq!(device["keyProven"], true);
    assert!(
        device["pairedAt"]
            .as_u64()
            .is_some_and(|at| at > 1_600_000_000_000)
    );
    relay.interrupt().ok();
}

#[test]
fn two_homes_pair_directly_by_link() {
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["--listen", "localhost:0"]);
    let invitation = invite.event("invitation");
    let url = invitation["invitation"]["url"].as_str().expect("a url");
    assert!(url.starts_with("ws://localhost:"), "{url}");
    let link = invitation["link"].as_str().expect("a link");
    let joined = bob.run("join", &[link]).ok();
    assert_paired(joined.last().expect("an event"), "initiator", &alice);
    assert_paired(
        invite.end().ok().last().expect("an event"),
        "acceptor",
        &bob,
    );
}

#[test]
fn the_url_of_an_invitation_can_be_another_than_the_one_listened_at() {
    let alice = Home::new("alice@example.com");
    let mut invite = alice.start(
        "invite",
        &["--listen", "0.0.0.0:0", "--url", "wss://alice.example/one"],
    );
    assert_eq!(
        invite.event("invitation")["invitation"]["url"],
        "wss://alice.example/one"
    );
    assert_eq!(invite.interrupt().kind(), "interrupted");
}

#[test]
fn pairing_through_tls_trusts_the_named_authority_alone() {
    let files = tempfile::TempDir::new().expect("a directory");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let (cert, key) = (cert.to_str().expect("text"), key.to_str().expect("text"));
    let args = [
        "relay",
        "--listen",
        "localhost:0",
        "--tls-cert",
        cert,
        "--tls-key",
        key,
    ];
    let mut relay = Process::start(&args);
    let url = relay.event("listening")["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    assert!(url.starts_with("wss://localhost:"), "{url}");

    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["--relay", &url, "--tls-ca", cert]);
    let invitation = handed_over(&invite.event("invitation"));
    assert_eq!(bob.join(&invitation).kind(), "tls_failed");
    let joined = bob.run("join", &[&invitation, "--tls-ca", cert]).ok();
    assert_paired(joined.last().expect("an event"), "initiator", &alice);
    invite.end().ok();
}

#[test]
fn no_secret_is_on_stderr() {
    let (relay, url) = relay();
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    let mut invite = alice.start("invite", &["-v", "--relay", &url]);
    let invitation = invite.event("invitation");
    let token = invitation["invitation"]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let home = bob.path();
    let joined = run(&[
        "join",
        "-v",
        "--home",
        home.to_str().expect("text"),
        &handed_over(&invitation),
    ]);
    let logs = [
        joined.stderr.clone(),
        invite.end().stderr,
        relay.interrupt().stderr,
    ];
    assert!(joined.status.success(), "{logs:?}");
    assert!(logs[1].contains("paired with bob@example.com"), "{logs:?}");
    assert!(logs.iter().all(|log| !log.contains(&token)), "{logs:?}");
    let secrets = std::fs::read(alice.path().join("chumwire.redb")).expect("the store");
    assert!(
        !secrets
            .windows(token.len())
            .any(|part| part == token.as_bytes()),
        "a stored token"
    );
}
