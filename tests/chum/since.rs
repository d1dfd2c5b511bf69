//! The extension "roots since": what travels, what is kept, and what comes again (spec 11).

use std::time::Instant;

use chumwire::chum::{
    Answer, Ask, AskId, Chum, ChumConfig, ChumEvent, MemoryStore, Presence, Root, list_digest,
    read_since,
};
use chumwire::objects::{Kind as Type, Object};
use chumwire::objects::{ObjectHash, Recipe, Reference, Rule, Value};
use chumwire::time::{Micros, Millis};
use serde_json::{Value as Json, json};
use std::sync::Arc;

use crate::pair::{Pair, doc, note, peer, person, policy, recipes};
use crate::puppet::{Ours, Puppet, Reply};
use crate::world::{ALICE, Control, Crash, World};

const WALL: u64 = 1_700_000_000_000;

fn config() -> ChumConfig {
    let mut config = ChumConfig::default();
    config.roots_since = true;
    config.start_delay = Micros::ZERO;
    config
}

// --- the exporter, word by word --------------------------------------------------------------------------------------

/// Ours as exporter, to be asked.
struct Asked {
    ours: Ours,
    next: u64,
}

impl Asked {
    fn of(store: MemoryStore) -> Self {
        let mut config = config();
        config.import = false;
        Self::with(config, store)
    }

    fn with(config: ChumConfig, store: MemoryStore) -> Self {
        let mut ours = Ours::new(config, store);
        ours.says();
        ours.hears("synchronisation");
        Self { ours, next: 0 }
    }

    /// The answer, as it travels.
    fn ask(&mut self, service: u64, args: &Json) -> String {
        let id = self.next;
        self.next += 1;
        let request =
            json!({"requestId": id, "type": "request", "serviceId": service, "args": args});
        self.ours.hears(&request.to_string());
        self.ours.says().pop().expect("an answer")
    }

    /// The list of roots since a cursor.
    fn since(&mut self, args: &Json) -> Json {
        let answer: Json = serde_json::from_str(&self.ask(100, args)).expect("JSON");
        serde_json::from_str(answer["data"].as_str().expect("a text")).expect("JSON")
    }
}

fn cursor(list: &Json) -> Json {
    json!([{"digest": list["digest"], "stamp": list["stamp"]}])
}

fn count(list: &Json) -> usize {
    list["roots"].as_array().expect("a list").len()
}

/// Bob's store with some notes for alice.
fn notes(count: usize) -> (MemoryStore, Vec<ObjectHash>) {
    let mut store = MemoryStore::new();
    let hashes = (0..count).map(|n| {
        let hash = store.put(&recipes(), &note(&format!("note {n}")));
        let hash = hash.expect("a note");
        store.share(Reference::Object(hash), person("alice"));
        hash
    });
    let hashes = hashes.collect();
    (store, hashes)
}

