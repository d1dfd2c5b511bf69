//! The page of a trace: whole in itself, the same each time, in bounds, and deaf to what traces say.

use chumwire_trace::{
    Cause, FaultLine, Header, How, Line, Merged, Origin, Passing, Sort, Trace, What, explain,
    merge, page,
};
use serde_json::Value;

fn line(at: u64, who: &str, what: What) -> Line {
    Line {
        at,
        wall: None,
        who: who.into(),
        what,
    }
}

fn message(name: Option<&str>, bytes: usize, hash: &str) -> Passing {
    Passing {
        kind: Sort::Binary,
        name: name.map(Into::into),
        bytes,
        hash: Some(hash.into()),
        data: Some("0123456789abcdef".into()),
    }
}

fn sent(at: u64, who: &str, message: Passing) -> Line {
    line(at, who, What::Sent { conn: 0, message })
}

fn received(at: u64, who: &str, message: Passing) -> Line {
    let full = false;
    let conn = 0;
    line(
        at,
        who,
        What::Received {
            conn,
            message,
            full,
        },
    )
}

fn linked() -> Vec<Line> {
    let started = |who| {
        let machine = "node".into();
        line(0, who, What::Started { machine, window: 0 })
    };
    let (conn, accepted) = (0, 0);
    let dialled = What::Dialled {
        conn,
        url: "ws://b".into(),
    };
    let linked = What::Linked {
        conn,
        to: "b".into(),
        accepted,
    };
    let accepted = What::Accepted {
        conn: Some(accepted),
        source: None,
    };
    vec![
        started("a"),
        started("b"),
        line(1, "a", dialled),
        line(2, "b", accepted),
        line(2, "a", linked),
    ]
}

fn trace(lines: impl IntoIterator<Item = Line>) -> Merged {
    Trace {
        header: Header::new(Origin::Simulated, 7),
        lines: lines.into_iter().collect(),
    }
    .into()
}

fn drawn(trace: &Merged) -> String {
    page(trace, &explain(&trace.trace))
}

const BEFORE: &str = "<script type=\"application/json\" id=\"data\">";

/// The page without its data, and the data.
fn parts(page: &str) -> (String, Value) {
    let (head, rest) = page.split_once(BEFORE).expect("data");
    let (data, tail) = rest.split_once("</script>").expect("an end");
    (
        format!("{head}{tail}"),
        serde_json::from_str(data).expect("JSON"),
    )
}

/// The marks of each message, and the step at its other end.
fn marks(data: &Value) -> Vec<(u64, Vec<&str>, Option<u64>)> {
    let steps = data["steps"].as_array().expect("steps");
    let messages = steps
        .iter()
        .zip(1..)
        .filter(|(step, _)| step["message"].is_object());
    messages
        .map(|(step, number)| {
            let marks = step["message"]["marks"].as_array();
            let kinds = marks.into_iter().flatten();
            let kinds = kinds.filter_map(|mark| mark["kind"].as_str()).collect();
            (number, kinds, step["message"]["other"].as_u64())
        })
        .collect()
}

#[test]
fn the_page_is_whole_in_itself() {
    let (around, _) = parts(&drawn(&trace(linked())));
    for word in [
        "http:",
        "https:",
        "src=",
        "href=",
        "url(",
        "@import",
        "innerHTML",
        "eval(",
    ] {
        assert!(!around.contains(word), "{word}");
    }
    assert!(around.contains("default-src 'none'"));
    assert!(!around.contains("unsafe-inline") && !around.contains("{{"));
}

