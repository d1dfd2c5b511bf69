//! From what a connection's own machine said, and what the other parties in the trace saw, to a cause.

use std::collections::BTreeSet;

use super::cause::Cause;
use super::facts::{Conn, ConnKey, Facts, KEY_MESSAGE, Passed};
use super::reasons;
use crate::line::FaultLine;
use crate::passing::Sort;

/// A cause, and where it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) cause: Cause,
    /// The number of the line that shows it.
    pub(super) line: usize,
}

impl<'a> Facts<'a> {
    /// Why a connection ended, as far as it can be told; `None` if nothing was wrong with it.
    pub(super) fn judge(&self, key: ConnKey<'a>) -> Option<Judged> {
        let conn = self.conns.get(&key)?;
        let (line, fault) = conn.ended?;
        let fault = fault?;
        let cause = if self.machines.get(key.0) == Some(&"relay") {
            self.of_relay(key, conn, fault)?
        } else {
            self.of_node(key, conn, fault)?
        };
        Some(Judged { cause, line })
    }

    /// A relay's connections end for reasons of its own in few cases; in the others it passes on what others did.
    fn of_relay(&self, key: ConnKey<'a>, conn: &Conn<'a>, fault: &FaultLine) -> Option<Cause> {
        Some(match fault.code.as_str() {
            "nobody_listening" => Cause::NobodyListening,
            "unasked_pong" => Cause::UnaskedPong,
            "wrong_challenge" => Cause::ChallengeFailed,
            "lost" | "no_pong" if matches!(fault.step.as_str(), "spare" | "handover") => {
                Cause::SpareDied
            }
            "limit" => Cause::TooManyHalfOpen,
            "wrong_kind" | "wrong_length" | "wrong_message" | "unexpected_message" => {
                self.malformed(key, conn)
            }
            _ => return None,
        })
    }

    fn of_node(&self, key: ConnKey<'a>, conn: &Conn<'a>, fault: &FaultLine) -> Option<Cause> {
        let detail = fault.detail.as_deref().unwrap_or_default();
        Some(match fault.code.as_str() {
            "timeout" | "timeout_both_accept" | "no_ping" | "no_pong" => {
                self.silence(key, conn, fault)
            }
            "closed_by_peer" => self.closed_by_peer(key, fault, detail)?,
            "lost" if matches!(fault.step.as_str(), "spare" | "handover") => Cause::SpareDied,
            "lost" | "partner_gone" => self.lost(key),
            "not_opened" => Cause::Unreachable,
            "shutdown" | "withdrawn" if is_rest(&fault.step) => return None,
            "shutdown" | "withdrawn" => Cause::Shutdown,
            "nobody_listening" => Cause::NobodyListening,
            "unasked_pong" => Cause::UnaskedPong,
            "wrong_challenge" => Cause::ChallengeFailed,
            "role_conflict" => Cause::BothConnect,
            "refused" => match detail {
                "person_key" => Cause::WrongKeyInInvitation,
                "unknown_target" => Cause::UnknownTarget,
                "oneself" => Cause::Oneself,
                _ => Cause::GroupNotServed,
            },
            "reflected_key" => Cause::Mirrored,
            "bad_key_message" => self.key_message(key, conn),
            "frame_before_key" => self.frame_before_key(key, conn),
            "bad_frame" => self.frame(key, conn)?,
            "frame_too_short" => self.short_frame(key, conn),
            "lost_frame" => Cause::LostFrame,
            "duplicates" => Cause::DuplicateFlood,
            "plaintext_after_handshake" => Cause::PlaintextAfterHandshake,
            "nonce_exhausted" => Cause::NonceExhausted,
            "keepalive" => self.keepalive(key),
            "no_route" | "group_not_served" => Cause::GroupNotServed,
            "not_paired" => Cause::NotPaired,
            "duplicate" | "replaced" => Cause::DuplicateConnection,
            "same_person" => Cause::SamePerson,
            "identity_mismatch" | "known_person_changed" => Cause::IdentityMismatch,
            "reflected_challenge" => Cause::ChallengeReflected,
            "not_stored" => Cause::StorageFailed,
            "invitation_refused" => match detail {
                // Who presented it first may have it still; for anybody else it is used.
                "used" | "other_person" => Cause::InvitationUsed,
                "expired" => Cause::InvitationExpired,
                "held" => Cause::InvitationHeld,
                _ => Cause::InvitationUnknown,
            },
            "bad_padding" | "not_utf8" | "bad_escape" | "bad_fragments" | "frame_too_long" => {
                Cause::MalformedMessage
            }
            "wrong_kind" | "wrong_length" | "wrong_message" | "unexpected_message"
            | "small_order_key" | "bad_ping_interval" | "limit" => self.malformed(key, conn),
            _ => Cause::Unknown,
        })
    }

