//! Why a connection ended: one value per broken rule, comparable, with the step it happened in.
//!
//! What goes over the wire is coarser: one text for each layer ([`CloseReason`], spec 00 "Close").

use alloc::string::String;
use core::fmt;

use crate::io::{Closed, Kind};
use crate::step::Step;

/// The end of a connection: the step, and the cause.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("step {step}: {why}")]
pub struct Fault {
    /// Where in the protocol.
    pub step: Step,
    /// What was wrong.
    pub why: Why,
}

/// A JSON text that is not the message that is due. Says what was expected, never repeats contents.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JsonFault {
    /// Not JSON, or not an object.
    #[error("a JSON object is due, and this is none")]
    NotAnObject,
    /// Another command. The name is cut to 32 characters.
    #[error("the command `{expected}` is due, `{got}` came")]
    Command {
        /// The one that is due.
        expected: &'static str,
        /// The one that came.
        got: String,
    },
    /// A member is missing or has the wrong JSON type.
    #[error("the member `{member}` is missing or not {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// The form that is due.
        expected: &'static str,
    },
    /// A member that does not belong there.
    #[error("there is a member too many")]
    Superfluous,
}

/// Which part of what a peer says does not agree with what it proved, or with what is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The person id, from the email.
    Person,
    /// The person's public encryption key.
    PersonKey,
    /// The person's public signing key.
    PersonSignKey,
    /// The instance id, from name and owner.
    Instance,
    /// The instance's public key, or the static key of the handshake.
    InstanceKey,
    /// The owner that the keys object names.
    KeysOwner,
    /// The owner that the instance object names.
    InstanceOwner,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Person => "person id",
            Self::PersonKey => "person key",
            Self::PersonSignKey => "person signing key",
            Self::Instance => "instance id",
            Self::InstanceKey => "instance key",
            Self::KeysOwner => "owner of the keys",
            Self::InstanceOwner => "owner of the instance",
        })
    }
}

/// Why an acceptor refuses at the handshake. From outside all look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// The key asked for is none of ours.
    #[error("the key asked for is none of ours")]
    UnknownTarget,
    /// The key asked for is our person key; an instance key is due. The invitation was made wrongly.
    #[error("the target is a person key of mine, not an instance key")]
    PersonKeyTarget,
    /// The peer presents our own key.
    #[error("the peer presents our own instance key: a connection with oneself")]
    Oneself,
    /// We do not want this peer.
    #[error("connections with this key are not wanted")]
    UnwantedPeer,
}

/// Why a token does not open the door. The presenter is told none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum TokenFault {
    /// Never made here, or long gone.
    #[error("the invitation is unknown")]
    Unknown,
    /// It expired.
    #[error("the invitation expired {}.{:01} s ago", ago_ms / 1000, ago_ms / 100 % 10)]
    Expired {
        /// How long ago, in milliseconds.
        ago_ms: u64,
    },
    /// Somebody has paired with it.
    #[error("the invitation was used")]
    Used,
    /// Its maker took it back.
    #[error("the invitation was revoked")]
    Revoked,
    /// Another connection is pairing with it at this moment.
    #[error("another connection is using the invitation at this moment")]
    Held,
    /// It was presented before by somebody else, or made for another of our persons.
    #[error("the invitation is for another person")]
    OtherPerson,
}

