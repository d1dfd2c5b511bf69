//! Boxes, keys of pairs, nonces and padding against two other implementations, with random cases from a fixed seed:
//! tweetnacl, under Node, and libsodium, under Python. Both suites of ours have to agree with both of them.
//!
//! One that is not there is left out with a word, unless `CHUMWIRE_NEEDS_DIFFERENTIAL` is set. What is needed:
//! `npm ci` in tests/differential; the library `libsodium` of the system.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chumwire::channel::{COUNTER_END, Counter, Opener, Sealer, nonce, strip};
use chumwire::crypto::{Nacl, PairKey, Purpose, Random, RawKey, Reference, Secret, Suite};
use chumwire::hex;
use serde_json::{Value, json};

const SEED: [u8; 32] = *b"chumwire, the differential tests";
const CASES: usize = 400;
const LONGEST: usize = 3000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential")
}

/// What is drawn for the cases.
struct Draw(Random);

impl Draw {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill(Purpose::Fork, &mut bytes);
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.0.array(Purpose::Fork)
    }

    fn below(&mut self, bound: usize) -> usize {
        (u64::from_le_bytes(self.array()) % bound as u64) as usize
    }

    /// Short ones more often than long ones.
    fn length(&mut self) -> usize {
        let most = [1, 40, 300, LONGEST][self.below(4)];
        self.below(most + 1)
    }
}

fn text_of(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(|digits| {
        assert!(digits.len().is_multiple_of(2));
        let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
        (0..digits.len()).step_by(2).map(digit).collect()
    })
}

/// A case, and what ours say to its answer.
struct Case {
    request: Value,
    check: Box<dyn Fn(&Value)>,
}

fn sealed_by<S: Suite>(key: &S::Pair, nonce: &[u8; 24], plain: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; plain.len() + 16];
    key.seal(nonce, plain, &mut sealed);
    sealed
}

fn opened_by<S: Suite>(key: &S::Pair, nonce: &[u8; 24], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut plain = vec![0; sealed.len().checked_sub(16)?];
    let opened = key.open(nonce, sealed, &mut plain).is_ok();
    assert_eq!(key.verify(nonce, sealed), opened);
    opened.then_some(plain)
}

/// Keys, and a box both ways: theirs is ours, each opens the other's, and one that was altered is refused by all.
fn box_case(draw: &mut Draw) -> Case {
    let (own, theirs): ([u8; 32], [u8; 32]) = (draw.array(), draw.array());
    let (nonce, length) = (draw.array::<24>(), draw.length());
    let plain = draw.bytes(length);
    let secret = |mut bytes: [u8; 32]| Secret::take(&mut bytes);
    let public = Nacl::public_key(&secret(theirs));
    let key = Nacl::before(&public, &secret(own)).expect("a good key");
    let sealed = sealed_by::<Nacl>(&key, &nonce, &plain);
    let mut altered = sealed.clone();
    match draw.below(3) {
        0 => altered.truncate(draw.below(sealed.len())),
        1 => altered.push(0),
        _ => altered[draw.below(sealed.len())] ^= 1 << draw.below(8),
    }
    let request = json!({
        "op": "box", "own": hex::encode(&own), "theirs": hex::encode(&public), "nonce": hex::encode(&nonce),
        "plain": hex::encode(&plain), "sealed": hex::encode(&sealed), "altered": hex::encode(&altered),
    });
    let check = move |answer: &Value| {
        both::<Nacl>(answer, &public, own, &nonce, &plain, &altered);
        both::<Reference>(answer, &public, own, &nonce, &plain, &altered);
    };
    Case {
        request,
        check: Box::new(check),
    }
}

