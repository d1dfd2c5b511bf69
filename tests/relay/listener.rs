//! The listener's side of a registration.

use crate::bench::*;
use crate::equality::hash_of;
use crate::limits::limited;

pub(crate) fn spare_listener(key: &KeyPair<Instance>) -> Registration<Nacl> {
    let mut listener = challenged_listener(key);
    let success = wire::authentication_success(25_000);
    listener
        .message(at(Micros::ZERO), Message::Text(&success))
        .unwrap();
    while listener.poll(&mut Vec::new()).is_some() {}
    assert!(listener.is_spare());
    listener
}

/// One that has answered its challenge.
pub(crate) fn challenged_listener(key: &KeyPair<Instance>) -> Registration<Nacl> {
    let random = Random::new([5; 32]);
    let mut listener =
        Registration::<Nacl>::new(at(Micros::ZERO), key.clone(), random, limits::STEP, false);
    let asked = challenge_for(key);
    listener
        .message(at(Micros::ZERO), Message::Text(&asked))
        .unwrap();
    while listener.poll(&mut Vec::new()).is_some() {}
    listener
}

pub(crate) fn challenge_for(key: &KeyPair<Instance>) -> String {
    let mut random = Random::new([6; 32]);
    let relay = KeyPair::<crypto::Relay>::generate::<Nacl>(&mut random, Purpose::StaticKey);
    let pair = relay.before::<Nacl, _>(&key.public()).unwrap();
    let challenge = crypto::seal(&pair, &mut random, &[9; 64]);
    let relay_key = relay.public();
    wire::authentication_request(&wire::AuthenticationRequest {
        relay_key,
        challenge,
    })
}

pub(crate) fn fault_of(mut listener: Registration<Nacl>) -> Option<Fault> {
    let mut fault = None;
    while let Some(output) = listener.poll(&mut Vec::new()) {
        assert_eq!(fault, None, "nothing comes behind a fault");
        if let Output::Fault(found) = output {
            fault = Some(found);
        }
    }
    if fault.is_some() {
        assert_eq!(listener.deadline(), None);
        listener
            .message(at(Micros::ZERO), Message::Text(PING))
            .unwrap();
        listener.tick(at(Micros::secs(1000)));
        assert_eq!(listener.poll(&mut Vec::new()), None);
        assert_eq!(
            fault.as_ref().map(|fault| fault.step),
            Some(listener.step())
        );
        assert!(listener.into_handed_over().is_none());
    }
    fault
}

