//! The two ends of an established session agree on what it is.

use std::collections::BTreeMap;

use chumwire::establish::Group;
use chumwire::objects::PersonId;
use chumwire::role::Role;

use super::ledger::{End, Ledger};

/// What one end says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fact {
    pub(crate) role: Role,
    pub(crate) own: PersonId,
    pub(crate) peer: PersonId,
    /// Without one it is a pairing.
    pub(crate) group: Option<Group>,
}

/// What the ends of all sessions have said.
#[derive(Default)]
pub(crate) struct Sessions(BTreeMap<End, Fact>);

impl Sessions {
    /// One end says that a session is established. It is compared with the other end when both have.
    pub(crate) fn established(
        &mut self,
        ledger: &Ledger,
        end: End,
        fact: Fact,
    ) -> Result<(), String> {
        let other = ledger
            .other_end(end)
            .and_then(|other| self.0.get(&other))
            .cloned();
        self.0.insert(end, fact.clone());
        match other {
            Some(other) => agree(&fact, &other).map_err(|what| format!("{}: {what}", end.party)),
            None => Ok(()),
        }
    }
}

/// Whether both ends of a session take it for the same.
pub(crate) fn agree(one: &Fact, other: &Fact) -> Result<(), String> {
    let wrong = if one.role == other.role {
        "the same role at both ends"
    } else if one.group != other.group {
        "another group at either end"
    } else if one.peer != other.own || other.peer != one.own {
        "the ends take each other for somebody else"
    } else {
        return Ok(());
    };
    Err(format!("{wrong}: {one:?}, {other:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(role: Role, own: u8, peer: u8) -> Fact {
        let person = |n: u8| PersonId::of(&format!("person {n}"));
        Fact {
            role,
            own: person(own),
            peer: person(peer),
            group: Some(Group::Chum),
        }
    }

    #[test]
    fn ends_that_disagree_are_found() {
        let one = fact(Role::Initiator, 1, 2);
        assert_eq!(agree(&one, &fact(Role::Acceptor, 2, 1)), Ok(()));
        let found = |other: &Fact, word: &str| {
            let wrong = agree(&one, other).expect_err("they disagree");
            assert!(wrong.contains(word), "{wrong}");
        };
        found(&fact(Role::Initiator, 2, 1), "role");
        found(&fact(Role::Acceptor, 3, 1), "somebody else");
        found(&fact(Role::Acceptor, 2, 3), "somebody else");
        let mut pairing = fact(Role::Acceptor, 2, 1);
        pairing.group = None;
        found(&pairing, "group");
    }
}
