//! What two deployed peers said to each other: our importer asks what theirs asked, our exporter answers what theirs
//! answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chumwire::chum::{
    Chum, ChumConfig, ChumEvent, ChumOutput, DefaultPolicy, MemoryStore, Peer, Presence, Verdict,
};
use chumwire::io::{Kind, Message};
use chumwire::objects::{
    FileHash, IdHash, Instance, Kind as Value, Object, ObjectHash, Person, PersonId, ReadLimits,
    Recipe, Recipes, Reference, Rule,
};
use chumwire::time::{Micros, Millis, Now};
use serde_json::Value as Json;

use crate::net::assert_whole;
use crate::vectors::{by_rule, bytes, list, load, sha256, text};

// --- the recording ---------------------------------------------------------------------------------------------------

/// A recorded message above the fragments, whole.
#[derive(Clone, Debug, PartialEq)]
enum Recorded {
    Text(String),
    Binary(Vec<u8>),
}

impl Recorded {
    fn json(&self) -> Json {
        match self {
            Self::Text(text) => serde_json::from_str(text).unwrap_or_default(),
            Self::Binary(_) => Json::Null,
        }
    }

    /// The number of the request that it answers.
    fn answers(&self) -> Option<u64> {
        match self {
            Self::Text(_) => self.json()["responseId"].as_u64(),
            Self::Binary(bytes) => {
                let id = bytes.first_chunk().expect("eight bytes");
                Some(f64::from_le_bytes(*id) as u64)
            }
        }
    }
}

const BIG_BLOB: usize = 200_000;

fn big_clob() -> String {
    "Grüße — some UTF-8 text \u{1F600}\n".repeat(5000)
}

