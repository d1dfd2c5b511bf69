//! The races of spec 07 that concern the relay, by their names.

use crate::bench::*;
use crate::listener::spare_listener;

/// Demands: M2.1.
#[test]
fn race_handover_burst() {
    // The relay puts both out back to back; the listener takes the first and leaves the second to the handshake,
    // whether or not its application has looked in between.
    let key = key_pair(7);
    for polled_between in [false, true] {
        let mut listener = spare_listener(&key);
        let now = at(Micros::secs(1));
        listener.message(now, Message::Text(HANDOVER)).unwrap();
        let mut bytes = Vec::new();
        if polled_between {
            let event = Output::Event(RegistrationEvent::HandedOver);
            assert_eq!(listener.poll(&mut bytes), Some(event));
        }
        let request = request(&key);
        let before = listener.clone();
        assert_eq!(
            listener.message(now, Message::Text(&request)),
            Err(NotTaken::HandedOver),
            "it is not swallowed"
        );
        assert_eq!(listener, before);
        if !polled_between {
            let early = listener.clone().into_handed_over();
            assert!(early.is_none(), "something is left to be polled");
            let event = Output::Event(RegistrationEvent::HandedOver);
            assert_eq!(listener.poll(&mut bytes), Some(event));
        }
        assert_eq!(listener.deadline(), None);
        assert!(listener.into_handed_over().is_some());
    }
}

/// Demands: M2.1.
#[test]
fn race_handover_answer_early() {
    // The answer comes before the driver has reported the request as sent, even before it polled it.
    for polled in [false, true] {
        let mut bench = Bench::new();
        let key = key_pair(7);
        let spare = bench.spare(&key);
        bench.slow.insert(spare);
        let initiator = bench.accept();
        bench
            .offer(initiator, Message::Text(&request(&key)))
            .unwrap();
        if polled {
            bench.pump();
        }
        bench.text(spare, READY);
        bench.binary(spare, &[1, 2, 3]);
        assert_eq!(bench.got(spare), [HANDOVER.to_string(), request(&key)]);
        assert_eq!(
            bench.got_raw(initiator),
            [(Kind::Text, READY.into()), (Kind::Binary, vec![1, 2, 3])]
        );
    }
}

/// Demands: M2.2.
#[test]
fn race_ping_in_flight() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.pass(Micros::secs(25));
    assert_eq!(bench.got(spare), [PING]);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    assert_eq!(bench.got(spare), [""; 0], "the handover waits for the pong");
    bench.text(spare, PONG);
    assert_eq!(bench.got(spare), [HANDOVER.to_string(), request(&key)]);
    bench.text(spare, READY);
    assert_eq!(bench.got(initiator), [READY], "no pong in the stream");
}

/// Demands: M2.2.
#[test]
fn race_unasked_pong() {
    // Before any ping.
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.text(spare, PONG);
    assert_eq!(bench.ended(spare), Some(Why::UnaskedPong.at(Step::Spare)));
    assert_eq!(bench.closed_with(spare), Some(FAILED));

    // A second one behind the one that was asked for.
    let spare = bench.spare(&key);
    bench.pass(Micros::secs(25));
    bench.text(spare, PONG);
    bench.text(spare, PONG);
    assert_eq!(bench.ended(spare), Some(Why::UnaskedPong.at(Step::Spare)));

    // Crossing the handover: before it left, the next spare is taken; behind it, the pair ends. No pong is relayed.
    for left in [false, true] {
        let next = bench.spare(&key);
        let spare = bench.spare(&key);
        let initiator = bench.accept();
        if !left {
            bench.slow.insert(spare);
        }
        bench.text(initiator, &request(&key));
        bench.text(spare, PONG);
        assert_eq!(bench.ended(spare).unwrap().why, Why::UnaskedPong);
        assert_eq!(bench.got(initiator), [""; 0]);
        if left {
            assert_eq!(bench.closed_with(initiator), Some(GOOD));
            assert_eq!(bench.ended(initiator).unwrap().why, Why::Partner);
            assert_eq!(bench.got(next), [""; 0]);
        } else {
            let got = bench.got(next);
            assert_eq!(got[got.len() - 2..], [HANDOVER.to_string(), request(&key)]);
            bench.text(next, READY);
            assert_eq!(bench.got(initiator), [READY]);
        }
    }
}

