//! What the embedder does for the driver.

use chumwire::io::Machine;

/// The embedder's part: hears events, keeps records.
///
/// Both methods are called inside the driver's loop, one at a time and in the machine's order. A pair of
/// closures is a host as well.
pub trait Host<M: Machine>: Send {
    /// The machine has something to tell. The loop waits until this returns.
    ///
    /// `bytes` is the buffer that was given to `poll`. Some events say that their content is in there; with
    /// any other event it means nothing.
    fn event(&mut self, event: M::Event, bytes: &[u8]);

    /// Keeps a record for good, as one transaction; or answers what the machine asks of its store.
    ///
    /// The loop waits on purpose: a machine reports success only after its record is safe, and nothing else
    /// of this machine may overtake that. The answer says if nothing was stored.
    fn store(&mut self, record: M::Record) -> M::Answer;
}

impl<M, E, S> Host<M> for (E, S)
where
    M: Machine,
    E: FnMut(M::Event, &[u8]) + Send,
    S: FnMut(M::Record) -> M::Answer + Send,
{
    fn event(&mut self, event: M::Event, bytes: &[u8]) {
        (self.0)(event, bytes);
    }

    fn store(&mut self, record: M::Record) -> M::Answer {
        (self.1)(record)
    }
}
