//! Invitations: what an inviter hands over by another way (spec 06).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem::take;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::crypto::{Instance, KEY, PublicKey, Purpose, Random, Secret, Wiped};
use crate::fault::JsonFault;
use crate::identity::{is_websocket_url, read_url};
use crate::json::{Object, Writer};
use crate::limits;

/// Characters of a token.
pub const TOKEN: usize = 64;

/// What tokens and other random names are made of.
pub(crate) const ALPHABET: &[u8; 64] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
/// The page that links lead to, when nothing else is asked for.
pub const LINK_BASE: &str = "https://one.example/invites/invitePartner/?invited=true";

/// The secret of an invitation: 64 characters, 384 random bits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Secret<TOKEN>);

impl Token {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let bits: Secret<48> = random.secret(Purpose::Token);
        Self(Secret::filled(|characters| {
            // Three bytes are four characters of six bits.
            for (four, three) in characters
                .chunks_exact_mut(4)
                .zip(bits.expose().chunks_exact(3))
            {
                let word =
                    u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
                for (i, character) in four.iter_mut().enumerate() {
                    *character = ALPHABET[(word >> (18 - 6 * i) & 63) as usize];
                }
            }
        }))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// If it is not 64 characters of the alphabet.
    pub(crate) fn read(text: &str) -> Result<Self, JsonFault> {
        let bytes: &[u8; TOKEN] = text
            .as_bytes()
            .try_into()
            .ok()
            .filter(|bytes: &&[u8; TOKEN]| bytes.iter().all(|byte| ALPHABET.contains(byte)))
            .ok_or(JsonFault::Member {
                member: "token",
                expected: "64 characters of 0-9 a-z A-Z _ -",
            })?;
        Ok(Self(Secret::filled(|to| to.copy_from_slice(bytes))))
    }

    /// The token itself: for the message that presents it and the invitation that carries it.
    pub(crate) fn expose(&self) -> &str {
        // All characters are ASCII, by construction.
        core::str::from_utf8(self.0.expose()).unwrap_or_default()
    }

    /// What the registry knows it by.
    #[must_use]
    pub fn id(&self) -> InvitationId {
        InvitationId::of(self.expose())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<secret>)")
    }
}

/// The SHA-256 of a token. It names an invitation and opens nothing.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(
    into = "crate::objects::ObjectHash",
    from = "crate::objects::ObjectHash"
)]
pub struct InvitationId(pub [u8; 32]);

impl InvitationId {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl From<InvitationId> for crate::objects::ObjectHash {
    fn from(id: InvitationId) -> Self {
        Self(id.0)
    }
}

impl From<crate::objects::ObjectHash> for InvitationId {
    fn from(hash: crate::objects::ObjectHash) -> Self {
        Self(hash.0)
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::hex::encode(&self.0[..8]))
    }
}

impl fmt::Debug for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationId({self})")
    }
}

/// An invitation. Whoever holds it can become a contact: it is a secret, and `Debug` does not show it.
///
/// It is made by a node, or by reading one; there is no other way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Invitation {
    token: Token,
    public_key: PublicKey<Instance>,
    url: String,
}

/// A text is no invitation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInvitation {
    /// It is longer than any invitation.
    #[error("this is too long for an invitation")]
    TooLong,
    /// The part behind the `#` is not percent-encoded UTF-8.
    #[error("the link is damaged: its last part is not percent-encoded text")]
    Encoding,
    /// It is not the JSON that is due.
    #[error("this is no invitation: {0}")]
    Json(#[from] JsonFault),
    /// The URL is no `ws://` or `wss://` URL.
    #[error("the url of an invitation starts with ws:// or wss://")]
    Url,
}

impl Invitation {
    pub(super) const fn new(token: Token, public_key: PublicKey<Instance>, url: String) -> Self {
        Self {
            token,
            public_key,
            url,
        }
    }

