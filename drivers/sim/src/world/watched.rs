//! What is looked at after every step, and only that which the step has touched.

use chumwire::channel::SendError;
use chumwire::contact::Contact;
use chumwire::crypto::Suite;
use chumwire::io::{ConnId, Message};
use chumwire::node::Event;

use super::{Call, Running, Setup, Violation, World};
use crate::invariants::{End, message, secrets};
use crate::party::{PartyId, Told};

impl<S: Suite> World<S> {
    /// From here on a party's machine runs.
    pub(super) fn enter(&self, id: PartyId, conn: Option<ConnId>) {
        if let Some(watch) = &self.watch {
            let slot = &self.parties[id.0];
            watch.ledger.enter(Some(Call {
                party: id,
                start: slot.starts,
                conn,
                ours: matches!(slot.setup, Setup::Node(..) | Setup::Relay(_)),
            }));
        }
    }

    /// The machine has done.
    pub(super) fn leave(&self) {
        if let Some(watch) = &self.watch {
            watch.ledger.enter(None);
        }
    }

    const fn end_of(&self, party: PartyId, conn: ConnId) -> End {
        End {
            party,
            start: self.parties.as_slice()[party.0].starts,
            conn,
        }
    }

    /// A node's embedder sends a message that says who sends it and which one it is, with so many bytes behind that.
    /// What is delivered of such messages has to be a prefix of what was sent, on every connection. Gives its number.
    ///
    /// # Errors
    /// Those of [`Node::send`](chumwire::node::Node::send).
    ///
    /// # Panics
    /// If the party is no node of ours, or does not run.
    pub fn say(&mut self, party: PartyId, conn: ConnId, length: usize) -> Result<u64, SendError> {
        let from = self.end_of(party, conn);
        let number = self.watch.as_ref().map_or(0, |watch| watch.talk.next(from));
        let bytes = message(from, number, length);
        // It can arrive before this returns: nothing is said that was not counted.
        if let Some(watch) = &mut self.watch {
            watch.talk.said(from);
        }
        let sent = self.on_node(party, |node, now| {
            node.send(now, conn, Message::Binary(&bytes))
        });
        if sent.is_err()
            && let Some(watch) = &mut self.watch
        {
            watch.talk.unsaid(from);
        }
        sent.map(|()| number)
    }

    /// A message goes to a node's embedder.
    pub(super) fn heard(&mut self, party: PartyId, conn: ConnId, bytes: &[u8]) {
        let at = self.end_of(party, conn);
        if let Some(watch) = &mut self.watch {
            let result = watch.talk.heard(at, bytes);
            watch.note(result);
        }
    }

    pub(super) fn violation(&self, what: String) -> Violation {
        Violation {
            what,
            at: self.now,
            tail: self.trace.tail(60),
        }
    }

    /// Looks at whatever this step has touched, and asks the invariants.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        while let Some(id) = self.touched.pop() {
            self.parties[id.0].touched = false;
            self.check_party(id)
                .map_err(|what| self.violation(format!("{}: {what}", self.name(id))))?;
        }
        self.check_told().map_err(|what| self.violation(what))?;
        for invariant in &self.invariants {
            invariant(self).map_err(|what| self.violation(what))?;
        }
        Ok(())
    }

    /// A relay or node of ours keeps its tables and bounds, and no secret that it needs no more.
    fn check_party(&self, id: PartyId) -> Result<(), String> {
        let Some(watch) = &self.watch else {
            return Ok(());
        };
        let slot = &self.parties[id.0];
        let connections = match &slot.running {
            Some(Running::Relay(relay)) => {
                relay.self_check()?;
                slot.conns.len()
            }
            Some(Running::Node(node)) => {
                node.self_check()?;
                node.connections().count()
            }
            Some(_) => return Ok(()),
            None => 0,
        };
        secrets::check(watch.ledger.number, id, connections)
    }

    /// What was told since the last step.
    fn check_told(&mut self) -> Result<(), String> {
        let Some(mut watch) = self.watch.take() else {
            return Ok(());
        };
        for (_, party, told) in &self.told[watch.seen.min(self.told.len())..] {
            let slot = &self.parties[party.0];
            watch.told(*party, slot.starts, told, slot.known.as_ref());
            if let Told::Node(Event::Paired { contact, .. }) = told {
                watch.note(
                    self.is_real(contact)
                        .map_err(|what| format!("{party}: {what}")),
                );
            }
        }
        watch.seen = self.told.len();
        let result = watch.result();
        self.watch = Some(watch);
        result
    }

    /// A contact is a party of this world, with its keys. Who plays a part without an identity that is known here may
    /// be anybody, but nobody of those whose identity is known.
    fn is_real(&self, contact: &Contact) -> Result<(), String> {
        let (mut verdict, mut anybody) = (None, false);
        for slot in &self.parties {
            let is = match (&slot.known, &slot.running) {
                (Some(known), _) if known.person == contact.person_id => known.is(contact),
                (None, Some(Running::Deployed(double)))
                    if double.person_id() == contact.person_id.to_string() =>
                {
                    match double.person_key() == contact.person_key.bytes() {
                        true => Ok(()),
                        false => Err(format!("a contact {} with another key", contact.email)),
                    }
                }
                (None, Some(Running::Other(_) | Running::Puppet(_)) | None) => {
                    anybody = true;
                    continue;
                }
                _ => continue,
            };
            // One person can have several devices.
            if verdict.as_ref().is_none_or(Result::is_err) {
                verdict = Some(is);
            }
        }
        match verdict {
            Some(verdict) => verdict,
            None if anybody => Ok(()),
            None => Err(format!("a contact {} who is nobody", contact.email)),
        }
    }
}
