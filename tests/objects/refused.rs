//! What the writer, the reader and the registry refuse, each by the name of its fault.

use chumwire::limits;
use chumwire::objects::{
    IdHash, Kind, Object, ObjectHash, ReadLimits, Recipe, RecipeFault, Recipes, Reference,
    ReferencesFault, Rule, Value, references, type_of,
};
use serde_json::json;

use crate::types::recipes;

fn written(object: &Object) -> Result<String, &'static str> {
    recipes().write(object).map_err(|fault| fault.code())
}

fn read(text: &str) -> Result<Object, &'static str> {
    let read = recipes().read(text, &ReadLimits::default());
    read.map_err(|fault| fault.code())
}

const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn list_of(list: &str, items: Vec<Value>) -> Object {
    let mut object = Object::new("T3").with("m", Value::Map(vec![]));
    for name in ["a", "g", "s"] {
        let items = if name == list { items.clone() } else { vec![] };
        object = object.with(name, items);
    }
    object
}

#[test]
fn a_writer_refuses() {
    let person = || Object::new("Person").with("email", "e");
    assert_eq!(written(&Object::new("Nobody")), Err("unknown_type"));
    assert_eq!(written(&Object::new("Person")), Err("missing_property"));
    let null = || Value::from(json!(null));
    assert_eq!(
        written(&Object::new("Person").with("email", null())),
        Err("missing_property")
    );
    let nameless = person().with("name", null());
    assert_eq!(written(&nameless), written(&person()), "null is missing");
    assert_eq!(
        written(&person().with("foo", 1)),
        Err("unexpected_property")
    );
    assert_eq!(
        written(&person().with("email", "e")),
        Err("doubled_property")
    );
    assert_eq!(written(&person().with("name", 1)), Err("wrong_value"));
    assert_eq!(written(&Object::new_id("SignKey")), Err("not_versioned"));
    let id = Object::new_id("Person").with("email", "e");
    assert!(written(&id).is_ok());
    assert_eq!(written(&id.with("name", "n")), Err("unexpected_property"));
    // A reference of the other kind.
    let group = Object::new("Group").with("name", "n");
    let wrong = group.clone().with("person", vec![ObjectHash([0; 32])]);
    assert_eq!(written(&wrong), Err("wrong_value"));
    let right = group.with("person", vec![IdHash([0; 32])]);
    assert!(written(&right).is_ok());
    // Rules of texts.
    let key = |key: &str| written(&Object::new("SignKey").with("key", key)).map(drop);
    assert_eq!(key(ZERO), Ok(()));
    assert_eq!(key(&"+/Zz".repeat(16)), Ok(()));
    assert_eq!(key(&"0".repeat(63)), Err("wrong_value"));
    assert_eq!(key(&"-".repeat(64)), Err("wrong_value"));
    assert_eq!(key(&"é".repeat(32)), Err("wrong_value"));
    let signature = |digits: &str| {
        let object = Object::new("Signature")
            .with("issuer", IdHash([0; 32]))
            .with("data", ObjectHash([0; 32]))
            .with("signature", digits);
        written(&object).map(drop)
    };
    assert_eq!(signature(""), Ok(()));
    assert_eq!(signature("00fFAb"), Ok(()));
    assert_eq!(signature("00f"), Err("wrong_value"));
    assert_eq!(signature("0g"), Err("wrong_value"));
    let registry = |id: &str| {
        let object = Object::new("ChannelRegistry").with("channels", Value::List(vec![]));
        written(&object.with("id", id)).map(drop)
    };
    assert_eq!(registry("ChannelRegistry"), Ok(()));
    assert_eq!(registry("ChannelRegistry "), Err("wrong_value"));
    // Collections and numbers.
    let twice = || vec![Value::from("x"), Value::from("x")];
    assert_eq!(written(&list_of("s", twice())), Err("doubled_item"));
    assert!(written(&list_of("a", twice())).is_ok());
    for number in [0.5, f64::NAN, f64::INFINITY] {
        assert_eq!(
            written(&list_of("g", vec![number.into()])),
            Err("wrong_value")
        );
    }
    let mut keys = list_of("", vec![]);
    keys.properties.retain(|(name, _)| name != "m");
    let keys = keys.with("m", Value::map([("k", 1), ("k", 2)]));
    assert_eq!(written(&keys), Err("doubled_key"));
    // JSON.
    let t5 = |json: serde_json::Value| {
        Object::new("T5")
            .with("j", json)
            .with("o", Value::List(vec![]))
    };
    assert!(written(&t5(json!({"ok": 1}))).is_ok());
    for name in ["\"", "\\", "\n"] {
        assert_eq!(written(&t5(json!({ name: 1 }))), Err("wrong_value"));
    }
    let deep = (0..=limits::OBJECT_DEPTH).fold(json!(1), |value, _| json!([value]));
    assert_eq!(written(&t5(deep)), Err("wrong_value"));
}

