//! The encrypted channel at its bounds (spec 04).

use std::collections::BTreeSet;

use chumwire::channel::{
    Assembled, Assembler, Channel, ChannelConfig, Counter, Diagnosis, END, FragmentFault,
    START_BINARY, Sealer, SendError,
};
use chumwire::crypto::{Nacl, Random, RawKey, Secret, Suite};
use chumwire::io::{Full, Kind, Message, Output};
use chumwire::limits;
use chumwire::role::Role;
use chumwire::time::Now;

use crate::support::channels::fault;

fn key() -> <Nacl as Suite>::Pair {
    RawKey::from_raw(Secret::take(&mut [7; 32]))
}

fn config(change: impl FnOnce(&mut ChannelConfig)) -> ChannelConfig {
    let mut config = ChannelConfig::default();
    change(&mut config);
    config
}

fn ends(config: &ChannelConfig) -> (Channel<Nacl>, Channel<Nacl>) {
    let end = |role| {
        let key = Secret::take(&mut [7; 32]);
        Channel::from_session_key(
            Now::default(),
            key,
            role,
            Random::new([1; 32]),
            config.clone(),
        )
    };
    (end(Role::Initiator), end(Role::Acceptor))
}

fn frames(channel: &mut Channel<Nacl>) -> Vec<Vec<u8>> {
    let (mut frames, mut frame) = (Vec::new(), Vec::new());
    while let Some(Output::Send(Kind::Binary)) = channel.poll::<()>(&mut frame) {
        frames.push(std::mem::take(&mut frame));
    }
    frames
}

/// Gives the other side messages of these lengths, and tells how many it takes before it is full.
fn taken(config: &ChannelConfig, lengths: &[usize]) -> usize {
    let (mut from, mut to) = ends(config);
    for (n, length) in lengths.iter().enumerate() {
        let message = vec![b'm'; *length];
        from.send(Now::default(), Message::Binary(&message))
            .unwrap();
        for frame in frames(&mut from) {
            if to.message(Now::default(), Message::Binary(&frame)) == Err(Full) {
                return n;
            }
        }
    }
    lengths.len()
}

/// The bytes of what was received count, padding and all that is in its buffer; it is full when there are more than
/// the bound, not at it.
#[test]
fn what_is_received_is_bounded_in_bytes() {
    let max_queued = |max| config(|config| config.max_queued = max);
    assert_eq!(taken(&max_queued(1000), &[600; 9]), 2);
    // A message that was put together from fragments has no padding: the bound is met exactly.
    let long = 2 * limits::FRAGMENT;
    assert_eq!(taken(&max_queued(long), &[long; 9]), 2);
    assert_eq!(taken(&max_queued(long - 1), &[long; 9]), 1);
}

/// Where frames wait, too.
#[test]
fn what_is_sent_is_bounded_in_bytes() {
    let (mut one, _) = ends(&ChannelConfig::default());
    let mut lengths = Vec::new();
    for _ in 0..3 {
        one.send(Now::default(), Message::Binary(&[1; 500]))
            .unwrap();
        lengths.push(one.last_frame().0);
    }
    let exact: usize = lengths.iter().sum();
    for (max_queued, full) in [(exact, false), (exact - 1, true)] {
        let (mut one, _) = ends(&config(|config| config.max_queued = max_queued));
        for _ in 0..3 {
            one.send(Now::default(), Message::Binary(&[1; 500]))
                .unwrap();
        }
        let more = one.send(Now::default(), Message::Binary(&[1]));
        assert_eq!(more == Err(SendError::Full(Full)), full, "{more:?}");
    }
}

#[test]
fn a_message_may_be_as_long_as_the_limit() {
    let config = config(|config| config.max_message = 1000);
    let (mut one, mut two) = ends(&config);
    one.send(Now::default(), Message::Binary(&[1; 1000]))
        .unwrap();
    let longer = one.send(Now::default(), Message::Binary(&[1; 1001]));
    assert_eq!(longer, Err(SendError::TooLong(1001)));
    for frame in frames(&mut one) {
        two.message(Now::default(), Message::Binary(&frame))
            .unwrap();
    }
    assert_eq!(two.received(), Some(Message::Binary(&[1; 1000])));
}

#[test]
fn a_message_has_as_many_fragments_as_the_limit() {
    for more in [0, 1] {
        let mut assembler = Assembler::new(10);
        assembler.text(START_BINARY).unwrap();
        let count = limits::FRAGMENTS + more;
        let taken = (0..count)
            .map(|_| assembler.binary(b""))
            .find(Result::is_err);
        assert_eq!(taken, (more == 1).then_some(Err(FragmentFault::TooLong)));
        if more == 0 {
            assert_eq!(assembler.text(END), Ok(Assembled::LongBinary(Vec::new())));
        }
    }
}

/// A frame that is as long as a frame may be is looked into.
#[test]
fn the_longest_frame_is_diagnosed() {
    let message = vec![0; limits::FRAME - 40];
    let mut frame = Vec::new();
    let longest = (0..=u8::MAX).any(|seed| {
        // The padding is drawn.
        let random = Random::new([seed; 32]);
        let mut sealer = Sealer::at(key(), Counter::at(3), random);
        sealer.seal(false, &message, 0, &mut frame).unwrap();
        frame.len() == limits::FRAME
    });
    assert!(longest);
    let (_, mut own) = ends(&ChannelConfig::default());
    own.message(Now::default(), Message::Binary(&frame))
        .unwrap();
    assert!(fault(&mut own).is_some());
    let diagnosis = own.diagnose(None, &[]);
    assert_eq!(diagnosis, Some(Diagnosis::Ahead { distance: 1 }));
}

/// However few frames this side has sent, each of them is recognised when it comes back.
#[test]
fn each_frame_of_ours_is_recognised() {
    for sent in 1..=3 {
        for back in 0..sent {
            let (mut own, _) = ends(&ChannelConfig::default());
            for _ in 0..sent {
                own.send(Now::default(), Message::Text("hello")).unwrap();
            }
            let frame = frames(&mut own).swap_remove(back);
            own.message(Now::default(), Message::Binary(&frame))
                .unwrap();
            assert!(fault(&mut own).is_some());
            assert_eq!(own.diagnose(None, &[]), Some(Diagnosis::Mirrored));
        }
    }
}

#[test]
fn each_diagnosis_says_something_of_its_own() {
    let all = [
        Diagnosis::TooShort,
        Diagnosis::Mirrored,
        Diagnosis::Ahead { distance: 4711 },
        Diagnosis::Duplicate { distance: 4711 },
        Diagnosis::WrongStart(0),
        Diagnosis::MirroredOlder,
        Diagnosis::KeyMessage,
        Diagnosis::OtherConnection,
        Diagnosis::TamperedOrForeign,
        Diagnosis::NotExamined,
    ];
    let texts: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), all.len());
    assert!(texts.iter().all(|text| text.len() > 10), "{texts:?}");
    assert_eq!(texts.iter().filter(|text| text.contains("4711")).count(), 2);
}
