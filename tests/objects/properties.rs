//! Properties of objects of any recipe: what is written is read back, and a text that is read is the one text.

use chumwire::objects::{
    FileHash, Kind, Object, ReadLimits, Recipe, Recipes, Rule, TextRule, Value, references,
};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value as Json, json};

use crate::recorded::collect;

/// A recipe and an object of it.
#[derive(Clone, Debug)]
struct Case {
    recipes: Recipes,
    object: Object,
}

fn simple() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::TEXT),
        Just(Kind::String(TextRule::HexPairs)),
        Just(Kind::Integer),
        Just(Kind::Number),
        Just(Kind::Boolean),
        Just(Kind::Stringifiable),
        Just(Kind::BLOB),
        Just(Kind::CLOB),
        Just(Kind::object(&[])),
        Just(Kind::id(&["Person"])),
    ]
}

fn rules(kind: impl Strategy<Value = Kind> + Clone) -> impl Strategy<Value = Vec<Rule>> {
    let names = prop::sample::subsequence(vec!["a", "b", "c", "id", "Ünï&"], 1..4);
    let kinds = prop::collection::vec((kind, any::<bool>(), any::<bool>()), 4);
    (names.prop_shuffle(), kinds).prop_map(|(names, kinds)| {
        let rule = |(name, (kind, optional, id)): (&str, (Kind, bool, bool))| Rule {
            name: name.into(),
            kind,
            optional,
            id,
        };
        names.into_iter().zip(kinds).map(rule).collect()
    })
}

fn kind() -> BoxedStrategy<Kind> {
    simple()
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(Kind::array),
                inner.clone().prop_map(Kind::bag),
                inner.clone().prop_map(Kind::set),
                (simple(), inner.clone()).prop_map(|(key, value)| key.map_to(value)),
                rules(inner).prop_map(Kind::Object),
            ]
        })
        .boxed()
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "&", "<", ">", "&amp;", "\"", "a", "B", "9", "10", "\n", "é", "😀", "\u{e000}", "</div>",
    ]);
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i32>().prop_map(f64::from),
        (-30..30_i32).prop_map(|e| 10_f64.powi(e)),
        prop::num::f64::NORMAL,
        prop::num::f64::SUBNORMAL,
        Just(0.0),
    ]
}

