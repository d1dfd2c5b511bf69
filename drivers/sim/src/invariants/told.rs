//! What parties tell: tokens and spares are used once, and peers are who they are taken for.

use std::collections::BTreeSet;

use chumwire::contact::Contact;
use chumwire::crypto::{Instance, Person, PublicKey};
use chumwire::identity::Identity;
use chumwire::io::ConnId;
use chumwire::node::Event;
use chumwire::objects::{InstanceId, PersonId};
use chumwire::pairing::InvitationId;
use chumwire::relay::RelayEvent;

use crate::party::PartyId;

/// Who a node of ours is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) person: PersonId,
    pub(crate) person_key: PublicKey<Person>,
    pub(crate) instance: InstanceId,
    pub(crate) instance_key: PublicKey<Instance>,
}

impl Known {
    pub(crate) fn of(identity: &Identity) -> Self {
        Self {
            person: identity.person_id(),
            person_key: identity.person_key().public(),
            instance: identity.instance_id(),
            instance_key: identity.instance_key().public(),
        }
    }

    /// Whether a contact that has this person's id has its keys too.
    pub(crate) fn is(&self, contact: &Contact) -> Result<(), String> {
        if contact.person_key != self.person_key {
            return Err(format!("a contact {} with another key", contact.email));
        }
        match contact.instance(self.instance) {
            Some(instance) if instance.instance_key != self.instance_key => {
                Err(format!("a device of {} with another key", contact.email))
            }
            _ => Ok(()),
        }
    }
}

/// What was used up.
#[derive(Default)]
pub(crate) struct Tokens {
    used: BTreeSet<(PartyId, InvitationId)>,
    handed: BTreeSet<(PartyId, u32, ConnId)>,
}

impl Tokens {
    /// A node tells something.
    pub(crate) fn node(&mut self, party: PartyId, event: &Event) -> Result<(), String> {
        match event {
            Event::Paired {
                invitation: Some(id),
                ..
            } if !self.used.insert((party, *id)) => {
                Err(format!("{party}: an invitation was used twice"))
            }
            _ => Ok(()),
        }
    }

    /// A relay tells something, in one of its lives.
    pub(crate) fn relay(
        &mut self,
        party: PartyId,
        start: u32,
        event: &RelayEvent,
    ) -> Result<(), String> {
        match event {
            RelayEvent::HandedOver { spare, .. } if !self.handed.insert((party, start, *spare)) => {
                Err(format!("{party}: spare {spare} was handed over twice"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chumwire::crypto::Random;
    use chumwire::time::Millis;

    use super::*;
    use crate::insecure::Insecure;

    #[test]
    fn a_contact_with_keys_of_somebody_else_is_found() {
        let [one, other] = [1, 2].map(|seed| {
            let mut random = Random::new([seed; 32]);
            Identity::generate::<Insecure>(&mut random, "a@example.org", "laptop").expect("a name")
        });
        let known = Known::of(&one);
        assert_eq!(known.is(&Contact::of(&one, None, Millis(0))), Ok(()));
        let mut wrong = Contact::of(&one, None, Millis(0));
        wrong.person_key = other.person_key().public();
        assert!(known.is(&wrong).is_err());
        let mut wrong = Contact::of(&one, None, Millis(0));
        wrong.instances[0].instance_key = other.instance_key().public();
        assert!(known.is(&wrong).is_err());
    }

    #[test]
    fn an_invitation_that_is_used_twice_is_found() {
        use chumwire::role::Role;

        let mut random = Random::new([1; 32]);
        let identity = Identity::generate::<Insecure>(&mut random, "a@example.org", "laptop");
        let event = Event::Paired {
            conn: ConnId(1),
            role: Role::Acceptor,
            contact: Contact::of(&identity.expect("a name"), None, Millis(0)),
            invitation: Some(InvitationId([1; 32])),
        };
        let mut tokens = Tokens::default();
        assert_eq!(tokens.node(PartyId(0), &event), Ok(()));
        assert_eq!(tokens.node(PartyId(1), &event), Ok(()));
        assert!(tokens.node(PartyId(0), &event).is_err());
    }

    #[test]
    fn a_spare_that_is_handed_over_twice_is_found() {
        let mut tokens = Tokens::default();
        let event = RelayEvent::HandedOver {
            spare: ConnId(1),
            initiator: ConnId(2),
            source: PublicKey::new([3; 32]),
            target: PublicKey::new([4; 32]),
        };
        assert_eq!(tokens.relay(PartyId(0), 1, &event), Ok(()));
        assert_eq!(tokens.relay(PartyId(0), 2, &event), Ok(()));
        assert!(tokens.relay(PartyId(0), 1, &event).is_err());
    }
}
