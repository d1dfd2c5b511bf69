//! Registration and pings, at the relay.

use crate::bench::*;

#[test]
fn spare_connections_are_used_last_in_first_out() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spares: Vec<ConnId> = (0..3).map(|_| bench.spare(&key)).collect();
    for spare in spares.iter().rev() {
        let initiator = bench.accept();
        bench.text(initiator, &request(&key));
        assert_eq!(bench.got(*spare), [HANDOVER.to_string(), request(&key)]);
    }
    assert_eq!(bench.relay.stats().keys, 0);
}

#[test]
fn a_key_in_upper_case_is_the_same_key_and_the_request_is_written_anew() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    let initiator = bench.accept();
    let target = key.public().hex().to_uppercase();
    let source = "AB".repeat(32);
    let shouted = format!(
        r#"{{ "extra": 1, "targetPublicKey": "{target}", "sourcePublicKey": "{source}", "command": "communication_request" }}"#
    );
    bench.text(initiator, &shouted);
    assert_eq!(bench.got(spare), [HANDOVER.to_string(), request(&key)]);
}

#[test]
fn pings_count_from_success_and_then_from_the_last_pong() {
    let mut bench = Bench::new();
    let spare = bench.spare(&key_pair(7));
    let success = bench.now;
    assert_eq!(
        bench.relay.deadline(),
        Some(Deadline {
            at: success + Micros::secs(25),
            why: Alarm::Ping
        })
    );
    bench.pass(Micros::secs(25) + Micros::millis(300));
    assert_eq!(bench.got(spare), [PING]);
    assert_eq!(bench.relay.deadline().unwrap().why, Alarm::PongLimit);
    bench.now = bench.now + Micros::millis(900);
    bench.text(spare, PONG);
    assert_eq!(
        bench.relay.deadline(),
        Some(Deadline {
            at: bench.now + Micros::secs(25),
            why: Alarm::Ping
        })
    );
}

#[test]
fn a_pong_at_the_very_limit_is_in_time_and_none_is_the_end() {
    let mut bench = Bench::new();
    let spare = bench.spare(&key_pair(7));
    bench.pass(Micros::secs(25));
    bench.now = bench.now + Micros::secs(1);
    bench.text(spare, PONG);
    assert_eq!(bench.closed_with(spare), None);
    bench.pass(Micros::secs(25));
    bench.pass(Micros(999_999));
    assert_eq!(bench.closed_with(spare), None);
    bench.pass(Micros(1));
    assert_eq!(bench.closed_with(spare), Some(FAILED));
    assert_eq!(bench.ended(spare), Some(Why::NoPong.at(Step::Spare)));
    // Nobody is handed over to the dead one.
    let initiator = bench.accept();
    bench.text(initiator, &request(&key_pair(7)));
    assert_eq!(bench.closed_with(initiator), Some(NOBODY));
}

/// Demands: M1.2.
#[test]
fn wrong_answers_to_the_challenge_are_refused() {
    let key = key_pair(7);
    let relay_hex = |asked: &[String]| wire::read_authentication_request(&asked[0]).unwrap();
    for wrong in ["forged", "not inverted", "one bit", "short"] {
        let mut bench = Bench::new();
        let conn = bench.accept();
        bench.text(conn, &wire::register(&key.public()));
        let asked = relay_hex(&bench.got(conn));
        let pair = key.before::<Nacl, _>(&asked.relay_key).unwrap();
        let challenge = crypto::open::<64>(&pair, &asked.challenge).unwrap();
        let mut answer = *crypto::inverted(&challenge).expose();
        answer[63] ^= 1;
        let mut random = Random::new([3; 32]);
        let response = match wrong {
            "forged" => wire::authentication_response(&[0; 104]),
            "not inverted" => wire::authentication_response(&asked.challenge),
            "one bit" => wire::authentication_response(&crypto::seal(&pair, &mut random, &answer)),
            _ => r#"{"command":"authentication_response","response":"00"}"#.into(),
        };
        bench.text(conn, &response);
        assert_eq!(bench.closed_with(conn), Some(FAILED), "{wrong}");
        let fault = bench.ended(conn).unwrap();
        assert_eq!(fault.step, Step::Register);
        assert_eq!(fault.why == Why::Challenge, wrong != "short", "{wrong}");
        assert_eq!(bench.relay.stats().spares, 0);
    }
}

/// Demands: M1.1.
#[test]
fn a_listener_key_of_small_order_is_refused() {
    let mut bench = Bench::new();
    for small in ["00".repeat(32), format!("01{}", "00".repeat(31))] {
        let conn = bench.accept();
        bench.text(
            conn,
            &format!(r#"{{"command":"register","publicKey":"{small}"}}"#),
        );
        assert_eq!(bench.ended(conn), Some(Why::SmallOrder.at(Step::Register)));
        assert_eq!(bench.closed_with(conn), Some(FAILED));
    }
}

#[test]
fn a_spare_connection_may_say_pong_and_nothing_else() {
    for wrong in [READY, "rubbish", r#"{"command":"comm_pong"}"#, HANDOVER] {
        let mut bench = Bench::new();
        let spare = bench.spare(&key_pair(7));
        bench.pass(Micros::secs(25));
        bench.text(spare, wrong);
        assert_eq!(bench.closed_with(spare), Some(FAILED), "{wrong}");
        assert_eq!(bench.ended(spare).unwrap().step, Step::Spare);
    }
    let mut bench = Bench::new();
    let spare = bench.spare(&key_pair(7));
    bench.binary(spare, b"pong");
    assert_eq!(
        bench.ended(spare),
        Some(
            Why::Kind {
                expected: Kind::Text
            }
            .at(Step::Spare)
        )
    );
}
