//! The address book, as the command shows it: who is a contact, of which persons and devices, and what is shown of what
//! was said with them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Home, LIMIT, Process, handed_over, relay};

/// `one` invites `other`, through a relay.
fn pair(url: &str, one: &Home, other: &Home) {
    let mut invite = one.start("invite", &["--relay", url]);
    let invitation = handed_over(&invite.event("invitation"));
    other.join(&invitation).ok();
    invite.end().ok();
}

/// What `contacts` says of each.
fn contacts(home: &Home) -> Vec<Value> {
    let mut events = home.run("contacts", &[]).ok();
    events.retain(|event| event["event"] == "contact");
    events
}

/// The texts of a conversation, as it is shown.
fn history(home: &Home, with: &str) -> Vec<String> {
    let events = home.run("chat", &[with, "--history"]).ok();
    let lines = events.iter().filter(|event| event["event"] == "chat");
    lines
        .map(|line| line["text"].as_str().expect("a text").to_owned())
        .collect()
}

fn say(home: &Home, with: &str, text: &str) {
    home.run("chat", &[with, "--send", text]).ok();
}

/// A subcommand of `contacts`.
fn change(home: &Home, what: &str, args: &[&str]) -> crate::support::Ended {
    let path = home.path();
    let mut all = vec!["contacts", what, "--home", path.to_str().expect("text")];
    all.extend(args);
    Process::start(&all).end()
}

