//! Objects at the bounds of their recipes, and what faults say (spec 12).

use std::collections::BTreeSet;

use chumwire::limits;
use chumwire::objects::{
    Kind, Object, ReadLimits, Recipe, RecipeFault, Recipes, ReferencesFault, Rule, TextRule, Value,
    references, type_of,
};
use serde_json::json;

/// A registry with the one type `T`, which has the one property `v`.
fn one(kind: Kind) -> Recipes {
    let mut recipes = Recipes::none();
    let recipe = Recipe::new("T", vec![Rule::new("v", kind)]);
    assert_eq!(recipes.register(recipe), Ok(()));
    recipes
}

fn written(kind: Kind, value: impl Into<Value>) -> Result<String, String> {
    let written = one(kind).write(&Object::new("T").with("v", value));
    written.map_err(|fault| fault.to_string())
}

#[test]
fn no_recipes_are_none() {
    assert_eq!(Recipes::none().iter().count(), 0);
    assert!(Recipes::default().get("Person").is_some());
}

#[test]
fn what_is_due_is_said_in_words_that_differ() {
    let text = || Kind::TEXT;
    let no_text = [
        TextRule::Any,
        TextRule::Exactly("one".into()),
        TextRule::Key,
        TextRule::HexPairs,
        TextRule::HashOrUndefined,
    ];
    let others = [
        Kind::Integer,
        Kind::Number,
        Kind::Boolean,
        Kind::Stringifiable,
        Kind::object(&[]),
        Kind::id(&[]),
        Kind::CLOB,
        Kind::BLOB,
        text().array(),
        Kind::Bag(text().into()),
        text().set(),
        text().map_to(text()),
        Kind::Object(vec![]),
    ];
    let (rules, kinds) = (no_text.len(), others.len());
    let said = no_text
        .map(|rule| written(Kind::String(rule), 1))
        .into_iter();
    let said = said.chain(others.map(|kind| written(kind, "text")));
    let said: BTreeSet<String> = said.map(|said| said.expect_err("it is none")).collect();
    assert_eq!(said.len(), rules + kinds, "{said:#?}");
    let bare = written(Kind::Integer, "text")
        .unwrap_err()
        .replace("an integer", "");
    assert!(
        said.iter().all(|said| said.len() > bare.len() + 3),
        "{said:#?}"
    );
}

#[test]
fn what_is_wrong_with_json_is_said_in_words_that_differ() {
    let recipes = one(Kind::Stringifiable);
    let said = |json: &str, items| {
        let limits = ReadLimits {
            items,
            ..ReadLimits::default()
        };
        let text = format!(
            "<div itemscope itemtype=\"//refin.io/T\"><span itemprop=\"v\">{json}</span></div>"
        );
        let fault = recipes.read(&text, &limits).unwrap_err();
        (fault.code(), fault.to_string())
    };
    let many = format!("[{}1]", "1,".repeat(9));
    assert_eq!(said(&many, 9).0, "too_many_items");
    let deep = "[".repeat(limits::OBJECT_DEPTH + 1);
    let faults = ["[", "{\"a\\\\b\":1}", "[1, 2]", &deep].map(|json| said(json, 99).1);
    let different: BTreeSet<&String> = faults.iter().collect();
    assert_eq!(different.len(), faults.len(), "{faults:#?}");
    let named = faults.iter().filter(|fault| fault.contains("JSON"));
    assert_eq!(
        named.count(),
        faults.len() - 1,
        "all but the depth: {faults:#?}"
    );
    // What is written has rules, too.
    let refused = [
        (json!({ "\"": 1 }), "names"),
        (json!(9_007_199_254_740_993_u64), "numbers"),
    ];
    for (json, word) in refused {
        let said = written(Kind::Stringifiable, json).expect_err(word);
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn rules_of_texts() {
    let hash = "0123456789abcdef".repeat(4);
    let admits = |text: &str| written(Kind::String(TextRule::HashOrUndefined), text).is_ok();
    assert!(admits("undefined") && admits(&hash));
    for text in [
        "",
        "undefine",
        &hash[1..],
        &hash.replace('f', "F"),
        &hash.replace('f', "g"),
    ] {
        assert!(!admits(text), "{text}");
    }
}

/// Values of maps nest, as everything does.
#[test]
fn recipes_nest_in_the_values_of_maps() {
    let deep = |n| (0..n).fold(Kind::TEXT, |kind, _| Kind::TEXT.map_to(kind));
    let mut recipes = Recipes::none();
    let recipe = |n| Recipe::new("T", vec![Rule::new("m", deep(n))]);
    let too_deep = recipes.register(recipe(limits::OBJECT_DEPTH + 1));
    assert_eq!(too_deep, Err(RecipeFault::TooDeep));
    assert_eq!(recipes.register(recipe(limits::OBJECT_DEPTH)), Ok(()));
}

#[test]
fn a_name_may_be_as_long_as_the_limit() {
    for (length, is_name) in [(limits::NAME, true), (limits::NAME + 1, false)] {
        let name = "n".repeat(length);
        let text = format!("<div itemscope itemtype=\"//refin.io/{name}\"></div>");
        assert_eq!(type_of(&text), is_name.then_some((name.as_str(), false)));
        let recipe = Recipe::new(&name, vec![]);
        assert_eq!(Recipes::none().register(recipe).is_ok(), is_name);
    }
}

#[test]
fn faults_of_references_have_names() {
    let malformed = references("<a>", 9).unwrap_err();
    assert_eq!(malformed.code(), "malformed_reference");
    assert_eq!(
        ReferencesFault::TooMany { limit: 1 }.code(),
        "too_many_references"
    );
}
