//! What holds after every step.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chumwire::chum::{Answer, Ask, AskId, Grant, MemoryStore, Presence, Side, VersionNode, merge};
use chumwire::hex;
use chumwire::objects::{
    FileHash, IdHash, Object, ObjectHash, ReadLimits, Recipes, Reference, references, type_of,
};

use super::ends::{Half, Hash, Place};

/// What is known of objects. They never change.
#[derive(Debug, Default)]
pub(super) struct Check {
    uses: BTreeMap<Hash, Vec<Reference>>,
    objects: BTreeMap<Hash, Object>,
}

impl Check {
    /// What a text refers to.
    fn uses(&mut self, hash: Hash, text: &str) -> Result<&[Reference], String> {
        Ok(match self.uses.entry(hash) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let uses = references(text, 10_000);
                new.insert(uses.map_err(|_| "a stored text cannot be read")?)
            }
        })
    }

    fn object(
        &mut self,
        recipes: &Recipes,
        store: &MemoryStore,
        hash: ObjectHash,
    ) -> Option<&Object> {
        Some(match self.objects.entry(hash.0) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let text = store.text(&Reference::Object(hash))?;
                new.insert(recipes.read(text, &ReadLimits::default()).ok()?)
            }
        })
    }

    fn version(
        &mut self,
        recipes: &Recipes,
        store: &MemoryStore,
        hash: ObjectHash,
    ) -> Option<(VersionNode, Object)> {
        store.text(&Reference::Object(hash))?;
        let node = VersionNode::of(self.object(recipes, store, hash)?)?;
        store.text(&Reference::Object(node.data))?;
        let data = self.object(recipes, store, node.data)?.clone();
        Some((node, data))
    }

    // --- stores --------------------------------------------------------------------------------------------------

    /// Something was written.
    pub(super) fn changed(
        &mut self,
        places: &mut [Place],
        place: usize,
        by: u64,
        step: u64,
        recipes: &Recipes,
    ) -> Result<(), String> {
        let of = &mut places[place];
        let store = of.disk.store();
        let files = store.files().map(|file| file.0);
        let all: Vec<Hash> = store
            .objects()
            .map(|(hash, _)| *hash)
            .chain(files)
            .collect();
        for hash in &all {
            if !of.origin.contains_key(hash) {
                of.origin.insert(*hash, (by, step));
                is_itself(store, hash)?;
            }
            if by == super::ends::USER {
                of.allowed.insert(*hash);
            }
            if !of.allowed.contains(hash) {
                let (name, hash) = (of.name, hex::encode(hash));
                return Err(format!(
                    "something is stored that nobody has granted [{name}, {hash}]"
                ));
            }
        }
        self.whole(of.disk.store())?;
        self.versions(of.disk.store(), recipes)?;
        self.grants(places, place, recipes)
    }

    /// What refers to something is stored only with it.
    fn whole(&mut self, store: &MemoryStore) -> Result<(), String> {
        for (hash, text) in store.objects() {
            let Some((type_name, _)) = type_of(text) else {
                return Err(format!("what is stored as an object is none [{text}]"));
            };
            for used in self.uses(*hash, text)? {
                if !is_stored(store, used) {
                    return Err(format!(
                        "an object is stored without something that it refers to [{type_name} {}, {used:?}]",
                        hex::encode(hash)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Heads are versions of their things; what is merged is in them.
    fn versions(&mut self, store: &MemoryStore, recipes: &Recipes) -> Result<(), String> {
        for (hash, text) in store.objects() {
            let Some((type_name, id_only)) = type_of(text) else {
                continue;
            };
            if id_only {
                let id = IdHash(*hash);
                if let Some(head) = store.head(&id) {
                    let version = self.version(recipes, store, head);
                    let is_its = version.is_some_and(|(_, data)| recipes.id_hash(&data) == Ok(id));
                    if !is_its {
                        return Err(format!("a head is no stored version of its thing [{id}]"));
                    }
                }
            } else if VersionNode::is_type(type_name) {
                let node = ObjectHash(*hash);
                if store.presence(&Reference::Object(node)) == Presence::Merged {
                    self.merged(store, recipes, node)?;
                }
            }
        }
        Ok(())
    }

    fn merged(
        &mut self,
        store: &MemoryStore,
        recipes: &Recipes,
        hash: ObjectHash,
    ) -> Result<(), String> {
        let Some((node, data)) = self.version(recipes, store, hash) else {
            return Err(format!("a merged version has no data [{hash}]"));
        };
        let id = recipes.id_hash(&data).map_err(|_| "data without an id")?;
        let head = store
            .head(&id)
            .ok_or("a version is merged without a head")?;
        let head = self.version(recipes, store, head);
        let head = head.ok_or("a version is merged into a head that is not there")?;
        match holds(recipes, (&head.0, &head.1), (&node, &data)) {
            true => Ok(()),
            false => Err(format!(
                "a version counts as merged and is not in the head [{hash}]"
            )),
        }
    }

    /// What others may have from now on, because this place grants it.
    fn grants(
        &mut self,
        places: &mut [Place],
        place: usize,
        recipes: &Recipes,
    ) -> Result<(), String> {
        for other in 0..places.len() {
            if other == place {
                continue;
            }
            let person = places[other].person;
            let store = places[place].disk.store();
            let mut granted = BTreeSet::new();
            for grant in grants(store, recipes, person) {
                match grant {
                    Grant::Object { hash, id, .. } => {
                        granted.extend(id.map(|id| id.0));
                        self.reach(store, Reference::Object(hash), &mut granted)?;
                    }
                    Grant::Id { id, head, .. } => {
                        self.reach(store, Reference::Id(id), &mut granted)?;
                        if let Some(head) = head {
                            self.reach(store, Reference::Object(head), &mut granted)?;
                        }
                    }
                }
            }
            places[other].allowed.extend(granted);
        }
        Ok(())
    }

    /// All that something refers to, and itself.
    pub(super) fn reach(
        &mut self,
        store: &MemoryStore,
        from: Reference,
        into: &mut BTreeSet<Hash>,
    ) -> Result<(), String> {
        let mut ahead = Vec::from([from]);
        while let Some(next) = ahead.pop() {
            if into.insert(*next.bytes())
                && let Some(text) = store.text(&next)
            {
                ahead.extend(self.uses(*next.bytes(), text)?);
            }
        }
        Ok(())
    }

    /// A crash has taken something.
    pub(super) fn cut_back(&self, place: &mut Place) {
        let store = place.disk.store();
        place.origin.retain(|hash, _| is_there(store, hash));
    }

    // --- messages ------------------------------------------------------------------------------------------------

    /// An end sends something: it asks for nothing that it has. Of a deployed peer that is not required.
    pub(super) fn sent(
        &self,
        bytes: &[u8],
        conn: u64,
        half: &Half,
        store: &MemoryStore,
        origin: &BTreeMap<Hash, (u64, u64)>,
    ) -> Result<(), String> {
        let Ok(text) = core::str::from_utf8(bytes) else {
            return Ok(());
        };
        if half.chum.deployed().is_some() {
            return Ok(());
        }
        if !text.contains(r#""type":"request""#) {
            return Ok(());
        }
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|_| "a request is no JSON")?;
        let service = value.get("serviceId").and_then(serde_json::Value::as_u64);
        if !matches!(service, Some(6..=8)) {
            return Ok(());
        }
        let hash = value.get("args").and_then(|args| args.get(0)?.as_str());
        let hash = hash.and_then(ObjectHash::parse_strict);
        let hash = hash.ok_or("a request names no hash")?.0;
        if !is_there(store, &hash) {
            return Ok(());
        }
        let looked = half.looked.get(&hash);
        let (by, at) = origin.get(&hash).copied().unwrap_or_default();
        // Another connection may have stored it since this one has looked.
        match by != conn && looked.is_some_and(|looked| *looked < at) {
            true => Ok(()),
            false => Err(format!(
                "an instance asks for what it has [{}]",
                hex::encode(&hash)
            )),
        }
    }
}

/// What is stored under a hash has it.
fn is_itself(store: &MemoryStore, hash: &Hash) -> Result<(), String> {
    let text = store.text(&Reference::Object(ObjectHash(*hash)));
    let file = store.file(&FileHash(*hash)).map(FileHash::of);
    match text.is_none_or(|text| ObjectHash::of(text).0 == *hash)
        && file.is_none_or(|file| file.0 == *hash)
    {
        true => Ok(()),
        false => Err(format!(
            "something has another hash [{}]",
            hex::encode(hash)
        )),
    }
}

fn is_there(store: &MemoryStore, hash: &Hash) -> bool {
    store.text(&Reference::Object(ObjectHash(*hash))).is_some()
        || store.file(&FileHash(*hash)).is_some()
}

fn is_stored(store: &MemoryStore, what: &Reference) -> bool {
    match what {
        Reference::Object(_) | Reference::Id(_) => {
            let id_only = matches!(what, Reference::Id(_));
            let text = store.text(what).and_then(type_of);
            text.is_some_and(|(_, is)| is == id_only)
        }
        Reference::Blob(file) | Reference::Clob(file) => store.file(file).is_some(),
    }
}

/// Whether a version is in another one: merging it again changes nothing.
pub(super) fn holds(
    recipes: &Recipes,
    (head, data): (&VersionNode, &Object),
    (node, older): (&VersionNode, &Object),
) -> bool {
    let side = |object, node: &VersionNode| Side {
        object,
        created: node.created,
    };
    let merged = merge(recipes, side(data, head), side(older, node));
    let text = merged.and_then(|merged| recipes.write(&merged).ok());
    text.is_some() && text == recipes.write(data).ok()
}

/// What a person was granted.
pub(super) fn grants(
    store: &MemoryStore,
    recipes: &Recipes,
    person: chumwire::objects::PersonId,
) -> Vec<Grant> {
    let ask = Ask::Granted(person);
    match store.clone().answer(recipes, 0, AskId(0), ask) {
        Answer::Granted(grants) => grants,
        _ => Vec::new(),
    }
}
