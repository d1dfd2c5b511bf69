//! What is read from a text, and written back as itself.

use chumwire::contact::Contact;
use chumwire::crypto::{self, Nacl, OpenError, Random, RawKey, Reference, Secret, Suite};
use chumwire::establish;
use chumwire::handshake::{self, CommunicationRequest};
use chumwire::hex;
use chumwire::node::Record;
use chumwire::pairing::{self, Invitation};
use chumwire::relay::wire;

/// Hex digits and the JSON messages of every layer.
pub(crate) fn json(text: &str) {
    if let Some(bytes) = hex::decode::<32>(text) {
        assert_eq!(hex::encode(&bytes), text.to_ascii_lowercase());
    }
    if let Ok(request) = CommunicationRequest::read(text) {
        assert_eq!(CommunicationRequest::read(&request.text()), Ok(request));
    }
    let _ = handshake::read_communication_ready(text);
    if let Ok((group, ext)) = establish::read_connection_group(text) {
        let again = establish::connection_group(&group, ext);
        assert_eq!(establish::read_connection_group(&again), Ok((group, ext)));
    }
    if let Ok(ext) = establish::read_sync(text) {
        assert_eq!(establish::read_sync(&establish::sync(ext)), Ok(ext));
    }
    if let Ok(person) = establish::read_person_id_object(text) {
        let again = establish::person_id_object(&person);
        assert_eq!(establish::read_person_id_object(&again), Ok(person));
    }
    if let Ok(keys) = establish::read_keys_object(text) {
        assert_eq!(
            establish::read_keys_object(&establish::keys_object(&keys)),
            Ok(keys)
        );
    }
    if let Ok(instance) = establish::read_instance_id_object(text) {
        let again = establish::instance_id_object(&instance);
        assert_eq!(establish::read_instance_id_object(&again), Ok(instance));
    }
    if let Ok(identity) = pairing::read_identity(text) {
        assert_eq!(
            pairing::read_identity(&pairing::identity(&identity)),
            Ok(identity)
        );
    }
    if let Ok(request) = wire::read_authentication_request(text) {
        let again = wire::authentication_request(&request);
        assert_eq!(wire::read_authentication_request(&again), Ok(request));
    }
    if let Ok(response) = wire::read_authentication_response(text) {
        let again = wire::authentication_response(&response);
        assert_eq!(wire::read_authentication_response(&again), Ok(response));
    }
    if let Ok(interval) = wire::read_authentication_success(text) {
        let again = wire::authentication_success(interval);
        assert_eq!(wire::read_authentication_success(&again), Ok(interval));
    }
    let _ = (
        wire::read_first(text),
        wire::read_to_spare(text),
        wire::read_pong(text),
    );
}

/// Boxes that carry their nonce: both suites say the same.
pub(crate) fn boxes(sealed: &[u8]) {
    let nacl = <Nacl as Suite>::Pair::from_raw(Secret::take(&mut [7; 32]));
    let reference = <Reference as Suite>::Pair::from_raw(Secret::take(&mut [7; 32]));
    let opened = crypto::open::<32>(&nacl, sealed);
    assert_eq!(opened, crypto::open::<32>(&reference, sealed));
    if sealed.len() == 72 {
        assert_eq!(
            opened.err(),
            Some(OpenError::Forged),
            "nobody guesses a tag"
        );
    }
    if let Some(plain) = sealed.first_chunk::<64>() {
        let mut good: [u8; 104] = crypto::seal(&nacl, &mut Random::new([1; 32]), plain);
        let again = crypto::open::<64>(&reference, &good).map(|opened| *opened.expose());
        assert_eq!(again, Ok(*plain));
        for (to, by) in good.iter_mut().zip(&sealed[64..]) {
            *to ^= by;
        }
        let changed = sealed[64..].iter().take(104).any(|by| *by != 0);
        assert_eq!(crypto::open::<64>(&reference, &good).is_err(), changed);
    }
}

/// Invitations in every form.
pub(crate) fn invitation(text: &str) {
    if let Ok(invitation) = Invitation::read(text) {
        for form in [invitation.json(), invitation.link()] {
            assert!(Invitation::read(&form) == Ok(invitation.clone()));
        }
    }
}

/// What is read from storage.
pub(crate) fn records(text: &str) {
    if let Ok(contact) = serde_json::from_str::<Contact>(text) {
        let again = serde_json::to_string(&contact).expect("it is written");
        assert_eq!(serde_json::from_str::<Contact>(&again).ok(), Some(contact));
    }
    if let Ok(record) = serde_json::from_str::<Record>(text) {
        let again = serde_json::to_string(&record).expect("it is written");
        assert_eq!(serde_json::from_str::<Record>(&again).ok(), Some(record));
    }
}
