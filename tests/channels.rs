//! Channels: lists of messages that two write at once come to one list, the same on both sides.

use chumwire::channels::{channel, history, list_of, speak, topic_name, union};
use chumwire::chum::{Answer, MemoryStore, Newest};
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

/// Says something, as an embedder does; gives when.
fn say(store: &mut MemoryStore, by: &Identity, name: &str, text: &str, at: u64) -> u64 {
    let recipes = recipes();
    let id = recipes.id_hash(&channel(name)).expect("an id");
    let text_of = |hash| store.text(&Reference::Object(hash)).map(Into::into);
    let newest = store
        .head(&id)
        .and_then(|head| Newest::of(&recipes, head, text_of));
    let of = |hash| read(store, &recipes, hash);
    let said = speak(&recipes, by, name, newest.as_ref(), text, Millis(at), of);
    let (line, write) = said.expect("a message");
    assert_eq!(store.write(write), Answer::Done);
    line.at.0
}

/// What a store shows of a channel, oldest first.
fn shown(store: &MemoryStore, by: &[&Identity], id: &IdHash) -> Vec<(u64, String, bool)> {
    let recipes = recipes();
    let key = |person| {
        let mut by = by.iter();
        Some(by.find(|one| one.person_id() == person)?.person_sign_key())
    };
    let (_, info) = store.newest(&recipes, id).expect("a channel");
    history(list_of(&info), |hash| read(store, &recipes, hash), key)
        .into_iter()
        .map(|line| (line.at.0, line.text, line.affirmed))
        .collect()
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
        let at = say(&mut stores[*who], by, &name, &text, *at);
        said.push((at, text, true));
        if n % 3 == 2 || n == script.len() - 1 {
            let mut pair = Pair::new(Default::default(), stores.clone());
            pair.run(Micros::secs(30));
            stores = pair.ends.map(|end| end.store);
            let both = stores
                .each_ref()
                .map(|store| shown(store, &[&alice, &bob], &id));
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
    let mut lines = shown(&stores[0], &[&alice, &bob], &id);
    lines.sort();
    said.sort();
    assert_eq!(lines, said);
    // Settled: two more polls make no new version.
    let before = stores.each_ref().map(|store| store.head(&id));
    let mut pair = Pair::new(Default::default(), stores);
    pair.run(Micros::secs(12));
    let after = pair.ends.each_ref().map(|end| end.store.head(&id));
    assert_eq!(before, after);
    // A forged name does not pass for signed.
    let forged = shown(&pair.ends[0].store, &[&bob], &id);
    assert!(forged.iter().any(|line| !line.2));
}

/// Demands: M10.4.
#[test]
fn several_channels_are_shown_as_one_by_time_and_each_message_once() {
    let people = ["alice", "bob", "carol"].map(|name| identity(name, 1).person_id());
    let said = |n: u8, at: u64| chumwire::channels::Line {
        message: ObjectHash([n; 32]),
        at: Millis(at),
        sender: people[0],
        text: n.to_string(),
        affirmed: true,
        previous: None,
    };
    let of_bob = vec![said(1, 10), said(2, 30), said(3, 30)];
    let of_carol = vec![said(4, 5), said(5, 20), said(2, 30)];
    let shown = |hidden| {
        let channels = [
            (people[1], of_bob.clone(), None),
            (people[2], of_carol.clone(), hidden),
        ];
        let lines = union(channels).into_iter();
        lines
            .map(|(person, line)| (person, line.text))
            .collect::<Vec<_>>()
    };
    let line = |person: usize, text: &str| (people[person], text.to_owned());
    assert_eq!(
        shown(None),
        [
            line(2, "4"),
            line(1, "1"),
            line(2, "5"),
            line(1, "2"),
            line(1, "3")
        ]
    );
    assert_eq!(
        shown(Some(Millis(20))),
        [line(1, "1"), line(1, "2"), line(1, "3")],
        "what is hidden is hidden up to then, there alone"
    );
}
