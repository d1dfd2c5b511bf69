//! Our importer against an exporter that does all that it must not: what is wrong is named, nothing of it is stored,
//! and a good root behind it arrives.

use chumwire::chum::{ChumConfig, ChumEvent, MemoryStore, Presence, VersionNode};
use chumwire::io::Kind;
use chumwire::objects::{Object, ObjectHash, Reference, Value};
use chumwire::time::{Micros, Millis};
use serde_json::{Value as Json, json};

use crate::net::assert_whole;
use crate::pair::{doc, note, person, policy, recipes};
use crate::puppet::{Ours, Puppet, Reply};

fn write(object: &Object) -> String {
    recipes().write(object).expect("an object")
}

fn hash(object: &Object) -> ObjectHash {
    ObjectHash::of(&write(object))
}

fn unversioned(hash: ObjectHash) -> Json {
    json!({"type": "unversioned", "hash": hash.to_string(), "oneType": "Note"})
}

fn child(kind: &str, hash: &str) -> Json {
    json!({"type": kind, "hash": hash})
}

fn node(node: ObjectHash, of: &Object, type_name: &str) -> Json {
    let id = recipes().id_hash(of).expect("an id").to_string();
    json!({"type": "version_node", "node": node.to_string(), "dataIdHash": id, "dataType": type_name})
}

fn leaf() -> Object {
    note("leaf")
}

fn user_of(what: &Object) -> Object {
    note("root").with("uses", Value::list([hash(what)]))
}

/// An edge with this data, and both served.
fn serve_edge(puppet: &mut Puppet, data: &Object) -> ObjectHash {
    let data = puppet.serve(&write(data), &json!([]));
    let edge = VersionNode::edge(data, Millis(1_000)).object();
    puppet.serve(&write(&edge), &json!([child("object", &data.to_string())]))
}

/// Sets a script up, and tells what must not be stored.
type Scene = fn(&mut Puppet) -> Vec<ObjectHash>;

/// A root that uses a leaf, whose list of children is this.
fn with_children(puppet: &mut Puppet, children: Json) -> Vec<ObjectHash> {
    puppet.serve(&write(&leaf()), &json!([]));
    let root = puppet.serve(&write(&user_of(&leaf())), &children);
    puppet.roots.push(unversioned(root));
    vec![root]
}

/// A root that is this text, whatever it is.
fn with_text(puppet: &mut Puppet, text: &str, type_name: &str) -> Vec<ObjectHash> {
    let root = ObjectHash::of(text);
    puppet.reply(4, &root.to_string(), Reply::Data(json!("[]")));
    puppet.reply(6, &root.to_string(), Reply::Data(json!(text)));
    let mut entry = unversioned(root);
    entry["oneType"] = json!(type_name);
    puppet.roots.push(entry);
    vec![root]
}

/// A version node of `d` that is this text, with the data of `data`.
fn with_node(puppet: &mut Puppet, text: &str, data: &Object) -> Vec<ObjectHash> {
    let data_hash = puppet.serve(&write(data), &json!([]));
    let bad = puppet.serve(text, &json!([child("object", &data_hash.to_string())]));
    puppet.roots.push(node(bad, &doc("d", ""), "Doc"));
    vec![bad]
}

fn edge_of(data: &Object) -> String {
    write(&VersionNode::edge(hash(data), Millis(1_000)).object())
}

/// A note with a picture that is served like this.
fn with_picture(puppet: &mut Puppet, picture: &[u8], reply: Reply) -> Vec<ObjectHash> {
    let file = chumwire::objects::FileHash::of(picture);
    let root = note("picture").with("picture", Reference::Blob(file));
    let children = json!([child("blob", &file.to_string())]);
    let root = puppet.serve(&write(&root), &children);
    puppet.reply(8, &file.to_string(), reply);
    puppet.roots.push(unversioned(root));
    vec![root]
}

fn access() -> Object {
    Object::new("Access")
        .with("object", hash(&leaf()))
        .with("person", Value::list([person("alice")]))
        .with("group", Value::List(Vec::new()))
}

