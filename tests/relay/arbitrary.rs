//! Arbitrary input never panics, never stalls, never grows beyond the bounds.

use crate::bench::*;
use crate::listener::challenge_for;

/// What may happen to a relay. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A connection that says nothing yet, from one of some addresses.
    Accept(u8),
    /// A listener that registers in due form, as far as the relay lets it.
    Spare(u8),
    /// An initiator that asks for a key.
    Initiate(u8),
    /// Any connection says what may be right or wrong at its point.
    Say(usize, Saying),
    Close(usize),
    Drained(usize),
    Poll(usize),
    Tick(u64),
    ToDeadline,
    Shutdown,
}

#[derive(Clone, Debug)]
pub(crate) enum Saying {
    Register(u8),
    Request(u8),
    Pong,
    Text(String),
    Binary(usize),
    Garbled(usize, u8),
}

pub(crate) fn input() -> impl Strategy<Value = Input> {
    let conn = || 0..16_usize;
    let saying = prop_oneof![
        1 => (0..3_u8).prop_map(Saying::Register),
        1 => (0..3_u8).prop_map(Saying::Request),
        6 => Just(Saying::Pong),
        2 => ".{0,20}".prop_map(Saying::Text),
        20 => (0..2_800_usize).prop_map(Saying::Binary),
        1 => Just(Saying::Binary(2_801)),
        1 => (0..200_usize, any::<u8>()).prop_map(|(n, b)| Saying::Garbled(n, b)),
    ];
    prop_oneof![
        20 => (0..4_u8).prop_map(Input::Accept),
        50 => (0..3_u8).prop_map(Input::Spare),
        50 => (0..3_u8).prop_map(Input::Initiate),
        150 => (conn(), saying).prop_map(|(conn, saying)| Input::Say(conn, saying)),
        20 => conn().prop_map(Input::Close),
        100 => conn().prop_map(Input::Drained),
        50 => (1..30_usize).prop_map(Input::Poll),
        20 => (0..2_000_000_u64).prop_map(Input::Tick),
        2 => (0..90_000_000_u64).prop_map(Input::Tick),
        40 => Just(Input::ToDeadline),
        1 => Just(Input::Shutdown),
    ]
}

/// A relay with small limits, and what its driver must have seen.
pub(crate) struct Sound {
    relay: Relay<Nacl>,
    now: Micros,
    conns: Vec<ConnId>,
    challenges: BTreeMap<ConnId, String>,
    closed: BTreeSet<ConnId>,
    ended: BTreeSet<ConnId>,
    outstanding: BTreeMap<ConnId, usize>,
}

impl Sound {
    const WINDOW: usize = 4_000;
    const BACKLOG: usize = 9_000;
    const HELD: usize = 3_000;
    const MESSAGE: usize = 2_800;
    const CONNECTIONS: usize = 14;
    const EFFECTS: usize = 24;

    fn new() -> Self {
        let mut config = RelayConfig::default();
        config.effects = Self::EFFECTS;
        config.window = Self::WINDOW;
        config.backlog = Self::BACKLOG;
        config.message = Self::MESSAGE;
        config.held = Self::HELD;
        config.spares_per_key = 2;
        config.spares = 4;
        config.challenges = 3;
        config.connections = Self::CONNECTIONS;
        config.connections_per_address = 4;
        config.burst = 6;
        Self {
            relay: Relay::new(config, [1; 32], at(Micros::ZERO)),
            now: Micros::ZERO,
            conns: Vec::new(),
            challenges: BTreeMap::new(),
            closed: BTreeSet::new(),
            ended: BTreeSet::new(),
            outstanding: BTreeMap::new(),
        }
    }

    /// One that is there, or was, or never was.
    fn conn(&self, n: usize) -> ConnId {
        let newest = self.conns.len().checked_sub(n + 1);
        newest
            .and_then(|n| self.conns.get(n))
            .copied()
            .unwrap_or(ConnId(77_777))
    }

