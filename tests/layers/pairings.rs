//! The machine of both sides' pairing, against what a peer that has proven itself may say (spec 06).

use std::sync::Arc;

use crate::support::people::made_up;
use crate::support::stub::Stub;
use chumwire::contact::Contact;
use chumwire::crypto::{PublicKey, Static};
use chumwire::establish::{Established, Group, OnRecord};
use chumwire::fault::{Fault, Part, Why};
use chumwire::identity::Identity;
use chumwire::io::{Kind, Message, NotStored, Output};
use chumwire::limits;
use chumwire::objects::SignKey;
use chumwire::pairing::{
    Invitation, Pairing, PairingConfig, PairingEvent, PeerIdentity, identity as identity_text,
};
use chumwire::role::Role;
use chumwire::time::{Micros, Millis, Now};

const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";

fn now() -> Now {
    Now {
        mono: Micros::secs(1),
        wall: Millis(1_700_000_000_000),
    }
}

/// What the peer has proven, with this key in the handshake.
fn proven(peer: &Identity, presented: PublicKey<Static>) -> Established {
    Established {
        group: Group::Pairing,
        person: peer.person().clone(),
        keys: peer.person_keys(),
        instance: peer.instance().clone(),
        peer: presented,
        extensions: true,
    }
}

struct Stage {
    pairing: Pairing,
    node: Stub,
    sent: Vec<String>,
    contact: Option<Contact>,
    paired: usize,
    closes: usize,
    fault: Option<Fault>,
}

