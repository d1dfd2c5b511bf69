//! What tests of channels look at.

use chumwire::channel::Channel;
use chumwire::crypto::Suite;
use chumwire::fault::Why;
use chumwire::io::Output;

use super::bench::Wire;

/// Everything that has come and was not pulled.
pub(crate) fn received<S: Suite>(channel: &mut Channel<S>) -> Vec<Wire> {
    let mut received = Vec::new();
    while let Some(message) = channel.received() {
        received.push((message.kind(), message.bytes().to_vec()));
    }
    received
}

/// Why it ended, if it has; nothing else may wait to be polled.
pub(crate) fn fault<S: Suite>(channel: &mut Channel<S>) -> Option<Why> {
    match channel.poll::<()>(&mut Vec::new()) {
        Some(Output::Fault(fault)) => Some(fault.why),
        other => {
            assert_eq!(other, None);
            None
        }
    }
}
