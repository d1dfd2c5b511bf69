//! A whole handshake in memory, for the benchmarks here and against rivals.

use std::hint::black_box;

use chumwire::crypto::{Instance, KeyPair, Random, Suite};
use chumwire::handshake::{Acceptor, Arrival, HandshakeConfig, Initiator};
use chumwire::io::{Message, Output};
use chumwire::time::Now;

/// A whole handshake in memory, both sides.
pub(crate) fn handshake<S: Suite>(
    a: &KeyPair<Instance>,
    b: &KeyPair<Instance>,
    random: &mut Random,
) {
    let now = Now::default();
    let config = HandshakeConfig::default();
    let mut initiator =
        Initiator::<S>::new(now, config.clone(), a.used_as(), b.public(), random.fork());
    let mut acceptor = Acceptor::<S>::new(
        now,
        config,
        vec![b.clone()],
        vec![],
        random.fork(),
        Arrival::Direct,
    );
    let mut bytes = Vec::new();
    loop {
        let mut moved = false;
        while let Some(output) = initiator.poll(&mut bytes) {
            moved = true;
            if let Output::Send(kind) = output {
                acceptor.message(now, Message::of(kind, &bytes).expect("UTF-8"));
            }
        }
        while let Some(output) = acceptor.poll(&mut bytes) {
            moved = true;
            if let Output::Send(kind) = output {
                initiator.message(now, Message::of(kind, &bytes).expect("UTF-8"));
            }
        }
        if !moved {
            break;
        }
    }
    black_box((
        initiator.finish().expect("done"),
        acceptor.finish().expect("done"),
    ));
}
