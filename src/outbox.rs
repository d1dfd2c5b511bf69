//! The outputs of a machine of one connection, in order, until they are polled.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto::Wiped;
use crate::fault::Fault;
use crate::io::{Kind, Output};
use crate::note::{Layer, Note};

/// A queue of outputs. After a fault nothing more goes in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outbox<E> {
    queue: VecDeque<Item<E>>,
    layer: Layer,
    notes: bool,
    failed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Item<E> {
    /// Some of these are secrets on their way to the seal.
    Send(Kind, Wiped),
    Other(Output<E>),
}

impl<E> Outbox<E> {
    pub(crate) const fn new(layer: Layer, notes: bool) -> Self {
        Self {
            queue: VecDeque::new(),
            layer,
            notes,
            failed: false,
        }
    }

    pub(crate) fn text(&mut self, name: &'static str, text: String) {
        self.send(name, Kind::Text, text.into_bytes());
    }

    pub(crate) fn binary(&mut self, name: &'static str, bytes: &[u8]) {
        self.send(name, Kind::Binary, bytes.into());
    }

    fn send(&mut self, name: &'static str, kind: Kind, bytes: Vec<u8>) {
        if self.failed {
            return;
        }
        self.note(true, name, bytes.len());
        self.queue.push_back(Item::Send(kind, bytes.into()));
    }

    /// A message of that name was understood.
    pub(crate) fn received(&mut self, name: &'static str, bytes: usize) {
        self.note(false, name, bytes);
    }

    fn note(&mut self, sent: bool, name: &'static str, bytes: usize) {
        if self.notes {
            let note = Note {
                sent,
                layer: self.layer,
                name,
                bytes,
                nonce: None,
            };
            self.queue.push_back(Item::Other(Output::Note(note)));
        }
    }

    pub(crate) fn event(&mut self, event: E) {
        if !self.failed {
            self.queue.push_back(Item::Other(Output::Event(event)));
        }
    }

    /// The end. What was queued before is still given.
    pub(crate) fn fail(&mut self, fault: Fault) {
        if !self.failed {
            self.failed = true;
            self.queue.push_back(Item::Other(Output::Fault(fault)));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn poll(&mut self, bytes: &mut Vec<u8>) -> Option<Output<E>> {
        Some(match self.queue.pop_front()? {
            Item::Send(kind, mut message) => {
                *bytes = core::mem::take(&mut *message);
                Output::Send(kind)
            }
            Item::Other(output) => output,
        })
    }
}