/// Null at top level counts as missing; in a nested object it is a value, unless the property is mandatory.
#[test]
fn null_is_missing_at_top_level() {
    let nested = |due: serde_json::Value| {
        let item = vec![
            ("due".to_owned(), Value::from(due)),
            ("opt".to_owned(), Value::from(json!(null))),
        ];
        Object::new("T5").with("o", vec![Value::Object(item)])
    };
    let text = written(&nested(json!(1))).expect("an optional null in a nested object");
    assert!(text.contains("<span itemprop=\"opt\">null</span>"));
    assert_eq!(read(&text), Ok(nested(json!(1))));
    assert_eq!(written(&nested(json!(null))), Err("missing_property"));
    let text = text.replace("<span itemprop=\"due\">1", "<span itemprop=\"due\">null");
    assert_eq!(read(&text), Err("missing_property"));
    let top = "<div itemscope itemtype=\"//refin.io/T5\"><span itemprop=\"j\">1</span>\
               <ol itemprop=\"o\"></ol></div>";
    assert!(read(top).is_ok());
    assert_eq!(read(&top.replace(">1<", ">null<")), Err("not_canonical"));
}

fn person(contents: &str) -> String {
    format!("<div itemscope itemtype=\"//refin.io/Person\">{contents}</div>")
}

