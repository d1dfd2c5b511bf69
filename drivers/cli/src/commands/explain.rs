//! `chumwire explain`.

use std::path::PathBuf;

use chumwire_trace::explain as explained;

use crate::event::{Event, Told};
use crate::failure::Failure;
use crate::output::Output;
use crate::traces::read_all;

/// Says what went wrong in a trace, or in those of several machines.
///
/// # Errors
/// `bad_trace`
pub(super) fn explain(paths: &[PathBuf], output: Output) -> Result<(), Failure> {
    let merged = read_all(paths)?;
    let mut explanation = explained(&merged.trace);
    for finding in &mut explanation.findings {
        // As the line is counted in its own file.
        finding.line = finding.line.and_then(|line| merged.line_of(line - 2));
    }
    let mut findings = explanation.findings.iter().map(Told::from);
    // There is always one.
    if let Some(first) = findings.next() {
        output.event(&Event::Explanation {
            first,
            paired: explanation.paired,
            connected: explanation.connected,
            others: findings.collect(),
        });
    }
    Ok(())
}
