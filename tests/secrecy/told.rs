//! What nodes tell, in good runs and in bad ones, holds none of their secrets: `Debug` of everything after every
//! message, events, notes, faults in words, close reasons, and what goes over the wire. Each secret is looked for as
//! bytes, as hex digits, as a list of numbers and as base64.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::support::net::{Net, address};
use crate::support::people::made_up;
use crate::support::secrets::{ALICE, BOB, draws, identity, secrets};
use chumwire::crypto::Random;
use chumwire::establish::Group;
use chumwire::io::Message;
use chumwire::limits;
use chumwire::node::{Event, NodeConfig};
use chumwire::pairing::Invitation;
use chumwire::time::Micros;

/// So many bytes in a row of a secret are too many.
const WINDOW: usize = 8;

/// Pieces of secrets, to be looked for.
struct Needles(BTreeSet<Vec<u8>>);

impl Needles {
    fn of<'a>(secrets: impl Iterator<Item = &'a [u8]>) -> Self {
        Self(
            secrets
                .flat_map(|s| s.windows(WINDOW))
                .map(<[u8]>::to_vec)
                .collect(),
        )
    }

    fn in_bytes(&self, bytes: &[u8]) -> bool {
        bytes.windows(WINDOW).any(|window| self.0.contains(window))
    }

    /// In which form a text holds one.
    fn in_text(&self, text: &str) -> Option<&'static str> {
        if self.in_bytes(text.as_bytes()) {
            return Some("bytes");
        }
        let runs = |is: fn(char) -> bool| text.split(move |c| !is(c));
        for run in runs(|c| c.is_ascii_hexdigit()) {
            let digits: Vec<u8> = run
                .chars()
                .filter_map(|c| Some(c.to_digit(16)? as u8))
                .collect();
            for start in 0..2.min(digits.len()) {
                let bytes: Vec<u8> = digits[start..]
                    .chunks_exact(2)
                    .map(|d| d[0] << 4 | d[1])
                    .collect();
                if self.in_bytes(&bytes) {
                    return Some("hex");
                }
            }
        }
        for run in runs(|c| c.is_ascii_digit() || " ,\n".contains(c)) {
            let numbers = run.split([' ', ',', '\n']).filter_map(|n| n.parse().ok());
            if self.in_bytes(&numbers.collect::<Vec<u8>>()) {
                return Some("list");
            }
        }
        for run in runs(|c| c.is_ascii_alphanumeric() || "+/-_".contains(c)) {
            let six: Vec<u32> = run.bytes().filter_map(sextet).collect();
            for start in 0..4.min(six.len()) {
                let bytes = six[start..].chunks_exact(4).flat_map(|four| {
                    let word = four.iter().fold(0, |word, bits| word << 6 | bits);
                    [(word >> 16) as u8, (word >> 8) as u8, word as u8]
                });
                if self.in_bytes(&bytes.collect::<Vec<u8>>()) {
                    return Some("base64");
                }
            }
        }
        None
    }
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[test]
fn secrets_are_found_in_every_form() {
    let secret: Vec<u8> = (100..120).collect();
    let needles = Needles::of([&*secret].into_iter());
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    for (form, text) in [
        (
            "bytes",
            format!("x{}", String::from_utf8(secret.clone()).expect("ASCII")),
        ),
        ("hex", hex.to_uppercase()),
        ("hex", format!("f{hex}")),
        ("list", format!("Key({secret:?})")),
        ("list", format!("{secret:#?}")),
        // 64 to 77, at each of the three offsets.
        ("base64", "xZGVmZ2hpamtsbW5vcHFyc3R1dnc=".into()),
        ("base64", "AGRlZmdoaWprbG1ub3BxcnN0dXZ3".into()),
        ("base64", "AABkZWZnaGlqa2xtbm9wcXJzdHV2dw==".into()),
    ] {
        assert_eq!(needles.in_text(&text), Some(form), "{text}");
    }
    assert_eq!(
        needles.in_text("100, 101, 102, 103, 104, 105, 106 abcdefg"),
        None
    );
}

/// What becomes of a run.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Good,
    WrongToken,
    WrongKey,
    /// This message is altered.
    Altered(usize),
    /// This message is lost, and those behind it wait until all time limits are over.
    Lost(usize),
}

fn nodes() -> Net {
    let mut net = Net::new(
        [("alice", ALICE), ("bob", BOB)]
            .map(|(name, tag)| {
                let mut config = NodeConfig::new(identity(name, tag));
                config.serve.insert(Group::Chum);
                config.notes = true;
                config
            })
            .into(),
    );
    for (node, who) in net.nodes.iter_mut().zip([ALICE, BOB]) {
        node.set_url(Some(address(usize::from(who) - 1)))
            .expect("an address");
        node.replace_random(Random::scripted([who; 32], draws(who)));
    }
    net
}

/// A run, and everything that is told in it.
struct Run {
    net: Net,
    fate: Fate,
    delivered: usize,
    told: String,
    wire: Vec<u8>,
}

