//! Silence and counters at their ends.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use chumwire::channel::{
    COUNTER_END, Channel, ChannelConfig, Counter, Exhausted, FrameFault, Opener, Sealer,
};
use chumwire::crypto::{Random, RawKey, Secret, TAG};
use chumwire::fault::{Fault, Why};
use chumwire::io::{Kind, Message, Output};
use chumwire::role::Role;
use chumwire::time::{Micros, Millis, Now};

use crate::insecure::{Insecure, InsecureKey};
use crate::link::Side;
use crate::scenario::{Scenario, Stage, Stop, Truth, code_of, connected};

pub(super) const KEEPALIVE_EDGE: Scenario = Scenario {
    name: "keepalive-edge",
    about: "silence of 19.9, 20, 24.9 and 25 seconds, and clocks that jump",
    required: "a keepalive goes out at 20 s, the end comes at 25 s, a message at exactly 25 s is in time",
    script: |stage| {
        channel_edges(stage)?;
        connection_edges(stage)
    },
};

/// The two ends of a channel, on a clock of their own.
struct Ends {
    a: Channel<Insecure>,
    b: Channel<Insecure>,
}

impl Ends {
    fn new(config: &ChannelConfig) -> Self {
        let channel = |role, seed| {
            let key = Secret::take(&mut [7; 32]);
            let random = Random::new([seed; 32]);
            Channel::from_session_key(at(Micros::ZERO), key, role, random, config.clone())
        };
        Self {
            a: channel(Role::Initiator, 1),
            b: channel(Role::Acceptor, 2),
        }
    }
}

fn at(mono: Micros) -> Now {
    Now {
        mono,
        wall: Millis(0),
    }
}

/// What a channel wants: frames to send, or its end.
fn wanted(channel: &mut Channel<Insecure>) -> (Vec<Vec<u8>>, Option<Fault>) {
    let (mut frames, mut bytes) = (Vec::new(), Vec::new());
    loop {
        match channel.poll::<()>(&mut bytes) {
            Some(Output::Send(Kind::Binary)) => frames.push(bytes.clone()),
            Some(Output::Fault(fault)) => return (frames, Some(fault)),
            Some(_) => {}
            None => return (frames, None),
        }
    }
}

/// To the microsecond, which no world with links can do: two channels on a clock of their own.
fn channel_edges(stage: &mut Stage) -> Result<(), Stop> {
    let mut config = ChannelConfig::default();
    config.reorder_window = stage.window();
    let (send, end) = (Micros::secs(20), Micros::secs(25));
    for early in [Micros::millis(100), Micros(1)] {
        let Ends { mut a, mut b } = Ends::new(&config);
        a.tick(at(Micros(send.0 - early.0)));
        stage.equal(&wanted(&mut a), &(vec![], None), "just before 20 s")?;
        a.tick(at(send));
        let (frames, fault) = wanted(&mut a);
        stage.equal(&(frames.len(), fault), &(1, None), "at 20 s")?;
        b.tick(at(Micros(end.0 - early.0)));
        stage.equal(&wanted(&mut b).1, &None, "just before 25 s")?;
        // At the very end it is in time, if it comes before the tick.
        let taken = b.message(at(end), Message::Binary(&frames[0]));
        stage.require(taken.is_ok(), "a message is taken")?;
        b.tick(at(end));
        stage.equal(&wanted(&mut b).1, &None, "after a message at exactly 25 s")?;
        b.tick(at(Micros(2 * end.0 - early.0)));
        stage.equal(&wanted(&mut b).1, &None, "just before 25 s more")?;
        b.tick(at(end + end));
        let told = wanted(&mut b).1.map(|fault| fault.why);
        stage.equal(&told, &Some(Why::Silent), "at 25 s more")?;
        // A microsecond late is late.
        let Ends { mut b, .. } = Ends::new(&config);
        let taken = b.message(at(Micros(end.0 + 1)), Message::Binary(&frames[0]));
        stage.require(taken.is_ok(), "a message is taken")?;
        let told = wanted(&mut b).1.map(|fault| fault.why);
        stage.equal(&told, &Some(Why::Silent), "a message after 25 s")?;
    }
    Ok(())
}

