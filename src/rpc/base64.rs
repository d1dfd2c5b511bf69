//! Base64 as the chunks of text streams have it: the standard alphabet, padded, each chunk complete (spec 10).

use alloc::vec::Vec;

/// The bytes that `text` stands for, or nothing if it is not in the one form that an encoder gives.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let data = match text {
        [data @ .., b'=', b'='] | [data @ .., b'='] => data,
        data => data,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut groups = data.chunks_exact(4);
    for group in &mut groups {
        let [_, first, second, third] = bits(group)?.to_be_bytes();
        bytes.extend_from_slice(&[first, second, third]);
    }
    // The bits that a shorter last group has too many have to be zero: there is one way to write some bytes.
    match groups.remainder() {
        [] => {}
        [a, b] => match bits(&[*a, *b, b'A', b'A'])?.to_be_bytes() {
            [_, first, 0, 0] => bytes.push(first),
            _ => return None,
        },
        [a, b, c] => match bits(&[*a, *b, *c, b'A'])?.to_be_bytes() {
            [_, first, second, 0] => bytes.extend_from_slice(&[first, second]),
            _ => return None,
        },
        _ => return None,
    }
    Some(bytes)
}

/// The 24 bits of four digits.
fn bits(group: &[u8]) -> Option<u32> {
    group
        .iter()
        .try_fold(0, |bits, digit| Some(bits << 6 | u32::from(value(*digit)?)))
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_examples_of_rfc_4648() {
        let examples = [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ];
        for (text, bytes) in examples {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(decode(b"+/+/"), Some([0xfb, 0xff, 0xbf].into()));
    }

    #[test]
    fn any_other_form_is_refused() {
        for text in [
            "Zg", "Zg=", "Zg===", "Z===", "====", "=", "Zh==", "Zm9=", "Zm-_", "Zm 8", "Zg==Zg==",
            "Zm8\n", "Zé=",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
