//! One thing that is being fetched, with all that it refers to: children first (spec 11, "Importer").

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::later::Key;
use crate::channels::Join;
use crate::chum::entry::Root;
use crate::chum::store::{FileNo, Presence};
use crate::chum::version::VersionNode;
use crate::objects::{IdHash, Object, ObjectHash, RefKind, Reference};
use crate::rpc::RequestId;
use crate::time::Millis;

/// What a task is for.
#[derive(Clone, Debug)]
pub(super) enum Job {
    /// An entry that is no version node.
    Root(Root),
    /// The version nodes of one thing, in the order of the list.
    Group(Box<Group>),
}

/// The version nodes of one thing that are not merged yet.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: IdHash,
    pub(super) type_name: String,
    pub(super) nodes: VecDeque<(ObjectHash, Presence)>,
    /// All of them.
    pub(super) entries: Vec<ObjectHash>,
    /// Those that are stored and checked by now.
    pub(super) checked: Vec<ObjectHash>,
    /// The deepest of them; of equals the first.
    pub(super) best: Option<Version>,
}

impl Group {
    pub(super) fn new(id: IdHash, type_name: &str) -> Self {
        Self {
            id,
            type_name: type_name.into(),
            nodes: VecDeque::new(),
            entries: Vec::new(),
            checked: Vec::new(),
            best: None,
        }
    }
}

/// A version, with its data.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) hash: ObjectHash,
    pub(super) node: VersionNode,
    pub(super) data: Object,
}

impl Group {
    /// The nodes up to the one that is taken. Those behind it, which are not deeper, have their turn at the next
    /// round: two versions that were made at once would lose one of them else.
    pub(super) fn up_to_best(&self) -> Vec<ObjectHash> {
        let best = self.best.as_ref().map(|best| best.hash);
        let at = self.checked.iter().position(|hash| Some(*hash) == best);
        let upto = at.map_or(0, |at| at + 1);
        self.checked.get(..upto).unwrap_or_default().to_vec()
    }
}

impl Job {
    /// What it is known by when it fails.
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Root(root) => Key::of(root),
            Self::Group(group) => Key::versions(group.id),
        }
    }

    /// The entries that are not settled, when it is over: all, or but those that were merged.
    pub(super) fn unsettled(&self, failed: bool) -> Vec<Root> {
        let group = match self {
            Self::Root(root) if failed => return [root.clone()].into(),
            Self::Root(_) => return Vec::new(),
            Self::Group(group) => group,
        };
        let merged = match failed {
            true => Vec::new(),
            false => group.up_to_best(),
        };
        let left = group.entries.iter().filter(|node| !merged.contains(node));
        left.map(|node| Root::VersionNode {
            node: *node,
            id: group.id,
            type_name: group.type_name.clone(),
        })
        .collect()
    }

    pub(super) fn type_name(&self) -> &str {
        match self {
            Self::Root(root) => root.type_name(),
            Self::Group(group) => &group.type_name,
        }
    }
}

/// A job that is under way.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) job: Job,
    /// What is still to be fetched after the current one.
    pub(super) ahead: VecDeque<(Reference, Expect)>,
    pub(super) fetch: Option<Fetch>,
    pub(super) step: Step,
    /// What this task is fetching right now, so that no other one does.
    pub(super) owns: Option<Reference>,
}

/// What an object has to be, besides what its hash says.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// Of this type.
    Type(String),
    /// A version node of the group.
    Node,
}

/// One object with its children.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    pub(super) target: Reference,
    pub(super) expect: Expect,
    /// As what each child was listed.
    pub(super) listed: BTreeMap<[u8; 32], RefKind>,
    /// What is stored of them by now.
    pub(super) have: BTreeSet<Reference>,
    /// What is missing, users before what they use: taken from the end.
    pub(super) missing: Vec<Reference>,
}

impl Fetch {
    pub(super) fn new(target: Reference, expect: Expect) -> Self {
        Self {
            target,
            expect,
            listed: BTreeMap::new(),
            have: BTreeSet::new(),
            missing: Vec::new(),
        }
    }
}

/// What a task waits for.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Nothing: it goes on by itself.
    Ready,
    /// The list of children.
    Children,
    /// Which children are stored.
    Sift(Vec<Reference>),
    /// Another task that fetches the same.
    Wait,
    /// Whether that one was successful.
    Recheck(Reference),
    /// An object's text.
    Text(Reference),
    /// Whether what it refers to, and was not listed, is stored.
    Unlisted(Box<Arrived>),
    /// The data of a version node.
    NodeData(Box<Arrived>),
    /// The store.
    Writing(Box<Arrived>),
    /// A file.
    File(Box<File>),
    /// The store, to close a file of so many bytes.
    Closing(Reference, FileNo, u64),
    /// A version node that is stored, but not merged.
    StoredNode(ObjectHash),
    /// Its data.
    StoredData(Box<(ObjectHash, VersionNode)>),
    /// Whether such a version is part of the head already.
    IsMerged,
    /// The head of the thing.
    Head,
    /// The head's node.
    HeadNode(ObjectHash),
    /// The head's data.
    HeadData(Box<(ObjectHash, VersionNode)>),
    /// The lists of two versions of a channel.
    Lists(Box<Lists>),
    /// The store, to take the new head.
    Merging(Option<(ObjectHash, ObjectHash, Millis)>),
}

impl Step {
    /// Whether it is the file of this number that comes.
    pub(super) fn receives(&self, no: FileNo) -> bool {
        matches!(self, Self::File(file) if file.file == no)
    }
}

/// Two versions of a channel, whose lists are being joined.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    pub(super) head: (ObjectHash, VersionNode),
    /// Both, joined but for their lists.
    pub(super) joined: Object,
    pub(super) join: Join,
}

/// An object that has come and was checked, but is not stored.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) reference: Reference,
    pub(super) text: String,
    pub(super) object: Object,
    /// Whether it is the target of the fetch, not a child.
    pub(super) is_target: bool,
    /// The version that it is, if it is one and its data are checked.
    pub(super) version: Option<(VersionNode, Object)>,
}

/// A file that is being received.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) reference: Reference,
    pub(super) file: FileNo,
    pub(super) request: Option<RequestId>,
    pub(super) hash: Sha256,
    pub(super) bytes: u64,
    /// Parts that the store has not taken yet.
    pub(super) untaken: u32,
    /// All of it has come, with so many empty chunks.
    pub(super) whole: Option<u64>,
    /// Asked for as text, because binary chunks came empty.
    pub(super) as_text: bool,
}

impl File {
    pub(super) fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}
