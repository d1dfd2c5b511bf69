//! Shutdown, events, counters, notes.

use crate::bench::*;

#[test]
fn a_shutdown_tells_everybody_and_takes_nobody() {
    let mut bench = Bench::new();
    let silent = bench.accept();
    let challenged = bench.accept();
    bench.text(challenged, &wire::register(&key_pair(9).public()));
    let spare = bench.spare(&key_pair(8));
    let (one, other) = bench.pair(&key_pair(7));
    bench.pass(Micros::secs(5));
    bench.relay.shutdown(at(bench.now));
    bench.pump();
    for conn in [silent, challenged, spare, one, other] {
        assert_eq!(bench.closed_with(conn), Some(GOOD));
        assert_eq!(bench.ended(conn).unwrap().why, Why::Shutdown);
    }
    assert_eq!(bench.relay.accept(at(bench.now), Source::Unknown), None);
    assert_eq!(bench.relay.stats().refused_shutdown, 1);
    bench.relay.shutdown(at(bench.now));
    for conn in [silent, challenged, spare, one] {
        bench.close(conn, GOOD);
    }
    bench.pass_by_deadlines(limits::CLOSE);
    assert_eq!(bench.relay.stats().connections, 0);
    assert_eq!(bench.relay.deadline(), None);
    assert_eq!(bench.relay.stats().ended, BTreeMap::from([("shutdown", 5)]));
}

#[test]
fn events_and_counters_tell_what_happened() {
    let mut bench = Bench::new();
    let key = key_pair(7);
    let (spare, initiator) = bench.pair(&key);
    let source = PublicKey::new([0xab; 32]);
    assert_eq!(
        bench.events,
        [
            RelayEvent::Registered {
                conn: spare,
                key: key.public()
            },
            RelayEvent::HandedOver {
                spare,
                initiator,
                source,
                target: key.public()
            }
        ]
    );
    bench.binary(initiator, &[0; 72]);
    bench.close(initiator, "");
    let stats = bench.relay.stats();
    assert_eq!(
        (
            stats.accepted,
            stats.gone,
            stats.registered,
            stats.handed_over
        ),
        (2, 1, 1, 1)
    );
    assert_eq!((stats.messages, stats.bytes), (2, READY.len() as u64 + 72));
    assert_eq!(
        stats.ended,
        BTreeMap::from([("closed_by_peer", 1), ("partner_gone", 1)])
    );
}

#[test]
fn notes_name_every_message_when_they_are_wanted() {
    let mut config = RelayConfig::default();
    config.notes = true;
    let mut bench = Bench::<Nacl>::with(config);
    let (spare, initiator) = bench.pair(&key_pair(7));
    bench.binary(initiator, &[0; 72]);
    bench.text(spare, "x");
    let notes: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            RelayEvent::Note { conn, note } => Some((*conn, note.sent, note.layer, note.name)),
            _ => None,
        })
        .collect();
    let (s, i) = (spare, initiator);
    assert_eq!(
        notes,
        [
            (s, false, Layer::Relay, "register"),
            (s, true, Layer::Relay, "authentication_request"),
            (s, false, Layer::Relay, "authentication_response"),
            (s, true, Layer::Relay, "authentication_success"),
            (i, false, Layer::Relay, "communication_request"),
            (s, true, Layer::Relay, "connection_handover"),
            (s, true, Layer::Relay, "communication_request"),
            (s, false, Layer::Relayed, "text"),
            (i, true, Layer::Relayed, "text"),
            (i, false, Layer::Relayed, "binary"),
            (s, true, Layer::Relayed, "binary"),
            (s, false, Layer::Relayed, "text"),
            (i, true, Layer::Relayed, "text"),
        ]
    );
}

#[test]
fn debug_shows_no_message_and_no_secret() {
    let mut bench = Bench::new();
    let (_, initiator) = bench.pair(&key_pair(7));
    bench
        .offer(initiator, Message::Text("for their eyes only"))
        .unwrap();
    let shown = format!("{:?}", bench.relay);
    assert!(
        !shown.contains("for their eyes") && !shown.contains("102, 111, 114"),
        "{shown}"
    );
}
