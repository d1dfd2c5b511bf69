//! The scenarios of synchronisation.

use chumwire::objects::{ObjectHash, Reference, Value};

use super::desk::{Desk, note};
use super::faults::Mix;
use super::{DeployedChumFaults, SyncScenario, SyncWorld};

const CATALOGUE: &[SyncScenario] = &[
    LOSS,
    CRASH,
    TWO_WRITERS,
    CHAIN,
    UNSHARE,
    FILES,
    DEPLOYED,
    EMPTY_CHUNKS,
];

/// All scenarios of synchronisation.
#[must_use]
pub const fn sync_catalogue() -> &'static [SyncScenario] {
    CATALOGUE
}

/// The scenario of this name.
#[must_use]
pub fn sync_scenario(name: &str) -> Option<&'static SyncScenario> {
    CATALOGUE.iter().find(|scenario| scenario.name == name)
}

/// A small graph, without any choice: a note with a child that has a picture and a text, and a document with two
/// versions. For walks over every position of a fault; not in the catalogue.
pub const GRAPH: SyncScenario = SyncScenario {
    name: "sync-graph",
    about: "one instance shares a small graph with another one",
    required: "all of it arrives",
    script: |world| {
        let [alice, _] = pair(world);
        world.before(alice, |desk| {
            share_graph(desk, "bob");
            let document = desk.edit("plan", "one", None);
            desk.edit("plan", "two", None);
            desk.share(document, "bob");
        })
    },
};

const LOSS: SyncScenario = SyncScenario {
    name: "sync-loss",
    about: "The connection is cut at any message while two instances copy to each other.",
    required: "In the end both have all, nothing is sent twice, nothing is stored without its parts",
    script: |world| {
        both_give(world)?;
        let budget = 1 + world.pick(6) as u32;
        let mix = Mix {
            cut: 40,
            ..Mix::default()
        };
        world.faults(mix, budget);
        world.rage(600)
    },
};

const CRASH: SyncScenario = SyncScenario {
    name: "sync-crash",
    about: "Either instance crashes at any message or write, and loses its last writes; stores fail.",
    required: "What is stored is whole at every moment, and in the end both have all that is still granted",
    script: |world| {
        both_give(world)?;
        let budget = 1 + world.pick(6) as u32;
        let [cut, crash, refuse] = [[10, 30, 0], [10, 20, 30], [0, 0, 60]][world.pick(3)];
        let mix = Mix {
            cut,
            crash,
            refuse,
            rot: 0,
        };
        world.faults(mix, budget);
        world.rage(800)
    },
};

const TWO_WRITERS: SyncScenario = SyncScenario {
    name: "sync-two-writers",
    about: "Two edit one document at once, connected or not, with clocks that differ.",
    required: "Both come to the same data, without a loss, and then make no more versions",
    script: |world| {
        let [alice, bob] = pair(world);
        world.vary();
        let ahead = [0, 1, 3_600_000][world.pick(3)];
        world.ahead(bob, ahead);
        if world.pick(2) == 1 {
            world.before(alice, |desk| {
                desk.edit("plan", "start", None);
            })?;
        }
        for (place, with) in [(alice, 0), (bob, 1)] {
            match with {
                0 => world.before(place, |desk| desk.share(desk.document("plan"), "bob"))?,
                _ => world.before(place, |desk| desk.share(desk.document("plan"), "alice"))?,
            }
        }
        world.later(alice, "writes a1", |desk| {
            desk.edit("plan", "a1", None);
        });
        world.later(bob, "writes b1", |desk| {
            let child = desk.put(&note("of bob"));
            desk.edit("plan", "b1", Some(child));
        });
        world.later(alice, "writes a2", |desk| {
            let child = desk.put(&note("of alice"));
            desk.edit("plan", "a2", Some(child));
        });
        world.later(bob, "writes b2", |desk| {
            desk.edit("plan", "b2", None);
        });
        let budget = world.pick(5) as u32;
        let mix = Mix {
            cut: 30,
            crash: [0, 10][world.pick(2)],
            ..Mix::default()
        };
        world.faults(mix, budget);
        world.rage(600)
    },
};