#[test]
fn both_say_it_byte_by_byte() {
    let (store, hashes) = notes(1);
    let entry = format!(
        "{{\"type\":\"unversioned\",\"hash\":\"{}\",\"oneType\":\"Note\"}}",
        hashes[0]
    );
    let digest = ObjectHash::of(&entry);
    let inner = |full: bool, roots: &str| {
        let list = format!(
            "{{\"ext\":\"roots-since-1\",\"full\":{full},\"digest\":\"{digest}\",\"stamp\":{WALL},\"roots\":[{roots}]}}"
        );
        json!(list).to_string()
    };
    let mut asked = Asked::of(store);
    assert_eq!(
        asked.ask(100, &json!([])),
        format!(
            "{{\"responseId\":0,\"type\":\"data\",\"data\":{}}}",
            inner(true, &entry)
        )
    );
    let cursor = json!([{"digest": digest.to_string(), "stamp": WALL}]);
    assert_eq!(
        asked.ask(100, &cursor),
        format!(
            "{{\"responseId\":1,\"type\":\"data\",\"data\":{}}}",
            inner(false, "")
        )
    );
    // The importer: without and with a cursor.
    let mut ours = Ours::new(config(), MemoryStore::new());
    ours.says();
    ours.hears("synchronisation");
    while ours.says().is_empty() {
        ours.wait(Micros::secs(2));
    }
    ours.hears("{\"responseId\":0,\"type\":\"data\",\"data\":8}");
    assert_eq!(
        ours.says(),
        ["{\"requestId\":1,\"type\":\"request\",\"serviceId\":100,\"args\":[]}"]
    );
    let empty = ObjectHash::of("");
    let list = format!(
        "{{\"ext\":\"roots-since-1\",\"full\":true,\"digest\":\"{empty}\",\"stamp\":5,\"roots\":[]}}"
    );
    let answer = format!(
        "{{\"responseId\":1,\"type\":\"data\",\"data\":{}}}",
        json!(list)
    );
    ours.hears(&answer);
    assert!(ours.says().is_empty());
    ours.wait(Micros::secs(8));
    assert_eq!(
        ours.says(),
        [format!(
            "{{\"requestId\":2,\"type\":\"request\",\"serviceId\":100,\"args\":[{{\"digest\":\"{empty}\",\"stamp\":5}}]}}"
        )]
    );
}

#[test]
fn the_digest_is_a_function_of_the_list_alone() {
    let (hash, id) = (ObjectHash([7; 32]), chumwire::objects::IdHash([8; 32]));
    let type_name = || String::from("Doc");
    let mut roots = vec![
        Root::Unversioned {
            hash,
            type_name: type_name(),
        },
        Root::Versioned {
            hash,
            id,
            type_name: type_name(),
        },
        Root::Id {
            id,
            type_name: type_name(),
        },
        Root::VersionNode {
            node: hash,
            id,
            type_name: type_name(),
        },
    ];
    let mut lines: Vec<String> = roots.iter().map(ToString::to_string).collect();
    lines.sort();
    let digest = list_digest(&roots);
    assert_eq!(digest, ObjectHash::of(&lines.join("\n")).0);
    for _ in 0..4 {
        roots.rotate_left(1);
        assert_eq!(list_digest(&roots), digest);
    }
    for shape in &roots {
        let alone = list_digest(std::slice::from_ref(shape));
        let others = roots.iter().filter(|other| *other != shape);
        for other in others {
            assert_ne!(alone, list_digest(std::slice::from_ref(other)));
        }
    }
    assert_eq!(list_digest(&[]), ObjectHash::of("").0);
    // Two exporters with other histories and clocks tell the same.
    let (store, hashes) = notes(3);
    let mut one = Asked::of(store.clone());
    let first = one.since(&json!([]));
    let mut other = Asked::of(store);
    other.ours.now.wall = Millis(5);
    let gone = Reference::Object(hashes[0]);
    other.ours.store.unshare(&gone, person("alice"));
    assert_ne!(other.since(&json!([]))["digest"], first["digest"]);
    other.ours.store.share(gone, person("alice"));
    let again = other.since(&json!([]));
    assert_eq!(again["digest"], first["digest"]);
    assert_ne!(again["stamp"], first["stamp"]);
}

