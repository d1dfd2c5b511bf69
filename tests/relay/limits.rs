//! Limits of each kind.

use crate::bench::*;

pub(crate) fn limited(what: &str, fault: Option<Fault>) {
    match fault.map(|fault| fault.why) {
        Some(Why::Limit { what: named, .. }) => assert!(named.contains(what), "{named}"),
        other => panic!("{other:?} is no limit of {what}"),
    }
}

#[test]
fn the_messages_of_each_layer_have_a_longest_length() {
    let mut bench = Bench::new();
    let conn = bench.accept();
    bench.text(
        conn,
        &format!("{}{}", " ".repeat(limits::CONTROL), request(&key_pair(7))),
    );
    limited("control message", bench.ended(conn));

    let (spare, initiator) = bench.pair(&key_pair(7));
    bench.binary(initiator, &vec![1; limits::RELAY_MESSAGE]);
    assert_eq!(bench.got_raw(spare).len(), 1);
    bench.binary(initiator, &vec![1; limits::RELAY_MESSAGE + 1]);
    limited("relayed message", bench.ended(initiator));
    assert_eq!(bench.closed_with(spare), Some(GOOD));
    assert_eq!(bench.closed_with(initiator), Some(GOOD));
}

#[test]
fn what_is_held_for_a_waiting_initiator_is_bounded() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let spare = bench.spare(&key);
    bench.pass(Micros::secs(25));
    let initiator = bench.accept();
    bench.text(initiator, &request(&key));
    bench.binary(
        initiator,
        &vec![0; limits::RELAY_HELD - limits::RELAY_PER_MESSAGE],
    );
    assert_eq!(bench.closed_with(initiator), None);
    assert_eq!(bench.relay.stats().held, limits::RELAY_HELD);
    bench.binary(initiator, &[]);
    limited("before the relaying began", bench.ended(initiator));
    assert_eq!(bench.closed_with(initiator), Some(FAILED));
    assert_eq!(bench.relay.stats().held, 0);
    bench.text(spare, PONG);
    assert_eq!(bench.relay.stats().spares, 1, "the spare is spare again");
}

#[test]
fn spares_are_bounded_for_each_key_and_in_all() {
    let mut config = RelayConfig::default();
    (config.spares_per_key, config.spares) = (2, 3);
    let mut bench = Bench::<Nacl>::with(config);
    let register = |bench: &mut Bench<Nacl>, n: u8| {
        let conn = bench.accept();
        bench.text(conn, &wire::register(&key_pair(n).public()));
        conn
    };
    bench.spare(&key_pair(7));
    bench.spare(&key_pair(7));
    let third = register(&mut bench, 7);
    limited("one key", bench.ended(third));
    // Others may answer their challenge first: it is looked at again then.
    let early = register(&mut bench, 8);
    let asked = bench.got(early);
    bench.spare(&key_pair(9));
    let asked = wire::read_authentication_request(&asked[0]).unwrap();
    let pair = key_pair(8).before::<Nacl, _>(&asked.relay_key).unwrap();
    let challenge = crypto::open::<64>(&pair, &asked.challenge).unwrap();
    let answer = crypto::inverted(&challenge);
    let answer = crypto::seal(&pair, &mut Random::new([1; 32]), answer.expose());
    bench.text(early, &wire::authentication_response(&answer));
    limited("in all", bench.ended(early));
    let fourth = register(&mut bench, 10);
    limited("in all", bench.ended(fourth));
}

#[test]
fn pending_challenges_are_bounded() {
    let mut config = RelayConfig::default();
    config.challenges = 2;
    let mut bench = Bench::<Nacl>::with(config);
    let conns: Vec<ConnId> = (0..3).map(|_| bench.accept()).collect();
    for conn in &conns {
        bench.text(*conn, &wire::register(&key_pair(7).public()));
    }
    limited("challenges", bench.ended(conns[2]));
    assert_eq!(bench.closes.len(), 1);
    bench.close(conns[0], "");
    bench.spare(&key_pair(7));
}

