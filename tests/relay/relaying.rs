//! Relaying: everything, in order, as it is.

use crate::bench::*;
use crate::recordings::offered;

/// Demands: M2.1.
#[test]
fn what_the_initiator_sends_early_is_relayed_in_order() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.pass(Micros::secs(25));
    bench.got(spare);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.binary(initiator, &[1, 2, 3]);
    bench.text(initiator, "täxt");
    bench.binary(initiator, &[]);
    bench.text(spare, PONG);
    let got = bench.got_raw(spare);
    assert_eq!(
        got[2..],
        [
            (Kind::Binary, vec![1, 2, 3]),
            (Kind::Text, "täxt".into()),
            (Kind::Binary, vec![])
        ]
    );
    assert_eq!(bench.relay.stats().held, 0);
}

#[test]
fn every_message_is_copied_as_it_is_and_in_order() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let (spare, initiator) = bench.pair(&key);
    let messages: Vec<Got> = (0..100)
        .map(|n| {
            if n % 3 == 0 {
                (Kind::Text, format!("text {n}").into())
            } else {
                (Kind::Binary, vec![n; n.into()])
            }
        })
        .collect();
    for message in &messages {
        bench.offer(spare, offered(message)).unwrap();
        bench.offer(initiator, offered(message)).unwrap();
    }
    // A control message is none any more.
    bench.text(initiator, PONG);
    bench.text(spare, &wire::register(&key.public()));
    assert_eq!(bench.got_raw(spare)[..100], messages);
    assert_eq!(bench.got_raw(initiator)[..100], messages);
}

#[test]
fn a_close_is_relayed_with_its_reason() {
    let long = "é".repeat(100);
    let cases: [(Closed, &str); 5] = [
        (
            Closed::ByPeer {
                code: 1000,
                reason: "Close called: bye".into(),
            },
            "Close called: bye",
        ),
        (
            Closed::ByPeer {
                code: 1011,
                reason: String::new(),
            },
            "",
        ),
        (
            Closed::ByPeer {
                code: 1005,
                reason: long.clone(),
            },
            &long[..122],
        ),
        (Closed::Lost("reset".into()), GOOD),
        (Closed::NotOpened("?".into()), GOOD),
    ];
    for (how, reason) in cases {
        for spare_first in [true, false] {
            let mut bench = Bench::new();
            let (spare, initiator) = bench.pair(&key_pair(7));
            let (one, other) = if spare_first {
                (spare, initiator)
            } else {
                (initiator, spare)
            };
            // What was sent before the close arrives before it.
            bench.offer(one, Message::Text("last words")).unwrap();
            bench.relay.closed(at(bench.now), one, how.clone());
            bench.pump();
            assert_eq!(bench.got(other), ["last words"]);
            assert_eq!(bench.closed_with(other), Some(reason));
            assert_eq!(bench.closed_with(one), None);
            assert_eq!(bench.ended(other), Some(Why::Partner.at(Step::Connected)));
            assert_eq!(
                bench.ended(one),
                Some(Why::from_close(how.clone()).at(Step::Connected))
            );
            assert_eq!(bench.relay.stats().connections, 1);
            bench.close(other, reason);
            assert_eq!(bench.relay.stats().connections, 0);
            assert_eq!(bench.relay.deadline(), None);
        }
    }
}