fn json_value() -> impl Strategy<Value = Json> {
    let name = prop::sample::select(vec!["10", "9", "B", "a", "é", "😀", "\u{e000}", "<&>"]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        // As the reader has them: what is integral is an integer.
        number().prop_filter_map("an integer", |n| (n % 1.0 != 0.0).then(|| n.into())),
        text().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map(name.clone(), inner, 0..3).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

/// The text of a value, as an item, for telling and sorting items.
fn rendered(kind: &Kind, value: &Value) -> Option<Vec<u16>> {
    let mut recipes = Recipes::none();
    let item = kind.clone().array();
    recipes
        .register(Recipe::new("R", [Rule::new("r", item)]))
        .expect("a good recipe");
    let object = Object::new("R").with("r", vec![value.clone()]);
    let text = recipes.write(&object).ok()?;
    let item = text
        .split_once("<li>")?
        .1
        .strip_suffix("</li></ol></div>")?;
    Some(item.encode_utf16().collect())
}

fn value(kind: &Kind) -> BoxedStrategy<Value> {
    match kind.clone() {
        Kind::String(TextRule::HexPairs) => "([0-9a-fA-F]{2}){0,3}".prop_map(Value::from).boxed(),
        Kind::String(_) => text().prop_map(Value::from).boxed(),
        Kind::Integer => number().prop_map(|n| n.trunc().into()).boxed(),
        Kind::Number => number().prop_map(Value::from).boxed(),
        Kind::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Kind::Stringifiable => json_value().prop_map(Value::from).boxed(),
        Kind::Reference { kind, .. } => (0..3_u8)
            .prop_map(move |n| kind.to(FileHash::of(&[n]).0).into())
            .boxed(),
        Kind::Array(item) => prop::collection::vec(value(&item), 0..4)
            .prop_map(Value::List)
            .boxed(),
        // In the order of the text, so that what is read back is equal.
        Kind::Bag(item) => prop::collection::vec(value(&item), 0..4)
            .prop_map(move |mut items| {
                items.sort_by_key(|value| rendered(&item, value));
                Value::List(items)
            })
            .boxed(),
        Kind::Set(item) => prop::collection::vec(value(&item), 0..4)
            .prop_map(move |mut items| {
                items.sort_by_key(|value| rendered(&item, value));
                items.dedup_by_key(|value| rendered(&item, value));
                Value::List(items)
            })
            .boxed(),
        Kind::Map { key, value: entry } => {
            prop::collection::vec((value(&key), value(&entry)), 0..4)
                .prop_map(move |entries| {
                    let mut seen = Vec::new();
                    let new = |(name, _): &(Value, Value)| {
                        let name = rendered(&key, name);
                        let new = !seen.contains(&name);
                        seen.push(name);
                        new
                    };
                    Value::Map(entries.into_iter().filter(new).collect())
                })
                .boxed()
        }
        Kind::Object(rules) => properties(&rules, false).prop_map(Value::Object).boxed(),
    }
}

/// Values of all mandatory and of some optional properties, in rule order.
fn properties(rules: &[Rule], top: bool) -> BoxedStrategy<Vec<(String, Value)>> {
    let each: Vec<_> = rules
        .iter()
        .map(|rule| {
            let (name, optional) = (rule.name.clone(), rule.optional);
            (value(&rule.kind), any::<bool>()).prop_map(move |(value, there)| {
                let null = value == Value::from(json!(null));
                let value = match (null, top || !optional) {
                    (true, true) => json!(0).into(),
                    _ => value,
                };
                (there || !optional).then(|| (name.clone(), value))
            })
        })
        .collect();
    each.prop_map(|properties| properties.into_iter().flatten().collect())
        .boxed()
}

fn case() -> impl Strategy<Value = Case> {
    rules(kind()).prop_flat_map(|rules| {
        properties(&rules, true).prop_map(move |properties| {
            let mut recipes = Recipes::none();
            recipes
                .register(Recipe::new("Any", rules.clone()))
                .expect("a good recipe");
            let object = Object {
                properties,
                ..Object::new("Any")
            };
            Case { recipes, object }
        })
    })
}

/// One change of a text, at characters.
fn changed(text: &str, how: u8, at: Index, to: Index, piece: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let (at, to) = (at.index(characters.len()), to.index(characters.len()));
    match how {
        0 => characters[at] = piece.chars().next().unwrap_or('x'),
        1 => {
            characters.splice(at..at, piece.chars());
        }
        2 => {
            characters.drain(at.min(to)..=at.max(to));
        }
        3 => {
            characters.remove(at);
        }
        4 => characters.swap(at, to),
        _ => {
            // A part of it once more, elsewhere.
            let part = characters[at.min(to)..=at.max(to)].to_vec();
            characters.splice(at..at, part);
        }
    }
    characters.into_iter().collect()
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<",
        ">",
        "&",
        ";",
        "\"",
        " ",
        "\n",
        "0",
        "9",
        "-",
        ".",
        "e",
        "F",
        "x",
        "/",
        "<li>",
        "</li>",
        "<li></li>",
        "<li>1</li>",
        "&amp;",
        "&lt;",
        "<span itemprop=\"a\">",
        "</span>",
        "</div>",
        "true",
        "null",
        "[",
        "{",
        "\\",
        "\u{1}",
        "😀",
        "<a ",
    ])
}

