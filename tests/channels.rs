//! Channels: lists of messages that two write at once come to one list, the same on both sides.

use std::collections::BTreeMap;

use chumwire::channels::{channel, line, say, topic_name};
use chumwire::chum::MemoryStore;
use chumwire::crypto::{Nacl, Random};
use chumwire::identity::Identity;
use chumwire::objects::{IdHash, Object, ObjectHash, ReadLimits, Recipes, Reference};
use chumwire::time::{Micros, Millis};

#[path = "chum/pair.rs"]
#[expect(dead_code, reason = "shared with the tests of CHUM")]
mod pair;

use pair::{Pair, recipes};

fn identity(name: &str, seed: u8) -> Identity {
    let mut random = Random::new([seed; 32]);
    Identity::generate::<Nacl>(&mut random, &format!("{name}@example.com"), name).expect("good")
}

fn read(store: &MemoryStore, recipes: &Recipes, hash: ObjectHash) -> Option<Object> {
    let text = store.text(&Reference::Object(hash))?;
    recipes.read(text, &ReadLimits::default()).ok()
}

/// Says something, as an embedder does: the objects, then a new version of the channel.
fn speak(store: &mut MemoryStore, by: &Identity, name: &str, text: &str, at: u64) {
    let recipes = recipes();
    let id = recipes.id_hash(&channel(name)).expect("an id");
    let head = store.newest(&recipes, &id).and_then(|(_, info)| {
        match info.get("head")?.as_reference()? {
            Reference::Object(hash) => Some(hash),
            _ => None,
        }
    });
    let said = say(&recipes, by, text, Millis(at), head).expect("a message");
    for (reference, text) in said.texts {
        let object = recipes.read(&text, &ReadLimits::default()).expect("ours");
        if let Reference::Object(hash) = reference {
            assert_eq!(store.put(&recipes, &object).expect("ours"), hash);
        } else {
            let person = Object::new("Person").with("email", by.person().email.as_str());
            store.put(&recipes, &person).expect("a person");
        }
    }
    let info = channel(name).with("head", said.entry);
    store
        .put_version(&recipes, &info, Millis(at))
        .expect("a version");
}

/// What a store shows of a channel, oldest first.
fn history(store: &MemoryStore, by: &[&Identity], id: &IdHash) -> Vec<(u64, String, bool)> {
    let recipes = recipes();
    let keys: BTreeMap<_, _> = by
        .iter()
        .map(|one| (one.person_id(), one.person_sign_key()))
        .collect();
    let mut lines = Vec::new();
    let newest = store.newest(&recipes, id);
    let mut next = newest.and_then(|(_, info)| match info.get("head")?.as_reference()? {
        Reference::Object(hash) => Some(hash),
        _ => None,
    });
    while let Some(hash) = next {
        let entry = read(store, &recipes, hash).expect("an entry");
        let (said, previous) = line(
            &entry,
            |hash| read(store, &recipes, hash),
            |person| keys.get(&person).copied(),
        );
        let said = said.expect("a message");
        lines.push((said.at.0, said.text, said.affirmed));
        next = previous;
    }
    lines.reverse();
    lines
}

#[test]
fn what_two_say_at_once_is_one_list_on_both_sides_in_the_order_of_time() {
    let (alice, bob) = (identity("alice", 1), identity("bob", 2));
    let name = topic_name(alice.person_id(), bob.person_id()).expect("two");
    let id = recipes().id_hash(&channel(&name)).expect("an id");
    let mut stores = [MemoryStore::new(), MemoryStore::new()];
    for (store, other) in stores.iter_mut().zip([&bob, &alice]) {
        store
            .put_version(&recipes(), &channel(&name), Millis(1))
            .expect("a channel");
        store.share(Reference::Id(id), other.person_id());
    }
    let mut said = Vec::new();
    // In turns, at once, one while the other is away, and one whose clock is behind.
    let script: &[(usize, u64)] = &[
        (0, 1_000),
        (1, 1_010),
        (0, 2_000),
        (0, 2_001),
        (1, 2_000),
        (1, 500),
        (1, 3_000),
        (0, 2_500),
    ];
    for (n, (who, at)) in script.iter().enumerate() {
        let (by, text) = ([&alice, &bob][*who], format!("word {n}"));
        speak(&mut stores[*who], by, &name, &text, *at);
        said.push((*at, text, true));
        if n % 3 == 2 || n == script.len() - 1 {
            let mut pair = Pair::new(Default::default(), stores.clone());
            pair.run(Micros::secs(30));
            stores = pair.ends.map(|end| end.store);
            let both = stores
                .each_ref()
                .map(|store| history(store, &[&alice, &bob], &id));
            assert_eq!(both[0], both[1], "after {n}");
            assert_eq!(both[0].len(), said.len(), "after {n}: {:?}", both[0]);
            assert!(both[0].is_sorted_by_key(|line| line.0), "{:?}", both[0]);
            let heads = stores.each_ref().map(|store| {
                let (_, info) = store.newest(&recipes(), &id).expect("a head");
                info.get("head").cloned()
            });
            assert_eq!(heads[0], heads[1], "after {n}");
        }
    }
    let mut shown = history(&stores[0], &[&alice, &bob], &id);
    shown.sort();
    said.sort();
    assert_eq!(shown, said);
    // Settled: two more polls make no new version.
    let before = stores.each_ref().map(|store| store.head(&id));
    let mut pair = Pair::new(Default::default(), stores);
    pair.run(Micros::secs(12));
    let after = pair.ends.each_ref().map(|end| end.store.head(&id));
    assert_eq!(before, after);
    // A forged name does not pass for signed.
    let forged = history(&pair.ends[0].store, &[&bob], &id);
    assert!(forged.iter().any(|line| !line.2));
}
