//! The address book of instances that pair, part and meet again.

use std::collections::BTreeSet;

use chumwire::book::{BookEvent, BookFault, is_trusted, profile_id};
use chumwire::chum::{MemoryStore, SyncEvent};
use chumwire::establish::Group;
use chumwire::fault::Part;
use chumwire::node::Event;
use chumwire::objects::{
    IdHash, License, Object, ObjectHash, ReadLimits, Recipes, Reference, SignKey, type_of,
};
use chumwire::time::{Micros, Millis};

use crate::world::{World, identity};

const ALICE: usize = 0;
const BOB: usize = 1;

fn read(store: &MemoryStore, hash: ObjectHash) -> Option<Object> {
    let text = store.text(&Reference::Object(hash))?;
    Recipes::known().read(text, &ReadLimits::default()).ok()
}

fn newest(store: &MemoryStore, id: &IdHash) -> Object {
    store.newest(&Recipes::known(), id).expect("a version").1
}

/// How many objects of each type there are, id objects left out.
fn count(store: &MemoryStore, name: &str) -> usize {
    let objects = store.objects().map(|(_, text)| type_of(text));
    objects.filter(|of| *of == Some((name, false))).count()
}

fn list<'a>(object: &'a Object, name: &str) -> Vec<&'a chumwire::objects::Value> {
    let list = object.get(name).and_then(|value| value.as_list());
    list.unwrap_or_default().iter().collect()
}

/// Demands: M10.1.
#[test]
fn a_pairing_stores_what_the_specification_lists_before_it_is_told() {
    let world = World::paired();
    for (i, other) in [(ALICE, BOB), (BOB, ALICE)] {
        let (own, other) = (&world.peers[i], &world.peers[other]);
        let (store, recipes) = (&own.store, Recipes::known());
        assert_eq!(own.paired().len(), 1);
        let contact = &own.contacts[&other.person()];
        let profile = newest(store, &profile_id(other.person()));
        let endpoints = list(&profile, "communicationEndpoint");
        assert_eq!(endpoints.len(), 1);
        let Some(Reference::Object(endpoint)) = endpoints[0].as_reference() else {
            panic!("an endpoint");
        };
        let endpoint = read(store, endpoint).expect("it is stored");
        let url = endpoint.get("url").and_then(|url| url.as_text());
        assert_eq!(url, contact.instances[0].url.as_deref());
        // The profile is the one that the other side has of itself, version for version.
        let (of_own, of_other) = (
            profile_id(other.person()),
            newest(&other.store, &profile_id(other.person())),
        );
        assert_eq!(
            list(&profile, "personDescription"),
            list(&of_other, "personDescription")
        );
        assert!(store.head(&of_own).is_some());
        // Two own rights, and the certificate over the profile; two keys of the contact and three certificates signed.
        assert_eq!(count(store, "TrustKeysCertificate"), 1);
        assert_eq!(count(store, "Signature"), 5);
        assert_eq!(count(store, "License"), 3);
        assert_eq!(count(store, "Keys"), 4);
        assert_eq!(
            License::TrustKeys.hash(),
            ObjectHash::of(&License::TrustKeys.microdata())
        );
        // One contact, in the list of all.
        let (id, someone) = own
            .machine
            .book()
            .of_person(other.person())
            .expect("a contact");
        assert_eq!(store.someones().as_slice(), std::slice::from_ref(someone));
        assert_eq!(newest(store, &IdHash(id.0)), {
            let text = recipes.write(&someone.object()).expect("a contact");
            recipes.read(&text, &ReadLimits::default()).expect("ours")
        });
        let leute = recipes.id_hash(&Object::new("Leute").with("appId", "one.leute"));
        let leute = newest(store, &leute.expect("an id"));
        assert_eq!(list(&leute, "other"), [&IdHash(id.0).into()]);
        // Everything that is referred to is there.
        assert!(store.objects().all(|(_, text)| {
            let all = chumwire::objects::references(text, 1_000).expect("ours");
            all.iter()
                .all(|what| store.presence(what) != chumwire::chum::Presence::Absent)
        }));
        // Nothing is granted by it.
        assert_eq!(store.granted_to(&recipes, other.person()), []);
        own.machine.book().self_check().expect("in order");
    }
}

