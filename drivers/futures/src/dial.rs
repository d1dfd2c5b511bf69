//! Opening a connection: URL, TCP, TLS, WebSocket.

use std::io;
use std::time::Duration;

use async_tungstenite::client_async_with_config;
use async_tungstenite::tungstenite::error::ProtocolError;
use async_tungstenite::tungstenite::http::Uri;
use async_tungstenite::tungstenite::{self as ws};
use futures_rustls::rustls::{self, CertificateError};
use futures_util::future::TryFutureExt;
use rustls_pki_types::ServerName;

use crate::config::Limits;
use crate::runtime::{Runtime, within};
use crate::tls::ClientTls;
use crate::transport::{Socket, Transport};

/// Why a connection could not be opened: one sentence for a person. The first words tell the kind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("not a usable WebSocket address: {0}")]
    Url(&'static str),
    #[error("could not connect to {host}:{port}: {why}")]
    Tcp {
        host: String,
        port: u16,
        why: String,
    },
    #[error("TLS with {host} failed: {why}")]
    Tls { host: String, why: String },
    #[error("{host}:{port} answered with HTTP status {status} instead of a WebSocket")]
    Http {
        host: String,
        port: u16,
        status: u16,
    },
    #[error("no WebSocket at {host}:{port}: {why}")]
    WebSocket {
        host: String,
        port: u16,
        why: String,
    },
    #[error("no connection within {} s", .0.as_secs_f32())]
    TooSlow(Duration),
}

/// Opens a WebSocket to `url` within the time limit.
pub(crate) async fn dial<R: Runtime>(
    runtime: &R,
    url: &str,
    tls: &ClientTls,
    limits: &Limits,
) -> Result<Box<Socket<R::Stream>>, DialError> {
    // Boxed: the handshake's state is much larger than what stays afterwards.
    let opening = Box::pin(open(runtime, url, tls, limits));
    within(runtime, limits.open, opening)
        .await
        .ok_or(DialError::TooSlow(limits.open))?
}

async fn open<R: Runtime>(
    runtime: &R,
    url: &str,
    tls: &ClientTls,
    limits: &Limits,
) -> Result<Box<Socket<R::Stream>>, DialError> {
    let Target { secure, host, port } = Target::parse(url)?;
    let tcp = runtime
        .connect(&host, port)
        .map_err(|error| DialError::Tcp {
            host: host.clone(),
            port,
            why: plain(&error),
        })
        .await?;
    let transport = if secure {
        let name = ServerName::try_from(host.clone())
            .map_err(|_| DialError::Url("its host is not a valid name"))?;
        let stream = tls
            .connector()
            .connect(name, tcp)
            .map_err(|error| DialError::Tls {
                host: host.clone(),
                why: tls_failure(&error),
            })
            .await?;
        Transport::Tls(Box::new(stream.into()))
    } else {
        Transport::Plain(tcp)
    };
    match client_async_with_config(url, transport, Some(limits.websocket())).await {
        Ok((socket, _)) => Ok(Box::new(socket)),
        Err(ws::Error::Http(response)) => Err(DialError::Http {
            host,
            port,
            status: response.status().as_u16(),
        }),
        Err(error) => Err(DialError::WebSocket {
            host,
            port,
            why: no_websocket(&error),
        }),
    }
}

/// The parts of a URL that connecting needs.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    secure: bool,
    host: String,
    port: u16,
}

impl Target {
    fn parse(url: &str) -> Result<Self, DialError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| DialError::Url("it cannot be read as a URL"))?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => {
                return Err(DialError::Url(
                    "it begins neither with ws:// nor with wss://",
                ));
            }
        };
        let host = uri.host().unwrap_or_default();
        // An IPv6 address stands in brackets in a URL, and nowhere else.
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        if bare.is_empty() {
            return Err(DialError::Url("it has no host"));
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self {
            secure,
            host: bare.into(),
            port,
        })
    }
}

/// An I/O error without the decoration that runtimes and systems add to the common kinds.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::HostUnreachable => "host unreachable".into(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        io::ErrorKind::BrokenPipe => "broken pipe".into(),
        io::ErrorKind::UnexpectedEof => "it ended unexpectedly".into(),
        _ => error.to_string(),
    }
}

fn tls_failure(error: &io::Error) -> String {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer => {
                "its certificate comes from an unknown issuer".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name".into()
            }
            why => format!("its certificate is not valid: {why}"),
        },
        Some(rustls::Error::InvalidMessage(_)) => "the other side does not speak TLS".into(),
        Some(other) => other.to_string(),
        None => plain(error),
    }
}

fn no_websocket(error: &ws::Error) -> String {
    match error {
        ws::Error::Io(error) => plain(error),
        ws::Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            "it closed the connection during the handshake".into()
        }
        ws::Error::Protocol(ProtocolError::HttparseError(_)) => "it does not speak HTTP".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_host_port_and_whether_tls_is_wanted() {
        let target = |url| Target::parse(url).map_err(|error| error.to_string());
        let expect = |secure, host: &str, port| {
            Ok(Target {
                secure,
                host: host.into(),
                port,
            })
        };
        assert_eq!(target("ws://example.org"), expect(false, "example.org", 80));
        assert_eq!(
            target("wss://example.org/path?x"),
            expect(true, "example.org", 443)
        );
        assert_eq!(target("ws://[::1]:8000"), expect(false, "::1", 8000));
        assert_eq!(
            target("wss://user@10.0.0.1:1/"),
            expect(true, "10.0.0.1", 1)
        );
        for bad in [
            "",
            "example.org",
            "http://example.org",
            "ws://",
            "ws://[::1",
            "ws://a b",
        ] {
            let error = Target::parse(bad).expect_err(bad).to_string();
            assert!(
                error.starts_with("not a usable WebSocket address"),
                "{error}"
            );
        }
    }
}
