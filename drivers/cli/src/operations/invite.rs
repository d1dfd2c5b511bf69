//! To invite somebody: be reachable, make the invitation, wait until somebody has used it.

use std::collections::VecDeque;
use std::time::Duration;

use async_channel::{Receiver, RecvError};
use chumwire::fault::Fault;
use chumwire::node::Event as NodeEvent;
use chumwire::pairing::InvitationId;
use chumwire::time::{Micros, Millis};
use chumwire_async_std::async_std::future::timeout;

use super::Emit;
use crate::control::Invite;
use crate::event::Event;
use crate::failure::Failure;
use crate::log;
use crate::peer::{Notice, Peer};

/// How long a finished pairing may take to close its connection. The node itself is quicker.
const GOODBYE: Duration = Duration::from_secs(15);
/// How many connections that ended lately are remembered.
const REMEMBERED: usize = 16;

pub(super) async fn invite(peer: &Peer, how: Invite, emit: &Emit) -> Result<(), Failure> {
    let mut ear = Ear {
        notices: peer.subscribe(),
        emit,
        offline: false,
    };
    let reachable = be_reachable(peer, &how, &mut ear).await?;
    let url = how.url.unwrap_or(reachable);
    let life = Micros::secs(how.expires);
    let (invitation, expires) = peer
        .change(move |node, now| {
            let invitation = node.invite(now, life, &url)?;
            Ok((
                invitation,
                Millis(now.wall.0.saturating_add(life.as_millis())),
            ))
        })
        .await?;
    emit(Event::invitation(&invitation, expires)?);
    let result = wait_for(invitation.id(), &mut ear).await;
    if how.linger > 0 {
        if result.is_err() {
            log::warn(format_args!(
                "the invitation has ended; staying for {} s",
                how.linger
            ));
        }
        let lingering = async { while ear.hear().await.is_ok() {} };
        let _ = timeout(Duration::from_secs(how.linger), lingering).await;
    }
    result
}

/// Gives the URL at which this instance can be reached by now.
async fn be_reachable(peer: &Peer, how: &Invite, ear: &mut Ear<'_>) -> Result<String, Failure> {
    if let Some(place) = &how.listen {
        let url = peer.listen(place).await?;
        peer.set_direct(how.url.as_ref().unwrap_or(&url)).await?;
        return Ok(url);
    }
    let (relay, online) = match how.relay.clone() {
        Some(relay) => (relay.clone(), go_online(peer, relay).await?),
        None => match peer
            .with(|node, _| node.relay().map(|r| (r.into(), node.is_online())))
            .await?
        {
            Some(relay) => relay,
            None => {
                let way =
                    "how can this instance be reached? Give --relay URL or --listen HOST:PORT";
                return peer.direct().ok_or_else(|| Failure::usage(way));
            }
        },
    };
    if !online {
        if let Some((url, fault)) = peer.offline().filter(|(url, _)| *url == relay) {
            ear.offline(url, &fault);
        }
        loop {
            match ear.hear().await {
                Ok(Notice::Node(NodeEvent::Online { url })) if url == relay => break,
                Ok(_) => {}
                Err(_) => return Err(stopped()),
            }
        }
    }
    Ok(relay)
}

/// Listens at a relay, unless this instance does already. Tells whether it is registered there.
pub(crate) async fn go_online(peer: &Peer, relay: String) -> Result<bool, Failure> {
    let wanted = relay;
    // Whoever can dial this instance directly does not need its relay.
    let tell_peers = peer.direct().is_none();
    let other = peer
        .change(move |node, now| {
            if let Some(other) = node.relay().filter(|other| **other != wanted) {
                return Ok(Some(other.to_owned()));
            }
            node.listen(now, Some(&wanted))?;
            if tell_peers {
                node.set_url(now, Some(wanted))?;
            }
            Ok(None)
        })
        .await?;
    if let Some(other) = other {
        return Err(Failure::new(
            "other_relay",
            format_args!("this instance waits at {other} already; invite without --relay"),
        ));
    }
    peer.with(|node, _| node.is_online()).await
}

async fn wait_for(invitation: InvitationId, ear: &mut Ear<'_>) -> Result<(), Failure> {
    // A peer that closes while its contact is being stored is heard of first.
    let mut ended = VecDeque::with_capacity(REMEMBERED);
    loop {
        match ear.hear().await.map_err(|RecvError| stopped())? {
            Notice::Node(NodeEvent::Ended { conn, .. }) => {
                ended.truncate(REMEMBERED - 1);
                ended.push_front(conn);
            }
            Notice::Node(NodeEvent::Paired {
                conn,
                role,
                contact,
                invitation: Some(used),
            }) if used == invitation => {
                (ear.emit)(Event::paired(role, &contact));
                // The other side closes when it, too, has stored the contact.
                let closing = async {
                    while let Ok(notice) = ear.hear().await {
                        if matches!(notice, Notice::Node(NodeEvent::Ended { conn: ended, .. }) if ended == conn)
                        {
                            break;
                        }
                    }
                };
                if !ended.contains(&conn) {
                    let _ = timeout(GOODBYE, closing).await;
                }
                return Ok(());
            }
            Notice::Node(NodeEvent::Expired(id)) if id == invitation => {
                return Err(Failure::new(
                    "invitation_expired",
                    "nobody has used the invitation in time; make a new one, --expires gives it more seconds",
                ));
            }
            Notice::Revoked(id) if id == invitation => {
                return Err(Failure::new(
                    "invitation_revoked",
                    "the invitation was taken back",
                ));
            }
            _ => {}
        }
    }
}

/// Hears what the node tells. That this instance cannot be reached is told at once, and when it can be again; the
/// first time, the invitation itself tells.
struct Ear<'a> {
    notices: Receiver<Notice>,
    emit: &'a Emit,
    offline: bool,
}

impl Ear<'_> {
    async fn hear(&mut self) -> Result<Notice, RecvError> {
        let notice = self.notices.recv().await?;
        match &notice {
            Notice::Node(NodeEvent::Online { url }) if self.offline => {
                self.offline = false;
                (self.emit)(Event::Online { url: url.clone() });
            }
            Notice::Node(NodeEvent::Offline { url, fault }) => self.offline(url.clone(), fault),
            _ => {}
        }
        Ok(notice)
    }

    /// Tells it once.
    fn offline(&mut self, url: String, fault: &Fault) {
        if !std::mem::replace(&mut self.offline, true) {
            (self.emit)(Event::offline(url, fault));
        }
    }
}

fn stopped() -> Failure {
    Failure::new("stopped", "this instance is shutting down")
}