#[test]
fn what_a_trace_says_stays_data() {
    const EVIL: &str =
        "</script><script>alert(1)</script><!--{{script}}{{style}}&\u{202e}\u{2028}\n'\"";
    let fault = FaultLine {
        step: EVIL.into(),
        code: "bad_frame".into(),
        detail: Some(EVIL.into()),
        message: EVIL.into(),
    };
    let mut lines = vec![
        line(
            0,
            EVIL,
            What::Started {
                machine: EVIL.into(),
                window: 0,
            },
        ),
        line(1, EVIL, What::Says { words: EVIL.into() }),
        received(2, EVIL, message(Some(EVIL), 9, EVIL)),
        line(
            2,
            EVIL,
            What::Ended {
                conn: 0,
                purpose: EVIL.into(),
                role: Some(EVIL.into()),
                fault: Some(fault),
            },
        ),
        line(
            3,
            "long",
            What::Online {
                url: "x".repeat(1_000_000),
            },
        ),
        line(
            4,
            &"y".repeat(1_000_000),
            What::Interfered { fault: EVIL.into() },
        ),
    ];
    let mut secret = message(None, 3, "fedcba9876543210");
    secret.kind = Sort::Text;
    lines.push(line(
        5,
        "b",
        What::Delivered {
            conn: 0,
            message: secret,
        },
    ));
    let page = drawn(&trace(lines));
    let (around, data) = parts(&page);
    assert_eq!(around, parts(&drawn(&trace(linked()))).0);
    let (_, inside) = page.split_once(BEFORE).expect("data");
    let (inside, _) = inside.split_once("</script>").expect("an end");
    assert!(!inside.contains(['<', '>', '&']));
    assert!(page.len() < around.len() + 20_000, "{}", page.len());
    let name = data["lanes"][0].as_str().expect("a name");
    assert!(name.starts_with("</script><script>alert(1)"), "{name}");
    assert!(!name.contains(['\u{202e}', '\u{2028}', '\n']), "{name}");
    // A message's content is no part of the picture, even where the trace has it; nor the hash of a plaintext.
    assert!(!page.contains("0123456789abcdef") && !page.contains("fedcba98"));
}

#[test]
fn the_same_trace_is_the_same_page() {
    let one = || {
        let mut lines = linked();
        lines.push(sent(3, "a", message(None, 100, "1")));
        drawn(&trace(lines))
    };
    assert_eq!(one(), one());
}

#[test]
fn what_became_of_each_message_is_marked() {
    let mut lines = linked();
    lines.extend([
        sent(10, "a", message(None, 100, "1")),
        sent(11, "a", message(None, 101, "2")),
        sent(12, "a", message(None, 102, "3")),
        sent(13, "a", message(None, 103, "4")),
        received(20, "b", message(None, 101, "2")),
        received(21, "b", message(None, 100, "1")),
        received(22, "b", message(None, 100, "1")),
        received(23, "b", message(None, 50, "5")),
        sent(24, "b", message(None, 104, "6")),
        received(25, "b", message(None, 104, "6")),
        // Who is between the two sends a frame on once more.
        sent(26, "a", message(None, 100, "1")),
        received(27, "b", message(None, 100, "1")),
    ]);
    let (_, data) = parts(&drawn(&trace(lines)));
    // The link is no step.
    assert_eq!(
        marks(&data),
        [
            (5, vec![], Some(10)),
            (6, vec![], Some(9)),
            (7, vec![], Some(12)),
            (8, vec!["lost"], None),
            (9, vec!["early"], Some(6)),
            (10, vec!["late"], Some(5)),
            (11, vec!["copy"], Some(5)),
            (12, vec!["altered"], Some(7)),
            // It never came to where it was sent, but back.
            (13, vec!["lost"], Some(14)),
            (14, vec!["copy"], Some(13)),
            (15, vec![], Some(16)),
            (16, vec!["copy"], Some(15)),
        ]
    );
    assert_eq!(data["lanes"], serde_json::json!(["a", "b"]));
}

