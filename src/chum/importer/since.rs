//! Rounds by the extension "roots since" (spec 11, rules 4 to 8): what is settled, and what is pending, is written when
//! all of a round is settled, and not before.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::task::Job;
use super::{For, Importer, Phase};
use crate::chum::entry::{Root, read_roots, write_roots};
use crate::chum::services::Service;
use crate::chum::since::{Cursor, STAMP, digest, read_since};
use crate::chum::store::{Answer, Ask, Write};
use crate::chum::trouble::{ChumFault, Trouble};
use crate::chum::work::Work;
use crate::hex;
use crate::limits;
use crate::rpc::Data;
use crate::time::{Millis, Now};

/// What is kept of a peer: everything in the list of the cursor is stored, or pending.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    cursor: Cursor,
    /// The store's, when the round began.
    generation: u64,
    /// When there was a whole list last.
    full: Millis,
    pending: BTreeSet<Root>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    #[serde(borrow)]
    digest: Cow<'a, str>,
    stamp: u64,
    generation: u64,
    full: u64,
    #[serde(borrow)]
    pending: &'a RawValue,
}

impl Kept {
    fn write(&self) -> String {
        let pending: Vec<Root> = self.pending.iter().cloned().collect();
        let Cursor { digest, stamp } = &self.cursor;
        alloc::format!(
            "{{\"digest\":\"{}\",\"stamp\":{stamp},\"generation\":{},\"full\":{},\"pending\":{}}}",
            hex::encode(digest),
            self.generation,
            self.full.0,
            write_roots(&pending),
        )
    }

    /// What cannot be read is as good as nothing: the next list is a whole one.
    fn read(text: &str) -> Option<Self> {
        let members: Members<'_> = serde_json::from_str(text).ok()?;
        let pending = read_roots(members.pending.get(), limits::CHUM_ROOTS).ok()?;
        (members.stamp <= STAMP).then_some(())?;
        Some(Self {
            cursor: Cursor {
                digest: digest(&members.digest)?,
                stamp: members.stamp,
            },
            generation: members.generation,
            full: Millis(members.full),
            pending: pending.into_iter().collect::<Result<_, _>>().ok()?,
        })
    }
}

/// The state of the extension on one connection. What is settled is in the store alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Since {
    /// The peer does not serve it.
    off: bool,
    /// The next round is without cursor.
    whole: bool,
    round: Option<SinceRound>,
    stamp: Option<u64>,
}

/// A round.
#[derive(Clone, Debug)]
struct SinceRound {
    /// None if the store could not say: then nothing is written.
    generation: Option<u64>,
    kept: Option<Kept>,
    /// The cursor was sent.
    sent: bool,
    /// What the peer answered: whether the list is a whole one.
    answer: Option<(bool, Cursor)>,
    unsettled: BTreeSet<Root>,
    /// Something is not settled, and could not be kept as pending.
    short: bool,
}

impl Since {
    /// An entry of the round is not settled.
    pub(super) fn pend(&mut self, root: Root, most: usize) {
        if let Some(round) = &mut self.round {
            if round.unsettled.len() < most {
                round.unsettled.insert(root);
            } else if !round.unsettled.contains(&root) {
                round.short = true;
            }
        }
    }

    /// The round leaves something open that cannot be pending.
    pub(super) fn is_short(&mut self) {
        if let Some(round) = &mut self.round {
            round.short = true;
        }
    }

    /// The store has taken what is settled, or not: then all stays as it was.
    pub(super) fn written(&mut self, answer: &Answer) {
        if *answer != Answer::Done {
            self.whole = true;
        }
    }
}

impl Importer {
    pub(super) fn asks_since(&self, work: &Work<'_>) -> bool {
        work.config.extensions && work.config.roots_since && !self.since.off
    }

    /// The last stamp of the peer whose list is settled.
    pub(in crate::chum) const fn stamp(&self) -> Option<u64> {
        self.since.stamp
    }

