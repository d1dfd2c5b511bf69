//! Back-pressure: a slow reader slows its partner and nobody else.

use crate::bench::*;

pub(crate) const CHUNK: usize = 16 * 1024;

/// Demands: M2.5.
#[test]
fn a_slow_reader_stops_its_partner_alone_and_memory_stays_bounded() {
    // A window that is smaller than the backlog: it takes several to catch up.
    const WINDOW: usize = 64 * 1024;
    let mut config = RelayConfig::default();
    config.window = WINDOW;
    let mut bench = Bench::<Nacl>::with(config);
    let (slow, fast) = bench.pair(&key_pair(7));
    let (other, another) = bench.pair(&key_pair(8));
    bench.slow.insert(slow);
    let mut taken = 0;
    while bench
        .offer(fast, Message::Binary(&[taken as u8; CHUNK]))
        .is_ok()
    {
        bench.pump();
        taken += 1;
        assert!(taken < 1000, "no bound");
    }
    assert!(bench.paused.contains(&fast));
    assert!(bench.undrained[&slow] <= WINDOW);
    assert!(bench.relay.stats().held <= limits::RELAY_BACKLOG);
    assert!(taken * CHUNK <= WINDOW + limits::RELAY_BACKLOG);
    assert!(taken * CHUNK >= WINDOW + limits::RELAY_BACKLOG - 3 * CHUNK);
    // `Full` again and again changes nothing.
    let held = bench.relay.stats().held;
    assert_eq!(bench.offer(fast, Message::Binary(&[0; CHUNK])), Err(Full));
    assert_eq!(bench.relay.stats().held, held);

    // The way back is open, and so is everybody else's.
    for n in 0..100 {
        bench.binary(slow, &[n; CHUNK]);
        bench.binary(other, &[n; CHUNK]);
        bench.binary(another, &[n; CHUNK]);
    }
    assert_eq!(bench.got_raw(fast).len(), 100);
    assert_eq!(bench.got_raw(other).len(), 100);
    assert_eq!(bench.got_raw(another).len(), 100);
    assert_eq!(bench.paused, BTreeSet::from([fast]));

    // It catches up: all in order, and the sender goes on.
    while !bench.resumed.contains(&fast) {
        bench.drain(slow);
        bench.poll();
        assert!(bench.undrained[&slow] <= WINDOW);
        assert_eq!(bench.resumed.contains(&fast), bench.relay.stats().held == 0);
    }
    bench.drain(slow);
    bench.binary(fast, &[taken as u8; CHUNK]);
    let got: Vec<u8> = bench
        .got_raw(slow)
        .iter()
        .map(|(_, bytes)| bytes[0])
        .collect();
    let sent: Vec<u8> = (0..=taken).map(|n| n as u8).collect();
    assert_eq!(got, sent);
    assert!(bench.paused.is_empty());
    assert_eq!(bench.relay.stats().held, 0);
}

#[test]
fn a_small_message_does_not_overtake_a_big_one_that_is_held() {
    let mut bench = Bench::new();
    let (slow, fast) = bench.pair(&key_pair(7));
    bench.slow.insert(slow);
    for length in [200_000, 100_000, 1] {
        bench.binary(fast, &vec![0; length]);
    }
    bench.slow.clear();
    bench.pump();
    let lengths: Vec<usize> = bench
        .got_raw(slow)
        .iter()
        .map(|(_, bytes)| bytes.len())
        .collect();
    assert_eq!(lengths, [200_000, 100_000, 1]);
}

#[test]
fn empty_messages_are_bounded_too() {
    let mut bench = Bench::new();
    let (slow, fast) = bench.pair(&key_pair(7));
    bench.slow.insert(slow);
    let mut taken = 0;
    while bench.offer(fast, Message::Binary(&[])).is_ok() {
        bench.poll();
        taken += 1;
        assert!(taken < 100_000, "no bound");
    }
    assert!(taken * limits::RELAY_PER_MESSAGE <= limits::WINDOW + limits::RELAY_BACKLOG);
}

#[test]
fn what_is_held_for_a_slow_reader_reaches_it_before_the_close() {
    for reads_again in [true, false] {
        let mut bench = Bench::new();
        let (slow, fast) = bench.pair(&key_pair(7));
        bench.slow.insert(slow);
        let mut taken = 0;
        while bench.offer(fast, Message::Binary(&[0; CHUNK])).is_ok() {
            bench.pump();
            taken += 1;
        }
        bench.close(fast, "Close called: done");
        assert_eq!(bench.closed_with(slow), None);
        assert_eq!(bench.ended(slow), Some(Why::Partner.at(Step::Connected)));
        if reads_again {
            bench.slow.clear();
            bench.pump();
            assert_eq!(bench.got_raw(slow).len(), taken);
            assert_eq!(bench.closed_with(slow), Some("Close called: done"));
        } else {
            bench.pass_by_deadlines(limits::STEP);
            assert_eq!(bench.closed_with(slow), Some("Close called: done"));
            assert_eq!(bench.relay.stats().held, 0);
        }
    }
}

#[test]
fn a_paused_connection_whose_partner_goes_is_resumed() {
    let mut bench = Bench::new();
    let (slow, fast) = bench.pair(&key_pair(7));
    bench.slow.insert(slow);
    while !bench.paused.contains(&fast) {
        bench.offer(fast, Message::Binary(&[0; CHUNK])).unwrap();
        bench.pump();
    }
    bench.lose(slow);
    assert_eq!(bench.resumed, [fast]);
    assert_eq!(bench.closed_with(fast), Some(GOOD));
}

#[test]
fn in_the_steady_state_the_same_few_buffers_go_round() {
    let mut bench = Bench::new();
    let (spare, initiator) = bench.pair(&key_pair(7));
    let mut seen = BTreeSet::new();
    let mut buffer = Vec::with_capacity(4096);
    // Whatever were freed would be given away to these.
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    for n in 0..200_u32 {
        let (from, to) = if n % 2 == 0 {
            (spare, initiator)
        } else {
            (initiator, spare)
        };
        bench
            .relay
            .message(at(bench.now), from, Message::Binary(&[7; 4096]))
            .unwrap();
        let effect = bench.relay.poll(&mut buffer).unwrap();
        assert_eq!(
            effect,
            Effect::Send {
                conn: to,
                kind: Kind::Binary
            }
        );
        assert_eq!(bench.relay.poll(&mut buffer), None);
        bench.relay.drained(at(bench.now), to);
        hoard.extend((0..4).map(|_| Vec::with_capacity(4096)));
        if n >= 10 {
            seen.insert((buffer.as_ptr(), buffer.capacity()));
        }
    }
    assert!(seen.len() <= 4, "{} buffers", seen.len());
}
