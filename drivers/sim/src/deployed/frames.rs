//! Layers 3 to 5 as the deployed peer does them, written on their own, so that they can disagree with ours.
//!
//! Fragmentation is not there: no message of the layers up to the pairing is long enough.

use chumwire::crypto::{NONCE, PairKey, Purpose, Random, Suite, TAG};

/// The sealed side of a connection. It does what it is told: a stranger uses it to seal what it should not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel<S: Suite> {
    key: S::Pair,
    /// The counter of the next frame to be sealed.
    pub send: u64,
    /// The counter of the next frame to be opened.
    pub receive: u64,
}

impl<S: Suite> Tunnel<S> {
    /// The tunnel of a session key.
    #[must_use]
    pub const fn new(key: S::Pair, initiator: bool) -> Self {
        let (send, receive) = if initiator { (1, 0) } else { (0, 1) };
        Self { key, send, receive }
    }

    /// Seals a message as it is.
    pub fn seal(&mut self, random: &mut Random, text: bool, message: &[u8]) -> Vec<u8> {
        let flag = if text { 0x10 } else { 0 };
        let [total] = random.array(Purpose::PadLength);
        let mut plain = match total {
            0 => vec![flag],
            total => {
                let mut filling = vec![0; usize::from(total) - 1];
                random.fill(Purpose::PadBytes, &mut filling);
                let mut plain = vec![flag | 1, total - 1];
                plain.append(&mut filling);
                plain
            }
        };
        plain.extend_from_slice(message);
        self.seal_padded(&plain)
    }

    /// Seals a text, escaped.
    pub fn seal_text(&mut self, random: &mut Random, text: &str) -> Vec<u8> {
        let mut text = text.to_owned();
        for word in KEYWORDS {
            if text.starts_with(word) {
                text.push('x');
            }
        }
        self.seal(random, true, text.as_bytes())
    }

    /// Seals what is padded already.
    pub fn seal_padded(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; plain.len() + TAG];
        self.key.seal(&counted(self.send), plain, &mut sealed);
        // A counter that starts at -1 passes over zero.
        self.send = self.send.wrapping_add(2);
        sealed
    }

    /// Opens a frame: whether it is a text, and the bytes.
    ///
    /// # Errors
    /// The deployed peer's words.
    pub fn open(&mut self, frame: &[u8]) -> Result<(bool, Vec<u8>), String> {
        let length = frame
            .len()
            .checked_sub(TAG)
            .ok_or("Decryption of message failed.")?;
        let mut plain = vec![0; length];
        self.key
            .open(&counted(self.receive), frame, &mut plain)
            .map_err(|_| "Decryption of message failed.")?;
        self.receive = self.receive.wrapping_add(2);
        let first = *plain.first().ok_or("Invalid typed array length: 0")?;
        // Up to 15 bytes say how long the filling is; the first 8 of them are read.
        let (text, digits) = (first & 0x10 != 0, usize::from(first & 0x0f));
        let number = plain
            .get(1..1 + digits)
            .ok_or("Offset is outside the bounds of the DataView")?;
        let filling = number
            .iter()
            .take(8)
            .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        let start = usize::try_from(filling)
            .unwrap_or(usize::MAX)
            .saturating_add(1 + digits);
        match plain.get(start..) {
            Some(message) => Ok((text, message.to_vec())),
            None => Err(format!(
                "Start offset {start} is outside the bounds of the buffer"
            )),
        }
    }
}

/// In the order of escaping; `keepalive` is the layer below and comes last.
const KEYWORDS: [&str; 4] = [
    "fragmentation_start_binary",
    "fragmentation_start_string",
    "fragmentation_end",
    "keepalive",
];

/// Lenient decoding: a byte order mark is lost, what is no UTF-8 becomes U+FFFD.
pub(super) fn decoded(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.strip_prefix('\u{feff}')
        .map_or(text.clone(), ToOwned::to_owned)
}

/// Cuts the last character of any text that starts with a keyword, whatever it is.
pub(super) fn unescaped(mut text: String) -> String {
    for word in KEYWORDS.iter().rev() {
        if text.starts_with(word) {
            text.pop();
        }
    }
    text
}

fn counted(counter: u64) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[16..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

/// A box that carries its nonce.
pub fn boxed(key: &impl PairKey, random: &mut Random, plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE] = random.array(Purpose::BoxNonce);
    let mut sealed = vec![0; NONCE + TAG + plain.len()];
    sealed[..NONCE].copy_from_slice(&nonce);
    key.seal(&nonce, plain, &mut sealed[NONCE..]);
    sealed
}

/// Opens a box that carries its nonce, of any length.
///
/// # Errors
/// The deployed peer's words.
pub fn unboxed(key: &impl PairKey, sealed: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (nonce, body) = sealed
        .split_first_chunk::<NONCE>()
        .ok_or("bad nonce size")?;
    let length = body.len().checked_sub(TAG).ok_or(UNDECRYPTABLE)?;
    let mut plain = vec![0; length];
    key.open(nonce, body, &mut plain)
        .map_err(|_| UNDECRYPTABLE)?;
    Ok(plain)
}

const UNDECRYPTABLE: &str = "CYENC-SYMDEC: Decryption with symmetric key failed";
