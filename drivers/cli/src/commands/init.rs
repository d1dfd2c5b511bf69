//! `chumwire init`.

use std::fs;

use chumwire::crypto::{Nacl, Random};
use chumwire::identity::Identity;
use chumwire::objects::is_good_name;

use crate::args::Init;
use crate::event::Event;
use crate::failure::Failure;
use crate::home::Home;
use crate::output::Output;
use crate::peer::seed;

/// Makes a home with a new identity.
///
/// # Errors
/// If there is one already, or a name is not fit.
pub(super) fn init(args: Init, output: Output) -> Result<(), Failure> {
    let name = args.name.unwrap_or_else(machine_name);
    let identity = identity(&args.email, &name)?;
    drop(Home::create(&args.home.home, &identity)?);
    output.event(&Event::identity(&identity));
    Ok(())
}

/// A new identity with new keys.
///
/// # Errors
/// If a name is not fit.
pub(super) fn identity(email: &str, name: &str) -> Result<Identity, Failure> {
    Identity::generate::<Nacl>(&mut Random::new(seed()?), email, name)
        .map_err(|error| Failure::new("bad_name", error))
}

/// What the machine is called, if that is fit for a name.
fn machine_name() -> String {
    let name = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .into_iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let name = name.trim();
    if is_good_name(name) {
        name.into()
    } else {
        "instance".into()
    }
}
