//! The invitations of an instance: each is used at most once, by one connection at a time (spec 06).
//!
//! ```text
//! open ─present─> held ─spend─> spent          open, held ─revoke─> revoked
//!   ^───release────┘                           open ─time─> expired
//! ```

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::invitation::{Invitation, InvitationId, Token};
use crate::crypto::{Instance, PublicKey, Random};
use crate::fault::TokenFault;
use crate::io::ConnId;
use crate::limits;
use crate::objects::PersonId;
use crate::time::{Alarm, Deadline, Micros, Millis, Now};

/// An invitation as it is stored and listed: without its token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitationRecord {
    /// Which: the SHA-256 of its token.
    pub id: InvitationId,
    /// The person that it was made for: one of this instance's own.
    pub person: PersonId,
    /// When it expires.
    pub expires: Millis,
}

/// What has become of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvitationState {
    /// It can be used.
    Open,
    /// A connection is pairing with it.
    Held(ConnId),
    /// It was used.
    Spent,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
}

/// There are as many open invitations as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {} open invitations; revoke some", limits::INVITATIONS)]
pub struct TooMany;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    record: InvitationRecord,
    state: InvitationState,
    expires_at: Micros,
    /// Who presented it first. Nobody else may, afterwards.
    presenter: Option<PersonId>,
}

/// All invitations that are open, and those that have ended lately, so that a refusal can say why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Invitations {
    entries: BTreeMap<InvitationId, Entry>,
}

impl Invitations {
    /// Makes one, for a person of this instance.
    ///
    /// # Errors
    /// [`TooMany`]
    pub(crate) fn make(
        &mut self,
        now: Now,
        random: &mut Random,
        person: PersonId,
        public_key: PublicKey<Instance>,
        url: String,
        life: Micros,
    ) -> Result<(Invitation, InvitationRecord), TooMany> {
        if self.entries.len() >= limits::INVITATIONS && !self.drop_one_ended() {
            return Err(TooMany);
        }
        let token = Token::draw(random);
        let expires = Millis(now.wall.0.saturating_add(life.as_millis()));
        let record = InvitationRecord {
            id: token.id(),
            person,
            expires,
        };
        self.insert(record.clone(), now.mono + life);
        Ok((Invitation::new(token, public_key, url), record))
    }

    /// Takes in one that was stored in an earlier run. One that has expired since then expires now: it is still stored.
    pub(crate) fn restore(&mut self, now: Now, record: InvitationRecord) {
        let left = Micros::millis(record.expires.0.saturating_sub(now.wall.0));
        if self.entries.len() < limits::INVITATIONS {
            self.insert(record, now.mono + left);
        }
    }

    fn insert(&mut self, record: InvitationRecord, expires_at: Micros) {
        let entry = Entry {
            state: InvitationState::Open,
            expires_at,
            presenter: None,
            record,
        };
        self.entries.insert(entry.record.id, entry);
    }

    fn drop_one_ended(&mut self) -> bool {
        let ended = self
            .entries
            .values()
            .filter(|e| !matches!(e.state, InvitationState::Open | InvitationState::Held(_)))
            .min_by_key(|entry| entry.expires_at)
            .map(|entry| entry.record.id);
        ended.is_some_and(|id| self.entries.remove(&id).is_some())
    }

    /// A proven person presents a token on a connection. If it is good, the connection holds it from now on. Validity
    /// is looked at here and never again.
    pub(crate) fn present(
        &mut self,
        now: Now,
        token: &str,
        person: PersonId,
        by: PersonId,
        conn: ConnId,
    ) -> Result<InvitationId, TokenFault> {
        // The look-up is by a hash, so its timing tells nothing about other tokens.
        let id = InvitationId::of(token);
        let entry = self.entries.get_mut(&id).ok_or(TokenFault::Unknown)?;
        entry.expire(now);
        match entry.state {
            InvitationState::Held(_) => Err(TokenFault::Held),
            InvitationState::Spent => Err(TokenFault::Used),
            InvitationState::Revoked => Err(TokenFault::Revoked),
            InvitationState::Expired => Err(TokenFault::Expired {
                ago_ms: entry.ago_ms(now),
            }),
            InvitationState::Open
                if entry.record.person != person || entry.presenter.is_some_and(|p| p != by) =>
            {
                Err(TokenFault::OtherPerson)
            }
            InvitationState::Open => {
                entry.state = InvitationState::Held(conn);
                entry.presenter = Some(by);
                Ok(id)
            }
        }
    }

