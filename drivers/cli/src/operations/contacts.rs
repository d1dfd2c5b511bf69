//! Contacts: to list, to merge and split, and to forget.

use std::collections::{BTreeMap, BTreeSet};

use async_channel::Receiver;
use chumwire::book::{AddressBook, BookEvent, BookFault, Ticket, is_trusted, profile_id};
use chumwire::contact::Contact;
use chumwire::objects::{PersonId, SomeoneId};
use chumwire::time::Millis;

use super::Emit;
use crate::event::{Event, Known};
use crate::failure::Failure;
use crate::peer::{Machine, Notice, Peer, misuse, not_stored};
use crate::time;

/// The fewest digits of an id that stand for it.
pub(super) const PREFIX: usize = 8;

pub(super) async fn list(peer: &Peer, emit: &Emit) -> Result<(), Failure> {
    let (objects, home) = (peer.objects().clone(), peer.shared_home());
    let events = peer
        .with_all(move |machine, _| -> Result<Vec<Event>, Failure> {
            let online: BTreeSet<PersonId> = machine.chums().map(|(_, of, _)| of).collect();
            let (identity, recipes) = (machine.node().identity(), machine.recipes());
            let mut events = Vec::new();
            for (contact, someone, main) in in_order(machine) {
                let person = contact.person_id;
                let head = objects.head(profile_id(person))?;
                let read =
                    |hash: chumwire::objects::ObjectHash| objects.object(&hash.0).ok().flatten();
                let member = machine.book().member(person);
                let profiles = member.map(|member| member.profiles.iter());
                let known = Known {
                    someone: someone.map(|id| id.to_string()),
                    main,
                    profiles: profiles
                        .into_iter()
                        .flatten()
                        .map(ToString::to_string)
                        .collect(),
                    trusted: is_trusted(recipes, identity, &contact, head, read),
                    online: online.contains(&person),
                    synced_at: home.last_synced(person)?,
                };
                events.push(Event::contact(&contact, known));
            }
            Ok(events)
        })
        .await??;
    let count = events.len();
    events.into_iter().for_each(|event| emit(event));
    emit(Event::Contacts { count });
    Ok(())
}

/// The contacts: those that are one follow each other, the main person first.
fn in_order(machine: &Machine) -> Vec<(Contact, Option<SomeoneId>, bool)> {
    let book = machine.book();
    let contacts = machine.node().contacts().cloned();
    let mut all: Vec<_> = contacts
        .map(|contact| {
            let of = book.of_person(contact.person_id);
            let main = of.is_some_and(|(_, someone)| someone.main == contact.person_id);
            (contact, of.map(|(id, _)| id), main)
        })
        .collect();
    all.sort_by_key(|(contact, someone, main)| (*someone, !main, contact.person_id));
    all
}

/// The contact that is meant: by its email, or the first digits of its id, or those of the contact that it is in.
pub(super) async fn find(peer: &Peer, who: &str) -> Result<(PersonId, String), Failure> {
    let wanted = who.to_ascii_lowercase();
    let by_email = who.to_owned();
    let found: BTreeMap<PersonId, String> = peer
        .with_all(move |machine, _| {
            let starts = |id: String| wanted.len() >= PREFIX && id.starts_with(&wanted);
            let book = machine.book();
            let contacts = machine.node().contacts();
            let is_meant = |contact: &&Contact| {
                // By the id of a whole contact its main person is meant.
                let of = book.of_person(contact.person_id);
                let is_main = of.filter(|(_, someone)| someone.main == contact.person_id);
                contact.email == by_email
                    || starts(contact.person_id.to_string())
                    || is_main.is_some_and(|(id, someone)| {
                        let mut ids = someone.aliases.iter().chain([&id]);
                        ids.any(|id| starts(id.to_string()))
                    })
            };
            let found = contacts.filter(is_meant);
            found.map(|of| (of.person_id, of.email.clone())).collect()
        })
        .await?;
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let next = "`chumwire contacts` lists them";
            Err(Failure::new(
                "not_paired",
                format_args!("no contact is {who}; {next}"),
            ))
        }
        (Some(_), Some(_)) => Err(Failure::new(
            "ambiguous",
            format_args!("{who} is more than one contact; give more digits"),
        )),
    }
}