/// Demands: MX.1.
#[test]
fn malformed_and_forged_cursors_get_everything() {
    let (store, _) = notes(3);
    let mut asked = Asked::of(store);
    let list = asked.since(&json!([]));
    let good = list["digest"].as_str().expect("a digest");
    for bad in [
        json!([null]),
        json!([5]),
        json!(["x"]),
        json!([good]),
        json!([good, 5]),
        json!([[good, 5]]),
        json!([{}]),
        json!([{"digest": good}]),
        json!([{"digest": good, "stamp": "5"}]),
        json!([{"digest": good, "stamp": -1}]),
        json!([{"digest": good, "stamp": 1.5}]),
        json!([{"digest": good, "stamp": 9_007_199_254_740_992_u64}]),
        json!([{"digest": good, "stamp": 5, "more": 1}]),
        json!([{"digest": good.to_uppercase(), "stamp": 5}]),
        json!([{"digest": &good[1..], "stamp": 5}]),
        json!([{"digest": "0".repeat(64), "stamp": 9_007_199_254_740_991_u64}]),
        json!([{"digest": "0".repeat(64), "stamp": 0}]),
    ] {
        let list = asked.since(&bad);
        assert_eq!((&list["full"], count(&list)), (&json!(true), 3), "{bad}");
    }
    // The digest decides: with a forged stamp nothing else comes.
    for stamp in [0, 9_007_199_254_740_991_u64] {
        let list = asked.since(&json!([{"digest": good, "stamp": stamp}]));
        assert_eq!((&list["full"], count(&list)), (&json!(false), 0));
    }
}

#[test]
fn an_exporter_without_extensions_does_not_know_the_service() {
    let (store, _) = notes(1);
    let mut config = config();
    (config.import, config.extensions) = (false, false);
    let mut asked = Asked::with(config, store);
    assert!(asked.ask(100, &json!([])).contains("UNKNOWN-SERVICE"));
    assert!(asked.ask(2, &json!([])).contains("unversioned"));
}

/// Demands: MX.1, MX.2.
#[test]
fn what_is_granted_again_or_in_another_shape_is_new() {
    let (store, hashes) = notes(2);
    let mut asked = Asked::of(store);
    let first = asked.since(&json!([]));
    // A new one.
    let new = asked.ours.store.put(&recipes(), &note("new"));
    let new = Reference::Object(new.expect("a note"));
    asked.ours.store.share(new, person("alice"));
    let second = asked.since(&cursor(&first));
    assert_eq!((&second["full"], count(&second)), (&json!(false), 1));
    assert!(second["stamp"].as_u64() > first["stamp"].as_u64());
    // All of the list may be asked for, sent or not.
    assert!(asked.ask(4, &json!([hashes[0].to_string()])).contains("[]"));
    // Withdrawn: nothing is sent, and it may not be asked for.
    asked.ours.store.unshare(&new, person("alice"));
    let third = asked.since(&cursor(&second));
    assert_eq!((&third["full"], count(&third)), (&json!(false), 0));
    let hash = chumwire::hex::encode(new.bytes());
    assert!(asked.ask(4, &json!([hash])).contains("CES-GOC1"));
    // Back at the first list: the importer of then has it all, by its digest.
    assert_eq!(third["digest"], first["digest"]);
    // Granted again: new for the importer that saw it go, and for the one that never saw it.
    asked.ours.store.share(new, person("alice"));
    for old in [&third, &first] {
        let fourth = asked.since(&cursor(old));
        assert_eq!((&fourth["full"], count(&fourth)), (&json!(false), 1));
    }
    // Of the same hash as a node: an entry of its own.
    let recipes = recipes();
    let id = asked
        .ours
        .store
        .put_version(&recipes, &doc("d", "one"), Millis(1_000));
    let id = id.expect("a version");
    let node = asked.ours.store.head(&id).expect("a head");
    let node = Reference::Object(node);
    for what in [Reference::Id(id), node] {
        asked.ours.store.share(what, person("alice"));
    }
    let fifth = asked.since(&cursor(&third));
    asked.ours.store.unshare(&node, person("alice"));
    let sixth = asked.since(&cursor(&fifth));
    assert_eq!((&sixth["full"], count(&sixth)), (&json!(false), 1));
    assert_eq!(sixth["roots"][0]["type"], "version_node");
    // The journal is lost: all is new, and the old list is known by its digest still.
    let write = chumwire::chum::Write {
        journal: Some(Box::new((person("alice"), b"no journal".to_vec()))),
        ..Default::default()
    };
    let ask = Ask::Write(write);
    asked.ours.store.answer(&recipes, 9, AskId(0), ask);
    assert_eq!(asked.since(&cursor(&fifth))["full"], true);
    assert_eq!(asked.since(&cursor(&sixth))["full"], false);
}