/// The n-th chunk of the long CLOB: reads of 65536 bytes, a character that is cut goes to the next one.
fn clob_message(n: usize) -> String {
    let clob = big_clob();
    let cut = |at: usize| clob.floor_char_boundary(at.min(clob.len()));
    let range = cut(n * 65_536)..cut((n + 1) * 65_536);
    let encoding = if n == 0 { "utf8" } else { "$__undefined$" };
    let chunk = Json::from(&clob[range]);
    format!(r#"{{"responseId":41,"type":"stream","chunk":{chunk},"encoding":"{encoding}"}}"#)
}

/// The messages from `synchronisation` on: whether A sent them, and what. Long ones are made again from what is known
/// of them.
fn messages(recording: &Json) -> Vec<(bool, Recorded)> {
    let all = list(&recording["viewA"][1]["app"]);
    let first = all.iter().position(|m| m["text"] == "synchronisation");
    let (mut blobs, mut clobs) = (0, 0);
    let mut whole = |message: &Json| match (&message["text"], &message["hex"]) {
        (Json::String(text), _) => Recorded::Text(text.clone()),
        (long @ Json::Object(_), _) => {
            let text = clob_message(clobs);
            clobs += 1;
            assert_eq!(
                sha256(text.as_bytes()),
                crate::vectors::text(&long["sha256"])
            );
            Recorded::Text(text)
        }
        (_, Json::Object(long)) => {
            let blob = by_rule(BIG_BLOB, 7);
            let chunk = &blob[blobs * 65_536..(blobs + 1) * 65_536];
            blobs += 1;
            let message = [&35_f64.to_le_bytes()[..], chunk].concat();
            assert_eq!(sha256(&message), text(&long["sha256"]));
            Recorded::Binary(message)
        }
        (_, hex) => Recorded::Binary(bytes(hex)),
    };
    all[first.expect("a start")..]
        .iter()
        .map(|m| (m["dir"] == "out", whole(m)))
        .collect()
}

/// The requests of one side in their order, each with its answer.
fn requests(recording: &Json, of_a: bool) -> Vec<(String, Vec<Recorded>)> {
    let messages = messages(recording);
    let mut requests = Vec::new();
    for (by_a, message) in &messages {
        let Some(id) = message.json()["requestId"].as_u64() else {
            continue;
        };
        if let (true, Recorded::Text(request)) = (*by_a == of_a, message) {
            let answers = messages
                .iter()
                .filter(|(by_a, m)| *by_a != of_a && m.answers() == Some(id));
            let answers = answers.map(|(_, message)| message.clone());
            requests.push((request.clone(), answers.collect()));
        }
    }
    requests
}

// --- the two sides ---------------------------------------------------------------------------------------------------

fn recipes() -> Recipes {
    let mut recipes = Recipes::known();
    let files = Recipe::new(
        "PeerFiles",
        [
            Rule::new("title", Value::TEXT),
            Rule::new("blob", Value::BLOB).optional(),
            Rule::new("clob", Value::CLOB).optional(),
        ],
    );
    let note = Recipe::new(
        "PeerNote",
        [
            Rule::new("noteId", Value::TEXT).id(),
            Rule::new("text", Value::TEXT),
            Rule::new("attachment", Value::object(&[])).optional(),
        ],
    );
    for recipe in [files, note] {
        recipes.register(recipe).expect("a recipe");
    }
    recipes
}

fn email(of_a: bool) -> String {
    format!("{}@example.org", if of_a { "a" } else { "b" })
}

fn person(of_a: bool) -> PersonId {
    Person { email: email(of_a) }.id()
}

fn hash(text: &Json) -> ObjectHash {
    ObjectHash::parse_strict(crate::vectors::text(text)).expect("a hash")
}

fn id(text: &Json) -> IdHash {
    IdHash(hash(text).0)
}

/// What both knew of each other before: persons, and of A all that its profile refers to.
fn before(recording: &Json) -> (MemoryStore, Object) {
    let recipes = recipes();
    let mut store = MemoryStore::new();
    let mut put = |object: Object| store.put(&recipes, &object).expect("an object");
    for of_a in [true, false] {
        put(Object::new("Person").with("email", email(of_a)));
    }
    let a = &recording["participants"]["A"];
    let keys = |keys: &Json| {
        Object::new("Keys")
            .with("owner", Reference::Id(id(&keys["owner"])))
            .with("publicKey", text(&keys["publicKey"]))
            .with("publicSignKey", text(&keys["publicSignKey"]))
    };
    let person_keys = put(keys(&a["personKeys"]));
    let instance_keys = put(keys(&a["instanceKeys"]));
    assert_eq!(person_keys, hash(&a["personKeysHash"]));
    assert_eq!(instance_keys, hash(&a["instanceKeysHash"]));
    let instance = Object::new("Instance")
        .with("name", "instA")
        .with("owner", person(true))
        .with("recipe", chumwire::objects::Value::List(Vec::new()))
        .with(
            "enabledReverseMapTypes",
            chumwire::objects::Value::Map(Vec::new()),
        )
        .with(
            "enabledReverseMapTypesForIdObjects",
            chumwire::objects::Value::Map(Vec::new()),
        );
    put(instance);
    let endpoint = put(Object::new("OneInstanceEndpoint")
        .with("personId", person(true))
        .with("instanceId", Reference::Id(id(&a["instanceId"])))
        .with("personKeys", person_keys)
        .with("instanceKeys", instance_keys)
        .with("url", text(&a["endpointUrl"])));
    let sign_key = put(Object::new("SignKey").with("key", text(&a["personKeys"]["publicSignKey"])));
    let profile = Object::new("Profile")
        .with("profileId", "default")
        .with("personId", person(true))
        .with("owner", person(true))
        .with("communicationEndpoint", vec![endpoint])
        .with("personDescription", vec![sign_key]);
    let stored = put(profile.clone());
    assert_eq!(stored, hash(&recording["stored"]["profile"]["hash"]));
    assert_whole(&store);
    (store, profile)
}

struct Side {
    now: Now,
    chum: Chum,
    store: MemoryStore,
    events: Vec<ChumEvent>,
}

impl Side {
    fn new(of_a: bool, store: MemoryStore, import: bool) -> Self {
        let now = Now {
            mono: Micros::secs(1),
            wall: Millis(1_795_387_800_000),
        };
        let mut config = ChumConfig::default();
        config.export = !import;
        let name = if of_a { "instA" } else { "instB" };
        let owner = person(of_a);
        let instance = Instance {
            name: name.into(),
            owner,
        };
        let mut policy = DefaultPolicy::new(owner, instance.id());
        policy.take_versions("PeerNote", Arc::new(|_, _| Verdict::Accept));
        let peer = Peer {
            own: owner,
            person: person(!of_a),
            instance: [0; 32],
        };
        let chum = Chum::new(now, config, peer, recipes(), Arc::new(policy));
        let mut side = Self {
            now,
            chum,
            store,
            events: Vec::new(),
        };
        let sync = Recorded::Text("synchronisation".into());
        assert_eq!(side.poll(), std::slice::from_ref(&sync));
        side.hears(&sync);
        side
    }

    fn hears(&mut self, message: &Recorded) {
        let message = match message {
            Recorded::Text(text) => Message::Text(text),
            Recorded::Binary(bytes) => Message::Binary(bytes),
        };
        self.chum.message(self.now, message);
    }

    fn poll(&mut self) -> Vec<Recorded> {
        let (mut sent, mut bytes) = (Vec::new(), Vec::new());
        while let Some(output) = self.chum.poll(self.now, &mut bytes) {
            match output {
                ChumOutput::Send(kind) => {
                    let message = core::mem::take(&mut bytes);
                    sent.push(match kind {
                        Kind::Text => Recorded::Text(String::from_utf8(message).expect("UTF-8")),
                        Kind::Binary => Recorded::Binary(message),
                    });
                }
                ChumOutput::Ask { id, ask } => {
                    let answer = self.store.answer(&recipes(), 0, id, ask);
                    self.chum.answered(self.now, id, answer);
                }
                ChumOutput::Event(event) => self.events.push(event),
            }
        }
        sent
    }

    /// What it sends next, be it after some time.
    fn next(&mut self) -> Vec<Recorded> {
        loop {
            let sent = self.poll();
            if !sent.is_empty() {
                return sent;
            }
            let next = self.chum.deadline().expect("something to wait for");
            self.now.mono = next.at;
            self.chum.tick(self.now);
        }
    }
}

// --- the importer ----------------------------------------------------------------------------------------------------

/// Our importer makes the requests of a recorded one, byte for byte and in its order, given its answers.
fn replay_importer(recording: &Json, of_a: bool, requests: &[(String, Vec<Recorded>)]) -> Side {
    let (mut store, _) = before(recording);
    if of_a {
        store = MemoryStore::new();
        let b = Object::new("Person").with("email", email(false));
        store.put(&recipes(), &b).expect("a person");
    }
    let mut side = Side::new(of_a, store, true);
    for (request, answers) in requests {
        assert_eq!(side.next(), [Recorded::Text(request.clone())]);
        for answer in answers {
            side.hears(answer);
        }
    }
    assert_whole(&side.store);
    side
}

fn troubles(side: &Side) -> Vec<&ChumEvent> {
    let is_trouble = |e: &&ChumEvent| {
        matches!(
            e,
            ChumEvent::RootFailed { .. }
                | ChumEvent::RootRefused { .. }
                | ChumEvent::EntryFailed(_)
                | ChumEvent::Ended { fault: Some(_), .. }
        )
    };
    side.events.iter().filter(is_trouble).collect()
}

#[test]
fn our_importer_asks_what_the_deployed_one_asked_and_has_what_it_got() {
    let recording = load("chum_full");
    let all = requests(&recording, false);
    // Behind them are the probes, which no importer makes.
    let probes = all.iter().position(|(r, _)| r.contains("\"serviceId\":99"));
    let (own, probes) = all.split_at(probes.expect("a probe"));
    assert_eq!(own.len(), 43);
    let mut side = replay_importer(&recording, false, own);
    // The deployed peer answers the same list as ever; then comes the one request behind FIN, under another number.
    let (last, answers) = probes.last().expect("the list behind FIN");
    let due = last.replace("\"requestId\":56", "\"requestId\":43");
    assert_eq!(side.next(), [Recorded::Text(due)]);
    let Recorded::Text(answer) = &answers[0] else {
        panic!("a text");
    };
    side.hears(&Recorded::Text(
        answer.replace("\"responseId\":56", "\"responseId\":43"),
    ));
    assert!(side.poll().is_empty());

    assert_eq!(troubles(&side), Vec::<&ChumEvent>::new());
    assert!(side.events.contains(&ChumEvent::RemoteExporterEnded));
    for (name, stored) in recording["stored"].as_object().expect("objects") {
        let mut what = Vec::new();
        if stored.get("hash").is_some() && name != "back" {
            what.push(Reference::Object(hash(&stored["hash"])));
        }
        if stored.get("idHash").is_some() {
            what.push(Reference::Id(id(&stored["idHash"])));
        }
        for file in ["blob", "clob"].iter().filter_map(|kind| stored.get(*kind)) {
            what.push(Reference::Blob(FileHash(hash(file).0)));
        }
        for what in what {
            assert_eq!(
                side.store.presence(&what),
                Presence::Stored,
                "{name} {what:?}"
            );
        }
    }
    for (hash, text) in recording["microdataAtB"].as_object().expect("texts") {
        let hash = ObjectHash::parse_strict(hash).expect("a hash");
        let stored = side.store.text(&Reference::Object(hash));
        assert_eq!(stored, Some(crate::vectors::text(text)));
    }
    let file = |name: &str| FileHash(hash(&recording["stored"][name][&name[3..].to_lowercase()]).0);
    let blob = side.store.file(&file("bigBlob"));
    assert_eq!(blob, Some(by_rule(BIG_BLOB, 7).as_slice()));
    assert_eq!(
        side.store.file(&file("bigClob")),
        Some(big_clob().as_bytes())
    );

    // The heads: of two versions that came one after the other their merge, with the data of the newer one; of a
    // version that was granted by its hash none; of the profile the edge itself.
    let stored = &recording["stored"];
    let head = |name: &str| side.store.newest(&recipes(), &id(&stored[name]["idHash"]));
    let (node, _) = head("note2").expect("a head");
    assert_eq!((node.type_name(), node.depth), ("VersionNodeMerge", 1));
    assert_eq!(node.data, hash(&stored["note2"]["hash"]));
    assert_eq!(node.created, Millis(1_795_387_771_046));
    assert_eq!(head("versionedByHash"), None);
    let profile = side.store.head(&id(&stored["profile"]["idHash"]));
    let due = "c9740c55121356c173dfd82d8620a851b8e62272b894e717e1a8c576975d27e7";
    assert_eq!(profile.map(|head| head.to_string()).as_deref(), Some(due));
}

#[test]
fn our_importer_asks_what_the_deployed_one_of_the_other_side_asked() {
    let recording = load("chum_full");
    let all = requests(&recording, true);
    assert_eq!(all.len(), 12);
    let side = replay_importer(&recording, true, &all);
    assert_eq!(troubles(&side), Vec::<&ChumEvent>::new());
    let back = Reference::Object(hash(&recording["stored"]["back"]["hash"]));
    assert_eq!(side.store.presence(&back), Presence::Stored);
}

/// The fault of a deployed sender: it is asked again for a text, and when that fails, too, its root alone fails.
#[test]
fn a_blob_that_comes_empty_fails_its_root_and_nothing_else() {
    let full = load("chum_full");
    let bug = load("chum_vendor_blob_bug");
    let blob = text(&bug["blob"]);
    let own: Vec<_> = requests(&full, false).into_iter().take(43).collect();
    let mut side = Side::new(false, before(&full).0, true);
    let recorded = list(&bug["app"]);
    let mut by_args = BTreeMap::new();
    for (request, answers) in own.iter().skip(1) {
        let request: Json = serde_json::from_str(request).expect("JSON");
        let key = (request["serviceId"].as_u64(), request["args"].to_string());
        by_args
            .entry(key)
            .or_insert_with(Vec::new)
            .push(answers.clone());
    }
    let mut tried = Vec::new();
    loop {
        let sent = side.next();
        let [Recorded::Text(request)] = sent.as_slice() else {
            panic!("{sent:?}");
        };
        let request: Json = serde_json::from_str(request).expect("JSON");
        let number = request["requestId"].as_u64().expect("a number");
        let under = |text: &str, was: u64| {
            let id = |number: u64| format!("{{\"responseId\":{number},");
            Recorded::Text(text.replacen(&id(was), &id(number), 1))
        };
        if request["args"][0] == blob {
            tried.push(
                request["args"][1]
                    .as_str()
                    .expect("an encoding")
                    .to_string(),
            );
            // As recorded: an empty message in place of the chunk, then the end.
            let due = text(&recorded[0]["text"]);
            let due: Json = serde_json::from_str(due).expect("JSON");
            if tried.len() == 1 {
                assert_eq!(request["args"], due["args"]);
            }
            side.hears(&Recorded::Binary(bytes(&recorded[1]["hex"])));
            side.hears(&under(text(&recorded[2]["text"]), 4));
            continue;
        }
        let key = (request["serviceId"].as_u64(), request["args"].to_string());
        let answers = by_args.get_mut(&key).expect("a recorded request");
        // What is asked for once more, because it failed, is answered as before.
        let answer = match answers.len() {
            1 if request["serviceId"] == 2 => break,
            1 => answers[0].clone(),
            _ => answers.remove(0),
        };
        for answer in answer {
            let was = answer.answers().expect("an answer");
            match &answer {
                Recorded::Text(text) => side.hears(&under(text, was)),
                Recorded::Binary(bytes) => {
                    let id = (number as f64).to_le_bytes();
                    side.hears(&Recorded::Binary([&id[..], &bytes[8..]].concat()));
                }
            }
        }
    }
    assert_eq!(tried[..2], ["$__undefined$", "utf8"]);
    let failed = |event: &&ChumEvent| match event {
        ChumEvent::RootFailed { root, trouble, .. } => {
            assert_eq!(*root.bytes(), hash(&full["stored"]["blob"]["hash"]).0);
            assert_eq!(trouble.code(), "empty_chunks");
            true
        }
        _ => false,
    };
    assert_eq!(
        side.events.iter().filter(failed).count(),
        troubles(&side).len()
    );
    assert!(!troubles(&side).is_empty());
    let is_there = |name: &str| {
        let hash = Reference::Object(hash(&full["stored"][name]["hash"]));
        side.store.presence(&hash) != Presence::Absent
    };
    assert!(!is_there("blob"));
    for name in ["chat", "emptyBlob", "clob", "note1", "note2", "bigBlob"] {
        assert!(is_there(name), "{name}");
    }
    assert_whole(&side.store);
    assert_eq!(crate::net::open_files(&side.store), 0);
}

// --- the exporter ----------------------------------------------------------------------------------------------------

/// Where our answer may differ from the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Variation {
    /// The deployed exporter did not serve yet; ours does from the start.
    ServedAtOnce,
    /// Roots have no order.
    OrderOfRoots,
    /// A file comes in other pieces.
    ChunkSizes,
    /// Of an error only name and code are a contract.
    ErrorText,
}