    /// Nothing came in time.
    fn silence(&self, key: ConnKey<'a>, conn: &Conn<'a>, fault: &FaultLine) -> Cause {
        if self.replayed_key(key, conn) {
            return Cause::ReplayedKeyMessage;
        }
        if fault.step == "request" && self.other_side_waits_too(key) {
            return Cause::BothAccept;
        }
        if self.is_stopped_behind(key) {
            return Cause::PartyCrashed;
        }
        if self.something_was_lost(key, conn) {
            return Cause::LostFrame;
        }
        Cause::SilentPeer
    }

    /// The other side sent something on this session that never came, and somebody between the two had it.
    fn something_was_lost(&self, key: ConnKey<'a>, conn: &Conn<'a>) -> bool {
        let Some(peer) = self.peer(key).filter(|peer| Some(*peer) != conn.far) else {
            return false;
        };
        let Some(peer) = self.conns.get(&peer) else {
            return false;
        };
        let came = hashes(received(conn));
        peer.passed.iter().any(|sent| {
            !sent.received
                && sent.message.name.as_deref() != Some("pong")
                && Some(sent.line) < conn.ended.map(|(line, _)| line)
                && self.is_of_session(sent)
                && sent
                    .message
                    .hash
                    .as_deref()
                    .is_some_and(|hash| !came.contains(hash))
        })
    }

    /// Whether a message is for the other end of a session, and not for a relay.
    fn is_of_session(&self, passed: &Passed<'a>) -> bool {
        match passed.message.name.as_deref() {
            None => true,
            Some(name) => matches!(name, "communication_request" | "communication_ready"),
        }
    }

