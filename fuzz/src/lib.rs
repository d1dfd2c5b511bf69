//! The bodies of the fuzz targets, one function each: whatever comes in, nothing panics, what is read is written back
//! as itself, and nobody is taken for somebody else.

mod node;
mod order;
mod people;
mod session;

use arbitrary::Arbitrary;
use chumwire::channel::{
    Assembled, Assembler, Channel, FRAGMENTATION, KEEPALIVE, Opener, escape, strip, unescape,
};
use chumwire::contact::Contact;
use chumwire::crypto::{self, Nacl, OpenError, Random, RawKey, Reference, Secret, Suite};
use chumwire::establish;
use chumwire::handshake::{self, CommunicationRequest};
use chumwire::hex;
use chumwire::io::{Kind, Message, Output};
use chumwire::node::Record;
use chumwire::pairing::{self, Invitation};
use chumwire::relay::wire;
use chumwire::role::Role;
use chumwire::time::Now;

pub use node::{NodeAction, node};
pub use order::{OrderAction, order};
pub use session::{SessionAction, session};

/// Hex digits and the JSON messages of every layer.
pub fn json(text: &str) {
    if let Some(bytes) = hex::decode::<32>(text) {
        assert_eq!(hex::encode(&bytes), text.to_ascii_lowercase());
    }
    if let Ok(request) = CommunicationRequest::read(text) {
        assert_eq!(CommunicationRequest::read(&request.text()), Ok(request));
    }
    let _ = handshake::read_communication_ready(text);
    if let Ok((group, ext)) = establish::read_connection_group(text) {
        let again = establish::connection_group(&group, ext);
        assert_eq!(establish::read_connection_group(&again), Ok((group, ext)));
    }
    if let Ok(ext) = establish::read_sync(text) {
        assert_eq!(establish::read_sync(&establish::sync(ext)), Ok(ext));
    }
    if let Ok(person) = establish::read_person_id_object(text) {
        let again = establish::person_id_object(&person);
        assert_eq!(establish::read_person_id_object(&again), Ok(person));
    }
    if let Ok(keys) = establish::read_keys_object(text) {
        assert_eq!(
            establish::read_keys_object(&establish::keys_object(&keys)),
            Ok(keys)
        );
    }
    if let Ok(instance) = establish::read_instance_id_object(text) {
        let again = establish::instance_id_object(&instance);
        assert_eq!(establish::read_instance_id_object(&again), Ok(instance));
    }
    if let Ok(identity) = pairing::read_identity(text) {
        assert_eq!(
            pairing::read_identity(&pairing::identity(&identity)),
            Ok(identity)
        );
    }
    if let Ok(request) = wire::read_authentication_request(text) {
        let again = wire::authentication_request(&request);
        assert_eq!(wire::read_authentication_request(&again), Ok(request));
    }
    if let Ok(response) = wire::read_authentication_response(text) {
        let again = wire::authentication_response(&response);
        assert_eq!(wire::read_authentication_response(&again), Ok(response));
    }
    if let Ok(interval) = wire::read_authentication_success(text) {
        let again = wire::authentication_success(interval);
        assert_eq!(wire::read_authentication_success(&again), Ok(interval));
    }
    let _ = (
        wire::read_first(text),
        wire::read_to_spare(text),
        wire::read_pong(text),
    );
}

/// The padding of a frame's plaintext.
pub fn padding(plain: &[u8]) {
    if let Ok((text, start)) = strip(plain) {
        assert!(0 < start && start <= plain.len());
        assert_eq!(text, plain[0] & 0x10 != 0);
    }
}

/// What comes to an assembler.
#[derive(Arbitrary, Debug)]
pub struct Pieces {
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
pub fn fragments(Pieces { limit, pieces }: Pieces) {
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
pub struct Frames {
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
pub fn frames(Frames { frames }: Frames) {
    use chumwire::channel::{Counter, nonce};
    use chumwire::crypto::PairKey;

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

/// Boxes that carry their nonce: both suites say the same.
pub fn boxes(sealed: &[u8]) {
    let nacl = <Nacl as Suite>::Pair::from_raw(Secret::take(&mut [7; 32]));
    let reference = <Reference as Suite>::Pair::from_raw(Secret::take(&mut [7; 32]));
    let opened = crypto::open::<32>(&nacl, sealed);
    assert_eq!(opened, crypto::open::<32>(&reference, sealed));
    if sealed.len() == 72 {
        assert_eq!(
            opened.err(),
            Some(OpenError::Forged),
            "nobody guesses a tag"
        );
    }
    if let Some(plain) = sealed.first_chunk::<64>() {
        let mut good: [u8; 104] = crypto::seal(&nacl, &mut Random::new([1; 32]), plain);
        let again = crypto::open::<64>(&reference, &good).map(|opened| *opened.expose());
        assert_eq!(again, Ok(*plain));
        for (to, by) in good.iter_mut().zip(&sealed[64..]) {
            *to ^= by;
        }
        let changed = sealed[64..].iter().take(104).any(|by| *by != 0);
        assert_eq!(crypto::open::<64>(&reference, &good).is_err(), changed);
    }
}

/// Invitations in every form.
pub fn invitation(text: &str) {
    if let Ok(invitation) = Invitation::read(text) {
        for form in [invitation.json(), invitation.link()] {
            assert!(Invitation::read(&form) == Ok(invitation.clone()));
        }
    }
}

/// What is read from storage.
pub fn records(text: &str) {
    if let Ok(contact) = serde_json::from_str::<Contact>(text) {
        let again = serde_json::to_string(&contact).expect("it is written");
        assert_eq!(serde_json::from_str::<Contact>(&again).ok(), Some(contact));
    }
    if let Ok(record) = serde_json::from_str::<Record>(text) {
        let again = serde_json::to_string(&record).expect("it is written");
        assert_eq!(serde_json::from_str::<Record>(&again).ok(), Some(record));
    }
}

/// A message that somebody makes up.
#[derive(Arbitrary, Clone, Debug)]
pub enum MadeUp {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Bytes of a length that matters.
    Sized(u8, bool),
    /// One of the protocol's own texts, as bob would say it.
    Known(u8),
}

impl MadeUp {
    fn wire(&self) -> (Kind, Vec<u8>) {
        match self {
            Self::Text(text) => (Kind::Text, text.as_bytes().to_vec()),
            Self::Binary(bytes) => (Kind::Binary, bytes.clone()),
            Self::Sized(fill, long) => (Kind::Binary, vec![*fill; if *long { 104 } else { 72 }]),
            Self::Known(n) => (Kind::Text, people::known_text(*n).into_bytes()),
        }
    }
}

fn borrowed((kind, bytes): &(Kind, Vec<u8>)) -> Message<'_> {
    match kind {
        Kind::Text => Message::Text(std::str::from_utf8(bytes).unwrap_or("")),
        Kind::Binary => Message::Binary(bytes),
    }
}
