//! What the page is given. Lanes and groups are named by their places in the lists, steps by their numbers from 1.

use serde::Serialize;

/// All of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Data {
    pub(super) title: String,
    /// The wall clock at the monotonic clock's zero, in milliseconds.
    pub(super) wall: u64,
    pub(super) lanes: Vec<String>,
    /// The lane of whoever the trace does not show.
    pub(super) outside: Option<usize>,
    pub(super) groups: Vec<Group>,
    pub(super) findings: Vec<Told>,
    pub(super) more_findings: usize,
    pub(super) paired: usize,
    pub(super) connected: usize,
    /// The number of the first step that is here, and how many there are in all.
    pub(super) first: usize,
    pub(super) total: usize,
    /// What was so before the first step that is here.
    pub(super) before: Vec<Change>,
    pub(super) steps: Vec<Step>,
}

/// Steps that are shown and hidden together.
#[derive(Serialize)]
pub(super) struct Group {
    pub(super) name: &'static str,
    /// Whether it is a layer of the protocol.
    pub(super) layer: bool,
}

/// A finding.
#[derive(Serialize)]
pub(super) struct Told {
    pub(super) cause: &'static str,
    pub(super) means: &'static str,
    pub(super) fault: String,
    pub(super) advice: &'static str,
    /// Whether anything is wrong at all.
    pub(super) wrong: bool,
    pub(super) weak: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) who: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) words: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    pub(super) jumps: Vec<Jump>,
}

/// A step that a finding is about.
#[derive(Serialize)]
pub(super) struct Jump {
    pub(super) label: &'static str,
    pub(super) to: usize,
}

/// One thing that happened.
#[derive(Serialize)]
pub(super) struct Step {
    /// In microseconds.
    pub(super) at: u64,
    pub(super) time: String,
    pub(super) who: usize,
    pub(super) what: &'static str,
    pub(super) group: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conn: Option<String>,
    /// As people read it; a message is told by its parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Message>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) trouble: bool,
    /// The number of the line in its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) state: Vec<Change>,
}

/// A message that was sent or received.
#[derive(Serialize)]
pub(super) struct Message {
    pub(super) sent: bool,
    pub(super) name: String,
    pub(super) bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<String>,
    /// The lane of the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peer: Option<usize>,
    /// The step at the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) marks: Vec<Mark>,
}

/// What is special about a message.
#[derive(Serialize)]
pub(super) struct Mark {
    /// For the drawing.
    pub(super) kind: &'static str,
    /// For people.
    pub(super) words: String,
}

/// A change of what is known of a machine, or of one of its connections.
#[derive(Clone, Serialize)]
pub(super) struct Change {
    pub(super) lane: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conn: Option<String>,
    #[serde(flatten)]
    pub(super) to: To,
}

/// What it is now.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum To {
    /// The machine runs, as this.
    Up(String),
    /// The machine is gone, with its connections.
    Down(bool),
    /// Where it can be reached.
    Reached(String),
    /// What it told last.
    Told(String),
    /// The connection is begun, in this state.
    Begun(String),
    /// The connection's state.
    State(String),
    /// The last message on the connection, with its layer.
    Last(String),
    /// The connection is gone.
    Gone(bool),
}

impl To {
    /// What is changed.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Down(_) => "down",
            Self::Reached(_) => "reached",
            Self::Told(_) => "told",
            Self::Begun(_) => "begun",
            Self::State(_) => "state",
            Self::Last(_) => "last",
            Self::Gone(_) => "gone",
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}