    /// Whether the other end of the session, or another connection that one party in the middle holds, waited for a
    /// request as well.
    fn other_side_waits_too(&self, key: ConnKey<'a>) -> bool {
        let waits = |other: &ConnKey<'a>| {
            *other != key
                && self.conns.get(other).is_some_and(|conn| {
                    matches!(&conn.ended, Some((_, Some(fault)))
                        if fault.step == "request" && fault.code.starts_with("timeout"))
                })
        };
        if self.peer(key).is_some_and(|peer| waits(&peer)) {
            return true;
        }
        // Nothing passed, so nothing shows which connections belong together: it has to be two, both dialled by one
        // party between the two, and silent.
        let Some(middle) = self.conns.get(&key).and_then(|conn| conn.far) else {
            return false;
        };
        let between: Vec<&Conn<'a>> = self
            .conns
            .iter()
            .filter(|((who, run, _), _)| (*who, *run) == (middle.0, middle.1))
            .map(|(_, conn)| conn)
            .collect();
        between.len() == 2
            && between
                .iter()
                .all(|conn| conn.dialled && conn.far.is_some() && conn.passed.is_empty())
    }

    /// The key message that came here came to another connection of this party as well; each belongs to one session.
    fn replayed_key(&self, key: ConnKey<'a>, conn: &Conn<'a>) -> bool {
        let Some(first) = received(conn)
            .find(|passed| passed.message.kind == Sort::Binary)
            .filter(|passed| passed.message.bytes == KEY_MESSAGE)
        else {
            return false;
        };
        let Some(hash) = first.message.hash.as_deref() else {
            return false;
        };
        self.keys_seen
            .get(hash)
            .is_some_and(|seen| seen.iter().any(|other| *other != key && other.0 == key.0))
    }

    fn closed_by_peer(&self, key: ConnKey<'a>, fault: &FaultLine, reason: &str) -> Option<Cause> {
        if let Some(named) = reasons::named(reason) {
            return Some(named);
        }
        if reason == "Close called." && is_rest(&fault.step) {
            return None;
        }
        Some(self.behind(key).unwrap_or(Cause::PeerClosed))
    }

    fn lost(&self, key: ConnKey<'a>) -> Cause {
        self.behind(key).unwrap_or(Cause::ConnectionLost)
    }

    /// What happened further on, where an end here only passes it on: a party there ended, or a relay lost or closed
    /// the other connection of a pair.
    fn behind(&self, key: ConnKey<'a>) -> Option<Cause> {
        if self.is_stopped_behind(key) {
            return Some(Cause::PartyCrashed);
        }
        let far = self.conns.get(&key)?.far?;
        let at_relay = self.conns.get(&far)?;
        match at_relay.ended?.1?.code.as_str() {
            "shutdown" => Some(Cause::Shutdown),
            "partner_gone" => {
                let pair = (far.0, far.1, at_relay.pair?);
                match self.conns.get(&pair)?.ended?.1?.code.as_str() {
                    "lost" => Some(Cause::ConnectionLost),
                    "shutdown" => Some(Cause::Shutdown),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn keepalive(&self, key: ConnKey<'a>) -> Cause {
        if self.is_stopped_behind(key) {
            Cause::PartyCrashed
        } else {
            Cause::Keepalive
        }
    }

    /// Whether a party on the way to the peer, or the peer itself, ended before this connection did.
    fn is_stopped_behind(&self, key: ConnKey<'a>) -> bool {
        let Some(conn) = self.conns.get(&key) else {
            return false;
        };
        let Some((end, _)) = conn.ended else {
            return false;
        };
        let stopped = |other: Option<ConnKey<'a>>| {
            other.is_some_and(|(who, run, _)| {
                self.stopped.get(&(who, run)).is_some_and(|at| *at < end)
            })
        };
        stopped(conn.far) || stopped(self.peer(key))
    }

    /// A message of a layer that is not protected is not the one that is due.
    fn malformed(&self, key: ConnKey<'a>, conn: &Conn<'a>) -> Cause {
        match received(conn)
            .last()
            .map(|passed| self.was_altered(key, conn, passed))
        {
            Some(Altered::Shorter) => Cause::Truncated,
            Some(Altered::Otherwise) => Cause::Tampered,
            _ => {
                if copies(conn) > 1 {
                    Cause::DuplicateFrame
                } else {
                    Cause::MalformedMessage
                }
            }
        }
    }

    fn key_message(&self, key: ConnKey<'a>, conn: &Conn<'a>) -> Cause {
        if self.replayed_key(key, conn) {
            return Cause::ReplayedKeyMessage;
        }
        let Some(last) = last_before_end(conn) else {
            return Cause::BadKeyMessage;
        };
        match self.was_altered(key, conn, last) {
            Altered::Shorter => Cause::Truncated,
            Altered::Otherwise => Cause::Tampered,
            // A frame can have the length of a key message. The first binary message of a side is its key.
            Altered::No if !self.sent_before(key, last).is_empty() => Cause::FrameOvertookKey,
            Altered::No | Altered::NotShown => Cause::BadKeyMessage,
        }
    }

    /// A frame came where the key message is due.
    fn frame_before_key(&self, key: ConnKey<'a>, conn: &Conn<'a>) -> Cause {
        let initiator = conn.role == Some("initiator");
        if !initiator {
            return Cause::FrameBeforeKey;
        }
        let Some(last) = last_before_end(conn) else {
            return Cause::FrameOvertookKey;
        };
        match self.was_altered(key, conn, last) {
            Altered::Shorter => return Cause::Truncated,
            Altered::Otherwise => return Cause::Tampered,
            Altered::No | Altered::NotShown => {}
        }
        // Whether the peer sent this very frame on this session, after its key.
        let hash = last.message.hash.as_deref();
        let sent = self
            .peer(key)
            .and_then(|peer| self.conns.get(&peer))
            .map(|peer| {
                peer.passed
                    .iter()
                    .filter(|passed| !passed.received && passed.message.kind == Sort::Binary)
                    .position(|passed| passed.message.hash.as_deref() == hash)
            });
        match sent {
            Some(None) => Cause::FrameBeforeKey,
            Some(Some(_)) | None => Cause::FrameOvertookKey,
        }
    }

    /// A frame did not open: the diagnosis of its machine, made finer by what the other side sent.
    fn frame(&self, key: ConnKey<'a>, conn: &Conn<'a>) -> Option<Cause> {
        let last = last_before_end(conn)?;
        Some(match conn.diagnosis {
            Some("too_short") => self.short_frame(key, conn),
            Some("mirrored" | "mirrored_older") => Cause::Mirrored,
            Some("ahead") => self.ahead(key, conn, last),
            Some("duplicate") => {
                if copies(conn) > FLOOD {
                    Cause::DuplicateFlood
                } else {
                    Cause::DuplicateFrame
                }
            }
            Some("wrong_start") => Cause::WrongStart,
            Some("key_message") => {
                if sent(conn).any(|own| own.message.hash == last.message.hash) {
                    Cause::Mirrored
                } else if copies(conn) > 1 {
                    Cause::DuplicateFrame
                } else {
                    Cause::ReplayedKeyMessage
                }
            }
            Some("other_connection") => Cause::CrossConnection,
            Some("tampered_or_foreign") => match self.was_altered(key, conn, last) {
                Altered::Shorter => Cause::Truncated,
                Altered::Otherwise => Cause::Tampered,
                Altered::No | Altered::NotShown => {
                    if self.came_on_another_connection(key, last) {
                        Cause::CrossConnection
                    } else if self.some_before_are_missing(key, conn, last) {
                        // Too far ahead for the machine's own search.
                        self.ahead(key, conn, last)
                    } else {
                        Cause::Tampered
                    }
                }
            },
            _ => Cause::Unknown,
        })
    }

    fn short_frame(&self, key: ConnKey<'a>, conn: &Conn<'a>) -> Cause {
        match last_before_end(conn).map(|last| self.was_altered(key, conn, last)) {
            // It was sent like that.
            Some(Altered::No) => Cause::MalformedMessage,
            _ => Cause::Truncated,
        }
    }

    /// A frame with a later counter: the other side's trace says whether those before it were on their way. After its
    /// end a connection hears little more, so what has not come by then may have been late or lost; what came later all
    /// the same was late.
    fn ahead(&self, key: ConnKey<'a>, conn: &Conn<'a>, last: &Passed<'a>) -> Cause {
        let before = self.sent_before(key, last);
        let later = hashes(received(conn).filter(|came| came.line > last.line));
        let late = before.iter().any(|hash| later.contains(hash));
        if late && !self.some_before_are_missing(key, conn, last) {
            Cause::Reordered
        } else {
            Cause::ReorderedOrLost
        }
    }

    /// Whether frames that the other side had sent before this one have not come at all.
    fn some_before_are_missing(
        &self,
        key: ConnKey<'a>,
        conn: &Conn<'a>,
        last: &Passed<'a>,
    ) -> bool {
        let came = hashes(received(conn));
        self.sent_before(key, last)
            .iter()
            .any(|hash| !came.contains(hash))
    }

    /// The binary messages that the other side sent before this one, if the trace shows that it sent it.
    fn sent_before(&self, key: ConnKey<'a>, last: &Passed<'a>) -> Vec<&'a str> {
        let Some(peer) = self.peer(key).and_then(|peer| self.conns.get(&peer)) else {
            return Vec::new();
        };
        let frames = || sent(peer).filter(|sent| sent.message.kind == Sort::Binary);
        match frames().position(|sent| sent.message.hash == last.message.hash) {
            Some(at) => frames()
                .take(at)
                .filter_map(|sent| sent.message.hash.as_deref())
                .collect(),
            None => Vec::new(),
        }
    }

    /// The same message was sent to this party on another connection: one is mixed up with another.
    fn came_on_another_connection(&self, key: ConnKey<'a>, last: &Passed<'a>) -> bool {
        let Some(hash) = last.message.hash.as_deref() else {
            return false;
        };
        let own_far = self.conns.get(&key).and_then(|conn| conn.far);
        self.conns.iter().any(|(other, conn)| {
            Some(*other) != own_far
                && conn.far.is_some_and(|far| far.0 == key.0 && far != key)
                && conn
                    .passed
                    .iter()
                    .any(|passed| !passed.received && passed.message.hash.as_deref() == Some(hash))
        })
    }

    /// Compares a message that came with what was sent: at the other end of the WebSocket, and, because who is between
    /// may have altered it, by the other side of the session. A relay writes texts anew, so there only frames count.
    fn was_altered(&self, key: ConnKey<'a>, conn: &Conn<'a>, passed: &Passed<'a>) -> Altered {
        let near = conn.far.and_then(|far| self.conns.get(&far));
        let altered = near.map_or(Altered::NotShown, |far| compare(conn, far, passed));
        if altered != Altered::No || passed.message.kind != Sort::Binary {
            return altered;
        }
        match self.peer(key).filter(|peer| Some(*peer) != conn.far) {
            Some(peer) => {
                self.conns
                    .get(&peer)
                    .map_or(altered, |peer| match compare(conn, peer, passed) {
                        Altered::NotShown => altered,
                        other => other,
                    })
            }
            None => altered,
        }
    }
}

/// Whether a message that came is one that was sent over there.
fn compare<'a>(conn: &Conn<'a>, other: &Conn<'a>, passed: &Passed<'a>) -> Altered {
    let earlier = || sent(other).filter(|sent| sent.line < passed.line);
    if passed.message.hash.is_none() || earlier().next().is_none() {
        return Altered::NotShown;
    }
    if earlier().any(|sent| sent.message.hash == passed.message.hash) {
        return Altered::No;
    }
    // What was sent and never came as it was is what this one has been.
    let arrived = hashes(received(conn));
    let unseen = earlier().find(|sent| {
        sent.message.kind == passed.message.kind
            && sent
                .message
                .hash
                .as_deref()
                .is_some_and(|hash| !arrived.contains(hash))
    });
    match unseen {
        None => Altered::NotShown,
        Some(first) if first.message.bytes > passed.message.bytes => Altered::Shorter,
        Some(_) => Altered::Otherwise,
    }
}

