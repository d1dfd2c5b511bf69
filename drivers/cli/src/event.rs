//! What commands tell: the lines of `--json`. The same lines travel through the control socket.

use std::path::PathBuf;

use chumwire::book::profile_id;
use chumwire::contact::{Contact, ContactInstance};
use chumwire::fault::Fault;
use chumwire::identity::Identity;
use chumwire::pairing::{Invitation, InvitationRecord};
use chumwire::role::Role;
use chumwire::time::Millis;
use chumwire_trace::Finding;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::secret_text::SecretText;

/// One line. No `Debug`: an invitation is a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Event {
    /// A relay takes connections.
    Listening { url: String },
    /// Who a home is.
    Identity {
        person_id: String,
        instance_id: String,
        instance_key_public: String,
        person_key_public: String,
        email: String,
        name: String,
        /// The own profile, to be shared with whom it is to tell of this instance.
        profile: String,
    },
    /// This instance can be reached.
    Online { url: String },
    /// It cannot; it keeps trying.
    Offline {
        url: String,
        kind: String,
        step: Option<String>,
        message: String,
    },
    /// An invitation that can be used from now on.
    Invitation {
        invitation: Parts,
        link: SecretText,
        id: String,
        expires: Millis,
    },
    /// A pairing has succeeded.
    Paired {
        role: String,
        person_id: String,
        instance_id: String,
        email: String,
        name: String,
    },
    /// A contact.
    Contact {
        person_id: String,
        email: String,
        instances: Vec<Device>,
        /// Whether it is connected right now.
        online: bool,
        /// When it was synchronised with last.
        synced_at: Option<Millis>,
        /// The contact that it is in, alone or with others; local.
        someone_id: Option<String>,
        /// Whether it is the main person of that.
        main: bool,
        /// The id hashes of its profiles.
        profiles: Vec<String>,
        /// Whether its signing key is trusted, by a certificate.
        trusted: bool,
    },
    /// A contact as it is after a change.
    Someone {
        someone_id: String,
        persons: Vec<String>,
        emails: Vec<String>,
    },
    /// The end of a list of contacts.
    Contacts { count: usize },
    /// A contact was removed.
    Forgotten { person_id: String, email: String },
    /// An invitation that nobody has used yet.
    OpenInvitation { id: String, expires: Millis },
    /// The end of a list of invitations.
    Invitations { count: usize },
    /// Invitations were taken back.
    Revoked { count: usize },
    /// A file was put in.
    Stored {
        /// The descriptor.
        object: String,
        /// The bytes.
        blob: String,
        path: String,
        size: u64,
    },
    /// Something was granted to a contact, or taken back.
    Shared { object: String, person_id: String },
    /// It is not the contact's any more.
    Unshared { object: String, person_id: String },
    /// A file that is here.
    File {
        object: String,
        blob: String,
        name: String,
        size: u64,
        #[serde(rename = "type")]
        kind: String,
        shared_with: Vec<String>,
    },
    /// The end of a list of files.
    Files { count: usize },
    /// A message of a channel.
    Chat {
        /// The contact whose channel it is.
        person_id: String,
        sender: String,
        /// Whether it was said here.
        own: bool,
        text: String,
        timestamp: Millis,
        message: String,
        /// Whether the sender has signed it.
        affirmed: bool,
        email: String,
    },
    /// The end of what was said before.
    History { count: usize },
    /// Something that a contact lets this home see.
    Accessible {
        shape: String,
        hash: String,
        #[serde(rename = "type")]
        kind: String,
    },
    /// The end of what a contact lets this home see.
    AccessibleObjects { person_id: String, count: usize },
    /// Where the bytes are that were asked for. Between processes alone.
    Found {
        path: Option<PathBuf>,
        hex: Option<String>,
    },
    /// Bytes were written to a file.
    Got {
        object: String,
        path: String,
        size: u64,
    },
    /// How far long work is. For people alone.
    Progress { objects: u64, bytes: u64 },
    /// All that a contact has for this instance is here, and what this one has was given.
    Synced {
        person_id: String,
        received: u64,
        sent: u64,
        /// What could not be taken.
        failed: u64,
    },
    /// A contact that could not be reached, or was not through in time.
    Unreachable { person_id: String, email: String },
    /// A message of a demonstration.
    Message {
        from: String,
        to: String,
        layer: String,
        message: String,
        bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<u64>,
    },
    /// The end of a demonstration.
    Demo {
        paired: bool,
        synced: bool,
        ms: u64,
        messages: usize,
        acceptor: String,
        initiator: String,
    },
    /// What a trace tells.
    Explanation {
        #[serde(flatten)]
        first: Told,
        paired: usize,
        connected: usize,
        others: Vec<Told>,
    },
    /// A scenario of the simulator.
    Scenario {
        name: String,
        happens: String,
        required: String,
    },
    /// What the explorer can walk.
    Play { play: String, happens: String },
    /// Runs of a scenario, or of all.
    Sim {
        scenario: String,
        runs: u64,
        failed: u64,
        first_failing_seed: Option<u64>,
        trace_hash: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// A trace was run again, with the same outcome.
    Replayed {
        inputs: usize,
        effects: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        trace_hash: Option<String>,
        /// How the run fails, if it does.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// What an exploration has seen.
    Explore {
        scenario: String,
        faults: u32,
        states: usize,
        moves: u64,
        /// Moves to states that had been seen.
        seen_again: u64,
        /// Moves that were left out, because another order of the same was made.
        commuted: u64,
        /// States in which nothing is left to be done.
        finals: usize,
        depth: u32,
        /// States that were not gone on from.
        waiting: usize,
        complete: bool,
        /// What ended it, if it is not complete.
        bound: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        part: Option<String>,
        alphabet: Vec<String>,
        seconds: f64,
        states_per_second: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        violation: Option<Violation>,
    },
    /// A failing run became as short as it gets.
    Shrunk {
        scenario: String,
        /// Choices that are not the first option.
        steps: usize,
        tries: usize,
        choices: Vec<u32>,
        failure: String,
        path: String,
        trace_hash: String,
        /// False if the tries did not suffice.
        finished: bool,
    },
    /// A trace as a picture.
    Drawing { text: String },
    /// A trace was written as a page.
    Page { path: String, cause: String },
    /// Two traces, compared.
    Difference {
        same: bool,
        /// The first line that differs, from 1.
        line: Option<usize>,
        before: Vec<String>,
        one: Vec<String>,
        other: Vec<String>,
    },
    /// The command failed.
    Error {
        #[serde(flatten)]
        failure: Failure,
    },
}

/// What must not be, and how it comes to that.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Violation {
    pub(crate) message: String,
    /// The moves of the shortest history.
    pub(crate) moves: usize,
    /// Those of its moves that have to be chosen.
    pub(crate) steps: usize,
    pub(crate) choices: Vec<u32>,
    pub(crate) path: Option<String>,
}

