//! What two peers have, and what holds of a store whatever a peer has sent.

use std::sync::{Arc, LazyLock};

use chumwire::chum::{DefaultPolicy, MemoryStore, Peer, Verdict};
use chumwire::objects::{
    FileHash, Instance, Kind, Object, ObjectHash, Person, PersonId, Recipe, Recipes, Reference,
    Rule, Value, references,
};
use chumwire::time::Millis;

/// What is in alice's store and nobody is granted. Its length keeps its beginning the same in base64.
pub(crate) const PRIVATE: &str = "PRIVATE-PRIVATE-";

pub(crate) static RECIPES: LazyLock<Recipes> = LazyLock::new(|| {
    let mut recipes = Recipes::known();
    let note = [
        Rule::new("text", Kind::TEXT),
        Rule::new("about", Kind::id(&["Person"])).optional(),
        Rule::new("picture", Kind::BLOB).optional(),
        Rule::new("body", Kind::CLOB).optional(),
        Rule::new("uses", Kind::object(&[]).bag()).optional(),
    ];
    let document = [
        Rule::new("id", Kind::TEXT).id(),
        Rule::new("title", Kind::TEXT).optional(),
        Rule::new("tags", Kind::TEXT.bag()).optional(),
        Rule::new("note", Kind::object(&["Note"])).optional(),
    ];
    recipes
        .register(Recipe::new("Note", note))
        .expect("a recipe");
    recipes
        .register(Recipe::new("Doc", document))
        .expect("a recipe");
    recipes
});

/// A person by its name.
pub(crate) fn person(name: &str) -> PersonId {
    Person {
        email: format!("{name}@example.org"),
    }
    .id()
}

/// An instance of that person, as another one knows it.
pub(crate) fn peer(own: &str, name: &str) -> Peer {
    let (own, person) = (person(own), person(name));
    Peer {
        own,
        person,
        instance: person.0,
    }
}

/// A policy that takes documents of anybody.
pub(crate) fn policy(own: &str) -> DefaultPolicy {
    let owner = person(own);
    let instance = Instance {
        name: own.into(),
        owner,
    };
    let mut policy = DefaultPolicy::new(owner, instance.id());
    policy.take_versions("Doc", Arc::new(|_, _| Verdict::Accept));
    policy
}

/// A version of a document.
pub(crate) fn doc(id: &str, title: &str) -> Object {
    Object::new("Doc").with("id", id).with("title", title)
}

/// Alice has notes, a picture, a text and a document, and grants them to bob; and a few that are private.
pub(crate) static ALICES: LazyLock<MemoryStore> = LazyLock::new(|| {
    let recipes = &*RECIPES;
    let mut store = MemoryStore::new();
    let note = |text: &str| Object::new("Note").with("text", text);
    let put =
        |store: &mut MemoryStore, object: &Object| store.put(recipes, object).expect("an object");
    for name in ["alice", "bob"] {
        let email = format!("{name}@example.org");
        put(&mut store, &Object::new("Person").with("email", email));
    }
    let leaf = put(&mut store, &note("leaf"));
    let picture = store.put_file(&[7; 3_000]);
    let body = store.put_file("some text, é".as_bytes());
    let root = note("root")
        .with("about", person("alice"))
        .with("picture", Reference::Blob(picture))
        .with("body", Reference::Clob(body))
        .with("uses", Value::list([leaf]));
    let root = put(&mut store, &root);
    put(&mut store, &note(PRIVATE));
    store.put_file(format!("{PRIVATE}file").as_bytes());
    for (title, at) in [("one", 1_000), ("two", 2_000)] {
        let version = doc("d", title).with("note", leaf);
        store
            .put_version(recipes, &version, Millis(at))
            .expect("a version");
    }
    let mut granted = vec![
        Reference::Object(root),
        Reference::Id(person("alice").into()),
    ];
    let id = recipes.id_hash(&doc("d", "")).expect("an id");
    granted.push(Reference::Id(id));
    for what in granted {
        store.share(what, person("bob"));
    }
    store
});

/// Bob has another version of the document, and grants it to alice.
pub(crate) static BOBS: LazyLock<MemoryStore> = LazyLock::new(|| {
    let recipes = &*RECIPES;
    let mut store = MemoryStore::new();
    let version = doc("d", "three").with("tags", Value::list(["x"]));
    let id = store.put_version(recipes, &version, Millis(1_500));
    store.share(Reference::Id(id.expect("a version")), person("alice"));
    store
});

/// Everything is under its hash, and whatever an object refers to is there.
pub(crate) fn assert_whole(store: &MemoryStore) {
    for (hash, text) in store.objects() {
        assert_eq!(*hash, ObjectHash::of(text).0);
        for used in references(text, usize::MAX).expect("references") {
            let is_there = match used {
                Reference::Object(_) | Reference::Id(_) => store.text(&used).is_some(),
                Reference::Blob(file) | Reference::Clob(file) => store.file(&file).is_some(),
            };
            assert!(is_there, "{used:?} of {text}");
        }
    }
    for hash in store.files() {
        assert_eq!(store.file(&hash).map(FileHash::of), Some(hash));
    }
}
