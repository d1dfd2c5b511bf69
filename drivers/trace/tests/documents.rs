//! The document's table is the code's.

use std::fmt::Write as _;
use std::fs;

use chumwire_trace::Cause;

#[test]
fn the_document_names_every_cause() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/traces.md");
    let text = fs::read_to_string(path).expect("the document");
    let mut table = String::from("| cause | whose fault | what it means |\n| --- | --- | --- |\n");
    for cause in Cause::ALL {
        let (code, fault, means) = (cause.code(), cause.fault(), cause.means());
        writeln!(table, "| `{code}` | {fault} | {means} |").expect("room");
    }
    assert!(
        text.contains(&table),
        "docs/traces.md should have:\n{table}"
    );
}

#[test]
fn no_two_causes_share_a_code() {
    let mut codes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.code()).collect();
    codes.sort_unstable();
    let all = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), all);
}
