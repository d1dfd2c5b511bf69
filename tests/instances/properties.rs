//! Whatever happens to an address book that is kept, in whatever order: what is stored, what the machine has and what
//! the node has agree, and nothing is granted that nobody made.

use std::collections::BTreeSet;

use chumwire::chum::{Grant, MemoryStore};
use chumwire::objects::{IdHash, Object, Recipes, Reference};
use chumwire::time::Micros;
use proptest::prelude::*;

use crate::world::{World, identity};

/// Alice, whose address book it is, and four whom she meets.
const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

#[derive(Clone, Debug)]
enum Step {
    Pair(usize, bool),
    Forget(usize, bool),
    Merge(usize, usize),
    Split(usize),
    Share(usize),
    /// So many changes are not stored from now on.
    Fail(usize),
    Restart,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 1..NAMES.len();
    let step = prop_oneof![
        4 => (who.clone(), any::<bool>()).prop_map(|(who, invites)| Step::Pair(who, invites)),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, hide)| Step::Forget(who, hide)),
        2 => (who.clone(), who.clone()).prop_map(|(one, other)| Step::Merge(one, other)),
        1 => who.clone().prop_map(Step::Split),
        1 => who.prop_map(Step::Share),
        1 => (1..3_usize).prop_map(Step::Fail),
        1 => Just(Step::Restart),
        1 => (0..8_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..14)
}

fn leute(store: &MemoryStore) -> BTreeSet<IdHash> {
    let recipes = Recipes::known();
    let id = recipes.id_hash(&Object::new("Leute").with("appId", "one.leute"));
    let (_, leute) = store.newest(&recipes, &id.expect("an id")).expect("a list");
    let other = leute.get("other").and_then(|other| other.as_list());
    let ids = other
        .expect("a list")
        .iter()
        .filter_map(|id| match id.as_reference() {
            Some(Reference::Id(id)) => Some(id),
            _ => None,
        });
    ids.collect()
}

/// Does a step; a mistake is refused, and that is well.
fn step(world: &mut World, step: &Step, shared: &mut BTreeSet<usize>) {
    let person = |world: &World, who: usize| world.peers[who].person();
    match *step {
        Step::Pair(who, true) => world.pair(0, who),
        Step::Pair(who, false) => world.pair(who, 0),
        Step::Forget(who, hide) => {
            let (other, at) = (person(world, who), world.now.wall);
            let hide = hide.then_some(at);
            let _ = world.call(0, |machine, now| {
                machine.node_mut().forget(now, other, hide)
            });
        }
        Step::Merge(one, other) => {
            let (one, other) = (person(world, one), person(world, other));
            world.call(0, |machine, now| {
                let of = |person| Some(machine.book().of_person(person)?.0);
                if let (Some(one), Some(other)) = (of(one), of(other)) {
                    machine.merge(now, one, other);
                }
            });
        }
        Step::Split(who) => {
            let who = person(world, who);
            world.call(0, |machine, now| {
                if let Some((id, _)) = machine.book().of_person(who) {
                    machine.split(now, id, [who].into());
                }
            });
        }
        Step::Share(who) => {
            let other = person(world, who);
            if world.peers[0].machine.book().is_contact(other) {
                let own = chumwire::book::profile_id(person(world, 0));
                world.peers[0].store.share(Reference::Id(own), other);
                shared.insert(who);
            }
        }
        Step::Fail(times) => world.peers[0].fails = times,
        Step::Restart => world.restart(0),
        Step::Wait(seconds) => world.run(Micros::secs(seconds)),
    }
}

fn check(world: &World, shared: &mut BTreeSet<usize>) -> Result<(), TestCaseError> {
    let alice = &world.peers[0];
    let (book, recipes) = (alice.machine.book(), Recipes::known());
    prop_assert_eq!(book.self_check(), Ok(()));
    // What is stored is what the machine has.
    let in_book: Vec<_> = book
        .someones()
        .map(|(_, someone)| someone.clone())
        .collect();
    prop_assert_eq!(&in_book, &alice.store.someones());
    // A contact of the node is one of the book, and the other way round.
    let in_node: BTreeSet<_> = alice
        .machine
        .node()
        .contacts()
        .map(|of| of.person_id)
        .collect();
    let persons = in_book.iter().flat_map(|someone| someone.contacts());
    let persons: BTreeSet<_> = persons.map(|(person, _)| person).collect();
    prop_assert_eq!(&in_node, &persons);
    prop_assert_eq!(&in_node, &alice.contacts.keys().copied().collect());
    // The list of all has the contacts, each with a version that says what the book says.
    let contacts = || book.someones().filter(|(_, someone)| someone.is_contact());
    let ids: BTreeSet<IdHash> = contacts().map(|(id, _)| IdHash(id.0)).collect();
    prop_assert_eq!(leute(&alice.store), ids);
    for (id, someone) in contacts() {
        let (_, stored) = alice
            .store
            .newest(&recipes, &IdHash(id.0))
            .expect("a version");
        let due = recipes.write(&someone.object()).expect("a contact");
        prop_assert_eq!(recipes.write(&stored).expect("a contact"), due);
    }
    // Nobody has what was not shared with him, and nobody what was taken back.
    shared.retain(|who| persons.contains(&world.peers[*who].person()));
    for who in 1..NAMES.len() {
        let granted = alice.store.granted_to(&recipes, world.peers[who].person());
        let due = usize::from(shared.contains(&who));
        let is_profile =
            |grant: &Grant| matches!(grant, Grant::Id { type_name, .. } if type_name == "Profile");
        prop_assert!(
            granted.len() == due && granted.iter().all(is_profile),
            "{who}: {granted:?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Demands: M10.4, M10.6.
    #[test]
    fn what_is_stored_of_contacts_is_what_is_so(steps in steps()) {
        let mut world = World::new();
        for (i, name) in NAMES.into_iter().enumerate() {
            world.add(name, identity(name, "device", i as u8 + 1));
        }
        world.call(0, |machine, now| machine.keep_in_touch(now));
        let mut shared = BTreeSet::new();
        for of in &steps {
            step(&mut world, of, &mut shared);
            check(&world, &mut shared)?;
        }
    }
}
