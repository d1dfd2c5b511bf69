//! Padding and flags inside the seal (spec 04, "Padding and flags").

use alloc::vec::Vec;

use crate::crypto::{Purpose, Random};

const TEXT: u8 = 0x10;
const MAX_LENGTH_BYTES: u8 = 8;

/// The most that padding adds: header and random bytes together.
pub const MAX_PADDING: usize = 256;

/// The plaintext of a frame is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaddingFault {
    /// There is not even the first byte.
    #[error("empty")]
    Empty,
    /// The length has more than 8 bytes.
    #[error("a length of {0} bytes, at most 8 are allowed")]
    LengthBytes(u8),
    /// The random bytes, or their length, run past the end.
    #[error("runs past the end")]
    PastEnd,
}

/// Appends the header for a message and its random padding, the length of which is drawn.
pub fn pad(text: bool, random: &mut Random, out: &mut Vec<u8>) {
    let [r] = random.array(Purpose::PadLength);
    let flags = if text { TEXT } else { 0 };
    if r == 0 {
        out.push(flags);
        return;
    }
    out.push(flags | 1);
    out.push(r - 1);
    let start = out.len();
    out.resize(start + usize::from(r - 1), 0);
    random.fill(Purpose::PadBytes, &mut out[start..]);
}

/// Splits the plaintext of a frame into the text flag and the start of the message. Reserved flags are ignored.
///
/// # Errors
/// [`PaddingFault`]
pub fn strip(plain: &[u8]) -> Result<(bool, usize), PaddingFault> {
    let (&first, rest) = plain.split_first().ok_or(PaddingFault::Empty)?;
    let length_bytes = first & 0x0f;
    if length_bytes > MAX_LENGTH_BYTES {
        return Err(PaddingFault::LengthBytes(length_bytes));
    }
    let length = rest
        .get(..usize::from(length_bytes))
        .ok_or(PaddingFault::PastEnd)?;
    let random = length
        .iter()
        .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    let header = 1 + usize::from(length_bytes);
    let start = usize::try_from(random)
        .ok()
        .and_then(|n| n.checked_add(header));
    match start {
        Some(start) if start <= plain.len() => Ok((first & TEXT != 0, start)),
        _ => Err(PaddingFault::PastEnd),
    }
}
