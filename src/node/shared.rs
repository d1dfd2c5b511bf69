//! What all connections of a node share, and what one of them sees of it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::contact::Contact;
use crate::crypto::{PublicKey, Secret, Static, inverted};
use crate::establish::{Group, OnRecord, Surroundings};
use crate::fault::{TokenFault, Why};
use crate::identity::Identity;
use crate::io::ConnId;
use crate::limits;
use crate::objects::PersonId;
use crate::pairing::Invitations;
use crate::time::{Micros, Now};

/// Contacts, invitations, outstanding challenges, and who is connected for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shared {
    pub(super) own: Arc<Identity>,
    pub(super) contacts: BTreeMap<PersonId, Contact>,
    pub(super) invitations: Invitations,
    pub(super) serve: BTreeSet<Group>,
    pub(super) challenges: BTreeMap<ConnId, Secret<64>>,
    pub(super) links: BTreeMap<ConnId, Link>,
    /// Connections that have to end because of what happened on another one.
    pub(super) displaced: Vec<(ConnId, Why)>,
}

/// A connection with a peer, for the rule that there is one for each (own key, peer key, group).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) peer: PublicKey<Static>,
    pub(super) group: Group,
    pub(super) dialled: bool,
    /// When it reached `sync`; until then, when the WebSocket was opened.
    pub(super) since: Micros,
    /// Whether it has reached `sync`.
    pub(super) synced: bool,
}

impl Shared {
    /// The contact that has a device with this key.
    pub(super) fn contact_of_key(&self, key: &PublicKey<Static>) -> Option<&Contact> {
        self.contacts.values().find(|contact| {
            contact
                .instances
                .iter()
                .any(|instance| instance.instance_key.presented() == *key)
        })
    }

    /// Whether a connection for this purpose is there.
    pub(super) fn is_linked(&self, peer: &PublicKey<Static>, group: &Group) -> bool {
        self.links
            .values()
            .any(|link| link.synced && link.peer == *peer && link.group == *group)
    }

    /// The rule of one connection, when one more reaches `sync` here as acceptor.
    fn admit_one(
        &mut self,
        now: Now,
        conn: ConnId,
        peer: &PublicKey<Static>,
        group: &Group,
        extensions: bool,
    ) -> Result<(), Why> {
        for (&other, link) in &self.links {
            if other == conn || link.peer != *peer || link.group != *group {
                continue;
            }
            // What has not reached `sync` is young however long it takes: the other side may have admitted it and not
            // know this one yet, so that only here both are seen. Its step limit bounds how long it can stand in the way.
            let young = !link.synced || now.mono.since(link.since) < limits::DUPLICATE_WINDOW;
            if young && extensions && link.dialled {
                // Both dialled each other: the one of the side with the smaller key survives, on both sides.
                if self.own.instance_key().public().bytes() < peer.bytes() {
                    return Err(Why::Duplicate);
                }
                self.displaced.push((other, Why::Duplicate));
            } else if link.synced && young {
                return Err(Why::Duplicate);
            } else if link.synced {
                self.displaced.push((other, Why::Replaced));
            }
        }
        let link = Link {
            peer: *peer,
            group: group.clone(),
            dialled: false,
            since: now.mono,
            synced: true,
        };
        self.links.insert(conn, link);
        Ok(())
    }
}

/// The node, as one of its connections sees it.
pub(super) struct View<'a> {
    pub(super) shared: &'a mut Shared,
    pub(super) conn: ConnId,
}

impl Surroundings for View<'_> {
    fn admit(
        &mut self,
        now: Now,
        peer: &PublicKey<Static>,
        group: &Group,
        extensions: bool,
    ) -> Result<(), Why> {
        // Pairing goes through the catch-all; everything else is for contacts.
        if *group != Group::Pairing {
            if !self.shared.serve.contains(group) {
                return Err(Why::GroupNotServed {
                    group: group.shown(),
                });
            }
            if self.shared.contact_of_key(peer).is_none() {
                return Err(Why::NotPaired);
            }
        }
        self.shared
            .admit_one(now, self.conn, peer, group, extensions)
    }

    fn on_record(&self, person: PersonId) -> Option<OnRecord> {
        self.shared.contacts.get(&person).map(|contact| OnRecord {
            person_key: contact.person_key,
            person_sign_key: contact.person_sign_key,
            instances: contact
                .instances
                .iter()
                .map(|instance| (instance.instance_id, instance.instance_key))
                .collect(),
        })
    }

    fn challenge_sent(&mut self, challenge: &Secret<64>) {
        self.shared.challenges.insert(self.conn, challenge.clone());
    }

    fn challenge_answered(&mut self) {
        self.shared.challenges.remove(&self.conn);
    }

    fn is_own_challenge(&mut self, challenge: &Secret<64>) -> bool {
        let inverse = inverted(challenge);
        let mut found = false;
        for (conn, own) in &self.shared.challenges {
            // Each is compared both ways, in constant time.
            if (own == challenge) | (*own == inverse) {
                found = true;
                if *conn != self.conn {
                    // Whoever hands it on sits at the other end of that one, too.
                    self.shared.displaced.push((*conn, Why::ReflectedChallenge));
                }
            }
        }
        found
    }

    fn present_token(&mut self, now: Now, token: &str, by: PersonId) -> Result<(), TokenFault> {
        let person = self.shared.own.person_id();
        self.shared
            .invitations
            .present(now, token, person, by, self.conn)
            .map(|_| ())
    }
}