/// Demands: M2.3.
#[test]
fn race_spare_dies_at_handover() {
    // While it is waited for its pong, by a close, an error, a wrong word or silence; and when the request did not
    // leave any more.
    for how in [
        "closed",
        "lost",
        "rubbish",
        "silent",
        "request never left",
        "not polled",
    ] {
        let mut bench = Bench::new();
        let key = key_pair(7);
        let next = bench.spare(&key);
        let spare = bench.spare(&key);
        bench.got(next);
        let not_sent = ["request never left", "not polled"].contains(&how);
        if !not_sent {
            bench.pass(Micros::secs(25));
            bench.text(next, PONG);
            bench.got(next);
        }
        bench.slow.insert(spare);
        let initiator = bench.accept();
        bench
            .offer(initiator, Message::Text(&request(&key)))
            .unwrap();
        if how != "not polled" {
            bench.pump();
        }
        bench.offer(initiator, Message::Binary(b"early")).unwrap();
        match how {
            "lost" => bench.lose(spare),
            "rubbish" => bench.text(spare, "rubbish"),
            "silent" => bench.pass(Micros::secs(1)),
            _ => bench.close(spare, "Close called: bye"),
        }
        bench.pump();
        let got = bench.got(next);
        assert_eq!(
            got,
            [HANDOVER.into(), request(&key), "early".to_string()],
            "{how}"
        );
        assert!(bench.ended(spare).is_some());
        bench.text(next, READY);
        assert_eq!(bench.got(initiator), [READY]);
        assert_eq!(bench.relay.stats().handed_over, 1, "{how}");
    }
}

#[test]
fn what_was_sent_before_the_handover_and_drained_after_it_is_no_proof_that_the_request_left() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let next = bench.spare(&key);
    let conn = bench.accept();
    bench.slow.insert(conn);
    bench.spare_on(conn, &key);
    let initiator = bench.accept();
    bench
        .offer(initiator, Message::Text(&request(&key)))
        .unwrap();
    // This is `authentication_success`; the handover waits to be polled.
    bench.drain(conn);
    assert_eq!(bench.relay.stats().handed_over, 0);
    bench.lose(conn);
    assert_eq!(bench.got(next), [HANDOVER.to_string(), request(&key)]);
}

/// Demands: M2.3.
#[test]
fn when_the_last_spare_dies_the_initiator_is_refused() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.slow.insert(spare);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.lose(spare);
    assert_eq!(bench.closed_with(initiator), Some(NOBODY));
    assert_eq!(
        bench.ended(initiator),
        Some(Why::NoListener.at(Step::Handover))
    );
}

#[test]
fn a_listener_that_got_the_request_and_closes_has_refused_it() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let next = bench.spare(&key);
    let spare = bench.spare(&key);
    bench.got(next);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.close(spare, "Close called: Handshake failed.");
    assert_eq!(
        bench.closed_with(initiator),
        Some("Close called: Handshake failed.")
    );
    assert_eq!(bench.got(next), [""; 0]);
}

/// Demands: M2.4.
#[test]
fn race_two_initiators_one_spare() {
    for ping_in_flight in [false, true] {
        let mut bench = Bench::new();
        let key = key_pair(7);
        let spare = bench.spare(&key);
        if ping_in_flight {
            bench.pass(Micros::secs(25));
        }
        let (first, second) = (bench.accept(), bench.accept());
        bench.offer(first, Message::Text(&request(&key))).unwrap();
        bench.offer(second, Message::Text(&request(&key))).unwrap();
        bench.pump();
        assert_eq!(bench.closed_with(second), Some(NOBODY));
        if ping_in_flight {
            bench.text(spare, PONG);
        }
        bench.text(spare, READY);
        assert_eq!(bench.got(first), [READY]);
        assert_eq!(bench.closed_with(first), None);
    }
}

#[test]
fn the_spare_returns_when_its_initiator_goes_before_the_pong() {
    for timeout in [false, true] {
        let mut config = RelayConfig::default();
        config.pong_limit = Micros::secs(30);
        let mut bench = Bench::<Nacl>::with(config);
        let key = key_pair(7);
        let spare = bench.spare(&key);
        bench.pass(Micros::secs(25));
        bench.got(spare);
        let initiator = bench.accept();
        bench.text(initiator, &request(&key));
        if timeout {
            bench.pass(limits::STEP);
            assert_eq!(
                bench.ended(initiator),
                Some(Why::Timeout.at(Step::Handover))
            );
            assert_eq!(bench.closed_with(initiator), Some(FAILED));
        } else {
            bench.close(initiator, "");
        }
        assert_eq!(bench.relay.stats().spares, 1);
        let second = bench.accept();
        bench.text(second, &request(&key));
        assert_eq!(bench.got(spare), [""; 0], "the ping is still out");
        bench.text(spare, PONG);
        assert_eq!(bench.got(spare), [HANDOVER.to_string(), request(&key)]);
        bench.text(spare, READY);
        assert_eq!(bench.got(second), [READY]);
    }
}

#[test]
fn an_initiator_that_goes_after_the_handover_takes_the_spare_along() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.got(spare);
    bench.slow.insert(spare);
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.text(initiator, "early");
    bench.close(initiator, "Close called: changed my mind");
    assert_eq!(
        bench.got(spare),
        [HANDOVER.into(), request(&key), "early".to_string()]
    );
    assert_eq!(
        bench.closed_with(spare),
        Some("Close called: changed my mind")
    );
}
