//! Invitations and their registry at their bounds (spec 06).

use chumwire::crypto::Nacl;
use chumwire::fault::Why;
use chumwire::io::{Effect, Machine};
use chumwire::limits;
use chumwire::node::{Event, Misuse, Node, NodeConfig, Record};
use chumwire::pairing::{BadInvitation, Invitation, LINK_BASE};
use chumwire::time::{Alarm, Micros, Millis, Now};

use crate::support::net::{Net, address};
use crate::support::people::made_up;

const START: Now = Now {
    mono: Micros::secs(1),
    wall: Millis(1_700_000_000_000),
};

fn config(name: &str) -> NodeConfig {
    NodeConfig::new(made_up(name))
}

fn node() -> Node<Nacl> {
    Node::new(config("alice"), [1; 32], START).unwrap()
}

fn later(time: Micros) -> Now {
    Now {
        mono: START.mono + time,
        wall: Millis(START.wall.0 + time.as_millis()),
    }
}

fn invite(node: &mut Node<Nacl>, now: Now) -> Result<Invitation, Misuse> {
    let invitation = node.invite(now, Micros::secs(60), "ws://alice.example");
    let mut bytes = Vec::new();
    while let Some(effect) = node.poll(&mut bytes) {
        if let Effect::Store { id, .. } = effect {
            node.stored(now, id, Ok(()));
        }
    }
    invitation
}

/// One that has ended makes room; an open one never does.
#[test]
fn open_invitations_are_bounded_and_none_of_them_is_dropped() {
    let mut node = node();
    let made: Vec<_> = (0..limits::INVITATIONS)
        .map(|_| invite(&mut node, START).expect("room").id())
        .collect();
    assert!(matches!(invite(&mut node, START), Err(Misuse::TooMany(_))));
    node.revoke(START, made[7]).unwrap();
    let last = invite(&mut node, START).expect("room").id();
    assert!(matches!(invite(&mut node, START), Err(Misuse::TooMany(_))));
    let mut open: Vec<_> = node.invitations().map(|(record, _)| record.id).collect();
    let mut due: Vec<_> = made.into_iter().chain([last]).collect();
    due.remove(7);
    open.sort();
    due.sort();
    assert!(open == due);
}

/// At a start, too: what goes beyond the bound is not taken in.
#[test]
fn no_more_invitations_are_restored_than_may_be_open() {
    let mut before = node();
    invite(&mut before, START).unwrap();
    let record = before.invitations().next().unwrap().0.clone();
    let mut config = config("alice");
    for n in 0..=limits::INVITATIONS {
        let mut record = record.clone();
        record.id.0[..4].copy_from_slice(&(n as u32).to_be_bytes());
        config.invitations.push(record);
    }
    let node = Node::<Nacl>::new(config, [1; 32], START).unwrap();
    assert_eq!(node.invitations().count(), limits::INVITATIONS);
}

#[test]
fn an_invitation_expires_once_at_its_time_and_a_late_comer_hears_how_late_it_is() {
    let mut alice = node();
    let invitation = invite(&mut alice, START).unwrap();
    let deadline = alice.deadline().expect("it expires");
    assert_eq!(
        (deadline.at, deadline.why),
        (later(Micros::secs(60)).mono, Alarm::Expiry)
    );
    let (mut told, mut bytes) = (Vec::new(), Vec::new());
    for seconds in [59, 60, 61] {
        alice.tick(later(Micros::secs(seconds)));
        while let Some(effect) = alice.poll(&mut bytes) {
            match effect {
                Effect::Event(Event::Expired(id)) => told.push((seconds, id)),
                Effect::Store { record, .. } => assert!(matches!(record, Record::Withdrawn(_))),
                _ => {}
            }
        }
    }
    assert_eq!(told, [(60, invitation.id())]);
    assert_eq!(alice.deadline(), None);

    let mut net = Net::new(vec![config("alice"), config("bob")]);
    let life = Micros::secs(60);
    let invitation = net.nodes[0].invite(net.now, life, &address(0));
    net.drain();
    net.pass(Micros::millis(72_500));
    net.nodes[1].join(net.now, &invitation.unwrap()).unwrap();
    net.run();
    let causes = net.events[0].iter().filter_map(|event| match event {
        Event::Ended {
            fault: Some(fault), ..
        } => Some(&fault.why),
        _ => None,
    });
    let causes: Vec<String> = causes.map(Why::to_string).collect();
    assert!(
        causes.iter().any(|cause| cause.contains("12.5 s ago")),
        "{causes:?}"
    );
}

#[test]
fn an_invitation_is_read_and_shown_at_its_bounds() {
    let invitation = invite(&mut node(), START).unwrap();
    let json = invitation.json();
    let most = 4 * limits::URL;
    // Spaces at the end do not count.
    assert!(Invitation::read(&format!("{json}{}", " ".repeat(most))).is_ok());
    for (length, too_long) in [(most, false), (most + 1, true)] {
        let text = format!("{{{}", "x".repeat(length - 1));
        let read = Invitation::read(&text);
        assert_eq!(
            matches!(read, Err(BadInvitation::TooLong)),
            too_long,
            "{length}"
        );
    }

    // As `encodeURIComponent` has it: letters, digits and nine marks as they are.
    let token = json.split('"').nth(3).expect("the token").to_owned();
    let link = invitation.link();
    let encoded = link
        .strip_prefix(LINK_BASE)
        .and_then(|link| link.strip_prefix('#'));
    let encoded = encoded.expect("a link");
    assert!(encoded.starts_with(&format!("%7B%22token%22%3A%22{token}%22%2C%22publicKey")));
    assert!(
        encoded.ends_with("%22ws%3A%2F%2Falice.example%22%7D"),
        "{encoded}"
    );

    assert_eq!(invitation.id().to_string().len(), 16);
    let moved = invitation.clone().with_url("ws://there").unwrap();
    assert_eq!((moved.url(), moved.id()), ("ws://there", invitation.id()));
    assert!(matches!(
        invitation.with_url("http://there"),
        Err(BadInvitation::Url)
    ));
}
