//! `chumwire demo`.

use crate::support::{binary, run};

#[test]
fn the_demonstration_pairs_and_shows_every_message() {
    let events = run(&["demo"]).ok();
    let (last, messages) = events.split_last().expect("a last line");
    assert_eq!(last["event"], "demo");
    assert_eq!(last["paired"], true);
    assert_eq!(last["synced"], true);
    assert!(last["ms"].as_u64().is_some_and(|ms| ms < 20_000), "{last}");
    assert_eq!(last["messages"], messages.len());
    let mut names: Vec<String> = messages
        .iter()
        .map(|m| {
            assert_eq!(m["event"], "message");
            assert!(m["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
            let word = |of: &str| m[of].as_str().expect("text").to_owned();
            format!(
                "{}>{} {} {}",
                word("from"),
                word("to"),
                word("layer"),
                word("message")
            )
        })
        .collect();
    let expected = [
        "acceptor>relay relay register",
        "relay>acceptor relay connection_handover",
        "initiator>relay handshake communication_request",
        "acceptor>initiator handshake communication_ready",
        "acceptor>initiator pairing identity",
        "initiator>acceptor pairing identity",
    ];
    for message in expected {
        let at = names
            .iter()
            .position(|name| name == message)
            .expect(message);
        names.remove(at);
    }
    assert!(names.len() >= 15, "{names:?}");
}

#[test]
fn the_demonstration_is_drawn_for_people() {
    let said = binary().arg("demo").output().expect("it runs");
    let text = String::from_utf8(said.stdout).expect("text");
    assert!(said.status.success(), "{text}");
    assert!(
        text.contains("alice@example.com and bob@example.com are paired and in step"),
        "{text}"
    );
    assert!(text.contains("|-- register, "), "{text}");
}
