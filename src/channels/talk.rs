//! A channel as it is used: made once, written to, read from its newest entry back (spec 13, "Conversations").

use alloc::vec::Vec;

use super::say::{Line, Said, line, object_of, say};
use super::{channel, topic, topic_name};
use crate::chum::{Newest, Write};
use crate::identity::Identity;
use crate::limits;
use crate::objects::{
    IdHash, Object, ObjectHash, Person, PersonId, Recipes, Reference, SignKey, WriteFault,
};
use crate::time::Millis;

/// A channel of two persons, as yet without a message.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The channel, to be granted to the other person with all its versions.
    pub id: IdHash,
    /// Its topic, to be granted to the other person, too.
    pub topic: ObjectHash,
    /// Everything that is to be stored. If there is a channel already, its head says so, and nothing is.
    pub write: Write,
}

/// Makes the channel of two persons. `None` if they are one.
///
/// # Errors
/// If the recipes have no channels.
pub fn open(
    recipes: &Recipes,
    persons: [&Person; 2],
    now: Millis,
) -> Result<Option<Opened>, WriteFault> {
    let [one, other] = persons;
    let Some(name) = topic_name(one.id(), other.id()) else {
        return Ok(None);
    };
    let mut write = Write::default();
    for person in persons {
        let id = Reference::Id(person.id().into());
        write.texts.push((id, person.id_microdata()));
    }
    let info = channel(&name);
    write.version(recipes, &info, None, now)?;
    Ok(Some(Opened {
        id: recipes.id_hash(&info)?,
        topic: write.object(recipes, &topic(recipes, &name)?)?,
        write,
    }))
}

/// The newest entry of a channel.
#[must_use]
pub fn list_of(info: &Object) -> Option<ObjectHash> {
    object_of(info.get("head"))
}

/// Says something in a channel of that name: everything that is to be stored, with the new head. `read` gives the
/// objects of the store. The message is later than the one before it, whatever the clock says.
///
/// # Errors
/// If the recipes do not have it.
pub fn speak(
    recipes: &Recipes,
    by: &Identity,
    name: &str,
    newest: Option<&Newest>,
    text: &str,
    now: Millis,
    read: impl Fn(ObjectHash) -> Option<Object>,
) -> Result<(Line, Write), WriteFault> {
    let before = newest.and_then(|newest| Some((newest.head, newest.read(recipes)?)));
    let list = before.as_ref().and_then(|(_, (_, info))| list_of(info));
    let last = list.and_then(|entry| {
        let created = read(object_of(read(entry)?.get("data"))?)?;
        created.get("timestamp")?.as_number()
    });
    let at = last.map_or(now, |last| Millis(now.0.max(last as u64 + 1)));
    let Said {
        entry,
        message,
        texts,
    } = say(recipes, by, text, at, list)?;
    let mut write = Write {
        texts,
        ..Write::default()
    };
    let head = before.as_ref().map(|(head, (node, _))| (*head, node));
    write.version(recipes, &channel(name).with("head", entry), head, now)?;
    let line = Line {
        message,
        at,
        sender: by.person_id(),
        text: text.into(),
        affirmed: true,
        previous: list,
    };
    Ok((line, write))
}

/// What was said, oldest first, from this entry back. `read` gives the objects of the store, `key` the signing key of a
/// person. What is missing ends it: a store that is whole misses nothing.
pub fn history(
    list: Option<ObjectHash>,
    read: impl Fn(ObjectHash) -> Option<Object>,
    key: impl Fn(PersonId) -> Option<SignKey>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut next = list;
    let mut left = limits::CHUM_CHILDREN;
    while let Some(entry) = next.and_then(&read)
        && left > 0
    {
        left -= 1;
        let (said, previous) = line(&entry, &read, &key);
        lines.extend(said);
        next = previous;
    }
    lines.reverse();
    lines
}

/// Several channels shown as one: by time, each message once (spec 13, rule 2 of conversations). Each comes with the
/// person that it is shared with, and the time up to which it is hidden.
#[must_use]
pub fn union(
    channels: impl IntoIterator<Item = (PersonId, Vec<Line>, Option<Millis>)>,
) -> Vec<(PersonId, Line)> {
    let mut all: Vec<(PersonId, Line)> = channels
        .into_iter()
        .flat_map(|(person, lines, hide_before)| {
            let is_shown = move |line: &Line| hide_before.is_none_or(|until| line.at > until);
            let shown = lines.into_iter().filter(is_shown);
            shown.map(move |line| (person, line))
        })
        .collect();
    let place = |(_, line): &(PersonId, Line)| (line.at, line.message);
    all.sort_by_key(place);
    all.dedup_by_key(|said| place(said));
    all
}
