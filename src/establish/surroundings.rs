//! What the machines of one connection ask of the node that it belongs to: what only somebody can know who sees all
//! connections, contacts and invitations.

use alloc::collections::BTreeMap;

use super::wire::Group;
use crate::crypto::{Instance as InstanceUse, Person as PersonUse, PublicKey, Secret, Static};
use crate::fault::{TokenFault, Why};
use crate::objects::{InstanceId, PersonId, SignKey};
use crate::time::Now;

/// What is on record about a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OnRecord {
    /// The person's encryption key.
    pub person_key: PublicKey<PersonUse>,
    /// The person's signing key.
    pub person_sign_key: SignKey,
    /// The known devices and their keys.
    pub instances: BTreeMap<InstanceId, PublicKey<InstanceUse>>,
}

/// The node, as one of its connections sees it.
pub trait Surroundings {
    /// The acceptor's decision at `connection_group`: a route or the catch-all, and the rule of one connection for
    /// each (own key, peer key, group).
    ///
    /// # Errors
    /// Why it is not admitted.
    fn admit(
        &mut self,
        now: Now,
        peer: &PublicKey<Static>,
        group: &Group,
        extensions: bool,
    ) -> Result<(), Why>;

    /// What is on record about a person, if it is known.
    fn on_record(&self, person: PersonId) -> Option<OnRecord>;

    /// This connection has sent this challenge and waits for the answer.
    fn challenge_sent(&mut self, challenge: &Secret<64>);

    /// The answer came.
    fn challenge_answered(&mut self);

    /// Whether this is a challenge, or the inverse of one, that some connection of this node has outstanding. Looks at
    /// all of them.
    fn is_own_challenge(&mut self, challenge: &Secret<64>) -> bool;

    /// A token was presented on this connection by a person that proved itself. If it is good, it is now held by this
    /// connection.
    ///
    /// # Errors
    /// Why it is not good.
    fn present_token(&mut self, now: Now, token: &str, by: PersonId) -> Result<(), TokenFault>;
}
