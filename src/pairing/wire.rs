//! The texts of layer 7a, pairing (spec 06).

use alloc::string::String;

use super::invitation::{TOKEN, Token};
use crate::crypto::{Instance as InstanceUse, Person as PersonUse, PublicKey};
use crate::fault::JsonFault;
use crate::identity::{Identity, read_url};
use crate::json::{Object, Writer};
use crate::objects::SignKey;

/// Initiator: `authentication_token`. A secret.
#[must_use]
pub(super) fn authentication_token(token: &Token) -> String {
    Writer::with_room(TOKEN + 48)
        .plain("command", "authentication_token")
        .plain("token", token.expose())
        .finish()
}

/// Reads `authentication_token`. A token of a wrong form is as unknown as any other.
pub(super) fn read_authentication_token(text: &str) -> Result<String, JsonFault> {
    Ok(Object::message(text, "authentication_token")?
        .text("token")?
        .into())
}

/// What a peer says of itself in a pairing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    /// The person's email.
    pub person_email: String,
    /// The instance's name.
    pub instance_name: String,
    /// The person's encryption key.
    pub person_key: PublicKey<PersonUse>,
    /// The person's signing key.
    pub person_sign_key: SignKey,
    /// The instance's encryption key.
    pub instance_key: PublicKey<InstanceUse>,
    /// The instance's signing key.
    pub instance_sign_key: SignKey,
    /// Where it can be dialled.
    pub url: Option<String>,
}

impl PeerIdentity {
    /// What we say of ourselves.
    #[must_use]
    pub fn of(own: &Identity, url: Option<String>) -> Self {
        Self {
            person_email: own.person().email.clone(),
            instance_name: own.instance().name.clone(),
            person_key: own.person_key().public(),
            person_sign_key: own.person_sign_key(),
            instance_key: own.instance_key().public(),
            instance_sign_key: own.instance_sign_key(),
            url,
        }
    }
}

/// Both: `identity`.
#[must_use]
pub fn identity(identity: &PeerIdentity) -> String {
    let object = Writer::new()
        .text("type", "public")
        .text("personEmail", &identity.person_email)
        .text("instanceName", &identity.instance_name)
        .hex("personKeyPublic", identity.person_key.bytes())
        .hex("personSignKeyPublic", &identity.person_sign_key.0)
        .hex("instanceKeyPublic", identity.instance_key.bytes())
        .hex("instanceSignKeyPublic", &identity.instance_sign_key.0)
        .optional_text("url", identity.url.as_deref())
        .finish();
    Writer::command("identity").json("obj", &object).finish()
}

/// Reads `identity`.
///
/// # Errors
/// What is wrong with it.
pub fn read_identity(text: &str) -> Result<PeerIdentity, JsonFault> {
    let object = Object::message(text, "identity")?.object("obj")?;
    if object.text("type")? != "public" {
        return Err(JsonFault::Member {
            member: "type",
            expected: "`public`",
        });
    }
    let url = match object.optional_text("url")? {
        None => None,
        Some(url) => Some(read_url(url).ok_or(JsonFault::Member {
            member: "url",
            expected: "a WebSocket URL",
        })?),
    };
    Ok(PeerIdentity {
        person_email: object.text("personEmail")?.into(),
        instance_name: object.text("instanceName")?.into(),
        person_key: object.key("personKeyPublic")?,
        person_sign_key: SignKey(object.hex("personSignKeyPublic", "64 hex digits")?),
        instance_key: object.key("instanceKeyPublic")?,
        instance_sign_key: SignKey(object.hex("instanceSignKeyPublic", "64 hex digits")?),
        url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Random;

    /// A text that grew would have left the token behind.
    #[test]
    fn room_for_a_token_is_made_before_it_is_written() {
        let token = Token::draw(&mut Random::new([1; 32]));
        let text = authentication_token(&token);
        assert_eq!(text.capacity(), TOKEN + 48);
    }
}
