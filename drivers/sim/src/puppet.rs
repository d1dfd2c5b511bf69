//! A party that a test plays by hand: it says what it is told to say, and keeps what it hears.

use std::collections::{BTreeMap, VecDeque};

use chumwire::io::{Closed, ConnId, Effect, Full, Kind, Message, NotStored, StoreId};
use chumwire::time::{Deadline, Now};

use crate::party::{Action, Party};

/// What a puppet heard on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is open.
    Opened,
    /// A text.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// It is gone.
    Closed(Closed),
}

/// A party without a will of its own: strangers, attackers, and peers that stop talking.
#[derive(Clone, Debug, Default)]
pub struct Puppet {
    next: u64,
    heard: BTreeMap<ConnId, VecDeque<Heard>>,
    incoming: VecDeque<ConnId>,
    wanted: VecDeque<(Option<Vec<u8>>, Action)>,
}

impl Puppet {
    fn conn(&mut self) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        self.heard.insert(conn, VecDeque::new());
        conn
    }

    /// Dials.
    pub fn dial(&mut self, url: &str) -> ConnId {
        let conn = self.conn();
        self.wanted.push_back((
            None,
            Effect::Dial {
                conn,
                url: url.into(),
            },
        ));
        conn
    }

    /// Sends a text.
    pub fn text(&mut self, conn: ConnId, text: &str) {
        self.wanted.push_back((
            Some(text.into()),
            Effect::Send {
                conn,
                kind: Kind::Text,
            },
        ));
    }

    /// Sends a binary message.
    pub fn binary(&mut self, conn: ConnId, bytes: &[u8]) {
        self.wanted.push_back((
            Some(bytes.into()),
            Effect::Send {
                conn,
                kind: Kind::Binary,
            },
        ));
    }

    /// Closes.
    pub fn close(&mut self, conn: ConnId, reason: &str) {
        self.wanted.push_back((
            None,
            Effect::Close {
                conn,
                code: 1000,
                reason: reason.into(),
            },
        ));
    }

    /// The next connection that came in.
    pub fn take_incoming(&mut self) -> Option<ConnId> {
        self.incoming.pop_front()
    }

    /// What came next on a connection; it is taken out.
    pub fn hear(&mut self, conn: ConnId) -> Option<Heard> {
        self.heard.get_mut(&conn)?.pop_front()
    }

    /// What has come on a connection and was not taken out.
    pub fn heard(&self, conn: ConnId) -> impl Iterator<Item = &Heard> {
        self.heard.get(&conn).into_iter().flatten()
    }

    /// How a connection ended, if it did.
    #[must_use]
    pub fn end_of(&self, conn: ConnId) -> Option<&Closed> {
        self.heard(conn).find_map(|heard| match heard {
            Heard::Closed(how) => Some(how),
            _ => None,
        })
    }

    fn note(&mut self, conn: ConnId, heard: Heard) {
        self.heard.entry(conn).or_default().push_back(heard);
    }
}

impl Party for Puppet {
    fn accept(&mut self, _: Now) -> Option<ConnId> {
        let conn = self.conn();
        self.incoming.push_back(conn);
        Some(conn)
    }

    fn opened(&mut self, _: Now, conn: ConnId) {
        self.note(conn, Heard::Opened);
    }

    fn message(&mut self, _: Now, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        self.note(
            conn,
            match message {
                Message::Text(text) => Heard::Text(text.into()),
                Message::Binary(bytes) => Heard::Binary(bytes.into()),
            },
        );
        Ok(())
    }

    fn drained(&mut self, _: Now, _: ConnId) {}

    fn closed(&mut self, _: Now, conn: ConnId, how: Closed) {
        self.note(conn, Heard::Closed(how));
    }

    fn stored(&mut self, _: Now, _: StoreId, _: Result<(), NotStored>) {}

    fn tick(&mut self, _: Now) {}

    fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Action> {
        let (message, action) = self.wanted.pop_front()?;
        if let Some(message) = message {
            *bytes = message;
        }
        Some(action)
    }

    fn deadline(&self) -> Option<Deadline> {
        None
    }
}
