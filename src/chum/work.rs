//! What the importer and the exporter of a connection work with.

use alloc::collections::VecDeque;

use super::config::ChumConfig;
use super::event::ChumEvent;
use super::machine::Asks;
use super::trouble::ChumFault;
use crate::rpc::Rpc;
use crate::time::Now;

/// What is theirs together, and when it is.
pub(super) struct Work<'a> {
    pub(super) now: Now,
    /// Bytes that wait to be sent.
    pub(super) queued: usize,
    pub(super) rpc: &'a mut Rpc,
    pub(super) asks: &'a mut Asks,
    pub(super) config: &'a ChumConfig,
    /// What is told.
    pub(super) events: &'a mut VecDeque<ChumEvent>,
    /// Why the connection cannot go on.
    pub(super) fault: &'a mut Option<ChumFault>,
}
