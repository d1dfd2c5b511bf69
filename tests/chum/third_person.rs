//! A third person sees nothing of what two say to each other, however it asks: every service, every hash that is
//! stored.

use chumwire::channels::{open, speak, topic_name};
use chumwire::chum::{MemoryStore, Newest, Service};
use chumwire::crypto::{Nacl, Random};
use chumwire::identity::Identity;
use chumwire::io::Kind;
use chumwire::objects::{Object, ObjectHash, Person, PersonId, ReadLimits, Recipes, Reference};
use chumwire::time::{Micros, Millis};

use crate::pair::{note, person, recipes};
use crate::puppet::Ours;

/// Bob's store: two messages to Carol, shared with `with`, and a note for Alice. Gives the note.
fn store(with: PersonId) -> (MemoryStore, ObjectHash) {
    let (recipes, mut store) = (recipes(), MemoryStore::new());
    let bob = Identity::generate::<Nacl>(&mut Random::new([2; 32]), "bob@example.com", "phone");
    let bob = bob.expect("a good name");
    let carol = Person {
        email: "carol@example.com".into(),
    };
    let opened = open(&recipes, [bob.person(), &carol], Millis(1));
    let opened = opened.expect("channels are known").expect("two persons");
    let name = topic_name(bob.person_id(), carol.id()).expect("two persons");
    store.write(opened.write);
    for (at, text) in [(5, "only between us"), (4, "and this")] {
        let read = |hash: ObjectHash| object(&store, &recipes, hash);
        let head = store.head(&opened.id).expect("it is open");
        let text_of = |hash| store.text(&Reference::Object(hash)).map(Into::into);
        let newest = Newest::of(&recipes, head, text_of);
        let said = speak(
            &recipes,
            &bob,
            &name,
            newest.as_ref(),
            text,
            Millis(at),
            read,
        );
        store.write(said.expect("a message").1);
    }
    store.share(Reference::Id(opened.id), with);
    store.share(Reference::Object(opened.topic), with);
    let note = store.put(&recipes, &note("for alice")).expect("a note");
    store.share(Reference::Object(note), person("alice"));
    (store, note)
}

fn object(store: &MemoryStore, recipes: &Recipes, hash: ObjectHash) -> Option<Object> {
    let text = store.text(&Reference::Object(hash))?;
    recipes.read(text, &ReadLimits::default()).ok()
}

/// What Alice gets of Bob: the answers that are no errors, each with what was asked for.
fn asked_for_everything(store: &MemoryStore) -> Vec<(u64, String, String)> {
    let mut ours = Ours::new(Default::default(), store.clone());
    ours.hears("synchronisation");
    let mut got = Vec::new();
    let mut next = 1_000;
    let mut ask = |ours: &mut Ours, service: u64, hash: &str| {
        next += 1;
        let args = match hash {
            "" => String::new(),
            hash => format!("\"{hash}\""),
        };
        ours.hears(&format!(
            r#"{{"requestId":{next},"type":"request","serviceId":{service},"args":[{args}]}}"#
        ));
        let answer = format!(r#"{{"responseId":{next},"type":"data""#);
        for (kind, bytes) in ours.poll() {
            let said = String::from_utf8_lossy(&bytes).into_owned();
            // Bytes are a part of what was asked for.
            if kind == Kind::Binary || said.starts_with(&answer) {
                got.push((service, hash.to_owned(), said));
            }
        }
    };
    let hashes: Vec<String> = store
        .objects()
        .map(|(hash, _)| chumwire::hex::encode(hash))
        .collect();
    // Twice: what was told the first time may be asked for the second time.
    for _ in 0..2 {
        ask(&mut ours, Service::GetAccessibleRoots.number(), "");
        for hash in &hashes {
            for service in [4, 5, 6, 7, 8] {
                ask(&mut ours, service, hash);
            }
        }
        ours.now.mono = ours.now.mono + Micros::millis(1);
    }
    assert_eq!(ours.fault(), None);
    got
}

/// Demands: M10.5.
#[test]
fn a_third_person_gets_nothing_of_a_conversation_whatever_it_asks_for() {
    let carol = person("carol");
    let (kept, note) = store(carol);
    let note = note.to_string();
    let got = asked_for_everything(&kept);
    assert!(
        got.iter()
            .any(|(service, hash, _)| *service == 6 && *hash == note),
        "what is Alice's she gets"
    );
    for (service, hash, answer) in &got {
        let is_hers = *hash == note || hash.is_empty();
        assert!(is_hers, "service {service} gave {hash}: {answer}");
        let foreign = kept.objects().map(|(hash, _)| chumwire::hex::encode(hash));
        let mut told = foreign.filter(|other| *other != note && answer.contains(other));
        assert_eq!(told.next(), None, "service {service} tells of it: {answer}");
    }
    // It is looked for rightly: to whom it is granted, all of it is given.
    let (shared, _) = store(person("alice"));
    let got = asked_for_everything(&shared);
    let texts = shared.objects().filter(|(hash, text)| {
        let hash = chumwire::hex::encode(*hash);
        text.contains("//refin.io/ChatMessage\"")
            && got
                .iter()
                .any(|(service, of, _)| *service == 6 && *of == hash)
    });
    assert_eq!(texts.count(), 2);
}
