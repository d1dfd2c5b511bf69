//! Version nodes: "this object is a version of that thing" (spec 11, "Words"; spec 12, "Core").

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::objects::{Object, ObjectHash, Recipes, Reference, Value, WriteFault};
use crate::time::Millis;

/// The greatest depth and time of a node: what a double holds exactly.
const GREATEST: u64 = 1 << 53;

/// What came before a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Before {
    /// Nothing that this node knows of: `VersionNodeEdge`.
    Edge,
    /// One version: `VersionNodeChange`.
    Change(Option<ObjectHash>),
    /// Several, which were merged: `VersionNodeMerge`.
    Merge(BTreeSet<ObjectHash>),
}

/// A version node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionNode {
    /// Its predecessors.
    pub before: Before,
    /// The object that is this version.
    pub data: ObjectHash,
    /// How many steps it is from an edge.
    pub depth: u64,
    /// When it was made, by the clock of who made it.
    pub created: Millis,
}

impl VersionNode {
    /// A node without a past.
    #[must_use]
    pub const fn edge(data: ObjectHash, created: Millis) -> Self {
        Self {
            before: Before::Edge,
            data,
            depth: 0,
            created,
        }
    }

    /// The next version of a thing with this head: an edge if there is none.
    #[must_use]
    pub fn next(head: Option<(ObjectHash, &Self)>, data: ObjectHash, now: Millis) -> Self {
        match head {
            None => Self::edge(data, now),
            Some((hash, node)) => Self {
                before: Before::Change(Some(hash)),
                data,
                depth: node.depth.saturating_add(1).min(GREATEST),
                // What is made later counts as later, whatever the clock does.
                created: Millis(now.0.max(node.created.0.saturating_add(1)).min(GREATEST)),
            },
        }
    }

    /// The node that joins two.
    #[must_use]
    pub fn merge(of: [(ObjectHash, &Self); 2], data: ObjectHash) -> Self {
        let [(a, left), (b, right)] = of;
        Self {
            before: Before::Merge([a, b].into()),
            data,
            depth: left.depth.max(right.depth).saturating_add(1).min(GREATEST),
            created: Millis(left.created.0.max(right.created.0)),
        }
    }

    /// The nodes right before it.
    pub fn predecessors(&self) -> impl Iterator<Item = ObjectHash> {
        let (one, several) = match &self.before {
            Before::Edge => (None, None),
            Before::Change(previous) => (*previous, None),
            Before::Merge(nodes) => (None, Some(nodes)),
        };
        one.into_iter()
            .chain(several.into_iter().flatten().copied())
    }

    /// The type of the object that it is.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.before {
            Before::Edge => "VersionNodeEdge",
            Before::Change(_) => "VersionNodeChange",
            Before::Merge(_) => "VersionNodeMerge",
        }
    }

    /// Whether objects of this type are version nodes.
    #[must_use]
    pub fn is_type(name: &str) -> bool {
        matches!(
            name,
            "VersionNodeEdge" | "VersionNodeChange" | "VersionNodeMerge"
        )
    }

    /// The node that an object is; `None` if it is none, or its numbers are not whole ones of at most 2^53.
    #[must_use]
    pub fn of(object: &Object) -> Option<Self> {
        let reference = |value: &Value| match value.as_reference() {
            Some(Reference::Object(hash)) => Some(hash),
            _ => None,
        };
        let number = |name: &str| {
            let number = object.get(name)?.as_number()?;
            let whole = number >= 0.0 && number <= GREATEST as f64 && number % 1.0 == 0.0;
            whole.then_some(number as u64)
        };
        let before = match object.type_name.as_str() {
            "VersionNodeEdge" => Before::Edge,
            "VersionNodeChange" => Before::Change(object.get("prev").and_then(reference)),
            "VersionNodeMerge" => {
                let nodes = object.get("nodes")?.as_list()?;
                Before::Merge(nodes.iter().filter_map(reference).collect())
            }
            _ => return None,
        };
        Some(Self {
            before,
            data: object.get("data").and_then(reference)?,
            depth: number("depth")?,
            created: Millis(number("creationTime")?),
        })
    }

    /// The object that it is.
    #[must_use]
    pub fn object(&self) -> Object {
        let mut object = Object::new(self.type_name());
        match &self.before {
            Before::Edge => {}
            Before::Change(previous) => {
                if let Some(previous) = previous {
                    object = object.with("prev", Reference::Object(*previous));
                }
            }
            Before::Merge(nodes) => {
                let nodes = nodes.iter().map(|node| Reference::Object(*node).into());
                object = object.with("nodes", Value::List(nodes.collect()));
            }
        }
        object
            .with("data", Reference::Object(self.data))
            .with("depth", self.depth as f64)
            .with("creationTime", self.created.0 as f64)
    }

    /// Its microdata and hash.
    ///
    /// # Errors
    /// If the recipes have no version nodes.
    pub fn write(&self, recipes: &Recipes) -> Result<(ObjectHash, String), WriteFault> {
        let text = recipes.write(&self.object())?;
        Ok((ObjectHash::of(&text), text))
    }
}

/// The nodes to be listed for a head whose history is at hand, oldest first: an edge lists itself, a change lists what
/// is before it and itself, a merge likewise (spec 11, "Roots"; the deployed peer leaves merges out, and loses what
/// they join).
pub(super) fn listing(
    head: ObjectHash,
    node_of: impl Fn(ObjectHash) -> Option<VersionNode>,
    most: usize,
) -> Option<Vec<ObjectHash>> {
    let mut listed = Vec::new();
    let mut seen = BTreeSet::new();
    // Depth first, without recursion: a node is listed when all before it are.
    let mut stack = Vec::from([(head, false)]);
    while let Some((hash, done)) = stack.pop() {
        if done {
            listed.push(hash);
            continue;
        }
        if !seen.insert(hash) {
            continue;
        }
        if seen.len() > most {
            return None;
        }
        let node = node_of(hash)?;
        stack.push((hash, true));
        stack.extend(node.predecessors().map(|before| (before, false)));
    }
    Some(listed)
}