// --- the importer, against a puppet ----------------------------------------------------------------------------------

/// An answer of the puppet. The digest is taken as it is given.
fn list(full: bool, digest: u8, roots: &[Json]) -> Reply {
    let list = json!({
        "ext": "roots-since-1",
        "full": full,
        "digest": chumwire::hex::encode(&[digest; 32]),
        "stamp": digest,
        "roots": roots,
    });
    Reply::Data(json!(list.to_string()))
}

fn entry(hash: ObjectHash, name: &str) -> Json {
    json!({"type": "unversioned", "hash": hash.to_string(), "oneType": name})
}

fn text_of(object: &Object) -> String {
    recipes().write(object).expect("a text")
}

/// What bob has kept of alice.
fn kept(store: &mut MemoryStore) -> Option<Json> {
    let ask = Ask::Cursor(peer("bob", "alice"));
    match store.answer(&recipes(), 9, AskId(0), ask) {
        Answer::Cursor { kept, .. } => kept.map(|text| serde_json::from_str(&text).expect("JSON")),
        other => panic!("{other:?}"),
    }
}

fn digest_of(kept: Option<&Json>) -> Option<String> {
    Some(kept?["digest"].as_str().expect("a digest").into())
}

fn pending(kept: Option<&Json>) -> usize {
    kept.map_or(0, |kept| kept["pending"].as_array().expect("a list").len())
}

/// The services that were asked for since the last time.
fn asked(puppet: &mut Puppet) -> Vec<u64> {
    let requests = core::mem::take(&mut puppet.requests);
    requests.into_iter().map(|(service, _)| service).collect()
}

/// Demands: MX.4, MX.5.
#[test]
fn what_cannot_be_taken_is_pending_and_tried_again_while_the_cursor_goes_on() {
    let mut puppet = Puppet::new(config());
    let good = puppet.serve(&text_of(&note("good")), &json!([]));
    let bad = text_of(&note("bad"));
    let (bad_hash, refused_hash) = (ObjectHash::of(&bad), ObjectHash([1; 32]));
    let mut more = recipes();
    let recipe = Recipe::new("Later", [Rule::new("text", Type::TEXT)]);
    more.register(recipe).expect("a recipe");
    let later = Object::new("Later").with("text", "later");
    let later = more.write(&later).expect("a text");
    let later = puppet.serve(&later, &json!([]));
    let roots = [
        entry(good, "Note"),
        entry(bad_hash, "Note"),
        entry(refused_hash, "Group"),
        entry(later, "Later"),
    ];
    puppet.reply(100, "", list(true, 1, &roots));
    puppet.start(Micros::secs(1));
    assert_eq!(asked(&mut puppet), [1, 100, 4, 6, 4]);
    let settled = kept(&mut puppet.ours.store);
    assert_eq!(digest_of(settled.as_ref()), Some("01".repeat(32)));
    assert_eq!(pending(settled.as_ref()), 3);
    // Nothing is new: what is pending is tried, at its own times.
    puppet.reply(100, "", list(false, 2, &[]));
    puppet.run(Micros::secs(6));
    assert_eq!(asked(&mut puppet), [100, 4]);
    puppet.run(Micros::secs(5));
    assert_eq!(asked(&mut puppet), [100]);
    assert_eq!(pending(kept(&mut puppet.ours.store).as_ref()), 3);
    // It can be had now, and another one is new.
    puppet.serve(&bad, &json!([]));
    let new = puppet.serve(&text_of(&note("new")), &json!([]));
    puppet.reply(100, "", list(false, 3, &[entry(new, "Note")]));
    puppet.run(Micros::secs(60));
    for hash in [new, bad_hash] {
        let is = puppet.ours.store.presence(&Reference::Object(hash));
        assert_eq!(is, Presence::Stored);
    }
    let settled = kept(&mut puppet.ours.store);
    assert_eq!(digest_of(settled.as_ref()), Some("03".repeat(32)));
    assert_eq!(pending(settled.as_ref()), 2);
    // What is refused is told once.
    let told = puppet.ours.troubles();
    let refusals = told.iter().filter(|name| **name != "rpc_remote_error");
    assert_eq!(refusals.collect::<Vec<_>>(), [&"refused", &"unknown type"]);
    // Another start, with another recipe: it is there, though no list names it.
    let Puppet { ours, replies, .. } = puppet;
    let mut ours = Ours::new(config(), ours.store);
    let policy = Arc::new(policy("bob"));
    ours.chum = Chum::new(ours.now, config(), peer("bob", "alice"), more, policy);
    let mut puppet = Puppet::of(ours);
    puppet.replies = replies;
    puppet.reply(100, "", list(false, 3, &[]));
    puppet.start(Micros::secs(1));
    assert_eq!(asked(&mut puppet), [1, 100, 4, 6]);
    assert_eq!(pending(kept(&mut puppet.ours.store).as_ref()), 1);
    // A whole list without the refused one: it is forgotten.
    puppet.reply(100, "", list(true, 4, &[entry(good, "Note")]));
    puppet.run(Micros::secs(6));
    assert_eq!(pending(kept(&mut puppet.ours.store).as_ref()), 0);
}