const SCENES: &[(&str, Scene, &[&str])] = &[
    (
        "another text",
        |puppet| {
            let root = hash(&note("asked for"));
            puppet.reply(4, &root.to_string(), Reply::Data(json!("[]")));
            puppet.reply(
                6,
                &root.to_string(),
                Reply::Data(json!(write(&note("given")))),
            );
            puppet.roots.push(unversioned(root));
            vec![root, hash(&note("given"))]
        },
        &["wrong_hash"],
    ),
    (
        "no text",
        |puppet| {
            let root = hash(&note("x"));
            puppet.reply(4, &root.to_string(), Reply::Data(json!("[]")));
            puppet.reply(6, &root.to_string(), Reply::Data(json!({"a": 1})));
            puppet.roots.push(unversioned(root));
            vec![root]
        },
        &["answer_not_text"],
    ),
    (
        "a child that may not be had",
        |puppet| {
            let root = user_of(&note("nowhere"));
            let children = json!([child("object", &hash(&note("nowhere")).to_string())]);
            let root = puppet.serve(&write(&root), &children);
            puppet.roots.push(unversioned(root));
            vec![root]
        },
        &["rpc_remote_error"],
    ),
    (
        "a child that is not listed",
        |puppet| with_children(puppet, json!([])),
        &["missing_child"],
    ),
    (
        "users behind what they use",
        |puppet| {
            puppet.serve(&write(&leaf()), &json!([]));
            let middle = user_of(&leaf());
            puppet.serve(&write(&middle), &json!([]));
            let root = note("top").with("uses", Value::list([hash(&middle)]));
            let hashes = [hash(&leaf()), hash(&middle)].map(|h| child("object", &h.to_string()));
            let root_hash = puppet.serve(&write(&root), &json!(hashes));
            puppet.roots.push(unversioned(root_hash));
            vec![root_hash, hash(&middle)]
        },
        &["missing_child"],
    ),
    (
        "a child of another kind",
        |puppet| {
            let text = write(&leaf()).into_bytes();
            puppet.reply(8, &hash(&leaf()).to_string(), Reply::File(text, 100));
            with_children(puppet, json!([child("blob", &hash(&leaf()).to_string())]))
        },
        &["wrong_kind"],
    ),
    (
        "an object as an id object",
        |puppet| {
            puppet.reply(
                7,
                &hash(&leaf()).to_string(),
                Reply::Data(json!(write(&leaf()))),
            );
            with_children(puppet, json!([child("id", &hash(&leaf()).to_string())]))
        },
        &["id_for_object"],
    ),
    (
        "an id object that is there as an object",
        |puppet| {
            let alice = Object::new_id("Person").with("email", "alice@example.com");
            let alice = puppet.serve(&write(&alice), &json!([]));
            puppet.reply(6, &alice.to_string(), Reply::Data(json!("not this")));
            puppet
                .roots
                .push(json!({"type": "id", "idHash": alice.to_string(),
                "oneType": "Person"}));
            let root = note("root").with("uses", Value::list([alice]));
            let children = json!([child("object", &alice.to_string())]);
            let root = puppet.serve(&write(&root), &children);
            puppet.roots.push(unversioned(root));
            vec![root]
        },
        &["wrong_hash"],
    ),
    (
        "a child that is no hash",
        |puppet| with_children(puppet, json!([child("object", "../../x")])),
        &["entry_not_a_hash"],
    ),
    (
        "a child of no kind",
        |puppet| with_children(puppet, json!([child("planet", &hash(&leaf()).to_string())])),
        &["entry_unknown_type"],
    ),
    (
        "children that are no list",
        |puppet| with_children(puppet, json!({})),
        &["list_not_an_array"],
    ),
    (
        "too many children",
        |puppet| {
            let entry = child("object", &hash(&leaf()).to_string());
            with_children(puppet, Json::Array(vec![entry; 100_001]))
        },
        &["list_too_long"],
    ),
    (
        "a hash that is not found as itself, in a long list",
        |puppet| {
            let hashes =
                (0..65_000_u32).map(|n| child("object", &hash(&note(&n.to_string())).to_string()));
            with_children(puppet, Json::Array(hashes.collect()))
        },
        &["rpc_remote_error"],
    ),
    (
        "another type than announced",
        |puppet| with_text(puppet, &write(&doc("d", "t")), "Note"),
        &["wrong_type"],
    ),
    (
        "an id object as an object",
        |puppet| {
            let id = recipes().id_object(&doc("d", "t")).expect("an id object");
            with_text(puppet, &write(&id), "Doc")
        },
        &["id_for_object"],
    ),
    (
        "trailing bytes",
        |puppet| with_text(puppet, &(write(&leaf()) + " "), "Note"),
        &["trailing_bytes"],
    ),
    (
        "not canonical",
        |puppet| with_text(puppet, &write(&leaf()).replace("leaf", "l>eaf"), "Note"),
        &["not_canonical"],
    ),
    (
        "a type that is not known within one that is",
        |puppet| with_text(puppet, &write(&leaf()).replace("Note", "Unknown"), "Note"),
        &["unknown_type"],
    ),
    (
        "a right in place of a note",
        |puppet| with_text(puppet, &write(&access()), "Note"),
        &["forbidden_type"],
    ),
    (
        "a right as a child",
        |puppet| {
            puppet.serve(&write(&leaf()), &json!([]));
            let right = puppet.serve(&write(&access()), &json!([]));
            let children = [&right, &hash(&leaf())].map(|h| child("object", &h.to_string()));
            let mut children = Vec::from(children);
            let alice = Object::new_id("Person").with("email", "alice@example.com");
            puppet.serve(&write(&alice), &json!([]));
            children.push(child("id", &person("alice").to_string()));
            let root = puppet.serve(&write(&user_of(&access())), &Json::Array(children));
            puppet.roots.push(unversioned(root));
            vec![root, right]
        },
        &["forbidden_type"],
    ),
    (
        "rights and groups as roots",
        |puppet| {
            let right = puppet.serve(&write(&access()), &json!([]));
            for name in ["Access", "IdAccess", "Group"] {
                let mut entry = unversioned(ObjectHash([name.len() as u8; 32]));
                entry["oneType"] = json!(name);
                puppet.roots.push(entry);
            }
            vec![right]
        },
        &["refused", "refused", "refused"],
    ),
    (
        "a file as a value",
        |puppet| with_picture(puppet, b"x", Reply::Data(json!("x"))),
        &["rpc_wrong_kind"],
    ),
    (
        "another file",
        |puppet| with_picture(puppet, b"x", Reply::File(b"y".to_vec(), 1)),
        &["wrong_hash"],
    ),
    (
        "a file without end",
        |puppet| with_picture(puppet, b"x", Reply::Endless),
        &["file_too_long"],
    ),
    (
        "a version of another thing",
        |puppet| with_node(puppet, &edge_of(&doc("e", "t")), &doc("e", "t")),
        &["version_of_another_thing"],
    ),
    (
        "a version of another type",
        |puppet| with_node(puppet, &edge_of(&leaf()), &leaf()),
        &["version_of_another_type"],
    ),
    (
        "a version whose depth is out of range",
        |puppet| {
            let text = edge_of(&doc("d", "t")).replace(">0<", ">9007199254740994<");
            with_node(puppet, &text, &doc("d", "t"))
        },
        &["not_a_version_node"],
    ),
    (
        "a version without data",
        |puppet| {
            let edge = edge_of(&doc("d", "nowhere"));
            let bad = puppet.serve(&edge, &json!([]));
            puppet.roots.push(node(bad, &doc("d", ""), "Doc"));
            vec![bad]
        },
        &["missing_child"],
    ),
    (
        "a note as a version node",
        |puppet| with_node(puppet, &write(&note("x")), &doc("d", "t")),
        &["not_a_version_node"],
    ),
    (
        "a version that is named as one of another thing",
        |puppet| {
            let bad = puppet.serve(&write(&doc("e", "t")), &json!([]));
            let id = recipes().id_object(&doc("d", "t")).expect("an id object");
            let id = puppet.serve(&write(&id), &json!([]));
            puppet
                .roots
                .push(json!({"type": "versioned", "hash": bad.to_string(),
                "idHash": id.to_string(), "oneType": "Doc"}));
            vec![bad]
        },
        &["version_of_another_thing"],
    ),
    (
        "entries that are none",
        |puppet| {
            let hash = "ab".repeat(32);
            puppet.roots.extend([
                json!({"type": "galaxy", "hash": hash, "oneType": "Note"}),
                json!({"type": "unversioned", "hash": "../../x", "oneType": "Note"}),
                json!({"type": "unversioned", "hash": hash}),
                json!([]),
                json!(null),
            ]);
            Vec::new()
        },
        &[
            "entry_unknown_type",
            "entry_not_a_hash",
            "entry_type_name",
            "entry_malformed",
            "entry_malformed",
        ],
    ),
];