    fn accept(&mut self, from: Source) -> Option<ConnId> {
        let conn = self.relay.accept(at(self.now), from)?;
        self.conns.push(conn);
        Some(conn)
    }

    fn say(&mut self, conn: ConnId, message: Message<'_>) {
        let before = self.relay.stats();
        if self.relay.message(at(self.now), conn, message).is_err() {
            let mut after = self.relay.stats();
            after.full -= 1;
            assert_eq!(before, after, "Full changes nothing");
        }
    }

    fn text(&mut self, conn: ConnId, text: &str) {
        self.say(conn, Message::Text(text));
    }

    fn poll(&mut self, times: usize) {
        let mut bytes = Vec::new();
        for _ in 0..times {
            let Some(effect) = self.relay.poll(&mut bytes) else {
                break;
            };
            match effect {
                Effect::Send { conn, kind } => {
                    assert!(!self.closed.contains(&conn), "sent behind the close");
                    let text = core::str::from_utf8(&bytes);
                    assert!(kind == Kind::Binary || text.is_ok());
                    let on_its_way = self.outstanding.entry(conn).or_default();
                    *on_its_way += bytes.len();
                    // Control messages are few; they do not wait for the window.
                    assert!(*on_its_way <= Self::WINDOW + 1_500);
                    if let Some(text) = text.ok().filter(|t| t.contains("authentication_request")) {
                        self.challenges.insert(conn, text.into());
                    }
                }
                Effect::Close { conn, reason, .. } => {
                    assert!(reason.len() <= 123);
                    assert!(self.closed.insert(conn), "closed twice");
                }
                Effect::Event(RelayEvent::Ended { conn, .. }) => {
                    assert!(self.ended.insert(conn), "ended twice");
                }
                _ => {}
            }
        }
    }

    fn register(&mut self, key: u8) {
        let Some(conn) = self.accept(Source::Unknown) else {
            return;
        };
        let key = key_pair(key + 1);
        self.text(conn, &wire::register(&key.public()));
        self.poll(usize::MAX);
        let Some(text) = self.challenges.remove(&conn) else {
            return;
        };
        let asked = wire::read_authentication_request(&text).unwrap();
        let pair = key.before::<Nacl, _>(&asked.relay_key).unwrap();
        let answer = crypto::inverted(&crypto::open::<64>(&pair, &asked.challenge).unwrap());
        let sealed = crypto::seal(&pair, &mut Random::new([1; 32]), answer.expose());
        self.text(conn, &wire::authentication_response(&sealed));
    }

    fn tick(&mut self, to: Micros) {
        self.now = self.now.max(to);
        self.relay.tick(at(self.now));
        assert!(
            self.relay.deadline().is_none_or(|next| next.at > self.now),
            "it moved on"
        );
    }

    fn put(&mut self, input: Input) {
        match input {
            Input::Accept(0) => drop(self.accept(Source::Unknown)),
            Input::Accept(n) => drop(self.accept(Source::from(IpAddr::from([10, 0, 0, n])))),
            Input::Spare(key) => self.register(key),
            Input::Initiate(key) => {
                if let Some(conn) = self.accept(Source::Unknown) {
                    self.text(conn, &request(&key_pair(key + 1)));
                }
            }
            Input::Say(n, saying) => {
                let conn = self.conn(n);
                match saying {
                    Saying::Register(key) => {
                        self.text(conn, &wire::register(&key_pair(key + 1).public()));
                    }
                    Saying::Request(key) => self.text(conn, &request(&key_pair(key + 1))),
                    Saying::Pong => self.text(conn, PONG),
                    Saying::Text(text) => self.text(conn, &text),
                    Saying::Binary(length) => self.say(conn, Message::Binary(&vec![7; length])),
                    Saying::Garbled(n, byte) => {
                        let mut text = request(&key_pair(1)).into_bytes();
                        let n = n % text.len();
                        text[n] = byte;
                        self.text(conn, &String::from_utf8_lossy(&text));
                    }
                }
            }
            Input::Close(n) => {
                let how = Closed::ByPeer {
                    code: 1000,
                    reason: "x".repeat(200),
                };
                self.relay.closed(at(self.now), self.conn(n), how);
            }
            Input::Drained(n) => {
                let conn = self.conn(n);
                self.outstanding.remove(&conn);
                self.relay.drained(at(self.now), conn);
            }
            Input::Poll(times) => self.poll(times),
            Input::Tick(time) => self.tick(self.now + Micros(time)),
            Input::ToDeadline => {
                if let Some(deadline) = self.relay.deadline() {
                    self.tick(deadline.at);
                }
            }
            Input::Shutdown => self.relay.shutdown(at(self.now)),
        }
    }

