//! The first line of a trace: which format, where it comes from, and what is needed to run it again.

use serde::{Deserialize, Serialize};

use crate::start::Start;

/// The version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// Where a trace was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// In a simulated world: several parties, one clock.
    Simulated,
    /// By a driver: one machine, its own clock.
    Live,
}

/// How a simulated run is run again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// The scenario's name. Without it the trace can be looked at and explained, not replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The seed that the choices came from, if they came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The reorder window that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// The faults that were asked for, as `name=rate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Every choice of the run, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<u32>,
    /// Of a schedule that was explored: how many faults might strike. Its choices are those of the explorer then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explored: Option<u32>,
    /// What is wrong, if the run fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<String>,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub chumwire_trace: u32,
    /// Where it was recorded.
    pub origin: Origin,
    /// The wall clock when the monotonic clock was zero, in milliseconds since 1970 UTC.
    pub wall: u64,
    /// Of a simulated run: how it is run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<Scene>,
    /// With secrets: what the machine was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Box<Start>>,
}

impl Header {
    /// The first line of a trace without secrets.
    #[must_use]
    pub const fn new(origin: Origin, wall: u64) -> Self {
        Self {
            chumwire_trace: VERSION,
            origin,
            wall,
            scene: None,
            start: None,
        }
    }
}