#[test]
fn a_reader_refuses() {
    let (email, name) = (
        "<span itemprop=\"email\">e</span>",
        "<span itemprop=\"name\">n</span>",
    );
    assert!(read(&person(&format!("{email}{name}"))).is_ok());
    let id = person(email).replace("<div items", "<div data-id-object=\"true\" items");
    assert!(read(&id).is_ok_and(|object| object.id_only));
    for (text, code) in [
        (String::new(), "no_object"),
        (format!(" {}", person(email)), "no_object"),
        (
            person(email).replace("//refin.io", "//refin.iO"),
            "no_object",
        ),
        (person(email).replace("Person", "Per son"), "no_object"),
        (person(email).replace("Person", ""), "no_object"),
        (
            person(email).replace("Person", &"P".repeat(2000)),
            "no_object",
        ),
        (person(email).replace("Person", "Persons"), "unknown_type"),
        (id.replace("Person", "SignKey"), "not_versioned"),
        (
            id.replace("</div>", &format!("{name}</div>")),
            "unexpected_property",
        ),
        (person(""), "missing_property"),
        (person(name), "missing_property"),
        (person(&format!("{name}{email}")), "missing_property"),
        (person(&format!("{email}{email}")), "unexpected_property"),
        (
            person(&format!("{email}<span itemprop=\"x\">n</span>")),
            "unexpected_property",
        ),
        (person(&format!("{email} {name}")), "unexpected_property"),
        (person(email).replace("</div>", ""), "unexpected_property"),
        (format!("{}\n", person(email)), "trailing_bytes"),
        (person(email).repeat(2), "trailing_bytes"),
        (person("<span itemprop=\"email\">e</spam>"), "wrong_value"),
        (person("<span itemprop=\"email\">e"), "wrong_value"),
        (person("<span itemprop=\"email\">a<b</span>"), "wrong_value"),
        (
            person("<span itemprop='email'>e</span>"),
            "missing_property",
        ),
        (
            person("<span itemprop=\"email\">a>b</span>"),
            "not_canonical",
        ),
        (
            person("<span itemprop=\"email\">a&b</span>"),
            "not_canonical",
        ),
        (
            person("<span itemprop=\"email\">&quot;</span>"),
            "not_canonical",
        ),
        (
            person("<span itemprop=\"email\">&#38;</span>"),
            "not_canonical",
        ),
    ] {
        assert_eq!(read(&text).map(drop), Err(code), "{text}");
    }
    let keys = |owner: &str| {
        format!(
            "<div itemscope itemtype=\"//refin.io/Keys\"><a itemprop=\"owner\" data-type=\"id\">\
             {owner}</a><span itemprop=\"publicKey\">{ZERO}</span><span \
             itemprop=\"publicSignKey\">{ZERO}</span></div>"
        )
    };
    assert!(read(&keys(ZERO)).is_ok());
    let upper = ZERO.replace("000", "00F");
    let long = format!("{ZERO}0");
    for owner in [
        "abc",
        upper.as_str(),
        &"é".repeat(40),
        &ZERO.replace('0', "x"),
        &long,
    ] {
        assert_eq!(read(&keys(owner)), Err("wrong_value"));
    }
    let other = keys(ZERO).replace("\"id\"", "\"obj\"");
    assert_eq!(read(&other), Err("missing_property"));
    let short = keys(ZERO).replace(&format!("Key\">{ZERO}"), "Key\">0");
    assert_eq!(read(&short), Err("wrong_value"));
}

#[test]
fn a_reader_refuses_collections() {
    let t3 = |g: &str, s: &str, m: &str| {
        format!(
            "<div itemscope itemtype=\"//refin.io/T3\"><ol itemprop=\"a\"><li>x</li></ol><ul \
             itemprop=\"g\">{g}</ul><ul itemprop=\"s\">{s}</ul><dl itemprop=\"m\">{m}</dl></div>"
        )
    };
    let (one, two) = ("<li>1</li>", "<li>2</li>");
    let (k, l) = ("<dt>k</dt><dd>1</dd>", "<dt>j</dt><dd>1</dd>");
    assert!(
        read(&t3(
            &[one, one, two].concat(),
            &[one, two].concat(),
            &[k, l].concat()
        ))
        .is_ok()
    );
    for (text, code) in [
        (t3(&[two, one].concat(), "", ""), "not_canonical"),
        (t3("", &[two, one].concat(), ""), "not_canonical"),
        (t3("", &[one, one].concat(), ""), "doubled_item"),
        (t3("", "", &[k, l, k].concat()), "doubled_key"),
        (t3("", "", "<dt>k</dt>"), "wrong_value"),
        (t3("", "", "<dt>k</dt> <dd>1</dd>"), "wrong_value"),
        (t3("<lo>1</lo>", "", ""), "wrong_value"),
        (t3("<li>1", "", ""), "wrong_value"),
        (t3("<li> 5 </li>", "", ""), "wrong_value"),
        (t3("<li>0x10</li>", "", ""), "wrong_value"),
        (t3("<li>1.5</li>", "", ""), "wrong_value"),
        (t3("<li>null</li>", "", ""), "wrong_value"),
        (t3("<li>1.0</li>", "", ""), "not_canonical"),
        (t3("<li>-0</li>", "", ""), "not_canonical"),
        (t3("<li>1e3</li>", "", ""), "not_canonical"),
    ] {
        assert_eq!(read(&text).map(drop), Err(code), "{text}");
    }
    // By UTF-16 a surrogate pair comes before U+E000; by bytes it comes behind it.
    let (pair, private) = ("<li>😀</li>", "<li>\u{e000}</li>");
    assert!(read(&t3("", &[pair, private].concat(), "")).is_ok());
    let by_bytes = t3("", &[private, pair].concat(), "");
    assert_eq!(read(&by_bytes), Err("not_canonical"));
    let memory = list_of("s", vec!["\u{e000}".into(), "😀".into()]);
    assert!(written(&memory).is_ok_and(|text| text.contains(&[pair, private].concat())));
    let t1 = |b: &str, j: &str| {
        format!(
            "<div itemscope itemtype=\"//refin.io/T1\"><span itemprop=\"s\"></span><span \
             itemprop=\"i\">1</span><span itemprop=\"n\">0.5</span><span \
             itemprop=\"b\">{b}</span><span itemprop=\"j\">{j}</span></div>"
        )
    };
    assert!(read(&t1("true", "[1]")).is_ok());
    for (text, code) in [
        (t1("True", "1"), "wrong_value"),
        (t1("", "1"), "wrong_value"),
        (t1("truefalse", "1"), "wrong_value"),
        (t1("true", "[1, 2]"), "not_canonical"),
        (t1("true", "{\"b\":1,\"a\":1}"), "not_canonical"),
        (t1("true", "{\"a\":1,\"a\":1}"), "not_canonical"),
        (t1("true", "\">\""), "not_canonical"),
        (t1("true", "undefined"), "wrong_value"),
        (t1("true", "null"), "missing_property"),
        (t1("true", &"[".repeat(17)), "too_deep"),
    ] {
        assert_eq!(read(&text).map(drop), Err(code), "{text}");
    }
}

