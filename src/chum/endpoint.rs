//! What a [`Synchroniser`](super::Synchroniser) is built around: a node, or something around one.

use alloc::vec::Vec;

use crate::channel::SendError;
use crate::contact::{Contact, ContactInstance};
use crate::crypto::Suite;
use crate::establish::Group;
use crate::fault::Part;
use crate::identity::Identity;
use crate::io::{ConnId, Machine, Message, NotStored};
use crate::node::{Event, Misuse, Node, Record};
use crate::objects::{InstanceId, PersonId};
use crate::time::Now;

/// A node, or something around one.
pub trait Endpoint:
    Machine<Event = Event, Record = Record, Answer = Result<(), NotStored>>
{
    /// [`Node::send`]
    ///
    /// # Errors
    /// [`SendError`]
    fn send(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), SendError>;
    /// [`Node::close`]
    fn close(&mut self, now: Now, conn: ConnId);
    /// [`Node::connect`]
    ///
    /// # Errors
    /// [`Misuse`]
    fn connect(&mut self, now: Now, person: PersonId, group: Group) -> Result<(), Misuse>;
    /// [`Node::learn`]
    ///
    /// # Errors
    /// [`Misuse`]
    fn learn(
        &mut self,
        now: Now,
        person: PersonId,
        devices: &[ContactInstance],
    ) -> Result<Vec<(InstanceId, Part)>, Misuse>;
    /// [`Node::identity`]
    fn identity(&self) -> &Identity;
    /// [`Node::url`]
    fn url(&self) -> Option<&str>;
    /// [`Node::contacts`]
    fn contacts(&self) -> impl Iterator<Item = &Contact>;
    /// [`Node::peer_key`]
    fn peer_key(&self, conn: ConnId) -> Option<[u8; 32]>;
}

impl<S: Suite> Endpoint for Node<S> {
    fn send(&mut self, now: Now, conn: ConnId, message: Message<'_>) -> Result<(), SendError> {
        Self::send(self, now, conn, message)
    }

    fn close(&mut self, now: Now, conn: ConnId) {
        Self::close(self, now, conn);
    }

    fn connect(&mut self, now: Now, person: PersonId, group: Group) -> Result<(), Misuse> {
        Self::connect(self, now, person, group)
    }

    fn learn(
        &mut self,
        now: Now,
        person: PersonId,
        devices: &[ContactInstance],
    ) -> Result<Vec<(InstanceId, Part)>, Misuse> {
        Self::learn(self, now, person, devices)
    }

    fn identity(&self) -> &Identity {
        Self::identity(self)
    }

    fn url(&self) -> Option<&str> {
        Self::url(self)
    }

    fn contacts(&self) -> impl Iterator<Item = &Contact> {
        Self::contacts(self)
    }

    fn peer_key(&self, conn: ConnId) -> Option<[u8; 32]> {
        Self::peer_key(self, conn)
    }
}
