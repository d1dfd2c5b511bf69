//! Boxes and nonces against recordings of the deployed peer (spec 01 and 04).

mod support;

use chumwire::channel::{COUNTER_END, Counter, nonce};
use chumwire::crypto::{
    self, Instance, KeyPair, OVERHEAD, OpenError, PairKey, Purpose, Random, RawKey, Secret,
    SmallOrder, Static, Suite,
};
use chumwire::hex;
use chumwire::role::Role;
use serde_json::Value;
use support::people::key_pair;
use support::vectors::{array, bytes, list, load, size, text};
use support::with_both_suites;

with_both_suites!(
    boxes_are_the_recorded_ones_and_open_on_both_sides,
    the_key_of_a_pair_is_the_recorded_one,
    boxes_of_fixed_length_are_the_recorded_ones,
    damaged_boxes_do_not_open,
    keys_of_small_order_are_refused,
);

struct Keys<S: Suite> {
    a: KeyPair<Static>,
    b: KeyPair<Instance>,
    a_to_b: S::Pair,
    b_to_a: S::Pair,
    wrong: KeyPair<Static>,
}

fn keys<S: Suite>(vectors: &Value) -> Keys<S> {
    let keys = &vectors["keys"];
    let (a, b): (KeyPair<Static>, KeyPair<Instance>) =
        (key_pair::<S, _>(&keys["A"]), key_pair::<S, _>(&keys["B"]));
    let a_to_b = a.before::<S, _>(&b.public()).expect("a good key");
    let b_to_a = b.before::<S, _>(&a.public()).expect("a good key");
    Keys {
        a,
        b,
        a_to_b,
        b_to_a,
        wrong: key_pair::<S, _>(&keys["wrong"]),
    }
}

/// Opens a box of any length that carries its nonce.
fn open_any(key: &impl PairKey, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_first_chunk()?;
    let mut plain = vec![0; body.len().checked_sub(crypto::TAG)?];
    key.open(nonce, body, &mut plain).ok()?;
    Some(plain)
}

fn boxes_are_the_recorded_ones_and_open_on_both_sides<S: Suite>() {
    let vectors = load("box_embedded_nonce");
    let keys = keys::<S>(&vectors);
    assert!(list(&vectors["cases"]).len() >= 20);
    for case in list(&vectors["cases"]) {
        let name = text(&case["name"]);
        let (data, nonce) = (bytes(&case["data"]), array::<24>(&case["nonce"]));
        let mut sealed = nonce.to_vec();
        sealed.resize(data.len() + OVERHEAD, 0);
        keys.a_to_b.seal(&nonce, &data, &mut sealed[24..]);
        assert_eq!(hex::encode(&sealed), text(&case["output"]), "{name}");
        assert_eq!(sealed.len(), size(&case["outputLength"]), "{name}");
        assert_eq!(
            open_any(&keys.b_to_a, &sealed),
            Some(bytes(&case["decryptedByB"])),
            "{name}"
        );
        let by_itself = bytes(&case["decryptedByAItself"]);
        assert_eq!(open_any(&keys.a_to_b, &sealed), Some(by_itself), "{name}");
        assert!(keys.b_to_a.verify(&nonce, &sealed[24..]), "{name}");
    }
}

fn the_key_of_a_pair_is_the_recorded_one<S: Suite<Pair: RawKey>>() {
    let vectors = load("box_embedded_nonce");
    let keys = keys::<S>(&vectors);
    let recorded = S::Pair::from_raw(Secret::take(&mut array(&vectors["keys"]["sharedAB"])));
    for case in list(&vectors["cases"]) {
        let sealed = bytes(&case["output"]);
        assert_eq!(open_any(&recorded, &sealed), Some(bytes(&case["data"])));
        let (mut one, mut two) = (vec![0; 32], vec![0; 32]);
        recorded.seal(&[1; 24], &[2; 16], &mut one);
        keys.b_to_a.seal(&[1; 24], &[2; 16], &mut two);
        assert_eq!(one, two);
    }
}

