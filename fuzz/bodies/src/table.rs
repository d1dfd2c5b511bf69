//! The table of the targets.

use arbitrary::{Arbitrary, Unstructured};
use chumwire::crypto::Nacl;
use chumwire_sim::Insecure;

use crate::{
    book, channels, chum, codecs, frames, lists, machines, model, node, objects, order,
    registration, relay, rpc, schedules, session, sync, trace,
};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its program, and of its corpus.
    pub name: &'static str,
    /// What the bytes of the fuzzer become.
    pub goes_in: &'static str,
    /// What has to hold, besides that nothing panics.
    pub asserted: &'static str,
    /// What is done with the bytes.
    pub body: fn(&[u8]),
}

/// Gives a body what the bytes stand for.
fn with<'a, T: Arbitrary<'a>>(bytes: &'a [u8], body: impl FnOnce(T)) {
    if let Ok(input) = T::arbitrary_take_rest(Unstructured::new(bytes)) {
        body(input);
    }
}

macro_rules! targets {
    ($($name:literal: $goes_in:literal => $asserted:literal, $body:expr;)+) => {
        /// The targets, in the order of their names.
        pub const TARGETS: &[Target] = &[$(Target {
            name: $name,
            goes_in: $goes_in,
            asserted: $asserted,
            body: $body,
        }),+];
    };
}

targets! {
    "book": "contacts that may be stored, what a user does, other devices, crashes"
        => "the tables agree after every step; what is stored is what is so",
        |bytes| with(bytes, book::book);
    "boxes": "a box with its nonce, and bits to turn in one"
        => "both suites say the same; only the box itself opens",
        codecs::boxes;
    "channels": "two who write into one channel, at any times and whatever else, and meet"
        => "both come to one list; nobody makes versions for ever; stores are whole",
        |bytes| with(bytes, channels::channels);
    "checkpoint": "an exploration that was put away, changed"
        => "it is refused, or is another one",
        |bytes| with(bytes, schedules::checkpoint);
    "chum": "two stores, CHUM in both directions, and somebody between who knows all hashes"
        => "stores are whole; what is not granted stays; deadlines move; the end is the end",
        |bytes| with(bytes, |actions: Vec<_>| chum::chum(chum::Of::Both, &actions));
    "establishment": "both roles of the establishment, real cryptography, and somebody between who sees all in clear"
        => "nobody poses as another; deadlines move; after a fault all is harmless",
        |bytes| with(bytes, machines::establishment::<Nacl>);
    "exporter": "the exporter of CHUM, and an importer that asks for anything"
        => "what is not granted stays; deadlines move; the end is the end",
        |bytes| with(bytes, |actions: Vec<_>| chum::chum(chum::Of::Exporter, &actions));
    "fragments": "fragments, control words and texts"
        => "escapes are undone; an assembled message is within its limit",
        |bytes| with(bytes, frames::fragments);
    "frames": "frames to a channel: raw, well sealed, of any plaintext"
        => "messages are within their limit; nothing is due after a fault",
        |bytes| with(bytes, frames::frames);
    "handshake": "both roles of the handshake, insecure suite, and somebody between"
        => "deadlines move; after a fault all is harmless; time ends it",
        |bytes| with(bytes, machines::handshake::<Insecure>);
    "handshake_real": "the same, real cryptography"
        => "the same",
        |bytes| with(bytes, machines::handshake::<Nacl>);
    "history": "a schedule of a play of the explorer, with up to two faults"
        => "the model finds nothing wrong after any move",
        |bytes| with(bytes, schedules::history);
    "importer": "the importer of CHUM, an exporter that lies, and a store that is late or fails"
        => "the store is whole after every write; deadlines move; the end is the end",
        |bytes| with(bytes, |actions: Vec<_>| chum::chum(chum::Of::Importer, &actions));
    "invitation": "the text of an invitation, as it is pasted"
        => "what is read is the same in both of its forms",
        |bytes| with(bytes, codecs::invitation);
    "json": "a control message of any layer"
        => "what is read is written back as itself",
        |bytes| with(bytes, codecs::json);
    "lists": "the lists of CHUM: roots, children, roots since"
        => "what is read is written back as itself; limits hold",
        |bytes| with(bytes, lists::lists);
    "microdata": "the text of an object, as a peer sends it"
        => "a text that is read is the one text of its object; its id is that of its id object",
        |bytes| with(bytes, objects::microdata);
    "model": "transitions of two nodes and a relay that a small model of them allows, at most 30"
        => "who knows whom, invitations, connections and texts are as in the model; the invariants of the simulator",
        model::model;
    "node": "two nodes that pair, insecure suite, and somebody between; polled or not"
        => "the tables agree; deadlines move; `Full` changes nothing; nobody poses as another",
        |bytes| with(bytes, node::node::<Insecure>);
    "node_real": "the same, real cryptography"
        => "the same",
        |bytes| with(bytes, node::node::<Nacl>);
    "objects": "any recipe, an object of it, and changes of its text"
        => "what is written is read as itself; what is read after a change is the one text of its object",
        |bytes| with(bytes, objects::objects);
    "order": "frames in any order, to a channel with any reorder window"
        => "what is read is what was said; what is held is bounded",
        |bytes| with(bytes, |(window, actions)| order::order(window, actions));
    "padding": "the plaintext of a frame"
        => "what is left is a part of it",
        frames::padding;
    "pairing": "both roles of a pairing, and somebody between who sees all in clear"
        => "nobody poses as another; a contact is stored once; deadlines move; after a fault all is harmless",
        |bytes| with(bytes, machines::pairing);
    "records": "a record of a node, as it is stored"
        => "what is read is written back as itself",
        |bytes| with(bytes, codecs::records);
    "registration": "a listener, insecure suite, and a relay of bad will"
        => "one fault at most; deadlines move; what is not taken changes nothing",
        |bytes| with(bytes, registration::registration::<Insecure>);
    "relay": "a relay with many connections, insecure suite"
        => "the tables agree; all is bounded; deadlines move; `Full` changes nothing; a shutdown ends it",
        |bytes| with(bytes, relay::relay::<Insecure>);
    "relay_real": "the same, real cryptography"
        => "the same",
        |bytes| with(bytes, relay::relay::<Nacl>);
    "rpc": "two machines of requests and answers, and somebody between"
        => "each request ends once; all is bounded; deadlines move; `Full` changes nothing",
        |bytes| with(bytes, rpc::rpc);
    "scene": "the choices of a scenario of the simulator, with any faults"
        => "the invariants of the simulator, and what the scenario requires",
        |bytes| with(bytes, schedules::scene);
    "session": "two sessions that pair, real cryptography, and somebody between"
        => "a fault is the last word; deadlines move; nobody poses as another",
        |bytes| with(bytes, session::session);
    "sync": "two whole instances that have paired, a bad connection, stores that are late or fail"
        => "the tables agree; stores are whole; deadlines move; a shutdown ends it",
        |bytes| with(bytes, sync::sync);
    "trace": "a recorded trace with lines changed, or anything"
        => "what is read is written back as itself; drawing, explaining and replaying do no harm",
        |bytes| with(bytes, trace::trace);
    "versions": "three versions of a thing, and their nodes"
        => "the order of merges makes no difference; merging again changes nothing",
        |bytes| with(bytes, lists::versions);
}

/// Runs the body of a target: one program of `fuzz/targets` does no more than this.
///
/// # Panics
/// If there is no such target, or if what has to hold does not.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of the table").body)(bytes);
}
