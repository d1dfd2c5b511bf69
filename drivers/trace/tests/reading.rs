//! Traces come from other people.

use chumwire_trace::{BadTrace, Header, Line, Origin, Passing, Sort, Trace, What, text_of};
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

proptest! {
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
