//! The page around the data.

use core::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::data::Data;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Puts the parts together.
pub(super) fn of(data: &Data) -> String {
    // Only these two are let in: neither markup that got in nor a link that somebody made can run anything.
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    // Strings, numbers and lists of them always become JSON.
    let data = as_element(&serde_json::to_string(data).unwrap_or_default());
    // In the order of their places, each looked for behind the one before: what is put in is not looked at.
    let parts = [
        ("{{policy}}", policy.as_str()),
        ("{{style}}", STYLE),
        ("{{data}}", &data),
        ("{{script}}", SCRIPT),
    ];
    let mut page = String::with_capacity(HTML.len() + STYLE.len() + SCRIPT.len() + data.len());
    let mut rest = HTML;
    for (place, part) in parts {
        let (before, behind) = rest.split_once(place).unwrap_or((rest, ""));
        page += before;
        page += part;
        rest = behind;
    }
    page + rest
}

/// JSON that ends no element and begins none.
fn as_element(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// How a policy names the content of an element.
fn hash(text: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut name = String::from("sha256-");
    for chunk in hash.chunks(3) {
        let bits = chunk
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let known = place <= chunk.len();
            let _ = name.write_char(if known { base64(digit) } else { '=' });
        }
    }
    name
}

fn base64(digit: u32) -> char {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char::from(DIGITS[digit as usize % 64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_named_as_policies_name_them() {
        // From the specification of content security policies, level 2.
        assert_eq!(
            hash("alert('Hello, world.');"),
            "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
        );
    }

    #[test]
    fn json_in_an_element_is_the_same_json() {
        let text = serde_json::to_string("</script><!-- &amp; \u{1f600}").expect("JSON");
        let inside = as_element(&text);
        assert!(!inside.contains(['<', '>', '&']));
        let (one, other): (String, String) = (
            serde_json::from_str(&text).expect("JSON"),
            serde_json::from_str(&inside).expect("JSON"),
        );
        assert_eq!(one, other);
    }
}
