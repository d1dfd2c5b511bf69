//! An address book: anything that may be stored, anything that a user may do.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use chumwire::book::{AddressBook, Member, Plan, Someone};
use chumwire::crypto::Random;
use chumwire::objects::{IdHash, PersonId, SomeoneId};
use chumwire::time::Millis;

/// A contact as it may be stored: of few persons, so that they meet.
#[derive(Arbitrary, Debug)]
pub(crate) struct Stored {
    name: u8,
    main: u8,
    persons: Vec<(u8, bool, Option<u8>, u8)>,
    aliases: Vec<(bool, u8)>,
}

/// What is done to an address book.
#[derive(Arbitrary, Debug)]
pub(crate) enum BookAction {
    /// Somebody is paired with.
    Pair(u8),
    /// A person is removed.
    Remove(u8, Option<u8>),
    /// Two contacts become one.
    Merge(u8, u8),
    /// Persons become a contact of their own.
    Split(u8, Vec<u8>),
    /// The program is started anew, with what is stored.
    Restart,
    /// The same, after another device has stored a contact.
    Synchronised(Stored),
    /// A plan is stored and the program ends before it hears of it.
    Crash(u8, u8),
}

/// The person of a number; 0 is the owner.
const fn person(n: u8) -> PersonId {
    PersonId([n % 7; 32])
}

impl Stored {
    fn someone(&self) -> Someone {
        let name = |n: u8| format!("someone {}", n % 8);
        let with_name = |n: u8| Someone {
            someone_id: name(n),
            main: person(self.main),
            persons: BTreeMap::new(),
            aliases: BTreeSet::new(),
        };
        let mut someone = with_name(self.name);
        for (n, removed, hidden, profile) in self.persons.iter().take(8) {
            let member = Member {
                email: format!("{}@example.org", n % 7),
                profiles: [IdHash([*profile; 32])].into(),
                removed: *removed,
                hide_before: hidden.map(|at| Millis(at.into())),
            };
            someone.persons.insert(person(*n), member);
        }
        for (of_somebody, n) in self.aliases.iter().take(8) {
            let alias = match of_somebody {
                true => with_name(*n).id(),
                false => SomeoneId([*n; 32]),
            };
            someone.aliases.insert(alias);
        }
        someone
    }
}

struct World {
    book: AddressBook,
    stored: BTreeMap<SomeoneId, Someone>,
    random: Random,
}

impl World {
    /// What is stored after a plan.
    fn store(&mut self, plan: &Plan) {
        for id in &plan.gone {
            self.stored.remove(id);
        }
        let put = plan.put.iter().cloned();
        self.stored
            .extend(put.map(|someone| (someone.id(), someone)));
    }

    fn load(&mut self, paired: &[PersonId]) {
        let kept = || self.stored.values().cloned();
        let paired = paired
            .iter()
            .map(|person| (*person, "again@example.org".into()));
        let (book, plan) = AddressBook::load(person(0), kept(), paired, &mut self.random);
        self.book = book;
        self.store(&plan);
        // What was put in order stays so.
        let kept = self.stored.values().cloned();
        let (again, plan) = AddressBook::load(person(0), kept, [], &mut self.random);
        assert_eq!((&again, plan), (&self.book, Plan::default()));
    }

    fn check(&self) {
        assert_eq!(self.book.self_check(), Ok(()));
        let kept: BTreeMap<_, _> = self
            .book
            .someones()
            .map(|(id, s)| (id, s.clone()))
            .collect();
        assert_eq!(kept, self.stored, "what is stored is what is so");
        let mut channels = BTreeSet::new();
        for (id, someone) in self.book.someones() {
            let talk = self.book.conversation(id).expect("each has one");
            assert_eq!(talk.channels.len(), someone.persons.len());
            assert_eq!(talk.channels.first().map(|c| c.person), Some(someone.main));
            for channel in talk.channels {
                assert!(
                    channels.insert(channel.name),
                    "a channel is in one conversation"
                );
            }
        }
    }

    fn nth(&self, n: u8) -> SomeoneId {
        let count = self.stored.len().max(1);
        let known = self.stored.keys().nth(usize::from(n) % count);
        known.copied().unwrap_or(SomeoneId([n; 32]))
    }
}

/// The tables agree after every step, and what is stored is what is so.
pub(crate) fn book((stored, paired, actions): (Vec<Stored>, Vec<u8>, Vec<BookAction>)) {
    let mut random = Random::new([1; 32]);
    let (book, _) = AddressBook::load(person(0), [], [], &mut random);
    let kept = stored.iter().take(12).map(Stored::someone);
    let mut world = World {
        book,
        stored: kept.map(|someone| (someone.id(), someone)).collect(),
        random,
    };
    let paired: Vec<PersonId> = paired.iter().take(6).map(|n| person(*n)).collect();
    world.load(&paired);
    world.check();
    for action in actions.iter().take(60) {
        act(&mut world, action);
        world.check();
    }
}

fn act(world: &mut World, action: &BookAction) {
    let plan = match action {
        BookAction::Pair(n) => {
            let pair = world
                .book
                .pair(person(*n), "new@example.org", &mut world.random);
            assert_eq!(pair.is_err(), n % 7 == 0, "the owner alone is no contact");
            pair
        }
        BookAction::Remove(n, hidden) => {
            let hidden = hidden.map(|at| Millis(at.into()));
            world.book.remove(person(*n), hidden)
        }
        BookAction::Merge(a, b) => {
            let (a, b) = (world.nth(*a), world.nth(*b));
            assert_eq!(world.book.merge(a, b), world.book.merge(b, a));
            world.book.merge(a, b)
        }
        BookAction::Split(of, who) => {
            let who = who.iter().map(|n| person(*n)).collect();
            world.book.split(world.nth(*of), &who, &mut world.random)
        }
        BookAction::Restart => return world.load(&[]),
        BookAction::Synchronised(stored) => {
            let someone = stored.someone();
            world.stored.insert(someone.id(), someone);
            return world.load(&[]);
        }
        BookAction::Crash(a, b) => {
            if let Ok(plan) = world.book.merge(world.nth(*a), world.nth(*b)) {
                world.store(&plan);
            }
            return world.load(&[]);
        }
    };
    if let Ok(plan) = plan {
        world.store(&plan);
        world.book.apply(&plan);
        for person in &plan.withdrawn {
            assert!(!world.book.is_contact(*person));
        }
    }
}
