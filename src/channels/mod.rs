//! Channels: what two persons say to each other, as a list of objects that both hold and that is merged by time
//! (spec 13, "Conversations", the deployed form).
//!
//! ```text
//! ChannelInfo{id, head} ─> LinkedListEntry ─previous─> LinkedListEntry ─> …
//!                             │        └metadata─> Signature ─> AffirmationCertificate
//!                             └data─> CreationTime ─> ChatMessage
//! ```
//! The channel of two persons has no owner and is named by both person ids, never by a Someone id: that one is local.

mod join;
mod say;
mod talk;

pub(crate) use join::Join;
pub use say::{Line, Said, line, say};
pub use talk::{Opened, history, list_of, open, speak, union};

use alloc::format;
use alloc::string::String;

use crate::objects::{IdHash, Object, PersonId, Recipes, WriteFault};

/// The name of the topic and of the channel that two persons share: both ids in ascending order. `None` if they are
/// one: nobody has a channel with himself.
#[must_use]
pub fn topic_name(a: PersonId, b: PersonId) -> Option<String> {
    let (first, second) = (a.min(b), a.max(b));
    (first != second).then(|| format!("{first}<->{second}"))
}

/// The channel of a name, without an owner and as yet without a message.
#[must_use]
pub fn channel(name: &str) -> Object {
    Object::new("ChannelInfo").with("id", name)
}

/// The topic of a channel of that name.
///
/// # Errors
/// If the recipes have no channels.
pub fn topic(recipes: &Recipes, name: &str) -> Result<Object, WriteFault> {
    let id: IdHash = recipes.id_hash(&channel(name))?;
    Ok(Object::new("Topic")
        .with("name", name)
        .with("id", name)
        .with("channel", id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    use crate::objects::{ObjectHash, Person};

    #[test]
    fn the_channel_of_alice_and_bob_is_that_of_the_specification() {
        let person = |email: &str| {
            let email = email.into();
            Person { email }.id()
        };
        let (alice, bob) = (person("alice@example.com"), person("bob@example.com"));
        let name = topic_name(bob, alice).expect("two persons");
        assert_eq!(Some(&name), topic_name(alice, bob).as_ref());
        assert_eq!(topic_name(alice, alice), None);
        let recipes = Recipes::known();
        let info = recipes.write(&channel(&name)).expect("a channel");
        assert_eq!(info.len(), 219);
        assert_eq!(
            ObjectHash::of(&info).to_string(),
            "c106f5278f8c0913a259a12da089221b69b0f9755e1f06f2d396330b228c05cf"
        );
        let id = recipes.id_hash(&channel(&name)).expect("an id");
        assert_eq!(
            id.to_string(),
            "a6c681afd72de71113cbb69d829df72cf5f976b4ef70415d1c6a95d5d18638ab"
        );
        let topic = topic(&recipes, &name).expect("a topic");
        let topic = recipes.write(&topic).expect("a topic");
        assert_eq!(
            (topic.len(), ObjectHash::of(&topic).to_string().as_str()),
            (
                484,
                "924a3d4b47716ecc91bc6d2e94869af51eec79a4eb10437641c988395da41ffa"
            )
        );
    }
}
