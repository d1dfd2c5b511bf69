//! Keys, secrets and generators as values: when they are equal, in which order they are, and how they show themselves.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};

use crate::support::with_both_suites;
use chumwire::crypto::{
    Instance, KeyPair, Nacl, PairKey, Person, PublicKey, Purpose, Random, RawKey, Secret,
    SmallOrder, Suite, constant_time_eq,
};
use chumwire::objects::SignKey;
use chumwire::pairing::Invitation;

with_both_suites!(keys_of_pairs_are_equal_if_they_seal_alike);

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn pair(n: u8) -> KeyPair<Person> {
    KeyPair::from_secret::<Nacl>(Secret::take(&mut [n; 32]))
}

fn keys_of_pairs_are_equal_if_they_seal_alike<S: Suite<Pair: RawKey>>() {
    let key = |n, m| {
        pair(n)
            .before::<S, _>(&pair(m).public())
            .expect("a good key")
    };
    let sealed = |key: &S::Pair| {
        let mut sealed = vec![0; 19];
        key.seal(&[1; 24], b"abc", &mut sealed);
        sealed
    };
    assert_eq!(sealed(&key(1, 2)), sealed(&key(2, 1)));
    assert!(key(1, 2) == key(2, 1) && key(1, 2) != key(1, 3));
    assert_eq!(hash(&key(1, 2)), hash(&key(2, 1)));
    assert_ne!(hash(&key(1, 2)), hash(&key(1, 3)));
    let raw = |n| S::Pair::from_raw(Secret::take(&mut [n; 32]));
    assert!(raw(1) == raw(1) && raw(1) != raw(2) && raw(1) == raw(1).clone());
    assert_ne!(hash(&raw(1)), hash(&raw(2)));
    assert_ne!(sealed(&raw(1)), sealed(&raw(2)));
    assert!(shown(&raw(77)).contains("<secret>"));
    assert!(!shown(&raw(77)).contains("77"));
    // What is too short for a tag neither opens nor verifies.
    for length in 0..16 {
        assert!(raw(1).open(&[1; 24], &vec![0; length], &mut []).is_err());
        assert!(!raw(1).verify(&[1; 24], &vec![0; length]));
    }
    assert_eq!(
        S::before(&[0; 32], &Secret::take(&mut [1; 32])).err(),
        Some(SmallOrder)
    );
}

#[test]
fn public_keys_are_ordered_by_their_bytes_and_show_their_digits() {
    let sign_key = shown(&SignKey([0xab; 32]));
    assert!(sign_key.contains(&"ab".repeat(32)), "{sign_key}");
    let key = |n| PublicKey::<Instance>::new([n; 32]);
    assert!(key(1) < key(2) && key(2) > key(1) && key(1) <= key(1));
    assert_eq!(key(1).partial_cmp(&key(2)), Some(key(1).cmp(&key(2))));
    assert_eq!(key(1).cmp(&key(2)), [1; 32].cmp(&[2; 32]));
    assert!(key(1) == key(1) && key(1) != key(2));
    assert_eq!(hash(&key(1)), hash(&key(1)));
    assert_ne!(hash(&key(1)), hash(&key(2)));
    let digits = "0a".repeat(32);
    assert_eq!(key(10).hex(), digits);
    assert_eq!(key(10).to_string(), digits);
    assert_eq!(shown(&key(10)), format!("instance key {digits}"));
    assert_eq!(key(10).presented().bytes(), key(10).bytes());
}

#[test]
fn pairs_and_secrets_are_equal_by_their_secrets_and_show_none() {
    assert!(pair(1) == pair(1).clone() && pair(1) != pair(2));
    assert_eq!(hash(&pair(1)), hash(&pair(1)));
    assert_ne!(hash(&pair(1)), hash(&pair(2)));
    assert_eq!(
        pair(1).used_as::<Instance>().public().bytes(),
        pair(1).public().bytes()
    );
    assert_eq!(*pair(1).expose_secret().expose(), [1; 32]);
    let public = pair(7).public();
    assert_eq!(shown(&pair(7)), format!("{public:?} with <secret>"));

    let secret = |n: u8| Secret::<48>::take(&mut [n; 48]);
    assert!(secret(1) == secret(1) && secret(1) != secret(2));
    assert_eq!(hash(&secret(1)), hash(&secret(1)));
    assert_ne!(hash(&secret(1)), hash(&secret(2)));
    assert_eq!(shown(&secret(1)), "<secret>");
    let mut taken = [5; 16];
    assert_eq!(*Secret::take(&mut taken).expose(), [5; 16]);
    assert_eq!(taken, [0; 16], "it is wiped where it was");

    let json =
        serde_json::json!({"token": "t".repeat(64), "publicKey": "ab".repeat(32), "url": "ws://x"});
    let invitation = Invitation::read(&json.to_string()).expect("an invitation");
    assert_eq!(shown(invitation.token()), "Token(<secret>)");
    assert_eq!(shown(&invitation), "Invitation { url: \"ws://x\", .. }");
    assert!(shown(&invitation.id()).starts_with("InvitationId("));
}

#[test]
fn byte_strings_are_equal_if_all_bytes_are() {
    assert!(constant_time_eq(b"", b"") && constant_time_eq(b"abc", b"abc"));
    for other in [&b"abd"[..], b"bbc", b"ab", b"abcd", b""] {
        assert!(!constant_time_eq(b"abc", other));
    }
}

#[test]
fn generators_are_equal_and_give_what_is_asked() {
    let (mut one, two) = (Random::new([1; 32]), Random::new([2; 32]));
    assert_eq!(shown(&one), "Random(<secret>)");
    assert_eq!(one.below(Purpose::Jitter, 0), 0);
    assert_eq!(one.below(Purpose::Jitter, 1), 0);
    let drawn: std::collections::BTreeSet<_> =
        (0..200).map(|_| one.below(Purpose::Jitter, 10)).collect();
    assert_eq!(
        drawn.into_iter().collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    assert!(
        one == two && hash(&one) == hash(&two),
        "whatever they are at"
    );
    // A child is another one, and so is the parent behind it.
    let mut parent = Random::new([1; 32]);
    let mut child = parent.fork();
    let bytes = [&mut parent, &mut child, &mut Random::new([1; 32])]
        .map(|random| random.array::<32>(Purpose::Token));
    assert!(bytes[0] != bytes[1] && bytes[1] != bytes[2] && bytes[0] != bytes[2]);
    // A recorded value of another length is skipped.
    let draws = [(Purpose::Token, vec![9; 5]), (Purpose::Token, vec![8; 4])];
    let mut scripted = Random::scripted([1; 32], draws);
    assert_ne!(scripted.array::<4>(Purpose::Token), [9; 4]);
    assert_eq!(scripted.array::<4>(Purpose::Token), [8; 4]);
}
