//! What must be so when all is quiet. Where the model has more than one good outcome, what is seen decides, if it is one
//! of them.

use super::reference::{Is, Model, State, Time};

/// A pairing is over long before this, on the slowest links.
const PAIRING: Time = 30_000;

/// What is seen of a node when all is quiet.
pub(super) struct Seen {
    pub(super) online: bool,
    pub(super) knows: bool,
    pub(super) connections: usize,
    /// All invitations, those of the other one aside.
    pub(super) invitations: Vec<Option<State>>,
}

fn must(is: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(what()) }
}

impl Model {
    /// Whether what was tried since all was quiet has come to a pairing.
    fn pairs(&self) -> Is {
        let [attempt] = self.attempts.as_slice() else {
            return if self.attempts.is_empty() {
                Is::No
            } else {
                Is::Either
            };
        };
        if self.disturbed || self.joins > 1 {
            Is::Either
        } else if !self.relay || self.nodes.iter().any(|node| !node.up) {
            Is::No
        } else if attempt.at + PAIRING < self.invitations[attempt.invitation].expires {
            Is::Yes
        } else {
            Is::Either
        }
    }

    /// Compares who knows whom, and the invitations, with what is seen when nothing is under way any more; from here
    /// on the model is what was seen.
    pub(super) fn settle(&mut self, seen: &[Seen; 2], now: Time) -> Result<(), String> {
        let pairs = self.pairs();
        let before = [0, 1].map(|who| self.nodes[who].knows);
        for (who, seen) in seen.iter().enumerate() {
            let tried = before[who] == Is::Either && !self.nodes[who].forgot && pairs != Is::Either;
            let due = if tried { pairs } else { before[who] };
            let is = if seen.knows { Is::Yes } else { Is::No };
            must(due == Is::Either || due == is, || {
                format!("{who} knows the other: {is:?} instead of {due:?}")
            })?;
            self.nodes[who].knows = is;
        }
        let mut used = Vec::new();
        for i in 0..self.invitations.len() {
            let maker = self.invitations[i].maker;
            let is = seen[maker].invitations[i];
            let good = self.outcomes(i, pairs, now);
            must(good.contains(&is), || {
                format!("invitation {i} of {maker}: {is:?} instead of one of {good:?}")
            })?;
            let of = &mut self.invitations[i];
            let is = is.unwrap_or(State::Gone);
            if is == State::Used && of.state != State::Used {
                used.push(maker);
            }
            (of.state, of.young) = (is, false);
        }
        self.agree(before, &used)?;
        self.attempts.clear();
        self.joins = 0;
        self.disturbed = false;
        for node in &mut self.nodes {
            (node.restarted, node.forgot) = (false, false);
        }
        Ok(())
    }

    /// What may be seen of an invitation.
    fn outcomes(&self, i: usize, pairs: Is, now: Time) -> Vec<Option<State>> {
        let of = &self.invitations[i];
        let unused = if now >= of.expires {
            State::Expired
        } else {
            State::Open
        };
        let tried = self.is_tried(i);
        let mut good = match of.state {
            State::Gone => vec![None],
            State::Open if tried && pairs == Is::Yes => vec![Some(State::Used)],
            State::Open if tried && pairs == Is::Either => vec![Some(unused), Some(State::Used)],
            State::Open => vec![Some(unused)],
            ended => vec![Some(ended)],
        };
        let maker = &self.nodes[of.maker];
        if maker.restarted || !maker.up {
            // What has ended is not stored, and what is young may not be.
            if of.young || tried || (of.state, unused) != (State::Open, State::Open) {
                good.push(None);
            }
            if of.young && of.state == State::Revoked {
                good.push(Some(unused));
            }
        }
        good
    }

    /// Nobody is a contact without an invitation; the contact of an inviter and what it spends are one; whom an inviter
    /// knows knows it.
    fn agree(&self, before: [Is; 2], used: &[usize]) -> Result<(), String> {
        for (who, [own, other]) in [(0, [0, 1]), (1, [1, 0])] {
            let spent = used.contains(&who);
            let joined = self
                .attempts
                .iter()
                .any(|a| self.invitations[a.invitation].maker == other);
            let own = &self.nodes[own];
            let new = before[who] == Is::Either && own.knows == Is::Yes && !own.forgot;
            must(!new || spent || joined || own.restarted, || {
                format!("{who} has a contact, and no invitation is used")
            })?;
            must(!spent || own.forgot || own.knows == Is::Yes, || {
                format!("an invitation of {who} is used, and it has no contact")
            })?;
            let partner = &self.nodes[other];
            let one_sided = (spent || new && !joined) && partner.knows == Is::No;
            must(!one_sided || partner.forgot, || {
                format!("{who} knows somebody who does not know it")
            })?;
        }
        Ok(())
    }

    /// Compares the rest with what is seen when all is quiet.
    pub(super) fn quiet(&self, seen: &[Seen; 2]) -> Result<(), String> {
        for (who, (node, seen)) in self.nodes.iter().zip(seen).enumerate() {
            let (online, linked) = (node.up && self.relay, usize::from(self.linked()));
            must(seen.online == online, || {
                format!("{who} is online: {}", seen.online)
            })?;
            must(seen.connections == linked, || {
                format!(
                    "{who} has {} connections instead of {linked}",
                    seen.connections
                )
            })?;
        }
        Ok(())
    }
}