fn grant(store: &mut MemoryStore, recording: &Json, profile: &Object, answer: &str) {
    let answer: Json = serde_json::from_str(answer).expect("JSON");
    let Json::String(roots) = &answer["data"] else {
        return;
    };
    let roots: Json = serde_json::from_str(roots).expect("JSON");
    let read = |text: &str| {
        let read = recipes().read(text, &ReadLimits::default());
        read.expect("an object")
    };
    let microdata = &recording["microdataAtB"];
    let nodes = list(&roots).iter().filter(|r| r["dataType"] == "PeerNote");
    let notes = nodes.count();
    let note = id(&recording["stored"]["note1"]["idHash"]);
    let versions = [("note1", 1_795_387_770_275), ("note2", 1_795_387_771_046)];
    let has = store
        .newest(&recipes(), &note)
        .map_or(0, |(node, _)| node.depth + 1);
    for (name, time) in versions.iter().take(notes).skip(has as usize) {
        let data = &microdata[text(&recording["stored"][*name]["hash"])];
        let put = store.put_version(&recipes(), &read(text(data)), Millis(*time));
        assert_eq!(put, Ok(note));
    }
    for root in list(&roots) {
        let what = match text(&root["type"]) {
            "id" => Reference::Id(id(&root["idHash"])),
            "version_node" => {
                if root["dataType"] == "Profile" && store.head(&id(&root["dataIdHash"])).is_none() {
                    let put = store.put_version(&recipes(), profile, Millis(1_795_387_768_301));
                    assert_eq!(put, Ok(id(&root["dataIdHash"])));
                }
                continue;
            }
            _ => Reference::Object(hash(&root["hash"])),
        };
        store.share(what, person(false));
    }
}