fn config() -> ChumConfig {
    let mut config = ChumConfig::default();
    config.file = 1 << 20;
    config
}

/// Demands: M9.2, M9.3, M9.4, M9.5, M9.6.
#[test]
fn what_is_wrong_with_a_root_is_named_and_the_rest_arrives() {
    for (name, scene, due) in SCENES {
        let mut puppet = Puppet::new(config());
        let absent = scene(&mut puppet);
        let good = note("good");
        let good = puppet.serve(&write(&good), &json!([]));
        puppet.roots.push(unversioned(good));
        let version = doc("good", "version");
        let edge = serve_edge(&mut puppet, &version);
        puppet.roots.push(node(edge, &version, "Doc"));
        puppet.start(Micros::secs(2));
        assert_eq!(puppet.ours.troubles(), *due, "{name}");
        puppet.assert_absent(&absent, name);
        let store = &puppet.ours.store;
        let is = |hash| store.presence(&Reference::Object(hash));
        assert_eq!(
            (is(good), is(edge)),
            (Presence::Stored, Presence::Merged),
            "{name}"
        );
        // It goes on.
        let rounds = puppet.requests.iter().filter(|(service, _)| *service == 2);
        assert_eq!(rounds.count(), 1, "{name}");
        puppet.run(Micros::secs(6));
        assert!(
            puppet
                .requests
                .iter()
                .filter(|(service, _)| *service == 2)
                .count()
                > 1,
            "{name}"
        );
        assert!(puppet.ours.store.files().count() <= 1, "{name}: files");
    }
}

