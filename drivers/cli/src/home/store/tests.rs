//! The power fails at every write of the store, and the disk keeps all, some or nothing of what was not synced.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use chumwire::chum::{Answer, Ask, AskId, NewHead, Presence, VersionNode, Write};
use chumwire::crypto::Random;
use chumwire::io::ConnId;
use chumwire::objects::{FileHash, Object, ObjectHash, Recipes, Reference};
use chumwire::pairing::InvitationId;
use redb::StorageBackend;

use super::*;
use crate::home::Objects;

mod damage;

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => {
                // A disk may keep a write and lose the growth before it.
                to.resize(to.len().max(at + bytes.len()), 0);
                to[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Length(length) => to.resize(*length, 0),
        }
    }
}

/// A disk with a cache: what is written is there at once, and safe after a sync.
#[derive(Debug, Default)]
struct Disk {
    safe: Vec<u8>,
    seen: Vec<u8>,
    unsafe_yet: Vec<Change>,
    /// Changes and syncs until the power fails.
    left: usize,
    done: usize,
}

impl Disk {
    fn with(image: Vec<u8>, left: usize) -> Arc<Mutex<Self>> {
        let disk = Self {
            seen: image.clone(),
            safe: image,
            left,
            ..Self::default()
        };
        Arc::new(Mutex::new(disk))
    }

    fn spend(&mut self) -> Result<(), io::Error> {
        match self.left {
            0 => Err(io::Error::other("the power has failed")),
            _ => {
                self.left -= 1;
                self.done += 1;
                Ok(())
            }
        }
    }

    fn change(&mut self, change: Change) -> Result<(), io::Error> {
        let on = self.spend();
        // The one that was under way when it happened may have arrived as well.
        if on.is_ok() {
            change.apply(&mut self.seen);
        }
        self.unsafe_yet.push(change);
        on
    }

