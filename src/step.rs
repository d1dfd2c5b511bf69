//! The steps of a connection, by name, in the protocol's order (spec 05, "Steps, by name").

use core::fmt;

macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// Where in the protocol a connection is. Errors and time limits name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Step { $($(#[$doc])* $variant),+ }

        impl Step {
            /// Every step, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name, as errors, logs and scripts show it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

steps! {
    /// Opening the WebSocket.
    Dial = "dial",
    /// Listener and relay: registration (spec 02).
    Register = "register",
    /// A registered connection that waits for its use.
    Spare = "spare",
    /// Between `connection_handover` and `communication_request`.
    Handover = "handover",
    /// The acceptor waits for `communication_request` (spec 03).
    Request = "request",
    /// The initiator waits for `communication_ready`.
    Ready = "ready",
    /// Waiting for the other side's sealed ephemeral key.
    Key = "key",
    /// The acceptor waits for `connection_group` (spec 05).
    Group = "group",
    /// The initiator waits for `sync`.
    Sync = "sync",
    /// Waiting for `person_id_object`.
    Person = "person",
    /// Waiting for `keys_object`.
    Keys = "keys",
    /// Waiting for the answer to the challenge that was sent.
    ChallengeSent = "challenge-sent",
    /// Waiting for the challenge that is to be answered.
    ChallengeAnswer = "challenge-answer",
    /// Waiting for `instance_id_object`.
    Instance = "instance",
    /// The acceptor of a pairing waits for `authentication_token` (spec 06).
    Token = "token",
    /// Waiting for `identity`.
    Identity = "identity",
    /// All is said; the close is awaited, or the record is being stored.
    Closing = "closing",
    /// Established: messages of the group flow.
    Connected = "connected",
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
