//! Two lists become one: all entries of both, by time, each message once (spec 13; spec 11, "`ChannelInfo.head` has a
//! rule of its own").
//!
//! The joined list is a function of the set of its entries alone: ascending by time, then by hash. So all sides come to
//! the same head, and joining again changes nothing. Entries are written anew where what is before them has changed;
//! the messages stay the same objects.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::say::{entry, object_of};
use crate::objects::{Object, ObjectHash, ReadLimits, Recipes, Reference, Value};

/// By what entries are ordered: the bits of a time, which is finite and not negative, order as the time does.
type Place = (u64, ObjectHash);

#[derive(Clone, Debug)]
struct Item {
    hash: ObjectHash,
    place: Place,
    metadata: BTreeSet<ObjectHash>,
    previous: Option<ObjectHash>,
}

/// How far one of the lists was walked, from its head back.
#[derive(Clone, Debug)]
enum At {
    /// This entry is to be read.
    Entry(ObjectHash),
    /// It was read; its time is to be.
    Time(ObjectHash, Object),
    /// It is known, and not taken yet.
    Item(Item),
    /// The list is over.
    End,
}

/// A join in the making. It asks for texts, from both heads back, until it knows where the lists meet.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    at: [At; 2],
    /// Everything that is above the place where they meet.
    taken: BTreeMap<Place, BTreeSet<ObjectHash>>,
    bottom: Option<ObjectHash>,
    left: usize,
}

impl Join {
    /// Of the lists with these heads, which differ in at most so many entries.
    pub(crate) const fn new(heads: [ObjectHash; 2], most: usize) -> Self {
        let [one, other] = heads;
        Self {
            at: [At::Entry(one), At::Entry(other)],
            taken: BTreeMap::new(),
            bottom: None,
            left: most,
        }
    }

    /// The texts that are wanted next; nothing when it is known how the lists differ.
    pub(crate) fn wants(&self) -> Option<Vec<Reference>> {
        let wanted: Vec<Reference> = self
            .at
            .iter()
            .filter_map(|at| match at {
                At::Entry(hash) => Some(*hash),
                At::Time(_, object) => object_of(object.get("data")),
                At::Item(_) | At::End => None,
            })
            .map(Reference::Object)
            .collect();
        (!wanted.is_empty()).then_some(wanted)
    }

    /// They have come. `None` if they are not what a list is made of, or the lists differ in too much.
    pub(crate) fn came(&mut self, recipes: &Recipes, texts: &[Option<String>]) -> Option<()> {
        let mut texts = texts.iter();
        for at in &mut self.at {
            if matches!(at, At::Item(_) | At::End) {
                continue;
            }
            let text = texts.next()?.as_deref()?;
            let object = recipes.read(text, &ReadLimits::default()).ok()?;
            *at = match core::mem::replace(at, At::End) {
                At::Entry(hash) => {
                    // Without it there is nothing to ask for.
                    object_of(object.get("data"))?;
                    At::Time(hash, object)
                }
                At::Time(hash, entry) => At::Item(item(hash, &entry, &object)?),
                known => known,
            };
        }
        while self.step()? {}
        Some(())
    }

    /// Takes the later one of the two entries. False if one of them has to be read first, or they have met.
    fn step(&mut self) -> Option<bool> {
        let which = match &self.at {
            [At::Item(one), At::Item(other)] if one.hash == other.hash => {
                // Below it both are the same; but what was taken may belong below it.
                let is_lowest = self.taken.keys().next().is_none_or(|low| one.place <= *low);
                if is_lowest {
                    self.bottom = Some(one.hash);
                    self.at = [At::End, At::End];
                    return Some(false);
                }
                let before = one.previous.map_or(At::End, At::Entry);
                self.at[1] = before;
                0
            }
            [At::Item(one), At::Item(other)] => usize::from(one.place < other.place),
            [At::Item(_), At::End] => 0,
            [At::End, At::Item(_)] => 1,
            _ => return Some(false),
        };
        self.left = self.left.checked_sub(1)?;
        if let At::Item(item) = core::mem::replace(&mut self.at[which], At::End) {
            self.at[which] = item.previous.map_or(At::End, At::Entry);
            let metadata = self.taken.entry(item.place).or_default();
            metadata.extend(item.metadata);
        }
        Some(true)
    }

    /// The head of the joined list, and the entries that it is made of above the place where the two meet.
    pub(crate) fn joined(
        &self,
        recipes: &Recipes,
    ) -> Option<(ObjectHash, Vec<(Reference, String)>)> {
        let (mut head, mut texts) = (self.bottom, Vec::new());
        for ((_, data), metadata) in &self.taken {
            let metadata = metadata.iter().copied().collect();
            let text = recipes.write(&entry(*data, metadata, head)).ok()?;
            let hash = ObjectHash::of(&text);
            texts.push((Reference::Object(hash), text));
            head = Some(hash);
        }
        Some((head?, texts))
    }
}

fn item(hash: ObjectHash, entry: &Object, created: &Object) -> Option<Item> {
    let time = created.get("timestamp")?.as_number()?;
    let metadata = entry.get("metadata").and_then(Value::as_list);
    let metadata = metadata.unwrap_or_default().iter();
    Some(Item {
        hash,
        place: (time.max(0.0).to_bits(), object_of(entry.get("data"))?),
        metadata: metadata
            .filter_map(|value| object_of(Some(value)))
            .collect(),
        previous: object_of(entry.get("previous")),
    })
}
