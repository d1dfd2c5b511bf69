//! Attacks of strangers on the handshake and the establishment.

use chumwire::crypto::{Random, Suite};
use chumwire::fault::Why;
use chumwire::limits::HALF_OPEN;
use chumwire::step::Step;

use super::GROUP;
use crate::Insecure;
use crate::deployed::boxed;
use crate::scenario::{Scenario, Stage, Stop, Truth, Via, Who, config, ends, is_quiet, pairings};
use crate::stranger::{Stranger, hex, stranger_key, stranger_request};

/// What a stranger says who claims to be somebody: the person, and its keys.
pub(crate) fn claim() -> [String; 2] {
    let victim = config::<Insecure>("victim").identity;
    let (person, keys) = (victim.person(), victim.person_keys());
    [
        format!(
            r#"{{"command":"person_id_object","obj":{{"$type$":"Person","email":"{}"}}}}"#,
            person.email
        ),
        format!(
            r#"{{"command":"keys_object","obj":{{"$type$":"Keys","owner":"{}","publicKey":"{}","publicSignKey":"{}"}}}}"#,
            keys.owner,
            keys.public_key.hex(),
            hex(&keys.sign_key.0)
        ),
    ]
}

pub(super) const CHALLENGE_REFLECTION: Scenario = Scenario {
    name: "challenge-reflection",
    about: "a stranger hands a node's own challenge back on a second connection",
    required: "a reflected challenge on both, nobody authenticated",
    script: |stage| {
        let who = stage.one_of(&[Who::Ours, Who::Deployed]);
        let alice = stage.either("alice", who, Via::Direct);
        let mallory = stage.world.add_puppet("mallory");
        let key = stage.instance_key(alice)?;
        let [person, keys] = claim();
        // As initiator, up to Alice's challenge.
        let one = Stranger::dials(&mut stage.world, mallory, "ws://alice", &key);
        let mut one = stage.stuck(one)?;
        let sent = one.says(&mut stage.world, GROUP);
        stage.stuck(sent)?;
        for text in [&person, &keys] {
            let heard = one.hears(&mut stage.world);
            stage.stuck(heard)?;
            let sent = one.says(&mut stage.world, text);
            stage.stuck(sent)?;
        }
        for _ in 0..1 {
            let heard = one.hears(&mut stage.world);
            stage.stuck(heard)?;
        }
        let challenge = one.hears(&mut stage.world);
        let challenge = stage.stuck(challenge)?;
        stage.equal(&challenge.len(), &104, "bytes of a challenge")?;
        // As acceptor, up to the same point.
        let invitation = format!(
            r#"{{"token":"{}","publicKey":"{}","url":"ws://mallory"}}"#,
            "t".repeat(64),
            stranger_key::<Insecure>().public().hex()
        );
        stage.join(alice, &invitation)?;
        // The deployed peer shows its person key in a pairing.
        let source = match who {
            Who::Ours => key,
            Who::Deployed => {
                stage.running(alice)?;
                *stage.world.deployed(alice).person_key()
            }
        };
        let two = Stranger::answers(&mut stage.world, mallory, &source);
        let mut two = stage.stuck(two)?;
        let heard = two.hears(&mut stage.world);
        stage.stuck(heard)?;
        for text in [r#"{"command":"sync"}"#, &person, &keys] {
            let sent = two.says(&mut stage.world, text);
            stage.stuck(sent)?;
        }
        for _ in 0..2 {
            let heard = two.hears(&mut stage.world);
            stage.stuck(heard)?;
        }
        let sent = two.says_binary(&mut stage.world, &challenge);
        stage.stuck(sent)?;
        match who {
            Who::Ours => refused(stage, alice),
            Who::Deployed => authenticated(stage, &mut one, &mut two),
        }
    },
};

fn refused(stage: &mut Stage, alice: crate::PartyId) -> Result<Truth, Stop> {
    stage.run(500)?;
    let ended: Vec<Option<Why>> = ends(&stage.world, alice)
        .into_iter()
        .map(|(_, fault)| fault.map(|fault| fault.why))
        .collect();
    let due = vec![Some(Why::ReflectedChallenge); 2];
    stage.equal(&ended, &due, "the connections ended")?;
    let known = stage.node(alice)?.contacts().count();
    stage.equal(&known, &0, "contacts")?;
    stage.require(is_quiet(&stage.world), "nothing is left")?;
    Ok(Truth::of(&["challenge_reflected"]))
}

/// A peer that does not look for it answers itself, and takes the stranger for whom it claims to be.
fn authenticated(
    stage: &mut Stage,
    one: &mut Stranger<Insecure>,
    two: &mut Stranger<Insecure>,
) -> Result<Truth, Stop> {
    let answer = two.hears(&mut stage.world);
    let answer = stage.stuck(answer)?;
    let sent = one.says_binary(&mut stage.world, &answer);
    stage.stuck(sent)?;
    // Now the stranger is to challenge: what it is challenged with on the other connection.
    let challenge = two.hears(&mut stage.world);
    let challenge = stage.stuck(challenge)?;
    let sent = one.says_binary(&mut stage.world, &challenge);
    stage.stuck(sent)?;
    let answer = one.hears(&mut stage.world);
    let answer = stage.stuck(answer)?;
    let sent = two.says_binary(&mut stage.world, &answer);
    stage.stuck(sent)?;
    for stranger in [one, two] {
        let instance = stranger.hears(&mut stage.world);
        let instance = stage.stuck(instance)?;
        let instance = String::from_utf8_lossy(&instance).contains("instance_id_object");
        stage.require(instance, "the double goes on to the instance")?;
    }
    Ok(Truth::of(&["challenge_reflected"]))
}

pub(super) const HALF_OPEN_REPLAY: Scenario = Scenario {
    name: "half-open-replay",
    about: "an old key message is replayed, many times",
    required: "times out, counted and bounded, nothing leaks",
    script: |stage| {
        let alice = stage.ours("alice", Via::Direct);
        let mallory = stage.world.add_puppet("mallory");
        let key = stage.instance_key(alice)?;
        let request = stranger_request::<Insecure>(&key);
        let pair = Insecure::before(&key, stranger_key::<Insecure>().expose_secret());
        let pair = stage.some(pair.ok(), "a good key")?;
        let old = boxed(&pair, &mut Random::new([1; 32]), &[8; 32]);
        let times = HALF_OPEN + 1 + stage.pick(100);
        for _ in 0..times {
            stage.play(mallory, |puppet| {
                let conn = puppet.dial("ws://alice");
                puppet.text(conn, &request);
                puppet.binary(conn, &old);
            })?;
        }
        stage.run(1_000)?;
        stage.equal(&stage.world.links().count(), &HALF_OPEN, "connections")?;
        let refused = stage.node(alice)?.stats().refused;
        stage.equal(
            &refused,
            &((times - HALF_OPEN) as u64),
            "connections refused",
        )?;
        stage.run(11_000)?;
        stage.require(is_quiet(&stage.world), "nothing is left")?;
        let ended = ends(&stage.world, alice);
        stage.equal(&ended.len(), &HALF_OPEN, "sessions")?;
        for (_, fault) in ended {
            let due = Some(Why::Timeout.at(Step::Group));
            stage.equal(&fault, &due, "a session ends")?;
        }
        // There is room again.
        let bob = stage.ours("bob", Via::Direct);
        let meeting = stage.meeting_of(Via::Direct, alice, bob)?;
        stage.pair(&meeting)?;
        stage.equal(&pairings(&stage.world, alice), &1, "pairings")?;
        Ok(Truth::of(&["replayed_key_message"]))
    },
};
