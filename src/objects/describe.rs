//! The `Recipe` object that describes a recipe, as instances refer to it (spec 12, "Recipes").

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Value as Json, json};

use super::ids::RefKind;
use super::order::by_utf16;
use super::recipe::{Kind, Recipe, Rule, Targets, TextRule};
use super::value::{Object, Value};

impl Recipe {
    /// The object of the type `Recipe` that describes it, without a `crdtConfig`: a recipe here has none.
    #[must_use]
    pub fn object(&self) -> Object {
        let rules = self.rules.iter().map(described).map(Value::Object);
        Object::new("Recipe")
            .with("name", self.name.as_str())
            .with("rule", Value::list(rules))
    }
}

/// A rule at top level: a nested object.
fn described(rule: &Rule) -> Vec<(String, Value)> {
    let mut members = Vec::new();
    members.push(("itemprop".into(), rule.name.as_str().into()));
    for (name, holds) in [("optional", rule.optional), ("isId", rule.id)] {
        if holds {
            members.push((name.into(), true.into()));
        }
    }
    if let Some(kind) = said(&rule.kind) {
        members.push(("itemtype".into(), kind.into()));
    }
    members
}

/// A rule of a nested object: a part of the JSON.
fn nested(rule: &Rule) -> Json {
    let mut members = json!({ "itemprop": rule.name });
    if let Some(members) = members.as_object_mut() {
        for (name, holds) in [("optional", rule.optional), ("isId", rule.id)] {
            if holds {
                members.insert(name.into(), true.into());
            }
        }
        if let Some(kind) = said(&rule.kind) {
            members.insert("itemtype".into(), kind);
        }
    }
    members
}

/// The kind of a property, if its rule says it.
fn said(kind: &Kind) -> Option<Json> {
    (*kind != Kind::TEXT_UNSAID).then(|| json(kind))
}

fn json(kind: &Kind) -> Json {
    match kind {
        Kind::String(rule) => match pattern(rule) {
            Some(pattern) => json!({ "type": "string", "regexp": pattern }),
            None => json!({ "type": "string" }),
        },
        Kind::Integer => json!({ "type": "integer" }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Stringifiable => json!({ "type": "stringifiable" }),
        Kind::Reference { kind, targets } => match kind {
            RefKind::Object => json!({ "type": "referenceToObj", "allowedTypes": types(targets) }),
            RefKind::Id => json!({ "type": "referenceToId", "allowedTypes": types(targets) }),
            RefKind::Clob => json!({ "type": "referenceToClob" }),
            RefKind::Blob => json!({ "type": "referenceToBlob" }),
        },
        Kind::Array(item) => json!({ "type": "array", "item": json(item) }),
        Kind::Bag(item) => json!({ "type": "bag", "item": json(item) }),
        Kind::Set(item) => json!({ "type": "set", "item": json(item) }),
        Kind::Map { key, value } => {
            json!({ "type": "map", "key": json(key), "value": json(value) })
        }
        Kind::Object(rules) => {
            let rules: Vec<Json> = rules.iter().map(nested).collect();
            json!({ "type": "object", "rules": rules })
        }
    }
}

/// A set of names, sorted as sets are.
fn types(targets: &Targets) -> Vec<&str> {
    match targets {
        Targets::Any => Vec::from(["*"]),
        Targets::Of(names) => {
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.sort_by(|a, b| by_utf16(a, b));
            names
        }
    }
}

/// The regular expression that says the same.
fn pattern(rule: &TextRule) -> Option<String> {
    match rule {
        TextRule::Any | TextRule::Unsaid => None,
        TextRule::Exactly(text) => Some(format!("^{text}$")),
        TextRule::Key => Some("^[A-Za-z0-9+/]{64}$".into()),
        TextRule::HexPairs => Some("^([0-9a-fA-F]{2})*$".into()),
        TextRule::HashOrUndefined => Some("^(undefined|[0-9a-f]{64})$".into()),
    }
}
