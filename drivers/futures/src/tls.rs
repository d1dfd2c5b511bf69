//! TLS: whom to trust, and what to show.

use std::fmt;
use std::sync::Arc;

use futures_rustls::rustls::crypto::{CryptoProvider, ring};
use futures_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use futures_rustls::{TlsAcceptor, TlsConnector};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Certificates or keys that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text is not in PEM form.
    #[error("this is not a valid PEM file: {0}")]
    Pem(String),
    /// There is no certificate in the text.
    #[error("the PEM file contains no certificate")]
    NoCertificate,
    /// There is no private key in the text.
    #[error("the PEM file contains no private key")]
    NoKey,
    /// The parts are readable but cannot be used.
    #[error("the certificate or key cannot be used: {0}")]
    Unusable(String),
}

/// Whom to trust when dialling.
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// Trusts the certificate authorities that browsers trust.
    #[must_use]
    pub fn public() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self::with_roots(roots)
    }

    /// Trusts the certificate authorities in this PEM text, and nobody else.
    ///
    /// # Errors
    /// If there is no usable certificate in it.
    pub fn from_ca_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(unusable)?;
        }
        Ok(Self::with_roots(roots))
    }

    fn with_roots(roots: RootCertStore) -> Self {
        // Only an empty list of protocol versions could be refused here, and ring has both versions.
        let versions = rustls::DEFAULT_VERSIONS;
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("ring supports the default versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.0.clone())
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        Self::public()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

/// What a listener shows: a certificate chain and its key.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// From the PEM texts of a certificate chain (the server's own first) and of its private key.
    ///
    /// # Errors
    /// If one of them cannot be used, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey,
            error => TlsError::Pem(error.to_string()),
        })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(certificates(chain)?, key)
            .map_err(unusable)?;
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.clone())
    }
}

/// The key is a secret: nothing is shown.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// Named here and not taken from the process-wide default, which another crate could have set.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem(error.to_string()))?;
    if found.is_empty() {
        Err(TlsError::NoCertificate)
    } else {
        Ok(found)
    }
}

fn unusable(error: rustls::Error) -> TlsError {
    TlsError::Unusable(error.to_string())
}
