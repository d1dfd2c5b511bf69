//! A look at a text before it is parsed, without allocating: how deep it nests, how many values it has, and, where
//! it cannot be parsed, whom it concerns (spec 10, "Security" and "More decisions").

use serde_json::Number;

use super::data::integer;

/// How a text would unfold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The deepest nesting of brackets.
    pub(super) depth: usize,
    /// The most JSON values that it can have.
    pub(super) values: usize,
}

/// The shape of a text, be it JSON or not. For JSON it is exact in depth, and never too low in values.
pub(super) fn shape(text: &str) -> Shape {
    let (mut depth, mut deepest, mut values) = (0_usize, 0, 1);
    let mut bytes = text.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while bytes.next().is_some_and(|byte| match byte {
                    b'"' => false,
                    b'\\' => bytes.next().is_some(),
                    _ => true,
                }) {}
            }
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
    }
    Shape {
        depth: deepest,
        values,
    }
}

/// What can be read of a text that is not to be parsed, or that cannot be: the members that name a request. Of two
/// members of one name the last one counts, as for JavaScript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    /// The own request that it answers.
    pub(super) response: Option<u64>,
    /// The peer's request that it is, if it is one.
    pub(super) request: Option<u64>,
}

/// Reads what can be read.
pub(super) fn glance(text: &str) -> Glance {
    let (mut response, mut request, mut service, mut is_request) = (None, None, None, false);
    members(text, |name, value| match name {
        "responseId" => response = number(value),
        "requestId" => request = number(value),
        "serviceId" => service = number(value),
        "type" => is_request = value.starts_with("\"request\""),
        _ => {}
    });
    Glance {
        response,
        request: request.filter(|_| is_request && service.is_some()),
    }
}

/// Calls `found` with the name of each member of an object, and with the text from its value on.
fn members<'a>(text: &'a str, mut found: impl FnMut(&'a str, &'a str)) {
    let Some(mut rest) = trim(text).strip_prefix('{') else {
        return;
    };
    let (mut depth, mut last) = (1_usize, "");
    // Only ASCII is looked for, so every cut is between two characters.
    while let Some(at) = rest.find(['"', ':', '{', '}', '[', ']']) {
        let Some((mark, after)) = rest.get(at..).and_then(|rest| rest.split_at_checked(1)) else {
            return;
        };
        rest = after;
        match mark {
            "\"" => {
                let Some((content, after)) = string(rest) else {
                    return;
                };
                rest = after;
                if depth == 1 {
                    last = content;
                }
            }
            ":" if depth == 1 => found(last, trim(rest)),
            "{" | "[" => depth += 1,
            "}" | "]" if depth == 1 => return,
            "}" | "]" => depth -= 1,
            _ => {}
        }
    }
}

/// Splits behind the quote that ends a string.
fn string(text: &str) -> Option<(&str, &str)> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

/// A number that is whole: a text that was cut off inside one must not name another request.
fn number(value: &str) -> Option<u64> {
    let end = value.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'))?;
    let number: Number = serde_json::from_str(value.get(..end)?).ok()?;
    integer(&number)
}

fn trim(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_do_not_nest() {
        let shape_of = |text| {
            let Shape { depth, values } = shape(text);
            (depth, values)
        };
        assert_eq!(shape_of(r#"{"a":[1,{"b":"]}[\"[,"}],"c":0}"#), (3, 6));
        assert_eq!(shape_of(r#""\\"[["#), (2, 3));
        assert_eq!(shape_of("]]][["), (2, 3));
        assert_eq!(shape_of("\"unended ["), (0, 1));
        assert_eq!(shape_of("\"\\"), (0, 1));
    }

    #[test]
    fn whom_a_broken_text_concerns() {
        let response = |text| glance(text).response;
        assert_eq!(response(r#"{"responseId":7,"data":"\ud800"}"#), Some(7));
        assert_eq!(
            response(r#" { "x":{"responseId":3}, "responseId" : 7.0 }"#),
            Some(7)
        );
        assert_eq!(response(r#"{"responseId":7,"responseId":8,"#), Some(8));
        assert_eq!(
            response(r#"{"x":"responseId:7,","y":"\"","responseId":9]"#),
            Some(9)
        );
        for none in [
            r#"{"responseId":7"#,
            r#"{"responseId":"7"}"#,
            r#"{"responseId":-7}"#,
            r#"{"x":[{"responseId":7,"#,
            r#"{"responseId":{"x":7,"y":8}}"#,
            r#"["responseId":7,"#,
            r#"{"x":"responseId":"7,"#,
            r#"{}"responseId":7,"#,
            "",
        ] {
            assert_eq!(response(none), None, "{none}");
        }
    }

    #[test]
    fn a_request_has_all_three_members() {
        let request = |text| glance(text).request;
        let whole = r#"{"requestId":7,"type":"request","serviceId":1,"args":[[[["#;
        assert_eq!(request(whole), Some(7));
        assert_eq!(request(r#"{"requestId":7,"type":"request"}"#), None);
        assert_eq!(request(r#"{"requestId":7,"serviceId":1}"#), None);
    }
}