/// Removes a contact, with all its persons.
pub(super) async fn forget(
    peer: &Peer,
    who: &str,
    delete_history: bool,
    emit: &Emit,
) -> Result<(), Failure> {
    let (person, _) = find(peer, who).await?;
    let hide_before: Option<Millis> = delete_history.then(time::wall);
    let persons: Vec<(PersonId, String)> = peer
        .with_all(move |machine, _| {
            let of = machine.book().of_person(person);
            let all = of.map_or(BTreeSet::from([person]), |(_, someone)| {
                someone.contacts().map(|(person, _)| person).collect()
            });
            let contacts = machine.node().contacts();
            let in_it = contacts.filter(|contact| all.contains(&contact.person_id));
            in_it.map(|of| (of.person_id, of.email.clone())).collect()
        })
        .await?;
    for (person, email) in persons {
        peer.change(move |node, now| node.forget(now, person, hide_before))
            .await?;
        emit(Event::Forgotten {
            person_id: person.to_string(),
            email,
        });
    }
    Ok(())
}

/// Makes two contacts one.
pub(super) async fn merge(peer: &Peer, one: &str, other: &str, emit: &Emit) -> Result<(), Failure> {
    let (one, other) = (find(peer, one).await?.0, find(peer, other).await?.0);
    change_book(peer, move |machine, now| {
        let (one, other) = (of(machine.book(), one)?, of(machine.book(), other)?);
        Ok(machine.merge(now, one, other))
    })
    .await?;
    tell(peer, one, emit).await
}

/// Makes persons of a contact a contact of their own.
pub(super) async fn split(
    peer: &Peer,
    contact: &str,
    persons: &[String],
    emit: &Emit,
) -> Result<(), Failure> {
    let (person, _) = find(peer, contact).await?;
    let mut moved = BTreeSet::new();
    for who in persons {
        moved.insert(find(peer, who).await?.0);
    }
    let first = moved.first().copied();
    change_book(peer, move |machine, now| {
        let id = of(machine.book(), person)?;
        Ok(machine.split(now, id, moved))
    })
    .await?;
    tell(peer, first.unwrap_or(person), emit).await
}

fn of(book: &AddressBook, person: PersonId) -> Result<SomeoneId, BookFault> {
    let of = book.of_person(person).ok_or(BookFault::Unknown)?;
    Ok(of.0)
}

/// Asks for a change of the address book, and waits until it is stored.
async fn change_book(
    peer: &Peer,
    job: impl FnOnce(&mut Machine, chumwire::time::Now) -> Result<Ticket, BookFault> + Send + 'static,
) -> Result<(), Failure> {
    let notices = peer.subscribe();
    let ticket = peer.with_all(job).await?.map_err(refused)?;
    outcome(&notices, ticket).await
}

async fn outcome(notices: &Receiver<Notice>, ticket: Ticket) -> Result<(), Failure> {
    while let Ok(notice) = notices.recv().await {
        match notice {
            Notice::Book(BookEvent::Changed(of)) if of == ticket => return Ok(()),
            Notice::Book(BookEvent::Refused(of, fault)) if of == ticket => {
                return Err(refused(fault));
            }
            Notice::Book(BookEvent::NotStored(of)) if of == ticket => return Err(not_stored()),
            _ => {}
        }
    }
    Err(Failure::new("stopped", "this instance is shutting down"))
}

fn refused(fault: BookFault) -> Failure {
    let kind = match fault {
        BookFault::Unknown => return misuse(&chumwire::node::Misuse::NotPaired),
        BookFault::Same => "one_contact",
        BookFault::NotInIt => "not_in_contact",
        BookFault::NobodyLeft => "nobody_left",
        _ => "misuse",
    };
    Failure::new(kind, fault)
}

/// Tells of the contact that a person is in.
async fn tell(peer: &Peer, person: PersonId, emit: &Emit) -> Result<(), Failure> {
    let event = peer
        .with_all(move |machine, _| {
            let (id, someone) = machine.book().of_person(person)?;
            Some(Event::Someone {
                someone_id: id.to_string(),
                persons: someone
                    .contacts()
                    .map(|(person, _)| person.to_string())
                    .collect(),
                emails: someone
                    .contacts()
                    .map(|(_, member)| member.email.clone())
                    .collect(),
            })
        })
        .await?;
    event.into_iter().for_each(|event| emit(event));
    Ok(())
}
