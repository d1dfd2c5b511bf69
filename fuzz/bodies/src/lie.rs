//! Answers that an exporter of bad will makes up, of what there is to be named.

use arbitrary::Arbitrary;
use chumwire::chum::{Root, list_digest, write_children, write_roots};
use chumwire::hex;
use chumwire::objects::{IdHash, ObjectHash, Reference, references, type_of};
use serde_json::{Value as Json, json};

use crate::said::Edit;
use crate::store::{ALICES, BOBS};

/// What is answered to a request of this number.
#[derive(Arbitrary, Debug)]
pub(crate) struct Lie {
    id: u8,
    what: What,
    edit: Option<Edit>,
}

#[derive(Arbitrary, Debug)]
enum What {
    Version(u8),
    /// The text of another object.
    Text(u8),
    Children(Vec<(u8, u8)>),
    Roots(Vec<(u8, u8, u8)>),
    Since(bool, Vec<(u8, u8, u8)>),
    Error(u8),
    Stream(u8, u8),
    End,
    Json(u8),
}

/// All that there is to be named, of both and of nobody.
pub(crate) fn hashes() -> Vec<Reference> {
    let mut hashes = Vec::new();
    for (hash, text) in ALICES.objects().chain(BOBS.objects()) {
        hashes.push(match type_of(text) {
            Some((_, true)) => Reference::Id(IdHash(*hash)),
            _ => Reference::Object(ObjectHash(*hash)),
        });
    }
    hashes.extend(ALICES.files().map(Reference::Blob));
    hashes.extend(ALICES.files().map(Reference::Clob));
    hashes.push(Reference::Object(ObjectHash([0xab; 32])));
    hashes.push(Reference::Id(IdHash([0xcd; 32])));
    hashes
}

/// One of them.
pub(crate) fn nth(n: u8) -> Reference {
    let hashes = hashes();
    hashes[usize::from(n) % hashes.len()]
}

fn text_of(what: &Reference) -> &'static str {
    let text = ALICES.text(what).or_else(|| BOBS.text(what));
    text.unwrap_or("<div itemscope itemtype=\"//refin.io/Note\"></div>")
}

fn roots(entries: &[(u8, u8, u8)]) -> Vec<Root> {
    let entry = |&(shape, what, other): &(u8, u8, u8)| {
        let (what, id) = (nth(what), IdHash(*nth(other).bytes()));
        let name = type_of(text_of(&what)).map_or("Note", |(name, _)| name);
        let (hash, type_name) = (ObjectHash(*what.bytes()), name.to_owned());
        match shape % 4 {
            0 => Root::Unversioned { hash, type_name },
            1 => Root::Versioned {
                hash,
                id,
                type_name,
            },
            2 => Root::Id {
                id: IdHash(*what.bytes()),
                type_name,
            },
            _ => Root::VersionNode {
                node: hash,
                id,
                type_name: "Doc".into(),
            },
        }
    };
    entries.iter().take(14).map(entry).collect()
}

impl Lie {
    /// The answer, as it travels.
    pub(crate) fn text(&self) -> String {
        let id = self.id;
        let data = |data: Json| json!({"responseId": id, "type": "data", "data": data});
        let answer = match &self.what {
            What::Version(n) => data(json!(n)),
            What::Text(n) => data(json!(text_of(&nth(*n)))),
            What::Children(of) => {
                let children = |(n, right): &(u8, u8)| match right % 4 {
                    // Those of a real object, and others.
                    0 => references(text_of(&nth(*n)), 12).unwrap_or_default(),
                    _ => vec![nth(*n)],
                };
                let children: Vec<Reference> = of.iter().take(14).flat_map(children).collect();
                data(json!(write_children(&children)))
            }
            What::Roots(entries) => data(json!(write_roots(&roots(entries)))),
            What::Since(full, entries) => {
                let roots = roots(entries);
                let digest = hex::encode(&list_digest(&roots));
                let list: Json = serde_json::from_str(&write_roots(&roots)).expect("a list");
                let since = json!({
                    "ext": chumwire::chum::ROOTS_SINCE, "full": full, "digest": digest, "stamp": id, "roots": list
                });
                data(json!(since.to_string()))
            }
            What::Error(n) => {
                let code = ["CES-GO1", "RQ-LIMIT", "STH-US", "x"][usize::from(n % 4)];
                let error = json!({"name": "Error", "message": "no", "code": code});
                json!({"responseId": id, "type": "error", "error": error})
            }
            What::Stream(n, length) => {
                let chunk = char::from(b'a' + n % 26)
                    .to_string()
                    .repeat((*length).into());
                json!({"responseId": id, "type": "stream", "chunk": chunk, "encoding": "utf8"})
            }
            What::End => json!({"responseId": id, "type": "stream-end"}),
            What::Json(n) => data(json!([n, {"a": n}])),
        };
        let mut text = answer.to_string();
        if let Some(edit) = &self.edit {
            edit.apply(&mut text);
        }
        text
    }
}
