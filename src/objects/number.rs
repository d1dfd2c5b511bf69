//! Numbers in ECMAScript's layout: the shortest decimal that reads back to the same double (spec 12, "Text format").

use alloc::format;
use alloc::string::String;

/// The longest text of a number is 25 characters, as in `-0.0000012345678901234567`.
const LONGEST: usize = 32;

/// Appends a number; `None` if it is not finite.
pub(super) fn write(out: &mut String, value: f64) -> Option<()> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        // Negative zero, too.
        out.push('0');
        return Some(());
    }
    // Rust finds the same digits, in the layout `-1.234e-5`.
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (first, others) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if value < 0.0 {
        out.push('-');
    }
    let behind = i32::try_from(others.len()).ok()?;
    match exponent {
        0..21 if behind <= exponent => {
            out.push_str(first);
            out.push_str(others);
            (behind..exponent).for_each(|_| out.push('0'));
        }
        0..21 => {
            let (whole, fraction) = others.split_at_checked(usize::try_from(exponent).ok()?)?;
            out.push_str(first);
            out.push_str(whole);
            out.push('.');
            out.push_str(fraction);
        }
        -6..0 => {
            out.push_str("0.");
            (exponent + 1..0).for_each(|_| out.push('0'));
            out.push_str(first);
            out.push_str(others);
        }
        _ => {
            out.push_str(first);
            if !others.is_empty() {
                out.push('.');
                out.push_str(others);
            }
            out.push_str(if exponent < 0 { "e" } else { "e+" });
            out.push_str(&format!("{exponent}"));
        }
    }
    Some(())
}

/// Why a text is not read as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is none.
    NotANumber,
    /// It is one in another layout.
    Layout,
}

/// Reads a number in exactly the layout that it is written in.
pub(super) fn read(text: &str) -> Result<f64, Unread> {
    if text.len() > LONGEST {
        return Err(Unread::NotANumber);
    }
    let value: f64 = text.parse().map_err(|_| Unread::NotANumber)?;
    let mut again = String::with_capacity(LONGEST);
    write(&mut again, value).ok_or(Unread::NotANumber)?;
    if again == text {
        Ok(value)
    } else {
        Err(Unread::Layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_layout_of_ecmascript() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-5.0, "-5"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (123.456, "123.456"),
            (0.000_001, "0.000001"),
            (0.000_001_25, "0.00000125"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1_700_000_000_000.0, "1700000000000"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (
                -0.000_001_234_567_890_123_456_7,
                "-0.0000012345678901234567",
            ),
        ] {
            let mut out = String::new();
            assert_eq!(write(&mut out, value), Some(()));
            assert_eq!(out, text);
            assert_eq!(read(text), Ok(value));
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(write(&mut String::new(), value), None);
        }
    }

    #[test]
    fn other_layouts_are_refused() {
        for text in [
            "-0", "00", "01", "1.0", "1.", ".5", "+1", "1e3", "1E21", "1e21", "0.10",
        ] {
            assert_eq!(read(text), Err(Unread::Layout), "{text}");
        }
        for text in [
            "", " 5 ", "5 ", "0x10", "nan", "NaN", "inf", "1e999", "1_0", "--1", "1,5",
        ] {
            assert_eq!(read(text), Err(Unread::NotANumber), "{text}");
        }
        let long = "0".repeat(40);
        assert_eq!(read(&long), Err(Unread::NotANumber));
    }
}