#[test]
fn the_listener_refuses_what_is_not_due() {
    let key = key_pair(7);
    let fresh = || {
        let random = Random::new([5; 32]);
        Registration::<Nacl>::new(at(Micros::ZERO), key.clone(), random, limits::STEP, false)
    };
    let told = |mut listener: Registration<Nacl>, text: &str| {
        listener
            .message(at(Micros::ZERO), Message::Text(text))
            .unwrap();
        fault_of(listener)
    };
    let good = challenge_for(&key);
    let relay_key = "\"publicKey\":\"";
    let start = good.find(relay_key).unwrap() + relay_key.len();
    let small_order = format!(
        "{}{}{}",
        &good[..start],
        "0".repeat(64),
        &good[start + 64..]
    );
    assert_eq!(
        told(fresh(), &small_order),
        Some(Why::SmallOrder.at(Step::Register))
    );
    let mut forged = good.clone().into_bytes();
    let last = forged.len() - 3;
    forged[last] = if forged[last] == b'0' { b'1' } else { b'0' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(
        told(fresh(), &forged),
        Some(Why::Challenge.at(Step::Register))
    );
    // 72 bytes, as a handshake's key message has: refused unopened.
    let short = format!("{}\"}}", &good[..good.len() - 2 - 64]);
    let member = JsonFault::Member {
        member: "challenge",
        expected: "208 hex digits",
    };
    assert_eq!(
        told(fresh(), &short),
        Some(Why::Json { fault: member }.at(Step::Register))
    );
    assert_eq!(told(fresh(), PING).unwrap().step, Step::Register);

    for interval in ["0", "3600001", "-1", "1.5", "\"25000\"", "null"] {
        let success =
            format!(r#"{{"command":"authentication_success","pingInterval":{interval}}}"#);
        let fault = told(challenged_listener(&key), &success);
        assert_eq!(
            fault,
            Some(Why::PingInterval.at(Step::Register)),
            "{interval}"
        );
    }
    assert_eq!(
        told(challenged_listener(&key), &good).unwrap().step,
        Step::Register
    );

    let request = request(&key);
    for wrong in [request.as_str(), PONG, "rubbish", good.as_str()] {
        assert_eq!(
            told(spare_listener(&key), wrong).unwrap().step,
            Step::Spare,
            "{wrong}"
        );
    }
    let long = format!("{}{PING}", " ".repeat(limits::CONTROL));
    limited("control message", told(spare_listener(&key), &long));
    let mut listener = spare_listener(&key);
    listener
        .message(at(Micros::ZERO), Message::Binary(&[0; 72]))
        .unwrap();
    let kind = Why::Kind {
        expected: Kind::Text,
    };
    assert_eq!(fault_of(listener), Some(kind.at(Step::Spare)));
}

#[test]
fn the_listener_answers_pings_in_kind() {
    let mut listener = spare_listener(&key_pair(7));
    for (asked, answer) in [
        (PING, PONG),
        (r#"{"command":"comm_ping"}"#, r#"{"command":"comm_pong"}"#),
    ] {
        listener
            .message(at(Micros::ZERO), Message::Text(asked))
            .unwrap();
        let mut bytes = b"old".to_vec();
        assert_eq!(listener.poll(&mut bytes), Some(Output::Send(Kind::Text)));
        assert_eq!(bytes, answer.as_bytes());
        assert_eq!(listener.poll(&mut bytes), None);
    }
}

#[test]
fn the_listener_bounds_what_waits_to_be_polled() {
    let mut listener = spare_listener(&key_pair(7));
    let mut taken = 0;
    while listener
        .message(at(Micros::ZERO), Message::Text(PING))
        .is_ok()
    {
        taken += 1;
        assert!(taken < 100, "no bound");
    }
    let before = listener.clone();
    let handover = Message::Text(HANDOVER);
    assert_eq!(
        listener.message(at(Micros::ZERO), handover),
        Err(NotTaken::Full)
    );
    assert_eq!(listener, before);
    assert!(listener.poll(&mut Vec::new()).is_some());
    assert_eq!(listener.message(at(Micros::ZERO), handover), Ok(()));
}

#[test]
fn the_listener_gives_up_when_an_answer_or_a_ping_is_missing() {
    let key = key_pair(7);
    let random = Random::new([5; 32]);
    let silent =
        Registration::<Nacl>::new(at(Micros::ZERO), key.clone(), random, limits::STEP, false);
    let register = Why::Timeout.at(Step::Register);
    let no_ping = Why::NoPing.at(Step::Spare);
    let cases = [
        (silent, limits::STEP, Alarm::StepLimit, register.clone()),
        (
            challenged_listener(&key),
            limits::STEP,
            Alarm::StepLimit,
            register,
        ),
        (
            spare_listener(&key),
            Micros::secs(29),
            Alarm::PingLimit,
            no_ping,
        ),
    ];
    for (mut listener, limit, why, fault) in cases {
        assert_eq!(listener.deadline(), Some(Deadline { at: limit, why }));
        while listener.poll(&mut Vec::new()).is_some() {}
        listener.tick(at(Micros(limit.0 - 1)));
        assert_eq!(listener.poll(&mut Vec::new()), None);
        let mut in_time = listener.clone();
        listener.tick(at(limit));
        assert_eq!(fault_of(listener), Some(fault));
        if why == Alarm::PingLimit {
            // At the very limit is in time, and the limit counts from there; a comm_ping is no ping.
            in_time.message(at(limit), Message::Text(PING)).unwrap();
            in_time
                .message(at(limit), Message::Text(r#"{"command":"comm_ping"}"#))
                .unwrap();
            assert_eq!(
                in_time.deadline(),
                Some(Deadline {
                    at: limit + limit,
                    why
                })
            );
        }
    }
}

#[test]
fn the_listener_names_what_passes_when_asked() {
    let key = key_pair(7);
    let random = Random::new([5; 32]);
    let mut listener =
        Registration::<Nacl>::new(at(Micros::ZERO), key.clone(), random, limits::STEP, true);
    let success = wire::authentication_success(25_000);
    for text in [challenge_for(&key).as_str(), &success, PING, HANDOVER] {
        listener
            .message(at(Micros::ZERO), Message::Text(text))
            .unwrap();
    }
    let mut names = Vec::new();
    while let Some(output) = listener.poll(&mut Vec::new()) {
        if let Output::Note(note) = output {
            assert_eq!((note.layer, note.nonce), (Layer::Relay, None));
            names.push((note.sent, note.name));
        }
    }
    assert_eq!(
        names,
        [
            (true, "register"),
            (false, "authentication_request"),
            (true, "authentication_response"),
            (false, "authentication_success"),
            (false, "ping"),
            (true, "pong"),
            (false, "connection_handover"),
        ]
    );
}

#[test]
fn listeners_at_different_times_compare_by_what_is_left() {
    let key = key_pair(7);
    let start = |from: Micros| {
        let random = Random::new([5; 32]);
        Registration::<Nacl>::new(at(from), key.clone(), random, limits::STEP, false)
    };
    let (mut one, mut two) = (start(Micros::ZERO), start(Micros::secs(50)));
    assert_eq!(one, two);
    assert_eq!(hash_of(&one), hash_of(&two));
    one.tick(at(Micros::secs(1)));
    assert_ne!(one, two);
    two.tick(at(Micros::secs(51)));
    assert_eq!(one, two);
}