impl Run {
    /// Until nothing moves.
    fn go(&mut self) {
        loop {
            let (fate, nth) = (self.fate, self.delivered);
            let wire = &mut self.wire;
            let moved = self.net.step_with(|_, (_, bytes)| {
                let middle = bytes.len() / 2;
                if let Fate::Altered(at) = fate
                    && at == nth
                    && let Some(byte) = bytes.get_mut(middle)
                {
                    *byte ^= 1;
                }
                wire.extend_from_slice(bytes);
            });
            self.delivered += 1;
            if matches!(self.fate, Fate::Lost(at) if at == nth) {
                for _ in 0..4 {
                    self.net.pass(Micros::secs(10));
                    self.look();
                }
            }
            // A good run after every message; of bad ones, what they end with is of interest.
            if matches!(self.fate, Fate::Good) || nth % 8 == 0 || !moved {
                self.look();
            }
            if !moved {
                break;
            }
        }
    }

    fn look(&mut self) {
        for node in &self.net.nodes {
            write!(
                self.told,
                "{node:?}\n{:?}\n{:?}\n",
                node.stats(),
                node.identity()
            )
            .expect("room");
        }
    }

    fn new(fate: Fate) -> Self {
        Self {
            net: nodes(),
            fate,
            delivered: 0,
            told: String::new(),
            wire: Vec::new(),
        }
    }

    /// Pairs, meets for CHUM, talks and leaves, as far as it gets. Tells how far.
    fn all(&mut self) -> usize {
        let invitation = self.net.nodes[0].invite(self.net.now, Micros::secs(60), &address(0));
        let invitation = invitation.expect("one more");
        let mut json: serde_json::Value = serde_json::from_str(&invitation.json()).expect("JSON");
        match self.fate {
            Fate::WrongToken => json["token"] = "w".repeat(64).into(),
            Fate::WrongKey => {
                json["publicKey"] = made_up("nobody").instance_key().public().hex().into()
            }
            _ => {}
        }
        let invitation = Invitation::read(&json.to_string()).expect("an invitation");
        writeln!(
            self.told,
            "{invitation:?} {:?} {}",
            invitation.token(),
            invitation.id()
        )
        .expect("room");
        self.net.nodes[1]
            .join(self.net.now, &invitation)
            .expect("a join");
        self.go();
        let alice = self.net.nodes[0].identity().person_id();
        let mut heard = 0;
        self.net.pass(limits::FIRST_DIAL);
        if self.net.nodes[1]
            .connect(self.net.now, alice, Group::Chum)
            .is_ok()
        {
            self.go();
            let conn = self.net.nodes[1].connections().next().map(|c| c.conn);
            if let Some(conn) = conn {
                let _ = self.net.nodes[1].send(self.net.now, conn, Message::Text("hello"));
            }
            self.go();
            heard = self
                .net
                .count(0, |event| matches!(event, Event::Message { .. }));
        }
        for node in &mut self.net.nodes {
            node.shutdown(self.net.now);
        }
        self.go();
        for event in self.net.events.iter().flatten() {
            writeln!(self.told, "{event:?} {event:#?}").expect("room");
            if let Event::Ended {
                fault: Some(fault), ..
            } = event
            {
                writeln!(self.told, "{fault} {}", fault.why.code()).expect("room");
            }
        }
        for record in self.net.records.iter().flatten() {
            writeln!(self.told, "{record:?}").expect("room");
        }
        for node in &self.net.nodes {
            writeln!(self.told, "{node:#?}").expect("room");
        }
        writeln!(self.told, "{:?} {:?}", self.net.closes, self.net.relay).expect("room");
        heard
    }
}

#[test]
fn nothing_that_is_told_holds_a_secret() {
    let secrets = secrets();
    let needles = Needles::of(secrets.values().map(Vec::as_slice));
    let faulty = [Fate::WrongToken, Fate::WrongKey];
    let altered = (0..40).map(Fate::Altered);
    let lost = (0..40).step_by(3).map(Fate::Lost);
    let (mut good, mut codes) = (0, BTreeSet::new());
    for fate in [Fate::Good]
        .into_iter()
        .chain(faulty)
        .chain(altered)
        .chain(lost)
    {
        let mut run = Run::new(fate);
        good += run.all();
        for node in 0..2 {
            codes.extend(run.net.faults(node));
        }
        assert!(run.told.len() > 10_000);
        assert_eq!(needles.in_text(&run.told), None, "{fate:?}");
        // Texts of the handshake are in clear; the rest is sealed.
        assert!(!needles.in_bytes(&run.wire), "{fate:?}");
        let texts = String::from_utf8_lossy(&run.wire);
        assert_eq!(needles.in_text(&texts), None, "{fate:?}");
    }
    assert!(good > 0, "a good run gets to the end");
    assert!(codes.len() >= 6, "{codes:?}");
}
