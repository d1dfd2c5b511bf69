//! The local merge of two versions of a thing (spec 11, "What the local merge makes of it" and "More decisions").
//!
//! An imported version has no history here, so there is nothing to compare both with but each other: of a single value
//! that of the later version stays (of two of the same time the greater text), and of collections the union. That is a
//! join: the order of merges does not matter, and merging again changes nothing. So all sides come to the same data,
//! and no version is made for ever.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::objects::{Kind, Object, Recipes, Rule, Value};
use crate::time::Millis;

/// One of the two.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its data.
    pub object: &'a Object,
    /// The time of its node.
    pub created: Millis,
}

/// Joins the data of two versions of one thing. `None` if they are not of one type that has a recipe.
#[must_use]
pub fn merge(recipes: &Recipes, a: Side<'_>, b: Side<'_>) -> Option<Object> {
    if a.object == b.object {
        return Some(a.object.clone());
    }
    let recipe = recipes.get(&a.object.type_name)?;
    if a.object.type_name != b.object.type_name {
        return None;
    }
    // From here on `late` wins where only one can; a tie is decided value by value.
    let (late, early) = match a.created < b.created {
        true => (b, a),
        false => (a, b),
    };
    let join = Join {
        tie: late.created == early.created,
    };
    let mut merged = late.object.clone();
    merged.properties = join.properties(
        &recipe.rules,
        &late.object.properties,
        &early.object.properties,
    );
    Some(merged)
}

#[derive(Clone, Copy)]
struct Join {
    tie: bool,
}

type Properties = Vec<(String, Value)>;

impl Join {
    fn properties(self, rules: &[Rule], late: &Properties, early: &Properties) -> Properties {
        let find = |of: &Properties, name: &str| {
            of.iter()
                .find(|(own, _)| own == name)
                .map(|(_, value)| value.clone())
        };
        rules
            .iter()
            .filter_map(|rule| {
                let value = match (find(late, &rule.name), find(early, &rule.name)) {
                    (Some(late), Some(early)) => self.values(&rule.kind, late, early),
                    // Without a common past, what is missing was never there.
                    (late, early) => late.or(early)?,
                };
                Some((rule.name.clone(), value))
            })
            .collect()
    }

    fn values(self, kind: &Kind, late: Value, early: Value) -> Value {
        if late == early {
            return late;
        }
        match (kind, late, early) {
            (Kind::Bag(_) | Kind::Set(_), Value::List(late), Value::List(early)) => {
                // Written sorted, so any order is the same.
                Value::List(union(late, &early))
            }
            (Kind::Array(_), Value::List(late), Value::List(early)) => {
                let (first, second) = self.order(late, early, |value| rank(&value));
                Value::List(either_or_union(first, second))
            }
            (Kind::Map { value: kind, .. }, Value::Map(late), Value::Map(early)) => {
                Value::Map(self.maps(kind, late, early))
            }
            (Kind::Object(rules), Value::Object(late), Value::Object(early)) => {
                Value::Object(self.properties(rules, &late, &early))
            }
            (_, late, early) => self.order(late, early, |value| rank(&value)).0,
        }
    }

    /// The one that counts, and the other one.
    fn order<T: Clone + Into<Value>>(self, late: T, early: T, rank: fn(Value) -> String) -> (T, T) {
        match self.tie && rank(early.clone().into()) > rank(late.clone().into()) {
            true => (early, late),
            false => (late, early),
        }
    }

    fn maps(
        self,
        kind: &Kind,
        late: Vec<(Value, Value)>,
        early: Vec<(Value, Value)>,
    ) -> Vec<(Value, Value)> {
        let keys = |map: &[(Value, Value)]| -> Vec<Value> {
            map.iter().map(|(key, _)| key.clone()).collect()
        };
        let (first, second) = self.order(keys(&late), keys(&early), |value| rank(&value));
        let find = |of: &[(Value, Value)], key: &Value| {
            of.iter()
                .find(|(own, _)| own == key)
                .map(|(_, value)| value.clone())
        };
        either_or_union(first, second)
            .into_iter()
            .filter_map(|key| {
                let value = match (find(&late, &key), find(&early, &key)) {
                    (Some(late), Some(early)) => self.values(kind, late, early),
                    (late, early) => late.or(early)?,
                };
                Some((key, value))
            })
            .collect()
    }
}

/// A total order over values that depends on them alone.
fn rank(value: &Value) -> String {
    alloc::format!("{value:?}")
}

/// Each item as often as in the list that has it most often: a bag can hold an item twice.
fn union(mut of: Vec<Value>, other: &[Value]) -> Vec<Value> {
    let mut counts = BTreeMap::<String, usize>::new();
    for item in &of {
        *counts.entry(rank(item)).or_default() += 1;
    }
    for item in other {
        match counts.get_mut(&rank(item)).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => of.push(item.clone()),
        }
    }
    of
}

/// The order of a list that holds everything stays; else the second one's rest comes behind the first.
fn either_or_union(first: Vec<Value>, second: Vec<Value>) -> Vec<Value> {
    let own = first.len();
    let joined = union(first, &second);
    match joined.len() == second.len() && joined.len() > own {
        true => second,
        false => joined,
    }
}
