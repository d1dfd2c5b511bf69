//! A running instance: the node on its driver, its home for a store, and who hears what it tells.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender, unbounded};
use chumwire::book::BookEvent;
use chumwire::chum::{
    Answer, AskId, ChumConfig, ChumEvent, Deed, DefaultPolicy, Reply, Root, SyncEvent, Synchroniser,
};
use chumwire::crypto::Nacl;
use chumwire::establish::Group;
use chumwire::fault::{Fault, Why};
use chumwire::io::{ConnId, NotStored};
use chumwire::node::{Event, Misuse, Node, NodeConfig};
use chumwire::objects::{IdHash, Kind, PersonId, Recipe, Recipes, Rule};
use chumwire::pairing::InvitationId;
use chumwire::role::Role;
use chumwire::step::Step;
use chumwire::time::Now;
use chumwire_async_std::{ClientTls, Config, Handle, Host, JoinHandle, spawn};
use chumwire_trace::{NodeStart, Start, Traced};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::home::{Home, Kept, Objects};
use crate::log;
use crate::traces::Traces;

/// The node of this program.
pub(crate) type Instance = Traced<Node<Nacl>>;
/// The machine of this program: the node, and the CHUM of each of its connections.
pub(crate) type Machine = Synchroniser<Instance>;

/// For questions that are those of no connection.
const NO_CONN: ConnId = ConnId(u64::MAX);
/// Roots that are fetched at a time from one of ours.
const PARALLEL: usize = 16;
/// A text with its name, as `BlobDescriptor` is for bytes. The protocol has none.
pub(crate) const CLOB_DESCRIPTOR: &str = "ClobDescriptor";

/// What those who listen to a peer hear.
#[derive(Clone)]
pub(crate) enum Notice {
    /// The node told something.
    Node(Event),
    /// The address book told something.
    Book(BookEvent),
    /// The CHUM of a connection with this person told something.
    Chum(ConnId, PersonId, ChumEvent),
    /// Something was said here in this channel.
    Said(IdHash),
    /// This contact lets this instance see that.
    Accessible(PersonId, Vec<Root>),
    /// An invitation was taken back by this instance's user.
    Revoked(InvitationId),
}

/// Hears every event in its order, inside the driver's loop.
pub(crate) type Tap = Box<dyn FnMut(&Event) + Send>;

/// How to run a peer.
#[derive(Default)]
pub(crate) struct Options {
    /// Whom to trust behind `wss://`.
    pub(crate) tls: ClientTls,
    /// Who gets the notes; without it there are none.
    pub(crate) tap: Option<Tap>,
    /// Spare connections at the relay, if not the usual number.
    pub(crate) spares: Option<usize>,
    /// Where its traces go.
    pub(crate) traces: Traces,
    /// The reorder window; 0 is strict order.
    pub(crate) reorder_window: usize,
    /// The importers end after one round.
    pub(crate) one_round: bool,
    /// Contacts may look at what they may see.
    pub(crate) serve_debug: bool,
}

/// A running instance.
pub(crate) struct Peer {
    dir: PathBuf,
    handle: Handle<Machine>,
    /// Taken by whoever stops it.
    task: Mutex<Option<JoinHandle<Machine>>>,
    hub: Hub,
    objects: Objects,
    home: Arc<Home>,
    /// Where it can be dialled directly, once it listens.
    direct: Mutex<Option<String>>,
}

impl Peer {
    /// Starts an instance. It does nothing on its own.
    ///
    /// # Errors
    /// If the system has no entropy; `trace_unusable`.
    pub(crate) fn start(home: Home, kept: Kept, options: Options) -> Result<Self, Failure> {
        let mut config = NodeConfig::new(kept.identity);
        config.contacts = kept.contacts;
        config.invitations = kept.invitations;
        config.serve.insert(Group::Chum);
        if options.serve_debug {
            config.serve.insert(Group::Debug);
        }
        let (person, instance) = (config.identity.person_id(), config.identity.instance_id());
        config.notes = options.tap.is_some() || options.traces.any();
        config.reorder_window = options.reorder_window;
        config.spares = options.spares.unwrap_or(config.spares);
        // The driver's clock starts at zero, and so does the node's; only the wall clock matters here.
        let now = Now {
            wall: crate::time::wall(),
            ..Now::default()
        };
        let seed = Zeroizing::new(seed()?);
        let start = Start::Node(NodeStart::of(&config, &seed, now));
        let node = Node::new(config, *seed, now).map_err(|error| misuse(&error))?;
        let node = options.traces.of(node, start, now.wall)?;
        let (dir, hub) = (home.dir().to_path_buf(), Hub::default());
        let recipes = recipes()?;
        let objects = home.objects(recipes.clone())?;
        let home = Arc::new(home);
        let mut chum = ChumConfig::default();
        chum.parallel = PARALLEL;
        chum.keep_running = !options.one_round;
        let policy = Arc::new(DefaultPolicy::new(person, instance));
        let machine = Synchroniser::new(node, chum, recipes, policy, kept.someones, self::seed()?);
        let host = Keeper {
            home: home.clone(),
            objects: objects.clone(),
            hub: hub.clone(),
            tap: options.tap,
        };
        let mut settings = Config::default();
        settings.client_tls = options.tls;
        let (handle, task) = spawn(machine, host, settings);
        let task = Mutex::new(Some(task));
        Ok(Self {
            dir,
            handle,
            task,
            hub,
            objects,
            home,
            direct: Mutex::new(None),
        })
    }