/// Demands: MX.4, MX.5.
#[test]
fn with_too_many_pending_the_cursor_stays() {
    let mut few = config();
    few.pending = 2;
    let mut puppet = Puppet::new(few);
    let hashes: Vec<_> = (0..3).map(|n| ObjectHash([n; 32])).collect();
    let roots: Vec<_> = hashes.iter().map(|hash| entry(*hash, "Note")).collect();
    puppet.reply(100, "", list(true, 1, &roots[..2]));
    puppet.start(Micros::secs(1));
    let first = kept(&mut puppet.ours.store);
    assert_eq!(pending(first.as_ref()), 2);
    puppet.reply(100, "", list(false, 2, &roots[2..]));
    puppet.run(Micros::secs(12));
    assert_eq!(kept(&mut puppet.ours.store), first);
    // An entry that is none cannot be pending either.
    puppet.reply(100, "", list(false, 3, &[json!({"type": "new"})]));
    puppet.run(Micros::secs(6));
    assert_eq!(kept(&mut puppet.ours.store), first);
    // There is room again.
    let text = text_of(&note("x"));
    let hash = puppet.serve(&text, &json!([]));
    puppet.reply(
        100,
        "",
        list(true, 4, &[entry(hash, "Note"), roots[0].clone()]),
    );
    puppet.run(Micros::secs(6));
    let last = kept(&mut puppet.ours.store);
    assert_eq!(digest_of(last.as_ref()), Some("04".repeat(32)));
    assert_eq!(pending(last.as_ref()), 1);
}

/// Demands: MX.7.
#[test]
fn a_peer_that_does_not_know_it_is_asked_for_all_and_nothing_is_forgotten() {
    let before = {
        let mut puppet = Puppet::new(config());
        puppet.reply(100, "", list(true, 1, &[]));
        puppet.start(Micros::secs(1));
        puppet.ours.store
    };
    let others = [
        Reply::Error("UNKNOWN-SERVICE"),
        Reply::Data(json!("[]")),
        Reply::Data(json!(5)),
        Reply::Data(json!("{\"ext\":\"roots-since-2\"}")),
        Reply::Data(json!("{\"ext\":\"roots-since-1\",\"full\":false}")),
    ];
    for reply in others {
        let mut puppet = Puppet::of(Ours::new(config(), before.clone()));
        let hash = puppet.serve(&text_of(&note("x")), &json!([]));
        puppet.roots = vec![entry(hash, "Note")];
        puppet.reply(100, "", reply.clone());
        puppet.start(Micros::secs(12));
        assert_eq!(asked(&mut puppet), [1, 100, 2, 4, 6, 2, 2], "{reply:?}");
        assert_eq!(kept(&mut puppet.ours.store), kept(&mut before.clone()));
        assert_eq!(puppet.ours.fault(), None);
    }
    // Who is not one of ours is not asked.
    let mut puppet = Puppet::new(ChumConfig::default());
    puppet.start(Micros::secs(1));
    assert_eq!(asked(&mut puppet), [1, 2]);
}