/// All that A had: what it was asked for, from its answers.
fn store_of_a(recording: &Json) -> (MemoryStore, Object) {
    let (mut store, profile) = before(recording);
    for file in [
        b"a small BLOB".as_slice(),
        b"",
        "Grüße, ein CLOB \u{1F600}\n".as_bytes(),
        &by_rule(BIG_BLOB, 7),
        big_clob().as_bytes(),
    ] {
        store.put_file(file);
    }
    for (request, answers) in requests(recording, false) {
        let request: Json = serde_json::from_str(&request).expect("JSON");
        if request["serviceId"] != 6 {
            continue;
        }
        let answer = answers[0].json();
        // Version nodes are made again.
        let Some(text) = answer["data"]
            .as_str()
            .filter(|t| !t.contains("VersionNode"))
        else {
            continue;
        };
        let object = recipes()
            .read(text, &ReadLimits::default())
            .expect("an object");
        let put = store.put(&recipes(), &object).expect("an object");
        assert_eq!(put, hash(&request["args"][0]));
    }
    let person = Object::new("Person").with("email", "c@example.org");
    store.put(&recipes(), &person).expect("a person");
    (store, profile)
}

/// The bytes of a stream, whatever its pieces; `None` if it does not end well.
fn streamed(messages: &[Recorded]) -> Option<Vec<u8>> {
    let (end, chunks) = messages.split_last()?;
    if end.json()["type"] != "stream-end" {
        return None;
    }
    let mut whole = Vec::new();
    for chunk in chunks {
        match chunk {
            Recorded::Binary(bytes) => whole.extend_from_slice(&bytes[8..]),
            Recorded::Text(_) => {
                whole.extend_from_slice(chunk.json()["chunk"].as_str()?.as_bytes())
            }
        }
    }
    Some(whole)
}

