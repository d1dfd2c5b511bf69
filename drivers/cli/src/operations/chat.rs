//! Talking with a contact: the channel that both persons hold, its history, and what is said now.

use std::collections::{BTreeMap, BTreeSet};

use chumwire::channels::{Line, channel, line, say, topic, topic_name};
use chumwire::chum::{ChumEvent, NewHead, VersionNode, Write};
use chumwire::objects::{
    IdHash, Object, ObjectHash, Person, PersonId, Reference, SignKey, WriteFault,
};
use chumwire::time::Millis;

use super::Emit;
use super::contacts::find;
use super::sync::keep_in_touch_with;
use crate::control::Chat;
use crate::event::Event;
use crate::failure::Failure;
use crate::home::Objects;
use crate::peer::{Notice, Peer};
use crate::time;

pub(super) async fn chat(peer: &Peer, what: Chat, emit: &Emit) -> Result<(), Failure> {
    let (person, email) = find(peer, &what.person).await?;
    let talk = Talk::open(peer, person, email).await?;
    if let Some(text) = what.send {
        let said = talk.say(peer, &text).await?;
        emit(talk.event(&said));
        return Ok(());
    }
    let notices = peer.subscribe();
    let mut shown = BTreeSet::new();
    let history = talk.lines(peer)?;
    let count = history.len();
    talk.show(history, &mut shown, emit);
    emit(Event::History { count });
    if !what.follow {
        return Ok(());
    }
    let in_touch = peer
        .with_all(move |machine, _| machine.chums().any(|(_, of, _)| of == person))
        .await?;
    if !in_touch {
        keep_in_touch_with(peer, person).await?;
    }
    while let Ok(notice) = notices.recv().await {
        let is_news = match notice {
            Notice::Chum(_, _, ChumEvent::NewVersion { id, .. }) => id == talk.id,
            Notice::Said(id) => id == talk.id,
            _ => false,
        };
        if is_news {
            talk.show(talk.lines(peer)?, &mut shown, emit);
        }
    }
    Ok(())
}

/// The channel with a contact.
struct Talk {
    person: PersonId,
    email: String,
    own: PersonId,
    id: IdHash,
    name: String,
    /// The signing keys of both.
    keys: BTreeMap<PersonId, SignKey>,
}

impl Talk {
    /// Makes the channel, if there is none, and lets the contact have it.
    async fn open(peer: &Peer, person: PersonId, email: String) -> Result<Self, Failure> {
        let (own, own_email, keys) = peer
            .with(move |node, _| {
                let identity = node.identity();
                let mut keys = BTreeMap::from([(identity.person_id(), identity.person_sign_key())]);
                let contact = node.contacts().find(|contact| contact.person_id == person);
                keys.extend(contact.map(|contact| (person, contact.person_sign_key)));
                (identity.person_id(), identity.person().email.clone(), keys)
            })
            .await?;
        let name = topic_name(own, person)
            .ok_or_else(|| Failure::new("same_person", "nobody has a channel with himself"))?;
        let objects = peer.objects();
        let recipes = objects.recipes();
        let id = recipes.id_hash(&channel(&name)).map_err(unwritable)?;
        let talk = Self {
            person,
            email,
            own,
            id,
            name,
            keys,
        };
        if objects.head(id)?.is_none() {
            let mut texts = Vec::new();
            for email in [own_email, talk.email.clone()] {
                let person = Person { email };
                texts.push((Reference::Id(person.id().into()), person.id_microdata()));
            }
            let topic = topic(recipes, &talk.name).map_err(unwritable)?;
            let topic = recipes.write(&topic).map_err(unwritable)?;
            let topic_hash = ObjectHash::of(&topic);
            let info = channel(&talk.name);
            let id_object = recipes.id_object(&info).map_err(unwritable)?;
            let id_text = recipes.write(&id_object).map_err(unwritable)?;
            texts.push((Reference::Id(id), id_text));
            texts.push((Reference::Object(topic_hash), topic));
            talk.write(objects, None, &info, texts)?;
            objects.share(&topic_hash.0, &[person])?;
            objects.share(&id.0, &[person])?;
            objects.sync()?;
        }
        Ok(talk)
    }

    /// The newest version of the channel: its node, by hash, and the head of its list.
    fn newest(&self, objects: &Objects) -> Result<Option<Newest>, Failure> {
        let Some(head) = objects.head(self.id)? else {
            return Ok(None);
        };
        let node = objects.object(&head.0)?;
        let Some(node) = node.as_ref().and_then(VersionNode::of) else {
            return Err(damaged());
        };
        let info = objects.object(&node.data.0)?.ok_or_else(damaged)?;
        let list = match info
            .get("head")
            .and_then(chumwire::objects::Value::as_reference)
        {
            Some(Reference::Object(hash)) => Some(hash),
            _ => None,
        };
        Ok(Some(Newest { head, node, list }))
    }

