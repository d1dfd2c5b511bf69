//! Why a command failed: a kind for scripts, the step of the protocol if there is one, and a sentence that says what
//! to do next.

use std::fmt::Display;

use chumwire::fault::{Fault, Why};
use chumwire::step::Step;
use serde::{Deserialize, Serialize};

use crate::text::printable;

/// The kind of a wrong command line.
const USAGE: &str = "usage";

/// The end of a command that did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// For scripts, in snake_case.
    pub(crate) kind: String,
    /// The step of the protocol, if it happened in one.
    pub(crate) step: Option<String>,
    /// For people.
    pub(crate) message: String,
}

impl Failure {
    /// A failure outside of any connection.
    pub(crate) fn new(kind: &str, message: impl Display) -> Self {
        Self {
            kind: kind.into(),
            step: None,
            message: printable(message),
        }
    }

    /// The command line cannot be meant like that.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(USAGE, message)
    }

    /// A failure in a step of the protocol.
    pub(crate) fn at(step: Step, kind: &str, message: impl Display) -> Self {
        Self {
            step: Some(step.name().into()),
            ..Self::new(kind, message)
        }
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.kind == USAGE { 2 } else { 1 }
    }

    /// Why the way to a relay is closed, told by the side that listens there.
    pub(crate) fn of_listener(url: &str, fault: &Fault) -> Self {
        match &fault.why {
            why if fault.step == Step::Dial => Self::unreachable(url, why),
            why => Self::at(
                fault.step,
                why.code(),
                format_args!("the relay at {url} does not keep a connection: {why}"),
            ),
        }
    }

    /// Why a join failed.
    pub(crate) fn of_join(url: &str, fault: &Fault) -> Self {
        let Fault { step, why } = fault;
        let closed = matches!(why, Why::ClosedByPeer { .. });
        match step {
            Step::Dial => Self::unreachable(url, why),
            Step::Ready if closed => Self::at(
                *step,
                "nobody_listening",
                "nobody is listening under the key of this invitation: the inviter has ended; ask for a new one",
            ),
            Step::Token | Step::Identity if closed => Self::at(
                *step,
                "invitation_refused",
                "the other side refused the invitation; ask for a new one",
            ),
            _ => Self::of_fault(fault),
        }
    }

    /// Why a contact cannot be looked at.
    pub(crate) fn of_look(fault: &Fault) -> Self {
        match (fault.step, &fault.why) {
            (Step::Dial, why) => Self::unreachable("the contact's address", why),
            (Step::Ready, Why::ClosedByPeer { .. }) => {
                Self::at(fault.step, "nobody_listening", "the contact is not online")
            }
            (_, Why::ClosedByPeer { .. }) => Self::at(
                fault.step,
                "not_served",
                "the contact does not let others look; it has to run with --serve-debug",
            ),
            _ => Self::of_fault(fault),
        }
    }

    fn of_fault(Fault { step, why }: &Fault) -> Self {
        let next = match why {
            Why::Timeout | Why::TimeoutBothAccept => {
                "try again; if it stays, look at the other side's log"
            }
            Why::ClosedByPeer { .. } | Why::Lost { .. } => "the other side's log says why",
            Why::SamePerson => "pair with somebody else, or with another email",
            Why::KnownPerson { .. } => {
                "if that is meant to be, `chumwire forget` this person first"
            }
            Why::NotStored => "look after the disk of this home",
            _ => "this is not what the protocol asks for; the other side's log may say more",
        };
        let kind = if *why == Why::TimeoutBothAccept {
            Why::Timeout.code()
        } else {
            why.code()
        };
        Self::at(*step, kind, format_args!("step {step}: {why}; {next}"))
    }

    fn unreachable(url: &str, why: &Why) -> Self {
        let cause = match why {
            Why::NotOpened { cause } => cause.clone(),
            why => why.to_string(),
        };
        // The driver's first words tell the kind.
        if cause.starts_with("TLS") {
            let hint = "check the certificate, or name its authority with --tls-ca";
            Self::at(
                Step::Dial,
                "tls_failed",
                format_args!("{cause} ({url}); {hint}"),
            )
        } else {
            let hint =
                "is it running? (if the invitation leads to the inviter itself: is that one?)";
            Self::at(
                Step::Dial,
                "relay_unreachable",
                format_args!("no relay answered at {url}; {hint} The cause: {cause}"),
            )
        }
    }
}
