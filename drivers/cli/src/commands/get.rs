//! `chumwire get`.

use std::sync::{Arc, Mutex, PoisonError};

use super::at_home::at_home;
use crate::args::{Get, Use};
use crate::control::Request;
use crate::event::Event;
use crate::failure::Failure;
use crate::operations::Emit;
use crate::operations::objects::hand_out;
use crate::output::Output;

/// Hands out what is stored under a hash.
///
/// # Errors
/// `not_found`, `store_damaged`; the system's.
pub(super) async fn get(args: Get, output: Output) -> Result<(), Failure> {
    let found = Arc::new(Mutex::new(None));
    let keep = found.clone();
    let emit: Emit = Arc::new(move |event| match event {
        Event::Found { path, hex } => {
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some((path, hex));
        }
        other => output.event(&other),
    });
    let request = Request::Get {
        hash: args.hash.clone(),
    };
    at_home(&args.home.home, Use::default(), request, emit).await?;
    let found = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    let found = found.ok_or_else(|| Failure::new("internal", "nothing was found"))?;
    let size = hand_out(&found, &args.hash, args.output.as_deref())?;
    if let Some(path) = args.output {
        output.event(&Event::Got {
            object: args.hash,
            path: path.display().to_string(),
            size,
        });
    }
    Ok(())
}
