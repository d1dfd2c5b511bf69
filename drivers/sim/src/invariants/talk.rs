//! Messages that say themselves who sent them on which connection, and which one they are: what arrives is a prefix of
//! what was sent.

use std::collections::BTreeMap;

use chumwire::io::ConnId;

use super::ledger::End;
use crate::insecure::mix;
use crate::party::PartyId;

const MAGIC: &[u8; 4] = b"say:";
const HEADER: usize = 4 + 4 * 8;

/// What has been said and heard so far.
#[derive(Default)]
pub(crate) struct Talk {
    said: BTreeMap<End, u64>,
    heard: BTreeMap<End, (End, u64)>,
}

fn filler(from: End, number: u64, i: usize) -> u8 {
    let seed = mix(number ^ mix(from.conn.0 ^ mix(from.party.0 as u64)));
    (mix(seed ^ (i / 8) as u64) >> (i % 8 * 8)) as u8
}

/// The message of this number, with so many bytes after the header.
pub(crate) fn message(from: End, number: u64, length: usize) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let start = u64::from(from.start);
    for word in [from.party.0 as u64, start, from.conn.0, number] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend((0..length).map(|i| filler(from, number, i)));
    bytes
}

impl Talk {
    /// The number of the next message that is said here.
    pub(crate) fn next(&self, from: End) -> u64 {
        self.said.get(&from).copied().unwrap_or(0)
    }

    /// It is handed to the machine.
    pub(crate) fn said(&mut self, from: End) {
        *self.said.entry(from).or_default() += 1;
    }

    /// The machine did not take it.
    pub(crate) fn unsaid(&mut self, from: End) {
        if let Some(count) = self.said.get_mut(&from) {
            *count -= 1;
        }
    }

    /// A message was delivered. Others than those that were said are not looked at.
    pub(crate) fn heard(&mut self, at: End, bytes: &[u8]) -> Result<(), String> {
        if !bytes.starts_with(MAGIC) {
            return Ok(());
        }
        let wrong = |what: &str| Err(format!("{} {}: {what}", at.party, at.conn));
        let (Some(header), Some(rest)) = (bytes.get(4..HEADER), bytes.get(HEADER..)) else {
            return wrong("a message was cut");
        };
        let words = header.as_chunks::<8>().0;
        let word = |i: usize| u64::from_le_bytes(words[i]);
        let from = End {
            party: PartyId(word(0) as usize),
            start: word(1) as u32,
            conn: ConnId(word(2)),
        };
        let number = word(3);
        let (sender, next) = *self.heard.entry(at).or_insert((from, 0));
        if sender != from {
            return wrong("messages of two senders");
        }
        let whole = rest
            .iter()
            .enumerate()
            .all(|(i, byte)| *byte == filler(from, number, i));
        if !whole || number >= self.next(from) {
            return wrong("a message was altered");
        }
        if number != next {
            return wrong(&format!("message {number} came where {next} was due"));
        }
        self.heard.insert(at, (from, next + 1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(party: usize) -> End {
        End {
            party: PartyId(party),
            start: 1,
            conn: ConnId(3),
        }
    }

    /// Two messages were said at 0; these arrive at 1.
    fn heard(messages: &[Vec<u8>]) -> Result<(), String> {
        let mut talk = Talk::default();
        talk.said(end(0));
        talk.said(end(0));
        talk.said(end(2));
        messages
            .iter()
            .try_for_each(|bytes| talk.heard(end(1), bytes))
    }

    #[test]
    fn only_a_prefix_is_good() {
        let [a, b] = [0, 1].map(|number| message(end(0), number, 20));
        assert_eq!(heard(&[a.clone(), b.clone()]), Ok(()));
        assert_eq!(heard(&[b"else".to_vec(), a.clone()]), Ok(()));
        for (wrong, word) in [
            (vec![a.clone(), a.clone()], "came where"),
            (vec![b, a.clone()], "came where"),
            (vec![message(end(0), 2, 20)], "altered"),
            (vec![message(end(2), 0, 1), a.clone()], "two senders"),
            (vec![a[..30].to_vec()], "cut"),
        ] {
            let found = heard(&wrong).expect_err("it is wrong");
            assert!(found.contains(word), "{found}");
        }
        let mut altered = a;
        altered[50] ^= 1;
        assert!(heard(&[altered]).is_err());
    }
}
