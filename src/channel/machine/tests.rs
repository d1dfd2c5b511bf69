//! What only the machine itself can get wrong.

use super::*;
use crate::crypto::Nacl;

fn channel() -> Channel<Nacl> {
    let mut channel = Channel::from_session_key(
        Now::default(),
        Secret::take(&mut [7; 32]),
        Role::Initiator,
        Random::new([1; 32]),
        ChannelConfig::default(),
    );
    channel
        .send(Now::default(), Message::Text("hello"))
        .expect("room");
    channel
}

/// At its bounds all is well; what is beyond one is told.
#[test]
fn a_check_finds_what_is_wrong_and_nothing_else() {
    let mut full = channel();
    for _ in 0..INBOX_MESSAGES + limits::REORDER_WINDOW {
        full.inbox.push_back(Delivery::default());
    }
    assert_eq!(full.self_check(), Ok(()));
    let wrong = |what: fn(&mut Channel<Nacl>)| {
        let mut channel = full.clone();
        what(&mut channel);
        channel.self_check().is_err()
    };
    assert!(wrong(|channel| channel.frame_bytes -= 1));
    assert!(wrong(|channel| channel.inbox_bytes += 1));
    assert!(wrong(|channel| channel
        .inbox
        .push_back(Delivery::default())));
}