/// Demands: M10.1.
#[test]
fn what_is_not_stored_has_not_happened_and_a_change_meanwhile_is_met() {
    let mut world = World::new();
    world.add("alice", identity("alice", "laptop", 1));
    world.add("bob", identity("bob", "phone", 2));
    // Alice's disk is full.
    world.peers[ALICE].fails = 1;
    world.pair(ALICE, BOB);
    let told = |i: usize, world: &World| world.peers[i].paired().len();
    assert_eq!(told(ALICE, &world), 0);
    assert_eq!(world.peers[ALICE].store.someones(), []);
    let failed =
        |(_, event): &(Micros, SyncEvent)| matches!(event, SyncEvent::Node(Event::StoreFailed(_)));
    assert_eq!(
        world.peers[ALICE]
            .told
            .iter()
            .filter(|told| failed(told))
            .count(),
        1
    );
    // Then it has room, and something else writes the list of contacts at the same time, three times.
    let mut left = 3;
    world.peers[ALICE].before_change = Some(Box::new(move |store, change| {
        if left > 0 && !change.write.heads.is_empty() {
            left -= 1;
            let recipes = Recipes::known();
            let leute = recipes.id_hash(&Object::new("Leute").with("appId", "one.leute"));
            let (_, now) = store
                .newest(&recipes, &leute.expect("an id"))
                .expect("it is there");
            store
                .put_version(&recipes, &now, Millis(left))
                .expect("as it was");
        }
    }));
    world.pair(ALICE, BOB);
    assert_eq!(told(ALICE, &world), 1);
    assert_eq!(world.peers[ALICE].store.someones().len(), 1);
}

/// Demands: M10.7.
#[test]
fn contacts_find_each_other_by_themselves_and_again_after_a_restart() {
    let mut world = World::new();
    world.add("alice", identity("alice", "laptop", 1));
    world.add("bob", identity("bob", "phone", 2));
    // Bob cannot be dialled, so it is Bob who dials.
    world.listens(BOB, false);
    for i in [ALICE, BOB] {
        world.call(i, |machine, now| machine.keep_in_touch(now));
    }
    world.pair(ALICE, BOB);
    let (at, _) = world.peers[BOB].paired()[0].clone();
    world.run(Micros::secs(3));
    let first = world.peers[BOB].dials[1].0;
    assert!(
        first >= at + Micros::millis(500),
        "the other side stores, too"
    );
    let both = |world: &World| [world.chums(ALICE).len(), world.chums(BOB).len()];
    assert_eq!(both(&world), [1, 1]);
    for i in [ALICE, BOB] {
        world.restart(i);
        world.call(i, |machine, now| machine.keep_in_touch(now));
        world.run(Micros::secs(11));
        assert_eq!(both(&world), [1, 1], "{i} was restarted");
    }
    // The own objects and the contact are as they were.
    let versions = count(&world.peers[ALICE].store, "VersionNodeChange");
    world.restart(ALICE);
    assert_eq!(
        count(&world.peers[ALICE].store, "VersionNodeChange"),
        versions
    );
}

/// Demands: M10.7.
#[test]
fn who_is_refused_right_after_a_pairing_tries_again_soon() {
    let mut world = World::new();
    world.add("alice", identity("alice", "laptop", 1));
    world.add("bob", identity("bob", "phone", 2));
    world.pair(ALICE, BOB);
    // Alice has lost it: Bob is refused.
    let bob = world.peers[BOB].person();
    world.peers[ALICE].contacts.clear();
    world.restart(ALICE);
    assert!(!world.peers[ALICE].contacts.contains_key(&bob));
    world.call(BOB, |machine, now| machine.keep_in_touch(now));
    world.run(Micros::secs(9));
    let dials = world.peers[BOB].dials.len() - 1;
    assert!((8..=10).contains(&dials), "every second: {dials}");
    world.run(Micros::secs(60));
    let more = world.peers[BOB].dials.len() - 1 - dials;
    assert!((3..=5).contains(&more), "as any failing route then: {more}");
}

