//! Layer 2: the encryption handshake, in both roles.

use chumwire::crypto::{Purpose, Suite};
use chumwire::io::ConnId;
use chumwire::time::Now;

use super::super::frames::{Tunnel, boxed, unboxed};
use super::super::{Shared, texts};
use super::{Conn, Fail, Read, Wait};

impl<S: Suite> Conn<S> {
    pub(super) fn on_request(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "communication_request";
        let value = texts::read(message.text()?, command)?;
        let source = texts::text(&value, command, &["sourcePublicKey"])?;
        let target = texts::text(&value, command, &["targetPublicKey"])?;
        let (Some(source), Some(target)) = (texts::key(source), texts::key(target)) else {
            return Err("CYENC-ENSPUB: Data is not a public key".into());
        };
        self.text(now, id, &texts::command("communication_ready"), shared);
        if target != shared.instance_public {
            return Err("We do not accept connections for this target public key".into());
        }
        self.peer_key = source;
        self.static_pair = S::before(&source, &shared.instance).ok();
        Ok(Wait::Key)
    }

    pub(super) fn on_ready(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        texts::read(message.text()?, "communication_ready")?;
        self.send_key(now, id, shared)?;
        Ok(Wait::Key)
    }

    pub(super) fn send_key(
        &mut self,
        now: Now,
        id: ConnId,
        shared: &mut Shared<S>,
    ) -> Result<(), Fail> {
        let pair = self.static_pair.clone().ok_or("bad key")?;
        let secret = shared.random.secret(Purpose::EphemeralKey);
        let key = boxed(&pair, &mut shared.random, &S::public_key(&secret));
        self.ephemeral = Some(secret);
        self.binary(now, id, key, shared);
        Ok(())
    }

    pub(super) fn on_key(
        &mut self,
        now: Now,
        message: &Read,
        shared: &Shared<S>,
    ) -> Result<Wait, Fail> {
        let pair = self.static_pair.as_ref().ok_or("bad key")?;
        self.received_key = unboxed(pair, message.binary()?)?;
        Ok(Wait::Thinking(now.mono + shared.config.think))
    }

    /// The key message has been worked on.
    pub(super) fn thought(
        &mut self,
        now: Now,
        id: ConnId,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        if !self.initiator {
            self.send_key(now, id, shared)?;
        }
        // The length is looked at only now.
        let key: [u8; 32] = self
            .received_key
            .as_slice()
            .try_into()
            .map_err(|_| "bad public key size")?;
        let secret = self.ephemeral.take().ok_or("bad key")?;
        let session = S::before(&key, &secret).map_err(|_| "bad key")?;
        let mut tunnel = Tunnel::new(session, self.initiator);
        let faults = shared.config.faults;
        tunnel.send = faults.send_start.unwrap_or(tunnel.send);
        tunnel.receive = faults.receive_start.unwrap_or(tunnel.receive);
        self.tunnel = Some(tunnel);
        (self.said, self.heard) = (now.mono, now.mono);
        if faults.keepalive_at_once && !self.initiator {
            self.keepalive(now, id, shared);
        }
        if self.initiator {
            let text = texts::connection_group(&self.group);
            self.text(now, id, &text, shared);
        }
        if !self.unread.is_empty() {
            // They stay in the queue as they are, in front of everything that comes.
            return Ok(Wait::Silent);
        }
        Ok(if self.initiator {
            Wait::Sync
        } else {
            Wait::Group
        })
    }
}
