//! Our exporter against an importer that asks for all that it may not have, too much, or too early.

use chumwire::chum::{ChumConfig, ChumEvent, MemoryStore};
use chumwire::limits;
use chumwire::objects::{FileHash, IdHash, ObjectHash, Reference, Value};
use serde_json::{Value as Json, json};

use crate::pair::{note, person, recipes};
use crate::puppet::Ours;

/// Bob's store: a root that is shared, with a leaf, a picture and a text; and something secret.
struct Hoard {
    ours: Ours,
    next: u64,
    root: ObjectHash,
    leaf: ObjectHash,
    about: IdHash,
    picture: FileHash,
    body: FileHash,
    secret: ObjectHash,
}

impl Hoard {
    fn new(picture: &[u8]) -> Self {
        let recipes = recipes();
        let mut store = MemoryStore::new();
        let about = crate::net::put_person(&mut store, &recipes, "carol");
        let picture = store.put_file(picture);
        let body = store.put_file("Grüße".as_bytes());
        let leaf = note("leaf")
            .with("about", about)
            .with("picture", Reference::Blob(picture))
            .with("body", Reference::Clob(body));
        let leaf = store.put(&recipes, &leaf).expect("a note");
        let root = note("root").with("uses", Value::list([leaf]));
        let root = store.put(&recipes, &root).expect("a note");
        store.share(Reference::Object(root), person("alice"));
        let secret = store.put(&recipes, &note("secret")).expect("a note");
        let mut config = ChumConfig::default();
        config.import = false;
        let mut ours = Ours::new(config, store);
        assert_eq!(ours.says(), ["synchronisation"]);
        ours.hears("synchronisation");
        Self {
            ours,
            next: 0,
            root,
            leaf,
            about: IdHash(person("carol").0),
            picture,
            body,
            secret,
        }
    }

    /// Sends a request; gives its number.
    fn send(&mut self, service: u64, args: &Json) -> u64 {
        let id = self.next;
        self.next += 1;
        let request =
            json!({"requestId": id, "type": "request", "serviceId": service, "args": args});
        self.ours.hears(&request.to_string());
        id
    }

    /// What comes for a request: the code of an error, or `data`, or the words for the parts of a stream.
    fn ask(&mut self, service: u64, args: &Json) -> String {
        let id = self.send(service, args);
        let mut words = Vec::new();
        for (kind, bytes) in self.ours.poll() {
            if kind == chumwire::io::Kind::Binary {
                assert_eq!(bytes[..8], (id as f64).to_le_bytes());
                words.push("chunk".to_string());
                continue;
            }
            let answer: Json = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(answer["responseId"], id);
            let word = answer["error"]["code"].as_str().or(answer["type"].as_str());
            words.push(word.expect("a type").to_string());
        }
        words.join(" ")
    }

    fn list(&mut self) {
        assert_eq!(self.ask(2, &json!([])), "data");
    }
}

/// Demands: M9.9.
#[test]
fn only_what_was_listed_is_given() {
    let mut hoard = Hoard::new(b"picture");
    let [root, leaf, about, picture, body, secret] = [
        hoard.root.to_string(),
        hoard.leaf.to_string(),
        hoard.about.to_string(),
        hoard.picture.to_string(),
        hoard.body.to_string(),
        hoard.secret.to_string(),
    ];
    let nothing = |hoard: &mut Hoard, hashes: &[&String]| {
        for hash in hashes {
            for (service, due) in [
                (4, "CES-GOC1"),
                (5, "CES-GIDOC1"),
                (6, "CES-GO1"),
                (7, "CES-GIDO1"),
                (8, "CES-GBL1"),
            ] {
                assert_eq!(hoard.ask(service, &json!([hash])), due);
            }
        }
    };
    // Before the list nothing, though all is granted.
    nothing(
        &mut hoard,
        &[&root, &leaf, &about, &picture, &body, &secret],
    );
    hoard.list();
    // A root, and not yet what it refers to.
    nothing(&mut hoard, &[&leaf, &about, &picture, &body, &secret]);
    assert_eq!(hoard.ask(6, &json!([root])), "data");
    assert_eq!(hoard.ask(4, &json!([root])), "data");
    nothing(&mut hoard, &[&secret]);
    assert_eq!(hoard.ask(6, &json!([leaf])), "data");
    assert_eq!(hoard.ask(7, &json!([about])), "data");
    assert_eq!(hoard.ask(5, &json!([about])), "data");
    assert_eq!(hoard.ask(8, &json!([picture])), "chunk stream-end");
    assert_eq!(hoard.ask(8, &json!([body, "utf8"])), "stream stream-end");
    // A file is no object, an object no id object; as a text an object is given.
    assert_eq!(hoard.ask(6, &json!([picture])), "CES-GO2");
    assert_eq!(hoard.ask(7, &json!([leaf])), "CES-GIDO2");
    assert_eq!(hoard.ask(6, &json!([about])), "CES-GO2");
    assert_eq!(hoard.ask(8, &json!([leaf, "utf8"])), "stream stream-end");
    assert_eq!(hoard.ask(8, &json!([body])), "chunk stream-end");
}

