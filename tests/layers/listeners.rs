//! A node that keeps spare connections at a relay (spec 02, "The listener side").

use crate::support::net::{Net, RELAY};
use crate::support::people::made_up;
use chumwire::handshake::CommunicationRequest;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, Source};
use chumwire::limits;
use chumwire::node::{Event, NodeConfig};
use chumwire::time::Micros;

const ALICE: usize = 0;

fn net(config: NodeConfig) -> Net {
    let mut net = Net::new(vec![config]);
    net.nodes[ALICE]
        .listen(net.now, Some(RELAY))
        .expect("a relay");
    net.run();
    net
}

fn alice() -> NodeConfig {
    NodeConfig::new(made_up("alice"))
}

fn dials(net: &Net) -> usize {
    net.dialled[ALICE].len()
}

fn spare_ends(net: &Net) -> Vec<ConnId> {
    net.nodes[ALICE].connections().map(|c| c.conn).collect()
}

/// A stranger's request for alice's key arrives at the relay; it says nothing after that.
fn request(net: &mut Net) {
    let target = net.nodes[ALICE].identity().instance_key().public();
    let source = made_up("stranger").instance_key().public().presented();
    let conn = net.relay.accept(net.now, Source::Unknown).expect("room");
    let text = CommunicationRequest { source, target }.text();
    let _ = net.relay.message(net.now, conn, Message::Text(&text));
    net.run();
}

/// Ten seconds after a failure, not before; however many fail, one attempt waits, and later failures do not put it off.
///
/// Demands: M2.6.
#[test]
fn a_listener_registers_anew_ten_seconds_after_a_failure() {
    let mut net = net(alice());
    assert!(net.nodes[ALICE].is_online());
    assert_eq!(dials(&net), limits::SPARES);
    let spares = spare_ends(&net);
    net.cut((ALICE, spares[0]));
    assert!(net.nodes[ALICE].is_online(), "there is another one");
    net.pass(Micros::secs(4));
    net.cut((ALICE, spares[1]));
    assert!(!net.nodes[ALICE].is_online());
    net.pass(Micros(5_999_999));
    assert_eq!(dials(&net), limits::SPARES, "not before");
    net.reachable = false;
    net.pass(Micros(1));
    assert_eq!(
        dials(&net),
        2 * limits::SPARES,
        "ten seconds after the first"
    );
    // Both attempts have failed: one waits again.
    net.pass(Micros(9_999_999));
    assert_eq!(dials(&net), 2 * limits::SPARES);
    net.reachable = true;
    net.pass(Micros(1));
    net.run();
    assert_eq!(dials(&net), 3 * limits::SPARES);
    assert!(net.nodes[ALICE].is_online());
    let told = |net: &Net| {
        let online = net.count(ALICE, |e| matches!(e, Event::Online { .. }));
        (
            online,
            net.count(ALICE, |e| matches!(e, Event::Offline { .. })),
        )
    };
    assert_eq!(told(&net), (2, 1));
}

/// A spare connection that is handed over is replaced at once, also while an attempt waits for its delay.
///
/// Demands: M2.6.
#[test]
fn what_is_handed_over_is_replaced_at_once() {
    let mut world = net(alice());
    for n in 1..4 {
        request(&mut world);
        assert_eq!(dials(&world), limits::SPARES + n);
    }
    let mut world = net(alice());
    let spares = spare_ends(&world);
    world.cut((ALICE, spares[0]));
    request(&mut world);
    // The one that was handed over, and not the one that failed.
    assert_eq!(dials(&world), limits::SPARES + 1);
}

/// Whoever takes one spare connection after the other and says nothing gets no more than the bound; when the step's
/// limit is over, they end, and there are spare connections again.
///
/// Demands: M2.7.
#[test]
fn half_open_sessions_are_bounded_in_number_and_in_time() {
    let mut config = alice();
    config.half_open = 3;
    let mut net = net(config);
    for _ in 0..10 {
        request(&mut net);
    }
    let sessions = |net: &Net| {
        let taken = net.nodes[ALICE].connections().filter(|c| c.role.is_some());
        taken.count()
    };
    // With three half-open ones nothing is replaced any more; the last spare connection can still be taken.
    assert_eq!((sessions(&net), dials(&net)), (4, 4));
    net.pass(Micros(9_999_999));
    assert_eq!((sessions(&net), dials(&net)), (4, 4));
    net.pass(Micros(1));
    net.run();
    assert_eq!(sessions(&net), 0);
    assert_eq!(net.faults(ALICE), ["timeout"; 4]);
    assert_eq!(spare_ends(&net).len(), limits::SPARES);
    request(&mut net);
    assert_eq!(sessions(&net), 1);
}

/// A peer that goes on step by step, each just in time, does not make a half-open session last longer.
///
/// Demands: M2.7, M0.3.
#[test]
fn a_half_open_session_is_no_older_than_a_steps_limit() {
    let mut net = net(alice());
    let node = &mut net.nodes[ALICE];
    let conn = node.accept(net.now, Source::Unknown).expect("room");
    net.now.mono = net.now.mono + Micros::secs(9);
    let request = CommunicationRequest {
        source: made_up("stranger").instance_key().public().presented(),
        target: node.identity().instance_key().public(),
    };
    node.message(net.now, conn, Message::Text(&request.text()))
        .expect("room");
    let mut bytes = Vec::new();
    let mut sent = Vec::new();
    let mut ended = Vec::new();
    net.now.mono = net.now.mono + Micros::secs(1);
    node.tick(net.now);
    while let Some(effect) = node.poll(&mut bytes) {
        match effect {
            Effect::Send {
                conn: to,
                kind: Kind::Text,
            } if to == conn => {
                sent.push(String::from_utf8(bytes.clone()).expect("a text"));
            }
            Effect::Event(Event::Ended {
                conn: it, fault, ..
            }) if it == conn => ended.push(fault),
            _ => {}
        }
    }
    assert_eq!(sent.len(), 1, "the answer to the request");
    let fault = ended.pop().flatten().expect("it has ended");
    assert_eq!((fault.step.name(), fault.why.code()), ("key", "timeout"));
    node.closed(net.now, conn, Closed::Lost("gone".into()));
}
