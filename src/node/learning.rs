//! What a contact tells of its devices after the pairing (spec 13, "Rules for ours", 2 and 3).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::event::Record;
use super::machine::{Inner, Stored};
use crate::contact::ContactInstance;
use crate::crypto::Suite;
use crate::fault::Part;
use crate::limits;
use crate::objects::{InstanceId, PersonId};
use crate::time::Now;

impl<S: Suite> Inner<S> {
    /// Takes in what is new of a contact's devices; gives what was refused, or nothing if there is no such contact.
    pub(super) fn learn(
        &mut self,
        now: Now,
        person: PersonId,
        devices: &[ContactInstance],
    ) -> Option<Vec<(InstanceId, Part)>> {
        let mut contact = self.shared.contacts.get(&person)?.clone();
        let mut refused = Vec::new();
        let mut changed = false;
        for device in devices {
            let id = device.instance_id;
            if let Some(known) = contact.instances.iter_mut().find(|i| i.instance_id == id) {
                if known.instance_key != device.instance_key {
                    refused.push((id, Part::InstanceKey));
                } else if device.url.is_some() && known.url != device.url {
                    // Who names no address does not take back the one that is known.
                    known.url.clone_from(&device.url);
                    changed = true;
                }
                continue;
            }
            let key = device.instance_key.presented();
            let is_own = key == self.shared.own.instance_key().public().presented()
                || id == self.shared.own.instance_id();
            let is_known = |of: &ContactInstance| of.instance_id == id;
            let of_another = self.shared.contacts.values().any(|contact| {
                contact.person_id != person && contact.instances.iter().any(is_known)
            });
            let in_it = contact.instances.iter();
            let has_key = self.shared.contact_of_key(&key).is_some()
                || in_it.clone().any(|i| i.instance_key == device.instance_key);
            if is_own || of_another || has_key {
                refused.push((id, Part::InstanceKey));
            } else if in_it.len() < limits::CONTACT_INSTANCES {
                contact.instances.push(device.clone());
                changed = true;
            }
        }
        if changed {
            let routes = self.routes_to(person, None).into_iter();
            let groups: BTreeSet<_> = routes.map(|key| key.group).collect();
            self.shared.contacts.insert(person, contact.clone());
            for group in groups {
                self.make_routes(now, &contact, &group);
            }
            self.store(Record::Contact(contact), Stored::Other);
        }
        Some(refused)
    }
}