/// A deployed peer lists two versions that were made at once without their merge: none of them is lost.
#[test]
fn versions_of_equal_depth_are_both_merged() {
    let mut puppet = Puppet::new(config());
    let tagged = |tag: &str| doc("d", tag).with("tags", Value::list([tag]));
    for tag in ["a", "b"] {
        let data = tagged(tag);
        let edge = serve_edge(&mut puppet, &data);
        puppet.roots.push(node(edge, &data, "Doc"));
    }
    puppet.start(Micros::secs(20));
    let id = recipes().id_hash(&tagged("a")).expect("an id");
    let (_, data) = puppet.ours.store.newest(&recipes(), &id).expect("a head");
    assert_eq!(data.get("tags"), Some(&Value::list(["a", "b"])));
    // And that is all: there are the two, their merge, its data, and the edge of it that others make.
    let before = puppet.ours.store.objects().count();
    puppet.run(Micros::secs(60));
    assert_eq!(puppet.ours.store.objects().count(), before);
}

/// A list in the wrong order: the older version comes as a part of the newer one, and makes no other version of it.
#[test]
fn versions_that_are_listed_newest_first_make_no_other_one() {
    let mut puppet = Puppet::new(config());
    let (old, new) = (doc("d", "old"), doc("d", "new"));
    let edge = serve_edge(&mut puppet, &old);
    let data = puppet.serve(&write(&new), &json!([]));
    let of_edge = VersionNode::edge(hash(&old), Millis(1_000));
    let change = VersionNode::next(Some((edge, &of_edge)), data, Millis(2_000)).object();
    let children = [data, edge, hash(&old)].map(|hash| child("object", &hash.to_string()));
    let change = puppet.serve(&write(&change), &json!(children));
    puppet.roots = vec![node(change, &new, "Doc"), node(edge, &old, "Doc")];
    puppet.start(Micros::secs(7));
    assert_eq!(puppet.ours.troubles(), Vec::<&str>::new());
    let id = recipes().id_hash(&new).expect("an id");
    let (_, newest) = puppet.ours.store.newest(&recipes(), &id).expect("a head");
    assert_eq!(newest, new);
    for node in [edge, change] {
        let presence = puppet.ours.store.presence(&Reference::Object(node));
        assert_eq!(presence, Presence::Merged);
    }
    // Both, their data, the id object, and the edge of the newer one.
    assert_eq!(puppet.ours.store.objects().count(), 6);
}

