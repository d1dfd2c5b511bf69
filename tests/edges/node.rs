//! How many connections a node takes (docs/limits.md), and what it tells of one that fails (spec 07).

use chumwire::channel::Diagnosis;
use chumwire::crypto::Nacl;
use chumwire::io::{Machine, Message};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::time::{Micros, Now};

use crate::support::net::{Net, address};
use crate::support::people::made_up;

/// Each bound holds by itself, and so does a shutdown.
#[test]
fn connections_are_bounded_in_each_way() {
    let now = Now::default();
    for (half_open, max_connections, taken) in [(2, 99, 2), (99, 3, 3)] {
        let mut config = NodeConfig::new(made_up("alice"));
        (config.half_open, config.max_connections) = (half_open, max_connections);
        let mut node = Node::<Nacl>::new(config, [1; 32], now).unwrap();
        let accepted = (0..9).filter(|_| node.accept(now, Default::default()).is_some());
        assert_eq!(accepted.count(), taken);
    }
    let mut node = Node::<Nacl>::new(NodeConfig::new(made_up("alice")), [1; 32], now).unwrap();
    node.shutdown(now);
    assert_eq!(node.accept(now, Default::default()), None);
}

/// What a frame was that failed is told behind the end that it made.
#[test]
fn a_frame_that_fails_is_diagnosed() {
    let mut net = Net::new(vec![
        NodeConfig::new(made_up("alice")),
        NodeConfig::new(made_up("bob")),
    ]);
    let invitation = net.nodes[0].invite(net.now, Micros::secs(60), &address(0));
    net.drain();
    let conn = net.nodes[1].join(net.now, &invitation.unwrap()).unwrap();
    net.drain();
    for _ in 0..8 {
        net.step();
    }
    let rubbish = Message::Binary(&[1; 40]);
    net.nodes[1].message(net.now, conn, rubbish).unwrap();
    net.drain();
    let diagnosis = Diagnosis::TamperedOrForeign;
    let due = Event::Diagnosed { conn, diagnosis };
    assert!(net.events[1].contains(&due), "{:?}", net.events[1]);
}
