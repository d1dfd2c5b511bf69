//! Two who dial each other at once.

use chumwire::establish::Group;
use chumwire::fault::Why;
use chumwire::node::Event;

use crate::deployed::DeployedEvent;
use crate::party::PartyId;
use crate::scenario::{Scenario, Stage, Stop, Truth, Via, Who, connected, heard_texts, pairings};

pub(super) const SIMULTANEOUS_DIAL: Scenario = Scenario {
    name: "simultaneous-dial",
    about: "both dial each other, directly or by relay",
    required: "between two of ours one connection is left, the same on both sides; against a deployed peer at least one, within two redials",
    script: |stage| match stage.one_of(&[Who::Ours, Who::Ours, Who::Deployed]) {
        Who::Ours => of_ours(stage),
        Who::Deployed => with_deployed(stage),
    },
};

/// The truth: duplicates, if there were any.
fn truth(stage: &mut Stage, ids: &[PartyId]) -> Truth {
    let duplicate = ids.iter().any(|id| {
        stage.world.events(*id).any(|event| {
            matches!(event, Event::Ended { fault: Some(fault), .. }
                if matches!(fault.why.code(), "duplicate" | "replaced")
                    || matches!(&fault.why, Why::ClosedByPeer { reason, .. }
                        if reason.contains("Duplicate") || reason.contains("replaced")))
        })
    });
    stage.note(if duplicate { "collided" } else { "one" }.into());
    match duplicate {
        true => Truth::of(&["duplicate_connection"]),
        false => Truth::nothing(),
    }
}

fn of_ours(stage: &mut Stage) -> Result<Truth, Stop> {
    let via = stage.one_of(&[Via::Direct, Via::Relay]);
    let (ids, contacts) = stage.friends_apart(via, None, true)?;
    let pause = stage.pick(4) as u64 * 25;
    for (id, contact) in ids.iter().zip(&contacts) {
        let person = contact.person_id;
        stage.connect(*id, person)?;
        stage.run(pause)?;
    }
    stage.run(30_000)?;
    let left = ids.map(|id| connected(&stage.world, id));
    stage.require(
        left.iter().all(|conns| conns.len() == 1),
        &format!("one connection is left: {left:?}"),
    )?;
    // It is the same one: what one says the other hears.
    let (a, b) = (left[0][0], left[1][0]);
    stage.says(ids[0], a, "the same one")?;
    stage.run(1_000)?;
    let heard = heard_texts(&stage.world, ids[1], b);
    stage.equal(
        &heard,
        &vec!["the same one".to_owned()],
        "the other one hears",
    )?;
    // And it stays.
    stage.run(30_000)?;
    stage.equal(
        &ids.map(|id| connected(&stage.world, id)),
        &left,
        "connections later",
    )?;
    Ok(truth(stage, &ids))
}

fn with_deployed(stage: &mut Stage) -> Result<Truth, Stop> {
    let ours_invites = stage.one_of(&["ours invites", "ours joins"]) == "ours invites";
    let alice = stage.ours_with("alice", Via::Direct, |config| {
        config.serve.insert(Group::Chum);
    });
    let bob = stage.deployed_with("bob", Via::Direct, |config| config.chum = true);
    let meeting = match ours_invites {
        true => stage.meeting_of(Via::Direct, alice, bob)?,
        false => stage.meeting_of(Via::Direct, bob, alice)?,
    };
    stage.join(meeting.joiner, &meeting.invitation)?;
    let paired = stage.until(30_000, |world| pairings(world, alice) == 1)?;
    stage.require(paired, "ours has paired")?;
    // Ours dials as soon as it has paired, so does the other one.
    let person = stage.node(alice)?.contacts().next().map(|c| c.person_id);
    let person = stage.some(person, "a contact")?;
    stage.connect(alice, person)?;
    // Within two redials.
    stage.run(21_000)?;
    let one = connected(&stage.world, alice).first().copied();
    let one = stage.some(one, "one connection at least")?;
    let told = stage
        .world
        .deployed_events(bob)
        .any(|event| matches!(event, DeployedEvent::Connected { .. }));
    stage.require(told, "the double is connected")?;
    let mut contacts = stage.node(alice)?.contacts();
    let proven = contacts.all(|c| c.instances.iter().all(|i| i.key_proven));
    drop(contacts);
    stage.require(proven, "the first chum connection proves the instance key")?;
    stage.says(alice, one, "hello")?;
    stage.run(60_000)?;
    stage.require(!connected(&stage.world, alice).is_empty(), "it stays")?;
    Ok(truth(stage, &[alice]))
}
