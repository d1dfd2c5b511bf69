//! Microdata, hashes and ids of the objects that a connection needs, against recordings of the deployed peer (spec 12).

mod support;

use chumwire::crypto::PublicKey;
use chumwire::objects::{Instance, InstanceId, Keys, ObjectHash, Person, PersonId, SignKey};
use serde_json::Value;
use support::vectors::{array, list, load, text};

/// How many cases of each type there are at least; all other types are left to the objects' own tests.
#[derive(Default)]
struct Seen {
    persons: usize,
    instances: usize,
    keys: usize,
    others: usize,
}

#[test]
fn ids_and_hashes_are_the_recorded_ones() {
    let mut seen = Seen::default();
    for case in list(&load("hashes")["cases"]) {
        match case["object"]["$type$"].as_str() {
            Some("Person") => {
                seen.persons += 1;
                person(case);
            }
            Some("Instance") => {
                seen.instances += 1;
                instance(case);
            }
            Some("Keys") => {
                seen.keys += 1;
                keys(case);
            }
            _ => seen.others += 1,
        }
    }
    assert!(seen.persons >= 9 && seen.instances >= 3 && seen.keys >= 5 && seen.others >= 30);
}

fn person(case: &Value) {
    let name = text(&case["name"]);
    let Some(email) = case["object"]["email"].as_str() else {
        assert!(case.get("idHash").is_none(), "{name}: no email, no id");
        return;
    };
    let person = Person {
        email: email.into(),
    };
    assert_eq!(person.id_microdata(), text(&case["idMicrodata"]), "{name}");
    assert_eq!(person.id().to_string(), text(&case["idHash"]), "{name}");
    assert_eq!(
        PersonId::parse(text(&case["idHash"])),
        Some(person.id()),
        "{name}"
    );
    if let Some(microdata) = case.get("microdata") {
        let hash = ObjectHash::of(text(microdata));
        assert_eq!(hash.to_string(), text(&case["hash"]), "{name}");
        assert_ne!(
            hash.0,
            person.id().0,
            "{name}: an object is not its id object"
        );
    }
}

fn instance(case: &Value) {
    let (name, object) = (text(&case["name"]), &case["object"]);
    let owner = PersonId(array(&object["owner"]));
    let instance = Instance {
        name: text(&object["name"]).into(),
        owner,
    };
    assert_eq!(
        instance.id_microdata(),
        text(&case["idMicrodata"]),
        "{name}"
    );
    assert_eq!(instance.id().to_string(), text(&case["idHash"]), "{name}");
    assert_eq!(
        InstanceId::parse(text(&case["idHash"])),
        Some(instance.id()),
        "{name}"
    );
}

fn keys(case: &Value) {
    let (name, object) = (text(&case["name"]), &case["object"]);
    let keys = Keys {
        owner: PersonId(array(&object["owner"])),
        public_key: PublicKey::new(array(&object["publicKey"])),
        sign_key: SignKey(array(&object["publicSignKey"])),
    };
    assert_eq!(keys.microdata(), text(&case["microdata"]), "{name}");
    assert_eq!(keys.hash().to_string(), text(&case["hash"]), "{name}");
}

/// The worked examples of spec 12, and its escaping.
#[test]
fn the_examples_of_the_specification_hold() {
    let alice = Person {
        email: "alice@example.com".into(),
    };
    assert_eq!(alice.id_microdata().len(), 119);
    let id = "0f69db43a925bc5509c37143ffe18e9c11895ad6ec7c50386bcd4c87100b7152";
    assert_eq!(alice.id().to_string(), id);
    let laptop = Instance {
        name: "alice-laptop".into(),
        owner: alice.id(),
    };
    assert_eq!(laptop.id_microdata().len(), 218);
    let id = "53480c069225f99825498ca3a76c3701ba5d1cb4318f4035ca3775d7e203c1ec";
    assert_eq!(laptop.id().to_string(), id);
    let odd = Person {
        email: "a&b<c>\"d'@é.com".into(),
    };
    assert_eq!(odd.id_microdata().len(), 128);
    let id = "aa59f712472d05ad6ed817b8d6c6f1d2f52be8b295383417e86240b764fb6660";
    assert_eq!(odd.id().to_string(), id);
    let keys = Keys {
        owner: alice.id(),
        public_key: PublicKey::new(digits(
            "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209",
        )),
        sign_key: SignKey(digits(
            "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
        )),
    };
    assert_eq!(keys.microdata().len(), 351);
    let hash = "fe50db7104055016a1be3146c7d1a68eaed7155d463f017587a54b2e9c185365";
    assert_eq!(keys.hash().to_string(), hash);
}

fn digits(text: &str) -> [u8; 32] {
    chumwire::hex::decode(text).expect("64 digits")
}
