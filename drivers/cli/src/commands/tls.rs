//! Certificates from files.

use std::fs;
use std::path::Path;

use chumwire_async_std::{ClientTls, ServerTls, TlsError};

use crate::failure::Failure;

/// Whom to trust: the authorities in this file, or those that browsers trust.
///
/// # Errors
/// `bad_certificate`
pub(super) fn trust(ca: Option<&Path>) -> Result<ClientTls, Failure> {
    match ca {
        None => Ok(ClientTls::public()),
        Some(path) => ClientTls::from_ca_pem(&read(path)?).map_err(|error| unusable(path, &error)),
    }
}

/// What a server shows.
///
/// # Errors
/// `bad_certificate`
pub(super) fn show(certificate: &Path, key: &Path) -> Result<ServerTls, Failure> {
    let key_text = zeroize::Zeroizing::new(read(key)?);
    ServerTls::from_pem(&read(certificate)?, &key_text)
        .map_err(|error| unusable(certificate, &error))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure::new(
            "bad_certificate",
            format_args!("{} cannot be read: {error}", path.display()),
        )
    })
}

fn unusable(path: &Path, error: &TlsError) -> Failure {
    Failure::new(
        "bad_certificate",
        format_args!("{}: {error}", path.display()),
    )
}