/// Demands: M9.6.
#[test]
fn a_file_that_claims_to_be_huge_is_stopped_early() {
    let mut puppet = Puppet::new(config());
    let absent = with_picture(&mut puppet, b"x", Reply::Endless);
    puppet.start(Micros::secs(1));
    assert_eq!(puppet.ours.troubles(), ["file_too_long"]);
    assert_eq!(puppet.cancelled, 1);
    assert!(puppet.ours.appended <= 1 << 20, "{}", puppet.ours.appended);
    puppet.assert_absent(&absent, "huge");
}

#[test]
fn a_list_that_names_its_root_or_one_child_many_times_is_taken() {
    let mut puppet = Puppet::new(config());
    let root = hash(&user_of(&leaf())).to_string();
    let mut children = vec![child("object", &hash(&leaf()).to_string()); 65_000];
    children.extend(vec![child("object", &root); 1_000]);
    with_children(&mut puppet, Json::Array(children));
    puppet.start(Micros::secs(1));
    assert_eq!(puppet.ours.troubles(), Vec::<&str>::new());
    let objects = puppet.requests.iter().filter(|(service, _)| *service == 6);
    assert_eq!(objects.count(), 2);
    assert_whole(&puppet.ours.store);
}

#[test]
fn chunks_that_nobody_asked_for_are_dropped() {
    let mut puppet = Puppet::new(config());
    let file = b"picture".to_vec();
    with_picture(&mut puppet, &file, Reply::File(file.clone(), 3));
    for service in [1, 2, 4, 6, 8] {
        let stray = [&999_f64.to_le_bytes()[..], b"stray"].concat();
        puppet.noise.push((service, Kind::Binary, stray));
        puppet.noise.push((service, Kind::Binary, Vec::new()));
        let text = r#"{"responseId":999,"type":"stream","chunk":"x","encoding":"utf8"}"#;
        puppet.noise.push((service, Kind::Text, text.into()));
    }
    puppet.start(Micros::secs(1));
    assert_eq!(puppet.ours.troubles(), Vec::<&str>::new());
    let hash = chumwire::objects::FileHash::of(&file);
    assert_eq!(puppet.ours.store.file(&hash), Some(file.as_slice()));
}

