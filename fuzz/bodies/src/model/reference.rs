//! The reference model: what two people and a relay are to each other, in plain words and without a machine.
//!
//! What races with something else has more than one good outcome until all is quiet; then what is seen decides, if it
//! is one of them.

/// Milliseconds since the world began.
pub(super) type Time = u64;

/// A pairing is over long before this, on the slowest links.
const PAIRING: Time = 30_000;

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    No,
    Yes,
    /// Both are good.
    Either,
}

/// What has become of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Used,
    Expired,
    Revoked,
    /// Its maker has forgotten it at a crash.
    Gone,
}

#[derive(Debug)]
pub(super) struct Invitation {
    pub(super) maker: usize,
    pub(super) state: State,
    expires: Time,
    /// It was made or taken back since all was quiet: a crash may undo that.
    young: bool,
}

/// Somebody uses an invitation that may be good.
#[derive(Debug)]
struct Attempt {
    invitation: usize,
    at: Time,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) up: bool,
    /// Whether the other one is a contact.
    pub(super) knows: Is,
    /// Whether a connection with the other one is wanted.
    pub(super) wants: bool,
    /// Since all was quiet it was stopped or started.
    restarted: bool,
    /// Since all was quiet it has removed the other one.
    forgot: bool,
}

/// What is seen of a node when all is quiet.
pub(super) struct Seen {
    pub(super) online: bool,
    pub(super) knows: bool,
    pub(super) connections: usize,
    /// All invitations, those of the other one aside.
    pub(super) invitations: Vec<Option<State>>,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) nodes: [Node; 2],
    pub(super) relay: bool,
    pub(super) invitations: Vec<Invitation>,
    attempts: Vec<Attempt>,
    /// Since all was quiet something has happened that may end a connection or a pairing.
    pub(super) disturbed: bool,
}

fn must(is: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(what()) }
}

impl Model {
    pub(super) fn new() -> Self {
        let node = || Node {
            up: true,
            knows: Is::No,
            wants: false,
            restarted: false,
            forgot: false,
        };
        Self {
            nodes: [node(), node()],
            relay: true,
            invitations: Vec::new(),
            attempts: Vec::new(),
            disturbed: false,
        }
    }

    /// Whether there must be a connection when all is quiet. If not, there must be none.
    pub(super) fn linked(&self) -> bool {
        let [a, b] = &self.nodes;
        let reached = self.relay && a.up && b.up;
        reached && a.knows == Is::Yes && b.knows == Is::Yes && (a.wants || b.wants)
    }

    // --- what happens --------------------------------------------------------------------------------------------

    pub(super) fn invited(&mut self, maker: usize, expires: Time) {
        self.invitations.push(Invitation {
            maker,
            state: State::Open,
            expires,
            young: true,
        });
    }

    pub(super) fn joined(&mut self, invitation: usize, at: Time) {
        let used = &self.invitations[invitation];
        if used.state != State::Open || at >= used.expires {
            return;
        }
        self.attempts.push(Attempt { invitation, at });
        for node in &mut self.nodes {
            if node.knows == Is::No {
                node.knows = Is::Either;
            }
        }
    }

    /// Whether an invitation can be taken back.
    pub(super) fn revocable(&self, invitation: usize, at: Time) -> Is {
        let of = &self.invitations[invitation];
        if self.is_tried(invitation) || self.nodes[of.maker].restarted {
            Is::Either
        } else if of.state == State::Open && at < of.expires {
            Is::Yes
        } else {
            Is::No
        }
    }

    pub(super) fn revoked(&mut self, invitation: usize) {
        let of = &mut self.invitations[invitation];
        (of.state, of.young) = (State::Revoked, true);
        self.disturbed = true;
    }

    pub(super) fn forgot(&mut self, who: usize) {
        let racing = !self.attempts.is_empty();
        let node = &mut self.nodes[who];
        node.knows = if racing { Is::Either } else { Is::No };
        (node.wants, node.forgot) = (false, true);
        self.disturbed = true;
    }

    pub(super) fn stopped(&mut self, who: usize) {
        let node = &mut self.nodes[who];
        if node.forgot {
            // It may not have been written.
            node.knows = Is::Either;
        }
        (node.up, node.wants, node.restarted) = (false, false, true);
        self.disturbed = true;
    }

    pub(super) fn started(&mut self, who: usize) {
        (self.nodes[who].up, self.nodes[who].restarted) = (true, true);
        self.disturbed = true;
    }

    pub(super) fn relay(&mut self, up: bool) {
        (self.relay, self.disturbed) = (up, true);
    }

    // --- what must be then ---------------------------------------------------------------------------------------

    fn is_tried(&self, invitation: usize) -> bool {
        self.attempts.iter().any(|a| a.invitation == invitation)
    }

    /// Whether what was tried since all was quiet has come to a pairing.
    fn pairs(&self) -> Is {
        let [attempt] = self.attempts.as_slice() else {
            return if self.attempts.is_empty() {
                Is::No
            } else {
                Is::Either
            };
        };
        if self.disturbed {
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
        if self.nodes[of.maker].restarted {
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
