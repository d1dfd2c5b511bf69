//! Layer 1: the listener at a relay.

use chumwire::crypto::Suite;
use chumwire::io::ConnId;
use chumwire::time::{Micros, Now};
use serde_json::Value;

use super::super::frames::{boxed, unboxed};
use super::super::{DeployedEvent, Shared, texts};
use super::{Conn, Fail, Read, Wait, inverted};

impl<S: Suite> Conn<S> {
    pub(super) fn on_register_challenge(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let command = "authentication_request";
        let value = texts::read(message.text()?, command)?;
        let relay = texts::key(texts::text(&value, command, &["publicKey"])?);
        let challenge = texts::unhex(texts::text(&value, command, &["challenge"])?);
        let (Some(relay), Some(challenge)) = (relay, challenge) else {
            return Err(texts::mismatch(command).into());
        };
        let pair = S::before(&relay, &shared.instance).map_err(|_| "bad key")?;
        let plain = unboxed(&pair, &challenge)?;
        let answer = boxed(&pair, &mut shared.random, &inverted(&plain));
        self.text(now, id, &texts::authentication_response(&answer), shared);
        Ok(Wait::RegisterSuccess)
    }

    pub(super) fn on_register_success(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let value = texts::read(message.text()?, "authentication_success")?;
        let interval = value
            .get("pingInterval")
            .and_then(Value::as_u64)
            .unwrap_or(25_000);
        self.ping_interval = Micros::millis(interval);
        self.ping_limit = Some(now.mono + self.ping_interval + Micros::secs(4));
        shared.tell(DeployedEvent::Registered(id));
        for _ in 0..shared.config.faults.unasked_pongs {
            self.text(now, id, &texts::command("pong"), shared);
        }
        Ok(Wait::Spare)
    }

    pub(super) fn on_spare(
        &mut self,
        now: Now,
        id: ConnId,
        message: &Read,
        shared: &mut Shared<S>,
    ) -> Result<Wait, Fail> {
        let text = message.text()?;
        if texts::read(text, "ping").is_ok() {
            self.ping_limit = Some(now.mono + self.ping_interval + Micros::secs(4));
            self.text(now, id, &texts::command("pong"), shared);
            return Ok(Wait::Spare);
        }
        texts::read(text, "connection_handover")?;
        self.ping_limit = None;
        self.spare = false;
        shared.ready_everywhere = shared.config.faults.ready_on_all_spares;
        self.deaf_until = now.mono + shared.config.faults.deaf_after_handover;
        Ok(Wait::Request)
    }
}