/// Demands: M10.2, M10.3.
#[test]
fn a_contact_tells_of_its_address_and_devices_and_of_nobody_elses() {
    let mut world = World::paired();
    world.add("carol", identity("carol", "tablet", 3));
    world.pair(ALICE, 2);
    let (alice, bob) = (world.peers[ALICE].person(), world.peers[BOB].person());
    for i in [ALICE, BOB] {
        world.call(i, |machine, now| machine.keep_in_touch(now));
    }
    // Bob lets Alice see his profile, and moves.
    let profile = profile_id(bob);
    world.peers[BOB].store.share(Reference::Id(profile), alice);
    world.call(BOB, |machine, now| {
        machine.reachable_at(now, "ws://elsewhere")
    });
    world.call(BOB, |machine, now| machine.granted(now, alice));
    world.run(Micros::secs(8));
    let known = |world: &World| world.peers[ALICE].contacts[&bob].clone();
    assert_eq!(
        known(&world).instances[0].url.as_deref(),
        Some("ws://elsewhere")
    );
    let in_node = world.peers[ALICE]
        .machine
        .node()
        .contacts()
        .find(|of| of.person_id == bob);
    assert_eq!(in_node, Some(&known(&world)), "the node knows it as well");

    // Bob's profile names another device of his; one with Carol's key; and one whose person has another key.
    let recipes = Recipes::known();
    let (own, more) = (identity("bob", "phone", 2), identity("bob", "watch", 4));
    let carol = identity("carol", "tablet", 3);
    let store = &mut world.peers[BOB].store;
    let mut endpoints: Vec<chumwire::objects::Value> =
        list(&newest(store, &profile), "communicationEndpoint")
            .into_iter()
            .cloned()
            .collect();
    let mut put = |store: &mut MemoryStore, name: &str, key: String, person_key: String| {
        let instance = chumwire::objects::Instance {
            name: name.into(),
            owner: bob,
        };
        let id_object = Object::new_id("Instance")
            .with("name", name)
            .with("owner", IdHash::from(bob));
        store.put_id(&recipes, &id_object).expect("an id object");
        let keys = |owner: IdHash, key: String, sign: SignKey| {
            Object::new("Keys")
                .with("owner", owner)
                .with("publicKey", key)
                .with("publicSignKey", chumwire::hex::encode(&sign.0))
        };
        let person = keys(bob.into(), person_key, own.person_sign_key());
        let device = keys(instance.id().into(), key, more.instance_sign_key());
        let endpoint = Object::new("OneInstanceEndpoint")
            .with("personId", IdHash::from(bob))
            .with("instanceId", IdHash::from(instance.id()))
            .with("personKeys", store.put(&recipes, &person).expect("keys"))
            .with("instanceKeys", store.put(&recipes, &device).expect("keys"))
            .with("url", format!("ws://{name}"));
        endpoints.push(store.put(&recipes, &endpoint).expect("an endpoint").into());
    };
    let person_key = || own.person_key().public().hex();
    put(
        store,
        "watch",
        more.instance_key().public().hex(),
        person_key(),
    );
    put(
        store,
        "stolen",
        carol.instance_key().public().hex(),
        person_key(),
    );
    put(
        store,
        "forged",
        more.person_key().public().hex(),
        more.person_key().public().hex(),
    );
    let before = newest(store, &profile);
    let descriptions = list(&before, "personDescription").into_iter().cloned();
    let changed = Object::new("Profile")
        .with("profileId", "default")
        .with("personId", IdHash::from(bob))
        .with("owner", IdHash::from(bob))
        .with(
            "personDescription",
            chumwire::objects::Value::List(descriptions.collect()),
        )
        .with(
            "communicationEndpoint",
            chumwire::objects::Value::List(endpoints),
        );
    store
        .put_version(&recipes, &changed, Millis(world.now.wall.0))
        .expect("a version");
    world.call(BOB, |machine, now| machine.granted(now, alice));
    world.run(Micros::secs(8));
    let names: Vec<String> = known(&world)
        .instances
        .iter()
        .map(|of| of.name.clone())
        .collect();
    assert_eq!(names, ["phone", "watch"]);
    let parts: Vec<Part> = world.peers[ALICE]
        .book_events()
        .into_iter()
        .filter_map(|event| match event {
            BookEvent::NotTaken { person, part, .. } if *person == bob => Some(*part),
            _ => None,
        })
        .collect();
    assert_eq!(
        parts.iter().collect::<BTreeSet<_>>(),
        [Part::PersonKey, Part::InstanceKey].iter().collect()
    );
    // The new device is dialled where the old one is.
    let dialled = world.peers[ALICE]
        .dials
        .iter()
        .any(|(_, url)| url == "ws://watch");
    assert!(dialled, "{:?}", world.peers[ALICE].dials);
}

