//! Who one is: names that may be given, and secrets that come out as they went in.

use crate::support::people::made_up;
use chumwire::crypto::{Nacl, Random, Reference};
use chumwire::identity::{BadIdentity, Identity};
use chumwire::limits;

fn generate(email: &str, name: &str) -> Result<(), BadIdentity> {
    Identity::generate::<Nacl>(&mut Random::new([1; 32]), email, name).map(drop)
}

/// Deployed peers compute other ids for some characters, so no new email or name has them.
///
/// Demands: M7.4.
#[test]
fn new_names_have_no_characters_of_microdata() {
    let longest = "n".repeat(limits::NAME);
    for good in ["a", "é@例.org", "'quoted' \"name\"", &longest] {
        assert_eq!(generate(good, good), Ok(()), "{good}");
    }
    let too_long = "n".repeat(limits::NAME + 1);
    for bad in [
        "",
        "a&b",
        "<",
        ">",
        "a<b>",
        "line\nbreak",
        "\u{7f}",
        "\0",
        &too_long,
    ] {
        assert_eq!(generate(bad, "name"), Err(BadIdentity::Email), "{bad:?}");
        assert_eq!(generate("email", bad), Err(BadIdentity::Name), "{bad:?}");
    }
}

#[test]
fn what_is_exported_is_the_same_identity() {
    let alice = made_up("alice");
    let (email, name) = (&alice.person().email, &alice.instance().name);
    let secrets = alice.export_secrets();
    for again in [
        Identity::import::<Nacl>(email, name, &secrets),
        Identity::import::<Reference>(email, name, &secrets),
    ] {
        assert_eq!(again.export_secrets(), secrets);
        assert_eq!(again.person_keys(), alice.person_keys());
        assert_eq!(again.instance_key().public(), alice.instance_key().public());
        assert_eq!(again.instance_sign_key(), alice.instance_sign_key());
        assert_eq!(again.instance_id(), alice.instance_id());
        assert_eq!(again, alice);
    }
    // The four secrets differ.
    let parts: std::collections::BTreeSet<_> = secrets.expose().chunks(32).collect();
    assert_eq!(parts.len(), 4);
}