const CHAIN: SyncScenario = SyncScenario {
    name: "sync-chain",
    about: "Three instances in a chain share a document, all of them edit it; the one in the middle gives on.",
    required: "All three come to the same data",
    script: |world| {
        let alice = world.place("alice");
        let bob = world.place("bob");
        let carol = world.place("carol");
        world.link(alice, bob);
        world.link(bob, carol);
        world.vary();
        world.before(alice, |desk| {
            share_graph(desk, "bob");
            let document = desk.edit("plan", "start", None);
            desk.share(document, "bob");
        })?;
        world.before(bob, |desk| {
            let document = desk.document("plan");
            desk.share(document, "alice");
            desk.share(document, "carol");
            // It is given on as soon as it is there.
            desk.share(root_note(desk), "carol");
        })?;
        world.before(carol, |desk| desk.share(desk.document("plan"), "bob"))?;
        world.later(carol, "writes c1", |desk| {
            desk.edit("plan", "c1", None);
        });
        world.later(alice, "writes a1", |desk| {
            desk.edit("plan", "a1", None);
        });
        if world.pick(2) == 1 {
            world.later(bob, "writes b1", |desk| {
                desk.edit("plan", "b1", None);
            });
        }
        let budget = world.pick(5) as u32;
        let mix = Mix {
            cut: 20,
            crash: [0, 10][world.pick(2)],
            ..Mix::default()
        };
        world.faults(mix, budget);
        world.rage(900)
    },
};

const UNSHARE: SyncScenario = SyncScenario {
    name: "sync-unshare",
    about: "What was shared is taken back while it is copied, changed after that, and perhaps shared again.",
    required: "Nothing arrives that was granted at no time; what is shared in the end arrives",
    script: |world| {
        let [alice, _] = pair(world);
        world.vary();
        world.before(alice, |desk| {
            share_graph(desk, "bob");
            let document = desk.edit("plan", "open", None);
            desk.share(document, "bob");
        })?;
        world.later(alice, "takes the document back", |desk| {
            desk.unshare(desk.document("plan"), "bob");
        });
        world.later(alice, "writes a secret", |desk| {
            let secret = desk.put(&note("secret"));
            desk.edit("plan", "secret", Some(secret));
        });
        world.later(alice, "takes the note back", |desk| {
            desk.unshare(root_note(desk), "bob");
        });
        if world.pick(2) == 1 {
            world.later(alice, "shares the document again", |desk| {
                desk.share(desk.document("plan"), "bob");
            });
        }
        let budget = world.pick(4) as u32;
        let mix = Mix {
            cut: 20,
            crash: [0, 20][world.pick(2)],
            ..Mix::default()
        };
        world.faults(mix, budget);
        world.rage(600)
    },
};

const FILES: SyncScenario = SyncScenario {
    name: "sync-files",
    about: "Files of no, one and several chunks are copied, and the connection is cut within a stream, and stores fail.",
    required: "A file is there whole or not at all, none is sent twice, and none stays unfinished",
    script: |world| {
        let [alice, bob] = pair(world);
        world.vary();
        world.before(alice, |desk| {
            for (text, length) in [("none", 0), ("one", 65_528), ("several", 200_000)] {
                let picture = Reference::Blob(desk.file(&vec![7; length]));
                // Characters of two bytes, so that some piece ends within one.
                let body = format!("x{}", "ü".repeat(length / 3));
                let body = Reference::Clob(desk.file(body.as_bytes()));
                let object = note(text).with("picture", picture).with("body", body);
                let note = desk.put(&object);
                desk.share(Reference::Object(note), "bob");
            }
        })?;
        world.later(bob, "shares a picture that alice has", |desk| {
            let picture = Reference::Blob(desk.file(&vec![7; 200_000]));
            let other = Reference::Blob(desk.file(&vec![9; 70_000]));
            let other = desk.put(&note("other").with("picture", other));
            let object = note("same").with("picture", picture);
            let uses = Value::List([Reference::Object(other).into()].into());
            let note = desk.put(&object.with("uses", uses));
            desk.share(Reference::Object(note), "alice");
        });
        let budget = 1 + world.pick(5) as u32;
        let [cut, crash, refuse, rot] =
            [[40, 0, 0, 0], [20, 10, 30, 30], [0, 0, 60, 60]][world.pick(3)];
        let mix = Mix {
            cut,
            crash,
            refuse,
            rot,
        };
        world.faults(mix, budget);
        world.rage(500)
    },
};