/// Demands: M7.2.
#[test]
fn limits_hold() {
    let recipes = recipes();
    let items: Vec<Value> = (0..9).map(Value::from).collect();
    let text = recipes.write(&list_of("g", items)).expect("nine numbers");
    let code = |limits: ReadLimits| {
        let read = recipes.read(&text, &limits);
        read.map(drop).map_err(|fault| fault.code())
    };
    let all = ReadLimits {
        bytes: text.len(),
        depth: 1,
        items: 9,
    };
    assert_eq!(code(all), Ok(()));
    let bytes = text.len() - 1;
    assert_eq!(code(ReadLimits { bytes, ..all }), Err("too_long"));
    assert_eq!(code(ReadLimits { depth: 0, ..all }), Err("too_deep"));
    assert_eq!(code(ReadLimits { items: 8, ..all }), Err("too_many_items"));
    let default = ReadLimits::default();
    assert_eq!(
        (default.bytes, default.depth, default.items),
        (1 << 20, 16, 1 << 18)
    );
}

/// Demands: M0.2.
#[test]
fn faults_repeat_nothing_of_the_object() {
    let secret = "c0ffee";
    for text in [
        person(&format!(
            "<span itemprop=\"email\">{secret}>{secret}</span>"
        )),
        person(&format!("<span itemprop=\"{secret}\">e</span>")),
        person(secret),
        person("").replace("Person", secret),
        person("<span itemprop=\"email\">e</span>") + secret,
    ] {
        let fault = recipes()
            .read(&text, &ReadLimits::default())
            .expect_err(&text);
        assert!(!format!("{fault} {fault:?}").contains(secret), "{fault}");
    }
    let text = person("<span itemprop=\"email\">a>b</span>");
    let fault = recipes().read(&text, &ReadLimits::default());
    assert_eq!(
        fault.expect_err("a bare >").to_string(),
        "not as it would be written: &, < and > escaped, and nothing else, is due in `email` at byte 67"
    );
}

