//! Who takes part in plays, and what they are told to do.

use chumwire::contact::Contact;
use chumwire::node::{Node, NodeConfig};
use chumwire::pairing::Invitation;
use chumwire::relay::RelayConfig;
use chumwire::time::{Micros, Millis, Now};

use crate::Insecure;
use crate::explore::play::{Act, Cast};
use crate::scenario::{RELAY, config};

/// A relay, as it comes.
pub(super) fn relay(cast: &mut Cast) {
    cast.relay("relay", RelayConfig::default());
}

/// A node that listens at the relay with so many spare connections.
pub(super) fn listener(cast: &mut Cast, name: &str, spares: usize) {
    let mut config = config::<Insecure>(name);
    config.spares = spares;
    cast.node(name, config, Some(RELAY));
}

/// A node that listens nowhere: it dials, and can be dialled directly.
pub(super) fn dialler(cast: &mut Cast, name: &str) {
    cast.node(name, config::<Insecure>(name), None);
}

/// Two who know each other, and dial each other directly.
pub(super) fn friends(cast: &mut Cast, edit: impl Fn(&mut NodeConfig)) {
    for (name, other) in [("alice", "bob"), ("bob", "alice")] {
        let config = friend(name, other, &format!("ws://{other}"), &edit);
        cast.node(name, config, None);
    }
}

/// A node that knows the other one already, and can be reached at this url.
pub(super) fn friend(
    name: &str,
    other: &str,
    url: &str,
    edit: impl FnOnce(&mut NodeConfig),
) -> NodeConfig {
    let known = config::<Insecure>(other).identity;
    let mut config = config::<Insecure>(name);
    config.serve.insert(chumwire::establish::Group::Chum);
    config.contacts = vec![Contact::of(&known, Some(url), Millis(0))];
    edit(&mut config);
    config
}

fn invite(
    node: &mut Node<Insecure>,
    now: Now,
    life: Micros,
    url: &str,
) -> Result<Option<String>, String> {
    let made = node.invite(now, life, url);
    made.map(|invitation| Some(invitation.json()))
        .map_err(|misuse| misuse.to_string())
}

fn join(
    node: &mut Node<Insecure>,
    now: Now,
    heard: Option<&str>,
) -> Result<Option<String>, String> {
    let invitation = Invitation::read(heard.unwrap_or_default()).map_err(|e| e.to_string())?;
    let joined = node.join(now, &invitation);
    joined.map(|_| None).map_err(|misuse| misuse.to_string())
}

/// A minute, as is usual.
const LIFE: Micros = Micros::secs(60);

/// An invitation is made, to be used at the relay.
pub(super) const INVITE: Act = Act {
    name: "invite",
    does: |node, now, _| invite(node, now, LIFE, RELAY),
    ..Act::NOW
};

/// An invitation is made, to be used at Alice's own address.
pub(super) const INVITE_DIRECT: Act = Act {
    does: |node, now, _| invite(node, now, LIFE, "ws://alice"),
    ..INVITE
};

/// The same, for five seconds.
pub(super) const INVITE_BRIEFLY: Act = Act {
    does: |node, now, _| invite(node, now, Micros::secs(5), "ws://alice"),
    ..INVITE
};

/// The invitation is used.
pub(super) const JOIN: Act = Act {
    name: "join",
    does: join,
    ..Act::NOW
};

/// All connections are closed by the embedder.
pub(super) const LEAVE: Act = Act {
    name: "close",
    does: |node, now, _| {
        let conns: Vec<_> = node.connections().map(|info| info.conn).collect();
        for conn in conns {
            node.close(now, conn);
        }
        Ok(None)
    },
    ..Act::NOW
};

/// A connection with the contact is kept.
pub(super) const CONNECT: Act = Act {
    name: "connect",
    does: |node, now, _| {
        let person = node.contacts().next().map(|contact| contact.person_id);
        let person = person.ok_or("nobody is known")?;
        node.connect(now, person, chumwire::establish::Group::Chum)
            .map(|()| None)
            .map_err(|misuse| misuse.to_string())
    },
    ..Act::NOW
};

/// Something is said on the connection with the contact: a number.
pub(super) fn say<const N: u8>(
    node: &mut Node<Insecure>,
    now: Now,
    _: Option<&str>,
) -> Result<Option<String>, String> {
    let connected = node
        .connections()
        .find(|info| info.step == chumwire::step::Step::Connected);
    let conn = connected.ok_or("not connected")?.conn;
    node.send(now, conn, chumwire::io::Message::Binary(&[N]))
        .map(|()| None)
        .map_err(|error| error.to_string())
}
