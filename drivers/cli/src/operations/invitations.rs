//! Open invitations: to list and to take back.

use chumwire::hex;
use chumwire::pairing::{InvitationRecord, InvitationState};

use super::Emit;
use super::contacts::PREFIX;
use crate::event::Event;
use crate::failure::Failure;
use crate::peer::{Notice, Peer};

pub(super) async fn list(peer: &Peer, emit: &Emit) -> Result<(), Failure> {
    let open = open(peer).await?;
    for record in &open {
        emit(Event::open_invitation(record));
    }
    emit(Event::Invitations { count: open.len() });
    Ok(())
}

pub(super) async fn revoke(peer: &Peer, which: &str, emit: &Emit) -> Result<(), Failure> {
    let prefix = which.to_ascii_lowercase();
    let found: Vec<InvitationRecord> = open(peer)
        .await?
        .into_iter()
        .filter(|record| prefix.len() >= PREFIX && hex::encode(&record.id.0).starts_with(&prefix))
        .collect();
    match found.as_slice() {
        [one] => take_back(peer, std::slice::from_ref(one), emit).await,
        [] => Err(Failure::new(
            "no_invitation",
            format_args!("no open invitation is {which}; `chumwire invitations` lists them"),
        )),
        _ => Err(Failure::new(
            "ambiguous",
            format_args!("{which} is more than one invitation; give more digits"),
        )),
    }
}

pub(super) async fn revoke_all(peer: &Peer, emit: &Emit) -> Result<(), Failure> {
    let open = open(peer).await?;
    take_back(peer, &open, emit).await
}

async fn take_back(peer: &Peer, which: &[InvitationRecord], emit: &Emit) -> Result<(), Failure> {
    for record in which {
        let id = record.id;
        peer.change(move |node, now| node.revoke(now, id)).await?;
        peer.tell(&Notice::Revoked(id));
    }
    emit(Event::Revoked { count: which.len() });
    Ok(())
}

async fn open(peer: &Peer) -> Result<Vec<InvitationRecord>, Failure> {
    peer.with(|node, now| {
        node.invitations()
            .filter(|(record, state)| {
                let alive = matches!(state, InvitationState::Open | InvitationState::Held(_));
                alive && record.expires > now.wall
            })
            .map(|(record, _)| record.clone())
            .collect()
    })
    .await
}
