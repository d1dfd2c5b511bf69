//! How many connections a node takes (docs/limits.md), and what it tells of one that fails (spec 07).

use chumwire::channel::Diagnosis;
use chumwire::contact::Contact;
use chumwire::crypto::Nacl;
use chumwire::establish::Group;
use chumwire::io::{Machine, Message};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::time::{Micros, Millis, Now};

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

/// Who connects is half-open from its first message on until it is known, and not any longer.
#[test]
fn a_connection_is_half_open_until_it_is_known() {
    let [alice, bob] = [made_up("alice"), made_up("bob")];
    let mut configs = [&alice, &bob].map(|own| NodeConfig::new(own.clone()));
    configs[0].half_open = 1;
    configs[0].serve.insert(Group::Chum);
    configs[0].contacts = vec![Contact::of(&bob, None, Millis(0))];
    configs[1].contacts = vec![Contact::of(&alice, Some(&address(0)), Millis(0))];
    let mut net = Net::new(configs.into());
    let connected = net.nodes[1].connect(net.now, alice.person_id(), Group::Chum);
    connected.unwrap();
    let known = |net: &Net| net.count(0, |event| matches!(event, Event::Connected { .. })) > 0;
    let mut refused = 0;
    while net.step() && !known(&net) {
        let next = net.nodes[0].clone().accept(net.now, Default::default());
        refused += usize::from(next.is_none());
    }
    assert!(refused > 3, "{refused}");
    assert!(known(&net));
    assert!(net.nodes[0].accept(net.now, Default::default()).is_some());
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