/// Whether a connection in this step has nothing begun that an end would break off.
fn is_rest(step: &str) -> bool {
    matches!(
        step,
        "dial" | "register" | "spare" | "connected" | "closing"
    )
}

/// More copies of one frame than this are a flood.
const FLOOD: usize = 8;

/// What a comparison with the sender shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Altered {
    No,
    Shorter,
    Otherwise,
    NotShown,
}

fn received<'c, 'a>(conn: &'c Conn<'a>) -> impl DoubleEndedIterator<Item = &'c Passed<'a>> {
    conn.passed.iter().filter(|passed| passed.received)
}

fn sent<'c, 'a>(conn: &'c Conn<'a>) -> impl Iterator<Item = &'c Passed<'a>> {
    conn.passed.iter().filter(|passed| !passed.received)
}

fn hashes<'c, 'a: 'c>(passed: impl Iterator<Item = &'c Passed<'a>>) -> BTreeSet<&'a str> {
    passed
        .filter_map(|passed| passed.message.hash.as_deref())
        .collect()
}

/// The message that a connection ended at.
fn last_before_end<'c, 'a>(conn: &'c Conn<'a>) -> Option<&'c Passed<'a>> {
    let end = conn.ended?.0;
    received(conn).rfind(|passed| passed.line < end)
}

/// How often the last message before the end had come in all.
fn copies(conn: &Conn<'_>) -> usize {
    let Some(last) = last_before_end(conn) else {
        return 0;
    };
    received(conn)
        .filter(|passed| passed.message.hash.is_some() && passed.message.hash == last.message.hash)
        .count()
}
