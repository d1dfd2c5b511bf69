//! How a session moves: what one layer puts out, the next one takes in, until nothing moves any more.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use zeroize::Zeroize;

use super::machine::{Link, Session, SessionEvent, Stage};
use crate::channel::Channel;
use crate::crypto::Suite;
use crate::establish::{Establishment, Group, Surroundings};
use crate::fault::Refusal;
use crate::handshake::Asked;
use crate::io::{Kind, Message, Output};
use crate::note::{Layer, Note};
use crate::pairing::{Pairing, PairingEvent};
use crate::role::Role;
use crate::step::Step;
use crate::time::Now;

impl<S: Suite> Session<S> {
    /// Moves everything as far as it goes: what one layer puts out, the next one takes in.
    pub(super) fn pump(&mut self, now: Now, node: &mut dyn Surroundings) {
        while self.pump_once(now, node) {}
    }

    /// One round; whether something moved that another round has to look at.
    fn pump_once(&mut self, now: Now, node: &mut dyn Surroundings) -> bool {
        match &mut self.stage {
            Stage::Initiating(_) => self.pump_initiator(now),
            Stage::Accepting(_) => self.pump_acceptor(now),
            Stage::Establishing(..) => self.pump_establishment(now, node),
            Stage::Pairing(..) => self.pump_pairing(now, node),
            Stage::Connected(link) => {
                pass_notes(&mut link.channel, true, &mut self.events);
                if let Some(fault) = link.channel.take_fault() {
                    self.fail(fault);
                }
                false
            }
            Stage::Ended(..) => false,
        }
    }

    /// Passes on what is the same for every layer in clear; what is not comes back.
    fn forward<E>(&mut self, output: Output<E>, bytes: Vec<u8>) -> Option<E> {
        match output {
            Output::Event(event) => return Some(event),
            Output::Send(kind) => self.plain.push_back((kind, bytes)),
            Output::Note(note) => self.events.push_back(Output::Note(note)),
            Output::Fault(fault) => self.fail(fault),
        }
        None
    }

    pub(super) fn pump_initiator(&mut self, now: Now) -> bool {
        let Stage::Initiating(handshake) = &mut self.stage else {
            return false;
        };
        let mut bytes = Vec::new();
        let Some(output) = handshake.poll(&mut bytes) else {
            return false;
        };
        let Some(()) = self.forward(output, bytes) else {
            return true;
        };
        let Stage::Initiating(handshake) = self.take_stage() else {
            return false;
        };
        let (Some(done), Some((group, _))) = (handshake.finish(), &self.wanted) else {
            return false;
        };
        let Some(mut random) = self.random.take() else {
            return false;
        };
        let establishment = Establishment::initiator(
            now,
            self.config.establish.clone(),
            self.own.clone(),
            done.peer,
            random.fork(),
            group.clone(),
        );
        self.stage = Stage::Establishing(done.into(), establishment);
        true
    }

    fn pump_acceptor(&mut self, now: Now) -> bool {
        let Stage::Accepting(handshake) = &mut self.stage else {
            return false;
        };
        let mut bytes = Vec::new();
        let Some(output) = handshake.poll(&mut bytes) else {
            return false;
        };
        match self.forward(output, bytes) {
            None => true,
            Some(Asked::Request(request)) => {
                if request.source == self.own.instance_key().public().presented() {
                    self.refuse(Refusal::Oneself);
                }
                self.events
                    .push_back(Output::Event(SessionEvent::Request(request)));
                true
            }
            Some(Asked::Done) => {
                let Stage::Accepting(handshake) = self.take_stage() else {
                    return false;
                };
                let (Some(done), Some(mut random)) = (handshake.finish(), self.random.take())
                else {
                    return false;
                };
                let establishment = Establishment::acceptor(
                    now,
                    self.config.establish.clone(),
                    self.own.clone(),
                    done.peer,
                    random.fork(),
                );
                self.stage = Stage::Establishing(done.into(), establishment);
                true
            }
        }
    }

    /// The old stage, consumed on the way to the next one.
    fn take_stage(&mut self) -> Stage<S> {
        let step = self.step();
        core::mem::replace(&mut self.stage, Stage::Ended(None, step))
    }