const DEPLOYED: SyncScenario = SyncScenario {
    name: "sync-deployed",
    about: "One of ours and a double of a deployed instance copy to each other and edit one document; the connection is \
            cut at any message.",
    required: "The first request is not lost for good; in the end both have all, and the same data of the document",
    script: |world| {
        let [alice, bob] = pair(world);
        world.vary();
        let (ours, double) = [(alice, bob), (bob, alice)][world.pick(2)];
        let merge_apart = world.pick(3) == 2;
        let faults = DeployedChumFaults {
            merge_apart,
            ..DeployedChumFaults::default()
        };
        world.is_deployed(double, faults);
        let ahead = [0, 1, 3_600_000][world.pick(3)];
        world.ahead(bob, ahead);
        if world.pick(2) == 1 {
            world.before(alice, |desk| {
                desk.edit("plan", "start", None);
            })?;
        }
        world.before(alice, |desk| {
            share_graph(desk, "bob");
            share_files(desk, "bob", 3);
            desk.share(desk.document("plan"), "bob");
        })?;
        world.before(bob, |desk| {
            share_files(desk, "alice", 9);
            desk.share(desk.document("plan"), "alice");
        })?;
        world.later(alice, "writes a1", |desk| {
            desk.edit("plan", "a1", None);
        });
        world.later(bob, "writes b1", |desk| {
            let child = desk.put(&note("of bob"));
            desk.edit("plan", "b1", Some(child));
        });
        world.later(alice, "writes a2", |desk| {
            let child = desk.put(&note("of alice"));
            desk.edit("plan", "a2", Some(child));
        });
        world.later(bob, "shares a document and one version", |desk| {
            let document = desk.edit("diary", "day", None);
            desk.share(document, "alice");
            let letter = chumwire::objects::Object::new("Doc").with("id", "letter");
            let version = desk.put(&letter);
            desk.share(Reference::Object(version), "alice");
        });
        world.later(bob, "writes b2", |desk| {
            desk.edit("plan", "b2", None);
        });
        let budget = world.pick(6) as u32;
        let mix = Mix {
            cut: 30,
            ..Mix::default()
        };
        world.faults(mix, budget);
        world.rage(800)?;
        if merge_apart {
            // What a cut has kept it from merging comes with the next version.
            world.calm();
            world.later(ours, "writes once more", |desk| {
                desk.edit("plan", "in the end", None);
            });
        }
        Ok(())
    },
};

