//! The proof of a handover, as there is only one way to it: a registration at a relay, and a request for its key.

use chumwire::crypto::{KeyPair, Nacl, Purpose, Random};
use chumwire::handshake::{Arrival, CommunicationRequest};
use chumwire::io::{Effect, Kind, Machine, Message, Output, Source};
use chumwire::relay::{Registration, Relay, RelayConfig};
use chumwire::step::Step;
use chumwire::time::{Micros, Now};

/// A connection that a relay has handed over.
pub(crate) fn handed_over() -> Arrival {
    let now = Now::default();
    let mut random = Random::new([1; 32]);
    let mut relay = Relay::<Nacl>::new(RelayConfig::default(), [2; 32], now);
    let key = KeyPair::generate::<Nacl>(&mut random, Purpose::StaticKey);
    let source = KeyPair::generate::<Nacl>(&mut random, Purpose::StaticKey).public();
    let request = CommunicationRequest {
        source,
        target: key.public(),
    }
    .text();
    let conn = relay.accept(now, Source::Unknown).expect("room");
    let mut listener = Registration::<Nacl>::new(now, key, random, Micros::secs(10), false);
    let mut bytes = Vec::new();
    let mut asked = false;
    while listener.step() != Step::Handover {
        while let Some(output) = listener.poll(&mut bytes) {
            if let Output::Send(Kind::Text) = output {
                let text = std::str::from_utf8(&bytes).expect("a text");
                relay.message(now, conn, Message::Text(text)).expect("room");
            }
        }
        if listener.is_spare() && !asked {
            asked = true;
            let initiator = relay.accept(now, Source::Unknown).expect("room");
            relay
                .message(now, initiator, Message::Text(&request))
                .expect("room");
        }
        while let Some(effect) = relay.poll(&mut bytes) {
            if let Effect::Send {
                kind: Kind::Text, ..
            } = effect
            {
                let text = std::str::from_utf8(&bytes).expect("a text");
                // The request behind the handover is refused here: it is for what follows.
                let _ = listener.message(now, Message::Text(text));
            }
        }
    }
    while listener.poll(&mut bytes).is_some() {}
    Arrival::HandedOver(listener.into_handed_over().expect("nothing is left over"))
}