#[test]
fn a_part_of_a_list_where_nothing_is_settled_is_no_list() {
    let mut puppet = Puppet::new(config());
    puppet.reply(100, "", list(false, 1, &[]));
    puppet.start(Micros::secs(1));
    assert_eq!(kept(&mut puppet.ours.store), None);
}

#[test]
fn answers_are_read_strictly() {
    let digest = "ab".repeat(32);
    let good = format!(
        "{{\"ext\":\"roots-since-1\",\"full\":true,\"digest\":\"{digest}\",\"stamp\":1,\"roots\":[]}}"
    );
    assert!(read_since(&good, 5).expect("a list").is_some());
    for (from, to) in [
        ("roots-since-1", "roots-since-2"),
        ("\"full\":true", "\"full\":1"),
        (digest.as_str(), "AB"),
        ("\"stamp\":1", "\"stamp\":9007199254740992"),
        ("\"stamp\":1", "\"stamp\":-1"),
        ("\"stamp\":1", "\"stamp\":1,\"more\":2"),
        ("\"stamp\":1,", ""),
    ] {
        let bad = good.replace(from, to);
        assert_eq!(read_since(&bad, 5), Ok(None), "{bad}");
    }
    assert!(read_since(&good.replace("[]", "{}"), 5).is_err());
    assert!(read_since(&good.replace("[]", "[1,2,3,4,5,6]"), 5).is_err());
}

// --- rounds without cursor -------------------------------------------------------------------------------------------

/// Whether the lists that the puppet was asked for were to be whole ones: those of the last seconds.
fn were_whole(puppet: &mut Puppet, wall: u64) -> bool {
    puppet.ours.now.wall = Millis(wall);
    // The puppet does not see arguments that are no texts; so the store tells.
    let before = kept(&mut puppet.ours.store).expect("a cursor");
    puppet.reply(100, "", list(true, 9, &[]));
    let sent = sends_cursor(puppet);
    assert_ne!(kept(&mut puppet.ours.store), Some(before));
    !sent
}

/// Whether the next request for a list has a cursor.
fn sends_cursor(puppet: &mut Puppet) -> bool {
    let until = puppet.ours.now.mono + Micros::secs(6);
    loop {
        let texts = puppet.ours.says();
        if let Some(text) = texts.iter().find(|text| text.contains("\"serviceId\":100")) {
            let request: Json = serde_json::from_str(text).expect("JSON");
            let answer = json!({
                "responseId": request["requestId"], "type": "data",
                "data": format!("{{\"ext\":\"roots-since-1\",\"full\":true,\"digest\":\"{}\",\"stamp\":9,\"roots\":[]}}",
                    "09".repeat(32)),
            });
            puppet.ours.hears(&answer.to_string());
            assert!(puppet.ours.says().is_empty());
            return request["args"] != json!([]);
        }
        assert!(puppet.ours.wait(until));
    }
}