/// Demands: M10.6.
#[test]
fn a_removed_contact_stays_removed_and_comes_back_as_the_same() {
    let mut world = World::paired();
    let (alice, bob) = (world.peers[ALICE].person(), world.peers[BOB].person());
    for i in [ALICE, BOB] {
        world.call(i, |machine, now| machine.keep_in_touch(now));
    }
    world.run(Micros::secs(3));
    world.peers[BOB]
        .store
        .share(Reference::Id(profile_id(bob)), alice);
    world.peers[ALICE]
        .store
        .share(Reference::Id(profile_id(alice)), bob);
    let before = world.peers[ALICE]
        .machine
        .book()
        .of_person(bob)
        .map(|(id, _)| id);
    let hide = Some(Millis(world.now.wall.0));
    world
        .call(ALICE, |machine, now| {
            machine.node_mut().forget(now, bob, hide)
        })
        .expect("a contact");
    assert_eq!(world.chums(ALICE), []);
    let recipes = Recipes::known();
    assert_eq!(world.peers[ALICE].store.granted_to(&recipes, bob), []);
    // Bob goes on dialling and has a new profile: he is refused, and nothing of it comes.
    world.call(BOB, |machine, now| {
        machine.reachable_at(now, "ws://elsewhere")
    });
    world.run(Micros::secs(120));
    world.restart(ALICE);
    world.run(Micros::secs(120));
    assert!(!world.peers[ALICE].machine.book().is_contact(bob));
    assert!(world.peers[ALICE].contacts.is_empty());
    // Pairing anew is an explicit act.
    world.pair(ALICE, BOB);
    let book = world.peers[ALICE].machine.book();
    assert!(book.is_contact(bob));
    assert_eq!(book.of_person(bob).map(|(id, _)| id), before);
    assert_eq!(book.member(bob).and_then(|of| of.hide_before), hide);
    assert_eq!(
        world.peers[ALICE].store.granted_to(&recipes, bob),
        [],
        "what was withdrawn stays so"
    );
}

#[test]
fn contacts_are_merged_and_split_and_mistakes_are_told() {
    let mut world = World::paired();
    world.add("carol", identity("carol", "tablet", 3));
    world.pair(ALICE, 2);
    let (bob, carol) = (world.peers[BOB].person(), world.peers[2].person());
    let id_of = |world: &World, person| {
        world.peers[ALICE]
            .machine
            .book()
            .of_person(person)
            .expect("a contact")
            .0
    };
    let (one, other) = (id_of(&world, bob), id_of(&world, carol));
    let merged = world.call(ALICE, |machine, now| machine.merge(now, one, other));
    assert_eq!(id_of(&world, bob), id_of(&world, carol));
    let again = world.call(ALICE, |machine, now| machine.merge(now, one, other));
    let split = world.call(ALICE, |machine, now| {
        machine.split(now, one, [carol].into())
    });
    assert_ne!(id_of(&world, bob), id_of(&world, carol));
    world.peers[ALICE].fails = 1;
    let (one, other) = (id_of(&world, bob), id_of(&world, carol));
    let failed = world.call(ALICE, |machine, now| machine.merge(now, one, other));
    assert_ne!(id_of(&world, bob), id_of(&world, carol));
    let events = world.peers[ALICE].book_events();
    assert_eq!(
        events,
        [
            &BookEvent::Changed(merged),
            &BookEvent::Refused(again, BookFault::Same),
            &BookEvent::Changed(split),
            &BookEvent::NotStored(failed),
        ]
    );
    assert_eq!(world.peers[ALICE].store.someones().len(), 2);
    let stored = world.peers[ALICE].store.someones();
    world.restart(ALICE);
    let book = world.peers[ALICE].machine.book();
    let kept: Vec<_> = book
        .someones()
        .map(|(_, someone)| someone.clone())
        .collect();
    assert_eq!(kept, stored);
}

#[test]
fn contacts_from_before_there_was_an_address_book_are_taken_in() {
    let mut world = World::paired();
    let (bob, contacts) = (
        world.peers[BOB].person(),
        world.peers[ALICE].contacts.clone(),
    );
    world.peers[ALICE].store = MemoryStore::new();
    world.peers[ALICE].contacts = contacts;
    world.restart(ALICE);
    let alice = &world.peers[ALICE];
    assert!(alice.machine.book().is_contact(bob));
    assert_eq!(alice.store.someones().len(), 1);
    assert_eq!(count(&alice.store, "TrustKeysCertificate"), 1);
}