fn both<S: Suite<Pair: RawKey>>(
    answer: &Value,
    public: &[u8; 32],
    mut own: [u8; 32],
    nonce: &[u8; 24],
    plain: &[u8],
    altered: &[u8],
) {
    let secret = Secret::take(&mut own);
    let is = |name: &str, due: &[u8]| {
        assert_eq!(text_of(&answer[name]).as_deref(), Some(due), "{name}");
    };
    is("public", &S::public_key(&secret));
    let key = S::before(public, &secret).expect("a good key");
    let raw: [u8; 32] = text_of(&answer["before"])
        .expect("a key")
        .try_into()
        .expect("32 bytes");
    let theirs = S::Pair::from_raw(Secret::take(&mut raw.clone()));
    let sealed = sealed_by::<S>(&key, nonce, plain);
    assert_eq!(sealed_by::<S>(&theirs, nonce, plain), sealed, "before");
    is("sealed", &sealed);
    is("opened", plain);
    assert_eq!(opened_by::<S>(&key, nonce, &sealed).as_deref(), Some(plain));
    assert_eq!(answer["altered"], Value::Null, "an altered box");
    assert_eq!(opened_by::<S>(&key, nonce, altered), None);
}

/// A whole frame, from the counter to the tag.
fn frame_case(draw: &mut Draw) -> Case {
    let key: [u8; 32] = draw.array();
    let counter = match draw.below(3) {
        0 => draw.below(4) as u64,
        1 => draw.below(1 << 20) as u64,
        _ => u64::from_le_bytes(draw.array()) % COUNTER_END,
    };
    let is_text = draw.below(2) == 0;
    let length = draw.length();
    let message = draw.bytes(length);
    // The length of the padding is a byte that is drawn: 0 for none at all, else one more than there is.
    let drawn = [0, 1, 255, draw.below(256)][draw.below(4)] as u8;
    let random = drawn.checked_sub(1).map(|count| draw.bytes(count.into()));
    let request = json!({
        "op": "frame", "key": hex::encode(&key), "counter": counter, "text": is_text,
        "random": random.as_deref().map(hex::encode), "message": hex::encode(&message),
    });
    let check = move |answer: &Value| {
        assert_eq!(
            text_of(&answer["nonce"]).as_deref(),
            Some(&nonce(counter)[..])
        );
        let plain = text_of(&answer["plain"]).expect("a plaintext");
        let (as_text, start) = strip(&plain).expect("good padding");
        assert_eq!((as_text, &plain[start..]), (is_text, &message[..]));
        let frame = text_of(&answer["frame"]).expect("a frame");
        let draws = [
            (Purpose::PadLength, vec![drawn]),
            (Purpose::PadBytes, random.clone().unwrap_or_default()),
        ];
        let random = Random::scripted([0; 32], draws);
        let ours = frame_by::<Nacl>(key, counter, random.clone(), is_text, &message);
        assert_eq!(hex::encode(&ours), hex::encode(&frame));
        let ours = frame_by::<Reference>(key, counter, random, is_text, &message);
        assert_eq!(hex::encode(&ours), hex::encode(&frame));
    };
    Case {
        request,
        check: Box::new(check),
    }
}

fn frame_by<S: Suite<Pair: RawKey>>(
    mut key: [u8; 32],
    counter: u64,
    random: Random,
    text: bool,
    message: &[u8],
) -> Vec<u8> {
    let key = S::Pair::from_raw(Secret::take(&mut key));
    let (at, mut frame) = (Counter::at(counter), Vec::new());
    let used = Sealer::at(key.clone(), at.clone(), random).seal(text, message, 0, &mut frame);
    assert_eq!(used, Ok(counter));
    let mut plain = Vec::new();
    let opened = Opener::at(key, at).open(&frame, &mut plain);
    let opened = opened.expect("it opens");
    assert_eq!((opened.text, &plain[opened.start..]), (text, message));
    frame
}

