//! Objects: any recipe, any object of it, and its text with a few characters changed.

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use chumwire::objects::{
    Kind, Object, ObjectHash, ReadLimits, Recipe, Recipes, Reference, Rule, TextRule, Value,
    references, type_of,
};

use crate::said::Edit;

static KNOWN: LazyLock<Recipes> = LazyLock::new(Recipes::known);

/// A text as a peer sends it: what is read is the one text of its object.
pub(crate) fn microdata(text: &str) {
    one_text(&KNOWN, text);
    let all = references(text, usize::MAX);
    if let Ok(all) = &all
        && let Some(most) = all.len().checked_sub(1)
    {
        assert!(references(text, most).is_err(), "more than were allowed");
    }
}

/// Reads a text; if it is of an object, it is the only one that this object has.
fn one_text(recipes: &Recipes, text: &str) -> Option<Object> {
    let object = recipes.read(text, &ReadLimits::default()).ok()?;
    assert_eq!(recipes.write(&object).as_deref(), Ok(text));
    assert_eq!(
        type_of(text),
        Some((object.type_name.as_str(), object.id_only))
    );
    if let Ok(id) = recipes.id_hash(&object) {
        let id_object = recipes.id_object(&object).expect("it has an id");
        let id_text = recipes.write(&id_object).expect("it has an id");
        assert_eq!(
            ObjectHash::of(&id_text).0,
            id.0,
            "the id is the hash of the id object"
        );
        assert!(!object.id_only || id_text == text);
        let read = one_text_of_id(recipes, &id_text);
        assert_eq!(recipes.id_hash(&read), Ok(id));
    } else {
        assert!(!object.id_only && !recipes.is_versioned(&object.type_name));
    }
    let found = references(text, usize::MAX).expect("references that are well formed");
    let mut held = Vec::new();
    for (_, value) in &object.properties {
        held_by(value, &mut held);
    }
    assert!(
        held.iter().all(|reference| found.contains(reference)),
        "an importer fetches them all"
    );
    Some(object)
}

fn one_text_of_id(recipes: &Recipes, text: &str) -> Object {
    let read = recipes.read(text, &ReadLimits::default());
    let read = read.expect("an id object is read");
    assert!(read.id_only);
    read
}

/// All references in a value.
fn held_by(value: &Value, held: &mut Vec<Reference>) {
    held.extend(value.as_reference());
    for item in value.as_list().unwrap_or_default() {
        held_by(item, held);
    }
    for (key, entry) in value.as_map().unwrap_or_default() {
        held_by(key, held);
        held_by(entry, held);
    }
    for (_, property) in value.as_object().unwrap_or_default() {
        held_by(property, held);
    }
}

const NAMES: [&str; 6] = ["a", "b", "id", "Ünï&", "c", "10"];
const PIECES: [&str; 14] = [
    "&", "<", ">", "&amp;", "\"", "a", "B", "9", "10", "\n", "é", "😀", "\u{e000}", "</div>",
];

fn simple(u: &mut Unstructured<'_>) -> Result<Kind> {
    Ok(match u.int_in_range(0..=9)? {
        0 => Kind::String(TextRule::HexPairs),
        1 => Kind::Integer,
        2 => Kind::Number,
        3 => Kind::Boolean,
        4 => Kind::Stringifiable,
        5 => Kind::BLOB,
        6 => Kind::CLOB,
        7 => Kind::object(&[]),
        8 => Kind::id(&["Person"]),
        _ => Kind::TEXT,
    })
}

fn kind(u: &mut Unstructured<'_>, depth: u8) -> Result<Kind> {
    let Some(depth) = depth.checked_sub(1) else {
        return simple(u);
    };
    Ok(match u.int_in_range(0..=7)? {
        0 => kind(u, depth)?.array(),
        1 => kind(u, depth)?.bag(),
        2 => kind(u, depth)?.set(),
        3 => simple(u)?.map_to(kind(u, depth)?),
        4 => Kind::Object(rules(u, depth)?),
        _ => simple(u)?,
    })
}

fn rules(u: &mut Unstructured<'_>, depth: u8) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for name in NAMES {
        if rules.is_empty() || u.ratio(1, 3)? {
            rules.push(Rule {
                name: name.into(),
                kind: kind(u, depth)?,
                optional: u.arbitrary()?,
                id: u.arbitrary()?,
            });
        }
    }
    Ok(rules)
}

