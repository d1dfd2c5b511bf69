//! What a machine was started with: with it and its inputs it runs again, bit for bit. All of it is secret.

use core::fmt;

use chumwire::contact::Contact;
use chumwire::crypto::{Secret, Suite};
use chumwire::establish::Group;
use chumwire::hex;
use chumwire::identity::{IDENTITY_SECRETS, Identity};
use chumwire::node::{Misuse, Node, NodeConfig};
use chumwire::pairing::InvitationRecord;
use chumwire::relay::{Relay, RelayConfig};
use chumwire::time::{Micros, Millis, Now};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How a machine was started.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "machine", rename_all = "snake_case")]
pub enum Start {
    /// A node.
    Node(NodeStart),
    /// A relay.
    Relay(RelayStart),
}

impl Start {
    /// Which machine it is: `node` or `relay`.
    #[must_use]
    pub const fn machine(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Relay(_) => "relay",
        }
    }

    /// The reorder window; 0 is strict order.
    #[must_use]
    pub const fn window(&self) -> usize {
        match self {
            Self::Node(start) => start.reorder_window,
            Self::Relay(_) => 0,
        }
    }
}

/// It holds keys: nothing is shown.
impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node(_) => "Node(<secret>)",
            Self::Relay(_) => "Relay(<secret>)",
        })
    }
}

/// A start that cannot be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStart {
    /// A value has the wrong form.
    #[error("`{0}` in the first line of the trace has the wrong form")]
    Value(&'static str),
    /// The configuration is refused.
    #[error("the configuration in the first line of the trace is none that a node takes")]
    Config,
}

impl From<Misuse> for BadStart {
    fn from(_: Misuse) -> Self {
        Self::Config
    }
}

/// Both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Clocks {
    mono: u64,
    wall: u64,
}

impl From<Now> for Clocks {
    fn from(now: Now) -> Self {
        Self {
            mono: now.mono.0,
            wall: now.wall.0,
        }
    }
}

impl From<Clocks> for Now {
    fn from(clocks: Clocks) -> Self {
        Self {
            mono: Micros(clocks.mono),
            wall: Millis(clocks.wall),
        }
    }
}

/// The start of a node: [`NodeConfig`], and the seed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStart {
    now: Clocks,
    seed: Zeroizing<String>,
    email: String,
    name: String,
    keys: Zeroizing<String>,
    contacts: Vec<Contact>,
    invitations: Vec<InvitationRecord>,
    url: Option<String>,
    spares: usize,
    serve: Vec<String>,
    step: u64,
    max_message: usize,
    half_open: usize,
    max_connections: usize,
    new_instances: bool,
    extensions: bool,
    notes: bool,
    reorder_window: usize,
}

impl NodeStart {
    /// Writes down with what a node is about to be started.
    #[must_use]
    pub fn of(config: &NodeConfig, seed: &[u8; 32], now: Now) -> Self {
        let identity = &config.identity;
        Self {
            now: now.into(),
            seed: hex::encode(seed).into(),
            email: identity.person().email.clone(),
            name: identity.instance().name.clone(),
            keys: hex::encode(identity.export_secrets().expose()).into(),
            contacts: config.contacts.clone(),
            invitations: config.invitations.clone(),
            url: config.url.clone(),
            spares: config.spares,
            serve: config
                .serve
                .iter()
                .map(|group| group.name().into())
                .collect(),
            step: config.step.0,
            max_message: config.max_message,
            half_open: config.half_open,
            max_connections: config.max_connections,
            new_instances: config.new_instances,
            extensions: config.extensions,
            notes: config.notes,
            reorder_window: config.reorder_window,
        }
    }

    /// Starts it again.
    ///
    /// # Errors
    /// [`BadStart`]
    pub fn node<S: Suite>(&self) -> Result<Node<S>, BadStart> {
        let mut keys: Zeroizing<[u8; IDENTITY_SECRETS]> = hex::decode(&self.keys)
            .ok_or(BadStart::Value("keys"))?
            .into();
        let keys = Secret::take(&mut keys);
        let identity = Identity::import::<S>(&self.email, &self.name, &keys);
        let mut config = NodeConfig::new(identity);
        config.contacts.clone_from(&self.contacts);
        config.invitations.clone_from(&self.invitations);
        config.url.clone_from(&self.url);
        config.spares = self.spares;
        config.serve = self.serve.iter().map(|name| Group::named(name)).collect();
        config.step = Micros(self.step);
        config.max_message = self.max_message;
        config.half_open = self.half_open;
        config.max_connections = self.max_connections;
        config.new_instances = self.new_instances;
        config.extensions = self.extensions;
        config.notes = self.notes;
        config.reorder_window = self.reorder_window;
        Ok(Node::new(config, seed(&self.seed)?, self.now.into())?)
    }
}

fn seed(digits: &str) -> Result<[u8; 32], BadStart> {
    hex::decode(digits).ok_or(BadStart::Value("seed"))
}

macro_rules! relay_start {
    (times: $($time:ident),+; numbers: $($number:ident),+; $flag:ident) => {
        /// The start of a relay: [`RelayConfig`], and the seed.
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct RelayStart {
            now: Clocks,
            seed: Zeroizing<String>,
            $($time: u64,)+
            $($number: usize,)+
            $flag: bool,
        }

        impl RelayStart {
            /// Writes down with what a relay is about to be started.
            #[must_use]
            pub fn of(config: &RelayConfig, seed: &[u8; 32], now: Now) -> Self {
                Self {
                    now: now.into(),
                    seed: hex::encode(seed).into(),
                    $($time: config.$time.0,)+
                    $($number: config.$number,)+
                    $flag: config.$flag,
                }
            }

            /// Starts it again.
            ///
            /// # Errors
            /// [`BadStart`]
            pub fn relay<S: Suite>(&self) -> Result<Relay<S>, BadStart> {
                let mut config = RelayConfig::default();
                $(config.$time = Micros(self.$time);)+
                $(config.$number = self.$number;)+
                config.$flag = self.$flag;
                Ok(Relay::new(config, seed(&self.seed)?, self.now.into()))
            }
        }
    };
}

relay_start! {
    times: ping_interval, pong_limit, step, idle, close, rate;
    numbers: message, held, window, backlog, spares_per_key, spares, challenges, connections,
        connections_per_address, addresses, burst, effects;
    notes
}