fn failing() -> Vec<Line> {
    let fault = FaultLine {
        step: "sync".into(),
        code: "bad_frame".into(),
        detail: None,
        message: "a frame does not open at counter 0".into(),
    };
    let ended = What::Ended {
        conn: 0,
        purpose: "incoming".into(),
        role: Some("acceptor".into()),
        fault: Some(fault),
    };
    let diagnosed = What::Diagnosed {
        conn: 0,
        diagnosis: "tampered_or_foreign".into(),
        message: "tampered with".into(),
    };
    let closed = What::Closed {
        conn: 0,
        how: How::ByPeer,
        code: None,
        reason: String::new(),
    };
    vec![
        sent(10, "a", message(None, 100, "1")),
        received(20, "b", message(None, 90, "2")),
        line(20, "b", ended),
        line(20, "b", diagnosed),
        line(21, "a", closed),
    ]
}

#[test]
fn the_diagnosis_leads_to_the_failed_message() {
    let lines = linked().into_iter().chain(failing());
    let whole = trace(lines);
    let (_, data) = parts(&drawn(&whole));
    let first = &data["findings"][0];
    assert_eq!(first["cause"], Cause::Truncated.code());
    assert_eq!(first["fault"], Cause::Truncated.fault().to_string());
    assert_eq!(first["advice"], Cause::Truncated.advice());
    let jumps: Vec<_> = first["jumps"].as_array().expect("jumps").iter().collect();
    let to: Vec<_> = jumps
        .iter()
        .filter_map(|jump| jump["to"].as_u64())
        .collect();
    assert_eq!(to, [6, 5, 7], "{jumps:?}");
    assert_eq!(data["steps"][5]["line"], 8);
    assert_eq!(first["line"], 9);
    let (_, kinds, _) = &marks(&data)[1];
    assert_eq!(kinds, &["failed", "altered"]);
    assert!(data["steps"][5]["trouble"] == true && data["steps"][4]["trouble"].is_null());

    // Of several files, each line is counted in its own.
    let of = |who: &str| Trace {
        header: Header::new(Origin::Live, 7),
        lines: whole
            .trace
            .lines
            .iter()
            .filter(|line| &*line.who == who)
            .cloned()
            .collect(),
    };
    let both = merge(vec![("one".into(), of("a")), ("other".into(), of("b"))]);
    let (_, data) = parts(&drawn(&both));
    assert_eq!(data["findings"][0]["line"], 5);
    assert_eq!(data["findings"][0]["who"], "other");
}

/// A trace with more steps than a browser bears is shown around what failed, with what was so before.
#[test]
fn a_long_trace_is_shown_around_its_failure() {
    const STEPS: usize = 100_000;
    let mut lines = linked();
    for n in 0..2 * STEPS {
        lines.push(line(n as u64, "a", What::Tick));
    }
    let before = lines.len() as u64;
    lines.extend(failing());
    for n in 0..STEPS {
        lines.push(line(n as u64, "a", What::Drained { conn: n as u64 }));
        lines.push(line(
            n as u64,
            "b",
            What::Says {
                words: "z".repeat(400),
            },
        ));
    }
    let page = drawn(&trace(lines));
    let (_, data) = parts(&page);
    let steps = data["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), STEPS);
    assert_eq!(data["total"], 3 * STEPS + 9);
    let first = data["first"].as_u64().expect("a number");
    let failed = data["findings"][0]["jumps"][0]["to"]
        .as_u64()
        .expect("a step");
    // The link is a line and no step.
    assert_eq!(failed, before - 1 + 2);
    assert!((first..first + STEPS as u64).contains(&failed));
    assert_eq!(
        steps[usize::try_from(failed - first).expect("small")]["message"]["marks"][0]["kind"],
        "failed"
    );
    let before = data["before"].as_array().expect("changes");
    assert!(
        before.iter().any(|change| change["up"] == "node"),
        "{before:?}"
    );
    assert!(
        before.iter().any(|change| change["conn"] == "0"),
        "{before:?}"
    );
    assert!(page.len() < 64 * 1024 * 1024, "{}", page.len());
}

#[test]
fn an_empty_trace_is_a_page_too() {
    let (_, data) = parts(&drawn(&trace([])));
    assert_eq!((&data["total"], &data["first"]), (&0.into(), &1.into()));
    assert_eq!(data["findings"][0]["cause"], "unknown");
}
