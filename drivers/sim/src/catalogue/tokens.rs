//! Invitations that are used twice, late, or again.

use chumwire::fault::{Fault, TokenFault, Why};
use chumwire::io::ConnId;
use chumwire::step::Step;
use chumwire::time::Micros;

use crate::party::PartyId;
use crate::scenario::{Meeting, Scenario, Stage, Stop, Truth, Via, Who, ends, pairings};

/// Why a node has refused tokens.
pub(super) fn refusals(stage: &Stage, id: PartyId) -> Vec<TokenFault> {
    ends(&stage.world, id)
        .into_iter()
        .filter_map(|(_, fault)| match fault?.why {
            Why::Token { token } => Some(token),
            _ => None,
        })
        .collect()
}

/// A third party that uses the invitation of a meeting.
fn carol_joins(stage: &mut Stage, via: Via, meeting: &Meeting) -> Result<(PartyId, ConnId), Stop> {
    let carol = stage.ours("carol", via);
    let conn = stage.join(carol, &meeting.invitation)?;
    Ok((carol, conn))
}

pub(super) const TOKEN_DOUBLE_SPEND: Scenario = Scenario {
    name: "token-double-spend",
    about: "two use one invitation at once",
    required: "one success at most",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let inviter = stage.one_of(&[Who::Ours, Who::Ours, Who::Deployed]);
        let meeting = stage.meeting(via, inviter, Who::Ours)?;
        stage.join(meeting.joiner, &meeting.invitation)?;
        let pause = stage.pick(8) as u64 * 30;
        stage.run(pause)?;
        let (carol, _) = carol_joins(stage, via, &meeting)?;
        stage.run(15_000)?;
        let paired = [meeting.inviter, meeting.joiner, carol].map(|id| pairings(&stage.world, id));
        if inviter == Who::Deployed {
            // It looks at the token when it comes, and deletes it at the end.
            stage.note(format!("{} pairings", paired[0]));
            return Ok(match paired[0] {
                2 => Truth::of(&["nothing_wrong", "invitation_used"]),
                _ => Truth::of(&["invitation_unknown", "invitation_used"]),
            });
        }
        stage.equal(&paired[0], &1, "pairings of the inviter")?;
        stage.equal(&(paired[1] + paired[2]), &1, "pairings of those invited")?;
        let contacts = stage.node(meeting.inviter)?.contacts().count();
        stage.equal(&contacts, &1, "contacts of the inviter")?;
        let refused = refusals(stage, meeting.inviter);
        stage.equal(&refused.len(), &1, "refused tokens")?;
        let cause = match refused.first() {
            Some(TokenFault::Held) => "invitation_held",
            Some(TokenFault::Used | TokenFault::OtherPerson) => "invitation_used",
            other => {
                stage.require(false, &format!("refused as used by another: {other:?}"))?;
                return Err(Stop::Disturbed);
            }
        };
        stage.note(cause.into());
        Ok(Truth::of(&[cause]))
    },
};

pub(super) const TOKEN_EXPIRES_MIDWAY: Scenario = Scenario {
    name: "token-expires-midway",
    about: "the invitation expires while the pairing is under way",
    required: "presented in time: goes on; else refused as expired",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let meeting = stage.meeting(via, Who::Ours, Who::Ours)?;
        let url = match via {
            Via::Direct => "ws://alice",
            Via::Relay => crate::scenario::RELAY,
        };
        let invitation = stage.invite_for(meeting.inviter, url, Micros::secs(5))?;
        let expires = stage.world.now().mono + Micros::secs(5);
        let before = 4_400 + stage.pick(600) as u64;
        stage.run(before)?;
        stage.join(meeting.joiner, &invitation)?;
        let paired = stage.paired(&meeting)?;
        if paired {
            let late = stage.world.now().mono > expires;
            stage.note(if late { "went on" } else { "in time" }.into());
            return Ok(Truth::nothing());
        }
        stage.note("expired".into());
        let refused = refusals(stage, meeting.inviter);
        let expired = matches!(refused.as_slice(), [TokenFault::Expired { .. }]);
        stage.require(expired, &format!("refused as expired: {refused:?}"))?;
        Ok(Truth::of(&["invitation_expired"]))
    },
};

pub(super) const TOKEN_REPLAYED: Scenario = Scenario {
    name: "token-replayed",
    about: "a used invitation is used again",
    required: "refused",
    script: |stage| {
        let via = stage.one_of(&[Via::Direct, Via::Relay]);
        let meeting = stage.meeting(via, Who::Ours, Who::Ours)?;
        stage.pair(&meeting)?;
        stage.run(500)?;
        // What is used up is stored; why it is not there any more is not.
        let restarted = stage.one_of(&["running", "restarted"]) == "restarted";
        if restarted {
            stage.world.crash(meeting.inviter);
            stage.run(100)?;
            stage.world.restart(meeting.inviter);
            stage.run(1_000)?;
        }
        let (again, _) = match stage.one_of(&["the same", "another"]) {
            "the same" => {
                let conn = stage.join(meeting.joiner, &meeting.invitation)?;
                (meeting.joiner, conn)
            }
            _ => carol_joins(stage, via, &meeting)?,
        };
        let before = pairings(&stage.world, again);
        stage.run(5_000)?;
        stage.equal(
            &pairings(&stage.world, again),
            &before,
            "pairings of the presenter",
        )?;
        stage.equal(
            &pairings(&stage.world, meeting.inviter),
            &1,
            "pairings of the inviter",
        )?;
        let (token, cause) = match restarted {
            true => (TokenFault::Unknown, "invitation_unknown"),
            false => (TokenFault::Used, "invitation_used"),
        };
        let due: Fault = Why::Token { token }.at(Step::Token);
        let told = ends(&stage.world, meeting.inviter)
            .pop()
            .and_then(|(_, fault)| fault);
        stage.equal(&told, &Some(due), "the inviter tells")?;
        Ok(match restarted {
            // The trace shows the earlier use as well.
            true => Truth::of(&[cause, "invitation_used"]),
            false => Truth::of(&[cause]),
        })
    },
};
