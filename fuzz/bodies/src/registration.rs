//! One spare connection of a listener, against a relay of bad will.

use arbitrary::Arbitrary;
use chumwire::crypto::{self, KeyPair, Random, Secret, Suite};
use chumwire::io::{Kind, Message, Output};
use chumwire::limits;
use chumwire::relay::wire::{self, AuthenticationRequest};
use chumwire::relay::{NotTaken, Registration};
use chumwire::step::Step;
use chumwire::time::Micros;

use crate::relay::{at, key_pair};
use crate::said::{Edit, MadeUp, borrowed};

/// What a relay of bad will does to a listener.
#[derive(Arbitrary, Debug)]
pub(crate) enum ListenerAction {
    /// It goes on in due form.
    Next,
    /// It tells a ping interval.
    Success(u64),
    /// It pings, in one of two ways.
    Ping(bool),
    /// It hands over.
    Handover,
    /// A challenge for another key, or an altered one.
    Challenge(u8, u8, u8),
    /// It says anything.
    Say(MadeUp),
    /// A message of its own, altered.
    Altered(u8, Edit),
    /// Time goes on by so many milliseconds.
    Time(u16),
    /// The listener is ticked at its deadline.
    Deadline,
    /// It is polled.
    Poll,
}

fn challenge<S: Suite>(n: u8) -> AuthenticationRequest {
    let own = KeyPair::<crypto::Relay>::from_secret::<S>(Secret::take(&mut [99; 32]));
    let pair = own
        .before::<S, _>(&key_pair::<S>(n).public())
        .expect("a good key");
    AuthenticationRequest {
        relay_key: own.public(),
        challenge: crypto::seal(&pair, &mut Random::new([n; 32]), &[n; 64]),
    }
}

/// A listener's registration ends with one fault at most, and what is not taken changes nothing.
pub(crate) fn registration<S: Suite>((notes, actions): (bool, Vec<ListenerAction>)) {
    use ListenerAction as A;
    let mut now = Micros::ZERO;
    let random = Random::new([5; 32]);
    let mut listener =
        Registration::<S>::new(at(now), key_pair::<S>(0), random, limits::STEP, notes);
    let mut faults = 0;
    for action in actions.iter().take(200) {
        let text = match action {
            A::Next => match listener.step() {
                Step::Register => wire::authentication_request(&challenge::<S>(0)),
                Step::Spare => wire::ping(),
                _ => wire::connection_handover(),
            },
            A::Success(interval) => wire::authentication_success(*interval),
            A::Ping(true) => wire::ping(),
            A::Ping(false) => r#"{"command":"comm_ping"}"#.into(),
            A::Handover => wire::connection_handover(),
            A::Challenge(n, at, by) => {
                let mut asked = challenge::<S>(*n);
                let at = usize::from(*at) % asked.challenge.len();
                asked.challenge[at] ^= by;
                wire::authentication_request(&asked)
            }
            A::Say(message) => {
                offer(&mut listener, now, borrowed(&message.wire()));
                continue;
            }
            A::Altered(n, edit) => {
                let mut text = match n % 4 {
                    0 => wire::authentication_request(&challenge::<S>(0)),
                    1 => wire::authentication_success(7),
                    2 => wire::ping(),
                    _ => wire::connection_handover(),
                };
                edit.apply(&mut text);
                text
            }
            A::Time(by) => {
                now = now + Micros::millis((*by).into());
                listener.tick(at(now));
                continue;
            }
            A::Deadline => {
                now = listener.deadline().map_or(now, |due| due.at.max(now));
                listener.tick(at(now));
                let next = listener.deadline();
                assert!(next.is_none_or(|next| next.at > now), "a tick moves it");
                continue;
            }
            A::Poll => {
                faults += polled(&mut listener);
                assert!(faults == 0 || listener.deadline().is_none());
                continue;
            }
        };
        offer(&mut listener, now, Message::Text(&text));
    }
    faults += polled(&mut listener);
    assert!(faults <= 1, "a fault is told once");
    let handed_over = listener.step() == Step::Handover;
    assert_eq!(
        listener.into_handed_over().is_some(),
        handed_over && faults == 0
    );
}

fn offer<S: Suite>(listener: &mut Registration<S>, now: Micros, message: Message<'_>) {
    let before = listener.clone();
    match listener.message(at(now), message) {
        Err(NotTaken::HandedOver) => {
            assert_eq!(before.step(), Step::Handover);
            assert!(before == *listener, "what is not taken changes nothing");
        }
        Err(NotTaken::Full) => assert!(before == *listener, "Full changes nothing"),
        Ok(()) => {}
    }
}

/// Polls to the end, and counts the faults; none may have anything behind it.
fn polled<S: Suite>(listener: &mut Registration<S>) -> usize {
    let (mut bytes, mut faults) = (Vec::new(), 0);
    while let Some(output) = listener.poll(&mut bytes) {
        assert_eq!(faults, 0, "a fault is the last word");
        match output {
            Output::Fault(_) => faults += 1,
            Output::Send(kind) => assert_eq!(kind, Kind::Text),
            _ => {}
        }
    }
    faults
}
