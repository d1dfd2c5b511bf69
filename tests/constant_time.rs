//! Secrets are compared in a time that does not depend on what is in them: counted in instructions, under valgrind.
//!
//! This test starts itself anew under callgrind, which counts what is executed between the beginning and the end of
//! one function: equal secrets, and secrets that differ in the first byte or in the last. All counts have to be
//! equal. A comparison that stops at the first difference is counted as well, and has to differ: so the test can fail.
//! Without valgrind it is left out with a word, unless `CHUMWIRE_NEEDS_VALGRIND` is set. `.ci/constant-time` runs it.

use std::hint::black_box;
use std::process::{Command, Stdio};

use chumwire::crypto::{Secret, constant_time_eq};
use chumwire::pairing::Invitation;

/// Names the case for the child.
const CASE: &str = "CHUMWIRE_COMPARED";
const CASES: [&str; 3] = ["equal", "first", "last"];
const HOW: [&str; 4] = ["secrets", "bytes", "tokens", "early"];

/// 64 characters of a token, with a difference.
fn text(case: &str) -> String {
    let mut text = "k".repeat(64);
    match case {
        "first" => text.replace_range(..1, "w"),
        "last" => text.replace_range(63.., "w"),
        _ => {}
    }
    text
}

fn secret(text: &str) -> Secret<64> {
    Secret::take(&mut text.as_bytes().try_into().expect("64 bytes"))
}

fn invitation(token: &str) -> Invitation {
    let key = "ab".repeat(32);
    let json = serde_json::json!({"token": token, "publicKey": key, "url": "ws://x"});
    Invitation::read(&json.to_string()).expect("an invitation")
}

#[inline(never)]
fn counted_secrets(one: &Secret<64>, two: &Secret<64>) -> bool {
    one == two
}

#[inline(never)]
fn counted_bytes(one: &[u8], two: &[u8]) -> bool {
    constant_time_eq(one, two)
}

/// The same code as for any secret; not the same function, or the linker makes them one.
#[inline(never)]
fn counted_tokens(one: &Invitation, two: &Invitation) -> bool {
    black_box(one).token() == black_box(two).token()
}

/// What must not be done with secrets.
#[inline(never)]
fn counted_early(one: &[u8], two: &[u8]) -> bool {
    one.iter().zip(two).all(|(a, b)| black_box(a) == b)
}

/// The child compares once.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a child is told what to do by its environment"
)]
fn the_child_of_the_other_test() {
    let Ok(asked) = std::env::var(CASE) else {
        return;
    };
    let (how, case) = asked.split_once(' ').expect("how, and a case");
    let (right, other) = (text("equal"), text(case));
    let equal = match how {
        "secrets" => counted_secrets(&secret(&right), &secret(&other)),
        "bytes" => counted_bytes(right.as_bytes(), other.as_bytes()),
        "tokens" => counted_tokens(&invitation(&right), &invitation(&other)),
        _ => counted_early(right.as_bytes(), other.as_bytes()),
    };
    assert_eq!(equal, case == "equal");
}

/// Instructions within the counted function.
fn instructions(how: &str, case: &str) -> u64 {
    let out = std::env::temp_dir().join(format!("chumwire-{}-{how}-{case}", std::process::id()));
    let done = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(format!("--toggle-collect=*counted_{how}*"))
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_child_of_the_other_test"])
        .env(CASE, format!("{how} {case}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(done.expect("it starts").success(), "{how}, {case}");
    let counts = std::fs::read_to_string(&out).expect("what was counted");
    let _ = std::fs::remove_file(&out);
    let total = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    total.expect("a total").trim().parse().expect("a number")
}

/// Demands: M1.3.
#[test]
fn secrets_are_compared_in_constant_time() {
    let version = Command::new("valgrind").arg("--version").output();
    if version.is_err() {
        assert!(
            std::env::var_os("CHUMWIRE_NEEDS_VALGRIND").is_none(),
            "valgrind is missing"
        );
        println!("skipped: valgrind is missing");
        return;
    }
    for how in HOW {
        let counts = CASES.map(|case| instructions(how, case));
        println!("{how}: {CASES:?} take {counts:?} instructions");
        assert!(counts.iter().all(|count| *count > 0), "it is counted");
        let alike = counts.iter().all(|count| *count == counts[0]);
        assert_eq!(alike, how != "early", "{how}: {counts:?}");
    }
}