#[test]
fn contacts_are_shown_with_trust_and_merged_split_and_removed() {
    let (_relay, url) = relay();
    let alice = Home::new("alice@example.com");
    let (bob, work) = (Home::new("bob@example.com"), Home::new("bob@work.example"));
    pair(&url, &alice, &bob);
    pair(&url, &alice, &work);
    let shown = contacts(&alice);
    assert_eq!(shown.len(), 2);
    for contact in &shown {
        assert_eq!(
            (&contact["trusted"], &contact["main"]),
            (&true.into(), &true.into())
        );
        assert_eq!(contact["profiles"].as_array().map(Vec::len), Some(1));
        assert_eq!(contact["instances"].as_array().map(Vec::len), Some(1));
    }
    let of = |shown: &[Value], home: &Home| {
        let mut contacts = shown.iter();
        let contact = contacts.find(|contact| contact["personId"] == home.person());
        contact.expect("a contact")["someoneId"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let ids = [of(&shown, &bob), of(&shown, &work)];
    assert_ne!(ids[0], ids[1]);
    say(&alice, "bob@example.com", "to bob");
    say(&alice, "bob@work.example", "to bob at work");
    assert_eq!(history(&alice, "bob@example.com"), ["to bob"]);

    // One conversation with both; each person sees its own channel alone.
    let merged = change(&alice, "merge", &["bob@example.com", "bob@work.example"]).ok();
    assert_eq!(merged[0]["event"], "someone");
    assert_eq!(merged[0]["someoneId"], ids[0].as_str().min(&ids[1]));
    assert_eq!(merged[0]["persons"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        history(&alice, "bob@example.com"),
        ["to bob", "to bob at work"]
    );
    // The id that was merged away still leads to it.
    assert_eq!(history(&alice, ids[0].as_str().max(&ids[1])).len(), 2);
    let again = change(&alice, "merge", &["bob@example.com", "bob@work.example"]);
    assert_eq!(again.kind(), "one_contact");
    for home in [&bob, &work] {
        let args = ["--relay", url.as_str(), "--once"];
        let running = alice.start("run", &["--relay", &url]);
        home.run("run", &args).ok();
        running.terminate().ok();
    }
    assert_eq!(history(&bob, "alice@example.com"), ["to bob"]);
    assert_eq!(history(&work, "alice@example.com"), ["to bob at work"]);

    change(&alice, "split", &["bob@example.com", "bob@work.example"]).ok();
    assert_eq!(history(&alice, "bob@example.com"), ["to bob"]);
    let alone = change(&alice, "split", &["bob@example.com", "bob@example.com"]);
    assert_eq!(alone.kind(), "nobody_left");

    // Removed with its history, and paired with again: the same contact, and nothing of what was said before.
    let before = of(&contacts(&alice), &bob);
    alice
        .run("forget", &["bob@example.com", "--delete-history"])
        .ok();
    assert_eq!(contacts(&alice).len(), 1);
    assert_eq!(
        alice.run("chat", &["bob@example.com", "--history"]).kind(),
        "not_paired"
    );
    bob.run("forget", &["alice@example.com"]).ok();
    pair(&url, &alice, &bob);
    assert_eq!(of(&contacts(&alice), &bob), before);
    say(&bob, "alice@example.com", "hello again");
    let running = alice.start("run", &["--relay", &url]);
    bob.run("run", &["--relay", &url, "--once"]).ok();
    running.terminate().ok();
    assert_eq!(history(&alice, "bob@example.com"), ["hello again"]);
    assert_eq!(
        history(&bob, "alice@example.com"),
        ["to bob", "hello again"]
    );
}

#[test]
fn a_contact_that_may_see_the_profile_finds_the_new_address() {
    let (_relay, url) = relay();
    let (alice, bob) = (Home::new("alice@example.com"), Home::new("bob@example.com"));
    pair(&url, &alice, &bob);
    let profile = bob.identity["profile"].as_str().expect("an id");
    bob.run("share", &[profile, "alice@example.com"]).ok();
    // Bob runs at another place now, which Alice learns while the relay is still there.
    let mut moved = bob.start("run", &["--relay", &url, "--listen", "127.0.0.1:0"]);
    let place = moved.event("online")["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    alice.run("run", &["--relay", &url, "--once"]).ok();
    assert_eq!(contacts(&alice)[0]["instances"][0]["url"], place.as_str());
    // Without the relay, Alice dials what the profile says.
    let synced = alice.run("run", &["--once"]).ok();
    assert_eq!(synced.last().expect("an event")["event"], "synced");
    moved.terminate().ok();
}

/// Two instances on one machine, as a browser and a node are: one is invited to a local socket, whatever its own
/// address is, and the invitation goes by a side channel.
#[test]
fn two_instances_on_one_machine_federate_and_find_each_other_after_restarts() {
    let (node, browser) = (
        Home::new("node@example.com"),
        Home::new("browser@example.com"),
    );
    let mut listening = node.start("run", &["--listen", "127.0.0.1:0"]);
    let local = listening.event("online")["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    let place = local.trim_start_matches("ws://").to_owned();
    // The same person on another device is refused, and told why.
    let same = Home::new("node@example.com");
    let mut invite = node.start("invite", &["--url", &local]);
    let refused = same.join(&handed_over(&invite.event("invitation")));
    assert_eq!(refused.kind(), "same_person");
    assert_eq!(contacts(&same).len(), 0);
    invite.interrupt();
    // Another person is taken.
    let mut invite = node.start("invite", &["--url", &local]);
    let invitation = invite.event("invitation");
    assert_eq!(invitation["invitation"]["url"], local.as_str());
    let joined = browser.join(&handed_over(&invitation)).ok();
    assert_eq!(joined[0]["role"], "initiator");
    invite.end().ok();
    assert_eq!(contacts(&node)[0]["personId"], browser.person());
    assert_eq!(contacts(&browser)[0]["personId"], node.person());
    assert_eq!(contacts(&browser)[0]["instances"][0]["url"], local.as_str());
    say(&node, "browser@example.com", "from the node");
    browser.run("run", &["--once"]).ok();
    assert_eq!(history(&browser, "node@example.com"), ["from the node"]);
    // Either is restarted while the other one stays.
    let online = browser.start("run", &[]);
    let until = Instant::now() + LIMIT;
    let await_both = |what: &str| {
        while [&node, &browser]
            .iter()
            .any(|home| contacts(home)[0]["online"] != true)
        {
            assert!(Instant::now() < until, "they do not meet: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    await_both("at first");
    listening.kill();
    let listening = node.start("run", &["--listen", &place]);
    await_both("after the node's restart");
    online.kill();
    let online = browser.start("run", &[]);
    await_both("after the browser's restart");
    say(&browser, "node@example.com", "and back");
    while history(&node, "browser@example.com").len() < 2 {
        assert!(Instant::now() < until, "it does not arrive");
        std::thread::sleep(Duration::from_millis(50));
    }
    online.terminate().ok();
    listening.terminate().ok();
}