    /// Rule 7: what was settled is not any more.
    pub(super) fn raise(&mut self, work: &mut Work<'_>) {
        if work.config.extensions && work.config.import {
            self.since.whole = true;
            let write = Write {
                raise: true,
                ..Write::default()
            };
            self.ask(For::Nobody, Ask::Write(write), work);
        }
    }

    /// The store has told what is settled: the list is asked for.
    pub(super) fn ask_since(&mut self, answer: Answer, work: &mut Work<'_>) {
        let (generation, kept) = match answer {
            Answer::Cursor { generation, kept } => {
                (Some(generation), kept.as_deref().and_then(Kept::read))
            }
            _ => (None, None),
        };
        let whole = core::mem::take(&mut self.since.whole);
        // A clock that went back tells nothing of how long it was.
        let is_due = |full: Millis| {
            work.now.wall < full || work.now.wall.0.saturating_sub(full.0) >= limits::CHUM_WHOLE
        };
        let usable = kept
            .as_ref()
            .filter(|kept| !whole && Some(kept.generation) == generation && !is_due(kept.full));
        let cursor = usable.map(|kept| kept.cursor.to_data());
        self.since.round = Some(SinceRound {
            generation,
            kept,
            sent: cursor.is_some(),
            answer: None,
            unsettled: BTreeSet::new(),
            short: false,
        });
        self.phase = Phase::Roots;
        let args = cursor.into_iter().collect();
        self.request(For::Phase, Service::GetRootsSince, args, work);
    }

    /// The peer does not serve it, or not in this form. What is settled stays.
    pub(super) fn without_since(&mut self, work: &mut Work<'_>) {
        self.since.off = true;
        self.since.round = None;
        self.ask_all_roots(work);
    }

    pub(super) fn since_answered(&mut self, data: &Data, work: &mut Work<'_>) {
        let read = match data {
            Data::Text(text) => read_since(text, work.config.roots),
            _ => Ok(None),
        };
        let list = match read {
            Ok(Some(list)) => list,
            Ok(None) => return self.without_since(work),
            Err(fault) => {
                *work.fault = Some(ChumFault::Roots(Trouble::Children(fault)));
                return;
            }
        };
        self.round.full = list.full;
        let mut pending = Vec::new();
        if let Some(round) = &mut self.since.round {
            round.answer = Some((list.full, list.cursor));
            if !list.full {
                let listed: BTreeSet<&Root> = list.roots.iter().flatten().collect();
                let kept = round.kept.iter().flat_map(|kept| &kept.pending);
                pending.extend(kept.filter(|root| !listed.contains(root)).cloned());
                if !round.sent {
                    // A part of a list, and none was settled.
                    round.short = true;
                    self.since.whole = true;
                }
            }
        }
        self.take_roots(pending, list.roots, work);
    }

    /// What of a job is not settled is pending.
    pub(super) fn pend(&mut self, job: &Job, failed: bool, work: &Work<'_>) {
        for root in job.unsettled(failed) {
            self.since.pend(root, work.config.pending);
        }
    }

    /// Rule 5: what is to be written at the end of a round.
    pub(super) fn settled(&mut self, now: Now) -> Option<Write> {
        let round = self.since.round.take()?;
        let ((full, cursor), generation) = (round.answer?, round.generation?);
        if round.short {
            return None;
        }
        self.since.stamp = Some(cursor.stamp);
        let last = round.kept.as_ref().map(|kept| kept.full);
        let settled = Kept {
            cursor,
            generation,
            full: last.filter(|_| !full).unwrap_or(now.wall),
            pending: round.unsettled,
        };
        if round.kept.as_ref() == Some(&settled) {
            return None;
        }
        let cursor = Some(Box::new((self.peer, settled.write())));
        Some(Write {
            cursor,
            ..Write::default()
        })
    }
}
