//! The lists of roots and of children: what is written is read again, and nothing that is read does harm.

use chumwire::chum::{ListFault, Root, read_children, read_roots, write_children, write_roots};
use chumwire::objects::{FileHash, IdHash, ObjectHash, Reference};
use proptest::prelude::*;

fn any_root() -> impl Strategy<Value = Root> {
    let name = || "[A-Za-z][A-Za-z0-9_/-]{0,20}|Größe";
    let hash = || any::<[u8; 32]>().prop_map(ObjectHash);
    let id = || any::<[u8; 32]>().prop_map(IdHash);
    prop_oneof![
        (hash(), name()).prop_map(|(hash, type_name)| Root::Unversioned { hash, type_name }),
        (hash(), id(), name()).prop_map(|(hash, id, type_name)| Root::Versioned {
            hash,
            id,
            type_name
        }),
        (id(), name()).prop_map(|(id, type_name)| Root::Id { id, type_name }),
        (hash(), id(), name()).prop_map(|(node, id, type_name)| Root::VersionNode {
            node,
            id,
            type_name
        }),
    ]
}

fn any_child() -> impl Strategy<Value = Reference> {
    any::<(u8, [u8; 32])>().prop_map(|(kind, hash)| match kind % 4 {
        0 => Reference::Object(ObjectHash(hash)),
        1 => Reference::Id(IdHash(hash)),
        2 => Reference::Blob(FileHash(hash)),
        _ => Reference::Clob(FileHash(hash)),
    })
}

/// Something like a list: pieces of one, in any order.
fn nearly_a_list() -> impl Strategy<Value = String> {
    let hash = "ab".repeat(32);
    let pieces = [
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "null",
        "0",
        "\"",
        "\\u0000",
        "\\ud800",
        "type",
        "\"type\":",
        "\"hash\":",
        "\"idHash\":",
        "\"oneType\":\"Note\"",
        "\"id\"",
        "\"unversioned\"",
        "\"object\"",
        "\"blob\"",
        "../../x",
        &hash,
        "[[[[[[",
        " ",
    ];
    let pieces = pieces.map(String::from).to_vec();
    proptest::collection::vec(proptest::sample::select(pieces), 0..30).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn roots_are_read_as_they_were_written(roots in proptest::collection::vec(any_root(), 0..20)) {
        let read = read_roots(&write_roots(&roots), roots.len());
        let whole: Result<Vec<_>, _> = read.expect("a list").into_iter().collect();
        prop_assert_eq!(whole, Ok(roots.clone()));
        if let Some(most) = roots.len().checked_sub(1) {
            prop_assert_eq!(read_roots(&write_roots(&roots), most), Err(ListFault::TooMany(most)));
        }
    }

    #[test]
    fn children_are_read_as_they_were_written(
        children in proptest::collection::vec(any_child(), 0..20),
    ) {
        let read = read_children(&write_children(&children), children.len());
        prop_assert_eq!(read, Ok(children));
    }

    #[test]
    fn no_text_does_harm(text in prop_oneof![any::<String>(), nearly_a_list()]) {
        if let Ok(children) = read_children(&text, 10) {
            prop_assert!(children.len() <= 10);
        }
        if let Ok(roots) = read_roots(&text, 10) {
            prop_assert!(roots.len() <= 10);
            // What was taken for a root is one: written, it is read as the same.
            let good: Vec<_> = roots.into_iter().flatten().collect();
            let again = read_roots(&write_roots(&good), 10).expect("a list");
            let again: Vec<_> = again.into_iter().flatten().collect();
            prop_assert_eq!(again, good);
        }
    }
}

#[test]
fn a_bad_entry_is_a_fault_of_its_own() {
    let hash = "ab".repeat(32);
    let (upper, short) = ("AB".repeat(32), "ab".repeat(31));
    let good = format!(r#"{{"type":"id","idHash":"{hash}","oneType":"Note"}}"#);
    let of = |word: &str, hash: &str, name: &str| {
        format!(r#"{{"type":"{word}","hash":"{hash}","oneType":"{name}"}}"#)
    };
    let long = "x".repeat(257);
    let array = format!(r#"["id",null,"{hash}","Note",null,null,null]"#);
    let cases = [
        ("7".to_string(), ListFault::NotAnEntry),
        (array, ListFault::NotAnEntry),
        (r#"{"type":7}"#.into(), ListFault::NotAnEntry),
        (r#"{"type":"id","type":"id"}"#.into(), ListFault::NotAnEntry),
        ("{}".into(), ListFault::UnknownType),
        (of("constellation", &hash, "Note"), ListFault::UnknownType),
        (of("unversioned", &upper, "Note"), ListFault::NotAHash),
        (of("unversioned", &short, "Note"), ListFault::NotAHash),
        (of("unversioned", "../../x", "Note"), ListFault::NotAHash),
        (of("versioned", &hash, "Note"), ListFault::NotAHash),
        (of("version_node", &hash, "Note"), ListFault::NotAHash),
        (of("unversioned", &hash, ""), ListFault::TypeName),
        (of("unversioned", &hash, "../x"), ListFault::TypeName),
        (of("unversioned", &hash, &long), ListFault::TypeName),
    ];
    for (entry, fault) in cases {
        let list = read_roots(&format!("[{entry},{good}]"), 2).expect("a list");
        assert_eq!(list[0], Err(fault), "{entry}");
        assert!(list[1].is_ok(), "{entry}");
    }
    for (list, fault) in [
        ("", ListFault::NotJson),
        ("[", ListFault::NotJson),
        ("[]x", ListFault::NotJson),
        ("{}", ListFault::NotAnArray),
        ("\"[]\"", ListFault::NotAnArray),
        ("null", ListFault::NotAnArray),
    ] {
        assert_eq!(read_roots(list, 2), Err(fault), "{list}");
        assert_eq!(read_children(list, 2), Err(fault), "{list}");
    }
}
