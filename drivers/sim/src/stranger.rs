//! A stranger's side of one connection: it shakes hands, seals and opens, and says what a scenario wants.
//!
//! It is played over a [`Puppet`], so one puppet can hold many of them.

use chumwire::crypto::{KeyPair, Purpose, Random, Secret, Static, Suite};
use chumwire::io::ConnId;
use chumwire::time::Micros;

use crate::deployed::{Tunnel, boxed, unboxed};
use crate::party::PartyId;
use crate::puppet::{Heard, Puppet};
use crate::world::{Violation, World};

/// A connection of a stranger whose handshake is done.
pub struct Stranger<S: Suite> {
    /// Who plays it.
    pub puppet: PartyId,
    /// On which connection.
    pub conn: ConnId,
    /// The sealed side.
    pub tunnel: Tunnel<S>,
    /// What it draws from.
    pub random: Random,
}

/// Why a stranger cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// The world broke a rule.
    Violation(Violation),
    /// Something else was heard, or nothing.
    Heard(Option<Heard>),
}

impl From<Violation> for Stuck {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// How long it listens.
const PATIENCE: Micros = Micros::millis(1000);

/// The static key that a stranger shows.
#[must_use]
pub fn stranger_key<S: Suite>() -> KeyPair<Static> {
    KeyPair::from_secret::<S>(Secret::take(&mut [0x42; 32]))
}

/// The request by which a stranger asks for a key.
#[must_use]
pub fn stranger_request<S: Suite>(target: &[u8; 32]) -> String {
    format!(
        r#"{{"command":"communication_request","sourcePublicKey":"{}","targetPublicKey":"{}"}}"#,
        stranger_key::<S>().public().hex(),
        hex(target)
    )
}

/// Lower case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The next message that a puppet hears on a connection.
///
/// # Errors
/// [`Stuck`] if the connection ends, or nothing comes for a second.
pub fn next_heard<S: Suite>(
    world: &mut World<S>,
    puppet: PartyId,
    conn: ConnId,
) -> Result<Heard, Stuck> {
    let there = |world: &World<S>| {
        let heard = |heard: &Heard| *heard != Heard::Opened;
        !world.is_up(puppet) || world.puppet(puppet).heard(conn).any(heard)
    };
    world.run_until(PATIENCE, there)?;
    loop {
        match play(world, puppet, |puppet| puppet.hear(conn))? {
            Some(Heard::Opened) => {}
            Some(heard @ (Heard::Text(_) | Heard::Binary(_))) => return Ok(heard),
            other => return Err(Stuck::Heard(other)),
        }
    }
}

fn binary<S: Suite>(world: &mut World<S>, puppet: PartyId, conn: ConnId) -> Result<Vec<u8>, Stuck> {
    match next_heard(world, puppet, conn)? {
        Heard::Binary(bytes) => Ok(bytes),
        other => Err(Stuck::Heard(Some(other))),
    }
}

/// Moves a puppet, if it is there.
fn play<S: Suite, R>(
    world: &mut World<S>,
    puppet: PartyId,
    act: impl FnOnce(&mut Puppet) -> R,
) -> Result<R, Stuck> {
    match world.is_up(puppet) {
        true => Ok(world.on_puppet(puppet, act)),
        false => Err(bad()),
    }
}

fn bad() -> Stuck {
    Stuck::Heard(None)
}

impl<S: Suite> Stranger<S> {
    /// Dials `url` and shakes hands with who has this instance key.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn dials(
        world: &mut World<S>,
        puppet: PartyId,
        url: &str,
        target: &[u8; 32],
    ) -> Result<Self, Stuck> {
        let conn = play(world, puppet, |puppet| puppet.dial(url))?;
        let request = stranger_request::<S>(target);
        play(world, puppet, |puppet| puppet.text(conn, &request))?;
        Self::initiates(world, puppet, conn, target)
    }