/// Demands: M9.4.
#[test]
fn arguments_that_are_no_hashes_or_encodings_are_refused() {
    let mut hoard = Hoard::new(b"picture");
    hoard.list();
    let root = hoard.root.to_string();
    let long = "a".repeat(1_000_000);
    for bad in [
        json!([]),
        json!([null]),
        json!([7]),
        json!([{"hash": root}]),
        json!([[root]]),
        json!([root.to_uppercase()]),
        json!([root[1..]]),
        json!([format!("{root} ")]),
        json!(["../../etc/passwd"]),
        json!(["$__undefined$"]),
        json!([long]),
    ] {
        for service in [4, 6, 8] {
            assert_eq!(hoard.ask(service, &bad), "UTC-EHASH", "{service} {bad:.80}");
        }
        for service in [5, 7] {
            assert_eq!(
                hoard.ask(service, &bad),
                "UTC-EIDHASH",
                "{service} {bad:.80}"
            );
        }
    }
    for bad in [
        json!(null),
        json!("base64"),
        json!("UTF8"),
        json!(""),
        json!(8),
        json!(long),
    ] {
        assert_eq!(hoard.ask(8, &json!([root, bad])), "CES-GBL2", "{bad:.80}");
    }
    for good in [
        json!([root]),
        json!([root, "$__undefined$"]),
        json!([root, "$__undefined$", 1, 2]),
    ] {
        assert_eq!(hoard.ask(8, &good), "chunk stream-end", "{good}");
    }
    for service in [0, 3, 9, 11, 99, 101] {
        assert_eq!(hoard.ask(service, &json!([root])), "UNKNOWN-SERVICE");
    }
    assert_eq!(hoard.ask(1, &json!([1, 2, 3])), "data");
}

#[test]
fn what_is_not_granted_any_more_is_not_given_after_the_next_list() {
    let mut hoard = Hoard::new(b"picture");
    let (root, leaf) = (hoard.root.to_string(), hoard.leaf.to_string());
    let recipes = recipes();
    let other = note("other").with("uses", Value::list([hoard.leaf]));
    let other = hoard.ours.store.put(&recipes, &other).expect("a note");
    hoard
        .ours
        .store
        .share(Reference::Object(other), person("alice"));
    hoard.list();
    for root in [&root, &other.to_string()] {
        assert_eq!(hoard.ask(4, &json!([root])), "data");
    }
    let gone = Reference::Object(hoard.root);
    hoard.ours.store.unshare(&gone, person("alice"));
    hoard.list();
    assert_eq!(hoard.ask(6, &json!([root])), "CES-GO1");
    assert_eq!(hoard.ask(4, &json!([root])), "CES-GOC1");
    // The other one reaches it still.
    assert_eq!(hoard.ask(6, &json!([leaf])), "data");
    hoard
        .ours
        .store
        .unshare(&Reference::Object(other), person("alice"));
    hoard.list();
    assert_eq!(hoard.ask(6, &json!([leaf])), "CES-GO1");
    // Granted once more, it begins anew.
    hoard.ours.store.share(gone, person("alice"));
    hoard.list();
    assert_eq!(hoard.ask(6, &json!([root])), "data");
    assert_eq!(hoard.ask(6, &json!([leaf])), "CES-GO1");
}

