//! Properties of every codec: what is written is read back, and whatever is read gives a value or a typed error.

mod support;

use chumwire::channel::{
    Assembled, Assembler, END, FRAGMENTATION, KEEPALIVE, MAX_PADDING, escape, is_fragmented, pad,
    strip, unescape,
};
use chumwire::contact::{Contact, ContactInstance};
use chumwire::crypto::{
    self, OVERHEAD, OpenError, PairKey, Random, RawKey, Reference, SEALED_CHALLENGE, Secret, Suite,
};
use chumwire::establish::{self, Group};
use chumwire::handshake::{self, CommunicationRequest};
use chumwire::hex;
use chumwire::io::Kind;
use chumwire::limits;
use chumwire::node::Record;
use chumwire::objects::{Instance, InstanceId, Keys, Person, PersonId, SignKey};
use chumwire::pairing::{self, Invitation, InvitationId, InvitationRecord, PeerIdentity, TOKEN};
use chumwire::relay::wire::{self, AuthenticationRequest, First};
use chumwire::time::Millis;
use proptest::prelude::*;
use support::generate::{any_control, any_key, any_text, any_url};

/// Reads a text as every message that there is. Nothing panics; a value is written and read again as itself.
fn read_as_everything(text: &str) {
    if let Ok(request) = CommunicationRequest::read(text) {
        assert_eq!(CommunicationRequest::read(&request.text()), Ok(request));
    }
    let _ = handshake::read_communication_ready(text);
    if let Ok((group, extensions)) = establish::read_connection_group(text) {
        let written = establish::connection_group(&group, extensions);
        assert_eq!(
            establish::read_connection_group(&written),
            Ok((group, extensions))
        );
    }
    if let Ok(extensions) = establish::read_sync(text) {
        assert_eq!(
            establish::read_sync(&establish::sync(extensions)),
            Ok(extensions)
        );
    }
    if let Ok(person) = establish::read_person_id_object(text) {
        let written = establish::person_id_object(&person);
        assert_eq!(establish::read_person_id_object(&written), Ok(person));
    }
    if let Ok(keys) = establish::read_keys_object(text) {
        assert_eq!(
            establish::read_keys_object(&establish::keys_object(&keys)),
            Ok(keys)
        );
    }
    if let Ok(instance) = establish::read_instance_id_object(text) {
        let written = establish::instance_id_object(&instance);
        assert_eq!(establish::read_instance_id_object(&written), Ok(instance));
    }
    if let Ok(identity) = pairing::read_identity(text) {
        assert_eq!(
            pairing::read_identity(&pairing::identity(&identity)),
            Ok(identity)
        );
    }
    if let Ok(First::Register(key)) = wire::read_first(text) {
        let written = wire::register(&crypto::PublicKey::new(*key.bytes()));
        assert_eq!(wire::read_first(&written), Ok(First::Register(key)));
    }
    if let Ok(request) = wire::read_authentication_request(text) {
        let written = wire::authentication_request(&request);
        assert_eq!(wire::read_authentication_request(&written), Ok(request));
    }
    if let Ok(response) = wire::read_authentication_response(text) {
        let written = wire::authentication_response(&response);
        assert_eq!(wire::read_authentication_response(&written), Ok(response));
    }
    if let Ok(interval) = wire::read_authentication_success(text) {
        let written = wire::authentication_success(interval);
        assert_eq!(wire::read_authentication_success(&written), Ok(interval));
    }
    let _ = (
        wire::read_to_spare(text),
        wire::read_pong(text),
        Invitation::read(text),
    );
}

/// As a page percent-encodes.
fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn invitation_json(token: &str, key: &[u8; 32], url: &str) -> String {
    let json = serde_json::json!({"token": token, "publicKey": hex::encode(key), "url": url});
    json.to_string()
}

prop_compose! {
    fn any_identity()(
        person_email in any_text(),
        instance_name in any_text(),
        person_key in any_key(),
        instance_key in any_key(),
        sign in any::<[[u8; 32]; 2]>(),
        url in proptest::option::of(any_url()),
    ) -> PeerIdentity {
        let [person_sign_key, instance_sign_key] = sign.map(SignKey);
        PeerIdentity {
            person_email, instance_name, person_key, person_sign_key, instance_key,
            instance_sign_key, url,
        }
    }
}

prop_compose! {
    fn any_device()(
        instance_id in any::<[u8; 32]>().prop_map(InstanceId),
        name in any_text(),
        instance_key in any_key(),
        instance_sign_key in any::<[u8; 32]>().prop_map(SignKey),
        key_proven in any::<bool>(),
        url in proptest::option::of(any_url()),
        paired_at in any::<u64>().prop_map(Millis),
    ) -> ContactInstance {
        ContactInstance {
            instance_id, name, instance_key, instance_sign_key, key_proven, url, paired_at,
        }
    }
}

