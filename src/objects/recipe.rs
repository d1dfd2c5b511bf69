//! Recipes as data: which properties a type has, in which order, and of which kind (spec 12, "Recipes").

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ids::RefKind;
use super::known;
use crate::limits;

/// A type: its name and its properties. The order of the rules is the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The name of the type.
    pub name: String,
    /// Its properties.
    pub rules: Vec<Rule>,
}

impl Recipe {
    /// A type of these properties.
    #[must_use]
    pub fn new(name: &str, rules: impl Into<Vec<Rule>>) -> Self {
        Self {
            name: name.into(),
            rules: rules.into(),
        }
    }

    /// Whether it has an id property.
    #[must_use]
    pub fn is_versioned(&self) -> bool {
        self.rules.iter().any(|rule| rule.id)
    }
}

/// One property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What its value is.
    pub kind: Kind,
    /// Whether it may be missing.
    pub optional: bool,
    /// Whether it is a part of the id. Without meaning inside nested objects.
    pub id: bool,
}

impl Rule {
    /// A mandatory property that is no part of the id.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            optional: false,
            id: false,
        }
    }

    /// The same, as a part of the id.
    #[must_use]
    pub fn id(mut self) -> Self {
        self.id = true;
        self
    }

    /// The same, and it may be missing.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    String(TextRule),
    /// A number without a fraction.
    Integer,
    /// A finite double.
    Number,
    /// True or false.
    Boolean,
    /// Anything that JSON can say.
    Stringifiable,
    /// A reference.
    Reference {
        /// What it leads to.
        kind: RefKind,
        /// The types that it may lead to. Told, and not checked.
        targets: Targets,
    },
    /// Items in an order.
    Array(Box<Self>),
    /// Items without an order, equal ones among them.
    Bag(Box<Self>),
    /// Items without an order, no two equal.
    Set(Box<Self>),
    /// Entries in the order they were made.
    Map {
        /// A simple value or a reference.
        key: Box<Self>,
        /// The value of an entry.
        value: Box<Self>,
    },
    /// An object by value.
    Object(Vec<Rule>),
}

impl Kind {
    /// Any text.
    pub const TEXT: Self = Self::String(TextRule::Any);
    /// Any text, by a rule that does not say so.
    pub const TEXT_UNSAID: Self = Self::String(TextRule::Unsaid);
    /// A reference to bytes.
    pub const BLOB: Self = Self::Reference {
        kind: RefKind::Blob,
        targets: Targets::Any,
    };
    /// A reference to a text.
    pub const CLOB: Self = Self::Reference {
        kind: RefKind::Clob,
        targets: Targets::Any,
    };

    /// A reference to an object of one of these types; of any type if there are none.
    #[must_use]
    pub fn object(types: &[&str]) -> Self {
        Self::Reference {
            kind: RefKind::Object,
            targets: Targets::of(types),
        }
    }

    /// A reference to a versioned thing of one of these types; of any type if there are none.
    #[must_use]
    pub fn id(types: &[&str]) -> Self {
        Self::Reference {
            kind: RefKind::Id,
            targets: Targets::of(types),
        }
    }

    /// Such items in an order.
    #[must_use]
    pub fn array(self) -> Self {
        Self::Array(Box::new(self))
    }

    /// Such items without an order.
    #[must_use]
    pub fn bag(self) -> Self {
        Self::Bag(Box::new(self))
    }

    /// Such items without an order, no two equal.
    #[must_use]
    pub fn set(self) -> Self {
        Self::Set(Box::new(self))
    }

    /// Entries from such keys to values of another kind.
    #[must_use]
    pub fn map_to(self, value: Self) -> Self {
        Self::Map {
            key: Box::new(self),
            value: Box::new(value),
        }
    }

    const fn is_collection(&self) -> bool {
        matches!(
            self,
            Self::Array(_) | Self::Bag(_) | Self::Set(_) | Self::Map { .. } | Self::Object(_)
        )
    }

    /// Checks names, map keys, and that it nests at most `depth` times.
    fn check(&self, depth: usize) -> Result<(), RecipeFault> {
        if !self.is_collection() {
            return Ok(());
        }
        let depth = depth.checked_sub(1).ok_or(RecipeFault::TooDeep)?;
        match self {
            Self::Array(item) | Self::Bag(item) | Self::Set(item) => item.check(depth),
            Self::Map { key, .. } if key.is_collection() => Err(RecipeFault::Key),
            Self::Map { value, .. } => value.check(depth),
            Self::Object(rules) => check(rules, depth),
            _ => Ok(()),
        }
    }
}