/// Demands: M9.9.
#[test]
fn a_grant_of_something_that_is_not_stored_is_left_out() {
    let mut hoard = Hoard::new(b"picture");
    for what in [
        Reference::Object(ObjectHash([7; 32])),
        Reference::Id(IdHash([8; 32])),
    ] {
        hoard.ours.store.share(what, person("alice"));
    }
    hoard.send(2, &json!([]));
    let said = hoard.ours.says().join("");
    assert!(said.contains(&hoard.root.to_string()));
    assert!(
        !said.contains("07070707") && !said.contains("08080808"),
        "{said}"
    );
}

#[test]
fn after_fin_nothing_is_served_and_it_is_told() {
    let mut hoard = Hoard::new(b"picture");
    // With an importer beside it the connection lives on.
    hoard.ours = Ours::new(ChumConfig::default(), hoard.ours.store.clone());
    hoard.ours.says();
    hoard.ours.hears("synchronisation");
    hoard.send(10, &json!([]));
    let said = hoard.ours.says();
    let ours = said
        .iter()
        .filter(|text| text.contains("\"type\":\"request\""));
    assert_eq!((said.len(), ours.count()), (2, 1), "{said:?}");
    assert!(hoard.ours.events.contains(&ChumEvent::PeerDone));
    for service in [1, 2, 4, 10] {
        assert_eq!(hoard.ask(service, &json!([])), "UNKNOWN-SERVICE");
    }
    assert_eq!(hoard.ours.events.len(), 1);
    // Ours is the importer alone now; when it is through as well, this is the end.
    hoard
        .ours
        .hears(r#"{"responseId":0,"type":"data","data":8}"#);
    let id = 1;
    assert_eq!(hoard.ours.says().len(), 1);
    let unknown = json!({"name": "TypeError", "message": "", "code": "UNKNOWN-SERVICE"});
    let answer = json!({"responseId": id, "type": "error", "error": unknown});
    hoard.ours.hears(&answer.to_string());
    hoard.ours.poll();
    assert!(matches!(
        hoard.ours.events.last(),
        Some(ChumEvent::Ended { fault: None, .. })
    ));
}

#[test]
fn fin_that_waits_for_its_turn_is_told_as_well() {
    let mut hoard = listed(b"picture");
    let root = hoard.root.to_string();
    for _ in 0..limits::CHUM_SERVE_AT_ONCE {
        hoard.send(4, &json!([root]));
    }
    hoard.send(10, &json!([]));
    hoard.ours.poll();
    assert!(hoard.ours.events.contains(&ChumEvent::PeerDone));
}

/// The connection is closed when the end is told, so the last answer goes out before it.
#[test]
fn the_answer_to_fin_goes_out_before_the_end_is_told() {
    let mut hoard = Hoard::new(b"picture");
    hoard.send(10, &json!([]));
    let mut answered = false;
    while let Some(step) = hoard.ours.step() {
        let is_over = |e: &ChumEvent| matches!(e, ChumEvent::Ended { .. });
        answered |= step.is_some();
        assert!(answered || !hoard.ours.events.iter().any(is_over));
    }
    assert!(answered);
    assert!(matches!(
        hoard.ours.events.last(),
        Some(ChumEvent::Ended { fault: None, .. })
    ));
}

fn listed(picture: &[u8]) -> Hoard {
    let mut hoard = Hoard::new(picture);
    hoard.list();
    let root = hoard.root.to_string();
    assert_eq!(hoard.ask(4, &json!([root])), "data");
    hoard.ours.read = 0;
    hoard
}

#[test]
fn a_reader_that_does_not_read_makes_nothing_pile_up() {
    let mut hoard = listed(&vec![7; 20_000_000]);
    let picture = hoard.picture.to_string();
    let ids: Vec<u64> = (0..20).map(|_| hoard.send(8, &json!([picture]))).collect();
    // Its connection takes nothing: the driver stops at the first message.
    let mut taken = Vec::new();
    while let Some(step) = hoard.ours.step() {
        if let Some(message) = step {
            taken.push(message);
            break;
        }
    }
    let bound = limits::CHUM_AHEAD + 2 * limits::RPC_CHUNK;
    assert!(hoard.ours.read <= bound, "{}", hoard.ours.read);
    // When it takes more, they all go on, and none is far ahead of what was taken.
    let mut sent = 0;
    for _ in 0..200 {
        for message in hoard.ours.step().into_iter().flatten() {
            sent += message.1.len();
        }
        assert!(hoard.ours.read <= sent + bound + limits::RPC_CHUNK);
    }
    assert!(sent > 2_000_000, "{sent}");
    // It gives them all up.
    for id in &ids {
        let cancel = json!({"requestId": id, "type": "write-stream-error"});
        hoard.ours.hears(&cancel.to_string());
    }
    let read = hoard.ours.read;
    let rest = hoard.ours.poll();
    let ends = rest
        .iter()
        .filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains("stream-error"));
    assert_eq!(ends.count(), ids.len());
    assert!(hoard.ours.read <= read + bound);
    assert!(hoard.ours.chum.is_at_rest());
    let root = hoard.root.to_string();
    assert_eq!(hoard.ask(6, &json!([root])), "data");
}