/// Whatever is read is written as it was.
fn is_refused_or_itself(recipes: &Recipes, text: &str) {
    if let Ok(object) = recipes.read(text, &ReadLimits::default()) {
        assert_eq!(recipes.write(&object).as_deref(), Ok(text));
        let mut due = Vec::new();
        object
            .properties
            .iter()
            .for_each(|(_, value)| collect(value, &mut due));
        assert_eq!(references(text, usize::MAX), Ok(due));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_object_is_read_back(case in case()) {
        let text = case.recipes.write(&case.object).expect("a good object");
        let read = case.recipes.read(&text, &ReadLimits::default());
        prop_assert_eq!(read.as_ref(), Ok(&case.object), "{}", text);
        is_refused_or_itself(&case.recipes, &text);
        if case.recipes.is_versioned("Any") {
            let id_object = case.recipes.id_object(&case.object).expect("versioned");
            let text = case.recipes.write(&id_object).expect("a good id object");
            let read = case.recipes.read(&text, &ReadLimits::default());
            prop_assert_eq!(read, Ok(id_object), "{}", text);
        }
        let recipe = case.recipes.get("Any").expect("the recipe").object();
        let known = Recipes::known();
        let text = known.write(&recipe).expect("the recipe's object");
        prop_assert_eq!(known.read(&text, &ReadLimits::default()), Ok(recipe));
    }

    #[test]
    fn any_order_in_memory_is_one_text(case in case(), by in any::<usize>()) {
        let text = case.recipes.write(&case.object).expect("a good object");
        let mut object = case.object.clone();
        let many = object.properties.len().max(1);
        object.properties.rotate_left(by % many);
        let recipe = case.recipes.get("Any").expect("the recipe").clone();
        for (name, value) in &mut object.properties {
            let rule = recipe.rules.iter().find(|rule| rule.name == *name).expect("a rule");
            if let (Kind::Bag(_) | Kind::Set(_), Value::List(items)) = (&rule.kind, value) {
                items.reverse();
            }
        }
        prop_assert_eq!(case.recipes.write(&object), Ok(text));
    }

    /// Demands: M7.1.
    #[test]
    fn a_changed_text_is_refused_or_the_one_text_of_another(
        case in case(),
        changes in prop::collection::vec(
            (0..6_u8, any::<Index>(), any::<Index>(), piece()), 1..40,
        ),
    ) {
        let text = case.recipes.write(&case.object).expect("a good object");
        for (how, at, to, piece) in changes {
            is_refused_or_itself(&case.recipes, &changed(&text, how, at, to, piece));
        }
    }

    /// Demands: M7.3.
    #[test]
    fn any_text_is_read_or_refused(case in case(), text in any::<String>(), inner in any::<String>()) {
        is_refused_or_itself(&case.recipes, &text);
        let inside = format!("<div itemscope itemtype=\"//refin.io/Any\">{inner}</div>");
        is_refused_or_itself(&case.recipes, &inside);
        is_refused_or_itself(&Recipes::known(), &text);
        let _ = references(&text, 3);
        let _ = references(&format!("<a itemprop=\"{text}\" data-type=\"{inner}"), 3);
    }

    #[test]
    fn a_number_has_one_text(number in prop_oneof![any::<u64>().prop_map(f64::from_bits), number()]) {
        let mut recipes = Recipes::none();
        recipes.register(Recipe::new("N", [Rule::new("n", Kind::Number)])).expect("a good recipe");
        match recipes.write(&Object::new("N").with("n", number)) {
            Ok(text) => {
                let read = recipes.read(&text, &ReadLimits::default()).expect("its text");
                prop_assert_eq!(read.get("n").and_then(Value::as_number), Some(number));
                let digits = text.split(['>', '<']).nth(4).expect("a value");
                prop_assert_eq!(digits.parse::<f64>(), Ok(number));
            }
            Err(fault) => {
                prop_assert!(!number.is_finite());
                prop_assert_eq!(fault.code(), "wrong_value");
            }
        }
    }
}

/// The smallest changes to every known type's texts, one at each place.
///
/// Demands: M7.1.
#[test]
fn every_single_change_of_a_recorded_text_is_refused_or_another_text() {
    let recipes = crate::types::recipes();
    let file = crate::support::vectors::load("hashes");
    for case in crate::support::vectors::list(&file["cases"]) {
        let Some(text) = case["microdata"].as_str() else {
            continue;
        };
        for (at, character) in text.char_indices() {
            let (before, after) = (&text[..at], &text[at + character.len_utf8()..]);
            for piece in ["", "0", "<", "&", "A", " "] {
                is_refused_or_itself(&recipes, &format!("{before}{piece}{after}"));
            }
            is_refused_or_itself(&recipes, &format!("{before} {character}{after}"));
            is_refused_or_itself(&recipes, before);
        }
    }
}