    /// Reads an invitation: the JSON, a link with it behind the `#`, or the percent-encoded JSON alone.
    ///
    /// # Errors
    /// [`BadInvitation`]; it never repeats what was read.
    pub fn read(text: &str) -> Result<Self, BadInvitation> {
        let text = text.trim();
        if text.len() > 4 * limits::URL {
            return Err(BadInvitation::TooLong);
        }
        if text.starts_with('{') {
            return Self::read_json(text);
        }
        let encoded = text.split_once('#').map_or(text, |(_, encoded)| encoded);
        let mut json = percent_decode(encoded).ok_or(BadInvitation::Encoding)?;
        let invitation = Self::read_json(&json);
        json.zeroize();
        invitation
    }

    fn read_json(json: &str) -> Result<Self, BadInvitation> {
        let object = Object::parse(json)?;
        let token = Token::read(object.text("token")?)?;
        let public_key = object.key("publicKey")?;
        let url = read_url(object.text("url")?).ok_or(BadInvitation::Url)?;
        if object.len() != 3 {
            return Err(JsonFault::Superfluous.into());
        }
        Ok(Self {
            token,
            public_key,
            url,
        })
    }

    /// The JSON of the invitation: a secret.
    #[must_use]
    pub fn json(&self) -> String {
        // A character of the URL is escaped by one more.
        let room = TOKEN + 2 * KEY + 2 * self.url.len() + 64;
        Writer::with_room(room)
            .plain("token", self.token.expose())
            .hex("publicKey", self.public_key.bytes())
            .text("url", &self.url)
            .finish()
    }

    /// The invitation as a link: a secret.
    #[must_use]
    pub fn link(&self) -> String {
        let mut json = self.json();
        let mut link = String::with_capacity(LINK_BASE.len() + 1 + 3 * json.len());
        link.push_str(LINK_BASE);
        link.push('#');
        percent_encode(&json, &mut link);
        json.zeroize();
        link
    }

    /// What the inviter's registry knows it by.
    #[must_use]
    pub fn id(&self) -> InvitationId {
        self.token.id()
    }

    /// The inviter's instance key.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey<Instance> {
        self.public_key
    }

    /// Where the inviter can be reached.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same invitation by another way: to point a peer on the same machine to a local socket.
    ///
    /// # Errors
    /// [`BadInvitation::Url`]
    pub fn with_url(mut self, url: &str) -> Result<Self, BadInvitation> {
        if !is_websocket_url(url) {
            return Err(BadInvitation::Url);
        }
        self.url = url.into();
        Ok(self)
    }

    /// Its token, for an [`Opening`](crate::session::Opening). It shows itself to nobody.
    #[must_use]
    pub const fn token(&self) -> &Token {
        &self.token
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// As `encodeURIComponent` does.
fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(nibble.into(), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Wiped::from(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let (digits, after) = rest.split_first_chunk::<2>()?;
            let [byte] = crate::hex::decode(core::str::from_utf8(digits).ok()?)?;
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(take(&mut *bytes))
        .map_err(|error| error.into_bytes().zeroize())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Random;

    /// All that is drawn is in the token: its characters are the drawn bits, six at a time.
    #[test]
    fn a_token_has_all_its_bits() {
        for seed in 0..20 {
            let token = Token::draw(&mut Random::new([seed; 32]));
            let drawn: Secret<48> = Random::new([seed; 32]).secret(Purpose::Token);
            let bits = |byte: &u8| (0..8).rev().map(|bit| byte >> bit & 1).collect::<Vec<_>>();
            let drawn: Vec<u8> = drawn.expose().iter().flat_map(bits).collect();
            let token: Vec<u8> = token
                .expose()
                .bytes()
                .map(|c| {
                    ALPHABET
                        .iter()
                        .position(|a| *a == c)
                        .expect("of the alphabet") as u8
                })
                .flat_map(|six| bits(&six)[2..].to_vec())
                .collect();
            assert!(token == drawn, "{seed}");
        }
    }

    /// A text that grew would have left the token behind.
    #[test]
    fn room_for_the_json_is_made_before_it_is_written() {
        for length in [0, 1, 1000] {
            let token = Token::draw(&mut Random::new([1; 32]));
            let url = "\"".repeat(length);
            let invitation = Invitation::new(token, PublicKey::new([1; KEY]), url);
            let json = invitation.json();
            assert_eq!(json.capacity(), TOKEN + 2 * KEY + 2 * length + 64);
        }
    }
}
