//! The lists that CHUM sends, and what it makes of two versions of one thing.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use chumwire::chum::{
    Cursor, Root, Side, VersionNode, list_digest, merge, read_children, read_roots, read_since,
    write_children, write_roots,
};
use chumwire::objects::{
    Kind, Object, ObjectHash, ReadLimits, Recipe, Recipes, RefKind, Rule, Value,
};
use chumwire::rpc::Data;
use chumwire::time::Millis;

/// How many entries are taken.
const MOST: usize = 64;

/// Lists of roots, of children, and of roots since something.
pub(crate) fn lists(text: &str) {
    if let Ok(entries) = read_roots(text, MOST) {
        assert!(entries.len() <= MOST);
        let good: Vec<Root> = entries.into_iter().flatten().collect();
        let again = read_roots(&write_roots(&good), MOST).expect("a list");
        let again: Vec<Root> = again
            .into_iter()
            .map(|root| root.expect("a root"))
            .collect();
        assert_eq!(again, good);
        let turned: Vec<Root> = good.iter().rev().cloned().collect();
        assert_eq!(
            list_digest(&good),
            list_digest(&turned),
            "in whatever order"
        );
    }
    if let Ok(children) = read_children(text, MOST) {
        assert!(children.len() <= MOST);
        assert_eq!(
            read_children(&write_children(&children), MOST),
            Ok(children)
        );
    }
    if let Ok(Some(since)) = read_since(text, MOST) {
        assert!(since.roots.len() <= MOST);
        assert_eq!(Cursor::of(&since.cursor.to_data()), Some(since.cursor));
    }
    if let Ok(value) = serde_json::from_str(text)
        && let Some(cursor) = Cursor::of(&Data::Other(value))
    {
        assert_eq!(Cursor::of(&cursor.to_data()), Some(cursor));
    }
}

/// One version of a thing.
#[derive(Arbitrary, Debug)]
pub(crate) struct Version {
    created: u8,
    title: Option<u8>,
    tags: Option<Vec<u8>>,
    order: Option<Vec<u8>>,
    marks: Option<Vec<(u8, u8)>>,
    inner: Option<(u8, Option<u8>)>,
}

impl Version {
    fn object(&self) -> Object {
        let text = |n: u8| char::from(b'a' + n % 4).to_string();
        let list = |items: &[u8]| {
            let mut items: Vec<String> = items.iter().take(5).map(|n| text(*n)).collect();
            items.sort_unstable();
            items.dedup();
            Value::list(items)
        };
        let mut object = Object::new("Doc").with("id", "d");
        if let Some(title) = self.title {
            object = object.with("title", text(title));
        }
        if let Some(tags) = &self.tags {
            object = object.with("tags", list(tags));
        }
        if let Some(order) = &self.order {
            let items = order.iter().take(4).map(|n| text(*n));
            object = object.with("order", Value::list(items));
        }
        if let Some(marks) = &self.marks {
            let mut entries: Vec<(String, f64)> = Vec::new();
            for (key, value) in marks.iter().take(4) {
                if entries.iter().all(|(known, _)| *known != text(*key)) {
                    entries.push((text(*key), f64::from(*value)));
                }
            }
            object = object.with("marks", Value::map(entries));
        }
        if let Some((must, may)) = self.inner {
            let mut inner = vec![("must".to_owned(), text(must).into())];
            inner.extend(may.map(|may| {
                let reference = RefKind::Object.to([may; 32]);
                ("may".to_owned(), Value::from(reference))
            }));
            object = object.with("inner", Value::Object(inner));
        }
        object
    }

    const fn created(&self) -> Millis {
        Millis(self.created as u64 % 4)
    }
}

static DOCS: LazyLock<Recipes> = LazyLock::new(|| {
    let inner = vec![
        Rule::new("must", Kind::TEXT),
        Rule::new("may", Kind::object(&[])).optional(),
    ];
    let rules = [
        Rule::new("id", Kind::TEXT).id(),
        Rule::new("title", Kind::TEXT).optional(),
        Rule::new("tags", Kind::TEXT.set()).optional(),
        Rule::new("order", Kind::TEXT.array()).optional(),
        Rule::new("marks", Kind::TEXT.map_to(Kind::Number)).optional(),
        Rule::new("inner", Kind::Object(inner)).optional(),
    ];
    let mut recipes = Recipes::known();
    recipes
        .register(Recipe::new("Doc", rules))
        .expect("a recipe");
    recipes
});

/// The order of merges makes no difference, and merging again changes nothing.
pub(crate) fn versions(versions: [Version; 3]) {
    let recipes = &*DOCS;
    // As a store has them: in the order of the text.
    let read = |object: &Object| -> Object {
        let text = recipes.write(object).expect("an object");
        let read = recipes.read(&text, &ReadLimits::default());
        read.expect("what is written is read")
    };
    let [a, b, c] = versions
        .each_ref()
        .map(|version| (read(&version.object()), version.created()));
    let join = |one: &(Object, Millis), other: &(Object, Millis)| -> (Object, Millis) {
        let side = |of: &'_ (Object, Millis)| of.1;
        let merged = merge(
            recipes,
            Side {
                object: &one.0,
                created: side(one),
            },
            Side {
                object: &other.0,
                created: side(other),
            },
        );
        (
            read(&merged.expect("both are of one type")),
            one.1.max(other.1),
        )
    };
    let ab = join(&a, &b);
    assert_eq!(ab, join(&b, &a), "the order makes no difference");
    assert_eq!(join(&ab, &a), ab, "merging again changes nothing");
    assert_eq!(join(&ab, &b), ab, "merging again changes nothing");
    // A node that is written is read as itself.
    let [first, second, third] =
        [&a, &b, &ab].map(|(object, _)| ObjectHash::of(&recipes.write(object).expect("an object")));
    let edges = [
        VersionNode::edge(first, a.1),
        VersionNode::edge(second, c.1),
    ];
    let hashes = edges
        .each_ref()
        .map(|node| node.write(recipes).expect("a node").0);
    let [one, other] = [(hashes[0], &edges[0]), (hashes[1], &edges[1])];
    let later = VersionNode::next(Some(one), second, b.1);
    for node in [VersionNode::merge([one, other], third), later] {
        assert_eq!(VersionNode::of(&node.object()).as_ref(), Some(&node));
        let (_, text) = node.write(recipes).expect("a node");
        let object = recipes.read(&text, &ReadLimits::default());
        assert_eq!(VersionNode::of(&object.expect("a node")), Some(node));
    }
}