impl Stage {
    fn with(role: Role, peer: Established, config: PairingConfig) -> Self {
        let own = Arc::new(made_up("alice"));
        let pairing = match role {
            Role::Acceptor => Pairing::acceptor(now(), config, own, peer),
            Role::Initiator => {
                let key = peer.peer.hex();
                let json = serde_json::json!({"token": TOKEN, "publicKey": key, "url": "ws://x"});
                let invitation = Invitation::read(&json.to_string()).expect("an invitation");
                Pairing::initiator(now(), config, own, peer, invitation.token())
            }
        };
        let mut stage = Self {
            pairing,
            node: Stub::accepting(TOKEN),
            sent: Vec::new(),
            contact: None,
            paired: 0,
            closes: 0,
            fault: None,
        };
        stage.drain();
        if role == Role::Acceptor {
            let token = format!(r#"{{"command":"authentication_token","token":"{TOKEN}"}}"#);
            stage.say(&token);
        }
        assert_eq!(stage.fault, None);
        stage
    }

    fn new(role: Role, peer: &Identity) -> Self {
        let presented = peer.instance_key().public().presented();
        Self::with(role, proven(peer, presented), PairingConfig::default())
    }

    fn drain(&mut self) {
        let mut bytes = Vec::new();
        while let Some(output) = self.pairing.poll(&mut bytes) {
            match output {
                Output::Send(kind) => {
                    assert_eq!(kind, Kind::Text);
                    self.sent
                        .push(String::from_utf8(bytes.clone()).expect("a text"));
                }
                Output::Event(PairingEvent::Store(contact)) => self.contact = Some(contact),
                Output::Event(PairingEvent::Paired) => self.paired += 1,
                Output::Event(PairingEvent::Close) => self.closes += 1,
                Output::Fault(fault) => self.fault = Some(fault),
                Output::Note(_) => {}
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.pairing
            .message(now(), Message::Text(text), &mut self.node);
        self.drain();
    }

    fn why(&self) -> &Why {
        &self.fault.as_ref().expect("a fault").why
    }
}

fn said_by(peer: &Identity) -> PeerIdentity {
    PeerIdentity::of(peer, Some("wss://bob.example".into()))
}

/// What a lie changes, with the help of somebody else.
type Lie = fn(&mut PeerIdentity, &Identity);
/// What is on record otherwise.
type Change = fn(&mut OnRecord, &Identity);

const ROLES: [Role; 2] = [Role::Acceptor, Role::Initiator];

#[test]
fn what_is_right_becomes_a_contact() {
    let bob = made_up("bob");
    for role in ROLES {
        let mut stage = Stage::new(role, &bob);
        stage.say(&identity_text(&said_by(&bob)));
        let contact = stage.contact.clone().expect("a contact");
        let [instance] = &contact.instances[..] else {
            panic!("{contact:?}")
        };
        assert_eq!(contact.person_id, bob.person_id());
        assert_eq!(contact.email, bob.person().email);
        assert_eq!(contact.person_key, bob.person_key().public());
        assert_eq!(contact.person_sign_key, bob.person_sign_key());
        assert_eq!(instance.instance_id, bob.instance().id());
        assert_eq!(instance.name, bob.instance().name);
        assert_eq!(instance.instance_key, bob.instance_key().public());
        assert_eq!(instance.instance_sign_key, bob.instance_sign_key());
        assert_eq!(instance.url.as_deref(), Some("wss://bob.example"));
        assert_eq!(instance.paired_at, now().wall);
        assert!(instance.key_proven);
        // The storage has no limit; nothing is told before it has answered.
        assert_eq!((stage.paired, stage.pairing.deadline()), (0, None));
        stage.pairing.stored(now(), Ok(()));
        stage.drain();
        assert_eq!(stage.paired, 1);
        // The initiator says who it is and closes; the acceptor waits for that.
        assert_eq!(stage.closes, usize::from(role == Role::Initiator));
        assert_eq!(stage.pairing.awaits_close(), role == Role::Acceptor);
        let own = stage
            .sent
            .iter()
            .filter(|text| text.contains("\"identity\""));
        assert_eq!(own.count(), 1);
        // Twice is once.
        stage.pairing.stored(now(), Ok(()));
        stage.drain();
        assert_eq!(stage.paired, 1);
    }
}

/// Each thing that an identity says, wrong alone: named, and nothing is stored.
///
/// Demands: M6.3, M6.4.
#[test]
fn an_identity_that_differs_from_what_was_proven_is_refused() {
    let (bob, other) = (made_up("bob"), made_up("other"));
    let lies: [(Part, Lie); 5] = [
        (Part::Person, |said, of| {
            said.person_email = of.person().email.clone();
        }),
        (Part::PersonKey, |said, of| {
            said.person_key = of.person_key().public();
        }),
        (Part::PersonSignKey, |said, of| {
            said.person_sign_key = of.person_sign_key();
        }),
        (Part::Instance, |said, of| {
            said.instance_name = of.instance().name.clone();
        }),
        (Part::InstanceKey, |said, of| {
            said.instance_key = of.instance_key().public();
        }),
    ];
    for role in ROLES {
        for (part, lie) in lies {
            let mut said = said_by(&bob);
            lie(&mut said, &other);
            let mut stage = Stage::new(role, &bob);
            stage.say(&identity_text(&said));
            assert_eq!(*stage.why(), Why::IdentityMismatch { part }, "{role:?}");
            assert_eq!((stage.contact, stage.paired), (None, 0));
        }
    }
}

/// Deployed initiators present their person key; nobody else may, and the contact says that its key is unproven.
///
/// Demands: M6.3.
#[test]
fn only_an_initiator_may_have_presented_its_person_key() {
    let (bob, other) = (made_up("bob"), made_up("other"));
    let person_key = PublicKey::new(*bob.person_key().public().bytes());
    for role in ROLES {
        for (presented, good) in [
            (person_key, role == Role::Acceptor),
            (other.instance_key().public().presented(), false),
        ] {
            let peer = proven(&bob, presented);
            let mut stage = Stage::with(role, peer, PairingConfig::default());
            stage.say(&identity_text(&said_by(&bob)));
            match stage.contact.as_ref() {
                Some(contact) => assert!(good && !contact.instances[0].key_proven),
                None => {
                    assert!(!good, "{role:?}");
                    let part = Part::InstanceKey;
                    assert_eq!(*stage.why(), Why::IdentityMismatch { part });
                }
            }
        }
    }
}

/// What is on record of a person is compared, part by part.
///
/// Demands: M6.5.
#[test]
fn what_is_on_record_is_compared() {
    let (bob, other) = (made_up("bob"), made_up("other"));
    let good = || OnRecord {
        person_key: bob.person_key().public(),
        person_sign_key: bob.person_sign_key(),
        instances: [(bob.instance().id(), bob.instance_key().public())].into(),
    };
    let change: [(Option<Part>, Change); 5] = [
        (None, |_, _| {}),
        (Some(Part::PersonKey), |record, of| {
            record.person_key = of.person_key().public();
        }),
        (Some(Part::PersonSignKey), |record, _| {
            record.person_sign_key = SignKey([1; 32]);
        }),
        (Some(Part::Instance), |record, _| record.instances.clear()),
        (Some(Part::InstanceKey), |record, of| {
            for key in record.instances.values_mut() {
                *key = of.instance_key().public();
            }
        }),
    ];
    for role in ROLES {
        for (part, change) in change {
            for new_instances in [false, true] {
                let presented = bob.instance_key().public().presented();
                let mut config = PairingConfig::default();
                config.new_instances = new_instances;
                let mut stage = Stage::with(role, proven(&bob, presented), config);
                let mut record = good();
                change(&mut record, &other);
                stage.node.known.push((bob.person_id(), record));
                stage.say(&identity_text(&said_by(&bob)));
                // A new instance is taken by who wants new ones; another key of a known one never.
                let part = part.filter(|part| *part != Part::Instance || !new_instances);
                assert_eq!(stage.contact.is_none(), part.is_some());
                if let Some(part) = part {
                    assert_eq!(*stage.why(), Why::KnownPerson { part });
                }
            }
        }
    }
}

#[test]
fn what_is_not_due_ends_it_by_name() {
    let bob = made_up("bob");
    for role in ROLES {
        // What is no text, and what is too long.
        let mut stage = Stage::new(role, &bob);
        stage
            .pairing
            .message(now(), Message::Binary(b"{}"), &mut stage.node);
        stage.drain();
        let expected = Kind::Text;
        assert_eq!(*stage.why(), Why::Kind { expected });
        for over in [0, 1] {
            let mut stage = Stage::new(role, &bob);
            let text = identity_text(&said_by(&bob));
            let padded = format!("{text}{}", " ".repeat(limits::CONTROL + over - text.len()));
            stage.say(&padded);
            assert_eq!(stage.contact.is_some(), over == 0);
        }
        // Anything behind the identity, and the storage that refuses.
        let mut stage = Stage::new(role, &bob);
        stage.say(&identity_text(&said_by(&bob)));
        let mut refused = Stage::new(role, &bob);
        refused.say(&identity_text(&said_by(&bob)));
        refused.pairing.stored(now(), Err(NotStored));
        refused.drain();
        assert_eq!((refused.why(), refused.paired), (&Why::NotStored, 0));
        assert_eq!(
            refused.fault.as_ref().map(|f| f.step.name()),
            Some("closing")
        );
        stage.say("{}");
        assert_eq!(*stage.why(), Why::Unexpected);
        // It is over then.
        stage.pairing.stored(now(), Ok(()));
        stage.say("{}");
        assert_eq!(stage.paired, 0);
        assert!(!stage.pairing.awaits_close());
    }
    // Not a public identity, and an address that is none.
    for (from, to) in [("\"public\"", "\"secret\""), ("wss://", "http://")] {
        let mut stage = Stage::new(Role::Acceptor, &bob);
        stage.say(&identity_text(&said_by(&bob)).replace(from, to));
        assert_eq!(stage.why().code(), "wrong_message");
    }
}

/// Each step has its limit; a peer that does not close is closed, and that is no failure.
///
/// Demands: M0.3.
#[test]
fn each_step_of_a_pairing_has_a_limit() {
    let bob = made_up("bob");
    let at = |seconds, less| Now {
        mono: Micros(Micros::secs(seconds).0 - less),
        ..now()
    };
    for role in ROLES {
        let mut stage = Stage::new(role, &bob);
        assert_eq!(
            stage.pairing.deadline().map(|d| d.at),
            Some(Micros::secs(11))
        );
        stage.pairing.tick(at(11, 1));
        stage.drain();
        assert_eq!(stage.fault, None);
        stage.pairing.tick(at(11, 0));
        stage.drain();
        let fault = stage.fault.as_ref().expect("it is over");
        assert_eq!((fault.step.name(), &fault.why), ("identity", &Why::Timeout));
        assert_eq!(stage.pairing.deadline(), None);
    }
    let own = Arc::new(made_up("alice"));
    let peer = proven(&bob, bob.instance_key().public().presented());
    let mut waiting = Pairing::acceptor(now(), PairingConfig::default(), own, peer);
    waiting.tick(at(11, 0));
    let fault = waiting.poll(&mut Vec::new());
    assert!(matches!(fault, Some(Output::Fault(f)) if f.step.name() == "token"));

    let mut stage = Stage::new(Role::Acceptor, &bob);
    stage.say(&identity_text(&said_by(&bob)));
    stage.pairing.stored(at(20, 0), Ok(()));
    stage.drain();
    assert_eq!(
        stage.pairing.deadline().map(|d| d.at),
        Some(Micros::secs(30))
    );
    stage.pairing.tick(at(30, 0));
    stage.drain();
    assert_eq!((stage.closes, stage.fault.as_ref()), (1, None));
    assert!(!stage.pairing.awaits_close());
}

/// A token that is none of ours says so in the step, and the answer to a good one is this side's identity.
#[test]
fn a_token_opens_or_not() {
    let bob = made_up("bob");
    let own = Arc::new(made_up("alice"));
    for (token, good) in [(TOKEN, true), (&TOKEN[1..], false), ("", false)] {
        let peer = proven(&bob, bob.instance_key().public().presented());
        let config = PairingConfig::default();
        let mut pairing = Pairing::acceptor(now(), config, own.clone(), peer);
        let mut node = Stub::accepting(TOKEN);
        let text = format!(r#"{{"command":"authentication_token","token":"{token}"}}"#);
        pairing.message(now(), Message::Text(&text), &mut node);
        let output = pairing.poll(&mut Vec::new());
        assert_eq!(output == Some(Output::Send(Kind::Text)), good);
        assert_eq!(
            node.presenters,
            if good {
                vec![bob.person_id()]
            } else {
                Vec::new()
            }
        );
        if let Some(Output::Fault(fault)) = output {
            assert_eq!(
                (fault.step.name(), fault.why.code()),
                ("token", "invitation_refused")
            );
        }
    }
}
