//! Recorded objects, with the recorders' notation for what JSON lacks, as objects of the library.

use chumwire::objects::{FileHash, Kind, Object, Recipes, Rule, Value};
use serde_json::{Map, Value as Json, json};

/// A recorded object. Properties that the recipe lacks are taken as texts.
pub(crate) fn object(recipes: &Recipes, recorded: &Json) -> Object {
    let members = recorded.as_object().expect("an object");
    let type_name = members["$type$"].as_str().expect("a type");
    let recipe = recipes.get(type_name).expect("a recipe");
    Object {
        type_name: type_name.into(),
        id_only: false,
        properties: properties(&recipe.rules, members),
    }
}

fn properties(rules: &[Rule], members: &Map<String, Json>) -> Vec<(String, Value)> {
    let there =
        |(name, value): &(&String, &Json)| *name != "$type$" && value.get("$undefined").is_none();
    let converted = |(name, json): (&String, &Json)| {
        let rule = rules.iter().find(|rule| rule.name == *name);
        let kind = rule.map_or(&Kind::TEXT, |rule| &rule.kind);
        (name.clone(), value(kind, json))
    };
    members.iter().filter(there).map(converted).collect()
}

fn value(kind: &Kind, recorded: &Json) -> Value {
    let items = |json: &Json| json.as_array().expect("a list").clone();
    match kind {
        Kind::String(_) => recorded.as_str().expect("a text").into(),
        Kind::Integer | Kind::Number => recorded.as_f64().expect("a number").into(),
        Kind::Boolean => recorded.as_bool().expect("a boolean").into(),
        Kind::Stringifiable => plain(recorded).into(),
        Kind::Reference { kind, .. } => {
            let digits = recorded.as_str().expect("a hash");
            kind.to(FileHash::parse_strict(digits).expect("64 digits").0)
                .into()
        }
        Kind::Array(kind) | Kind::Bag(kind) => {
            Value::List(items(recorded).iter().map(|i| value(kind, i)).collect())
        }
        Kind::Set(kind) => {
            let items = items(&recorded["$set"]);
            Value::List(items.iter().map(|i| value(kind, i)).collect())
        }
        Kind::Map { key, value: kind } => {
            let entry = |entry: &Json| (value(key, &entry[0]), value(kind, &entry[1]));
            Value::Map(items(&recorded["$map"]).iter().map(entry).collect())
        }
        Kind::Object(rules) => Value::Object(properties(rules, recorded.as_object().expect("one"))),
    }
}

/// A stringifiable as JSON: sets and maps sorted, regular expressions as their source.
fn plain(recorded: &Json) -> Json {
    let sorted = |items: &Json| {
        let mut items: Vec<Json> = items
            .as_array()
            .expect("a list")
            .iter()
            .map(plain)
            .collect();
        items.sort_by_key(ToString::to_string);
        Json::Array(items)
    };
    match recorded {
        Json::Array(items) => items.iter().map(plain).collect(),
        Json::Object(members) => {
            if let Some(items) = members.get("$set").or_else(|| members.get("$map")) {
                return sorted(items);
            }
            if let Some(source) = members.get("$regexp") {
                return source.clone();
            }
            let member = |(name, value): (&String, &Json)| (name.clone(), plain(value));
            Json::Object(members.iter().map(member).collect())
        }
        other => json!(other),
    }
}