/// Two connected nodes, one of whom hears nothing for so long; meanwhile wall clocks jump.
fn connection_edges(stage: &mut Stage) -> Result<Truth, Stop> {
    stage.set_latency(Micros::millis(5), Micros::ZERO);
    let silence = stage.one_of(&[19_900, 20_000, 24_900, 24_999, 25_001, 26_000]);
    // When the listener of the silence heard something last; from then on the relay holds what comes.
    let armed = Rc::new(Cell::new(None::<Micros>));
    let (hold, clock) = (Rc::clone(&armed), Rc::new(Cell::new(Micros::ZERO)));
    let now = Rc::clone(&clock);
    let friends = stage.friends(move |passing, onwards| {
        if passing.from == Side::Listener
            && let Some(until) = hold.get()
        {
            for onward in onwards {
                onward.after = until.since(now.get());
            }
        }
    })?;
    let (alice, bob) = (friends.ids[0], friends.ids[1]);
    stage.run(1_000)?;
    // Alice says something now: that starts both silences.
    let jump = stage.one_of(&[0, 3_600_000, -3_600_000]);
    stage.says(alice, friends.conns[0], "now")?;
    stage.until(1_000, |world| {
        !crate::scenario::heard_texts(world, bob, friends.conns[1]).is_empty()
    })?;
    let heard = stage.world.now().mono;
    stage.world.jump_wall(jump);
    // On the last hop it is on its way for 5 ms. Alice's keepalive comes to the wire 20 s after she spoke.
    let wire_hears = heard + Micros::millis(20_000 - 5);
    clock.set(wire_hears);
    armed.set(Some(heard + Micros::millis(silence - 5)));
    stage.run(silence + 1_000)?;
    let ended = code_of(&stage.world, bob, friends.conns[1]);
    if silence > 25_000 {
        stage.equal(
            &ended,
            &Some("keepalive"),
            "the one who hears nothing ends by",
        )?;
        return Ok(Truth::of(&["keepalive"]));
    }
    stage.equal(&ended, &None, "the one who hears something in time ends by")?;
    stage.equal(
        &connected(&stage.world, alice).len(),
        &1,
        "connections left",
    )?;
    // The rest is on its way at once again.
    armed.set(None);
    stage.run(60_000)?;
    stage.equal(&connected(&stage.world, bob).len(), &1, "connections left")?;
    Ok(Truth::nothing())
}

pub(super) const NONCE_EXHAUSTION: Scenario = Scenario {
    name: "nonce-exhaustion",
    about: "a counter comes to its end (in the seals of a channel alone: nobody can count that far in a world)",
    required: "the channel ends with an error, no nonce is used again",
    script: |stage| {
        let role = stage.one_of(&[Role::Initiator, Role::Acceptor]);
        let parity = role.first_counter();
        let left = 1 + stage.pick(20) as u64;
        // The last counter of this parity, and so many before it.
        let last = COUNTER_END - 2 + parity;
        let first = last - 2 * (left - 1);
        let key = || InsecureKey::from_raw(Secret::take(&mut [7; 32]));
        let random = Random::new([3; 32]);
        let mut sealer = Sealer::at(key(), Counter::at(first), random);
        let mut opener = Opener::at(key(), Counter::at(first));
        let (mut seen, mut frame, mut plain) = (BTreeSet::new(), Vec::new(), Vec::new());
        for i in 0..left {
            let counter = sealer.seal(true, b"one more", 0, &mut frame);
            stage.equal(&counter, &Ok(first + 2 * i), "the counter")?;
            seen.insert(frame[..TAG].to_vec());
            let opened = opener.open(&frame, &mut plain).map(|opened| opened.counter);
            stage.equal(&opened, &Ok(first + 2 * i), "the counter that opens")?;
        }
        stage.equal(&seen.len(), &(left as usize), "different seals")?;
        for _ in 0..3 {
            let sealed = sealer.seal(true, b"one too many", 0, &mut frame);
            stage.equal(&sealed, &Err(Exhausted), "sealing at the end")?;
            let opened = opener.open(&frame, &mut plain).map(|_| ());
            let due = Err(FrameFault::Exhausted(Exhausted));
            stage.equal(&opened, &due, "opening at the end")?;
        }
        Ok(Truth::nothing())
    },
};
