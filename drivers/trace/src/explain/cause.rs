//! What can be wrong with a connection, in one table: the code for scripts, whose fault it is, how grave it is beside
//! others in the same trace, what it means and what to do.

use core::fmt;

/// Whose fault something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Nobody's: it is as it should be.
    Nobody,
    /// Who set the parties up, or called them.
    User,
    /// The other side's implementation.
    Peer,
    /// What is between the two: the relay or the network.
    Way,
    /// The other side's or what is between: they cannot be told apart from here.
    PeerOrWay,
    /// A machine that ended, or a disk.
    Host,
    /// Somebody who wants to do harm, or a very broken peer.
    Stranger,
    /// It cannot be told.
    Unknown,
}

impl Fault {
    /// Its name, for scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::User => "user",
            Self::Peer => "peer",
            Self::Way => "way",
            Self::PeerOrWay => "peer_or_way",
            Self::Host => "host",
            Self::Stranger => "stranger",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "nobody's",
            Self::User => "the set-up's",
            Self::Peer => "the other side's implementation",
            Self::Way => "the relay's or the network's",
            Self::PeerOrWay => "the other side's, or what is between the two",
            Self::Host => "the machine's that it runs on",
            Self::Stranger => "a stranger's",
            Self::Unknown => "unknown",
        })
    }
}

macro_rules! causes {
    ($($variant:ident = $code:literal, $fault:ident, $rank:literal, $means:literal, $advice:literal;)+) => {
        /// What went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Cause {
            $(#[doc = $means] $variant),+
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// A stable name, for scripts.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault),+ }
            }

            /// What it means, as a sentence.
            #[must_use]
            pub const fn means(self) -> &'static str {
                match self { $(Self::$variant => $means),+ }
            }

            /// What to do about it, as a sentence.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice),+ }
            }

            /// Of what the two ends of a session tell of one event, the one with the lower rank says more.
            pub(super) const fn rank(self) -> u8 {
                match self { $(Self::$variant => $rank),+ }
            }

            /// Whether it harms nobody by itself: told after everything else.
            pub(super) const fn is_weak(self) -> bool {
                self.rank() > 3
            }
        }
    };
}

