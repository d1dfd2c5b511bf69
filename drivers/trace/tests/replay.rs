//! Two nodes and a relay, each with its trace: what was recorded runs again, and shows no secret without being told
//! to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use chumwire::crypto::{Nacl, Purpose, Random};
use chumwire::hex;
use chumwire::identity::Identity;
use chumwire::io::{Closed, ConnId, Effect, Kind, Machine, Message, Source};
use chumwire::node::{Event, Node, NodeConfig};
use chumwire::relay::{Relay, RelayConfig};
use chumwire::time::{Micros, Millis, Now};
use chumwire_trace::{
    Cause, Header, Line, NodeStart, NotReplayed, Origin, RelayStart, Sink, Start, Trace, Traced,
    What, diff, draw, explain, merge, replay, text_of,
};

/// A trace in memory, and where its lines come in.
struct Memory {
    text: RefCell<String>,
    lines: Receiver<String>,
}

struct ToMemory(Sender<String>);

impl Memory {
    fn begin(header: &Header) -> (Self, Box<dyn Sink>) {
        let (sender, lines) = channel();
        let text = RefCell::new(text_of(header));
        (Self { text, lines }, Box::new(ToMemory(sender)))
    }

    fn text(&self) -> String {
        let mut text = self.text.borrow_mut();
        text.extend(self.lines.try_iter());
        text.clone()
    }

    fn trace(&self) -> Trace {
        Trace::read(self.text().as_bytes()).expect("a trace")
    }
}

impl Sink for ToMemory {
    fn line(&mut self, line: &Line) {
        self.0.send(text_of(line)).expect("somebody reads");
    }
}

const WALL: u64 = 1_700_000_000_000;

fn at(mono: Micros) -> Now {
    Now {
        mono,
        // A wall clock that jumps.
        wall: Millis(WALL + mono.as_millis() + u64::from(mono.0 > 3_000_000) * 7),
    }
}

struct Recorded<M> {
    machine: Traced<M>,
    secret: Memory,
    open: Memory,
}

fn recorded<M: Machine>(machine: M, start: Start) -> Recorded<M> {
    let mut machine = Traced::new(machine, &start, WALL);
    let open = Header::new(Origin::Live, WALL);
    let secret = Header {
        start: Some(start.into()),
        ..open.clone()
    };
    let (secret, into) = Memory::begin(&secret);
    machine.tell(true, into);
    let (open, into) = Memory::begin(&open);
    machine.tell(false, into);
    Recorded {
        machine,
        secret,
        open,
    }
}

fn node(email: &str, seed: u8) -> (Recorded<Node<Nacl>>, Vec<String>) {
    let mut random = Random::new([seed; 32]);
    let identity = Identity::generate::<Nacl>(&mut random, email, "laptop").expect("good names");
    let mut secrets = vec![hex::encode(identity.export_secrets().expose())];
    let mut config = NodeConfig::new(identity);
    config.notes = true;
    let seed = random.array(Purpose::Fork);
    secrets.push(hex::encode(&seed));
    let start = Start::Node(NodeStart::of(&config, &seed, at(Micros::ZERO)));
    let node = Node::new(config, seed, at(Micros::ZERO)).expect("a node");
    (recorded(node, start), secrets)
}

/// Who of the three, and its name for a connection.
type End = (usize, ConnId);

/// A relay and two nodes, with a network of pipes that are as fast as light.
struct Scene {
    relay: Recorded<Relay<Nacl>>,
    nodes: [Recorded<Node<Nacl>>; 2],
    links: BTreeMap<End, End>,
    now: Micros,
    /// Whether the next binary message to node 1 is to be altered.
    alter: bool,
}

const RELAY: usize = 2;

impl Scene {
    fn new() -> (Self, Vec<String>) {
        let mut config = RelayConfig::default();
        config.notes = true;
        let start = Start::Relay(RelayStart::of(&config, &[9; 32], at(Micros::ZERO)));
        let relay = Relay::new(config, [9; 32], at(Micros::ZERO));
        let (alice, mut secrets) = node("alice@example.com", 1);
        let (bob, more) = node("bob@example.com", 2);
        secrets.extend(more);
        let scene = Self {
            relay: recorded(relay, start),
            nodes: [alice, bob],
            links: BTreeMap::new(),
            now: Micros::millis(1),
            alter: false,
        };
        (scene, secrets)
    }