#[test]
fn connections_are_bounded_in_all_and_for_each_address() {
    let mut config = RelayConfig::default();
    (config.connections, config.connections_per_address) = (3, 2);
    let mut bench = Bench::<Nacl>::with(config);
    let from = |last: u8| Source::from(IpAddr::from([10, 0, 0, last]));
    let now = at(bench.now);
    let one = bench.relay.accept(now, from(1)).unwrap();
    assert!(bench.relay.accept(now, from(1)).is_some());
    assert!(bench.relay.accept(now, from(1)).is_none());
    assert!(bench.relay.accept(now, from(2)).is_some());
    assert!(bench.relay.accept(now, Source::Unknown).is_none());
    let stats = bench.relay.stats();
    assert_eq!((stats.refused_address, stats.refused_connections), (1, 1));
    bench.close(one, "");
    assert!(bench.relay.accept(now, from(1)).is_some());
}

#[test]
fn an_ipv6_network_counts_as_one_address() {
    let mut config = RelayConfig::default();
    config.connections_per_address = 1;
    let mut bench = Bench::<Nacl>::with(config);
    let from = |net: u16, host: u16| {
        Source::from(IpAddr::from(Ipv6Addr::new(
            0x2001, 0xdb8, 0, net, 1, 2, 3, host,
        )))
    };
    let now = at(bench.now);
    assert!(bench.relay.accept(now, from(1, 1)).is_some());
    assert!(bench.relay.accept(now, from(1, 2)).is_none());
    assert!(bench.relay.accept(now, from(2, 1)).is_some());
}

#[test]
fn new_connections_from_one_address_come_in_a_burst_and_then_at_a_rate() {
    let mut config = RelayConfig::default();
    (config.burst, config.rate, config.addresses) = (3, Micros::secs(1), 2);
    let mut bench = Bench::<Nacl>::with(config);
    let from = |last: u8| Source::from(IpAddr::from([10, 0, 0, last]));
    let take = |bench: &mut Bench<Nacl>, last| {
        let conn = bench.relay.accept(at(bench.now), from(last));
        conn.inspect(|conn| bench.close(*conn, "")).is_some()
    };
    let taken = (0..5).filter(|_| take(&mut bench, 1)).count();
    assert_eq!(taken, 3);
    assert!(take(&mut bench, 2), "others are not concerned");
    assert!(
        !take(&mut bench, 3),
        "as many addresses as are kept count of"
    );
    assert_eq!(bench.relay.stats().refused_addresses, 1);
    bench.pass(Micros(999_999));
    assert!(!take(&mut bench, 1));
    bench.pass(Micros(1));
    assert!(take(&mut bench, 1));
    assert!(!take(&mut bench, 1));
    assert_eq!(bench.relay.stats().refused_rate, 4);
    bench.pass(Micros::secs(10));
    assert!(take(&mut bench, 3), "what makes no difference is forgotten");
    assert_eq!(bench.relay.stats().addresses, 1);
}

#[test]
fn a_driver_that_does_not_poll_is_answered_full_and_told_when_to_go_on() {
    let mut config = RelayConfig::default();
    config.effects = 8;
    let mut bench = Bench::<Nacl>::with(config);
    let (spare, initiator) = bench.pair(&key_pair(7));
    let mut taken = 0;
    let full = loop {
        let before = bench.relay.clone();
        if bench.offer(initiator, Message::Text("more")).is_err() {
            break before;
        }
        taken += 1;
    };
    assert_eq!(taken, 8);
    assert_eq!(bench.offer(spare, Message::Text("more")), Err(Full));
    assert_eq!(full.stats().messages, bench.relay.stats().messages);
    assert_eq!(bench.relay.accept(at(bench.now), Source::Unknown), None);
    assert_eq!(bench.relay.stats().refused_effects, 1);
    bench.pump();
    assert_eq!(bench.resumed, [spare, initiator]);
    bench.text(initiator, "more");
    assert_eq!(bench.got(spare).len(), 9);
}
