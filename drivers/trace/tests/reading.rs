//! Traces come from other people.

use chumwire_trace::{
    BadTrace, Cause, FaultLine, Header, Line, Origin, Passing, Sort, Trace, What, diff, draw,
    explain, merge, page, text_of,
};
use proptest::prelude::*;

fn header() -> String {
    text_of(&Header::new(Origin::Live, 7))
}

fn read(text: &str) -> Result<Trace, BadTrace> {
    Trace::read(text.as_bytes())
}

fn line() -> impl Strategy<Value = Line> {
    let message = (
        any::<bool>(),
        ".*",
        any::<usize>(),
        proptest::option::of("[0-9a-f]{16}"),
    );
    let what = prop_oneof![
        Just(What::Tick),
        Just(What::Expired),
        any::<u64>().prop_map(|conn| What::Drained { conn }),
        (any::<u64>(), any::<u16>(), ".*").prop_map(|(conn, code, reason)| What::Closing {
            conn,
            code,
            reason
        }),
        (any::<u64>(), any::<bool>(), message).prop_map(|(conn, full, message)| {
            let (text, name, bytes, hash) = message;
            let kind = if text { Sort::Text } else { Sort::Binary };
            let data = hash.clone();
            What::Received {
                conn,
                full,
                message: Passing {
                    kind,
                    name: Some(name),
                    bytes,
                    hash,
                    data,
                },
            }
        }),
    ];
    (
        any::<u64>(),
        proptest::option::of(any::<u64>()),
        ".{0,9}",
        what,
    )
        .prop_map(|(at, wall, who, what)| Line {
            at,
            wall,
            who: who.into(),
            what,
        })
}

/// Lines of few parties and connections, so that they have to do with each other, in an order that no machine would
/// give.
fn forged() -> impl Strategy<Value = Line> {
    let conn = 0_u64..3;
    let message = (
        any::<bool>(),
        prop_oneof![Just(16_usize), Just(72), Just(100)],
        0_u8..4,
    )
        .prop_map(|(text, bytes, hash)| Passing {
            kind: if text { Sort::Text } else { Sort::Binary },
            name: text.then(|| "communication_request".into()),
            bytes,
            hash: (hash > 0).then(|| hash.to_string()),
            data: None,
        });
    let fault = (
        prop::sample::select(chumwire::step::Step::ALL),
        prop::sample::select(vec![
            "timeout",
            "timeout_both_accept",
            "closed_by_peer",
            "lost",
            "partner_gone",
            "bad_frame",
            "bad_key_message",
            "frame_before_key",
            "frame_too_short",
            "shutdown",
            "wrong_message",
            "refused",
            "keepalive",
            "nonsense",
        ]),
    )
        .prop_map(|(step, code)| FaultLine {
            step: step.name().into(),
            code: code.into(),
            detail: None,
            message: String::new(),
        });
    let diagnosis = prop::sample::select(vec![
        "ahead",
        "duplicate",
        "key_message",
        "tampered_or_foreign",
        "x",
    ]);
    let what = prop_oneof![
        (conn.clone(), message.clone(), any::<bool>()).prop_map(|(conn, message, full)| {
            What::Received {
                conn,
                message,
                full,
            }
        }),
        (conn.clone(), message).prop_map(|(conn, message)| What::Sent { conn, message }),
        (conn.clone(), prop::option::of(fault), any::<bool>()).prop_map(|(conn, fault, role)| {
            What::Ended {
                conn,
                purpose: "join".into(),
                role: role.then(|| "initiator".into()),
                fault,
            }
        }),
        (conn.clone(), diagnosis).prop_map(|(conn, diagnosis)| What::Diagnosed {
            conn,
            diagnosis: diagnosis.into(),
            message: String::new(),
        }),
        (conn.clone(), conn.clone(), 0..4_usize).prop_map(|(conn, accepted, to)| What::Linked {
            conn,
            to: WHO[to].into(),
            accepted,
        }),
        (conn.clone(), conn).prop_map(|(spare, initiator)| What::HandedOver { spare, initiator }),
        prop::sample::select(vec!["node", "relay", "puppet"]).prop_map(|machine| What::Started {
            machine: machine.into(),
            window: 0,
        }),
        Just(What::Stopped),
    ];
    (0_u64..9, 0..4_usize, what).prop_map(|(at, who, what)| Line {
        at,
        wall: None,
        who: WHO[who].into(),
        what,
    })
}