    /// What is found on the disk afterwards.
    fn after(&self, kept: Survive) -> Vec<u8> {
        let mut image = self.safe.clone();
        let (n, changes) = (self.unsafe_yet.len(), self.unsafe_yet.as_slice());
        let surviving = match kept {
            Survive::Nothing => &[],
            Survive::FirstHalf | Survive::Torn => &changes[..n.div_ceil(2)],
            Survive::LastHalf => &changes[n / 2..],
            Survive::Everything => changes,
        };
        for (i, change) in surviving.iter().enumerate() {
            match change {
                Change::Write(at, bytes) if kept == Survive::Torn && i + 1 == surviving.len() => {
                    Change::Write(*at, bytes[..bytes.len() / 2].to_vec()).apply(&mut image);
                }
                change => change.apply(&mut image),
            }
        }
        image
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Survive {
    Nothing,
    FirstHalf,
    Torn,
    LastHalf,
    Everything,
}

#[derive(Clone, Debug)]
struct Backend(Arc<Mutex<Disk>>);

impl Backend {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("no test panics with it")
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.disk().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let at = usize::try_from(offset).expect("small");
        let disk = self.disk();
        let end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        out.copy_from_slice(disk.seen.get(at..at + out.len()).ok_or_else(end)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.disk()
            .change(Change::Length(usize::try_from(len).expect("small")))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut disk = self.disk();
        disk.spend()?;
        disk.safe = disk.seen.clone();
        disk.unsafe_yet.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.disk().change(Change::Write(
            usize::try_from(offset).expect("small"),
            data.to_vec(),
        ))
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

fn open(disk: &Arc<Mutex<Disk>>) -> Result<Store, StoreError> {
    Store::check(whole(|| {
        builder().create_with_backend(Backend(disk.clone()))
    })?)
}

fn identity(name: &str) -> Identity {
    let mut random = Random::new([name.len() as u8; 32]);
    Identity::generate::<Nacl>(&mut random, &format!("{name}@example.com"), name).expect("good")
}

fn contact(name: &str) -> Contact {
    Contact::of(&identity(name), None, Millis(1))
}

fn invitation(n: u8, expires: u64) -> InvitationRecord {
    let person = identity("me").person_id();
    InvitationRecord {
        id: InvitationId([n; 32]),
        person,
        expires: Millis(expires),
    }
}

/// The contacts' emails and the open invitations, after a number of the records.
type State = (Vec<String>, Vec<u8>);

fn state(store: &Store) -> State {
    let kept = store.load(NOW).expect("what opens can be read");
    assert!(kept.identity == identity("me"), "the identity is whole");
    let mut contacts: Vec<String> = kept.contacts.iter().map(|c| c.email.clone()).collect();
    contacts.sort();
    assert!(
        kept.contacts.contains(&contact("alice")),
        "the earlier contact is whole"
    );
    (
        contacts,
        kept.invitations
            .iter()
            .map(|record| record.id.0[0])
            .collect(),
    )
}

const NOW: Millis = Millis(1_000);

/// No two states after them are equal: else a lost record would go unseen.
fn records() -> Vec<Record> {
    vec![
        Record::Invited(invitation(7, 9_000)),
        Record::Paired {
            contact: contact("robert"),
            spent: Some(InvitationId([7; 32])),
        },
        Record::Invited(invitation(8, 9_000)),
        Record::Invited(invitation(9, 9_000)),
        Record::Withdrawn(InvitationId([8; 32])),
        Record::Forgotten {
            person: contact("valerie").person_id,
            hide_before: None,
        },
    ]
}

/// A disk with an identity, two contacts, and an invitation that expires before the next start.
fn before() -> Vec<u8> {
    let disk = Disk::with(Vec::new(), usize::MAX);
    let database = builder()
        .create_with_backend(Backend(disk.clone()))
        .expect("it is new");
    let store = Store::fill(database, &identity("me")).expect("it is new");
    let known = |name| Record::Paired {
        contact: contact(name),
        spent: None,
    };
    for record in [
        known("alice"),
        known("valerie"),
        Record::Invited(invitation(6, 500)),
    ] {
        store.commit(&record).expect("a good disk");
    }
    drop(store);
    let disk = disk.lock().expect("no test panics with it");
    disk.after(Survive::Everything)
}

/// Starts, stores all records, ends; tells how many records were reported as stored.
fn live(disk: &Arc<Mutex<Disk>>) -> usize {
    let Ok(store) = open(disk) else { return 0 };
    if store.load(NOW).is_err() {
        return 0;
    }
    records()
        .iter()
        .take_while(|record| store.commit(record).is_ok())
        .count()
}

#[test]
fn a_store_survives_a_power_failure_at_every_write() {
    let before = before();
    let states: Vec<State> = (0..=records().len())
        .map(|n| {
            let store = open(&Disk::with(before.clone(), usize::MAX)).expect("a good disk");
            for record in &records()[..n] {
                store.commit(record).expect("a good disk");
            }
            state(&store)
        })
        .collect();
    assert!(
        (1..states.len()).all(|n| !states[..n].contains(&states[n])),
        "{states:?}"
    );
    let whole = Disk::with(before.clone(), usize::MAX);
    assert_eq!(live(&whole), records().len());
    let writes = whole.lock().expect("no test panics with it").done;
    assert!(writes > 20, "{writes}");
    for left in 0..writes {
        let disk = Disk::with(before.clone(), left);
        let stored = live(&disk);
        let disk = disk.lock().expect("no test panics with it");
        for kept in [
            Survive::Nothing,
            Survive::FirstHalf,
            Survive::Torn,
            Survive::LastHalf,
            Survive::Everything,
        ] {
            let case = format!("power failed after {left} writes, {kept:?} survived");
            let store = open(&Disk::with(disk.after(kept), usize::MAX));
            let store = store.unwrap_or_else(|error| panic!("{case}: {error}"));
            let found = state(&store);
            // What was reported is there; what was under way is there whole or not at all.
            let possible = &states[stored..states.len().min(stored + 2)];
            assert!(
                possible.contains(&found),
                "{case}: {found:?} is none of {possible:?}"
            );
            store.commit(&records()[0]).expect("it goes on");
        }
    }
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let disk = Disk::with(before(), usize::MAX);
    let database = builder()
        .create_with_backend(Backend(disk.clone()))
        .expect("a good disk");
    let write = database.begin_write().expect("a good disk");
    write
        .open_table(META)
        .expect("it is there")
        .insert(SCHEMA, VERSION + 1)
        .expect("room");
    write.commit().expect("a good disk");
    drop(database);
    assert!(matches!(open(&disk), Err(StoreError::Newer(2))));
}

#[test]
fn a_store_without_its_form_is_damaged() {
    let disk = Disk::with(Vec::new(), usize::MAX);
    assert!(open(&disk).is_err());
}

/// What a CHUM writes: each refers to the one before it.
fn deeds() -> Vec<(Reference, Vec<Ask>)> {
    let recipes = Recipes::known();
    let mut deeds = Vec::new();
    let text = |object: &Object| recipes.write(object).expect("a recipe");
    let mut last: Option<ObjectHash> = None;
    let mut head = None;
    let id = chumwire::objects::IdHash([9; 32]);
    for n in 0..40_u32 {
        // A file, inline; then an object that names it, then a version whose data that is.
        let bytes = vec![n as u8; 100 * n as usize];
        let file = Reference::Blob(FileHash::of(&bytes));
        let name = AskId(u64::from(n));
        let close = Ask::Close {
            file: name,
            reference: file,
        };
        let append = Ask::Append { file: name, bytes };
        deeds.push((file, vec![Ask::Open, append, close]));
        let mut entry = Object::new("LinkedListEntry").with("data", ObjectHash([n as u8; 32]));
        if let Some(last) = last {
            entry = entry.with("previous", last);
        }
        let entry = text(&entry);
        let hash = ObjectHash::of(&entry);
        last = Some(hash);
        let write = |texts, merged, head: Option<NewHead>| {
            Ask::Write(Write {
                texts,
                merged,
                heads: head.into_iter().collect(),
                ..Write::default()
            })
        };
        let object = Reference::Object(hash);
        deeds.push((object, vec![write(vec![(object, entry)], vec![], None)]));
        let node = VersionNode::edge(hash, Millis(u64::from(n)));
        let (new, node) = node.write(&recipes).expect("a node");
        let object = Reference::Object(new);
        let change = NewHead { id, old: head, new };
        head = Some(new);
        deeds.push((
            object,
            vec![write(vec![(object, node)], vec![new], Some(change))],
        ));
    }
    deeds
}

/// Does all of it until the power fails; tells how much was said to be safe, and how much was answered.
fn receive(disk: &Arc<Mutex<Disk>>, dir: &Path) -> (usize, usize) {
    let Ok(store) = open(disk) else { return (0, 0) };
    let Ok(objects) = Objects::open(store.database(), dir, Recipes::known()) else {
        return (0, 0);
    };
    let (mut safe, mut done) = (0, 0);
    for (n, (_, asks)) in deeds().into_iter().enumerate() {
        for (part, ask) in asks.into_iter().enumerate() {
            let id = match &ask {
                Ask::Open => AskId((n / 3) as u64),
                _ => AskId(1_000 + (n * 10 + part) as u64),
            };
            if objects.answer(ConnId(0), id, ask) != Answer::Done {
                return (safe, done);
            }
        }
        done = n + 1;
        if n % 10 == 9 {
            match objects.sync() {
                Ok(()) => safe = done,
                Err(_) => return (safe, done),
            }
        }
    }
    (safe, done)
}

#[test]
fn what_is_received_survives_a_power_failure_in_its_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let before = before();
    let whole = Disk::with(before.clone(), usize::MAX);
    let all = deeds();
    assert_eq!(receive(&whole, dir.path()).1, all.len());
    let writes = whole.lock().expect("no test panics with it").done;
    assert!(writes > 40, "{writes}");
    for left in 0..writes {
        let disk = Disk::with(before.clone(), left);
        let (safe, _) = receive(&disk, dir.path());
        let disk = disk.lock().expect("no test panics with it");
        for kept in [
            Survive::Nothing,
            Survive::FirstHalf,
            Survive::Torn,
            Survive::Everything,
        ] {
            let case = format!("power failed after {left} writes, {kept:?} survived");
            let store = open(&Disk::with(disk.after(kept), usize::MAX)).expect(&case);
            let objects = Objects::open(store.database(), dir.path(), Recipes::known());
            let objects = objects.expect(&case);
            let what = all.iter().map(|(reference, _)| *reference).collect();
            let answer = objects.answer(ConnId(1), AskId(0), Ask::Presence(what));
            let Answer::Presence(found) = answer else {
                panic!("{case}: {answer:?}")
            };
            let there = found
                .iter()
                .take_while(|is| **is != Presence::Absent)
                .count();
            assert!(there >= safe, "{case}: {there} of {safe} are there");
            let behind = &found[there..];
            assert!(
                behind.iter().all(|is| *is == Presence::Absent),
                "{case}: something is there without what was before it: {found:?}"
            );
            // A version that is there is merged, and the head is the last of them.
            for (n, is) in found[..there].iter().enumerate() {
                let is_due = if n % 3 == 2 {
                    Presence::Merged
                } else {
                    Presence::Stored
                };
                assert_eq!(*is, is_due, "{case}: {n}");
            }
            let last = (0..there).rev().find(|n| n % 3 == 2).map(|n| all[n].0);
            let head = objects
                .head(chumwire::objects::IdHash([9; 32]))
                .expect(&case);
            assert_eq!(head.map(Reference::Object), last, "{case}");
        }
    }
}
