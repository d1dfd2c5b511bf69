//! Whose keys are trusted (spec 13, "Whom to trust with keys"): the own ones, and those that are in a version of a
//! profile over which somebody with the right to say so has signed a certificate. Here that is the owner alone: this
//! library gives the right to nobody else.

use super::objects::{describes, right, sign_key, signature_over, trust_certificate};
use crate::chum::VersionNode;
use crate::contact::Contact;
use crate::identity::Identity;
use crate::limits;
use crate::objects::{License, Object, ObjectHash, Recipes};

/// Whether the signing key of a contact is trusted. `head` is the newest version node of its profile, and `read` gives
/// the objects of the store. It is not kept: it follows from what is stored at the time.
#[must_use]
pub fn is_trusted(
    recipes: &Recipes,
    own: &Identity,
    contact: &Contact,
    head: Option<ObjectHash>,
    read: impl Fn(ObjectHash) -> Option<Object>,
) -> bool {
    // Signatures are made alike each time, so one that is due is found by its hash.
    let is_signed = |certificate: &Object| {
        let signed = || {
            let text = recipes.write(certificate).ok()?;
            let signature = signature_over(own, ObjectHash::of(&text));
            read(ObjectHash::of(&recipes.write(&signature).ok()?))
        };
        signed().is_some()
    };
    let everybody = License::RightToDeclareTrustedKeysForEverybody;
    let Ok(key) = recipes.write(&sign_key(contact.person_sign_key)) else {
        return false;
    };
    let key = ObjectHash::of(&key);
    let is_certified = |node: &VersionNode| {
        read(node.data).is_some_and(|profile| describes(&profile, key))
            && is_signed(&trust_certificate(node.data))
    };
    let mut left = limits::BOOK_VERSIONS;
    let mut ahead: alloc::collections::VecDeque<ObjectHash> = head.into_iter().collect();
    let mut seen: alloc::collections::BTreeSet<ObjectHash> = head.into_iter().collect();
    if !is_signed(&right(everybody, own.person_id())) {
        return false;
    }
    while let Some(hash) = ahead.pop_front()
        && left > 0
    {
        left -= 1;
        let Some(node) = read(hash).as_ref().and_then(VersionNode::of) else {
            continue;
        };
        if is_certified(&node) {
            return true;
        }
        ahead.extend(node.predecessors().filter(|before| seen.insert(*before)));
    }
    false
}
