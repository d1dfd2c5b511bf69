//! Frames in any order, altered and repeated, to a channel with any reorder window.

use arbitrary::Arbitrary;
use chumwire::channel::{Channel, ChannelConfig};
use chumwire::crypto::{Nacl, Random, Secret};
use chumwire::io::{Kind, Message, Output};
use chumwire::limits;
use chumwire::role::Role;
use chumwire::time::{Micros, Now};

/// What happens next.
#[derive(Arbitrary, Debug)]
pub(crate) enum OrderAction {
    /// A frame arrives; it may have come before.
    Arrives(u8),
    /// A frame arrives altered.
    Altered(u8, u16, u8),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// What has come is read.
    Read,
}

const FRAMES: u8 = 128;

fn channel(role: Role, window: u8) -> Channel<Nacl> {
    let mut config = ChannelConfig::default();
    config.reorder_window = window.into();
    let (key, random) = (Secret::take(&mut [7; 32]), Random::new([9; 32]));
    Channel::from_session_key(Now::default(), key, role, random, config)
}

/// What is read is what was said, in its order, however it came.
pub(crate) fn order(window: u8, actions: Vec<OrderAction>) {
    let mut now = Now::default();
    let mut from = channel(Role::Acceptor, 0);
    let mut frames = Vec::new();
    for n in 0..FRAMES {
        from.send(now, Message::Binary(&[n])).expect("room");
        let mut frame = Vec::new();
        let sent = from.poll::<()>(&mut frame);
        assert_eq!(sent, Some(Output::Send(Kind::Binary)));
        frames.push(frame);
    }
    let (mut to, mut read) = (channel(Role::Initiator, window), 0);
    for action in &actions {
        match action {
            OrderAction::Arrives(n) => {
                arrives(&mut to, now, &frames[usize::from(n % FRAMES)]);
            }
            OrderAction::Altered(n, at, by) => {
                let mut frame = frames[usize::from(n % FRAMES)].clone();
                let length = frame.len();
                frame[usize::from(*at) % length] ^= by;
                arrives(&mut to, now, &frame);
            }
            OrderAction::Time(by) => {
                now.mono = now.mono + Micros::millis((*by).into());
                to.tick(now);
                assert!(to.deadline().is_none_or(|due| due.at > now.mono));
            }
            OrderAction::Read => {
                while let Some(message) = to.received() {
                    assert_eq!(message, Message::Binary(&[read]));
                    read += 1;
                }
            }
        }
        let stats = to.order();
        assert!(stats.held <= usize::from(window) && stats.held <= limits::REORDER_WINDOW);
        assert!(stats.held_bytes <= limits::HELD && stats.duplicates <= limits::DUPLICATES);
    }
}

fn arrives(to: &mut Channel<Nacl>, now: Now, frame: &[u8]) {
    let before = to.clone();
    if to.message(now, Message::Binary(frame)).is_err() {
        assert!(before == *to, "Full changes nothing");
    }
}