#[test]
fn a_number_that_was_given_up_can_be_used_again_at_once() {
    let mut hoard = listed(&vec![7; 1_000_000]);
    let (picture, root) = (hoard.picture.to_string(), hoard.root.to_string());
    let id = hoard.send(8, &json!([picture]));
    // Up to the first chunk.
    while hoard.ours.step().is_some_and(|step| step.is_none()) {}
    let cancel = json!({"requestId": id, "type": "write-stream-error"});
    hoard.ours.hears(&cancel.to_string());
    let again = json!({"requestId": id, "type": "request", "serviceId": 6, "args": [root]});
    hoard.ours.hears(&again.to_string());
    let last = hoard.ours.poll().pop().expect("an answer");
    let last: Json = serde_json::from_slice(&last.1).expect("JSON");
    assert_eq!(
        (&last["responseId"], &last["type"]),
        (&json!(id), &json!("data"))
    );
}

#[test]
fn a_flood_of_requests_is_refused_and_then_served_again() {
    let mut hoard = listed(b"picture");
    let root = hoard.root.to_string();
    let flood = 30_000;
    for n in 0..flood {
        let service = [4, 6, 8][n % 3];
        hoard.send(service, &json!([root, "$__undefined$"]));
    }
    let mut refused = 0;
    let mut ends = 0;
    for (_, bytes) in hoard.ours.poll() {
        let text = String::from_utf8_lossy(&bytes);
        refused += usize::from(text.contains("RQ-LIMIT"));
        let is_end = ["\"data\"", "stream-end", "\"error\""];
        ends += usize::from(is_end.iter().any(|word| text.contains(word)));
    }
    assert_eq!(ends, flood);
    assert_eq!(refused, flood - limits::CHUM_SERVED);
    assert_eq!(hoard.ours.fault(), None);
    assert_eq!(hoard.ask(6, &json!([root])), "data");
}

/// A deployed importer asks for all things with new versions at once, and a refusal would be its end.
#[test]
fn a_thousand_requests_at_once_are_all_served() {
    let mut hoard = listed(b"picture");
    let root = hoard.root.to_string();
    for _ in 0..1_000 {
        hoard.send(4, &json!([root]));
    }
    let said = hoard.ours.says();
    assert_eq!(said.len(), 1_000);
    assert!(said.iter().all(|text| text.contains("\"type\":\"data\"")));
}

/// Whoever never reads what is answered to him, and goes on asking, is given up.
#[test]
fn answers_that_nobody_takes_are_bounded() {
    let mut hoard = listed(b"picture");
    let mut asked = 0_u64;
    // Whoever has ended has no deadline.
    while hoard.ours.chum.deadline().is_some() && asked < 3_000_000 {
        hoard.send(1, &json!([]));
        asked += 1;
    }
    assert!(hoard.ours.poll().is_empty(), "what waited is dropped");
    assert_eq!(hoard.ours.fault(), Some("flooded"));
    let limit = limits::CHUM_QUEUED as u64 / 30;
    assert!(asked <= limit, "{asked}");
}