    /// The home's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs `job` on the node. What follows from it at once, storing included, is done when this returns.
    ///
    /// # Errors
    /// If the instance has stopped.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Instance, Now) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.with_all(|machine, now| job(machine.node_mut(), now))
            .await
    }

    /// As [`with`](Self::with), on the node and its CHUMs.
    ///
    /// # Errors
    /// If the instance has stopped.
    pub(crate) async fn with_all<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Machine, Now) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let stopped = |_| Failure::new("stopped", "this instance is shutting down");
        let result = self.handle.call(job).await.map_err(stopped)?;
        // The loop does what the node wants done before it takes the next call.
        self.handle.call(|_, _| ()).await.map_err(stopped)?;
        Ok(result)
    }

    /// As [`with`](Self::with), and fails if a record could not be stored.
    ///
    /// # Errors
    /// The caller's mistakes; `not_stored`.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Instance, Now) -> Result<T, Misuse> + Send + 'static,
    ) -> Result<T, Failure> {
        let notices = self.subscribe();
        let result = self.with(job).await?.map_err(|error| misuse(&error))?;
        while let Ok(notice) = notices.try_recv() {
            if let Notice::Node(Event::StoreFailed(_)) = notice {
                return Err(not_stored());
            }
        }
        Ok(result)
    }

    /// What is stored here.
    pub(crate) const fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Its home, for work of its own.
    pub(crate) fn shared_home(&self) -> Arc<Home> {
        self.home.clone()
    }

    /// Everything that this instance tells from now on. To be read or dropped.
    pub(crate) fn subscribe(&self) -> Receiver<Notice> {
        self.hub.subscribe()
    }

    /// The relay at which this instance is not registered, and why, as far as that was told.
    pub(crate) fn offline(&self) -> Option<(String, Fault)> {
        lock(&self.hub.0).offline.clone()
    }

    /// Tells all who listen.
    pub(crate) fn tell(&self, notice: &Notice) {
        self.hub.tell(notice);
    }

    /// Takes direct connections; gives the URL, with the real port.
    ///
    /// # Errors
    /// `cannot_listen`
    pub(crate) async fn listen(&self, place: &str) -> Result<String, Failure> {
        let address = resolve(place)?;
        let bound = self
            .handle
            .listen(address, None)
            .await
            .map_err(|error| cannot_listen(place, &error))?;
        Ok(url("ws", place, bound))
    }

    /// Sets where this instance says that it can be dialled directly.
    ///
    /// # Errors
    /// If it is no WebSocket URL.
    pub(crate) async fn set_direct(&self, url: &str) -> Result<(), Failure> {
        let own = url.to_owned();
        self.change(move |node, now| node.set_url(now, Some(own)))
            .await?;
        *lock(&self.direct) = Some(url.into());
        Ok(())
    }

    /// Where this instance can be dialled directly.
    pub(crate) fn direct(&self) -> Option<String> {
        lock(&self.direct).clone()
    }

    /// Takes leave of all peers and ends. The home is closed when this returns.
    pub(crate) async fn stop(&self) {
        let _ = self.with(|node, now| node.shutdown(now)).await;
        self.handle.shutdown().await;
        let task = lock(&self.task).take();
        if let Some(task) = task {
            drop(task.await);
        }
    }
}

/// The driver's host: every record goes to the home, every event to those who listen.
struct Keeper {
    home: Arc<Home>,
    objects: Objects,
    hub: Hub,
    tap: Option<Tap>,
}

