//! The reference model: what two people and a relay are to each other, in plain words and without a machine.
//!
//! What races with something else has more than one good outcome until all is quiet (`judge`).

/// Milliseconds since the world began.
pub(super) type Time = u64;

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
    pub(super) expires: Time,
    /// It was made or taken back since all was quiet: a crash may undo that.
    pub(super) young: bool,
}

/// Somebody uses an invitation that may be good.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) invitation: usize,
    pub(super) at: Time,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) up: bool,
    /// Whether the other one is a contact.
    pub(super) knows: Is,
    /// Whether a connection with the other one is wanted.
    pub(super) wants: bool,
    /// Since all was quiet it was stopped or started.
    pub(super) restarted: bool,
    /// Since all was quiet it has removed the other one.
    pub(super) forgot: bool,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) nodes: [Node; 2],
    pub(super) relay: bool,
    pub(super) invitations: Vec<Invitation>,
    pub(super) attempts: Vec<Attempt>,
    /// Joins since all was quiet, those with a bad invitation too: of two at once, one connection gives way before its
    /// invitation is looked at, and it may be the good one's.
    pub(super) joins: usize,
    /// Since all was quiet something has happened that may end a connection or a pairing.
    pub(super) disturbed: bool,
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
            joins: 0,
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
        self.joins += 1;
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

    pub(super) fn is_tried(&self, invitation: usize) -> bool {
        self.attempts.iter().any(|a| a.invitation == invitation)
    }
}
