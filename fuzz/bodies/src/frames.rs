//! The parts of an encrypted channel: padding, escapes, fragments, and frames.

use arbitrary::Arbitrary;
use chumwire::channel::{
    Assembled, Assembler, Channel, Counter, FRAGMENTATION, KEEPALIVE, Opener, escape, nonce, strip,
    unescape,
};
use chumwire::crypto::{Nacl, PairKey, Random, RawKey, Secret, Suite};
use chumwire::io::{Message, Output};
use chumwire::role::Role;
use chumwire::time::Now;

/// The padding of a frame's plaintext.
pub(crate) fn padding(plain: &[u8]) {
    if let Ok((text, start)) = strip(plain) {
        assert!(0 < start && start <= plain.len());
        assert_eq!(text, plain[0] & 0x10 != 0);
    }
}

/// What comes to an assembler.
#[derive(Arbitrary, Debug)]
pub(crate) struct Pieces {
    limit: u16,
    pieces: Vec<Piece>,
}

#[derive(Arbitrary, Debug)]
enum Piece {
    Word(u8),
    Text(String),
    Binary(Vec<u8>),
}

/// Escaping and fragments.
pub(crate) fn fragments(Pieces { limit, pieces }: Pieces) {
    let mut assembler = Assembler::new(limit.into());
    for piece in &pieces {
        let result = match piece {
            Piece::Word(n) => assembler.text(FRAGMENTATION[usize::from(*n) % 3]),
            Piece::Text(text) => {
                for words in [&[KEEPALIVE][..], &FRAGMENTATION[..]] {
                    assert_eq!(unescape(&escape(text, words), words), Ok(text.as_str()));
                    let _ = unescape(text, words);
                }
                assembler.text(text)
            }
            Piece::Binary(bytes) => assembler.binary(bytes),
        };
        match result {
            Ok(Assembled::LongText(text)) => assert!(text.len() <= limit.into()),
            Ok(Assembled::LongBinary(bytes)) => assert!(bytes.len() <= limit.into()),
            _ => {}
        }
    }
}

/// What comes to a channel: bytes as they are, or well sealed.
#[derive(Arbitrary, Debug)]
pub(crate) struct Frames {
    frames: Vec<Frame>,
}

#[derive(Arbitrary, Debug)]
enum Frame {
    Raw(Vec<u8>),
    Text(String),
    /// A good message of the other side's application.
    Said(bool, Vec<u8>),
    /// A plaintext, padding and all, under a good seal.
    Plain(Vec<u8>),
}

/// Frames, opened alone and by a channel.
pub(crate) fn frames(Frames { frames }: Frames) {
    let now = Now::default();
    let end = |role, seed| {
        let (key, random) = (Secret::take(&mut [7; 32]), Random::new([seed; 32]));
        Channel::<Nacl>::from_session_key(now, key, role, random, Default::default())
    };
    let key = || <Nacl as Suite>::Pair::from_raw(Secret::take(&mut [7; 32]));
    let (mut from, mut to) = (end(Role::Initiator, 1), end(Role::Acceptor, 2));
    let mut opener = Opener::new(key(), Role::Initiator);
    let mut counter = Counter::of(Role::Initiator);
    let (mut buffer, mut plain) = (Vec::new(), Vec::new());
    for frame in frames {
        match frame {
            Frame::Raw(bytes) => {
                let _ = opener.open(&bytes, &mut plain);
                let _ = to.message(now, Message::Binary(&bytes));
            }
            Frame::Text(text) => drop(to.message(now, Message::Text(&text))),
            Frame::Said(text, bytes) => {
                let text = text.then(|| String::from_utf8_lossy(&bytes).into_owned());
                let message = match &text {
                    Some(text) => Message::Text(text),
                    None => Message::Binary(&bytes),
                };
                let _ = from.send(now, message);
                while from.has_frames() {
                    from.poll::<()>(&mut buffer);
                    counter.advance();
                    let _ = opener.open(&buffer, &mut plain);
                    let _ = to.message(now, Message::Binary(&buffer));
                }
            }
            Frame::Plain(bytes) => {
                let at = counter.peek().unwrap_or(0);
                let mut sealed = vec![0; bytes.len() + 16];
                key().seal(&nonce(at), &bytes, &mut sealed);
                let _ = to.message(now, Message::Binary(&sealed));
            }
        }
        while let Some(message) = to.received() {
            assert!(message.bytes().len() < 1 << 24);
        }
    }
    match to.poll::<()>(&mut buffer) {
        Some(Output::Fault(_)) => assert_eq!(to.deadline(), None),
        other => assert_eq!(other, None),
    }
    let _ = to.diagnose(None, &[from.sibling()]);
}