const WHO: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    #[test]
    fn a_forged_trace_is_explained_drawn_merged_and_compared_to_an_end(
        one in prop::collection::vec(forged(), 0..60),
        other in prop::collection::vec(forged(), 0..60),
    ) {
        let trace = |lines| Trace { header: Header::new(Origin::Simulated, 7), lines };
        let (one, other) = (trace(one), trace(other));
        prop_assert!(!explain(&one).findings.is_empty());
        prop_assert!(!draw(&one).is_empty());
        prop_assert_eq!(diff(&one, &other).is_none(), one == other);
        let lines = one.lines.len() + other.lines.len();
        let merged = merge(vec![("one".into(), one), ("other".into(), other)]);
        prop_assert_eq!(merged.from.iter().flatten().count(), lines);
        prop_assert_eq!(merged.from.len(), merged.trace.lines.len());
        let explanation = explain(&merged.trace);
        prop_assert!(!explanation.findings.is_empty());
        prop_assert!(page(&merged, &explanation).ends_with("</html>\n"));
    }

    #[test]
    fn what_is_written_is_read(lines in proptest::collection::vec(line(), 0..20)) {
        let text: String = std::iter::once(header()).chain(lines.iter().map(text_of)).collect();
        prop_assert_eq!(read(&text).expect("a trace").lines, lines);
    }

    #[test]
    fn whatever_it_is_reading_ends_in_a_trace_or_a_sentence(body in ".{0,200}", cut in any::<prop::sample::Index>()) {
        let mut text = header() + &body;
        let _ = read(&text);
        let mut end = cut.index(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        let _ = read(&text);
    }
}

#[test]
fn what_is_no_trace_is_refused_by_name() {
    for text in [
        "",
        "\n",
        "hello",
        "{}\n",
        "[1]\n",
        "{\"chumwire_trace\":\"1\"}\n",
    ] {
        assert!(matches!(read(text), Err(BadTrace::NoTrace)), "{text}");
    }
    let newer = header().replace("\"chumwire_trace\":1", "\"chumwire_trace\":2");
    assert!(matches!(read(&newer), Err(BadTrace::Version(2))));
    let good = text_of(&Line {
        at: 1,
        wall: None,
        who: "node".into(),
        what: What::Tick,
    });
    let secret = "{\"at\":1,\"who\":\"node\",\"what\":\"my password\"}\n";
    let error = read(&(header() + &good + secret + &good)).expect_err("a bad line");
    assert!(matches!(error, BadTrace::Line { number: 3, .. }), "{error}");
    assert!(!error.to_string().contains("password"));
}

#[test]
fn a_last_line_that_was_cut_off_is_left_out() {
    let good = text_of(&Line {
        at: 1,
        wall: None,
        who: "node".into(),
        what: What::Drained { conn: 12 },
    });
    let text = header() + &good + &good;
    for cut in 1..good.len() {
        let trace = read(&text[..text.len() - cut]);
        assert!(matches!(trace, Ok(trace) if trace.lines.len() == 1 + usize::from(cut == 1)));
    }
}

/// A long talk with much that never came: what is asked of each message must not grow with all the others.
#[test]
fn a_long_trace_is_explained_and_drawn_in_time() {
    const MESSAGES: usize = 60_000;
    let message = |n: usize| Passing {
        kind: Sort::Binary,
        name: None,
        bytes: 100,
        hash: Some(format!("{n:016x}")),
        data: None,
    };
    let line = |who: &str, what| Line {
        at: 1,
        wall: None,
        who: who.into(),
        what,
    };
    let started = |who| {
        let machine = "node".into();
        line(who, What::Started { machine, window: 0 })
    };
    let (to, conn, accepted) = ("b".into(), 0, 0);
    let mut lines = vec![
        started("a"),
        started("b"),
        line("a", What::Linked { conn, to, accepted }),
    ];
    for n in 0..MESSAGES {
        lines.push(line(
            "a",
            What::Sent {
                conn,
                message: message(n),
            },
        ));
        // Every other one comes as another.
        let message = message(if n % 2 == 0 { n } else { n + MESSAGES });
        lines.push(line(
            "b",
            What::Received {
                conn,
                message,
                full: false,
            },
        ));
    }
    let fault = FaultLine {
        step: "connected".into(),
        code: "bad_frame".into(),
        detail: None,
        message: String::new(),
    };
    lines.push(line(
        "b",
        What::Ended {
            conn,
            purpose: "incoming".into(),
            role: None,
            fault: Some(fault),
        },
    ));
    lines.push(line(
        "b",
        What::Diagnosed {
            conn,
            diagnosis: "tampered_or_foreign".into(),
            message: String::new(),
        },
    ));
    let trace = Trace {
        header: Header::new(Origin::Simulated, 7),
        lines,
    };
    assert_eq!(explain(&trace).cause(), Cause::Tampered);
    assert!(draw(&trace).lines().count() > MESSAGES);
    let explanation = explain(&trace);
    assert!(page(&trace.into(), &explanation).ends_with("</html>\n"));
}