    /// Writes a new version of the channel. False if there is a newer one by now.
    fn write(
        &self,
        objects: &Objects,
        newest: Option<&Newest>,
        info: &Object,
        mut texts: Vec<(Reference, String)>,
    ) -> Result<bool, Failure> {
        let recipes = objects.recipes();
        let text = recipes.write(info).map_err(unwritable)?;
        let data = ObjectHash::of(&text);
        texts.push((Reference::Object(data), text));
        let before = newest.map(|newest| (newest.head, &newest.node));
        let node = VersionNode::next(before, data, time::wall());
        let (new, node_text) = node.write(recipes).map_err(unwritable)?;
        // What an importer makes of it; when that comes back, it is nothing new.
        let (same, edge) = VersionNode::edge(data, node.created)
            .write(recipes)
            .map_err(unwritable)?;
        texts.push((Reference::Object(same), edge));
        texts.push((Reference::Object(new), node_text));
        let write = Write {
            texts,
            merged: [new, same].into(),
            head: Some(NewHead {
                id: self.id,
                old: newest.map(|newest| newest.head),
                new,
            }),
            ..Write::default()
        };
        Ok(objects.write(&write)?)
    }

    /// Says something: it is stored when this returns, and the contact is told.
    async fn say(&self, peer: &Peer, text: &str) -> Result<Line, Failure> {
        let objects = peer.objects();
        let at = loop {
            let newest = self.newest(objects)?;
            let list = newest.as_ref().and_then(|newest| newest.list);
            let last = list.map(|list| self.line(objects, list)).transpose()?;
            let last = last.and_then(|(line, _)| line).map_or(0, |line| line.at.0);
            let at = Millis(time::wall().0.max(last + 1));
            let (recipes, text) = (objects.recipes().clone(), text.to_owned());
            let said = peer
                .with(move |node, _| say(&recipes, node.identity(), &text, at, list))
                .await?
                .map_err(unwritable)?;
            let info = channel(&self.name).with("head", said.entry);
            if self.write(objects, newest.as_ref(), &info, said.texts)? {
                break (at, said.message);
            }
            // Something came meanwhile: it is said behind that.
        };
        objects.sync()?;
        let person = self.person;
        peer.with_all(move |machine, now| machine.granted(now, person))
            .await?;
        peer.tell(&Notice::Said(self.id));
        Ok(Line {
            message: at.1,
            at: at.0,
            sender: self.own,
            text: text.into(),
            affirmed: true,
            previous: None,
        })
    }

    fn line(
        &self,
        objects: &Objects,
        entry: ObjectHash,
    ) -> Result<(Option<Line>, Option<ObjectHash>), Failure> {
        let entry = objects.object(&entry.0)?.ok_or_else(damaged)?;
        Ok(line(
            &entry,
            |hash| objects.object(&hash.0).ok().flatten(),
            |person| self.keys.get(&person).copied(),
        ))
    }

    /// The history, oldest first.
    fn lines(&self, peer: &Peer) -> Result<Vec<Line>, Failure> {
        let objects = peer.objects();
        let mut lines = Vec::new();
        let mut next = self.newest(objects)?.and_then(|newest| newest.list);
        while let Some(entry) = next {
            let (line, previous) = self.line(objects, entry)?;
            lines.extend(line);
            next = previous;
        }
        lines.reverse();
        Ok(lines)
    }

    fn show(&self, lines: Vec<Line>, shown: &mut BTreeSet<(ObjectHash, Millis)>, emit: &Emit) {
        for line in lines {
            if shown.insert((line.message, line.at)) {
                emit(self.event(&line));
            }
        }
    }

    fn event(&self, line: &Line) -> Event {
        Event::Chat {
            person_id: self.person.to_string(),
            sender: line.sender.to_string(),
            own: line.sender == self.own,
            text: line.text.clone(),
            timestamp: line.at,
            message: line.message.to_string(),
            affirmed: line.affirmed,
            email: self.email.clone(),
        }
    }
}

struct Newest {
    head: ObjectHash,
    node: VersionNode,
    list: Option<ObjectHash>,
}

fn unwritable(fault: WriteFault) -> Failure {
    Failure::new("internal", fault)
}

fn damaged() -> Failure {
    Failure::new(
        "store_damaged",
        "a part of this channel is missing; take the home from a backup",
    )
}
