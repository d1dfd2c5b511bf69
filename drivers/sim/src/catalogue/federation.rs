//! Two instances on one machine, as a browser and a node are: they meet at a local socket, and the
//! invitation goes by a side channel.

use chumwire::crypto::Random;
use chumwire::establish::Group;
use chumwire::identity::Identity;
use chumwire::time::Micros;

use crate::Insecure;
use crate::scenario::{
    Scenario, Stage, Stop, Truth, Via, connected, heard_texts, last_code, pairings,
};

pub(super) const FEDERATION: Scenario = Scenario {
    name: "federation",
    about: "an instance invites another one on its machine, to a local socket; the same person tries first; either is restarted",
    required: "the same person is refused and told; both are contacts, stay connected, and meet again after a restart of either",
    script,
};

fn script(stage: &mut Stage) -> Result<Truth, Stop> {
    let node = stage.ours_with("node", Via::Direct, |config| {
        config.serve.insert(Group::Chum);
    });
    let browser = stage.ours_with("browser", Via::Direct, |config| {
        config.serve.insert(Group::Chum);
        // A browser cannot be dialled.
        config.url = None;
    });
    let twin = stage.ours_with("twin", Via::Direct, |config| {
        let mut random = Random::new([9; 32]);
        let same = Identity::generate::<Insecure>(&mut random, "node@example.org", "twin");
        if let Ok(same) = same {
            config.identity = same.into();
        }
    });
    // By a side channel each gets an invitation that names the local socket.
    let (first, second) = (
        stage.invite(node, "ws://node")?,
        stage.invite(node, "ws://node")?,
    );
    stage.join(twin, &first)?;
    stage.run(2_000)?;
    stage.equal(
        &last_code(&stage.world, twin),
        &Some("same_person"),
        "the twin is told",
    )?;
    stage.join(browser, &second)?;
    let paired = stage.until(30_000, |world| {
        [node, browser].iter().all(|id| pairings(world, *id) == 1)
    })?;
    stage.require(paired, "two persons pair")?;
    let [of_node, of_browser] = [
        stage.node(node)?.identity().person_id(),
        stage.node(browser)?.identity().person_id(),
    ];
    for (id, other) in [(node, of_browser), (browser, of_node)] {
        let known = stage.node(id)?.contacts().any(|of| of.person_id == other);
        stage.require(known, "each is the other one's contact")?;
    }
    stage.connect(browser, of_node)?;
    stage.run(3_000)?;
    let one = |stage: &Stage| [node, browser].map(|id| connected(&stage.world, id).len());
    stage.equal(&one(stage), &[1, 1], "connections")?;
    let victim = stage.one_of(&["the node", "the browser"]);
    let id = if victim == "the node" { node } else { browser };
    let away = Micros::millis(stage.pick(20) as u64 * 500);
    stage.world.crash(id);
    stage.run(away.as_millis())?;
    stage.world.restart(id);
    if id == browser {
        stage.connect(browser, of_node)?;
    }
    // Five seconds, twice that at most; ten more for each attempt that found nobody. What a crashed party told of its
    // connections stands still: the last one is the one that is there.
    stage.run(45_000)?;
    let (from, to) = (
        connected(&stage.world, node).last().copied(),
        connected(&stage.world, browser).last().copied(),
    );
    let (from, to) = (
        stage.some(from, "a connection")?,
        stage.some(to, "a connection")?,
    );
    stage.says(node, from, "still here")?;
    stage.run(1_000)?;
    let heard = heard_texts(&stage.world, browser, to);
    stage.equal(&heard, &vec!["still here".to_owned()], "the browser hears")?;
    Ok(Truth::of(&["same_person", "party_crashed", "unreachable"]))
}
