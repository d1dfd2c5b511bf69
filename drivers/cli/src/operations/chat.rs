//! Talking with a contact: what was said in all channels that are shared with its persons, and what is said now, into
//! one of them.

use std::collections::{BTreeMap, BTreeSet};

use chumwire::channels::{Line, channel, history, list_of, open, speak, topic_name, union};
use chumwire::chum::{ChumEvent, Newest};
use chumwire::objects::{IdHash, Object, ObjectHash, Person, PersonId, SignKey, WriteFault};
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
    let (person, _) = find(peer, &what.person).await?;
    let talk = Talk::of(peer, person).await?;
    if let Some(text) = what.send {
        let said = talk.say(peer, text).await?;
        emit(talk.event(person, &said));
        return Ok(());
    }
    let notices = peer.subscribe();
    let mut shown = BTreeSet::new();
    let lines = talk.lines(peer.objects())?;
    let count = lines.len();
    talk.show(lines, &mut shown, emit);
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
            Notice::Chum(_, _, ChumEvent::NewVersion { id, .. }) => talk.is_of(id),
            Notice::Said(id) => talk.is_of(id),
            _ => false,
        };
        if is_news {
            talk.show(talk.lines(peer.objects())?, &mut shown, emit);
        }
    }
    Ok(())
}

/// A conversation, and the person of it who is talked to.
struct Talk {
    person: PersonId,
    own: PersonId,
    channels: Vec<Channel>,
    /// The signing keys of all.
    keys: BTreeMap<PersonId, SignKey>,
}

/// A channel that is shared with one person.
struct Channel {
    person: PersonId,
    email: String,
    name: String,
    id: IdHash,
    hide_before: Option<Millis>,
}

impl Talk {
    async fn of(peer: &Peer, person: PersonId) -> Result<Self, Failure> {
        peer.with_all(move |machine, _| {
            let (node, book, recipes) = (machine.node(), machine.book(), machine.recipes());
            let identity = node.identity();
            let own = identity.person_id();
            let mut keys = BTreeMap::from([(own, identity.person_sign_key())]);
            keys.extend(node.contacts().map(|of| (of.person_id, of.person_sign_key)));
            let conversation = book
                .of_person(person)
                .and_then(|(id, _)| book.conversation(id))
                .ok_or_else(|| Failure::new("not_paired", "there is no conversation with it"))?;
            let channels = conversation.channels.into_iter().map(|shared| {
                Ok(Channel {
                    id: recipes.id_hash(&channel(&shared.name))?,
                    email: book
                        .member(shared.person)
                        .map(|member| member.email.clone())
                        .unwrap_or_default(),
                    person: shared.person,
                    name: shared.name,
                    hide_before: shared.hide_before,
                })
            });
            Ok(Self {
                person,
                own,
                channels: channels
                    .collect::<Result<_, WriteFault>>()
                    .map_err(unwritable)?,
                keys,
            })
        })
        .await?
    }

    fn is_of(&self, id: IdHash) -> bool {
        self.channels.iter().any(|channel| channel.id == id)
    }

    /// Makes the channel with the person, if there is none, and lets the person have it.
    async fn open(&self, peer: &Peer, channel: &Channel) -> Result<(), Failure> {
        let objects = peer.objects();
        let own = peer
            .with(|node, _| node.identity().person().clone())
            .await?;
        let email = channel.email.clone();
        let persons = [&own, &Person { email }];
        let opened = open(objects.recipes(), persons, time::wall()).map_err(unwritable)?;
        let opened = opened
            .ok_or_else(|| Failure::new("same_person", "nobody has a channel with himself"))?;
        if objects.head(channel.id)?.is_none() {
            // If one comes at this very moment, that one it is.
            objects.write(&opened.write)?;
        }
        if objects.object(&opened.topic.0)?.is_none() {
            let mut only = opened.write;
            only.heads.clear();
            only.merged.clear();
            objects.write(&only)?;
        }
        objects.share(&opened.topic.0, &[channel.person])?;
        objects.share(&opened.id.0, &[channel.person])?;
        Ok(())
    }

    /// Says something, into the channel with the person: it is stored when this returns, and the person is told.
    async fn say(&self, peer: &Peer, text: String) -> Result<Line, Failure> {
        let name = topic_name(self.own, self.person).unwrap_or_default();
        let channel = self
            .channels
            .iter()
            .find(|channel| channel.name == name)
            .ok_or_else(|| Failure::new("not_paired", "there is no conversation with it"))?;
        self.open(peer, channel).await?;
        let objects = peer.objects();
        let line = loop {
            let newest = newest(objects, channel.id)?;
            let (recipes, text, name) = (
                objects.recipes().clone(),
                text.clone(),
                channel.name.clone(),
            );
            let (store, now) = (objects.clone(), time::wall());
            let (line, write) = peer
                .with(move |node, _| {
                    let read = |hash: ObjectHash| read(&store, hash);
                    let by = node.identity();
                    speak(&recipes, by, &name, newest.as_ref(), &text, now, read)
                })
                .await?
                .map_err(unwritable)?;
            if objects.write(&write)? {
                break line;
            }
            // Something came meanwhile: it is said behind that.
        };
        objects.sync()?;
        let person = self.person;
        peer.with_all(move |machine, now| machine.granted(now, person))
            .await?;
        peer.tell(&Notice::Said(channel.id));
        Ok(line)
    }

    /// What was said, oldest first.
    fn lines(&self, objects: &Objects) -> Result<Vec<(PersonId, Line)>, Failure> {
        let mut all = Vec::new();
        for channel in &self.channels {
            let newest = newest(objects, channel.id)?;
            let info = newest.and_then(|newest| Some(newest.read(objects.recipes())?.1));
            let list = info.as_ref().and_then(list_of);
            let key = |person| self.keys.get(&person).copied();
            let lines = history(list, |hash| read(objects, hash), key);
            all.push((channel.person, lines, channel.hide_before));
        }
        Ok(union(all))
    }

    fn show(
        &self,
        lines: Vec<(PersonId, Line)>,
        shown: &mut BTreeSet<(ObjectHash, Millis)>,
        emit: &Emit,
    ) {
        for (person, line) in lines {
            if shown.insert((line.message, line.at)) {
                emit(self.event(person, &line));
            }
        }
    }

    fn event(&self, person: PersonId, line: &Line) -> Event {
        let channel = self.channels.iter().find(|of| of.person == person);
        Event::Chat {
            person_id: person.to_string(),
            sender: line.sender.to_string(),
            own: line.sender == self.own,
            text: line.text.clone(),
            timestamp: line.at,
            message: line.message.to_string(),
            affirmed: line.affirmed,
            email: channel.map(|of| of.email.clone()).unwrap_or_default(),
        }
    }
}

fn newest(objects: &Objects, id: IdHash) -> Result<Option<Newest>, Failure> {
    Ok(objects.newest(&[id])?.pop().flatten())
}

fn read(objects: &Objects, hash: ObjectHash) -> Option<Object> {
    objects.object(&hash.0).ok().flatten()
}

fn unwritable(fault: WriteFault) -> Failure {
    Failure::new("internal", fault)
}
