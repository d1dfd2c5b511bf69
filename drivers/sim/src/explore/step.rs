//! A move is made: what it does to the world.

use chumwire::io::Closed;
use chumwire::time::Micros;
use chumwire_trace::What;

use super::engine::{Engine, Key, Want};
use super::moves::{Move, corrupted, truncated};
use super::state::{End, Link, World, flag};
use super::store::{EMPTY, Item};
use crate::link::Side;

/// Who a line of a trace is of: a party, or the world.
pub(super) type Line = (Option<usize>, What);

/// A move that is being made.
pub(super) struct Stepper<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) world: World,
    /// What must not be, if it came to that.
    pub(super) wrong: Option<String>,
    /// What happened, if somebody wants to know.
    pub(super) lines: Option<Vec<Line>>,
}

/// The world when all of the cast have started, in its order.
pub(super) fn opening(engine: &mut Engine, parties: &[u32], traced: bool) -> (World, Vec<Line>) {
    let mut stepper = Stepper {
        engine,
        world: World::new(parties),
        wrong: None,
        lines: traced.then(Vec::new),
    };
    for who in 0..parties.len() {
        stepper.run(who, Key::Start);
    }
    (stepper.world, stepper.lines.unwrap_or_default())
}

impl Stepper<'_> {
    fn parties(&self) -> usize {
        self.engine.parties()
    }

    fn say(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.lines.is_some() {
            let fault = what(self);
            if let Some(lines) = &mut self.lines {
                lines.push((None, What::Interfered { fault }));
            }
        }
    }

    /// Makes it. Nothing happens if it cannot be made.
    pub(super) fn make(&mut self, mv: Move) {
        match mv {
            Move::Deliver(end, side) => self.with(end, |s, link| {
                s.deliver(link, side, 1, true);
            }),
            Move::Burst(end, side) => self.with(end, |s, link| {
                s.say(|_| format!("two read at once by the {side:?}"));
                s.deliver(link, side, 2, true);
            }),
            Move::Release(end, side, nth) => {
                self.with(end, |s, link| s.release(link, side, nth));
            }
            Move::Drain(end, side) => self.with(end, |s, link| {
                s.world.set(link, side, flag::UNDRAINED, false);
                let end = s.world.end(link, side);
                s.run(end.party(), Key::Drained(end.conn()));
            }),
            Move::Commit(who) => self.commit(who.into()),
            Move::Answer(who) => self.answer(who.into()),
            Move::Start(who) => {
                self.run(who.into(), Key::Start);
            }
            Move::Act => self.act(),
            Move::Time => self.pass_time(),
            Move::Slow => {
                self.say(|_| "time passes while something is under way".into());
                self.fault(Self::pass_time);
            }
            Move::Drop(end, side) => self.strike(end, side, "loss", |s, link| {
                if let Some((_, rest)) = s.engine.queues.pop(s.world.pipe(link, side)) {
                    s.world.set_pipe(link, side, rest);
                }
            }),
            Move::Duplicate(end, side) => self.strike(end, side, "duplicate", |s, link| {
                s.deliver(link, side, 1, false);
            }),
            Move::Hold(end, side) => self.strike(end, side, "hold", |s, link| {
                if let Some((first, rest)) = s.engine.queues.pop(s.world.pipe(link, side)) {
                    s.world.set_pipe(link, side, rest);
                    let held = s.world.held(link, side);
                    let held = s.engine.queues.push(&s.engine.items, held, first);
                    s.world.set_held(link, side, held);
                }
            }),
            Move::Corrupt(end, side, place) => self.strike(end, side, "flip", |s, link| {
                s.alter(link, side, |item| corrupted(item, place));
            }),
            Move::Truncate(end, side) => self.strike(end, side, "truncate", |s, link| {
                s.alter(link, side, truncated);
            }),
            Move::Close(end, side) => self.strike(end, side, "cut", |s, link| {
                s.world.set_pipe(link, side, EMPTY);
                s.world.set_held(link, side, EMPTY);
                s.end_with(link, side, Closed::Lost("cut".into()));
                s.end_with(link, side.other(), Closed::Lost("cut".into()));
            }),
            Move::Crash(who) => self.fault(|s| s.crash(who.into())),
        }
    }

    fn with(&mut self, end: u32, act: impl FnOnce(&mut Self, Link)) {
        if let Some(link) = self.world.link(self.parties(), End(end)) {
            act(self, link);
        }
    }

    fn fault(&mut self, act: impl FnOnce(&mut Self)) {
        self.world.fault_struck();
        act(self);
    }

    fn strike(&mut self, end: u32, side: Side, name: &str, act: impl FnOnce(&mut Self, Link)) {
        self.with(end, |s, link| {
            s.say(|s| {
                let who = |side| match s.world.at(link, side) {
                    Some(who) => s.engine.name(who),
                    None => "nobody",
                };
                let (dialler, listener) = (who(Side::Dialler), who(Side::Listener));
                let conn = s.world.end(link, Side::Dialler).conn();
                format!("{dialler} {conn} to {listener}: {name} towards the {side:?}")
            });
            s.fault(|s| act(s, link));
        });
    }

    // --- a party runs --------------------------------------------------------------------------------------------

    /// Gives a party an input, and does what it wants done. Gives the name under which it took a connection, and
    /// whether it was full.
    fn run(&mut self, who: usize, key: Key) -> (Option<u32>, Option<u32>) {
        let before = self.world.party(who);
        let number = self.engine.run(who, before, key);
        if let Some(lines) = &mut self.lines {
            let outcome = self.engine.outcome(number);
            let silent = match key {
                Key::Tick(time) => self.engine.facts(before).due.is_none_or(|due| due > time),
                _ => false,
            };
            let seen = outcome
                .lines
                .iter()
                .filter(|what| !silent || !matches!(what, What::Tick));
            lines.extend(seen.map(|what| (Some(who), what.clone())));
        }
        let outcome = self.engine.outcome(number);
        if let Some(wrong) = &outcome.wrong {
            self.wrong.get_or_insert_with(|| wrong.clone());
        }
        let (state, accepted, full) = (outcome.state, outcome.accepted, outcome.full);
        let (fact, count) = (outcome.fact, outcome.wants.len());
        if let Some(said) = outcome.said {
            self.world.say(said);
        }
        self.world.set_party(who, state);
        for i in 0..count {
            let want = self.engine.outcome(number).wants[i];
            self.want(who, want);
        }
        if fact {
            self.compare(who, state);
        }
        (accepted, full)
    }

    fn compare(&mut self, who: usize, state: u32) {
        for other in (0..self.parties()).filter(|other| *other != who) {
            if let Err(what) = self.engine.agree(state, self.world.party(other)) {
                self.wrong.get_or_insert(what);
            }
        }
    }

    /// A connection of a party in the life that it has now.
    fn end(&self, who: usize, conn: u32) -> End {
        End::new(who, self.engine.state(self.world.party(who)).life, conn)
    }

    fn link_of(&self, who: usize, conn: u32) -> Option<(Link, Side)> {
        self.world.link_of(self.parties(), self.end(who, conn))
    }

    fn want(&mut self, who: usize, want: Want) {
        match want {
            Want::Send(conn, item) => {
                let Some((link, side)) = self.link_of(who, conn) else {
                    return;
                };
                if !self.world.is(link, side, flag::GONE) {
                    self.push(link, side.other(), item);
                }
            }
            Want::Close(conn, item) => {
                let Some((link, side)) = self.link_of(who, conn) else {
                    return;
                };
                let other = side.other();
                self.push(link, other, item);
                if self.world.is(link, other, flag::GONE) && self.world.pipe(link, side) == EMPTY {
                    self.end_with(link, side, Closed::Lost("nobody answers".into()));
                }
            }
            Want::Dial(conn, whom) => {
                let end = self.end(who, conn);
                let link = self
                    .world
                    .add_link(self.parties(), end, whom.map(|w| w as usize));
                match whom {
                    Some(_) => {
                        let dial = self.engine.items.number(Item::Dial);
                        self.push(link, Side::Listener, dial);
                    }
                    None => {
                        self.world.set(link, Side::Listener, flag::GONE, true);
                        let refused = Closed::NotOpened("refused".into());
                        self.end_with(link, Side::Dialler, refused);
                    }
                }
            }
            Want::Pause(conn) | Want::Resume(conn) => {
                if let Some((link, side)) = self.link_of(who, conn) {
                    let paused = matches!(want, Want::Pause(_));
                    self.world.set(link, side, flag::PAUSED, paused);
                }
            }
            Want::Drain(conn) => {
                if let Some((link, side)) = self.link_of(who, conn)
                    && !self.world.is(link, side, flag::GONE)
                {
                    self.world.set(link, side, flag::UNDRAINED, true);
                }
            }
            Want::Store(item) => {
                let commits = self.world.stores(who).0;
                let commits = self.engine.queues.push(&self.engine.items, commits, item);
                *self.world.commits(who) = commits;
            }
        }
    }

    // --- links ---------------------------------------------------------------------------------------------------

    /// Puts something on its way.
    fn push(&mut self, link: Link, towards: Side, item: u32) {
        let world = &mut self.world;
        if world.is(link, towards, flag::ENDED) || world.is(link, towards, flag::GONE) {
            return;
        }
        let ends = matches!(self.engine.items.get(item), Item::End(_));
        let queue = world.pipe(link, towards);
        let queue = self.engine.queues.push(&self.engine.items, queue, item);
        world.set_pipe(link, towards, queue);
        if ends {
            world.set(link, towards, flag::ENDED, true);
        }
    }

    fn end_with(&mut self, link: Link, towards: Side, how: Closed) {
        let item = self.engine.items.number(Item::End(how));
        self.push(link, towards, item);
    }

    /// Delivers what comes next, so many messages in one read. With `take` false it stays and comes again.
    fn deliver(&mut self, link: Link, side: Side, count: usize, take: bool) {
        let queue = self.world.pipe(link, side);
        let Some((first, rest)) = self.engine.queues.pop(queue) else {
            return;
        };
        if take {
            self.world.set_pipe(link, side, rest);
        }
        let second = (count > 1).then(|| self.engine.queues.pop(rest)).flatten();
        if let Some((_, rest)) = second {
            self.world.set_pipe(link, side, rest);
        }
        self.hand(link, side, first, second.map(|(item, _)| item));
    }

    fn alter(&mut self, link: Link, side: Side, alter: impl FnOnce(&Item) -> Option<Item>) {
        let Some((first, rest)) = self.engine.queues.pop(self.world.pipe(link, side)) else {
            return;
        };
        if let Some(altered) = alter(self.engine.items.get(first)) {
            self.world.set_pipe(link, side, rest);
            let altered = self.engine.items.number(altered);
            self.hand(link, side, altered, None);
        }
    }

    fn release(&mut self, link: Link, side: Side, nth: u8) {
        let held: Vec<u32> = self
            .engine
            .queues
            .iter(self.world.held(link, side))
            .collect();
        let Some(item) = held.get(usize::from(nth)).copied() else {
            return;
        };
        let mut left = EMPTY;
        for (place, other) in held.into_iter().enumerate() {
            if place != usize::from(nth) {
                left = self.engine.queues.push(&self.engine.items, left, other);
            }
        }
        self.world.set_held(link, side, left);
        self.hand(link, side, item, None);
    }

    /// Hands something to the party at an end.
    fn hand(&mut self, link: Link, side: Side, item: u32, second: Option<u32>) {
        let dialler = self.world.end(link, Side::Dialler);
        let end = self.world.end(link, side);
        match self.engine.items.get(item) {
            Item::Dial => self.dialled(link),
            Item::Opened => {
                self.run(end.party(), Key::Opened(end.conn()));
            }
            Item::Message(..) => {
                let key = match second {
                    None => Key::Message(end.conn(), item),
                    Some(second) => Key::Burst(end.conn(), item, second),
                };
                let (_, full) = self.run(end.party(), key);
                // Links may have moved.
                if let Some(full) = full
                    && let Some(link) = self.world.link(self.parties(), dialler)
                {
                    let mut queue = self.world.pipe(link, side);
                    let back = [(1, second), (0, Some(item))];
                    for (_, item) in back.iter().filter(|(place, _)| *place >= full) {
                        if let Some(item) = item {
                            queue = self
                                .engine
                                .queues
                                .push_front(&self.engine.items, queue, *item);
                        }
                    }
                    self.world.set_pipe(link, side, queue);
                    // Whoever answers `Full` says `Resume` when there is room.
                    self.world.set(link, side, flag::PAUSED, true);
                }
            }
            Item::End(how) => {
                let by_peer = matches!(how, Closed::ByPeer { .. });
                self.world.set(link, side, flag::GONE, true);
                self.silence(link, side);
                if by_peer {
                    // A WebSocket answers a close with a close.
                    self.push(link, side.other(), item);
                }
                self.run(end.party(), Key::Closed(end.conn(), item));
                self.sweep(dialler);
            }
            Item::Commit(..) | Item::Stored(_) | Item::Said(_) => {}
        }
    }

    /// Nothing is on its way to this end any more, and nothing is expected there.
    fn silence(&mut self, link: Link, side: Side) {
        self.world.set_pipe(link, side, EMPTY);
        self.world.set_held(link, side, EMPTY);
        let idle = flag::PAUSED | flag::UNDRAINED | flag::ENDED;
        self.world.set(link, side, idle, false);
    }

    /// Forgets a link that nobody is at.
    fn sweep(&mut self, dialler: End) {
        if let Some(link) = self.world.link(self.parties(), dialler)
            && Side::BOTH
                .iter()
                .all(|side| self.world.is(link, *side, flag::GONE))
        {
            self.world.remove_link(link);
        }
    }

    /// A dialling reaches its listener.
    fn dialled(&mut self, link: Link) {
        let dialler = self.world.end(link, Side::Dialler);
        let Some(who) = self.world.listener(link) else {
            return;
        };
        let accepted = match self.engine.facts(self.world.party(who)).up {
            true => self.run(who, Key::Accept).0,
            false => None,
        };
        let Some(link) = self.world.link(self.parties(), dialler) else {
            return;
        };
        match accepted {
            Some(conn) => {
                let end = self.end(who, conn);
                self.world.set_accepted(link, end);
                if let Some(lines) = &mut self.lines {
                    let linked = What::Linked {
                        conn: u64::from(dialler.conn()),
                        to: self.engine.name(who).into(),
                        accepted: u64::from(conn),
                    };
                    lines.push((Some(dialler.party()), linked));
                }
                let opened = self.engine.items.number(Item::Opened);
                self.push(link, Side::Dialler, opened);
            }
            None => {
                self.world.set(link, Side::Listener, flag::GONE, true);
                self.silence(link, Side::Listener);
                self.end_with(link, Side::Dialler, Closed::NotOpened("refused".into()));
                self.sweep(dialler);
            }
        }
    }

    // --- stores, crashes, time -----------------------------------------------------------------------------------

    fn commit(&mut self, who: usize) {
        let (commits, answers) = self.world.stores(who);
        let Some((item, rest)) = self.engine.queues.pop(commits) else {
            return;
        };
        *self.world.commits(who) = rest;
        if let Item::Commit(id, _) = self.engine.items.get(item) {
            let answer = Item::Stored(*id);
            let answer = self.engine.items.number(answer);
            let answers = self.engine.queues.push(&self.engine.items, answers, answer);
            *self.world.answers(who) = answers;
        }
        self.run(who, Key::Commit(item));
    }

    fn answer(&mut self, who: usize) {
        if let Some((item, rest)) = self.engine.queues.pop(self.world.stores(who).1) {
            *self.world.answers(who) = rest;
            self.run(who, Key::Stored(item));
        }
    }

    fn crash(&mut self, who: usize) {
        let life = self.engine.state(self.world.party(who)).life;
        self.run(who, Key::Crash);
        *self.world.commits(who) = EMPTY;
        *self.world.answers(who) = EMPTY;
        let diallers: Vec<(End, Side)> = self
            .world
            .links(self.parties())
            .flat_map(|link| Side::BOTH.map(|side| (link, side)))
            .filter(|(link, side)| {
                let end = self.world.end(*link, *side);
                end != End::NONE
                    && (end.party(), end.life()) == (who, life)
                    && !self.world.is(*link, *side, flag::GONE)
            })
            .map(|(link, side)| (self.world.end(link, Side::Dialler), side))
            .collect();
        for (dialler, side) in diallers {
            if let Some(link) = self.world.link(self.parties(), dialler) {
                self.world.set(link, side, flag::GONE, true);
                self.silence(link, side);
                let lost = Closed::Lost("the other side is gone".into());
                self.end_with(link, side.other(), lost);
                self.sweep(dialler);
            }
        }
    }

    fn act(&mut self) {
        let number = self.world.acts_done();
        let Some(act) = self.engine.play.acts.get(number) else {
            return;
        };
        self.world.act_done();
        let said = self.world.said();
        self.run(act.who, Key::Act(number as u32, said));
    }

    fn pass_time(&mut self) {
        let due =
            (0..self.parties()).filter_map(|who| self.engine.facts(self.world.party(who)).due);
        let Some(time) = due.min() else {
            self.wrong
                .get_or_insert_with(|| "somebody waits for ever".into());
            return;
        };
        // What is due at once is no time at all, but counts as a moment.
        self.world.time_passed(Micros(time.0).as_millis());
        for who in 0..self.parties() {
            self.run(who, Key::Tick(time));
        }
    }
}
