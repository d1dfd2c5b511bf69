//! How a connection came to an acceptor.

/// Proof that a relay handed a connection over and that nothing of its registration is left over. A
/// [`Registration`](crate::relay::Registration) that has ended in the handover gives it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct HandedOver(());

impl HandedOver {
    pub(crate) const fn proven() -> Self {
        Self(())
    }
}

/// How a connection came to an acceptor.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// It came in directly.
    Direct,
    /// A relay handed it over.
    HandedOver(HandedOver),
}