fn entries(message: &Recorded) -> Option<Vec<String>> {
    let list: Json = serde_json::from_str(message.json()["data"].as_str()?).ok()?;
    Some(list.as_array()?.iter().map(Json::to_string).collect())
}

/// How our answer differs from the recorded one; nothing if it is the same. Panics if it must not.
fn compare(service: u64, ours: &[Recorded], due: &[Recorded]) -> Option<Variation> {
    if ours == due {
        return None;
    }
    let (first, other) = (&ours[0], &due[0]);
    if service == 8
        && let (Some(ours), Some(due)) = (streamed(ours), streamed(due))
    {
        assert!(ours == due, "another file");
        return Some(Variation::ChunkSizes);
    }
    let (error, due_error) = (&first.json()["error"], &other.json()["error"]);
    if error.is_object() && due_error.is_object() {
        assert_eq!(error["code"], due_error["code"]);
        assert_eq!(error["name"], due_error["name"]);
        return Some(Variation::ErrorText);
    }
    if service == 1 && due_error["code"] == "UNKNOWN-SERVICE" {
        assert_eq!(first.json()["data"], 8);
        return Some(Variation::ServedAtOnce);
    }
    let (listed, due) = (entries(first), entries(other));
    let (Some(listed), Some(due)) = (listed, due) else {
        panic!("{first:?} in place of {other:?}");
    };
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
    if service == 2 {
        assert_eq!((listed.len(), set(&listed)), (due.len(), set(&due)));
        return Some(Variation::OrderOfRoots);
    }
    panic!("{listed:?} in place of {due:?}");
}

