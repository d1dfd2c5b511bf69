//! What the users of the instances do: they write, share and take back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chumwire::chum::{DefaultPolicy, Policy, Verdict};
use chumwire::objects::{
    FileHash, IdHash, Instance, Kind, Object, ObjectHash, Person, PersonId, Recipe, Recipes,
    Reference, Rule, Value,
};
use chumwire::time::Millis;

use super::disk::Disk;

/// What a user does at some moment.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// In words.
    pub about: &'static str,
    /// It.
    pub does: fn(&mut Desk<'_>),
}

/// Where a user does it.
#[derive(Debug)]
pub struct Desk<'a> {
    pub(super) disk: &'a mut Disk,
    pub(super) recipes: &'a Recipes,
    pub(super) wall: Millis,
    pub(super) wanted: &'a mut BTreeMap<(Reference, PersonId), bool>,
    pub(super) wrote: &'a mut BTreeSet<IdHash>,
}

impl Desk<'_> {
    /// Stores a file.
    pub fn file(&mut self, bytes: &[u8]) -> FileHash {
        self.disk.write(|store| store.put_file(bytes))
    }

    /// Stores an object.
    ///
    /// # Panics
    /// If the recipes do not allow it.
    pub fn put(&mut self, object: &Object) -> ObjectHash {
        let recipes = self.recipes;
        let put = self.disk.write(|store| store.put(recipes, object));
        put.expect("an object that its recipe allows")
    }

    /// Edits a document: this is its title from now on, and stays among its tags.
    ///
    /// # Panics
    /// Never: the recipes allow documents.
    pub fn edit(&mut self, document: &str, title: &str, note: Option<ObjectHash>) -> Reference {
        let id = id_of(self.recipes, document);
        let newest = self.disk.store().newest(self.recipes, &id);
        let before = newest.map(|(_, data)| data);
        let mut tags = BTreeSet::from([title]);
        if let Some(Value::List(list)) = before.as_ref().and_then(|data| data.get("tags")) {
            tags.extend(list.iter().filter_map(Value::as_text));
        }
        let tags = tags.into_iter().map(Value::from).collect();
        let mut object = Object::new("Doc")
            .with("id", document)
            .with("title", title)
            .with("tags", Value::List(tags));
        let noted = before.as_ref().and_then(|data| data.get("note"));
        if let Some(note) = note {
            object = object.with("note", Reference::Object(note));
        } else if let Some(note) = noted {
            object = object.with("note", note.clone());
        }
        let (recipes, wall) = (self.recipes, self.wall);
        let put = self
            .disk
            .write(|store| store.put_version(recipes, &object, wall));
        self.wrote.insert(id);
        Reference::Id(put.expect("a document that its recipe allows"))
    }

    /// The hash of an object, stored or not.
    ///
    /// # Panics
    /// If the recipes do not allow it.
    #[must_use]
    pub fn hash(&self, object: &Object) -> ObjectHash {
        let text = self.recipes.write(object);
        ObjectHash::of(&text.expect("an object that its recipe allows"))
    }

    /// Shares something with somebody.
    pub fn share(&mut self, what: Reference, with: &str) {
        let person = person(with);
        self.wanted.insert((what, person), true);
        self.disk.write(|store| store.share(what, person));
    }

    /// Takes that back.
    pub fn unshare(&mut self, what: Reference, with: &str) {
        let person = person(with);
        self.wanted.insert((what, person), false);
        self.disk.write(|store| store.unshare(&what, person));
    }

    /// The document of this name, stored or not.
    #[must_use]
    pub fn document(&self, document: &str) -> Reference {
        Reference::Id(id_of(self.recipes, document))
    }
}

/// The note with this text.
#[must_use]
pub fn note(text: &str) -> Object {
    Object::new("Note").with("text", text)
}

/// The person of this name.
pub(super) fn person(name: &str) -> PersonId {
    Person {
        email: format!("{name}@example.com"),
    }
    .id()
}

/// The id hash of a document.
fn id_of(recipes: &Recipes, document: &str) -> IdHash {
    let object = Object::new("Doc").with("id", document);
    recipes.id_hash(&object).expect("a document")
}

/// The known recipes, those of notes, which have no versions, and of documents, which have.
pub(super) fn recipes() -> Recipes {
    let mut recipes = Recipes::known();
    let note = Recipe::new(
        "Note",
        [
            Rule::new("text", Kind::TEXT),
            Rule::new("picture", Kind::BLOB).optional(),
            Rule::new("body", Kind::CLOB).optional(),
            Rule::new("uses", Kind::object(&[]).bag()).optional(),
        ],
    );
    let document = Recipe::new(
        "Doc",
        [
            Rule::new("id", Kind::TEXT).id(),
            Rule::new("title", Kind::TEXT).optional(),
            Rule::new("tags", Kind::TEXT.bag()).optional(),
            Rule::new("note", Kind::object(&["Note"])).optional(),
        ],
    );
    for recipe in [note, document] {
        recipes.register(recipe).expect("a recipe");
    }
    recipes
}

/// A policy that takes documents of anybody.
pub(super) fn policy(own: &str) -> Arc<dyn Policy> {
    let owner = person(own);
    let name = own.into();
    let mut policy = DefaultPolicy::new(owner, Instance { name, owner }.id());
    policy.take_versions("Doc", Arc::new(|_, _| Verdict::Accept));
    Arc::new(policy)
}