/// The three members of an invitation, as they are handed over.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parts {
    token: SecretText,
    public_key: String,
    url: String,
}

/// One thing that a trace tells.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    cause: String,
    fault: String,
    who: Option<String>,
    conn: Option<u64>,
    step: Option<String>,
    line: Option<usize>,
    message: String,
    advice: String,
    #[serde(skip)]
    pub(crate) sentence: String,
}

impl From<&Finding> for Told {
    fn from(finding: &Finding) -> Self {
        let cause = finding.cause;
        Self {
            cause: cause.code().into(),
            fault: cause.fault().name().into(),
            who: finding.who.clone(),
            conn: finding.conn,
            step: finding.step.clone(),
            line: finding.line,
            message: match &finding.words {
                Some(words) => format!("{} ({words})", cause.means()),
                None => cause.means().into(),
            },
            advice: cause.advice().into(),
            sentence: finding.to_string(),
        }
    }
}

/// A device of a contact.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Device {
    pub(crate) instance_id: String,
    pub(crate) name: String,
    pub(crate) instance_key_public: String,
    pub(crate) url: Option<String>,
    pub(crate) key_proven: bool,
    pub(crate) paired_at: Millis,
}

/// What is known of a contact besides its record.
pub(crate) struct Known {
    pub(crate) someone: Option<String>,
    pub(crate) main: bool,
    pub(crate) profiles: Vec<String>,
    pub(crate) trusted: bool,
    pub(crate) online: bool,
    pub(crate) synced_at: Option<Millis>,
}

impl Event {
    /// Who this is.
    pub(crate) fn identity(identity: &Identity) -> Self {
        Self::Identity {
            person_id: identity.person_id().to_string(),
            instance_id: identity.instance_id().to_string(),
            instance_key_public: identity.instance_key().public().to_string(),
            person_key_public: identity.person_key().public().to_string(),
            email: identity.person().email.clone(),
            name: identity.instance().name.clone(),
            profile: profile_id(identity.person_id()).to_string(),
        }
    }

    /// The way to the relay is closed.
    pub(crate) fn offline(url: String, fault: &Fault) -> Self {
        let Failure {
            kind,
            step,
            message,
        } = Failure::of_listener(&url, fault);
        Self::Offline {
            url,
            kind,
            step,
            message,
        }
    }

    /// A new invitation.
    ///
    /// # Errors
    /// If the core's own JSON cannot be read.
    pub(crate) fn invitation(invitation: &Invitation, expires: Millis) -> Result<Self, Failure> {
        let parts = serde_json::from_str(&Zeroizing::new(invitation.json()))
            .map_err(|error| Failure::new("internal", error))?;
        Ok(Self::Invitation {
            invitation: parts,
            link: invitation.link().into(),
            id: invitation.id().to_string(),
            expires,
        })
    }

    /// A pairing with the device of this contact that was paired with last.
    pub(crate) fn paired(role: Role, contact: &Contact) -> Self {
        let device = contact
            .instances
            .iter()
            .max_by_key(|device| device.paired_at);
        Self::Paired {
            role: role.name().into(),
            person_id: contact.person_id.to_string(),
            instance_id: device
                .map(|d| d.instance_id.to_string())
                .unwrap_or_default(),
            email: contact.email.clone(),
            name: device.map(|d| d.name.clone()).unwrap_or_default(),
        }
    }

    /// A contact, with its devices.
    pub(crate) fn contact(contact: &Contact, known: Known) -> Self {
        Self::Contact {
            person_id: contact.person_id.to_string(),
            email: contact.email.clone(),
            instances: contact.instances.iter().map(Device::from).collect(),
            online: known.online,
            synced_at: known.synced_at,
            someone_id: known.someone,
            main: known.main,
            profiles: known.profiles,
            trusted: known.trusted,
        }
    }

    /// An open invitation.
    pub(crate) fn open_invitation(record: &InvitationRecord) -> Self {
        Self::OpenInvitation {
            id: record.id.to_string(),
            expires: record.expires,
        }
    }
}

impl From<&ContactInstance> for Device {
    fn from(of: &ContactInstance) -> Self {
        Self {
            instance_id: of.instance_id.to_string(),
            name: of.name.clone(),
            instance_key_public: of.instance_key.to_string(),
            url: of.url.clone(),
            key_proven: of.key_proven,
            paired_at: of.paired_at,
        }
    }
}