/// Any plaintext: all read the same message from it, or none.
fn strip_case(draw: &mut Draw) -> Case {
    let length = [draw.below(12), draw.below(400)][draw.below(2)];
    let mut plain = draw.bytes(length);
    if let Some(first) = plain.first_mut() {
        *first &= [0xff, 0x11, 0x19][draw.below(3)];
    }
    if let Some(second) = plain.get_mut(1) {
        *second = [*second, draw.below(16) as u8][draw.below(2)];
    }
    let request = json!({"op": "strip", "plain": hex::encode(&plain)});
    let check = move |answer: &Value| {
        let ours = strip(&plain)
            .ok()
            .map(|(text, start)| json!({"text": text, "message": hex::encode(&plain[start..])}));
        assert_eq!(
            answer["stripped"],
            ours.unwrap_or(Value::Null),
            "{}",
            hex::encode(&plain)
        );
    };
    Case {
        request,
        check: Box::new(check),
    }
}

/// Keys that everybody could compute with: libsodium refuses them, too; tweetnacl does not look.
fn weak_cases() -> impl Iterator<Item = Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/box_embedded_nonce.json");
    let text = std::fs::read_to_string(path).expect("the vectors");
    let vectors: Value = serde_json::from_str(&text).expect("JSON");
    let keys = vectors["lowOrderPublicKeys"].as_array().expect("a list");
    let keys: Vec<_> = keys.iter().map(|key| key["publicKey"].clone()).collect();
    assert!(!keys.is_empty());
    keys.into_iter().map(|theirs| {
        let own = [9; 32];
        let request = json!({"op": "weak", "own": hex::encode(&own), "theirs": theirs});
        let public: [u8; 32] = text_of(&theirs)
            .expect("a key")
            .try_into()
            .expect("32 bytes");
        let check = move |answer: &Value| {
            let refused = Nacl::before(&public, &Secret::take(&mut own.clone())).is_err();
            assert!(refused);
            if let Some(theirs) = answer["refused"].as_bool() {
                assert!(theirs, "libsodium takes {}", hex::encode(&public));
            }
        };
        Case {
            request,
            check: Box::new(check),
        }
    })
}

fn cases() -> Vec<Case> {
    let mut draw = Draw(Random::new(SEED));
    let mut cases: Vec<Case> = weak_cases().collect();
    for _ in 0..CASES {
        cases.push(box_case(&mut draw));
        cases.push(frame_case(&mut draw));
        cases.push(strip_case(&mut draw));
    }
    cases
}

/// Runs a script with all cases, and compares what it answers.
#[expect(
    clippy::disallowed_methods,
    reason = "what reads answers cannot write questions at once"
)]
fn compare(program: &str, script: &str) {
    let cases = cases();
    let mut child = Command::new(program)
        .arg(folder().join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("its input");
    let requests: String = cases.iter().map(|c| format!("{}\n", c.request)).collect();
    // It may answer before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(requests.as_bytes()));
    let mut answers = String::new();
    let stdout = child.stdout.as_mut().expect("its output");
    stdout.read_to_string(&mut answers).expect("answers");
    writer.join().expect("no panic").expect("it reads all");
    assert!(child.wait().expect("it ends").success());
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(answers) {
        let answer = serde_json::from_str(answer).expect("JSON");
        (case.check)(&answer);
    }
    println!("{} cases agree with {script}", cases.len());
}

/// Whether the other implementation can be asked. If not, that is said, or is a failure.
fn is_there(what: &str, program: &str, probe: &[&str]) -> bool {
    let there = Command::new(program)
        .args(probe)
        .current_dir(folder())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let needed = std::env::var_os("CHUMWIRE_NEEDS_DIFFERENTIAL").is_some();
    assert!(there || !needed, "{what} is missing");
    if !there {
        println!("skipped: {what} is missing");
    }
    there
}

#[test]
fn ours_agree_with_tweetnacl() {
    if is_there("tweetnacl", "node", &["-e", "require('tweetnacl')"]) {
        compare("node", "tweetnacl.mjs");
    }
}

#[test]
fn ours_agree_with_libsodium() {
    let probe = "import ctypes.util, sys; sys.exit(ctypes.util.find_library('sodium') is None)";
    if is_there("libsodium", "python3", &["-c", probe]) {
        compare("python3", "libsodium.py");
    }
}
