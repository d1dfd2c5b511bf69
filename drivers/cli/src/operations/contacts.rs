//! Contacts: to list and to forget.

use chumwire::contact::Contact;
use chumwire::objects::PersonId;

use super::Emit;
use crate::event::Event;
use crate::failure::Failure;
use crate::peer::Peer;

/// The fewest digits of an id that stand for it.
pub(super) const PREFIX: usize = 8;

pub(super) async fn list(peer: &Peer, emit: &Emit) -> Result<(), Failure> {
    let contacts: Vec<(Contact, bool)> = peer
        .with_all(|machine, _| {
            let online = |contact: &Contact| {
                machine
                    .chums()
                    .any(|(_, person, _)| person == contact.person_id)
            };
            let contacts = machine.node().contacts();
            contacts.map(|c| (c.clone(), online(c))).collect()
        })
        .await?;
    for (contact, online) in &contacts {
        let synced = peer.home().last_synced(contact.person_id)?;
        emit(Event::contact(contact, *online, synced));
    }
    emit(Event::Contacts {
        count: contacts.len(),
    });
    Ok(())
}

/// The contact that is meant: by its email, or the first digits of its id.
pub(super) async fn find(peer: &Peer, who: &str) -> Result<(PersonId, String), Failure> {
    let contacts: Vec<(PersonId, String)> = peer
        .with(|node, _| {
            node.contacts()
                .map(|c| (c.person_id, c.email.clone()))
                .collect()
        })
        .await?;
    let prefix = who.to_ascii_lowercase();
    let found: Vec<_> = contacts
        .into_iter()
        .filter(|(person, email)| {
            email == who || prefix.len() >= PREFIX && person.to_string().starts_with(&prefix)
        })
        .collect();
    let [(person, email)] = found.as_slice() else {
        return Err(if found.is_empty() {
            let next = "`chumwire contacts` lists them";
            Failure::new("not_paired", format_args!("no contact is {who}; {next}"))
        } else {
            Failure::new(
                "ambiguous",
                format_args!("{who} is more than one contact; give more digits"),
            )
        });
    };
    Ok((*person, email.clone()))
}

pub(super) async fn forget(peer: &Peer, who: &str, emit: &Emit) -> Result<(), Failure> {
    let (person, email) = find(peer, who).await?;
    peer.objects().unshare_all(person)?;
    peer.change(move |node, now| node.forget(now, person))
        .await?;
    emit(Event::Forgotten {
        person_id: person.to_string(),
        email,
    });
    Ok(())
}