/// Demands: MX.6.
#[test]
fn a_round_is_without_cursor_after_a_day_and_whenever_what_was_settled_may_not_be() {
    const DAY: u64 = 24 * 60 * 60 * 1_000;
    let mut puppet = Puppet::new(config());
    puppet.reply(100, "", list(true, 9, &[]));
    puppet.start(Micros::secs(1));
    let now = puppet.ours.now.wall.0;
    assert!(!were_whole(&mut puppet, now + 60_000));
    assert!(were_whole(&mut puppet, now + 60_000 + DAY + 10_000));
    assert!(!were_whole(&mut puppet, now + 120_000 + DAY));
    // The clock goes back: who knows for how long.
    assert!(were_whole(&mut puppet, now));
    assert!(!were_whole(&mut puppet, now + 60_000));
    // Something was deleted, or the policy takes more.
    let hash = puppet.ours.store.put(&recipes(), &note("x"));
    let hash = Reference::Object(hash.expect("a note"));
    puppet.ours.store.delete(&hash);
    assert!(were_whole(&mut puppet, now + 120_000));
    assert!(!were_whole(&mut puppet, now + 180_000));
    puppet.ours.chum.policy_changed(puppet.ours.now);
    assert!(!sends_cursor(&mut puppet));
    assert!(sends_cursor(&mut puppet));
}

// --- two of ours -----------------------------------------------------------------------------------------------------

#[expect(
    clippy::disallowed_methods,
    reason = "how long it takes is shown, not used"
)]
/// Bytes that both sent on a connection of this length, and what it took.
fn connection(stores: [MemoryStore; 2], config: &ChumConfig) -> ([MemoryStore; 2], usize, f64) {
    let began = Instant::now();
    let mut pair = Pair::new(config.clone(), stores);
    pair.run(Micros::secs(3));
    let took = began.elapsed().as_secs_f64();
    let sent = pair.ends.iter().flat_map(|end| &end.sent);
    let bytes = sent.map(|(_, bytes)| bytes.len()).sum();
    let rounds = pair.ends.iter().map(|end| {
        let is_round = |e: &&ChumEvent| matches!(e, ChumEvent::RoundEnded(_));
        end.events.iter().filter(is_round).count()
    });
    assert_eq!(rounds.collect::<Vec<_>>(), [1, 1]);
    (pair.ends.map(|end| end.store), bytes, took)
}

#[test]
fn a_reconnect_of_settled_peers_costs_next_to_nothing() {
    const ROOTS: usize = 100_000;
    let mut alice = MemoryStore::new();
    for n in 0..ROOTS {
        let hash = alice.put(&recipes(), &note(&format!("note {n}")));
        alice.share(Reference::Object(hash.expect("a note")), person("bob"));
    }
    let with = config();
    let mut without = config();
    without.roots_since = false;
    let (stores, ..) = connection([alice, MemoryStore::new()], &with);
    let (stores, bytes_without, took_without) = connection(stores, &without);
    let (mut stores, bytes_with, took_with) = connection(stores, &with);
    let new = stores[0].put(&recipes(), &note("new")).expect("a note");
    stores[0].share(Reference::Object(new), person("bob"));
    let (stores, bytes_new, took_new) = connection(stores, &with);
    assert_eq!(
        stores[1].presence(&Reference::Object(new)),
        Presence::Stored
    );
    println!(
        "{ROOTS} roots, a reconnect: {bytes_without} bytes, {took_without:.3} s without; {bytes_with} bytes, \
         {took_with:.3} s with; {bytes_new} bytes, {took_new:.3} s with one new root"
    );
    assert!(bytes_with < 2_000, "{bytes_with}");
    assert!(bytes_new < 4_000, "{bytes_new}");
    assert!(bytes_without > 1_000_000, "{bytes_without}");
}

/// Alice has notes and versions for bob.
fn world() -> World {
    let mut world = World::new(Control::No);
    for n in 0..3 {
        add(&mut world, n);
    }
    world
}

fn add(world: &mut World, n: usize) {
    let (recipes, alice) = (&world.recipes, &mut world.stores[ALICE]);
    let leaf = alice.put(recipes, &note(&format!("leaf {n}")));
    let root = note(&format!("root {n}")).with("uses", Value::list([leaf.expect("a note")]));
    let root = Reference::Object(alice.put(recipes, &root).expect("a note"));
    let data = doc("d", &format!("title {n}"));
    let id = alice.put_version(recipes, &data, Millis(1_000 + n as u64));
    for what in [root, Reference::Id(id.expect("a version"))] {
        alice.share(what, person("bob"));
    }
}