prop_compose! {
    fn any_contact()(
        person_id in any::<[u8; 32]>().prop_map(PersonId),
        email in any_text(),
        person_key in any_key(),
        person_sign_key in any::<[u8; 32]>().prop_map(SignKey),
        instances in prop::collection::vec(any_device(), 0..3),
    ) -> Contact {
        Contact { person_id, email, person_key, person_sign_key, instances }
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let id = any::<[u8; 32]>().prop_map(InvitationId);
    let person = any::<[u8; 32]>().prop_map(PersonId);
    prop_oneof![
        (any_contact(), proptest::option::of(id.clone()))
            .prop_map(|(contact, spent)| Record::Paired { contact, spent }),
        any_contact().prop_map(Record::Contact),
        (person.clone(), proptest::option::of(any::<u64>())).prop_map(|(person, at)| {
            Record::Forgotten {
                person,
                hide_before: at.map(Millis),
            }
        }),
        (id.clone(), person, any::<u64>()).prop_map(|(id, person, expires)| {
            Record::Invited(InvitationRecord {
                id,
                person,
                expires: Millis(expires),
            })
        }),
        id.prop_map(Record::Withdrawn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn hex_digits_are_read_back_in_either_case(bytes in any::<[u8; 32]>()) {
        let digits = hex::encode(&bytes);
        prop_assert!(digits.bytes().all(|d| d.is_ascii_digit() || (b'a'..=b'f').contains(&d)));
        prop_assert_eq!(hex::decode(&digits), Some(bytes));
        prop_assert_eq!(hex::decode(&digits.to_uppercase()), Some(bytes));
    }

    /// Demands: M0.1.
    #[test]
    fn nothing_but_the_right_number_of_digits_is_read(text in any::<String>(), digits in "[0-9a-fA-F]{0,8}") {
        for text in [text, digits] {
            let good = text.len() == 6 && text.bytes().all(|d| d.is_ascii_hexdigit());
            prop_assert_eq!(hex::decode::<3>(&text).is_some(), good);
        }
    }

    #[test]
    fn any_text_is_a_message_or_a_typed_error(text in any_text()) {
        read_as_everything(&text);
    }

    /// Demands: M0.2.
    #[test]
    fn any_control_message_is_read_or_refused_by_name(text in any_control()) {
        read_as_everything(&text);
    }

    #[test]
    fn requests_of_the_handshake_are_read_back(source in any_key(), target in any_key()) {
        let request = CommunicationRequest { source, target };
        prop_assert_eq!(CommunicationRequest::read(&request.text()), Ok(request.clone()));
        prop_assert_eq!(wire::read_first(&request.text()), Ok(First::Request(request)));
    }

    #[test]
    fn messages_of_the_relay_are_read_back(
        key in any_key(),
        bytes in prop::collection::vec(any::<u8>(), SEALED_CHALLENGE),
        interval in 1..=wire::MAX_PING_INTERVAL_MS,
    ) {
        let challenge = bytes.try_into().expect("that many");
        let request = AuthenticationRequest { relay_key: key, challenge };
        let text = wire::authentication_request(&request);
        prop_assert_eq!(wire::read_authentication_request(&text), Ok(request));
        let text = wire::authentication_response(&challenge);
        prop_assert_eq!(wire::read_authentication_response(&text), Ok(challenge));
        let text = wire::authentication_success(interval);
        prop_assert_eq!(wire::read_authentication_success(&text), Ok(interval));
    }

    #[test]
    fn messages_of_the_establishment_are_read_back(
        name in any_text(),
        email in any_text(),
        owner in any::<[u8; 32]>(),
        public_key in any_key(),
        sign_key in any::<[u8; 32]>(),
        extensions in any::<bool>(),
    ) {
        let group = Group::named(&name);
        let text = establish::connection_group(&group, extensions);
        prop_assert_eq!(establish::read_connection_group(&text), Ok((group, extensions)));
        let person = Person { email };
        let text = establish::person_id_object(&person);
        prop_assert_eq!(establish::read_person_id_object(&text), Ok(person));
        let (owner, sign_key) = (PersonId(owner), SignKey(sign_key));
        let keys = Keys { owner, public_key, sign_key };
        let text = establish::keys_object(&keys);
        prop_assert_eq!(establish::read_keys_object(&text), Ok(keys));
        let instance = Instance { name, owner };
        let text = establish::instance_id_object(&instance);
        prop_assert_eq!(establish::read_instance_id_object(&text), Ok(instance));
    }

    #[test]
    fn identities_are_read_back(identity in any_identity()) {
        let text = pairing::identity(&identity);
        prop_assert_eq!(pairing::read_identity(&text), Ok(identity));
    }

    /// Microdata says everything: other contents, other ids.
    #[test]
    fn other_names_have_other_ids(one in any_text(), two in any_text()) {
        let id = |email: &str| Person { email: email.into() }.id();
        prop_assert_eq!(id(&one) == id(&two), one == two);
        let owner = id(&one);
        let id = |name: &str| Instance { name: name.into(), owner }.id();
        prop_assert_eq!(id(&one) == id(&two), one == two);
    }

    #[test]
    fn padding_comes_off_again(
        text in any::<bool>(),
        seed in any::<[u8; 32]>(),
        message in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut padded = Vec::new();
        pad(text, &mut Random::new(seed), &mut padded);
        let header = padded.len();
        prop_assert!((1..=MAX_PADDING).contains(&header));
        padded.extend_from_slice(&message);
        prop_assert_eq!(strip(&padded), Ok((text, header)));
    }

    #[test]
    fn any_plaintext_has_padding_or_a_typed_fault(
        first in 0..=0x1f_u8,
        rest in prop::collection::vec(0..4_u8, 0..20),
        anything in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for plain in [[vec![first], rest].concat(), anything] {
            if let Ok((text, start)) = strip(&plain) {
                prop_assert!(0 < start && start <= plain.len());
                prop_assert_eq!(text, plain[0] & 0x10 != 0);
            }
        }
    }

    #[test]
    fn escaped_texts_are_unescaped(text in any_text()) {
        for words in [&[KEEPALIVE][..], &FRAGMENTATION[..], &["ab", "abc"][..]] {
            let escaped = escape(&text, words);
            prop_assert_eq!(unescape(&escaped, words), Ok(&*text));
            prop_assert!(!words.contains(&&*escaped), "never a control word itself");
            if let Ok(cut) = unescape(&text, words) {
                prop_assert_eq!(escape(cut, words), text.clone());
            }
        }
    }

    #[test]
    fn fragments_of_any_sizes_make_the_message(
        message in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(0..60_usize, 0..10),
        text in any_text(),
    ) {
        for (kind, message) in [(Kind::Binary, message), (Kind::Text, text.into_bytes())] {
            let mut assembler = Assembler::new(message.len());
            let word = match kind {
                Kind::Text => "fragmentation_start_string",
                Kind::Binary => "fragmentation_start_binary",
            };
            prop_assert_eq!(assembler.text(word), Ok(Assembled::Nothing));
            let mut rest = &message[..];
            for cut in &cuts {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                prop_assert_eq!(assembler.binary(piece), Ok(Assembled::Nothing));
                rest = after;
            }
            prop_assert_eq!(assembler.binary(rest), Ok(Assembled::Nothing));
            let due = match kind {
                Kind::Binary => Assembled::LongBinary(message.clone()),
                Kind::Text => {
                    Assembled::LongText(String::from_utf8(message.clone()).expect("a text"))
                }
            };
            prop_assert_eq!(assembler.text(END), Ok(due));
            // And the next message finds a fresh assembler.
            prop_assert_eq!(assembler.binary(&[1]), Ok(Assembled::Binary(&[1])));
        }
    }

    /// Demands: M4.5.
    #[test]
    fn an_assembler_takes_anything_and_keeps_its_limit(
        pieces in prop::collection::vec((any::<bool>(), any_text()), 0..12),
        limit in 0..200_usize,
    ) {
        let mut assembler = Assembler::new(limit);
        for (is_text, piece) in &pieces {
            let result =
                if *is_text { assembler.text(piece) } else { assembler.binary(piece.as_bytes()) };
            match result {
                Ok(Assembled::LongText(text)) => prop_assert!(text.len() <= limit),
                Ok(Assembled::LongBinary(bytes)) => prop_assert!(bytes.len() <= limit),
                _ => {}
            }
        }
    }

    #[test]
    fn a_text_is_measured_in_utf16_units(
        character in prop::sample::select(vec!['a', 'ä', '€', '😀']),
        less in 0..3_usize,
    ) {
        let count = limits::WHOLE_TEXT / character.len_utf16();
        let text: String = std::iter::repeat_n(character, count - less).collect();
        prop_assert_eq!(is_fragmented(Kind::Text, text.as_bytes()), less == 0);
    }

    #[test]
    fn invitations_are_read_back_in_every_form(
        token in "[0-9a-zA-Z_-]{64}",
        key in any::<[u8; 32]>(),
        url in any_url(),
    ) {
        let json = invitation_json(&token, &key, &url);
        let invitation = Invitation::read(&json).expect("a good one");
        prop_assert_eq!(*invitation.public_key().bytes(), key);
        prop_assert_eq!(invitation.url(), url);
        let encoded = percent_encoded(&json);
        for form in [
            invitation.json(),
            invitation.link(),
            encoded.clone(),
            format!("https://any.example/invites/invitePartner/?invited=true#{encoded}"),
            format!("https://any.example/invites/invitePartner/?invited=true/#{encoded}"),
            format!("  {}\n", invitation.link()),
        ] {
            prop_assert!(Invitation::read(&form) == Ok(invitation.clone()));
        }
        let shown = format!("{invitation:?}");
        prop_assert!(!shown.contains(&token), "it is a secret");
    }

    #[test]
    fn damaged_invitations_are_refused(
        token in "[0-9a-zA-Z_-]{64}",
        key in any::<[u8; 32]>(),
        at in any::<prop::sample::Index>(),
        by in any::<char>(),
    ) {
        let json = invitation_json(&token, &key, "wss://relay.example");
        let good = Invitation::read(&json).expect("a good one");
        // A member more, a member less, a shorter token, another alphabet, no WebSocket.
        for bad in [
            json.replacen('{', "{\"more\":1,", 1),
            json.replace("\"url\"", "\"uri\""),
            invitation_json(&token[1..], &key, "wss://relay.example"),
            invitation_json(&format!("{}!", &token[1..]), &key, "wss://relay.example"),
            invitation_json(&token, &key, "https://relay.example"),
            invitation_json(&token, &key, "ws://"),
        ] {
            prop_assert!(Invitation::read(&bad).is_err());
            prop_assert!(Invitation::read(&percent_encoded(&bad)).is_err());
        }
        let mut characters: Vec<char> = good.link().chars().collect();
        *at.get_mut(&mut characters) = by;
        let _ = Invitation::read(&characters.into_iter().collect::<String>());
        prop_assert_eq!(token.len(), TOKEN);
    }

    #[test]
    fn garbage_is_no_invitation(text in any::<String>(), encoded in "#?(%[0-9a-gA-G]{0,2}|[{}\":,a-z]){0,40}") {
        prop_assert!(Invitation::read(&text).is_err());
        prop_assert!(Invitation::read(&encoded).is_err());
    }

    #[test]
    fn records_are_read_back_from_storage(record in any_record()) {
        let text = serde_json::to_string(&record).expect("it is written");
        let again: Record = serde_json::from_str(&text).expect("it is read");
        prop_assert_eq!(again, record);
    }

    #[test]
    fn any_stored_text_is_a_record_or_an_error(text in any::<String>(), at in any::<prop::sample::Index>(), record in any_record()) {
        let _ = serde_json::from_str::<Record>(&text);
        let mut damaged: Vec<char> =
            serde_json::to_string(&record).expect("it is written").chars().collect();
        damaged.remove(at.index(damaged.len()));
        let _ = serde_json::from_str::<Record>(&damaged.into_iter().collect::<String>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn sealed_boxes_open_with_either_suite(
        key in any::<[u8; 32]>(),
        seed in any::<[u8; 32]>(),
        plain in any::<[u8; 32]>(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        boxes::<chumwire::crypto::Nacl, Reference>(key, seed, plain, at, bit)?;
        boxes::<Reference, chumwire::crypto::Nacl>(key, seed, plain, at, bit)?;
    }
}

fn boxes<S: Suite<Pair: RawKey>, T: Suite<Pair: RawKey>>(
    key: [u8; 32],
    seed: [u8; 32],
    plain: [u8; 32],
    at: prop::sample::Index,
    bit: u8,
) -> Result<(), TestCaseError> {
    let (one, two) = (
        S::Pair::from_raw(Secret::take(&mut { key })),
        T::Pair::from_raw(Secret::take(&mut { key })),
    );
    let mut sealed: [u8; 72] = crypto::seal(&one, &mut Random::new(seed), &plain);
    let opened = crypto::open::<32>(&two, &sealed).expect("a good box");
    prop_assert_eq!(opened.expose(), &plain);
    for length in 0..72 {
        let due = OpenError::Length {
            expected: 72,
            got: length,
        };
        prop_assert_eq!(crypto::open::<32>(&two, &sealed[..length]).err(), Some(due));
    }
    sealed[at.index(72)] ^= 1 << bit;
    prop_assert_eq!(
        crypto::open::<32>(&two, &sealed).err(),
        Some(OpenError::Forged)
    );
    let (nonce, body) = sealed.split_first_chunk().expect("it is longer");
    prop_assert!(!one.verify(nonce, body) && !two.verify(nonce, body));
    prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
    Ok(())
}