macro_rules! whys {
    ($($(#[doc = $doc:literal])+ #[error($($text:tt)+)] $variant:ident $({ $($(#[doc = $fdoc:literal])+ $field:ident: $type:ty),+ $(,)? })? = $code:literal),+ $(,)?) => {
        /// What was wrong. [`Why::code`] is stable; the sentence may change.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum Why {
            $($(#[doc = $doc])+ #[error($($text)+)] $variant $({ $($(#[doc = $fdoc])+ $field: $type),+ })?),+
        }

        impl Why {
            /// A stable name in snake_case, for scripts.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $code),+ }
            }
        }
    };
}

whys! {
    // Of any step.
    /// Nothing came within the time limit of the step.
    #[error("nothing came within the time limit")] Timeout = "timeout",
    /// Nothing came while `communication_request` was due: perhaps both sides wait.
    #[error("nothing came within the time limit; perhaps both sides play the acceptor")] TimeoutBothAccept = "timeout_both_accept",
    /// The connection was closed by the other side. The reason is its text, cut to 123 bytes.
    #[error("the other side closed the connection ({code}: {reason})")] ClosedByPeer {
        /// WebSocket close code.
        code: u16,
        /// Close reason.
        reason: String,
    } = "closed_by_peer",
    /// The connection broke off.
    #[error("the connection was lost ({cause})")] Lost {
        /// The driver's words.
        cause: String,
    } = "lost",
    /// The WebSocket could not be opened.
    #[error("no connection could be opened ({cause})")] NotOpened {
        /// The driver's words.
        cause: String,
    } = "not_opened",
    /// We are shutting down.
    #[error("this side is shutting down")] Shutdown = "shutdown",
    /// A message of the other kind is due.
    #[error("a {expected} message is due")] Kind {
        /// The kind that is due.
        expected: Kind,
    } = "wrong_kind",
    /// A message has a length that it must not have.
    #[error("a message of {expected} bytes is due, {got} came")] Length {
        /// What is due.
        expected: usize,
        /// What came.
        got: usize,
    } = "wrong_length",
    /// A JSON text is not the message that is due.
    #[error("{fault}")] Json {
        /// What exactly.
        fault: JsonFault,
    } = "wrong_message",
    /// A message came where none may.
    #[error("a message came where none is due")] Unexpected = "unexpected_message",
    /// There is more of it than a limit allows.
    #[error("more than the limit of {limit} ({what})")] Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: usize,
    } = "limit",

    // Relay and listener (spec 02).
    /// The ping interval is not an integer of 1 to 3 600 000.
    #[error("the relay's ping interval is not an integer of 1 to 3600000 milliseconds")] PingInterval = "bad_ping_interval",
    /// The relay sent no ping in time.
    #[error("the relay sent no ping in time")] NoPing = "no_ping",
    /// The listener answered no ping in time.
    #[error("no pong came in time")] NoPong = "no_pong",
    /// A pong that was not asked for.
    #[error("a pong came that was not asked for")] UnaskedPong = "unasked_pong",
    /// A challenge does not open, or its answer is wrong.
    #[error("the challenge or its answer is wrong")] Challenge = "wrong_challenge",
    /// Nobody waits under the requested key.
    #[error("nobody is listening under that key")] NoListener = "nobody_listening",
    /// The other connection of a relayed pair ended, so this one did.
    #[error("the other connection of the pair ended")] Partner = "partner_gone",

    // Handshake (spec 03).
    /// Both sides act as initiator on one connection.
    #[error("both sides play the initiator")] RoleConflict = "role_conflict",
    /// The acceptor refuses.
    #[error("{refusal}")] Refused {
        /// Why.
        refusal: Refusal,
    } = "refused",
    /// A public key of small order.
    #[error("a public key is of small order")] SmallOrder = "small_order_key",
    /// Our own key message or key came back.
    #[error("our own key came back (a mirror)")] Reflected = "reflected_key",
    /// A key message does not open.
    #[error("the key message does not open: wrong key, or altered")] KeyMessage = "bad_key_message",
    /// A frame came while the key message is due.
    #[error("a frame came before the key message, probably another connection's")] FrameBeforeKey = "frame_before_key",

    // Channel (spec 04).
    /// A frame does not open with the next nonce. Diagnosis can say more.
    #[error("a frame does not open at counter {counter}")] Frame {
        /// The counter that was due.
        counter: u64,
    } = "bad_frame",
    /// Frames behind it came, and it did not (with a reorder window).
    #[error("the frame of counter {counter} is lost: those behind it came, and it did not")] LostFrame {
        /// Its counter.
        counter: u64,
    } = "lost_frame",
    /// Too many frames came twice (with a reorder window).
    #[error("too many frames came twice")] TooManyDuplicates = "duplicates",
    /// A frame is too short to be one.
    #[error("a frame of {got} bytes is too short")] FrameTooShort {
        /// Its length.
        got: usize,
    } = "frame_too_short",
    /// A frame is longer than allowed.
    #[error("a frame of {got} bytes is too long")] FrameTooLong {
        /// Its length.
        got: usize,
    } = "frame_too_long",
    /// A text came after the handshake.
    #[error("a plain text message came after the handshake")] PlainText = "plaintext_after_handshake",
    /// The padding of an authentic frame is malformed.
    #[error("the padding of a frame is malformed")] Padding = "bad_padding",
    /// An authentic text is not UTF-8.
    #[error("a text is not UTF-8")] NotUtf8 = "not_utf8",
    /// An escaped text does not end in `x`.
    #[error("an escaped text does not end in x")] BadEscape = "bad_escape",
    /// Fragments do not fit together.
    #[error("fragments do not fit together: {what}")] Fragments {
        /// How.
        what: &'static str,
    } = "bad_fragments",
    /// A counter has reached its end.
    #[error("the nonces of this session are used up")] NonceExhausted = "nonce_exhausted",
    /// Nothing was heard for the keepalive time.
    #[error("no sign of life from the other side")] Silent = "keepalive",

    // Establishment (spec 05).
    /// Neither a route nor the catch-all takes this connection.
    #[error("there is no route for this peer and group")] NoRoute = "no_route",
    /// The group is none that is served.
    #[error("the connection group `{group}` is not served")] GroupNotServed {
        /// Its name, cut to 32 characters.
        group: String,
    } = "group_not_served",
    /// The peer is no contact, and the group is for contacts.
    #[error("not paired with this peer")] NotPaired = "not_paired",
    /// A second connection for the same purpose; the other one stays.
    #[error("there is a connection for this already")] Duplicate = "duplicate",
    /// A newer connection took this one's place.
    #[error("a newer connection took the place of this one")] Replaced = "replaced",
    /// The peer has our own person id.
    #[error("the peer is the same person; two instances need different persons")] SamePerson = "same_person",
    /// What the peer says differs from what it proved, or from what is on record.
    #[error("the {part} does not match")] IdentityMismatch {
        /// Which part.
        part: Part,
    } = "identity_mismatch",
    /// The peer handed one of our own challenges back.
    #[error("the peer sent one of our own challenges")] ReflectedChallenge = "reflected_challenge",

    // Pairing (spec 06).
    /// The token does not open the door.
    #[error("{token}")] Token {
        /// Why.
        token: TokenFault,
    } = "invitation_refused",
    /// A known person comes with an instance or keys that are not on record, and the policy says no.
    #[error("this person is known with another {part}")] KnownPerson {
        /// What differs.
        part: Part,
    } = "known_person_changed",
    /// The embedder could not store the contact.
    #[error("the contact could not be stored")] NotStored = "not_stored",
    /// The user ended it: an invitation was revoked, a contact forgotten, an attempt given up.
    #[error("it was ended by this side's user")] Withdrawn = "withdrawn",
}

