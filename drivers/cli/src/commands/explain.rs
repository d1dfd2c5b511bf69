//! `chumwire explain`.

use std::path::Path;

use chumwire_trace::explain as explained;

use crate::event::{Event, Told};
use crate::failure::Failure;
use crate::output::Output;
use crate::traces::read;

/// Says what went wrong in a trace.
///
/// # Errors
/// `bad_trace`
pub(super) fn explain(path: &Path, output: Output) -> Result<(), Failure> {
    let trace = read(path)?;
    let explanation = explained(&trace);
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
