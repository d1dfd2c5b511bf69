//! Versions of things that several have, and change at once: all come to the same data, and then nobody makes another
//! version.

use std::sync::LazyLock;

use chumwire::chum::{Ask, ChumConfig, ChumEvent, MemoryStore, Presence, Side, merge};
use chumwire::objects::{
    IdHash, Kind, Object, ObjectHash, ReadLimits, Recipe, Recipes, Reference, Rule, Value,
};
use chumwire::time::{Micros, Millis};
use proptest::prelude::*;

use crate::net::{Net, contents, fetched};
use crate::pair::{doc, person, recipes};

/// Stores of these people, each with versions of one document, connected in a chain. Each shares with its neighbours.
fn chain(names: &[&'static str], versions: &[&[(Object, u64)]]) -> (Net, IdHash) {
    let recipes = recipes();
    let id = recipes.id_hash(&doc("d", "")).expect("an id");
    let mut stores = Vec::new();
    for (at, versions) in versions.iter().enumerate() {
        let mut store = MemoryStore::new();
        store.put(&recipes, &doc("d", "")).expect("a document");
        for (data, time) in *versions {
            let put = store.put_version(&recipes, data, Millis(*time));
            assert_eq!(put, Ok(id));
        }
        for neighbour in [at.wrapping_sub(1), at + 1] {
            if let Some(name) = names.get(neighbour) {
                store.share(Reference::Id(id), person(name));
            }
        }
        stores.push(store);
    }
    let mut net = Net::new(names, stores);
    for at in 1..names.len() {
        net.connect(at - 1, at, &ChumConfig::default());
    }
    (net, id)
}

fn tagged(title: &str, tags: &[&str]) -> Object {
    doc("d", title).with("tags", Value::list(tags.to_vec()))
}

fn data(net: &Net, at: usize, id: &IdHash) -> Object {
    net.stores[at].newest(&net.recipes, id).expect("a head").1
}

/// After enough polls all have the same data, and nothing new is made any more.
fn assert_settled(net: &mut Net, id: &IdHash) -> Object {
    net.run(Micros::secs(60));
    let before = net.stores.clone();
    net.run(Micros::secs(60));
    for (store, before) in net.stores.iter().zip(&before) {
        assert_eq!(contents(store), contents(before));
        assert!(store == before, "a head moved");
    }
    let of_first = data(net, 0, id);
    for at in 1..net.stores.len() {
        assert_eq!(data(net, at, id), of_first);
    }
    of_first
}

fn texts(object: &Object, name: &str) -> Vec<String> {
    let list = object.get(name).and_then(Value::as_list).expect("a list");
    let text = |item: &Value| item.as_text().expect("a text").into();
    list.iter().map(text).collect()
}

fn title(object: &Object) -> Option<&str> {
    object.get("title").and_then(Value::as_text)
}

#[test]
fn a_first_version_becomes_an_edge_with_its_own_time() {
    let versions = [(doc("d", "one"), 5_000), (doc("d", "two"), 6_000)];
    let (mut net, id) = chain(&["alice", "bob"], &[&versions, &[]]);
    assert_eq!(assert_settled(&mut net, &id), doc("d", "two"));
    let (node, _) = net.stores[1].newest(&net.recipes, &id).expect("a head");
    assert_eq!(node.type_name(), "VersionNodeEdge");
    assert_eq!((node.depth, node.created), (0, Millis(6_000)));
}

/// The edge that an importer makes of a version comes back, and is nothing new.
///
/// Demands: M9.8.
#[test]
fn a_version_that_comes_back_is_nothing_new() {
    let versions = [(doc("d", "one"), 5_000), (doc("d", "two"), 6_000)];
    let (mut net, id) = chain(&["alice", "bob"], &[&versions, &[]]);
    net.stores[1].share(Reference::Id(id), person("alice"));
    assert_settled(&mut net, &id);
    let (node, _) = net.stores[0].newest(&net.recipes, &id).expect("a head");
    assert_eq!((node.type_name(), node.depth), ("VersionNodeChange", 1));
    let new = |at: usize| {
        let events = net.seats[at].events.iter();
        events
            .filter(|e| matches!(e, ChumEvent::NewVersion { .. }))
            .count()
    };
    assert_eq!((new(0), new(1)), (0, 1));
}

#[test]
fn changes_that_two_make_at_once_settle_with_both() {
    for (a, b) in [(1_000, 2_000), (2_000, 1_000), (1_000, 1_000)] {
        let of_a = [(tagged("a", &["x"]), a), (tagged("aa", &["x", "a"]), a + 1)];
        let of_b = [(tagged("b", &["x", "b"]), b)];
        let (mut net, id) = chain(&["alice", "bob"], &[&of_a, &of_b]);
        let settled = assert_settled(&mut net, &id);
        assert_eq!(texts(&settled, "tags"), ["a", "b", "x"]);
        assert_eq!(title(&settled), Some(if a + 1 > b { "aa" } else { "b" }));
    }
}

#[test]
fn changes_that_three_make_at_once_settle_through_the_one_in_the_middle() {
    for times in [[1, 2, 3], [3, 2, 1], [2, 2, 2], [1, 3, 1], [3, 1, 3]] {
        let [a, b, c] = times;
        let of_a = [(tagged("a", &["a"]), a)];
        let of_b = [(tagged("b", &["b"]), b)];
        let of_c = [
            (tagged("c", &["c"]), c),
            (tagged("cc", &["c", "cc"]), c + 1),
        ];
        let names = ["alice", "bob", "carol"];
        let (mut net, id) = chain(&names, &[&of_a, &of_b, &of_c]);
        let settled = assert_settled(&mut net, &id);
        assert_eq!(texts(&settled, "tags"), ["a", "b", "c", "cc"], "{times:?}");
    }
}

#[test]
fn changes_behind_a_merge_arrive_everywhere_and_settle_again() {
    let of_a = [(tagged("a", &["a"]), 1)];
    let of_b = [(tagged("b", &["b"]), 1)];
    let (mut net, id) = chain(&["alice", "bob", "carol"], &[&of_a, &of_b, &[]]);
    assert_settled(&mut net, &id);
    for round in 0..4 {
        // Both ends of the chain write in the same moment.
        for at in [0, 2] {
            let changed = tagged(&format!("round {round} of {at}"), &["a", "b"]);
            let put = net.stores[at].put_version(&net.recipes, &changed, net.now.wall);
            assert_eq!(put, Ok(id));
        }
        let settled = assert_settled(&mut net, &id);
        let due = [0, 2].map(|at| format!("round {round} of {at}"));
        assert!(
            due.iter().any(|due| title(&settled) == Some(due)),
            "{settled:?}"
        );
    }
}

/// A merge is listed behind what it joins, so that an importer that takes the deepest gets the data of both.
#[test]
fn a_merge_is_listed_last() {
    let of_a = [(tagged("a", &["a"]), 1)];
    let of_b = [(tagged("b", &["b"]), 2)];
    let (mut net, id) = chain(&["alice", "bob"], &[&of_a, &of_b]);
    assert_settled(&mut net, &id);
    let merge = net.stores[0].head(&id).expect("a head");
    let (node, _) = net.stores[0].newest(&net.recipes, &id).expect("a head");
    assert_eq!(node.type_name(), "VersionNodeMerge");
    let list = net.seats[0].sent.iter().rev().find_map(|(_, bytes)| {
        let message: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let list = message["data"].as_str()?;
        let list = Some(list).filter(|list| list.contains("version_node"))?;
        serde_json::from_str::<Vec<serde_json::Value>>(list).ok()
    });
    let list = list.expect("a list");
    assert_eq!(list[0]["type"], "id");
    assert_eq!(list.len(), 4);
    assert_eq!(list[3]["node"], merge.to_string());
}

/// Stored and merged are two things: a node that was stored, and the head not moved, is merged when it is offered
/// again.
///
/// Demands: M9.7.
#[test]
fn a_node_that_is_stored_and_not_merged_is_merged_at_the_next_connection() {
    let of_a = [(tagged("a", &["a"]), 1), (tagged("a2", &["a2"]), 2)];
    let mut found = 0;
    for at in 1..100 {
        let (mut net, id) = chain(&["alice", "bob"], &[&of_a, &[]]);
        let head = net.stores[0].head(&id).expect("a head");
        net.fail_at = Some(at);
        net.run(Micros::secs(2));
        net.cut();
        let is_stored = net.stores[1].presence(&Reference::Object(head)) == Presence::Stored;
        if !is_stored || net.stores[1].head(&id).is_some() {
            continue;
        }
        found += 1;
        net.fail_at = None;
        net.connect(0, 1, &ChumConfig::default());
        net.run(Micros::secs(2));
        assert_eq!(data(&net, 1, &id), tagged("a2", &["a2"]));
        let seats = net.cut();
        assert_eq!(fetched(&seats[1].sent), [], "all was stored");
    }
    assert!(found > 1, "{found}");
}

/// Somebody else writes a version between the look at the head and the merge.
///
/// Demands: M9.7.
#[test]
fn a_merge_that_meets_another_head_is_made_again() {
    let of_a = [(tagged("a", &["a"]), 1)];
    let of_b = [(tagged("b", &["b"]), 2)];
    let (mut net, id) = chain(&["alice", "bob"], &[&of_a, &of_b]);
    let mut conflicts = 0;
    let mut between = |store: &mut MemoryStore, recipes: &Recipes, ask: &Ask| {
        if let Ask::Write(write) = ask
            && let Some(head) = write.heads.first()
            && conflicts < 3
        {
            conflicts += 1;
            let (_, now) = store.newest(recipes, &head.id).expect("a head");
            let mut tags = texts(&now, "tags");
            tags.push(format!("between {conflicts}"));
            let changed = doc("d", "between").with("tags", Value::list(tags));
            let put = store.put_version(recipes, &changed, Millis(9));
            assert_eq!(put, Ok(head.id));
        }
    };
    net.run_with(Micros::secs(2), &mut between);
    let settled = assert_settled(&mut net, &id);
    assert_eq!(conflicts, 3);
    let due = ["a", "b", "between 1", "between 2", "between 3"];
    assert_eq!(texts(&settled, "tags"), due);
    let is_trouble = |e: &&ChumEvent| matches!(e, ChumEvent::RootFailed { .. });
    let mut events = net.seats.iter().flat_map(|seat| &seat.events);
    assert_eq!(events.find(is_trouble), None);
}

// --- the laws of the merge -------------------------------------------------------------------------------------------

/// One property of each kind.
static EVERYTHING: LazyLock<Recipes> = LazyLock::new(everything);

fn everything() -> Recipes {
    let mut recipes = Recipes::known();
    let nested = vec![
        Rule::new("text", Kind::TEXT).optional(),
        Rule::new("set", Kind::TEXT.set()),
        Rule::new("deep", Kind::Object(vec![Rule::new("n", Kind::Integer)])).optional(),
    ];
    let recipe = Recipe::new(
        "All",
        [
            Rule::new("id", Kind::TEXT).id(),
            Rule::new("text", Kind::TEXT),
            Rule::new("maybe", Kind::TEXT).optional(),
            Rule::new("number", Kind::Number),
            Rule::new("is", Kind::Boolean),
            Rule::new("json", Kind::Stringifiable),
            Rule::new("uses", Kind::object(&[])),
            Rule::new("bag", Kind::Integer.bag()),
            Rule::new("set", Kind::TEXT.set()),
            Rule::new("array", Kind::Integer.array()),
            Rule::new("lists", Kind::TEXT.set().array()),
            Rule::new("map", Kind::TEXT.map_to(Kind::TEXT.set())),
            Rule::new("nested", Kind::Object(nested)),
        ],
    );
    recipes.register(recipe).expect("a recipe");
    recipes
}

const WORDS: [&str; 4] = ["a", "b", "c", "<&>"];

/// Few different values, so that there is something to join. `is_full`: nothing optional is missing.
fn any_object(is_full: bool) -> impl Strategy<Value = Object> {
    let word = || proptest::sample::select(&WORDS[..]).prop_map(Value::from);
    let number = || (-1..3_i32).prop_map(Value::from);
    let set = || {
        let words = proptest::sample::subsequence(&WORDS[..], 0..3);
        words.prop_map(Value::list)
    };
    let some = move |of: BoxedStrategy<Value>| {
        let is_there = if is_full {
            Just(true).boxed()
        } else {
            any::<bool>().boxed()
        };
        (is_there, of).prop_map(|(is_there, of)| is_there.then_some(of))
    };
    let reference = (0..3_u8).prop_map(|n| Value::from(ObjectHash([n; 32])));
    let json = (0..3_u8).prop_map(|n| Value::from(serde_json::json!({"n": [n, null]})));
    let keys = proptest::sample::subsequence(&["k", "l", "m"][..], 0..=3).prop_shuffle();
    let map = (keys, proptest::collection::vec(set(), 3))
        .prop_map(|(keys, values)| Value::map(keys.into_iter().zip(values)));
    let nested = (some(word().boxed()), set(), some(number().boxed()));
    let nested = nested.prop_map(|(text, set, n)| {
        let mut nested = Vec::from([("set".to_string(), set)]);
        nested.extend(text.map(|text| ("text".to_string(), text)));
        let deep = n.map(|n| Value::Object(Vec::from([("n".to_string(), n)])));
        nested.extend(deep.map(|deep| ("deep".to_string(), deep)));
        Value::Object(nested)
    });
    let numbers = || proptest::collection::vec(number(), 0..4).prop_map(Value::List);
    let lists = proptest::collection::vec(set(), 0..3).prop_map(Value::List);
    let single = (
        word(),
        some(word().boxed()),
        -3..3_i32,
        any::<bool>(),
        json,
        reference,
    );
    let many = (numbers(), set(), numbers(), lists, map, nested);
    (single, many).prop_map(|(single, many)| {
        let (text, maybe, number, is, json, uses) = single;
        let (bag, set, array, lists, map, nested) = many;
        let mut object = Object::new("All").with("id", "x").with("text", text);
        if let Some(maybe) = maybe {
            object = object.with("maybe", maybe);
        }
        object
            .with("number", f64::from(number) / 2.0)
            .with("is", is)
            .with("json", json)
            .with("uses", uses)
            .with("bag", bag)
            .with("set", set)
            .with("array", array)
            .with("lists", lists)
            .with("map", map)
            .with("nested", nested)
    })
}

/// A version as it is stored: its text and its time.
type Version = (String, u64);

fn any_version(is_full: bool) -> impl Strategy<Value = Version> {
    (any_object(is_full), 0..3_u64).prop_map(|(object, time)| {
        let text = EVERYTHING.write(&object).expect("an object");
        (text, time)
    })
}

fn read(text: &str) -> Object {
    let read = EVERYTHING.read(text, &ReadLimits::default());
    read.expect("an object")
}

/// Joins two stored versions as an importer does.
fn join(a: &Version, b: &Version) -> Version {
    let (of_a, of_b) = (read(&a.0), read(&b.0));
    let side = |object, time| Side {
        object,
        created: Millis(time),
    };
    let joined = merge(&EVERYTHING, side(&of_a, a.1), side(&of_b, b.1)).expect("one type");
    let text = EVERYTHING.write(&joined).expect("an object");
    (text, a.1.max(b.1))
}

/// The data, but for the order of arrays and maps.
fn without_order(version: &Version) -> String {
    fn sort(value: &mut Value) {
        match value {
            Value::List(items) => {
                items.iter_mut().for_each(sort);
                items.sort_by_key(|item| format!("{item:?}"));
            }
            Value::Map(entries) => {
                entries.iter_mut().for_each(|(_, value)| sort(value));
                entries.sort_by_key(|entry| format!("{entry:?}"));
            }
            Value::Object(members) => members.iter_mut().for_each(|(_, value)| sort(value)),
            _ => {}
        }
    }
    let mut object = read(&version.0);
    let values = object.properties.iter_mut();
    values.for_each(|(_, value)| sort(value));
    format!("{object:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Demands: M9.8.
    #[test]
    fn a_merge_is_commutative_idempotent_and_absorbing(
        x in any_version(false),
        y in any_version(false),
    ) {
        let joined = join(&x, &y);
        prop_assert_eq!(&join(&y, &x), &joined);
        prop_assert_eq!(&join(&x, &x), &x);
        prop_assert_eq!(&join(&joined, &y), &joined);
        prop_assert_eq!(&join(&joined, &x), &joined);
    }

    /// In which order three are joined matters for the order of items alone, as long as nothing is missing in one of
    /// them: of what is missing it is not known when it was.
    ///
    /// Demands: M9.8.
    #[test]
    fn a_merge_is_associative_where_nothing_is_missing(
        x in any_version(true),
        y in any_version(true),
        z in any_version(true),
    ) {
        let left = join(&join(&x, &y), &z);
        let right = join(&x, &join(&y, &z));
        prop_assert_eq!(without_order(&left), without_order(&right));
    }

    /// Whoever joins what in whatever order: when all have seen each other's, they agree, and stay so.
    #[test]
    fn merges_in_any_order_come_to_one_end(
        versions in proptest::collection::vec(any_version(false), 3),
        turns in proptest::collection::vec((0..3_usize, 0..3_usize), 0..6),
    ) {
        let mut heads = versions;
        for (to, from) in turns {
            heads[to] = join(&heads[to], &heads[from]);
        }
        for turn in 0.. {
            let before = heads.clone();
            for (to, from) in [(0, 1), (1, 2), (2, 1), (1, 0)] {
                heads[to] = join(&heads[to], &heads[from]);
            }
            if before == heads {
                break;
            }
            prop_assert!(turn < 20, "for ever");
        }
        prop_assert_eq!(&heads[0], &heads[1]);
        prop_assert_eq!(&heads[1], &heads[2]);
    }
}
