//! Layer 6: establishment, in both roles. Most errors are raised only, and leave the connection open.

use chumwire::crypto::{Purpose, Suite};
use chumwire::io::ConnId;
use chumwire::time::{Micros, Now};
use serde_json::Value;

use super::super::frames::{boxed, unboxed};
use super::super::{DeployedEvent, Known, Lie, Shared, texts};
use super::{Conn, Fail, Read, Wait, inverted, raise};

impl<S: Suite> Conn<S> {
    pub(super) fn on_group(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "connection_group";
        let value = texts::read(message.text()?, command)?;
        self.group = texts::text(&value, command, &["connectionGroupName"])?.into();
        if !shared.config.catch_all && self.record(shared).is_none() {
            return Err(Fail::Close(
                "I do not want to communicate with you. Go Away!".into(),
            ));
        }
        let same = |(key, group, _): &([u8; 32], String, Micros)| {
            *key == self.peer_key && *group == self.group
        };
        let older: Vec<(ConnId, Micros)> = shared
            .live
            .iter()
            .filter(|(_, l)| same(l))
            .map(|(id, (.., since))| (*id, *since))
            .collect();
        if older
            .iter()
            .any(|(_, since)| now.mono.since(*since) < Micros::secs(2))
        {
            return Err(Fail::Close(
                "Duplicate connection - dropped new connection".into(),
            ));
        }
        shared.replaced.extend(older.iter().map(|(id, _)| *id));
        self.text(now, id, &texts::command("sync"), shared);
        Ok(self.synced(now, id, shared))
    }

    pub(super) fn on_sync(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        texts::read(message.text()?, "sync").map_err(raise)?;
        Ok(self.synced(now, id, shared))
    }

    pub(super) fn synced(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) -> Wait {
        shared
            .live
            .insert(id, (self.peer_key, self.group.clone(), now.mono));
        let text = texts::person_id_object(&shared.config.email);
        self.text(now, id, &text, shared);
        Wait::Person
    }

    /// What is on record of the key that the other side presented.
    pub(super) fn record<'a>(&self, shared: &'a Shared<S>) -> Option<&'a Known> {
        let key = texts::hex(&self.peer_key);
        shared
            .known
            .values()
            .find(|known| known.instance_key == key || known.person_key == key)
    }

    pub(super) fn on_person(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "person_id_object";
        let establish = || -> Result<Value, String> {
            let value = texts::read(message.text()?, command)?;
            match texts::text(&value, command, &["obj", "$type$"])? {
                "Person" => Ok(value),
                _ => Err(texts::mismatch(command)),
            }
        };
        let value = establish().map_err(raise)?;
        self.peer.email = texts::text(&value, command, &["obj", "email"])
            .map_err(raise)?
            .into();
        self.peer.person = texts::person_id(&self.peer.email);
        let owner = shared.owner_unless(Lie::KeysOwner);
        let text = texts::keys_object(&owner, &shared.person_public, &shared.config.sign[0]);
        self.text(now, id, &text, shared);
        Ok(Wait::Keys)
    }

    pub(super) fn on_keys(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "keys_object";
        let value = message
            .text()
            .map_err(raise)
            .and_then(|text| texts::read(text, command).map_err(raise))?;
        let owner = texts::text(&value, command, &["obj", "owner"]).map_err(raise)?;
        if owner != self.peer.person {
            return Err(raise(
                "Received keys object does not belong to the transmitted person id object",
            ));
        }
        let key = texts::text(&value, command, &["obj", "publicKey"]).map_err(raise)?;
        self.peer.person_key =
            texts::key(key).ok_or_else(|| raise("CYENC-ENSPUB: Data is not a public key"))?;
        let pair =
            S::before(&self.peer.person_key, &shared.person).map_err(|_| raise("bad key"))?;
        self.person_pair = Some(pair);
        if self.initiator {
            return Ok(Wait::Challenge);
        }
        self.send_challenge(now, id, shared)
    }

    pub(super) fn send_challenge(
        &mut self,
        now: Now,
        id: ConnId,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        self.challenge = shared.random.array(Purpose::Challenge);
        let pair = self.person_pair.clone().ok_or_else(|| raise("bad key"))?;
        let sealed = boxed(&pair, &mut shared.random, &self.challenge);
        self.binary(now, id, sealed, shared);
        Ok(Wait::Answer)
    }

    pub(super) fn on_answer(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let pair = self.person_pair.as_ref().ok_or_else(|| raise("bad key"))?;
        let answer = unboxed(pair, message.binary().map_err(raise)?).map_err(raise)?;
        if answer != inverted(&self.challenge) {
            return Err(Fail::CloseBare);
        }
        if self.initiator {
            self.proven(now, id, shared)
        } else {
            Ok(Wait::Challenge)
        }
    }

    pub(super) fn on_challenge(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let pair = self.person_pair.clone().ok_or_else(|| raise("bad key"))?;
        let challenge = unboxed(&pair, message.binary().map_err(raise)?).map_err(raise)?;
        let answer = boxed(&pair, &mut shared.random, &inverted(&challenge));
        self.binary(now, id, answer, shared);
        if self.initiator {
            self.send_challenge(now, id, shared)
        } else {
            self.proven(now, id, shared)
        }
    }

    /// All four messages have passed. Only now a known person's key is compared.
    pub(super) fn proven(
        &mut self,
        now: Now,
        id: ConnId,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        if let Some(known) = shared.known.get(&self.peer.person)
            && known.person_key != texts::hex(&self.peer.person_key)
        {
            return Err(raise("Key does not match your previous visit"));
        }
        let owner = shared.owner_unless(Lie::InstanceOwner);
        let text = texts::instance_id_object(&shared.config.instance, &owner);
        self.text(now, id, &text, shared);
        Ok(Wait::Instance)
    }

    pub(super) fn on_instance(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "instance_id_object";
        let value = message
            .text()
            .map_err(raise)
            .and_then(|text| texts::read(text, command).map_err(raise))?;
        let name = texts::text(&value, command, &["obj", "name"]).map_err(raise)?;
        // Whose instance it says it is, is not compared with the person.
        let owner = texts::text(&value, command, &["obj", "owner"]).map_err(raise)?;
        self.peer.instance = texts::instance_id(name, owner);
        let known = self.record(shared).cloned();
        if let Some(known) = &known
            && known.instance != self.peer.instance
        {
            return Err(raise(
                "The instance id we have on record for your specified public key does not match \
                 the instance id that you sent us.",
            ));
        }
        match self.group.as_str() {
            "pairing" => self.start_pairing(now, id, shared),
            "chum" if known.is_none() => Err("Unable to start chum because you are unknown".into()),
            "chum" | "debug" => {
                let (group, person) = (self.group.clone(), self.peer.person.clone());
                shared.tell(DeployedEvent::Connected {
                    conn: id,
                    group,
                    person,
                });
                Ok(Wait::Established)
            }
            other => Err(format!("ConnectionRoutesGroupName {other} not supported").into()),
        }
    }
}
