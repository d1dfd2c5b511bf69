//! To look at what a contact lets this home see.

use std::time::Duration;

use chumwire::establish::Group;
use chumwire::hex;
use chumwire::node::{Event as NodeEvent, Purpose};
use chumwire::objects::PersonId;
use chumwire_async_std::async_std::future::timeout;

use super::Emit;
use super::contacts::find;
use crate::event::Event;
use crate::failure::Failure;
use crate::peer::{Notice, Peer, misuse};

/// A contact that is there answers sooner.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn debug(peer: &Peer, who: &str, emit: &Emit) -> Result<(), Failure> {
    let (person, _) = find(peer, who).await?;
    let notices = peer.subscribe();
    look(peer, person).await?;
    let looking = timeout(LIMIT, async {
        while let Ok(notice) = notices.recv().await {
            match notice {
                Notice::Accessible(of, roots) if of == person => return Ok(roots),
                Notice::Node(NodeEvent::Ended {
                    purpose: Purpose::Route(of, Group::Debug),
                    fault: Some(fault),
                    ..
                }) if of == person => {
                    return Err(Failure::of_look(&fault));
                }
                _ => {}
            }
        }
        Err(Failure::new("stopped", "this instance is shutting down"))
    })
    .await;
    peer.with(move |node, now| node.disconnect(now, person, &Group::Debug))
        .await?;
    let roots = looking.map_err(|_| {
        Failure::new(
            "timeout",
            "the contact did not answer; is it online, with --serve-debug?",
        )
    })??;
    for root in &roots {
        emit(Event::Accessible {
            shape: root.shape().word().into(),
            hash: hex::encode(root.reference().bytes()),
            kind: root.type_name().into(),
        });
    }
    emit(Event::AccessibleObjects {
        person_id: person.to_string(),
        count: roots.len(),
    });
    Ok(())
}

/// Dials the contact, to look.
async fn look(peer: &Peer, person: PersonId) -> Result<(), Failure> {
    peer.with(move |node, now| node.connect(now, person, Group::Debug))
        .await?
        .map_err(|error| misuse(&error))
}