    fn check(&self) {
        assert_eq!(self.relay.self_check(), Ok(()));
        let stats = self.relay.stats();
        assert!(stats.connections <= Self::CONNECTIONS);
        let messages = (Self::WINDOW + Self::BACKLOG + Self::HELD) / limits::RELAY_PER_MESSAGE;
        assert!(stats.effects <= Self::EFFECTS + Self::CONNECTIONS * (16 + messages));
        assert!(stats.held <= Self::CONNECTIONS * (Self::HELD + Self::BACKLOG));
        assert!(self.relay == self.relay.clone());
    }

    /// A shutdown ends it all in bounded time, whatever was before.
    fn wind_up(&mut self) {
        self.relay.shutdown(at(self.now));
        self.poll(usize::MAX);
        while let Some(deadline) = self.relay.deadline() {
            self.tick(deadline.at);
            self.poll(usize::MAX);
        }
        self.check();
        let stats = self.relay.stats();
        assert_eq!((stats.connections, stats.held, stats.keys), (0, 0, 0));
        // Each that ended was told of once.
        assert_eq!(self.ended.len() as u64, stats.accepted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, in whatever order, polled or not: no panic, tables and counters agree, everything is
    /// bounded, deadlines move, nothing is sent behind a close.
    #[test]
    fn any_inputs_leave_a_relay_sound(inputs in prop::collection::vec(input(), 1..300)) {
        let mut sound = Sound::new();
        for input in inputs {
            sound.put(input);
            sound.check();
        }
        sound.wind_up();
    }

    /// Garbage ends a registration with one fault, or leaves it as it was; nothing panics.
    #[test]
    fn any_texts_leave_a_registration_sound(
        texts in prop::collection::vec(
            prop_oneof![
                Just(PING.to_string()), Just(HANDOVER.to_string()), Just(challenge_for(&key_pair(7))),
                Just(wire::authentication_success(7)), ".{0,40}", "\\{\"command\":\"[a-z_]{0,12}\"\\}",
            ],
            0..20,
        ),
        step in 0..30_000_000_u64,
    ) {
        let mut listener =
            Registration::<Nacl>::new(at(Micros::ZERO), key_pair(7), Random::new([5; 32]), limits::STEP, false);
        let mut now = Micros::ZERO;
        let mut faults = 0;
        let mut count = |listener: &mut Registration<Nacl>| {
            while let Some(output) = listener.poll(&mut Vec::new()) {
                faults += usize::from(matches!(output, Output::Fault(_)));
            }
        };
        for (n, text) in texts.iter().enumerate() {
            let handed_over = listener.step() == Step::Handover;
            let taken = listener.message(at(now), Message::Text(text));
            assert_eq!(taken, if handed_over { Err(NotTaken::HandedOver) } else { Ok(()) });
            if n % 3 == 0 {
                now = now + Micros(step);
                listener.tick(at(now));
                assert!(listener.deadline().is_none_or(|next| next.at > now));
            }
            if n % 2 == 0 {
                count(&mut listener);
            }
        }
        count(&mut listener);
        assert!(faults <= 1);
    }
}
