//! `wss://`: it works with the right certificate authority, and says what is wrong with any other.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use chumwire::io::{Closed, ConnId, Full, Kind, Message, NotStored};
use chumwire_async_std::{ClientTls, Config, Handle, ServerTls, TlsError, block_on, spawn};
use chumwire_conformance::probe::{Behaviour, Io, Probe, Seen};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A certificate authority and a server that it vouches for, all as PEM.
struct Pki {
    ca: String,
    chain: String,
    key: String,
}

fn pki(name: &str) -> Pki {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key");
    let ca = CertifiedIssuer::self_signed(params, ca_key).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new([name.into()]).expect("a name");
    let chain = server.signed_by(&key, &ca).expect("a certificate").pem();
    Pki {
        ca: ca.pem(),
        chain,
        key: key.serialize_pem(),
    }
}

/// Sends everything back.
struct Echo;

impl Behaviour for Echo {
    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        io.send(conn, message.kind(), message.bytes());
        Ok(())
    }
}

/// Dials and says two things.
struct Client(String);

impl Behaviour for Client {
    fn start(&mut self, io: &mut Io) {
        io.dial(&self.0);
    }

    fn opened(&mut self, io: &mut Io, conn: ConnId) {
        io.send(conn, Kind::Text, b"hello");
        io.send(conn, Kind::Binary, &[7; 131_072]);
    }

    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message<'_>) -> Result<(), Full> {
        if message.kind() == Kind::Binary {
            io.close(conn, 1000, "done");
        }
        Ok(())
    }
}

type Running<B> = (Handle<Probe<B>>, Receiver<Seen>);

fn start<B: Behaviour>(behaviour: B, config: Config) -> Running<B> {
    let (tell, seen) = channel();
    let host = (
        move |event, _: &[u8]| drop(tell.send(event)),
        |_| Err(NotStored),
    );
    let (handle, _task) = spawn(Probe::new(behaviour), host, config);
    (handle, seen)
}

/// A server with this certificate, and a client that dials `name` and trusts whom `trust` says.
fn talk(pki: &Pki, name: &str, trust: ClientTls) -> (Vec<Seen>, Vec<Seen>) {
    let tls = ServerTls::from_pem(pki.chain.as_bytes(), pki.key.as_bytes()).expect("usable");
    let (server, heard) = start(Echo, Config::default());
    let address = block_on(server.listen(([127, 0, 0, 1], 0).into(), Some(tls))).expect("a port");
    let mut config = Config::default();
    config.client_tls = trust;
    let (client, seen) = start(Client(format!("wss://{name}:{}", address.port())), config);
    let mut told = Vec::new();
    while !matches!(told.last(), Some(Seen::Closed(..))) {
        told.push(
            seen.recv_timeout(Duration::from_secs(10))
                .expect("an end of the connection"),
        );
    }
    block_on(client.shutdown());
    block_on(server.shutdown());
    (told, heard.try_iter().collect())
}

#[test]
fn messages_travel_over_tls() {
    let pki = pki("localhost");
    let trust = ClientTls::from_ca_pem(pki.ca.as_bytes()).expect("usable");
    let (told, heard) = talk(&pki, "localhost", trust);
    let messages: Vec<_> = told
        .iter()
        .filter_map(|seen| match seen {
            Seen::Message(_, kind, bytes) => Some((*kind, bytes.len())),
            _ => None,
        })
        .collect();
    assert_eq!(messages, [(Kind::Text, 5), (Kind::Binary, 131_072)]);
    let by_peer = |code| Closed::ByPeer {
        code,
        reason: "done".into(),
    };
    assert!(
        matches!(told.last(), Some(Seen::Closed(_, how)) if *how == by_peer(1000)),
        "{told:?}"
    );
    assert!(matches!(heard.last(), Some(Seen::Closed(_, how)) if *how == by_peer(1000)));
    assert!(
        !told
            .iter()
            .chain(&heard)
            .any(|seen| matches!(seen, Seen::Broken(_)))
    );
}

fn refusal(pki: &Pki, name: &str, trust: ClientTls) -> String {
    let (told, heard) = talk(pki, name, trust);
    assert!(
        heard.is_empty(),
        "the server's machine heard of it: {heard:?}"
    );
    match told.as_slice() {
        [Seen::Closed(_, Closed::NotOpened(why))] => why.clone(),
        other => panic!("the client was told {other:?}"),
    }
}

#[test]
fn an_unknown_issuer_is_named_as_the_cause() {
    let why = refusal(&pki("localhost"), "localhost", ClientTls::public());
    assert_eq!(
        why,
        "TLS with localhost failed: its certificate comes from an unknown issuer"
    );
}

#[test]
fn a_certificate_for_another_name_is_named_as_the_cause() {
    let pki = pki("example.org");
    let trust = ClientTls::from_ca_pem(pki.ca.as_bytes()).expect("usable");
    let why = refusal(&pki, "127.0.0.1", trust);
    assert_eq!(
        why,
        "TLS with 127.0.0.1 failed: its certificate is for another name"
    );
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let (server, heard) = start(Echo, Config::default());
    let address = block_on(server.listen(([127, 0, 0, 1], 0).into(), None)).expect("a port");
    let (client, seen) = start(Client(format!("wss://{address}")), Config::default());
    match seen.recv_timeout(Duration::from_secs(10)) {
        Ok(Seen::Closed(_, Closed::NotOpened(why))) => {
            assert!(why.starts_with("TLS with 127.0.0.1 failed"), "{why}");
        }
        other => panic!("the client was told {other:?}"),
    }
    block_on(client.shutdown());
    block_on(server.shutdown());
    assert_eq!(heard.try_iter().count(), 0);
}

#[test]
fn unusable_certificates_are_refused_by_name() {
    let (one, other) = (pki("localhost"), pki("localhost"));
    let server = |chain: &str, key: &str| ServerTls::from_pem(chain.as_bytes(), key.as_bytes());
    assert!(matches!(server("", &one.key), Err(TlsError::NoCertificate)));
    assert!(matches!(server(&one.chain, ""), Err(TlsError::NoKey)));
    assert!(matches!(
        server(&one.chain, &other.key),
        Err(TlsError::Unusable(_))
    ));
    assert!(matches!(
        ClientTls::from_ca_pem(b"rubbish"),
        Err(TlsError::NoCertificate)
    ));
    let broken = one.ca.replace('M', "!");
    assert!(ClientTls::from_ca_pem(broken.as_bytes()).is_err());
}