/// The own person, another contact's profile, a log: a peer writes only about itself.
///
/// Demands: M9.3.
#[test]
fn a_peer_writes_only_about_itself() {
    let recipes = recipes();
    let mut store = MemoryStore::new();
    let own = Object::new("Person").with("email", "bob@example.com");
    let id = store
        .put_version(&recipes, &own, Millis(1))
        .expect("a version");
    let head = store.head(&id);
    let mut puppet = Puppet::of(Ours::new(config(), store));
    let profile = |of: &str, by: &str| {
        Object::new("Profile")
            .with("profileId", "default")
            .with("personId", person(of))
            .with("owner", person(by))
            .with("communicationEndpoint", Value::List(Vec::new()))
            .with("personDescription", Value::List(Vec::new()))
    };
    for name in ["alice", "bob", "carol"] {
        let text = Object::new_id("Person").with("email", format!("{name}@example.com"));
        puppet.serve(&write(&text), &json!([]));
    }
    let forged = [
        own.with("name", "Mallory"),
        Object::new("Person").with("email", "carol@example.com"),
        profile("carol", "carol"),
        profile("carol", "alice"),
        profile("alice", "carol"),
        profile("bob", "bob"),
    ];
    let mut edges = Vec::new();
    for data in &forged {
        let hash = puppet.serve(&write(data), &json!([]));
        let edge = VersionNode::edge(hash, Millis(9_999)).object();
        let mut children = vec![child("object", &hash.to_string())];
        for name in ["alice", "bob", "carol"] {
            children.push(child("id", &person(name).to_string()));
        }
        let edge = puppet.serve(&write(&edge), &Json::Array(children));
        puppet.roots.push(node(edge, data, &data.type_name));
        edges.push(edge);
    }
    let mut log = node(edges[0], &forged[0], "Chum");
    log["node"] = json!("cd".repeat(32));
    log["dataIdHash"] = json!("ef".repeat(32));
    puppet.roots.push(log);
    puppet.start(Micros::secs(1));
    assert_eq!(puppet.ours.troubles(), ["refused"; 7]);
    puppet.assert_absent(&edges, "forged");
    assert_eq!(puppet.ours.store.head(&id), head);
    // What was refused when it had come is not fetched for ever.
    let fetched = |puppet: &Puppet| {
        let is_fetch = |(service, _): &&(u64, String)| *service > 3;
        puppet.requests.iter().filter(is_fetch).count()
    };
    let before = fetched(&puppet);
    puppet.run(Micros::secs(60));
    assert_eq!(fetched(&puppet), before);
    assert_eq!(puppet.ours.troubles().len(), 7);
    // Its own profile is taken.
    let own = profile("alice", "alice");
    let hash = puppet.serve(&write(&own), &json!([]));
    let edge = VersionNode::edge(hash, Millis(9_999)).object();
    let children = json!([
        child("object", &hash.to_string()),
        child("id", &person("alice").to_string())
    ]);
    let edge = puppet.serve(&write(&edge), &children);
    puppet.roots = vec![node(edge, &own, "Profile")];
    puppet.run(Micros::secs(6));
    let id = recipes.id_hash(&own).expect("an id");
    assert_eq!(puppet.ours.store.head(&id), Some(edge));
}

#[test]
fn an_unknown_type_is_told_once_and_never_fetched() {
    let mut puppet = Puppet::new(config());
    let mut entry = unversioned(ObjectHash([7; 32]));
    entry["oneType"] = json!("Spaceship");
    puppet.roots.push(entry);
    puppet.start(Micros::secs(60));
    assert_eq!(puppet.ours.troubles(), ["unknown type"]);
    assert!(puppet.requests.iter().all(|(service, _)| *service <= 2));
    assert!(puppet.requests.len() > 10);
}

/// Demands: M9.5.
#[test]
fn a_root_that_fails_is_tried_less_and_less() {
    let mut puppet = Puppet::new(config());
    puppet.roots.push(unversioned(ObjectHash([7; 32])));
    puppet.start(Micros::secs(600));
    let tries = puppet
        .requests
        .iter()
        .filter(|(service, _)| *service == 4)
        .count();
    let polls = puppet
        .requests
        .iter()
        .filter(|(service, _)| *service == 2)
        .count();
    assert!(polls > 100 && (3..30).contains(&tries), "{polls} {tries}");
}

// --- lists of roots that are none ------------------------------------------------------------------------------------

#[test]
fn a_list_of_roots_that_is_none_ends_it() {
    let many = "0,".repeat(1_000_001) + "0";
    let huge = "0,".repeat(10_000_000) + "0";
    for (answer, due) in [
        (Reply::Data(json!(7)), "answer_not_text"),
        (Reply::Data(json!("$__undefined$")), "answer_not_text"),
        (Reply::Data(json!("nothing")), "list_not_json"),
        (Reply::Data(json!("{}")), "list_not_an_array"),
        (Reply::Data(json!(format!("[{many}]"))), "list_too_long"),
        (Reply::Data(json!(format!("[{huge}]"))), "rpc_too_long"),
        (Reply::Error("SB-READ2"), "rpc_remote_error"),
        (Reply::Silence, "rpc_timeout"),
    ] {
        let mut puppet = Puppet::new(config());
        puppet.reply(2, "", answer);
        puppet.start(Micros::secs(40));
        assert_eq!(puppet.ours.fault(), Some(due));
    }
}