/// Demands: MX.4.
#[test]
fn a_crash_before_or_behind_any_write_of_either_side_loses_nothing() {
    let mut whole = world();
    whole.meet(&[1], Micros::secs(8));
    assert!(whole.missing(1).is_empty());
    // Something is settled, and something else is new.
    for settled in [false, true] {
        for place in [ALICE, 1] {
            let mut at = 0;
            loop {
                let mut crashed = 0;
                for (behind, lost) in [(false, 0), (true, 0), (false, 1), (true, 1), (true, 3)] {
                    let mut world = world();
                    if settled {
                        world.meet(&[1], Micros::secs(8));
                        add(&mut world, 7);
                    }
                    let before = world.writes[place];
                    world.crash = Some(Crash {
                        place,
                        writes: at,
                        behind,
                        lost,
                    });
                    world.meet(&[1], Micros::secs(8));
                    let through = world.writes[place] - before;
                    crashed += usize::from(through == at + usize::from(behind));
                    world.meet(&[1], Micros::secs(8));
                    let missing = world.missing(1);
                    assert!(missing.is_empty(), "{place} {at} {behind}: {missing:?}");
                    assert!(world.kept(1).1.is_some());
                }
                at += 1;
                if crashed < 3 {
                    break;
                }
            }
            assert!(at > usize::from(place == 1) * 3, "{place}: {at}");
        }
    }
}

/// Demands: MX.3.
#[test]
fn a_restored_backup_of_either_side_gets_all_again() {
    let mut world = world();
    world.meet(&[1], Micros::secs(8));
    let backups = world.stores.clone();
    for n in 3..6 {
        add(&mut world, n);
        world.meet(&[1], Micros::secs(8));
    }
    // The importer's: an older cursor, with an older store.
    let mut other = world.clone();
    other.restore(1, backups[1].clone());
    other.lists.clear();
    other.meet(&[1], Micros::secs(1));
    assert!(other.missing(1).is_empty());
    assert_eq!(other.lists.first().map(|list| list.0), Some(false));
    // The exporter's: it goes on otherwise, with the same stamps.
    world.restore(ALICE, backups[ALICE].clone());
    world.walls[ALICE] -= 60_000;
    for n in 6..9 {
        add(&mut world, n);
    }
    world.lists.clear();
    world.meet(&[1], Micros::secs(1));
    assert!(world.missing(1).is_empty());
    assert_eq!(world.lists.first().map(|list| list.0), Some(true));
}

/// Demands: MX.3, MX.1.
#[test]
fn a_lost_journal_and_a_clock_that_goes_back_lose_nothing() {
    let mut world = world();
    world.meet(&[1], Micros::secs(8));
    for n in 3..6 {
        world.walls[ALICE] -= 3_600_000;
        add(&mut world, n);
        world.lists.clear();
        world.meet(&[1], Micros::secs(1));
        assert!(world.missing(1).is_empty());
        let (full, count) = world.lists[0];
        assert!(!full && count <= 3, "{count}");
    }
    world.lose_journal();
    // The list is the same: that needs no journal. Another one is whole.
    world.lists.clear();
    world.meet(&[1], Micros::secs(1));
    assert_eq!(world.lists, [(false, 0)]);
    add(&mut world, 6);
    world.meet(&[1], Micros::secs(1));
    assert!(world.lists[1].0);
    assert!(world.missing(1).is_empty());
}

#[test]
fn two_instances_of_a_person_settle_each_their_own() {
    let mut world = world();
    world.meet(&[1], Micros::secs(8));
    add(&mut world, 3);
    world.meet(&[1, 2], Micros::secs(8));
    world.lists.clear();
    world.meet(&[2, 1], Micros::secs(1));
    assert_eq!(world.lists, [(false, 0); 2]);
    for place in [1, 2] {
        assert!(world.missing(place).is_empty());
    }
}
