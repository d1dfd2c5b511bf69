//! Connections that are lost at any moment, and stores that fail: nothing is stored without what it refers to, and
//! the next connection brings what is missing, and only that.

use std::collections::BTreeSet;

use chumwire::chum::{ChumConfig, ChumEvent, MemoryStore};
use chumwire::objects::{Reference, Value};
use chumwire::time::{Micros, Millis};

use crate::net::{Net, assert_whole, contents, fetched, put_person};
use crate::pair::{doc, note, person, recipes};

/// Notes with files and persons, and documents with versions, some of them at both sides.
fn stores() -> Vec<MemoryStore> {
    let recipes = recipes();
    let (mut alice, mut bob) = (MemoryStore::new(), MemoryStore::new());
    let about = put_person(&mut alice, &recipes, "carol");
    let picture = alice.put_file(&vec![7; 150_000]);
    let empty = alice.put_file(b"");
    let body = alice.put_file("Grüße".as_bytes());
    let leaf = note("leaf")
        .with("about", about)
        .with("picture", Reference::Blob(picture))
        .with("body", Reference::Clob(body));
    let leaf = alice.put(&recipes, &leaf).expect("a note");
    let middle = note("middle").with("uses", Value::list([leaf]));
    let middle = alice.put(&recipes, &middle).expect("a note");
    let root = note("root")
        .with("picture", Reference::Blob(empty))
        .with("uses", Value::list([leaf, middle]));
    let root = alice.put(&recipes, &root).expect("a note");
    let other = note("other").with("uses", Value::list([leaf]));
    let other = alice.put(&recipes, &other).expect("a note");
    for root in [root, other] {
        alice.share(Reference::Object(root), person("bob"));
    }
    let version = doc("only", "exactly this one").with("note", leaf);
    let version = alice.put(&recipes, &version).expect("a document");
    alice.share(Reference::Object(version), person("bob"));
    for (store, title, at) in [(&mut alice, "a", 1_000), (&mut bob, "b", 2_000)] {
        for n in 0..2 {
            let tags = Value::list([format!("{title}{n}")]);
            let data = doc("both", &format!("{title}{n}")).with("tags", tags);
            let id = store.put_version(&recipes, &data, Millis(at + n));
            let to = person(if title == "a" { "bob" } else { "alice" });
            store.share(Reference::Id(id.expect("a version")), to);
        }
    }
    let data = doc("new", "n").with("note", leaf);
    let id = alice
        .put_version(&recipes, &data, Millis(3_000))
        .expect("a version");
    alice.share(Reference::Id(id), person("bob"));
    vec![alice, bob]
}

/// Long enough for all rounds that bring something.
const WHILE: Micros = Micros::secs(40);

fn net(parallel: usize) -> (Net, ChumConfig) {
    let mut config = ChumConfig::default();
    config.parallel = parallel;
    (Net::new(&["alice", "bob"], stores()), config)
}

/// What both have when nothing is lost; how many messages and questions the first round takes.
fn undisturbed(parallel: usize) -> (Vec<MemoryStore>, usize, usize) {
    let (mut net, config) = net(parallel);
    net.connect(0, 1, &config);
    net.run(Micros::secs(2));
    let (messages, asks) = (net.messages, net.asks);
    assert!(messages > 60 && asks > 60, "{messages} {asks}");
    net.run(WHILE);
    net.cut();
    (net.stores, messages, asks)
}

/// Another connection: it brings everything, and nothing that was there.
fn assert_completed(mut net: Net, config: &ChumConfig, whole: &[MemoryStore], of: &str) {
    net.cut();
    for store in &net.stores {
        assert_whole(store);
    }
    let had: Vec<_> = net.stores.iter().map(contents).collect();
    (net.cut_at, net.fail_at) = (None, None);
    net.connect(0, 1, config);
    net.run(WHILE);
    let seats = net.cut();
    for seat in seats {
        for (service, hash) in fetched(&seat.sent) {
            assert!(
                !had[seat.store].contains(&hash),
                "{of}: {service} {hash} again"
            );
        }
        let is_failure = |e: &&ChumEvent| matches!(e, ChumEvent::RootFailed { .. });
        let failure = seat.events.iter().find(is_failure);
        assert_eq!(failure, None, "{of}");
    }
    assert_all_there(&net, whole, of);
}

/// What was stored at the start, but for edges: those are made from other versions.
fn granted(store: &MemoryStore) -> BTreeSet<String> {
    let mut granted = contents(store);
    for (hash, text) in store.objects() {
        if text.contains("//refin.io/VersionNodeEdge") {
            granted.remove(&chumwire::hex::encode(hash));
        }
    }
    granted
}

/// Both have what they had and what the other one had, and the same documents. By which versions they came to them
/// depends on what was merged when.
fn assert_all_there(net: &Net, whole: &[MemoryStore], of: &str) {
    let granted: Vec<_> = stores().iter().map(granted).collect();
    for (store, whole) in net.stores.iter().zip(whole) {
        let (has, due) = (contents(store), contents(whole));
        let due = due
            .iter()
            .filter(|hash| granted.iter().any(|had| had.contains(*hash)));
        let missing: Vec<_> = due.filter(|hash| !has.contains(*hash)).collect();
        assert!(missing.is_empty(), "{of}: {missing:?}");
        for name in ["both", "new"] {
            let id = net.recipes.id_hash(&doc(name, "")).expect("an id");
            let data = |store: &MemoryStore| store.newest(&net.recipes, &id).map(|(_, data)| data);
            assert!(data(store).is_some());
            assert_eq!(data(store), data(whole), "{of}");
        }
    }
}

/// Demands: M9.10.
#[test]
fn a_connection_that_is_lost_after_any_message_costs_nothing_but_time() {
    for parallel in [1, 4] {
        let (whole, messages, _) = undisturbed(parallel);
        for at in 0..=messages {
            let (mut net, config) = net(parallel);
            net.cut_at = Some(at);
            net.connect(0, 1, &config);
            net.run(WHILE);
            assert_completed(net, &config, &whole, &format!("lost after {at}"));
        }
    }
}

/// Demands: M9.7.
#[test]
fn a_store_that_fails_at_any_question_loses_nothing() {
    for parallel in [1, 4] {
        let (whole, _, asks) = undisturbed(parallel);
        for at in 0..asks {
            let (mut net, config) = net(parallel);
            net.fail_at = Some(at);
            net.connect(0, 1, &config);
            net.run(Micros::secs(2));
            assert_completed(net, &config, &whole, &format!("question {at} failed"));
        }
    }
}

#[test]
fn what_a_store_did_not_take_is_asked_for_again_on_the_same_connection() {
    let (whole, _, asks) = undisturbed(1);
    let mut survived = 0;
    for at in 0..asks {
        let (mut net, config) = net(1);
        net.fail_at = Some(at);
        net.connect(0, 1, &config);
        net.run(Micros::secs(120));
        let events: Vec<_> = net.seats.iter().flat_map(|seat| &seat.events).collect();
        if events.iter().any(|e| matches!(e, ChumEvent::Ended { .. })) {
            continue;
        }
        survived += 1;
        assert_all_there(&net, &whole, &format!("question {at} failed"));
    }
    // All but those for the list of roots.
    assert!(survived > asks / 2, "{survived} of {asks}");
}
