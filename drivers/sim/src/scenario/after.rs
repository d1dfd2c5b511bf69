//! What has to come after every script, whatever happened: the faults stop, the clocks run on, and all is connected
//! or closed within a bounded time; then the nodes go, and leave nothing.

use chumwire::pairing::InvitationState;
use chumwire::step::Step;
use chumwire::time::Micros;

use super::stage::{Stage, Who};
use super::{Stop, look};
use crate::insecure::Insecure;
use crate::link::{Faults, Profile};
use crate::party::PartyId;
use crate::world::World;

/// The longest that anything may take to be noticed: a relayed pair with nothing moving, the delay until the next
/// attempt, and its steps.
const BOUND: Micros = Micros::secs(150);

/// Runs it.
pub(super) fn after(stage: &mut Stage) -> Result<(), Stop> {
    let nodes = stage.parties(Who::Ours);
    stage.world.set_profile(Profile::default());
    let links: Vec<_> = stage.world.links().map(|link| link.id).collect();
    for link in links {
        stage.world.set_faults(link, Faults::default());
    }
    // What is on its way may still do harm.
    stage.world.run_for(Micros::secs(5))?;
    let relays: Vec<PartyId> = stage.world.party("relay").into_iter().collect();
    for id in nodes.iter().chain(&relays) {
        if !stage.world.is_up(*id) {
            stage.world.restart(*id);
        }
    }
    let settled = {
        let nodes = nodes.clone();
        move |world: &World<Insecure>| nodes.iter().all(|id| unsettled(world, *id).is_none())
    };
    if !stage.world.run_until(BOUND, settled)? {
        let hint: Vec<String> = nodes
            .iter()
            .filter_map(|id| unsettled(&stage.world, *id))
            .collect();
        return Err(Stop::Unmet(format!("all is over or connected: {hint:?}")));
    }
    for id in &nodes {
        let node = stage.world.node(*id);
        let held = node.invitations().any(|(_, state)| {
            matches!(state, InvitationState::Held(conn)
                if node.connections().all(|info| info.conn != conn))
        });
        if held {
            let name = stage.world.name(*id);
            return Err(Stop::Unmet(format!(
                "{name}: an invitation is held by nobody"
            )));
        }
    }
    for id in &nodes {
        let Ok(()) = stage.world.call(*id, "shutdown", |node, now| {
            node.shutdown(now);
            Ok::<(), core::convert::Infallible>(())
        });
    }
    stage.world.run_for(Micros::secs(10))?;
    for id in &nodes {
        if stage.world.is_up(*id) && !stage.world.node(*id).is_idle() {
            let name = stage.world.name(*id);
            return Err(Stop::Unmet(format!(
                "{name}: something is left after the end"
            )));
        }
    }
    for id in &relays {
        let up = stage.parties(Who::Deployed).is_empty() && stage.relay_is_undisturbed();
        if up && !look::is_quiet(&stage.world) {
            stage.world.run_for(BOUND)?;
        }
        stage
            .world
            .relay(*id)
            .self_check()
            .map_err(|what| Stop::Unmet(what.into()))?;
        if up && !look::is_quiet(&stage.world) {
            return Err(Stop::Unmet("the relay holds a session of nobody".into()));
        }
    }
    Ok(())
}

/// What keeps a node from being settled.
fn unsettled(world: &World<Insecure>, id: PartyId) -> Option<String> {
    if !world.is_up(id) {
        return Some(format!("{} is down", world.name(id)));
    }
    world
        .node(id)
        .connections()
        .find(|info| !matches!(info.step, Step::Spare | Step::Connected))
        .map(|info| format!("{} {} in step {}", world.name(id), info.conn, info.step))
}