fn check(rules: &[Rule], depth: usize) -> Result<(), RecipeFault> {
    let mut names = BTreeSet::new();
    for rule in rules {
        if !is_name(&rule.name) {
            return Err(RecipeFault::Name);
        }
        if !names.insert(rule.name.as_str()) {
            return Err(RecipeFault::Doubled(rule.name.clone()));
        }
        rule.kind.check(depth)?;
    }
    Ok(())
}

/// Whether a type or a property may have this name: it is written into a tag as it is.
pub(super) fn is_name(name: &str) -> bool {
    let forbidden = |c: char| matches!(c, '<' | '>' | '.' | '"') || c.is_whitespace();
    !name.is_empty() && name.len() <= limits::NAME && !name.contains(forbidden)
}

/// The types that a reference may lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Any.
    Any,
    /// One of these.
    Of(Vec<String>),
}

impl Targets {
    fn of(types: &[&str]) -> Self {
        if types.is_empty() {
            Self::Any
        } else {
            Self::Of(types.iter().map(ToString::to_string).collect())
        }
    }
}

/// What a text has to look like. Applied to the value, not to its escaped form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextRule {
    /// Anything.
    Any,
    /// Anything, by a rule that has no `itemtype`. The same as `Any` but for the [`Recipe::object`].
    Unsaid,
    /// This text.
    Exactly(String),
    /// 64 letters, digits, `+` or `/`. What is in use are 64 hex digits.
    Key,
    /// An even number of hex digits.
    HexPairs,
    /// `undefined`, or 64 lower-case hex digits.
    HashOrUndefined,
}

impl TextRule {
    /// Whether a text obeys it.
    #[must_use]
    pub fn admits(&self, text: &str) -> bool {
        let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        match self {
            Self::Any | Self::Unsaid => true,
            Self::Exactly(other) => text == other,
            Self::Key => {
                text.len() == 64
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
            }
            Self::HexPairs => {
                text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit())
            }
            Self::HashOrUndefined => {
                text == "undefined" || (text.len() == 64 && text.bytes().all(lower))
            }
        }
    }

    /// In words.
    pub(super) const fn words(&self) -> &'static str {
        match self {
            Self::Any | Self::Unsaid => "a text",
            Self::Exactly(_) => "the one text that its recipe names",
            Self::Key => "64 letters, digits, + or /",
            Self::HexPairs => "an even number of hex digits",
            Self::HashOrUndefined => "`undefined` or 64 lower-case hex digits",
        }
    }
}

/// A recipe is not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeFault {
    /// A name that cannot stand in a tag.
    #[error("a name is empty, longer than 1024 bytes, or has white space or one of < > . \"")]
    Name,
    /// Two rules of one name.
    #[error("there are two rules for `{0}`")]
    Doubled(String),
    /// It nests deeper than [`limits::OBJECT_DEPTH`].
    #[error("it nests deeper than {}", limits::OBJECT_DEPTH)]
    TooDeep,
    /// A map has keys that are collections.
    #[error("map keys are simple values or references")]
    Key,
    /// There is another one of that name.
    #[error("there is another recipe `{0}`")]
    Taken(String),
}

/// All recipes that an instance knows. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipes(Arc<BTreeMap<String, Arc<Recipe>>>);

impl Recipes {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// Those of spec 12.
    #[must_use]
    pub fn known() -> Self {
        let recipes = known::recipes().into_iter();
        Self(Arc::new(
            recipes
                .map(|recipe| (recipe.name.clone(), Arc::new(recipe)))
                .collect(),
        ))
    }

    /// The recipe of a type.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Recipe>> {
        self.0.get(name)
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Recipe>> {
        self.0.values()
    }

    /// Adds one. An equal one again changes nothing.
    ///
    /// # Errors
    /// [`RecipeFault`], and then nothing has changed.
    pub fn register(&mut self, recipe: Recipe) -> Result<(), RecipeFault> {
        if !is_name(&recipe.name) {
            return Err(RecipeFault::Name);
        }
        check(&recipe.rules, limits::OBJECT_DEPTH)?;
        match self.get(&recipe.name) {
            Some(present) if **present == recipe => Ok(()),
            Some(_) => Err(RecipeFault::Taken(recipe.name)),
            None => {
                Arc::make_mut(&mut self.0).insert(recipe.name.clone(), Arc::new(recipe));
                Ok(())
            }
        }
    }

    /// Whether a type is known and has an id property.
    #[must_use]
    pub fn is_versioned(&self, name: &str) -> bool {
        self.get(name).is_some_and(|recipe| recipe.is_versioned())
    }
}

impl Default for Recipes {
    fn default() -> Self {
        Self::known()
    }
}