    fn run(&mut self) {
        for _ in 0..10_000 {
            let mut bytes = Vec::new();
            let mut any = false;
            for who in 0..3 {
                let effect =
                    match who {
                        RELAY => self.relay.machine.poll(&mut bytes).map(|effect| {
                            simple(effect, |_| unreachable!("a relay stores nothing"))
                        }),
                        _ => self.nodes[who]
                            .machine
                            .poll(&mut bytes)
                            .map(|effect| simple(effect, Simple::Store)),
                    };
                let Some(effect) = effect else { continue };
                any = true;
                self.now = self.now + Micros(17);
                self.act(who, effect, &bytes);
            }
            if !any {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn act(&mut self, who: usize, effect: Simple, bytes: &[u8]) {
        let now = at(self.now);
        match effect {
            Simple::Dial(conn) => {
                let from = Source::from(std::net::IpAddr::from([127, 0, 0, 1]));
                let taken = self.relay.machine.accept(now, from).expect("room");
                self.links.insert((who, conn), (RELAY, taken));
                self.links.insert((RELAY, taken), (who, conn));
                self.nodes[who].machine.opened(now, conn);
            }
            Simple::Send(conn, kind) => {
                let (to, end) = self.links[&(who, conn)];
                let mut bytes = bytes.to_vec();
                if to == 1 && kind == Kind::Binary && std::mem::take(&mut self.alter) {
                    bytes[20] ^= 1;
                }
                let message = Message::of(kind, &bytes).expect("text is text");
                self.with(to, |m| m.message(now, end, message).is_ok());
                self.with(who, |m| {
                    m.drained(now, conn);
                    true
                });
            }
            Simple::Close(conn, code, reason) => {
                let (to, end) = self.links[&(who, conn)];
                let how = Closed::ByPeer { code, reason };
                for (who, conn) in [(to, end), (who, conn)] {
                    self.with(who, |m| {
                        m.closed(now, conn, how.clone());
                        true
                    });
                }
            }
            Simple::Store(id) => {
                self.nodes[who]
                    .machine
                    .stored(now, chumwire::io::StoreId(id), Ok(()))
            }
            Simple::Nothing => {}
        }
    }

    fn with(&mut self, who: usize, act: impl FnOnce(&mut dyn Driven) -> bool) {
        let done = match who {
            RELAY => act(&mut self.relay.machine),
            _ => act(&mut self.nodes[who].machine),
        };
        assert!(done);
    }
}

/// What both machines take.
trait Driven {
    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), ()>;
    fn drained(&mut self, now: Now, conn: ConnId);
    fn closed(&mut self, now: Now, conn: ConnId, how: Closed);
}

impl<M: Machine> Driven for M {
    fn message(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), ()> {
        Machine::message(self, now, conn, message).map_err(drop)
    }
    fn drained(&mut self, now: Now, conn: ConnId) {
        Machine::drained(self, now, conn);
    }
    fn closed(&mut self, now: Now, conn: ConnId, how: Closed) {
        Machine::closed(self, now, conn, how);
    }
}

enum Simple {
    Dial(ConnId),
    Send(ConnId, Kind),
    Close(ConnId, u16, String),
    Store(u64),
    Nothing,
}

fn simple<E, R>(effect: Effect<E, R>, store: impl Fn(u64) -> Simple) -> Simple {
    match effect {
        Effect::Dial { conn, .. } => Simple::Dial(conn),
        Effect::Send { conn, kind } => Simple::Send(conn, kind),
        Effect::Close { conn, code, reason } => Simple::Close(conn, code, reason),
        Effect::Store { id, .. } => store(id.0),
        _ => Simple::Nothing,
    }
}

/// Both at the relay, one invites, the other joins; `meddle` before the pairing.
fn pairing(meddle: impl FnOnce(&mut Scene)) -> (Scene, Vec<String>) {
    let (mut scene, mut secrets) = Scene::new();
    let now = at(scene.now);
    for node in &mut scene.nodes {
        node.machine.listen(now, Some("ws://relay")).expect("a url");
    }
    scene.run();
    scene.now = Micros::secs(4);
    let life = Micros::secs(60);
    let invitation = scene.nodes[0]
        .machine
        .invite(at(scene.now), life, "ws://relay");
    let invitation = invitation.expect("an invitation");
    let json: serde_json::Value = serde_json::from_str(&invitation.json()).expect("JSON");
    secrets.push(json["token"].as_str().expect("a token").into());
    // A refused call is part of the trace, too.
    let own = scene.nodes[0].machine.join(at(scene.now), &invitation);
    assert!(own.is_err());
    meddle(&mut scene);
    let now = at(scene.now);
    scene.nodes[1]
        .machine
        .join(now, &invitation)
        .expect("joins");
    scene.run();
    (scene, secrets)
}

#[test]
fn what_was_recorded_with_secrets_runs_again_to_the_same_effects() {
    let (mut scene, _) = pairing(|_| {});
    scene.now = Micros::secs(30);
    let now = at(scene.now);
    scene.nodes[1].machine.tick(now);
    scene.relay.machine.tick(now);
    scene.relay.machine.shutdown(now);
    scene.run();
    assert_eq!(scene.nodes[0].machine.contacts().count(), 1);
    for (memory, least) in [
        (&scene.nodes[0].secret, 40),
        (&scene.nodes[1].secret, 40),
        (&scene.relay.secret, 40),
    ] {
        let trace = memory.trace();
        let done = replay::<Nacl>(&trace).unwrap_or_else(|error| panic!("{error}"));
        assert!(done.inputs > 10 && done.effects > least, "{done:?}");
    }
}

#[test]
fn an_altered_trace_is_another_run_and_says_where() {
    let (scene, _) = pairing(|_| {});
    let trace = scene.nodes[1].secret.trace();
    let (mut dropped, mut doubled, mut later) = (trace.clone(), trace.clone(), trace.clone());
    let of = |wanted: &str| {
        let found = trace
            .lines
            .iter()
            .rposition(|line| line.what.name() == wanted);
        found.expect(wanted)
    };
    dropped.lines.remove(of("received"));
    doubled
        .lines
        .insert(of("sent"), trace.lines[of("sent")].clone());
    // Half a minute passes in a step: it times out where it went on before.
    for line in &mut later.lines[of("stored")..] {
        line.at += 30_000_000;
    }
    for other in [dropped, doubled, later] {
        let error = replay::<Nacl>(&other).expect_err("another run");
        assert!(
            matches!(error, NotReplayed::Diverged { line, .. } if line > 10),
            "{error}"
        );
    }
    assert_eq!(
        replay::<Nacl>(&scene.nodes[1].open.trace()),
        Err(NotReplayed::NoSecrets)
    );
}

#[test]
fn without_secrets_a_trace_shows_none() {
    let (scene, mut secrets) = pairing(|_| {});
    secrets.push("alice@example.com".into());
    let open: Vec<String> = scene.nodes.iter().map(|node| node.open.text()).collect();
    let closed: Vec<String> = scene.nodes.iter().map(|node| node.secret.text()).collect();
    for secret in &secrets {
        // A secret of four keys is looked for by each of them.
        for part in secret.as_bytes().chunks(64) {
            let part = std::str::from_utf8(part).expect("text");
            assert!(open.iter().all(|text| !text.contains(part)), "{part}");
            assert!(closed.iter().any(|text| text.contains(part)), "{part}");
        }
    }
    let start = scene.nodes[0].secret.trace().header.start.expect("a start");
    assert_eq!(format!("{start:?}"), "Node(<secret>)");
}

#[test]
fn a_live_trace_is_explained_drawn_and_compared() {
    let (scene, _) = pairing(|_| {});
    let well = scene.nodes[1].open.trace();
    assert_eq!(explain(&well).cause(), Cause::NothingWrong);
    assert_eq!(explain(&well).paired, 1);
    let (scene, _) = pairing(|scene| scene.alter = true);
    let altered = scene.nodes[1].open.trace();
    let explanation = explain(&altered);
    assert_eq!(explanation.cause(), Cause::BadKeyMessage, "{explanation:?}");
    assert_eq!(explanation.findings[0].step.as_deref(), Some("key"));
    // The same until the first altered message.
    let parted = diff(&well, &altered).expect("another run");
    assert!(
        matches!(&parted.one[0].what, What::Received { message, .. } if message.bytes == 72),
        "{parted:?}"
    );
    assert_eq!(diff(&well, &well.clone()), None);
    let drawn = draw(&well);
    for part in [
        "communication_request",
        "authentication_token",
        "#1",
        "=>|",
        "paired as initiator",
    ] {
        assert!(drawn.contains(part), "no {part} in\n{drawn}");
    }
}

/// A trace that ends in the middle does not say that all is well.
#[test]
fn what_is_not_finished_is_not_told_as_good() {
    let (scene, _) = pairing(|_| {});
    let mut trace = scene.nodes[1].open.trace();
    assert_eq!(explain(&trace).cause(), Cause::NothingWrong);
    let paired = |line: &Line| matches!(line.what, What::Paired { .. });
    let at = trace.lines.iter().position(paired).expect("they pair");
    trace.lines.truncate(at);
    assert_eq!(explain(&trace).cause(), Cause::Unknown);
}

#[test]
fn a_pairing_is_told_by_its_event() {
    let (mut scene, _) = pairing(|_| {});
    let mut bytes = Vec::new();
    while let Some(effect) = scene.nodes[0].machine.poll(&mut bytes) {
        assert!(!matches!(effect, Effect::Event(Event::StoreFailed(_))));
    }
    let told = scene.nodes[0].open.trace().lines;
    let paired = told
        .iter()
        .filter(|line| matches!(line.what, What::Paired { .. }));
    assert_eq!(paired.count(), 1);
}

/// Each machine's trace alone leaves open what the traces together show, though every clock is another.
#[test]
fn traces_of_both_sides_together_show_more() {
    let skewed = |memory: &Memory, hours: u64| {
        let mut trace = memory.trace();
        trace.header.wall += hours * 3_600_000;
        trace
    };
    for with_relay in [false, true] {
        let (scene, _) = pairing(|scene| scene.alter = true);
        let mut traces = vec![
            ("alice".to_owned(), skewed(&scene.nodes[0].open, 5)),
            ("bob".to_owned(), skewed(&scene.nodes[1].open, 0)),
        ];
        if with_relay {
            traces.push(("relay".to_owned(), skewed(&scene.relay.open, 2)));
        }
        assert_eq!(explain(&traces[1].1).cause(), Cause::BadKeyMessage);
        let merged = merge(traces);
        let explanation = explain(&merged.trace);
        // Alice's own mistake comes first: she tried her own invitation.
        let first = &explanation.findings[1];
        assert_eq!(
            (first.cause, first.who.as_deref()),
            (Cause::Tampered, Some("bob"))
        );
        // The line is told as in the file that it is from.
        let line = first.line.expect("a line");
        let (file, number) = merged.from[line - 2].expect("of a file");
        let bob = scene.nodes[1].open.trace();
        assert_eq!(file, 1);
        assert!(matches!(bob.lines[number - 2].what, What::Ended { .. }));
        let drawn = draw(&merged.trace);
        assert!(
            drawn
                .lines()
                .next()
                .is_some_and(|lanes| lanes.contains("alice") && lanes.contains("bob"))
        );
        assert!(drawn.contains("72 B"), "{drawn}");
    }
}

#[test]
fn a_pairing_that_went_well_is_well_in_all_traces_together() {
    let (scene, _) = pairing(|_| {});
    let traces = [
        &scene.relay.open,
        &scene.nodes[0].open,
        &scene.nodes[1].open,
    ];
    let names = ["relay", "alice", "bob"].map(String::from);
    let merged = merge(names.into_iter().zip(traces.map(Memory::trace)).collect());
    let explanation = explain(&merged.trace);
    let causes: Vec<Cause> = explanation.findings.iter().map(|f| f.cause).collect();
    assert_eq!((causes, explanation.paired), (vec![Cause::Oneself], 2));
    // Every message came after it was sent.
    let links = merged
        .trace
        .lines
        .iter()
        .filter(|line| matches!(line.what, What::Linked { .. }));
    assert!(links.count() >= 3, "two spares and the joiner, at least");
}
