//! What the messages of the establishment have to say of themselves (spec 05).

use chumwire::crypto::{Nacl, Random};
use chumwire::establish::{
    Group, instance_id_object, keys_object, person_id_object, read_instance_id_object,
    read_keys_object, read_person_id_object,
};
use chumwire::fault::JsonFault;
use chumwire::identity::Identity;

/// The object in a message is of the type that is due, even if it has all of its members.
#[test]
fn an_object_of_another_type_is_refused() {
    let own = Identity::generate::<Nacl>(&mut Random::new([1; 32]), "a@example.com", "a").unwrap();
    let person = person_id_object(own.person());
    let keys = keys_object(&own.person_keys());
    let instance = instance_id_object(own.instance());
    assert!(read_person_id_object(&person).is_ok());
    assert!(read_keys_object(&keys).is_ok());
    assert!(read_instance_id_object(&instance).is_ok());
    let other = |text: &str, name: &str| text.replace(&format!("\"{name}\""), "\"Other\"");
    let refused = [
        read_person_id_object(&other(&person, "Person")).map(drop),
        read_keys_object(&other(&keys, "Keys")).map(drop),
        read_instance_id_object(&other(&instance, "Instance")).map(drop),
    ];
    for refused in refused {
        let fault = refused.expect_err("another type");
        let JsonFault::Member { member, .. } = fault else {
            panic!("{fault}");
        };
        assert_eq!(member, "$type$");
    }
}

#[test]
fn a_long_name_of_a_group_is_shown_in_part() {
    assert_eq!(Group::named("chum").shown(), "chum");
    let long = "é".repeat(99);
    assert_eq!(Group::named(&long).shown(), "é".repeat(16));
}
