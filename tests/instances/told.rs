//! What a contact tells of its devices in its profile: whatever is not as it is on record is left out, and named.

use std::collections::BTreeMap;

use chumwire::book::{BookEvent, profile_id};
use chumwire::chum::MemoryStore;
use chumwire::fault::Part;
use chumwire::hex;
use chumwire::objects::{
    IdHash, Instance, InstanceId, Object, ObjectHash, PersonId, Recipes, Reference, SignKey, Value,
};
use chumwire::time::{Micros, Millis};

use crate::world::{World, identity};

/// A device as a profile names it, and what is wrong with it.
struct Told {
    name: &'static str,
    person_owner: PersonId,
    person_key: [u8; 32],
    person_sign_key: SignKey,
    keys_owner: Option<InstanceId>,
    instance_owner: PersonId,
    url: &'static str,
    wrong: Option<Part>,
}

impl Told {
    fn instance(&self) -> InstanceId {
        let (name, owner) = (self.name.into(), self.instance_owner);
        Instance { name, owner }.id()
    }

    /// Its endpoint, with all that it refers to.
    fn put(&self, store: &mut MemoryStore, of: PersonId, key: u8) -> ObjectHash {
        let recipes = Recipes::known();
        let mut keys = |owner: IdHash, key: &[u8; 32], sign_key: SignKey| {
            let keys = Object::new("Keys")
                .with("owner", owner)
                .with("publicKey", hex::encode(key))
                .with("publicSignKey", hex::encode(&sign_key.0));
            store.put(&recipes, &keys).expect("keys")
        };
        let owner = self.keys_owner.unwrap_or(self.instance());
        let (person, instance) = (
            keys(
                self.person_owner.into(),
                &self.person_key,
                self.person_sign_key,
            ),
            keys(owner.into(), &[key; 32], SignKey([key; 32])),
        );
        let id_object = Object::new_id("Instance")
            .with("name", self.name)
            .with("owner", IdHash::from(self.instance_owner));
        store.put_id(&recipes, &id_object).expect("an instance");
        let endpoint = Object::new("OneInstanceEndpoint")
            .with("personId", IdHash::from(of))
            .with("instanceId", IdHash::from(self.instance()))
            .with("personKeys", person)
            .with("instanceKeys", instance)
            .with("url", self.url);
        store.put(&recipes, &endpoint).expect("an endpoint")
    }
}

/// Demands: M10.2, M10.3.
#[test]
fn each_part_that_is_not_as_on_record_is_named_and_the_rest_is_taken() {
    let mut world = World::paired();
    let (alice, bob) = (0, 1);
    for i in [alice, bob] {
        world.call(i, |machine, now| machine.keep_in_touch(now));
    }
    world.run(Micros::secs(3));
    let own = identity("bob", "phone", 2);
    let (person, other) = (own.person_id(), world.peers[alice].person());
    let good = || Told {
        name: "watch",
        person_owner: person,
        person_key: *own.person_key().public().bytes(),
        person_sign_key: own.person_sign_key(),
        keys_owner: None,
        instance_owner: person,
        url: "ws://watch",
        wrong: None,
    };
    let told = [
        good(),
        Told {
            name: "no address",
            url: "http://watch",
            ..good()
        },
        Told {
            name: "person keys of another",
            person_owner: other,
            wrong: Some(Part::KeysOwner),
            ..good()
        },
        Told {
            name: "another person key",
            person_key: [7; 32],
            wrong: Some(Part::PersonKey),
            ..good()
        },
        Told {
            name: "another signing key",
            person_sign_key: SignKey([7; 32]),
            wrong: Some(Part::PersonSignKey),
            ..good()
        },
        Told {
            name: "keys of another instance",
            keys_owner: Some(own.instance_id()),
            wrong: Some(Part::KeysOwner),
            ..good()
        },
        Told {
            name: "an instance of another",
            instance_owner: other,
            wrong: Some(Part::InstanceOwner),
            ..good()
        },
    ];
    let recipes = Recipes::known();
    let store = &mut world.peers[bob].store;
    let (_, before) = store
        .newest(&recipes, &profile_id(person))
        .expect("a profile");
    let list = |name| before.get(name).cloned().expect("a list");
    let mut endpoints = list("communicationEndpoint")
        .as_list()
        .expect("it is one")
        .to_vec();
    for (n, of) in told.iter().enumerate() {
        endpoints.push(of.put(store, person, 100 + n as u8).into());
    }
    // Neither an endpoint of somebody else nor a phone number is one of Bob's devices.
    let foreign = good().put(store, other, 99);
    let phone = Object::new("PhoneNumber").with("number", "1");
    let phone = store.put(&recipes, &phone).expect("a number");
    endpoints.extend([foreign.into(), phone.into()]);
    let profile = Object::new("Profile")
        .with("profileId", "default")
        .with("personId", IdHash::from(person))
        .with("owner", IdHash::from(person))
        .with("communicationEndpoint", Value::List(endpoints))
        .with("personDescription", list("personDescription"));
    let now = Millis(world.now.wall.0);
    store
        .put_version(&recipes, &profile, now)
        .expect("a version");
    store.share(Reference::Id(profile_id(person)), other);
    world.call(bob, |machine, now| machine.granted(now, other));
    world.run(Micros::secs(8));

    let named: BTreeMap<InstanceId, Part> = world.peers[alice]
        .book_events()
        .into_iter()
        .filter_map(|event| match event {
            BookEvent::NotTaken { instance, part, .. } => Some((*instance, *part)),
            _ => None,
        })
        .collect();
    let due = told
        .iter()
        .filter_map(|of| Some((of.instance(), of.wrong?)));
    assert_eq!(named, due.collect());
    let known: BTreeMap<String, Option<String>> = world.peers[alice].contacts[&person]
        .instances
        .iter()
        .map(|of| (of.name.clone(), of.url.clone()))
        .collect();
    let due = [
        ("phone", Some("ws://bob")),
        ("watch", Some("ws://watch")),
        ("no address", None),
    ];
    let due = due.map(|(name, url)| (name.to_owned(), url.map(str::to_owned)));
    assert_eq!(known, due.into());
}
