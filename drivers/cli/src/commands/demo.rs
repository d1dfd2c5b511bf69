//! `chumwire demo`: a relay and two instances in this process, over real WebSockets, and everything they say: they
//! pair, and one hands the other a file.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chumwire::chum::ChumEvent;
use chumwire::io::ConnId;
use chumwire::node::Event as NodeEvent;
use chumwire::note::{Layer, Note};
use chumwire::objects::FileHash;
use chumwire::relay::{RelayConfig, RelayEvent};
use chumwire_async_std::async_std::future::timeout;
use chumwire_trace::{Diagram, Stroke};
use tempfile::TempDir;

use super::at_home::open;
use super::init::identity;
use super::relay;
use crate::control::{Invite, Put, Request};
use crate::event::Event;
use crate::failure::Failure;
use crate::home::{Found, Home};
use crate::operations::sync::keep_in_touch;
use crate::operations::{Emit, perform};
use crate::output::Output;
use crate::peer::{Notice, Options, Peer, Tap};
use crate::signals::Signals;
use crate::traces::Traces;

/// It takes a fraction of a second; a machine that needs longer than this has other troubles.
const LIMIT: Duration = Duration::from_secs(20);

/// Pairs two instances, lets them exchange a file, and shows how.
///
/// # Errors
/// If they do not pair, or the file does not arrive.
pub(super) async fn demo(output: Output) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let started = Instant::now();
    let record = Record::default();
    let (acceptor, initiator) = ("alice@example.com", "bob@example.com");
    let work = timeout(LIMIT, pair_and_sync(&record, acceptor, initiator));
    signals.unless(work).await?.map_err(|_| {
        let took = LIMIT.as_secs();
        Failure::new(
            "timeout",
            format_args!("the two were not through within {took} s; try again"),
        )
    })??;
    // Everything that was to arrive has arrived, or there was an error.
    let synced = true;
    let passages = record.passages();
    if output.is_json() {
        for Passage { from, to, note } in &passages {
            output.event(&Event::Message {
                from: from.name().into(),
                to: to.name().into(),
                layer: note.layer.name().into(),
                message: note.name.into(),
                bytes: note.bytes,
                nonce: note.nonce,
            });
        }
    } else {
        output.text(&draw(&passages));
    }
    output.event(&Event::Demo {
        paired: true,
        synced,
        ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        messages: passages.len(),
        acceptor: acceptor.into(),
        initiator: initiator.into(),
    });
    Ok(())
}

/// The run itself; everything is noted in `record`.
async fn pair_and_sync(record: &Record, acceptor: &str, initiator: &str) -> Result<(), Failure> {
    let mut config = RelayConfig::default();
    config.notes = true;
    let noted = record.clone();
    let relay = relay::Running::start(config, &Traces::default(), move |event| {
        noted.relay(&event);
    })?;
    let bound = relay.handle.listen(([127, 0, 0, 1], 0).into(), None).await;
    let bound = bound.map_err(|error| crate::peer::cannot_listen("127.0.0.1:0", &error))?;
    let alice = Guest::start(acceptor, record.tap(Lane::Acceptor)).await?;
    let bob = Guest::start(initiator, record.tap(Lane::Initiator)).await?;

    let (handed_over, handing_over) = async_channel::bounded(1);
    let tell: Emit = Arc::new(move |event| {
        if let Event::Invitation { link, .. } = event {
            drop(handed_over.try_send(link));
        }
    });
    let how = Invite {
        relay: Some(format!("ws://{bound}")),
        listen: None,
        url: None,
        expires: LIMIT.as_secs(),
        linger: 0,
    };
    let inviting = perform(&alice.peer, Request::Invite(how), &tell);
    let joining = async {
        let invitation = handing_over
            .recv()
            .await
            .map_err(|_| Failure::new("stopped", "there was no invitation"))?;
        let quiet: Emit = Arc::new(drop);
        perform(&bob.peer, Request::Join { invitation }, &quiet).await
    };
    let result = match futures_util::future::try_join(inviting, joining).await {
        Ok(_) => hand_over(&alice, &bob, initiator).await,
        Err(failure) => Err(failure),
    };
    bob.peer.stop().await;
    alice.peer.stop().await;
    relay.stop().await;
    result
}

/// What is in the file that is handed over.
const PRESENT: &[u8] = b"Sent end to end, and checked by its hash.\n";

