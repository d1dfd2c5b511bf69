//! The random draws of a recorded side, read off what it sent.

use chumwire::crypto::Purpose;
use serde_json::Value;

use super::vectors::{array, bytes, unhex};

/// A draw, as `Random::scripted` takes it.
pub(crate) type Draw = (Purpose, Vec<u8>);

/// The draws of a key message: the secret of the ephemeral key, and the nonce that the message starts with.
pub(crate) fn of_key_message(ephemeral: &Value, message: &[u8]) -> [Draw; 2] {
    let secret = array::<32>(&ephemeral["secret"]);
    [
        (Purpose::EphemeralKey, secret.into()),
        (Purpose::KeyNonce, message[..24].into()),
    ]
}

/// The draws of a frame's padding, from its plaintext. Of a long one only the beginning is recorded; the rest of its
/// random bytes is taken as zeros.
pub(crate) fn of_padding(padded: &Value) -> Vec<Draw> {
    let plain = match padded {
        Value::String(digits) => unhex(digits),
        long => bytes(&long["first32"]),
    };
    let r = if plain[0] & 0x0f == 0 {
        0
    } else {
        plain[1] + 1
    };
    let mut draws = vec![(Purpose::PadLength, vec![r])];
    if let Some(count) = r.checked_sub(1) {
        let mut random: Vec<u8> = plain[2..].iter().copied().take(count.into()).collect();
        random.resize(count.into(), 0);
        draws.push((Purpose::PadBytes, random));
    }
    draws
}

/// All draws of one side of a recorded pairing, from the messages that it sent. `own_challenge` tells which of its two
/// sealed challenges is its own; the other one is an answer.
pub(crate) fn of_session<'a>(
    ephemeral: &Value,
    sent: impl Iterator<Item = &'a Value>,
    own_challenge: usize,
) -> Vec<Draw> {
    let (mut draws, mut challenges) = (Vec::new(), 0);
    for message in sent {
        let boxed = message.get("embedded");
        match message.get("enc") {
            None if boxed.is_some() => {
                draws.extend(of_key_message(ephemeral, &bytes(&message["wire"]["hex"])));
            }
            None => {}
            Some(frame) => {
                draws.extend(of_padding(&frame["padded"]));
                if let Some(boxed) = boxed {
                    let sealed = bytes(&frame["plain"]["hex"]);
                    draws.push((Purpose::BoxNonce, sealed[..24].into()));
                    if challenges == own_challenge {
                        draws.push((Purpose::Challenge, bytes(&boxed["plain"])));
                    }
                    challenges += 1;
                }
            }
        }
    }
    draws
}