impl Why {
    /// How a close by the other side or the transport is reported.
    #[must_use]
    pub fn from_close(how: Closed) -> Self {
        match how {
            Closed::ByPeer { code, reason } => Self::ClosedByPeer {
                code,
                reason: cut(reason, 123),
            },
            Closed::Lost(cause) => Self::Lost {
                cause: cut(cause, 200),
            },
            Closed::NotOpened(cause) => Self::NotOpened {
                cause: cut(cause, 200),
            },
        }
    }

    /// This cause, in a step.
    #[must_use]
    pub const fn at(self, step: Step) -> Fault {
        Fault { step, why: self }
    }
}

impl From<JsonFault> for Why {
    fn from(fault: JsonFault) -> Self {
        Self::Json { fault }
    }
}

/// At most `limit` bytes of a text, cut at a character.
#[must_use]
pub(crate) fn cut(mut text: String, limit: usize) -> String {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// What the other side is told when a connection is closed: one text for each layer, whatever the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseReason {
    /// All is well.
    Good,
    /// Layer 1, the listener's side and the relay's.
    Registration,
    /// The relay: nobody listens under that key.
    NoListener,
    /// Layer 2 and 3.
    Handshake,
    /// Layer 6.
    Establishment,
    /// Layer 7a.
    Pairing,
    /// Layer 7b.
    Sync,
    /// Another connection serves this purpose.
    Duplicate,
    /// The keepalive gave up.
    Silent,
}

impl CloseReason {
    /// The WebSocket close code of them all.
    pub const CODE: u16 = 1000;

    /// The text, as it travels.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Good => "Close called.",
            Self::Registration => "Close called: Registration failed.",
            Self::NoListener => {
                "Close called: No listening connection for the specified publicKey."
            }
            Self::Handshake => "Close called: Handshake failed.",
            Self::Establishment => "Close called: Establishment failed.",
            Self::Pairing => "Close called: Pairing failed.",
            Self::Sync => "Close called: Sync failed.",
            Self::Duplicate => "Close called: Duplicate connection.",
            Self::Silent => "Terminate called: Keepalive: No lifesign of the other side",
        }
    }

    /// The text for a fault: it depends on the layer of the step alone.
    #[must_use]
    pub const fn of(fault: &Fault) -> Self {
        match (&fault.why, fault.step) {
            (Why::Duplicate | Why::Replaced, _) => Self::Duplicate,
            (Why::Silent, _) => Self::Silent,
            (Why::Shutdown, _) => Self::Good,
            (_, Step::Register | Step::Spare | Step::Handover) => Self::Registration,
            (_, Step::Dial | Step::Request | Step::Ready | Step::Key) => Self::Handshake,
            (_, Step::Token | Step::Identity | Step::Closing) => Self::Pairing,
            (_, Step::Connected) => Self::Sync,
            (
                _,
                Step::Group
                | Step::Sync
                | Step::Person
                | Step::Keys
                | Step::ChallengeSent
                | Step::ChallengeAnswer
                | Step::Instance,
            ) => Self::Establishment,
        }
    }
}
