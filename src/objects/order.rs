//! The order of bag and set items and of JSON members: by UTF-16 code units (spec 12, "Sorting of bags and sets").

use core::cmp::Ordering;

/// Compares two texts by their UTF-16 code units, which is not the order of their bytes.
pub(super) fn by_utf16(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surrogate_comes_before_a_private_character() {
        assert_eq!(by_utf16("😀", "\u{e000}"), Ordering::Less);
        assert_eq!("😀".cmp("\u{e000}"), Ordering::Greater);
        assert_eq!(by_utf16("B", "a"), Ordering::Less);
        assert_eq!(by_utf16("10", "9"), Ordering::Less);
        assert_eq!(by_utf16("a", "ab"), Ordering::Less);
        assert_eq!(by_utf16("é", "é"), Ordering::Equal);
    }
}