causes! {
    NothingWrong = "nothing_wrong", Nobody, 9,
        "Nothing went wrong.",
        "Nothing is to be done.";
    NotPaired = "not_paired", User, 1,
        "Two instances that are not paired were to be connected.",
        "Pair them first: `invite` on one side, `join` on the other.";
    WrongKeyInInvitation = "wrong_key_in_invitation", User, 1,
        "The invitation carries the person key where the instance key is due.",
        "Make the invitation with the instance's public key.";
    UnknownTarget = "unknown_target", User, 1,
        "A key was asked for that is not the instance key of who was asked.",
        "See that the invitation carries the instance key of the very instance that its address leads to.";
    Oneself = "oneself", User, 1,
        "An instance was to be connected with itself.",
        "Use the invitation on another instance.";
    NobodyListening = "nobody_listening", User, 1,
        "Nobody waits at the relay under the key that was asked for.",
        "See that the other side is online at this very relay, and that the invitation carries its instance key.";
    BothAccept = "both_accept", PeerOrWay, 1,
        "Both sides wait to be asked: both play the acceptor.",
        "Let one side dial and ask: exactly one of the two plays the initiator.";
    BothConnect = "both_connect", PeerOrWay, 1,
        "Both sides ask: both play the initiator on one connection.",
        "Let exactly one of the two play the initiator.";
    WrongStart = "wrong_start", Peer, 0,
        "The peer's nonces start at the wrong number: an off-by-one, or both sides play the same role.",
        "The acceptor's counter starts at 0, the initiator's at 1, both go up by 2.";
    FrameBeforeKey = "frame_before_key", PeerOrWay, 0,
        "An encrypted frame came before the key message: probably it belongs to another connection.",
        "Look for a relay or a driver that mixes up connections, or hands messages of an old one to a new one.";
    BadKeyMessage = "bad_key_message", PeerOrWay, 1,
        "What came where the key message is due does not open: it was altered on the way, made with another key, or is none.",
        "See that the invitation is of this very instance; a trace of the other side tells whether it was altered.";
    FrameOvertookKey = "frame_overtook_key", Way, 0,
        "The acceptor's first frame overtook its key message.",
        "Something on the way does not keep the order of messages; a reorder window (`--reorder-window`) bears it.";
    Reordered = "reordered", Way, 0,
        "Frames came in another order than they were sent.",
        "Something on the way does not keep the order of messages; a reorder window (`--reorder-window`) bears it.";
    ReorderedOrLost = "reordered_or_lost", Way, 1,
        "A frame came before others that are missing: they are late or lost.",
        "Something on the way reorders or loses messages. A trace of the other side tells which; a reorder window bears the first.";
    LostFrame = "lost_frame", Way, 0,
        "A message was lost on the way.",
        "A WebSocket loses nothing by itself: look for a relay that drops messages, or a driver that loses them at a handover.";
    DuplicateFrame = "duplicate_frame", Way, 0,
        "A message came twice.",
        "Look for a relay or a driver that repeats messages; a reorder window (`--reorder-window`) drops the copies of frames.";
    DuplicateFlood = "duplicate_flood", Way, 0,
        "One frame came over and over.",
        "Look for a relay that repeats messages, or for somebody who floods the connection.";
    Truncated = "truncated", Way, 0,
        "A frame was cut short.",
        "Look for a relay or proxy that cuts messages, or a limit on their size.";
    Tampered = "tampered", PeerOrWay, 0,
        "A message was altered on the way, cut, made with a wrong key, or is far out of its order.",
        "Compare with a trace of the other side: a message whose hash differs was altered on the way.";
    Mirrored = "mirrored", Way, 0,
        "One's own messages came back.",
        "Look for a relay that sends messages back to their sender, or for a loop in the way.";
    ChallengeReflected = "challenge_reflected", Stranger, 0,
        "A peer handed one of this side's own challenges back, to have it answered.",
        "Nobody was authenticated. If it repeats, look at who dials.";
    ChallengeFailed = "challenge_failed", Peer, 0,
        "A challenge was answered wrongly, or does not open.",
        "The peer does not hold the key that it claims, or computes the answer wrongly.";
    UnaskedPong = "unasked_pong", Peer, 0,
        "A pong came that was not asked for; relayed, it would get into the encrypted stream.",
        "The listener must answer pings only, and nothing after the handover.";
    TooManyHalfOpen = "too_many_half_open", Stranger, 4,
        "More connections were begun than are taken at a time.",
        "If nobody floods this instance, raise the limit; what waits is served as the others end or time out.";
    CrossConnection = "cross_connection", PeerOrWay, 0,
        "A frame came that was sealed for another connection of this instance.",
        "Look for a relay or a driver that mixes up connections.";
    PlaintextAfterHandshake = "plaintext_after_handshake", PeerOrWay, 0,
        "A text came where only encrypted frames are due.",
        "Look for a peer or relay that goes on with control messages after the handshake.";
    SilentPeer = "silent_peer", PeerOrWay, 2,
        "Nothing came where the other side's message was due.",
        "Look at the other side: it waits, too, or has failed without closing; or the way is broken.";
    PeerClosed = "peer_closed", Peer, 3,
        "The other side closed the connection.",
        "Its log or trace says why; what travels says it on purpose not.";
    ConnectionLost = "connection_lost", Way, 3,
        "The connection broke off.",
        "Look at the network, or at the machine on the other side.";
    PartyCrashed = "party_crashed", Host, 2,
        "A machine ended without a word: it crashed, or was killed.",
        "Look at why it ended; what was stored is there when it starts again.";
    SpareDied = "spare_died", Way, 4,
        "A listener's spare connection died before it could be used; another one can be.",
        "Nothing, unless it repeats: then look at what cuts idle connections.";
    InvitationUsed = "invitation_used", User, 1,
        "The invitation had been used.",
        "Ask for a new one; each serves once.";
    InvitationExpired = "invitation_expired", User, 1,
        "The invitation had expired.",
        "Ask for a new one, with a longer life if need be.";
    InvitationUnknown = "invitation_unknown", User, 1,
        "The invitation is unknown to who should have made it: never made there, used up, or taken back.",
        "Ask for a new one.";
    InvitationHeld = "invitation_held", User, 1,
        "Another connection was using the invitation at this moment.",
        "Let one try end before the next; if it was not you, somebody else has the invitation.";
    DuplicateConnection = "duplicate_connection", Nobody, 4,
        "Two connections served one purpose; one of them was given up.",
        "Nothing: that is how both sides settle on one.";
    Keepalive = "keepalive", PeerOrWay, 2,
        "No sign of life came for 25 s.",
        "The other side is gone without a close, or hangs, or the way is dead.";
    NonceExhausted = "nonce_exhausted", Nobody, 0,
        "The nonces of the session are used up.",
        "Connect again: a new session has new keys.";
    ReplayedKeyMessage = "replayed_key_message", Stranger, 0,
        "A key message that had been used before came again, from somebody who cannot go on from there.",
        "Nothing came of it. If it repeats, look at who dials.";
    StorageFailed = "storage_failed", Host, 0,
        "A record could not be stored, so what it stood for did not happen.",
        "Look at the disk.";
    Unreachable = "unreachable", Way, 2,
        "No connection could be opened.",
        "See that the address is right, and that somebody listens there.";
    SamePerson = "same_person", User, 1,
        "Both instances belong to one person.",
        "Pair instances of different persons.";
    IdentityMismatch = "identity_mismatch", Peer, 1,
        "What the peer says of itself differs from what it proved, or from what is on record.",
        "If the person has a new device or new keys, `forget` it and pair again; if not, do not trust this peer.";
    GroupNotServed = "group_not_served", User, 1,
        "A connection was asked for that this side does not serve, or not for this peer.",
        "See that both sides know the group and have each other as contacts.";
    MalformedMessage = "malformed_message", PeerOrWay, 1,
        "A message came that is not the one that the protocol asks for.",
        "The peer speaks otherwise, or the message was altered on the way; this layer cannot tell.";
    Shutdown = "shutdown", Nobody, 5,
        "This side ended it.",
        "Nothing is to be done.";
    Unknown = "unknown", Unknown, 6,
        "Something failed, and this trace does not show why.",
        "Record the other side and the relay, too.";
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
