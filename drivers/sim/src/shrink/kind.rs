//! Whether two failures are the same.

/// The kind of a failure: its sentence without what varies from run to run.
///
/// - Only the first line counts.
/// - What is in double quotes or brackets is left out: names, and values as `Debug` shows them.
/// - A word of eight or more hexadecimal digits, one of them decimal at least, is an id and becomes `#`; so does every
///   other number.
///
/// Names that a sentence begins with (`alice: …`) stay: who breaks is part of the failure.
#[must_use]
pub fn kind_of(what: &str) -> String {
    let line = what.lines().next().unwrap_or_default();
    without_numbers(&without_values(line))
}

/// Leaves out what is in quotes and brackets. What is not closed reaches to the end.
fn without_values(line: &str) -> String {
    let mut kept = String::new();
    // What closes what is open, the innermost last.
    let mut open: Vec<char> = Vec::new();
    let mut escaped = false;
    for char in line.chars() {
        let quoted = open.last() == Some(&'"');
        if std::mem::take(&mut escaped) {
            continue;
        }
        match char {
            '\\' if quoted => escaped = true,
            _ if open.last() == Some(&char) => {
                open.pop();
                if open.is_empty() {
                    kept.push(char);
                }
            }
            '"' | '(' | '[' | '{' if !quoted => {
                if open.is_empty() {
                    kept.push(char);
                    kept.push('…');
                }
                open.push(match char {
                    '(' => ')',
                    '[' => ']',
                    '{' => '}',
                    _ => '"',
                });
            }
            _ if open.is_empty() => kept.push(char),
            _ => {}
        }
    }
    kept
}

/// Puts `#` in place of ids and numbers.
fn without_numbers(text: &str) -> String {
    let mut kept = String::new();
    for word in text.split_inclusive(|char: char| !char.is_ascii_alphanumeric()) {
        let (body, end) = match word.char_indices().next_back() {
            Some((at, last)) if !last.is_ascii_alphanumeric() => word.split_at(at),
            _ => (word, ""),
        };
        let is_id = body.len() >= 8
            && body.chars().all(|char| char.is_ascii_hexdigit())
            && body.chars().any(|char| char.is_ascii_digit());
        if is_id {
            kept.push('#');
        } else {
            let mut in_number = false;
            for char in body.chars() {
                let digit = char.is_ascii_digit();
                if !digit {
                    kept.push(char);
                } else if !in_number {
                    kept.push('#');
                }
                in_number = digit;
            }
        }
        kept.push_str(end);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_left_out() {
        for (what, kind) in [
            (
                "bob 3: message 17 came where 4 was due",
                "bob #: message # came where # was due",
            ),
            ("alice conn12 is left", "alice conn# is left"),
            (
                "the key 00ff12ab34cd is known\nat 1 s",
                "the key # is known",
            ),
            ("a facade of deadbeef", "a facade of deadbeef"),
            (
                "connecting gives: Err(Full { most: 3 }) instead of Ok(())",
                "connecting gives: Err(…) instead of Ok(…)",
            ),
            (r#"left: ["a \"b\" ]", 2], all"#, "left: […], all"),
            (r#"called "it" (twice"#, r#"called "…" (…"#),
            (r#"it says "a \"b" twice"#, r#"it says "…" twice"#),
            ("", ""),
        ] {
            assert_eq!(kind_of(what), kind);
        }
    }

    #[test]
    fn other_words_are_other_failures() {
        assert_ne!(
            kind_of("alice: an invitation was used twice"),
            kind_of("bob: an invitation was used twice")
        );
        assert_ne!(
            kind_of("both have paired"),
            kind_of("an invitation pairs once")
        );
        assert_ne!(kind_of("panicked: both"), kind_of("both"));
    }
}