    /// Goes on where its request is on the way.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn initiates(
        world: &mut World<S>,
        puppet: PartyId,
        conn: ConnId,
        target: &[u8; 32],
    ) -> Result<Self, Stuck> {
        let mut random = Random::new([5; 32]);
        // Two of one puppet have different keys.
        for _ in 0..conn.0 {
            let _: Secret<32> = random.secret(Purpose::EphemeralKey);
        }
        let ephemeral = random.secret(Purpose::EphemeralKey);
        let pair = S::before(target, stranger_key::<S>().expose_secret()).map_err(|_| bad())?;
        let key = boxed(&pair, &mut random, &S::public_key(&ephemeral));
        match next_heard(world, puppet, conn)? {
            Heard::Text(_) => {}
            other => return Err(Stuck::Heard(Some(other))),
        }
        play(world, puppet, |puppet| puppet.binary(conn, &key))?;
        let theirs = binary(world, puppet, conn)?;
        let theirs = unboxed(&pair, &theirs).map_err(|_| bad())?;
        let theirs = theirs.try_into().map_err(|_| bad())?;
        let session = S::before(&theirs, &ephemeral).map_err(|_| bad())?;
        Ok(Self {
            puppet,
            conn,
            tunnel: Tunnel::new(session, true),
            random,
        })
    }

    /// Answers who dials the puppet with this static key.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn answers(
        world: &mut World<S>,
        puppet: PartyId,
        source: &[u8; 32],
    ) -> Result<Self, Stuck> {
        let conn = incoming(world, puppet)?;
        let pair = S::before(source, stranger_key::<S>().expose_secret()).map_err(|_| bad())?;
        match next_heard(world, puppet, conn)? {
            Heard::Text(_) => {}
            other => return Err(Stuck::Heard(Some(other))),
        }
        let ready = r#"{"command":"communication_ready"}"#;
        play(world, puppet, |puppet| puppet.text(conn, ready))?;
        let theirs = binary(world, puppet, conn)?;
        let theirs = unboxed(&pair, &theirs).map_err(|_| bad())?;
        let theirs = theirs.try_into().map_err(|_| bad())?;
        let mut random = Random::new([6; 32]);
        let ephemeral = random.secret(Purpose::EphemeralKey);
        let session = S::before(&theirs, &ephemeral).map_err(|_| bad())?;
        let key = boxed(&pair, &mut random, &S::public_key(&ephemeral));
        play(world, puppet, |puppet| puppet.binary(conn, &key))?;
        Ok(Self {
            puppet,
            conn,
            tunnel: Tunnel::new(session, false),
            random,
        })
    }

    /// Seals a text; it is not sent.
    pub fn seals(&mut self, text: &str) -> Vec<u8> {
        self.tunnel.seal_text(&mut self.random, text)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn sends(&self, world: &mut World<S>, bytes: &[u8]) -> Result<(), Stuck> {
        play(world, self.puppet, |puppet| {
            puppet.binary(self.conn, bytes);
        })
    }

    /// Says a text, sealed.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn says(&mut self, world: &mut World<S>, text: &str) -> Result<(), Stuck> {
        let frame = self.seals(text);
        self.sends(world, &frame)
    }

    /// Says bytes, sealed.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn says_binary(&mut self, world: &mut World<S>, bytes: &[u8]) -> Result<(), Stuck> {
        let frame = self.tunnel.seal(&mut self.random, false, bytes);
        self.sends(world, &frame)
    }

    /// The next message to it, as it came.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn hears_sealed(&self, world: &mut World<S>) -> Result<Vec<u8>, Stuck> {
        binary(world, self.puppet, self.conn)
    }

    /// The next message to it, opened.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn hears(&mut self, world: &mut World<S>) -> Result<Vec<u8>, Stuck> {
        let frame = self.hears_sealed(world)?;
        self.tunnel
            .open(&frame)
            .map(|(_, bytes)| bytes)
            .map_err(|_| bad())
    }
}

/// A relay that a script plays by hand, as far as a listener needs it.
#[derive(Clone, Copy, Debug)]
pub struct HandRelay;

impl HandRelay {
    /// Takes the next connection of a listener with this key through the registration.
    ///
    /// # Errors
    /// [`Stuck`]
    pub fn registers<S: Suite>(
        world: &mut World<S>,
        puppet: PartyId,
        listener: &[u8; 32],
    ) -> Result<ConnId, Stuck> {
        let conn = incoming(world, puppet)?;
        next_heard(world, puppet, conn)?;
        let secret = Secret::take(&mut [9; 32]);
        let pair = S::before(listener, &secret).map_err(|_| bad())?;
        let challenge = boxed(&pair, &mut Random::new([1; 32]), &[3; 64]);
        let text = format!(
            r#"{{"command":"authentication_request","publicKey":"{}","challenge":"{}"}}"#,
            hex(&S::public_key(&secret)),
            hex(&challenge)
        );
        play(world, puppet, |puppet| puppet.text(conn, &text))?;
        next_heard(world, puppet, conn)?;
        let text = r#"{"command":"authentication_success","pingInterval":25000}"#;
        play(world, puppet, |puppet| puppet.text(conn, text))?;
        Ok(conn)
    }
}

/// The next connection that comes in.
fn incoming<S: Suite>(world: &mut World<S>, puppet: PartyId) -> Result<ConnId, Stuck> {
    for _ in 0..PATIENCE.as_millis() {
        world.run_for(Micros::millis(1))?;
        if let Some(conn) = play(world, puppet, |puppet| puppet.take_incoming())? {
            return Ok(conn);
        }
    }
    Err(bad())
}
