//! The good cases: everything that was granted arrives, and nothing else.

use chumwire::chum::{ChumConfig, ChumEvent, MemoryStore, Presence};
use chumwire::objects::{Reference, Value};
use chumwire::time::{Micros, Millis};

use crate::pair::{Pair, doc, note, person, recipes};

#[test]
fn objects_files_and_versions_arrive_both_ways() {
    let recipes = recipes();
    let (mut alice, mut bob) = (MemoryStore::new(), MemoryStore::new());
    let picture = alice.put_file(&vec![7; 200_000]);
    let empty = alice.put_file(b"");
    let body = alice.put_file("Grüße, clob text".as_bytes());
    let leaf = note("leaf")
        .with("picture", Reference::Blob(picture))
        .with("body", Reference::Clob(body));
    let leaf = alice.put(&recipes, &leaf).expect("a note");
    let root = note("root")
        .with("picture", Reference::Blob(empty))
        .with("uses", Value::List([Reference::Object(leaf).into()].into()));
    let root = alice.put(&recipes, &root).expect("a note");
    alice.share(Reference::Object(root), person("bob"));
    let secret = alice.put(&recipes, &note("secret")).expect("a note");
    let id = alice
        .put_version(&recipes, &doc("d", "one"), Millis(1_000))
        .expect("a version");
    alice.share(Reference::Id(id), person("bob"));
    let other = bob
        .put_version(&recipes, &doc("e", "bob's"), Millis(2_000))
        .expect("a version");
    bob.share(Reference::Id(other), person("alice"));

    let mut pair = Pair::new(ChumConfig::default(), [alice, bob]);
    pair.run(Micros::secs(2));
    let [alice, bob] = &pair.ends;
    assert_eq!(bob.store.file(&picture), Some(vec![7; 200_000].as_slice()));
    assert_eq!(bob.store.file(&empty), Some([].as_slice()));
    assert_eq!(
        bob.store.presence(&Reference::Object(root)),
        Presence::Stored
    );
    assert_eq!(
        bob.store.presence(&Reference::Object(secret)),
        Presence::Absent
    );
    let (_, data) = bob.store.newest(&recipes, &id).expect("a head");
    assert_eq!(data, doc("d", "one"));
    let (_, data) = alice.store.newest(&recipes, &other).expect("a head");
    assert_eq!(data, doc("e", "bob's"));
    for end in &pair.ends {
        let rounds = end
            .events
            .iter()
            .filter(|e| matches!(e, ChumEvent::RoundEnded(_)));
        assert_eq!(rounds.count(), 1, "{:?}", end.events);
    }
}

#[test]
fn what_went_over_is_counted_on_both_sides() {
    let recipes = recipes();
    let mut alice = MemoryStore::new();
    let [picture, body] = [&[7; 300][..], b"text"].map(|bytes| alice.put_file(bytes));
    let root = note("root")
        .with("picture", Reference::Blob(picture))
        .with("body", Reference::Clob(body));
    let root = alice.put(&recipes, &root).expect("a note");
    alice.share(Reference::Object(root), person("bob"));
    let mut config = ChumConfig::default();
    config.keep_running = false;
    let mut pair = Pair::new(config, [alice, MemoryStore::new()]);
    pair.run(Micros::secs(60));
    let log = |n: usize| {
        let ended = pair.ends[n].events.iter().find_map(|event| match event {
            ChumEvent::Ended { log, .. } => Some(log),
            _ => None,
        });
        ended.expect("it ends")
    };
    for gone in [&log(0).sent, &log(1).received] {
        assert_eq!((gone.objects, gone.files), (1, 2));
        assert!(gone.bytes > 304);
        assert_eq!(gone.what.len(), 3);
    }
    assert_eq!(log(0).received.what, []);
}
