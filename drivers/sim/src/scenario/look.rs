//! What can be seen of a world by those who judge it.

use chumwire::channel::Diagnosis;
use chumwire::crypto::Suite;
use chumwire::fault::Fault;
use chumwire::io::ConnId;
use chumwire::node::Event;
use chumwire::relay::RelayStats;

use crate::deployed::DeployedEvent;
use crate::party::{PartyId, Told};
use crate::world::World;

/// How often a party has told that it has paired.
#[must_use]
pub fn pairings<S: Suite>(world: &World<S>, id: PartyId) -> usize {
    let ours = world
        .events(id)
        .filter(|event| matches!(event, Event::Paired { .. }))
        .count();
    let theirs = world
        .deployed_events(id)
        .filter(|event| matches!(event, DeployedEvent::Paired { .. }))
        .count();
    ours + theirs
}

/// How a node's connections have ended, spare ones that were never used aside.
#[must_use]
pub fn ends<S: Suite>(world: &World<S>, id: PartyId) -> Vec<(ConnId, Option<Fault>)> {
    world
        .events(id)
        .filter_map(|event| match event {
            Event::Ended {
                conn,
                role: Some(_),
                fault,
                ..
            } => Some((*conn, fault.clone())),
            _ => None,
        })
        .collect()
}

/// How one connection of a node has ended.
#[must_use]
pub fn end_of<S: Suite>(world: &World<S>, id: PartyId, of: ConnId) -> Option<Option<Fault>> {
    world.events(id).find_map(|event| match event {
        Event::Ended { conn, fault, .. } if *conn == of => Some(fault.clone()),
        _ => None,
    })
}

/// The code of the cause by which one connection of a node has ended; `good` if there was none.
#[must_use]
pub fn code_of<S: Suite>(world: &World<S>, id: PartyId, of: ConnId) -> Option<&'static str> {
    end_of(world, id, of).map(|fault| fault.map_or("good", |fault| fault.why.code()))
}

/// The code of the cause of the last session that ended with one.
#[must_use]
pub fn last_code<S: Suite>(world: &World<S>, id: PartyId) -> Option<&'static str> {
    ends(world, id)
        .into_iter()
        .rev()
        .find_map(|(_, fault)| fault)
        .map(|fault| fault.why.code())
}

/// What a node told last of a frame that ended a connection.
#[must_use]
pub fn last_diagnosis<S: Suite>(world: &World<S>, id: PartyId) -> Option<Diagnosis> {
    world.events(id).rev().find_map(|event| match event {
        Event::Diagnosed { diagnosis, .. } => Some(*diagnosis),
        _ => None,
    })
}

/// Connections of a node that are established now.
#[must_use]
pub fn connected<S: Suite>(world: &World<S>, id: PartyId) -> Vec<ConnId> {
    let mut now = Vec::new();
    for event in world.events(id) {
        match event {
            Event::Connected { conn, .. } => now.push(*conn),
            Event::Ended { conn, .. } => now.retain(|c| c != conn),
            _ => {}
        }
    }
    now
}

/// The texts that a node's embedder was given on a connection, in their order.
#[must_use]
pub fn heard_texts<S: Suite>(world: &World<S>, id: PartyId, of: ConnId) -> Vec<String> {
    world
        .told()
        .iter()
        .filter_map(|(_, party, told)| match told {
            Told::Message(conn, bytes) if *party == id && *conn == of => {
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
            _ => None,
        })
        .collect()
}

/// A relay's counters; all zero while it does not run.
#[must_use]
pub fn relay_stats<S: Suite>(world: &World<S>, relay: PartyId) -> RelayStats {
    match world.is_up(relay) {
        true => world.relay(relay).stats(),
        false => RelayStats::default(),
    }
}

/// No session is left anywhere: every link belongs to a spare connection.
#[must_use]
pub fn is_quiet<S: Suite>(world: &World<S>) -> bool {
    match world.party("relay").filter(|relay| world.is_up(*relay)) {
        None => world.links().next().is_none(),
        Some(relay) => {
            let stats = relay_stats(world, relay);
            stats.relayed + stats.waiting + stats.picked + stats.handed + stats.ending == 0
        }
    }
}

/// Watches a node: an invitation pairs once, and what is told and known is stored.
pub fn watch<S: Suite>(world: &mut World<S>, id: PartyId) {
    let seen = core::cell::Cell::new(0);
    let used = core::cell::RefCell::new(Vec::new());
    world.always(move |world| {
        // What was told before was looked at then.
        let told = world.told();
        for (_, party, told) in &told[seen.replace(told.len())..] {
            let Told::Node(Event::Paired {
                invitation: Some(invitation),
                ..
            }) = told
            else {
                continue;
            };
            if *party != id {
                continue;
            }
            if used.borrow().contains(invitation) {
                return Err(format!("{id}: an invitation was used twice"));
            }
            if !world.store(id).spent().contains(invitation) {
                return Err(format!("{id}: paired before it was stored"));
            }
            used.borrow_mut().push(*invitation);
        }
        if !world.is_up(id) {
            return Ok(());
        }
        for contact in world.node(id).contacts() {
            let stored = world.store(id).contacts().get(&contact.person_id);
            let instances = |c: &chumwire::contact::Contact| -> Vec<_> {
                c.instances
                    .iter()
                    .map(|i| (i.instance_id, i.instance_key))
                    .collect()
            };
            if stored.map(instances) != Some(instances(contact)) {
                return Err(format!("{id}: a contact that is not stored"));
            }
        }
        Ok(())
    });
}