/// The two lengths that travel: a key of 32 bytes, a challenge of 64.
///
/// Demands: M1.2.
fn boxes_of_fixed_length_are_the_recorded_ones<S: Suite>() {
    let vectors = load("box_embedded_nonce");
    let keys = keys::<S>(&vectors);
    let mut seen = (0, 0);
    for case in list(&vectors["cases"]) {
        let (data, output) = (bytes(&case["data"]), bytes(&case["output"]));
        let mut random = Random::scripted([0; 32], [(Purpose::BoxNonce, bytes(&case["nonce"]))]);
        if let Ok(plain) = <[u8; 32]>::try_from(&data[..]) {
            let sealed: [u8; 72] = crypto::seal(&keys.a_to_b, &mut random, &plain);
            assert_eq!(sealed[..], output);
            let opened = crypto::open::<32>(&keys.b_to_a, &output).expect("a good box");
            assert_eq!(*opened.expose(), plain);
            seen.0 += 1;
        } else if let Ok(plain) = <[u8; 64]>::try_from(&data[..]) {
            let sealed: [u8; 104] = crypto::seal(&keys.a_to_b, &mut random, &plain);
            assert_eq!(sealed[..], output);
            let opened = crypto::open::<64>(&keys.b_to_a, &output).expect("a good box");
            assert_eq!(*opened.expose(), plain);
            seen.1 += 1;
        } else {
            let (expected, got) = (72, output.len());
            let refused = crypto::open::<32>(&keys.b_to_a, &output).err();
            assert_eq!(refused, Some(OpenError::Length { expected, got }));
        }
    }
    assert!(seen.0 > 0 && seen.1 > 0, "{seen:?}");
}

/// Demands: M1.2.
fn damaged_boxes_do_not_open<S: Suite>() {
    let vectors = load("box_embedded_nonce");
    let keys = keys::<S>(&vectors);
    for case in list(&vectors["failures"]) {
        let (name, sealed) = (text(&case["name"]), bytes(&case["input"]));
        let other = match name {
            "wrong receiver secret key" => keys.wrong.before::<S, _>(&keys.a.public()),
            "wrong sender public key" => keys.b.before::<S, _>(&keys.wrong.public()),
            _ => Ok(keys.b_to_a.clone()),
        };
        let key = other.expect("a good key");
        assert_eq!(open_any(&key, &sealed), None, "{name}");
        let fault = crypto::open::<32>(&key, &sealed).err();
        // The length is looked at first, whatever is inside.
        let due = if sealed.len() == 72 {
            OpenError::Forged
        } else {
            OpenError::Length {
                expected: 72,
                got: sealed.len(),
            }
        };
        assert_eq!(fault, Some(due), "{name}");
        if let Some((nonce, body)) = sealed.split_first_chunk() {
            assert!(!key.verify(nonce, body), "{name}");
        }
    }
}

/// The deployed peer computes a key that everybody knows; ours refuses (spec 01).
///
/// Demands: M1.1.
fn keys_of_small_order_are_refused<S: Suite>() {
    let vectors = load("box_embedded_nonce");
    let secret = Secret::take(&mut array(&vectors["keys"]["A"]["secret"]));
    for case in list(&vectors["lowOrderPublicKeys"]) {
        let key = array(&case["publicKey"]);
        assert_eq!(
            S::before(&key, &secret).err(),
            Some(SmallOrder),
            "{}",
            text(&case["name"])
        );
    }
}

/// Lengths are checked by types; from the wire they come as hex digits, and there are exactly 64.
///
/// Demands: M0.1.
#[test]
fn keys_have_exactly_32_bytes() {
    for case in list(&load("box_embedded_nonce")["ensureLengthChecks"]) {
        let digits = "ab".repeat(size(&case["length"]));
        let accepted = case["result"].get("returns").is_some();
        let ours = match text(&case["fn"]) {
            "ensureNonce" => hex::decode::<24>(&digits).is_some(),
            _ => hex::decode::<32>(&digits).is_some(),
        };
        assert_eq!(ours, accepted, "{case}");
    }
}

#[test]
fn nonces_are_the_recorded_ones_and_end_where_recorded() {
    for case in list(&load("nonce")["cases"]) {
        let counter = case["counter"].as_u64().expect("a counter");
        let sendable = Counter::at(counter).peek();
        match case["result"].get("returns") {
            Some(recorded) => {
                assert_eq!(sendable, Some(counter));
                assert_eq!(nonce(counter), array::<24>(recorded), "{counter}");
            }
            None => {
                assert_eq!(sendable, None, "{counter}");
                assert!(counter >= COUNTER_END);
            }
        }
    }
}

/// Demands: M4.1.
#[test]
fn each_role_counts_as_recorded() {
    let vectors = load("nonce");
    for (name, role) in [("initiator", Role::Initiator), ("acceptor", Role::Acceptor)] {
        let recorded = &vectors[name];
        for (nonces, first, sender) in [
            ("localNonces", "localFirst", role),
            ("remoteNonces", "remoteFirst", role.peer()),
        ] {
            let mut counter = Counter::of(sender);
            assert_eq!(counter.peek(), recorded[first].as_u64(), "{name} {first}");
            for due in list(&recorded[nonces]) {
                assert_eq!(nonce(counter.peek().expect("a counter")), array::<24>(due));
                counter.advance();
            }
        }
    }
}

/// Demands: M4.1.
#[test]
fn a_counter_never_wraps() {
    let mut counter = Counter::at(u64::MAX - 1);
    for _ in 0..4 {
        counter.advance();
        assert_eq!(counter.peek(), None);
    }
}
