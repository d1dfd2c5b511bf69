//! Time limits of each step.

use crate::bench::*;

/// Demands: M0.3.
#[test]
fn each_step_has_its_time_limit() {
    let key = key_pair(7);
    // A step that is in time by a microsecond, and one that is not.
    for late in [false, true] {
        let wait = if late {
            limits::STEP
        } else {
            Micros(limits::STEP.0 - 1)
        };
        let expected = late.then_some(FAILED);

        let mut bench = Bench::new();
        let conn = bench.accept();
        bench.pass_by_deadlines(wait);
        assert_eq!(bench.closed_with(conn), expected, "first message");

        let mut bench = Bench::new();
        let conn = bench.accept();
        bench.pass(Micros::secs(9));
        bench.text(conn, &wire::register(&key.public()));
        bench.pass_by_deadlines(wait);
        assert_eq!(bench.closed_with(conn), expected, "authentication response");

        // Handover: the request does not leave for the spare's socket.
        let mut bench = Bench::new();
        let spare = bench.spare(&key);
        bench.slow.insert(spare);
        let initiator = bench.accept();
        bench.pass(Micros::secs(9));
        bench.text(initiator, &request(&key));
        bench.pass_by_deadlines(wait);
        assert_eq!(bench.closed_with(initiator), expected, "handover");
        assert_eq!(bench.closed_with(spare), expected, "handover, the spare");
    }
}

#[test]
fn a_pair_with_nothing_moving_is_closed_and_any_message_counts_as_moving() {
    let mut bench = Bench::new();
    let (spare, initiator) = bench.pair(&key_pair(7));
    for sender in [spare, initiator, spare] {
        bench.pass_by_deadlines(Micros::secs(59));
        bench.binary(sender, &[]);
    }
    bench.pass_by_deadlines(Micros(59_999_999));
    assert_eq!(bench.closes.len(), 0);
    bench.pass_by_deadlines(Micros(1));
    assert_eq!(bench.closed_with(spare), Some(GOOD));
    assert_eq!(bench.closed_with(initiator), Some(GOOD));
    assert_eq!(
        bench.ended(initiator),
        Some(Why::Timeout.at(Step::Connected))
    );
}

#[test]
fn who_does_not_close_is_forgotten() {
    let mut bench = Bench::new();
    let conn = bench.accept();
    bench.text(conn, "rubbish");
    assert_eq!(bench.relay.stats().ending, 1);
    // Whatever still comes is dropped.
    bench.text(conn, &request(&key_pair(7)));
    bench.relay.drained(at(bench.now), conn);
    bench.pass_by_deadlines(limits::CLOSE);
    assert_eq!(bench.relay.stats().connections, 0);
    bench.close(conn, "");
    bench.text(conn, "harmless");
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn the_end_of_time_is_no_loop() {
    let mut bench = Bench::new();
    bench.spare(&key_pair(7));
    bench.now = Micros(u64::MAX);
    bench.relay.tick(at(bench.now));
    bench.accept();
    bench.pump();
    bench.relay.tick(at(Micros(5)));
    assert_eq!(bench.relay.deadline(), None);
}