const EMPTY_CHUNKS: SyncScenario = SyncScenario {
    name: "sync-empty-chunks",
    about: "The double of a deployed instance sends every binary chunk as an empty message.",
    required: "All but BLOBs that are no text, and what refers to them, arrives; ours closes no connection",
    script: |world| {
        let [alice, bob] = pair(world);
        world.vary();
        let faults = DeployedChumFaults {
            empty_chunks: true,
            ..DeployedChumFaults::default()
        };
        world.is_deployed(bob, faults);
        world.before(alice, |desk| {
            share_graph(desk, "bob");
            share_files(desk, "bob", 200);
        })?;
        world.before(bob, |desk| {
            // Only some of it is text.
            share_graph(desk, "alice");
            share_files(desk, "alice", 7);
            share_files(desk, "alice", 200);
            let document = desk.edit("plan", "one", None);
            desk.share(document, "alice");
        })?;
        world.later(bob, "writes more", |desk| {
            let text = Reference::Blob(desk.file("Grüße".repeat(20_000).as_bytes()));
            let note = desk.put(&note("with a text as picture").with("picture", text));
            desk.edit("plan", "two", Some(note));
        });
        let budget = world.pick(4) as u32;
        let mix = Mix {
            cut: 20,
            ..Mix::default()
        };
        world.faults(mix, budget);
        world.rage(500)
    },
};

/// Two who connect to each other.
fn pair(world: &mut SyncWorld) -> [usize; 2] {
    let alice = world.place("alice");
    let bob = world.place("bob");
    world.link(alice, bob);
    [alice, bob]
}

/// Both have something for the other one, and more of it comes.
fn both_give(world: &mut SyncWorld) -> Result<(), String> {
    let [alice, bob] = pair(world);
    world.vary();
    world.before(alice, |desk| {
        share_graph(desk, "bob");
        let document = desk.edit("plan", "one", None);
        desk.edit("plan", "two", None);
        desk.share(document, "bob");
    })?;
    world.before(bob, |desk| {
        let note = desk.put(&note("of bob"));
        desk.share(Reference::Object(note), "alice");
    })?;
    world.later(alice, "writes more", |desk| {
        let child = desk.put(&note("late"));
        desk.edit("plan", "three", Some(child));
    });
    world.later(bob, "shares a document", |desk| {
        let document = desk.edit("diary", "day", None);
        desk.share(document, "alice");
    });
    world.later(bob, "shares one version", |desk| {
        let child = desk.put(&note("of a version"));
        let object = chumwire::objects::Object::new("Doc")
            .with("id", "letter")
            .with("note", Reference::Object(child));
        let version = desk.put(&object);
        desk.share(Reference::Object(version), "alice");
    });
    Ok(())
}

/// Notes with pictures of this byte, and texts: of no, one and several chunks.
fn share_files(desk: &mut Desk<'_>, with: &str, byte: u8) {
    for length in [0, 10, 200_000] {
        let picture = Reference::Blob(desk.file(&vec![byte; length]));
        let body = format!("x{}", "ü".repeat(length / 3));
        let body = Reference::Clob(desk.file(body.as_bytes()));
        let text = format!("{length} bytes of {byte}");
        let object = note(&text).with("picture", picture).with("body", body);
        let note = desk.put(&object);
        desk.share(Reference::Object(note), with);
    }
}

/// A note whose child has a picture and a text.
fn share_graph(desk: &mut Desk<'_>, with: &str) {
    let picture = Reference::Blob(desk.file(&[1, 2, 3, 4]));
    let body = Reference::Clob(desk.file("Grüße".as_bytes()));
    let leaf = note("leaf").with("picture", picture).with("body", body);
    let leaf = desk.put(&leaf);
    let root = desk.put(&above(leaf));
    desk.share(Reference::Object(root), with);
}

fn above(leaf: ObjectHash) -> chumwire::objects::Object {
    let uses = Value::List([Reference::Object(leaf).into()].into());
    note("root").with("uses", uses)
}

/// The note that [`share_graph`] shares.
fn root_note(desk: &Desk<'_>) -> Reference {
    use chumwire::objects::FileHash;

    let picture = Reference::Blob(FileHash::of(&[1, 2, 3, 4]));
    let body = Reference::Clob(FileHash::of("Grüße".as_bytes()));
    let leaf = note("leaf").with("picture", picture).with("body", body);
    Reference::Object(desk.hash(&above(desk.hash(&leaf))))
}