#[test]
fn our_exporter_answers_what_the_deployed_one_answered() {
    let recording = load("chum_full");
    let (store, profile) = store_of_a(&recording);
    let mut side = Side::new(true, store, false);
    let mut variations = BTreeMap::<Variation, usize>::new();
    let mut same = 0;
    for (request, due) in requests(&recording, false) {
        let service = serde_json::from_str::<Json>(&request).expect("JSON")["serviceId"].as_u64();
        let service = service.expect("a service");
        if let (2, Recorded::Text(answer)) = (service, &due[0]) {
            grant(&mut side.store, &recording, &profile, answer);
        }
        side.hears(&Recorded::Text(request.clone()));
        // The own importer asks, too, and is not answered here.
        let mut ours = side.poll();
        ours.retain(|message| message.answers().is_some());
        assert!(!ours.is_empty(), "no answer to {request}");
        match compare(service, &ours, &due) {
            None => same += 1,
            Some(variation) => *variations.entry(variation).or_default() += 1,
        }
    }
    assert!(side.events.contains(&ChumEvent::PeerDone));
    // All else is the same, byte for byte.
    let kinds: Vec<_> = variations.keys().copied().collect();
    assert_eq!(
        kinds,
        [
            Variation::ServedAtOnce,
            Variation::OrderOfRoots,
            Variation::ChunkSizes,
            Variation::ErrorText,
        ]
    );
    assert_eq!(variations[&Variation::ServedAtOnce], 1);
    assert_eq!(variations[&Variation::ChunkSizes], 2);
    assert!(same >= 35, "{same} {variations:?}");
}