/// One puts a file in for the other, who dials and fetches it.
async fn hand_over(from: &Guest, to: &Guest, person: &str) -> Result<(), Failure> {
    let path = from.dir.path().join("present.txt");
    std::fs::write(&path, PRESENT)
        .map_err(|error| Failure::new("home_unusable", format_args!("no file: {error}")))?;
    let put = Put {
        paths: [path].into(),
        text: false,
        share: [person.to_owned()].into(),
    };
    let quiet: Emit = Arc::new(drop);
    perform(&from.peer, Request::Put(put), &quiet).await?;
    let notices = to.peer.subscribe();
    keep_in_touch(&to.peer).await?;
    while let Ok(notice) = notices.recv().await {
        match notice {
            Notice::Chum(_, _, ChumEvent::RoundEnded(_)) => break,
            Notice::Chum(_, _, ChumEvent::RootFailed { trouble, .. }) => {
                return Err(Failure::new(trouble.code(), trouble));
            }
            _ => {}
        }
    }
    match to.peer.objects().find(&FileHash::of(PRESENT).0)? {
        Some(Found::Bytes(bytes)) if bytes == PRESENT => Ok(()),
        _ => Err(Failure::new(
            "not_synced",
            "the two are paired, and the file did not arrive",
        )),
    }
}

/// An instance with a home that goes when it goes.
struct Guest {
    peer: Peer,
    dir: TempDir,
}

impl Guest {
    async fn start(email: &str, tap: Tap) -> Result<Self, Failure> {
        let dir = tempfile::tempdir().map_err(|error| {
            Failure::new("home_unusable", format_args!("no directory: {error}"))
        })?;
        drop(Home::create(dir.path(), &identity(email, "demo")?)?);
        let (home, kept) = open(dir.path()).await?;
        // One spare, so that all that is shown belongs to the two.
        let options = Options {
            tap: Some(tap),
            spares: Some(1),
            ..Options::default()
        };
        Ok(Self {
            peer: Peer::start(home, kept, options)?,
            dir,
        })
    }
}

/// Who takes part, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Acceptor,
    Relay,
    Initiator,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Acceptor, Self::Relay, Self::Initiator];

    const fn name(self) -> &'static str {
        match self {
            Self::Acceptor => "acceptor",
            Self::Relay => "relay",
            Self::Initiator => "initiator",
        }
    }
}

/// A message on its way.
#[derive(Clone, Copy, Debug)]
struct Passage {
    from: Lane,
    to: Lane,
    note: Note,
}

/// Draws the messages in their order. Sealed ones have a double line, and `#` is their nonce.
fn draw(passages: &[Passage]) -> String {
    /// Room for the names of the layers.
    const MARGIN: usize = 15;
    let mut diagram = Diagram::new(MARGIN, Lane::ALL.map(Lane::name));
    for Passage { from, to, note } in passages {
        let nonce = note.nonce.map(|nonce| format!(", #{nonce}"));
        let label = format!(
            "{}, {} B{}",
            note.name,
            note.bytes,
            nonce.unwrap_or_default()
        );
        let stroke = match note.nonce {
            Some(_) => Stroke::Sealed,
            None => Stroke::Plain,
        };
        let layer = note.layer.name();
        diagram.arrow(layer, *from as usize, *to as usize, &label, stroke);
    }
    diagram.text().to_owned()
}

/// What the three machines noted, in the order in which it happened.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    notes: Vec<(Lane, ConnId, Note)>,
    /// The connections of the pairing and of the exchange, as each of the three calls them.
    shown: Vec<(Lane, ConnId)>,
}

impl Record {
    fn with<T>(&self, look: impl FnOnce(&mut Noted) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tap(&self, lane: Lane) -> Tap {
        let record = self.clone();
        Box::new(move |event| match event {
            NodeEvent::Note { conn, note } => {
                record.with(|noted| noted.notes.push((lane, *conn, *note)));
            }
            NodeEvent::Paired { conn, .. } => {
                record.with(|noted| noted.shown.push((lane, *conn)));
            }
            NodeEvent::Connected { conn, .. } => {
                record.with(|noted| noted.shown.push((lane, *conn)));
            }
            _ => {}
        })
    }

    fn relay(&self, event: &RelayEvent) {
        self.with(|noted| match event {
            RelayEvent::Note { conn, note } => noted.notes.push((Lane::Relay, *conn, *note)),
            RelayEvent::HandedOver { spare, .. } => noted.shown.push((Lane::Relay, *spare)),
            _ => {}
        });
    }

    /// Every message once: as its sender noted it. What the relay copied was the sender's.
    fn passages(&self) -> Vec<Passage> {
        self.with(|noted| {
            noted
                .notes
                .iter()
                .filter(|(lane, conn, note)| {
                    let own = noted.shown.contains(&(*lane, *conn));
                    own && note.sent && note.layer != Layer::Relayed
                })
                .map(|(from, _, note)| Passage {
                    from: *from,
                    to: receiver(*from, note),
                    note: *note,
                })
                .collect()
        })
    }
}

fn receiver(from: Lane, note: &Note) -> Lane {
    match from {
        Lane::Acceptor if note.layer == Layer::Relay => Lane::Relay,
        Lane::Acceptor => Lane::Initiator,
        Lane::Relay => Lane::Acceptor,
        // The relay reads it, and writes it anew.
        Lane::Initiator if note.name == "communication_request" => Lane::Relay,
        Lane::Initiator => Lane::Acceptor,
    }
}
