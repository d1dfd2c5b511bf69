//! Layer 7a: pairing, in both roles.

use chumwire::crypto::Suite;
use chumwire::io::ConnId;
use chumwire::time::Now;

use super::super::texts::OwnIdentity;
use super::super::{DeployedEvent, Known, Lie, NOBODY, Route, Shared, texts};
use super::{Conn, Fail, Goal, Read, Wait};

impl<S: Suite> Conn<S> {
    pub(super) fn start_pairing(
        &mut self,
        now: Now,
        id: ConnId,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        match &self.goal {
            Some(Goal::Initiate {
                token: Some(token), ..
            }) => {
                let text = texts::authentication_token(token);
                self.text(now, id, &text, shared);
                Ok(Wait::Identity)
            }
            _ => Ok(Wait::Token),
        }
    }

    pub(super) fn on_token(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "authentication_token";
        let value = texts::read(message.text()?, command)?;
        let token = texts::text(&value, command, &["token"])?;
        if !shared.tokens.contains_key(token) {
            return Err("Authentication token is not existing.".into());
        }
        // It is looked at here and deleted at the end: two connections can share it.
        self.goal = Some(Goal::Initiate {
            target: self.peer_key,
            group: String::new(),
            token: Some(token.into()),
            person_key: false,
        });
        self.send_identity(now, id, shared);
        Ok(Wait::Identity)
    }

    pub(super) fn send_identity(&mut self, now: Now, id: ConnId, shared: &mut Shared<S>) {
        let lie = shared.config.faults.lie;
        let so = |so: Lie| lie == Some(so);
        let other = [0x5a; 32];
        let text = texts::identity(&OwnIdentity {
            email: if so(Lie::Email) {
                NOBODY
            } else {
                &shared.config.email
            },
            name: if so(Lie::Name) {
                "elsewhere"
            } else {
                &shared.config.instance
            },
            person_key: if so(Lie::PersonKey) {
                &other
            } else {
                &shared.person_public
            },
            person_sign: if so(Lie::SignKey) {
                &other
            } else {
                &shared.config.sign[0]
            },
            instance_key: &shared.instance_public,
            instance_sign: &shared.config.sign[1],
            url: shared.config.url.as_deref(),
        });
        self.text(now, id, &text, shared);
    }

    pub(super) fn on_identity(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "identity";
        let value = texts::read(message.text()?, command)?;
        let member = |name: &str| texts::text(&value, command, &["obj", name]);
        if member("type")? != "public" {
            return Err(texts::mismatch(command).into());
        }
        let (email, name) = (member("personEmail")?, member("instanceName")?);
        let key = |name: &str| -> Result<String, Fail> {
            let bytes = texts::unhex(member(name)?).ok_or_else(|| texts::mismatch(command))?;
            match bytes.len() {
                32 => Ok(texts::hex(&bytes)),
                _ => Err(format!(
                    "O2M-RTYC3: Property \"publicKey\" value \"{}\"",
                    texts::hex(&bytes)
                )
                .into()),
            }
        };
        let (person_key, instance_key) = (key("personKeyPublic")?, key("instanceKeyPublic")?);
        key("personSignKeyPublic")?;
        key("instanceSignKeyPublic")?;
        let person = texts::person_id(email);
        let peer = Known {
            instance: texts::instance_id(name, &person),
            person,
            person_key,
            instance_key,
            url: member("url").ok().map(Into::into),
        };
        shared.known.insert(peer.person.clone(), peer.clone());
        if shared.config.chum && peer.url.is_some() {
            let route = Route {
                conn: None,
                at: Some(now.mono),
                failures: 0,
            };
            shared.routes.insert(peer.person.clone(), route);
        }
        if self.initiator {
            self.send_identity(now, id, shared);
            shared.tell(DeployedEvent::Paired {
                conn: id,
                initiator: true,
                peer,
            });
            return if shared.config.leaves_open {
                Ok(Wait::Established)
            } else {
                Err(Fail::CloseBare)
            };
        }
        if let Some(Goal::Initiate {
            token: Some(token), ..
        }) = &self.goal
        {
            shared.tokens.remove(token);
        }
        shared.tell(DeployedEvent::Paired {
            conn: id,
            initiator: false,
            peer,
        });
        Ok(Wait::Established)
    }
}