    fn pump_establishment(&mut self, now: Now, node: &mut dyn Surroundings) -> bool {
        let Stage::Establishing(link, establishment) = &mut self.stage else {
            return false;
        };
        pass_notes(&mut link.channel, false, &mut self.events);
        let mut moved = false;
        let mut established = None;
        let mut fault = None;
        loop {
            let mut bytes = Vec::new();
            match establishment.poll(&mut bytes) {
                None => {}
                Some(Output::Event(peer)) => established = Some(peer),
                Some(Output::Fault(f)) => fault = Some(f),
                Some(Output::Note(note)) => self.events.push_back(framed(note, link)),
                Some(Output::Send(kind)) => {
                    send(&mut link.channel, now, kind, bytes, &mut self.events);
                }
            }
            if established.is_some() || fault.is_some() {
                break;
            }
            if establishment.has_output() {
                continue;
            }
            // The next message only when the last one has had its effect.
            let Some(message) = link.channel.received() else {
                break;
            };
            moved = true;
            establishment.message(now, message, node);
            pass_notes(&mut link.channel, false, &mut self.events);
        }
        // The step of a channel's fault is the step that the connection was in.
        let step = establishment.step();
        if fault.is_none()
            && let Some(of_channel) = link.channel.take_fault()
        {
            fault = Some(of_channel.why.at(step));
        }
        if let Some(fault) = fault {
            self.fail(fault);
            node.challenge_answered();
            return false;
        }
        let Some(peer) = established else {
            return moved;
        };
        self.events
            .push_back(Output::Event(SessionEvent::Established(peer.clone())));
        let Stage::Establishing(link, _) = self.take_stage() else {
            return false;
        };
        let config = self.config.pairing.clone();
        self.stage = match (self.role, &peer.group, self.wanted.take()) {
            (Role::Acceptor, Group::Pairing, _) => {
                Stage::Pairing(link, Pairing::acceptor(now, config, self.own.clone(), peer))
            }
            (Role::Initiator, Group::Pairing, Some((_, Some(token)))) => {
                let own = self.own.clone();
                Stage::Pairing(link, Pairing::initiator(now, config, own, peer, &token))
            }
            _ => Stage::Connected(link),
        };
        true
    }

    fn pump_pairing(&mut self, now: Now, node: &mut dyn Surroundings) -> bool {
        let Stage::Pairing(link, pairing) = &mut self.stage else {
            return false;
        };
        pass_notes(&mut link.channel, false, &mut self.events);
        loop {
            let mut bytes = Vec::new();
            match pairing.poll(&mut bytes) {
                Some(Output::Note(note)) => self.events.push_back(framed(note, link)),
                Some(Output::Send(kind)) => {
                    send(&mut link.channel, now, kind, bytes, &mut self.events);
                }
                Some(Output::Event(PairingEvent::Store(contact))) => {
                    self.events
                        .push_back(Output::Event(SessionEvent::Store(contact)));
                }
                Some(Output::Event(PairingEvent::Paired)) => {
                    self.events.push_back(Output::Event(SessionEvent::Paired));
                }
                Some(Output::Event(PairingEvent::Close)) => {
                    self.events.push_back(Output::Event(SessionEvent::Close));
                    self.end(Some(Step::Closing));
                    return false;
                }
                Some(Output::Fault(fault)) => {
                    self.fail(fault);
                    return false;
                }
                None => match link.channel.received() {
                    Some(message) => {
                        pairing.message(now, message, node);
                        pass_notes(&mut link.channel, false, &mut self.events);
                    }
                    None => break,
                },
            }
        }
        if let Some(fault) = link.channel.take_fault() {
            let step = pairing.step();
            self.fail(fault.why.at(step));
        }
        false
    }
}

/// Seals a message of the layer above, and completes the note of it by what only the channel knows.
fn send<S: Suite>(
    channel: &mut Channel<S>,
    now: Now,
    kind: Kind,
    mut bytes: Vec<u8>,
    events: &mut VecDeque<Output<SessionEvent>>,
) {
    let message = match kind {
        Kind::Binary => Message::Binary(&bytes),
        // The layers above write texts as texts.
        Kind::Text => Message::Text(core::str::from_utf8(&bytes).unwrap_or_default()),
    };
    // Control messages are far below every bound of the channel; if its nonces are used up it says so itself.
    if channel.send(now, message).is_ok()
        && let Some(Output::Note(note)) = events.back_mut()
        && note.sent
    {
        let (bytes, nonce) = channel.last_frame();
        (note.bytes, note.nonce) = (bytes, Some(nonce));
    }
    bytes.zeroize();
    pass_notes(channel, false, events);
}

/// Passes the channel's notes on. Of whole messages it knows no name: unless they are the group's, the layer above has
/// told them.
pub(super) fn pass_notes<S: Suite>(
    channel: &mut Channel<S>,
    of_group: bool,
    events: &mut VecDeque<Output<SessionEvent>>,
) {
    while let Some(note) = channel.take_note() {
        if of_group || note.layer != Layer::Group {
            events.push_back(Output::Note(note));
        }
    }
}

/// A note of a message that came in the frame opened last; one of a message to be sent is completed by [`send`].
fn framed<S: Suite>(mut note: Note, link: &Link<S>) -> Output<SessionEvent> {
    if !note.sent {
        let (bytes, nonce) = link.channel.last_frame();
        (note.bytes, note.nonce) = (bytes, Some(nonce));
    }
    Output::Note(note)
}