fn text(u: &mut Unstructured<'_>) -> Result<String> {
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=3)? {
        text.push_str(u.choose(&PIECES)?);
    }
    if u.ratio(1, 4)? {
        text.push_str(u.arbitrary()?);
    }
    Ok(text)
}

fn json(u: &mut Unstructured<'_>, depth: u8) -> Result<serde_json::Value> {
    let most = if depth == 0 { 4 } else { 6 };
    Ok(match u.int_in_range(0..=most)? {
        0 => serde_json::Value::Null,
        1 => bool::arbitrary(u)?.into(),
        2 => i64::arbitrary(u)?.into(),
        3 => f64::arbitrary(u)?.into(),
        4 => text(u)?.into(),
        5 => {
            let mut items = Vec::new();
            while !u.is_empty() && u.ratio(1, 2)? {
                items.push(json(u, depth - 1)?);
            }
            items.into()
        }
        _ => {
            let mut members = serde_json::Map::new();
            while !u.is_empty() && u.ratio(1, 2)? {
                members.insert(text(u)?, json(u, depth - 1)?);
            }
            members.into()
        }
    })
}

fn value(u: &mut Unstructured<'_>, kind: &Kind) -> Result<Value> {
    let items = |u: &mut Unstructured<'_>, item: &Kind| -> Result<Value> {
        let mut items = Vec::new();
        while items.len() < 8 && !u.is_empty() && u.ratio(2, 3)? {
            items.push(value(u, item)?);
        }
        Ok(Value::List(items))
    };
    Ok(match kind {
        Kind::String(TextRule::HexPairs) => chumwire::hex::encode(&[u.arbitrary::<u8>()?]).into(),
        Kind::String(_) => text(u)?.into(),
        Kind::Integer | Kind::Number => match u.int_in_range(0..=2)? {
            0 => f64::from(u.arbitrary::<i32>()?).into(),
            1 => 10_f64.powi(u.int_in_range(-30..=30)?).into(),
            _ => u.arbitrary::<f64>()?.into(),
        },
        Kind::Boolean => u.arbitrary::<bool>()?.into(),
        Kind::Stringifiable => json(u, 3)?.into(),
        Kind::Reference { kind, .. } => kind.to([u.arbitrary()?; 32]).into(),
        Kind::Array(item) | Kind::Bag(item) | Kind::Set(item) => items(u, item)?,
        Kind::Map { key, value: entry } => {
            let mut entries = Vec::new();
            while entries.len() < 8 && !u.is_empty() && u.ratio(2, 3)? {
                entries.push((value(u, key)?, value(u, entry)?));
            }
            Value::Map(entries)
        }
        Kind::Object(rules) => Value::Object(properties(u, rules)?),
    })
}

fn properties(u: &mut Unstructured<'_>, rules: &[Rule]) -> Result<Vec<(String, Value)>> {
    let mut properties = Vec::new();
    for rule in rules {
        if !rule.optional || u.arbitrary()? {
            properties.push((rule.name.clone(), value(u, &rule.kind)?));
        }
    }
    Ok(properties)
}

/// A recipe, an object of it, and changes of its text.
#[derive(Debug)]
pub(crate) struct Written {
    recipes: Option<Recipes>,
    object: Object,
    edits: Vec<Edit>,
}

impl<'a> Arbitrary<'a> for Written {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let rules = rules(u, 3)?;
        let object = Object {
            properties: properties(u, &rules)?,
            ..Object::new("Any")
        };
        let mut recipes = Recipes::none();
        let registered = recipes.register(Recipe::new("Any", rules));
        Ok(Self {
            recipes: registered.is_ok().then_some(recipes),
            object,
            edits: u.arbitrary()?,
        })
    }
}

/// What is written is read as itself, and so is whatever can be read of it after a change.
pub(crate) fn objects(
    Written {
        recipes,
        object,
        edits,
    }: Written,
) {
    let Some(recipes) = recipes else { return };
    let Ok(text) = recipes.write(&object) else {
        return;
    };
    let read = one_text(&recipes, &text).expect("what is written is read");
    assert_eq!(recipes.write(&read).as_deref(), Ok(text.as_str()));
    let mut changed = text;
    for edit in edits.iter().take(4) {
        edit.apply(&mut changed);
        one_text(&recipes, &changed);
    }
}