impl Host<Machine> for Keeper {
    fn event(&mut self, event: SyncEvent, _: &[u8]) {
        match event {
            SyncEvent::Node(event) => self.told(event),
            SyncEvent::Chum {
                conn,
                person,
                event,
            } => self.synchronised(conn, person, event),
            SyncEvent::Book(event) => {
                write_down_book(&event);
                self.hub.tell(&Notice::Book(event));
            }
            SyncEvent::Accessible { person, roots } => {
                self.hub.tell(&Notice::Accessible(person, roots));
            }
            _ => {}
        }
    }

    fn store(&mut self, deed: Deed) -> Reply {
        match deed {
            Deed::Ask { conn, id, ask } => Reply::Answer(self.objects.answer(conn, id, ask)),
            Deed::Forget(conn) => {
                self.objects.forget(conn);
                Reply::Stored(Ok(()))
            }
            Deed::Look(ask) => Reply::Answer(self.objects.answer(NO_CONN, AskId(0), ask)),
            Deed::Change(change) => Reply::Answer(match self.objects.change(&change) {
                Ok(true) => Answer::Done,
                Ok(false) => Answer::Conflict,
                Err(error) => {
                    log::warn(format_args!("a contact could not be stored: {error}"));
                    Answer::Failed
                }
            }),
            Deed::Record(record) => Reply::Stored(self.home.keep(&record).map_err(|error| {
                log::warn(format_args!("a record could not be stored: {error}"));
                NotStored
            })),
            // What this program does not know it cannot store.
            _ => Reply::Stored(Err(NotStored)),
        }
    }
}

impl Keeper {
    fn told(&mut self, event: Event) {
        if let Some(tap) = &mut self.tap {
            tap(&event);
        }
        if !matches!(event, Event::Note { .. }) {
            write_down(&event);
            self.hub.tell(&Notice::Node(event));
        }
    }

    /// What was received is on the disk before it is told.
    fn synchronised(&mut self, conn: ConnId, person: PersonId, event: ChumEvent) {
        let result = match event {
            ChumEvent::RoundEnded(_) => self.objects.sync().and_then(|()| self.home.synced(person)),
            ChumEvent::Ended { .. } => self.objects.sync(),
            _ => Ok(()),
        };
        if let Err(error) = result {
            log::warn(format_args!("what was received is not safe: {error}"));
        }
        write_down_chum(person, &event);
        self.hub.tell(&Notice::Chum(conn, person, event));
    }
}

/// What the log says of the address book.
fn write_down_book(event: &BookEvent) {
    match event {
        BookEvent::NotTaken {
            person,
            instance,
            part,
        } => log::warn(format_args!(
            "what {person} tells of its device {instance} is not taken: its {part} is not as it is on record"
        )),
        BookEvent::NotWritten => log::warn(format_args!(
            "the profiles could not be stored; it is tried again at the next start"
        )),
        _ => {}
    }
}

/// What the log says of a synchronisation.
fn write_down_chum(person: PersonId, event: &ChumEvent) {
    match event {
        ChumEvent::RootFailed {
            root,
            type_name,
            trouble,
        } => log::warn(format_args!(
            "{type_name} {} of {person} could not be taken: {trouble}",
            chumwire::hex::encode(root.bytes())
        )),
        ChumEvent::EntryFailed(fault) => {
            log::warn(format_args!(
                "{person} lists something that is none: {fault}"
            ));
        }
        ChumEvent::RootRefused {
            root,
            type_name,
            unknown_type,
        } => {
            let why = match unknown_type {
                true => "its type is not known here",
                false => "such objects are not taken from others",
            };
            log::info(format_args!(
                "{type_name} {} of {person} is not taken: {why}",
                chumwire::hex::encode(root.bytes())
            ));
        }
        ChumEvent::Ended {
            fault: Some(fault), ..
        } => log::warn(format_args!("synchronising with {person} failed: {fault}")),
        _ => {}
    }
}

/// All recipes that are known here: those of the protocol, and one for texts.
///
/// # Errors
/// None with the recipe of this file.
fn recipes() -> Result<Recipes, Failure> {
    let mut recipes = Recipes::known();
    let text = Recipe::new(
        CLOB_DESCRIPTOR,
        [
            Rule::new("data", Kind::CLOB),
            Rule::new("lastModified", Kind::Number),
            Rule::new("name", Kind::TEXT),
            Rule::new("size", Kind::Number),
            Rule::new("type", Kind::TEXT),
        ],
    );
    recipes
        .register(text)
        .map_err(|fault| Failure::new("internal", fault))?;
    Ok(recipes)
}