#[test]
fn a_registry_refuses() {
    let mut recipes = Recipes::none();
    let one = |name: &str, rules: Vec<Rule>| Recipe::new(name, rules);
    let text = |name: &str| Rule::new(name, Kind::TEXT);
    for name in [
        "",
        "a b",
        "a<",
        "a>",
        "a.b",
        "a\"",
        "a\n",
        "a\u{a0}",
        &"n".repeat(1025),
    ] {
        assert_eq!(recipes.register(one(name, vec![])), Err(RecipeFault::Name));
        let inner = vec![Rule::new("o", Kind::Object(vec![text(name)]).array())];
        assert_eq!(recipes.register(one("T", inner)), Err(RecipeFault::Name));
    }
    let twice = vec![text("a"), text("b"), text("a")];
    let doubled = Err(RecipeFault::Doubled("a".into()));
    assert_eq!(recipes.register(one("T", twice.clone())), doubled);
    let nested = vec![Rule::new("o", Kind::Object(twice))];
    assert_eq!(recipes.register(one("T", nested)), doubled);
    let deep = |n| (0..n).fold(Kind::TEXT, |kind, _| kind.array());
    let fits = one("Deep", vec![Rule::new("d", deep(limits::OBJECT_DEPTH))]);
    assert_eq!(recipes.register(fits), Ok(()));
    let too_deep = vec![Rule::new("d", deep(limits::OBJECT_DEPTH + 1))];
    assert_eq!(
        recipes.register(one("T", too_deep)),
        Err(RecipeFault::TooDeep)
    );
    let key = vec![Rule::new("m", Kind::TEXT.set().map_to(Kind::TEXT))];
    assert_eq!(recipes.register(one("T", key)), Err(RecipeFault::Key));
    assert!(recipes.get("T").is_none());

    let before = recipes.clone();
    assert_eq!(recipes.register(one("T", vec![text("a").id()])), Ok(()));
    assert_eq!(recipes.register(one("T", vec![text("a").id()])), Ok(()));
    let taken = Err(RecipeFault::Taken("T".into()));
    assert_eq!(recipes.register(one("T", vec![text("a")])), taken);
    assert!(recipes.is_versioned("T") && !recipes.is_versioned("Deep"));
    assert!(before.get("T").is_none(), "a clone is not changed");
    // All known ones would be registered.
    for recipe in Recipes::known().iter() {
        assert_eq!(recipes.register((**recipe).clone()), Ok(()));
    }
}

#[test]
fn references_are_listed_without_a_recipe() {
    let (zero, one) = (ZERO, ZERO.replace('0', "1"));
    let text = format!(
        "<div itemscope itemtype=\"//refin.io/Unheard\"><ol itemprop=\"l\"><li><a \
         data-type=\"obj\">{one}</a></li><li><a data-type=\"id\">{zero}</a></li><li><a \
         data-type=\"obj\">{one}</a></li></ol><a itemprop=\"r\" data-type=\"obj\">{zero}</a></div>"
    );
    let found = vec![
        Reference::Object(ObjectHash([0x11; 32])),
        Reference::Id(IdHash([0; 32])),
        Reference::Object(ObjectHash([0; 32])),
    ];
    assert_eq!(references(&text, 3), Ok(found));
    assert_eq!(
        references(&text, 2),
        Err(ReferencesFault::TooMany { limit: 2 })
    );
    assert_eq!(type_of(&text), Some(("Unheard", false)));
    assert_eq!(references("", 0), Ok(vec![]));
    let at = text.find("<a ").expect("a reference");
    for (from, to) in [
        ("<a data-type=\"obj\">1", "<a data-type=\"obj\">g"),
        ("<a data-type=\"obj\">1", "<a data-type=\"obj\">"),
        ("<a data-type=\"obj\">", "<a data-type=\"clop\">"),
        ("<a data-type=\"obj\">", "<a>"),
        ("<a data-type=\"obj\">", "<a\tdata-type=\"obj\">"),
        (
            "<a data-type=\"obj\">",
            "<a itemprop=\"x y\" data-type=\"obj\">",
        ),
        ("1</a>", "1</b>"),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_eq!(
            references(&bad, 9),
            Err(ReferencesFault::Malformed { at }),
            "{bad}"
        );
    }
}