/// Demands: M10.8.
#[test]
fn a_key_is_trusted_by_the_certificate_of_the_pairing_alone() {
    let world = World::paired();
    let alice = &world.peers[ALICE];
    let (recipes, own) = (Recipes::known(), alice.machine.node().identity());
    let mut contact = alice.contacts[&world.peers[BOB].person()].clone();
    let head = alice.store.head(&profile_id(contact.person_id));
    let is = |contact: &_, head| {
        is_trusted(&recipes, own, contact, head, |hash| {
            read(&alice.store, hash)
        })
    };
    assert!(is(&contact, head));
    assert!(!is(&contact, None));
    // Without the signature over one of the two certificates it is not.
    let signed = |name: &str, signature: &Object| {
        let data = match signature.get("data").and_then(|data| data.as_reference()) {
            Some(Reference::Object(hash)) => read(&alice.store, hash),
            _ => None,
        };
        data.is_some_and(|data| data.type_name == name)
    };
    for missing in [
        "TrustKeysCertificate",
        "RightToDeclareTrustedKeysForEverybodyCertificate",
    ] {
        let without = |hash| read(&alice.store, hash).filter(|of| !signed(missing, of));
        assert!(
            !is_trusted(&recipes, own, &contact, head, without),
            "{missing}"
        );
    }
    contact.person_sign_key = SignKey([7; 32]);
    assert!(!is(&contact, head), "that key is in no certified version");
    let bob = &world.peers[BOB];
    let of_bob = alice.contacts[&bob.person()].clone();
    let by_another = is_trusted(
        &recipes,
        bob.machine.node().identity(),
        &of_bob,
        head,
        |hash| read(&alice.store, hash),
    );
    assert!(!by_another, "Alice's signatures are not Bob's");
}

#[test]
fn every_device_of_a_contact_is_a_route_of_its_own() {
    let mut world = World::new();
    world.add("alice", identity("alice", "laptop", 1));
    world.add("phone", identity("bob", "phone", 2));
    world.pair(ALICE, 1);
    let bob = world.peers[1].person();
    let mut contact = world.peers[ALICE].contacts[&bob].clone();
    let mut more = contact.instances[0].clone();
    let watch = identity("bob", "watch", 4);
    more.instance_id = watch.instance_id();
    more.instance_key = watch.instance_key().public();
    more.url = Some("ws://watch".into());
    contact.instances.push(more);
    world.peers[ALICE].contacts.insert(bob, contact);
    world.restart(ALICE);
    world.peers[ALICE].dials.clear();
    world.call(ALICE, |machine, now| machine.keep_in_touch(now));
    let mut urls: Vec<_> = world.peers[ALICE]
        .dials
        .iter()
        .map(|(_, url)| url.as_str())
        .collect();
    urls.sort_unstable();
    assert_eq!(urls, ["ws://phone", "ws://watch"]);
    // What is for another group is another route.
    assert_eq!(world.chums(ALICE), [bob]);
    world
        .call(ALICE, |machine, now| {
            machine.node_mut().connect(now, bob, Group::Debug)
        })
        .expect("a contact");
    assert_eq!(world.chums(ALICE), [bob]);
    world.call(ALICE, |machine, now| {
        machine.node_mut().disconnect(now, bob, &Group::Debug)
    });
    assert_eq!(world.chums(ALICE), [bob]);
}

#[test]
fn who_cannot_be_dialled_says_no_address() {
    let mut world = World::new();
    world.add("alice", identity("alice", "laptop", 1));
    world.add_at("bob", identity("bob", "phone", 2), None);
    let addresses = |i: usize| -> Vec<Option<String>> {
        let (store, person) = (&world.peers[i].store, world.peers[i].person());
        let profile = newest(store, &profile_id(person));
        let address = |endpoint: &chumwire::objects::Value| {
            let Some(Reference::Object(hash)) = endpoint.as_reference() else {
                panic!("an endpoint");
            };
            let endpoint = read(store, hash).expect("it is stored");
            endpoint.get("url")?.as_text().map(Into::into)
        };
        let endpoints = list(&profile, "communicationEndpoint");
        endpoints.into_iter().map(address).collect()
    };
    assert_eq!(addresses(ALICE), [Some("ws://alice".to_owned())]);
    assert_eq!(addresses(BOB), [None]);
}