#[test]
fn a_million_bad_entries_are_counted_and_the_good_one_is_taken() {
    let mut puppet = Puppet::new(config());
    let good = puppet.serve(&write(&leaf()), &json!([]));
    let list = format!("[{}{}]", "{},".repeat(999_999), unversioned(good));
    puppet.reply(2, "", Reply::Data(json!(list)));
    puppet.start(Micros::secs(1));
    assert!(puppet.ours.troubles().len() <= 100);
    let round = puppet.ours.events.iter().find_map(|event| match event {
        ChumEvent::RoundEnded(round) => Some(*round),
        _ => None,
    });
    let round = round.expect("a round");
    assert_eq!((round.failed, round.roots, round.stored), (999_999, 1, 1));
}

// --- the start -------------------------------------------------------------------------------------------------------

/// The times, in milliseconds from the first one, at which the version was asked for.
fn asked_for_version(replies: &[Option<Reply>], time: Micros) -> (Vec<u64>, Puppet) {
    let mut puppet = Puppet::new(config());
    assert_eq!(puppet.ours.says(), ["synchronisation"]);
    puppet.ours.hears("synchronisation");
    let until = puppet.ours.now.mono + time;
    let (mut asked, mut replies) = (Vec::new(), replies.iter());
    while puppet.ours.now.mono < until {
        puppet.reply(
            1,
            "",
            replies.next().cloned().flatten().unwrap_or(Reply::Silence),
        );
        let before = puppet.requests.len();
        while puppet.requests.len() == before && puppet.ours.now.mono < until {
            puppet.run(Micros::millis(50));
        }
        if puppet
            .requests
            .get(before)
            .is_some_and(|(service, _)| *service == 1)
        {
            asked.push(puppet.ours.now.mono.as_millis());
        }
    }
    let first = asked.first().copied().unwrap_or_default();
    (asked.iter().map(|at| at - first).collect(), puppet)
}

#[test]
fn another_version_than_the_number_8_ends_it() {
    for version in [json!(7), json!("8"), json!(9), json!(null), json!([8])] {
        let replies = [Some(Reply::Data(version))];
        let (asked, puppet) = asked_for_version(&replies, Micros::secs(1));
        assert_eq!(asked, [0]);
        assert_eq!(puppet.ours.fault(), Some("version_mismatch"));
    }
}

#[test]
fn a_peer_that_does_not_serve_yet_is_asked_16_times() {
    let unknown = || Some(Reply::Error("UNKNOWN-SERVICE"));
    let (asked, puppet) = asked_for_version(&vec![unknown(); 30], Micros::secs(10));
    assert_eq!(asked.len(), 16);
    assert!(
        asked
            .windows(2)
            .all(|two| (300..=350).contains(&(two[1] - two[0]))),
        "{asked:?}"
    );
    assert_eq!(puppet.ours.fault(), Some("no_version"));

    let replies = [unknown(), unknown(), unknown(), Some(Reply::Data(json!(8)))];
    let (asked, puppet) = asked_for_version(&replies, Micros::secs(2));
    assert_eq!((asked.len(), puppet.ours.fault()), (4, None));
    assert!(puppet.requests.contains(&(2, String::new())));

    let replies = [Some(Reply::Error("CES-GO1"))];
    let (asked, puppet) = asked_for_version(&replies, Micros::secs(2));
    assert_eq!((asked.len(), puppet.ours.fault()), (1, Some("no_version")));
}

#[test]
fn a_silent_peer_is_asked_again_five_times_and_given_up_after_20_seconds() {
    let (asked, puppet) = asked_for_version(&[], Micros::millis(19_500));
    assert_eq!(asked.len(), 6, "{asked:?}");
    assert!(
        asked
            .windows(2)
            .all(|two| (2_000..=2_050).contains(&(two[1] - two[0]))),
        "{asked:?}"
    );
    assert_eq!(puppet.ours.fault(), None);
    let (_, puppet) = asked_for_version(&[], Micros::secs(21));
    assert_eq!(puppet.ours.fault(), Some("no_version"));
}