    /// A connection failed before the identities were exchanged: what it holds is free again.
    pub(crate) fn release(&mut self, conn: ConnId) {
        if let Some(entry) = self.held_mut(conn) {
            entry.state = InvitationState::Open;
        }
    }

    /// What a connection holds is used up. Tells which.
    pub(crate) fn spend(&mut self, conn: ConnId) -> Option<InvitationId> {
        let entry = self.held_mut(conn)?;
        entry.state = InvitationState::Spent;
        Some(entry.record.id)
    }

    /// The record of a spent one could not be stored: it may be used again.
    pub(crate) fn unspend(&mut self, id: InvitationId) {
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.state == InvitationState::Spent
        {
            entry.state = InvitationState::Open;
        }
    }

    fn held_mut(&mut self, conn: ConnId) -> Option<&mut Entry> {
        self.entries
            .values_mut()
            .find(|entry| entry.state == InvitationState::Held(conn))
    }

    /// Takes one back. `None` if there is no such one that is open or held; else the connection that holds it.
    pub(crate) fn revoke(&mut self, now: Now, id: InvitationId) -> Option<Option<ConnId>> {
        let entry = self.entries.get_mut(&id)?;
        entry.expire(now);
        let holder = match entry.state {
            InvitationState::Open => None,
            InvitationState::Held(conn) => Some(conn),
            _ => return None,
        };
        entry.state = InvitationState::Revoked;
        Some(holder)
    }

    /// Marks what has expired, and tells which.
    pub(crate) fn expire(&mut self, now: Now) -> Vec<InvitationId> {
        let mut expired = Vec::new();
        for entry in self.entries.values_mut() {
            if entry.state == InvitationState::Open {
                entry.expire(now);
                if entry.state == InvitationState::Expired {
                    expired.push(entry.record.id);
                }
            }
        }
        expired
    }

    /// When the next one expires.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.entries
            .values()
            .filter(|entry| entry.state == InvitationState::Open)
            .map(|entry| Deadline {
                at: entry.expires_at,
                why: Alarm::Expiry,
            })
            .min()
    }

    /// All that are known, with what has become of them.
    pub fn list(&self) -> impl Iterator<Item = (&InvitationRecord, InvitationState)> {
        self.entries
            .values()
            .map(|entry| (&entry.record, entry.state))
    }

    pub(crate) fn for_each_conn(&mut self, mut rename: impl FnMut(&mut ConnId)) {
        for entry in self.entries.values_mut() {
            if let InvitationState::Held(conn) = &mut entry.state {
                rename(conn);
            }
        }
    }

    pub(crate) fn rebase(&mut self, now: Now) {
        for entry in self.entries.values_mut() {
            entry.expires_at = entry.expires_at.since(now.mono);
            entry.record.expires = Millis(entry.record.expires.0.saturating_sub(now.wall.0));
        }
    }
}

impl Entry {
    /// Both clocks are heard: the wall clock may jump, the other may stand still while a machine sleeps.
    fn expire(&mut self, now: Now) {
        if self.state == InvitationState::Open
            && (now.mono >= self.expires_at || now.wall >= self.record.expires)
        {
            self.state = InvitationState::Expired;
        }
    }

    fn ago_ms(&self, now: Now) -> u64 {
        let wall = now.wall.0.saturating_sub(self.record.expires.0);
        wall.max(now.mono.since(self.expires_at).as_millis())
    }
}
