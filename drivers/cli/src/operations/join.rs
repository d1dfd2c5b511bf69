//! To use an invitation.

use chumwire::node::{Event as NodeEvent, Record};
use chumwire::pairing::Invitation;

use super::Emit;
use crate::event::Event;
use crate::failure::Failure;
use crate::peer::{Notice, Peer, not_stored};

pub(super) async fn join(peer: &Peer, text: &str, emit: &Emit) -> Result<(), Failure> {
    let invitation = Invitation::read(text).map_err(|error| {
        let next = "copy all of it, the braces or the link";
        Failure::new("bad_invitation", format_args!("{error}; {next}"))
    })?;
    let url = invitation.url().to_owned();
    let notices = peer.subscribe();
    let mine = peer
        .change(move |node, now| node.join(now, &invitation))
        .await?;
    let (mut paired, mut stored) = (false, true);
    while let Ok(notice) = notices.recv().await {
        match notice {
            Notice::Node(NodeEvent::Paired {
                conn,
                role,
                contact,
                ..
            }) if conn == mine => {
                paired = true;
                emit(Event::paired(role, &contact));
            }
            Notice::Node(NodeEvent::StoreFailed(Record::Paired { .. })) => stored = false,
            Notice::Node(NodeEvent::Ended { conn, fault, .. }) if conn == mine => {
                return match fault {
                    _ if paired => Ok(()),
                    _ if !stored => Err(not_stored()),
                    Some(fault) => Err(Failure::of_join(&url, &fault)),
                    None => Err(Failure::new(
                        "stopped",
                        "the connection ended without a pairing",
                    )),
                };
            }
            _ => {}
        }
    }
    Err(Failure::new("stopped", "this instance is shutting down"))
}