#[test]
fn the_first_answer_to_a_repeated_version_request_counts() {
    let mut ours = Ours::new(config(), MemoryStore::new());
    assert_eq!(ours.says(), ["synchronisation"]);
    ours.hears("synchronisation");
    let mut asked = Vec::new();
    while asked.len() < 2 {
        assert!(ours.wait(Micros::secs(10)));
        asked.extend(ours.says());
    }
    ours.hears(r#"{"responseId":0,"type":"data","data":8}"#);
    assert_eq!(
        ours.says(),
        [r#"{"requestId":2,"type":"request","serviceId":2,"args":[]}"#]
    );
    ours.hears(r#"{"responseId":1,"type":"data","data":7}"#);
    assert_eq!(ours.says(), Vec::<String>::new());
    assert_eq!(ours.fault(), None);
}

#[test]
fn the_first_message_has_to_be_synchronisation() {
    for first in [
        "",
        "synchronisation ",
        "Synchronisation",
        r#"{"requestId":0}"#,
    ] {
        let mut ours = Ours::new(config(), MemoryStore::new());
        ours.hears(first);
        ours.poll();
        assert_eq!(ours.fault(), Some("not_synchronised"), "{first}");
    }
    let mut ours = Ours::new(config(), MemoryStore::new());
    ours.chum
        .message(ours.now, chumwire::io::Message::Binary(b"synchronisation"));
    ours.poll();
    assert_eq!(ours.fault(), Some("not_synchronised"));
    let mut ours = Ours::new(config(), MemoryStore::new());
    while ours.wait(Micros::secs(30)) {}
    ours.poll();
    assert_eq!(ours.fault(), Some("silent_start"));
}

/// Demands: M9.1.
#[test]
fn a_request_right_behind_synchronisation_is_served_and_ours_waits() {
    let request = r#"{"requestId":0,"type":"request","serviceId":1,"args":[]}"#;
    let answer = r#"{"responseId":0,"type":"data","data":8}"#;
    // In one read, before ours has said anything.
    let mut ours = Ours::new(config(), MemoryStore::new());
    ours.hears("synchronisation");
    ours.hears(request);
    assert_eq!(ours.says(), ["synchronisation", answer]);
    // Ours asks after a while, or when the peer has asked.
    assert!(ours.wait(Micros::secs(1) + Micros::millis(250)));
    assert_eq!(ours.says(), [request]);

    let mut ours = Ours::new(config(), MemoryStore::new());
    assert_eq!(ours.says(), ["synchronisation"]);
    ours.hears("synchronisation");
    assert_eq!(ours.says(), Vec::<String>::new());
    let mut early = ours.now;
    early.mono = early.mono + Micros::millis(249);
    ours.chum.tick(early);
    assert_eq!(ours.says(), Vec::<String>::new());
    ours.hears(request);
    let mut said = ours.says();
    said.sort();
    assert_eq!(said, [request, answer]);
}

#[test]
fn a_peer_whose_exporter_has_ended_is_still_served() {
    let recipes = recipes();
    let mut store = MemoryStore::new();
    let own = store.put(&recipes, &leaf()).expect("a note");
    store.share(Reference::Object(own), person("alice"));
    let mut puppet = Puppet::of(Ours::with_policy(config(), store, policy("bob")));
    puppet.reply(2, "", Reply::Error("UNKNOWN-SERVICE"));
    puppet.start(Micros::secs(20));
    assert_eq!(puppet.requests.len(), 2, "and it is not asked again");
    assert!(puppet.ours.events.contains(&ChumEvent::RemoteExporterEnded));
    assert_eq!(puppet.ours.fault(), None);
    puppet
        .ours
        .hears(r#"{"requestId":7,"type":"request","serviceId":2,"args":[]}"#);
    let said = puppet.ours.says();
    assert!(
        said.iter().any(|text| text.contains(&own.to_string())),
        "{said:?}"
    );
}
