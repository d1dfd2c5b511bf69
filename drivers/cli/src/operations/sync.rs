//! Staying in step with all contacts, for good or once.

use std::collections::BTreeMap;
use std::time::Duration;

use async_channel::Receiver;
use chumwire::chum::ChumEvent;
use chumwire::establish::Group;
use chumwire::io::ConnId;
use chumwire::node::Event as NodeEvent;
use chumwire::objects::PersonId;
use chumwire_async_std::async_std::future::timeout;

use super::Emit;
use crate::event::Event;
use crate::failure::Failure;
use crate::log;
use crate::peer::{Notice, Peer};

/// Keeps a connection with every contact from now on, and with those that are won later. Who cannot be dialled may
/// dial. Gives all contacts.
///
/// # Errors
/// If the instance has stopped.
pub(crate) async fn keep_in_touch(peer: &Peer) -> Result<Vec<(PersonId, String)>, Failure> {
    peer.with_all(|machine, now| {
        for (person, error) in machine.keep_in_touch(now) {
            log::info(format_args!("{person} is not dialled: {error}"));
        }
        let contacts = machine.node().contacts();
        contacts
            .map(|of| (of.person_id, of.email.clone()))
            .collect()
    })
    .await
}

/// Keeps a connection with this contact.
///
/// # Errors
/// If the instance has stopped.
pub(crate) async fn keep_in_touch_with(peer: &Peer, person: PersonId) -> Result<(), Failure> {
    let dialled = peer
        .with(move |node, now| node.connect(now, person, Group::Chum))
        .await?;
    if let Err(error) = dialled {
        log::info(format_args!("{person} is not dialled: {error}"));
    }
    Ok(())
}

/// What is told of the CHUMs while an instance stays online.
#[derive(Default)]
pub(crate) struct Told {
    progress: (u64, u64),
}

impl Told {
    /// A CHUM has told something.
    pub(crate) fn hear(&mut self, person: PersonId, event: &ChumEvent, emit: &Emit) {
        let synced = |received, sent, failed| {
            emit(Event::Synced {
                person_id: person.to_string(),
                received,
                sent,
                failed,
            });
        };
        match event {
            ChumEvent::Stored { bytes, .. } => {
                self.progress.0 += 1;
                self.progress.1 += bytes;
                emit(Event::Progress {
                    objects: self.progress.0,
                    bytes: self.progress.1,
                });
            }
            ChumEvent::RoundEnded(round) if round.first || round.stored > 0 => {
                synced(round.stored, 0, round.failed + round.waiting);
            }
            ChumEvent::PeerQuiet { sent } if *sent > 0 => synced(0, *sent, 0),
            _ => {}
        }
    }
}

/// How far it is with one contact.
#[derive(Default)]
struct Progress {
    email: String,
    /// One for each device that is there.
    devices: BTreeMap<ConnId, Device>,
    done: bool,
}

/// How far it is with one device of it.
#[derive(Default)]
struct Device {
    /// The own importer has looked at everything.
    round: bool,
    failed: u64,
    /// The peer's importer is done, as far as that can be known.
    peer: bool,
}

/// Synchronises once with each contact that can be reached within the time.
///
/// # Errors
/// `nobody_reachable`
pub(crate) async fn once(
    peer: &Peer,
    notices: &Receiver<Notice>,
    limit: Duration,
    emit: &Emit,
) -> Result<(), Failure> {
    let contacts = keep_in_touch(peer).await?;
    let mut all: BTreeMap<PersonId, Progress> = contacts
        .into_iter()
        .map(|(person, email)| {
            let progress = Progress {
                email,
                ..Progress::default()
            };
            (person, progress)
        })
        .collect();
    let mut told = Told::default();
    let all_done = timeout(limit, async {
        while all.values().any(|progress| !progress.done) {
            match notices.recv().await {
                Ok(Notice::Chum(conn, person, event)) => {
                    if let ChumEvent::Stored { .. } = event {
                        told.hear(person, &event, emit);
                    }
                    let progress = all.entry(person).or_default();
                    hear(peer, conn, person, event, progress, emit).await?;
                }
                Ok(Notice::Node(NodeEvent::Offline { url, fault })) => {
                    emit(Event::offline(url, &fault));
                }
                Ok(_) => {}
                Err(_) => return Err(Failure::new("stopped", "this instance is shutting down")),
            }
        }
        Ok(())
    })
    .await;
    if let Ok(result) = all_done {
        return result;
    }
    for (person, progress) in all.iter().filter(|(_, progress)| !progress.done) {
        emit(Event::Unreachable {
            person_id: person.to_string(),
            email: progress.email.clone(),
        });
    }
    match all.values().any(|progress| progress.done) {
        true => Ok(()),
        false => Err(Failure::new(
            "nobody_reachable",
            format_args!(
                "no contact could be synchronised with within {} s; is one of them online, at the same relay?",
                limit.as_secs()
            ),
        )),
    }
}

async fn hear(
    peer: &Peer,
    conn: ConnId,
    person: PersonId,
    event: ChumEvent,
    progress: &mut Progress,
    emit: &Emit,
) -> Result<(), Failure> {
    let device = progress.devices.entry(conn).or_default();
    match event {
        ChumEvent::RoundEnded(round) => {
            device.round = true;
            device.failed = round.failed + round.waiting;
        }
        ChumEvent::PeerQuiet { .. } | ChumEvent::PeerDone => device.peer = true,
        ChumEvent::RemoteExporterEnded => device.round = true,
        ChumEvent::Ended { fault, log } => {
            // A peer that closes once it has everything is done, too.
            let is_done = device.round && fault.is_none();
            let failed = device.failed;
            progress.devices.remove(&conn);
            if is_done {
                if !progress.done {
                    emit(Event::Synced {
                        person_id: person.to_string(),
                        received: log.received.count(),
                        sent: log.sent.count(),
                        failed,
                    });
                }
                // Its other devices that are there are waited for.
                if progress.devices.is_empty() {
                    progress.done = true;
                    peer.with(move |node, now| node.disconnect(now, person, &Group::Chum))
                        .await?;
                }
            }
            return Ok(());
        }
        _ => return Ok(()),
    }
    if device.round && device.peer {
        // The last that is told of it has the numbers.
        let alone = progress.devices.len() == 1;
        peer.with(move |node, now| {
            if alone {
                node.disconnect(now, person, &Group::Chum);
            }
            node.close(now, conn);
        })
        .await?;
    }
    Ok(())
}