/// What the log says of an event. What the user is told anyway is not repeated loudly.
fn write_down(event: &Event) {
    match event {
        Event::Online { url } => log::info(format_args!("registered at {url}")),
        Event::Offline { url, fault } => {
            log::info(format_args!("not registered at {url}: {fault}"))
        }
        Event::Paired { contact, role, .. } => {
            log::info(format_args!(
                "paired with {} as {}",
                contact.email,
                role.name()
            ));
        }
        Event::Expired(id) => log::info(format_args!("the invitation {id} expired unused")),
        Event::Ended {
            conn,
            role: Some(Role::Acceptor),
            fault: Some(fault),
            ..
        } => {
            match &fault.why {
                Why::Token { token } => log::warn(format_args!(
                    "refused a joiner (connection {conn}, step {}): {token}",
                    fault.step
                )),
                // The pairing itself was decided before.
                _ if matches!(fault.step, Step::Closing | Step::Connected)
                    || fault.why == Why::Shutdown =>
                {
                    log::info(format_args!("connection {conn} ended: {fault}"));
                }
                _ => log::warn(format_args!(
                    "connection {conn} of a stranger failed: {fault}"
                )),
            }
        }
        Event::Ended {
            conn,
            fault: Some(fault),
            ..
        } => {
            log::info(format_args!("connection {conn} ended: {fault}"));
        }
        Event::Diagnosed { conn, diagnosis } => {
            log::warn(format_args!(
                "connection {conn}, on closer look: {diagnosis}"
            ));
        }
        _ => {}
    }
}

/// Those who listen.
#[derive(Clone, Default)]
struct Hub(Arc<Mutex<Listeners>>);

#[derive(Default)]
struct Listeners {
    to: Vec<Sender<Notice>>,
    /// The relay at which this instance is not registered, and why: for those who come later.
    offline: Option<(String, Fault)>,
}

impl Hub {
    fn subscribe(&self) -> Receiver<Notice> {
        let (sender, receiver) = unbounded();
        lock(&self.0).to.push(sender);
        receiver
    }

    fn tell(&self, notice: &Notice) {
        let mut listeners = lock(&self.0);
        match notice {
            Notice::Node(Event::Offline { url, fault }) => {
                listeners.offline = Some((url.clone(), fault.clone()));
            }
            Notice::Node(Event::Online { .. }) => listeners.offline = None,
            _ => {}
        }
        let is_there = |to: &Sender<Notice>| to.try_send(notice.clone()).is_ok();
        listeners.to.retain(is_there);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 32 bytes from the operating system.
///
/// # Errors
/// If it has none.
pub(crate) fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new("no_entropy", format_args!("no random bytes: {error}")))?;
    Ok(seed)
}

/// A socket address of `HOST:PORT`.
///
/// # Errors
/// `cannot_listen`
pub(crate) fn resolve(place: &str) -> Result<SocketAddr, Failure> {
    let mut found = place
        .to_socket_addrs()
        .map_err(|error| cannot_listen(place, &error))?;
    found
        .next()
        .ok_or_else(|| cannot_listen(place, &io::ErrorKind::NotFound.into()))
}

/// The URL of a listener: the host as it was asked for, the port as it came out.
pub(crate) fn url(scheme: &str, place: &str, bound: SocketAddr) -> String {
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    format!("{scheme}://{host}:{}", bound.port())
}

/// This place cannot be listened at.
pub(crate) fn cannot_listen(place: &str, error: &io::Error) -> Failure {
    Failure::new(
        "cannot_listen",
        format_args!(
            "cannot listen at {place}: {error}; HOST:PORT is due, and a port that is free"
        ),
    )
}

/// The disk did not take a record.
pub(crate) fn not_stored() -> Failure {
    Failure::new(
        Why::NotStored.code(),
        "it could not be stored, so it did not happen; look after the disk of this home",
    )
}

/// What was asked of the node cannot be.
pub(crate) fn misuse(error: &Misuse) -> Failure {
    let kind = match error {
        Misuse::Url => "bad_url",
        Misuse::OwnInvitation => "own_invitation",
        Misuse::TooMany(_) => "too_many_invitations",
        Misuse::NotPaired => "not_paired",
        Misuse::NoAddress => "no_address",
        Misuse::NoInvitation => "no_invitation",
        Misuse::ShuttingDown => "stopped",
        Misuse::TooManyConnections => "too_many_connections",
        _ => "misuse",
    };
    let next = match error {
        Misuse::OwnInvitation => "; it is for somebody else",
        Misuse::NoInvitation => "; `chumwire invitations` lists them",
        _ => "",
    };
    Failure::new(kind, format_args!("{error}{next}"))
}
