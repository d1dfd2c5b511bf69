//! The recipes that every instance knows (spec 12, "Recipes").

use alloc::vec;
use alloc::vec::Vec;

use super::recipe::{Kind, Recipe, Rule, TextRule};

const BOOLEAN: Kind = Kind::Boolean;
const INTEGER: Kind = Kind::Integer;
const JSON: Kind = Kind::Stringifiable;
const NUMBER: Kind = Kind::Number;
const TEXT: Kind = Kind::TEXT;
/// Some recipes, the core's among them, do not say that a text is one.
const PLAIN: Kind = Kind::TEXT_UNSAID;
const KEY: Kind = Kind::String(TextRule::Key);

/// A mandatory property.
fn due(name: &str, kind: Kind) -> Rule {
    Rule::new(name, kind)
}

/// An id property.
fn id(name: &str, kind: Kind) -> Rule {
    due(name, kind).id()
}

/// A property that may be missing.
fn opt(name: &str, kind: Kind) -> Rule {
    due(name, kind).optional()
}

/// Any object.
fn object() -> Kind {
    Kind::object(&[])
}

fn person() -> Kind {
    Kind::id(&["Person"])
}

fn exactly(text: &str) -> Kind {
    Kind::String(TextRule::Exactly(text.into()))
}

fn license() -> Rule {
    due("license", Kind::object(&["License"]))
}

/// All of them.
pub(super) fn recipes() -> Vec<Recipe> {
    [core(), contacts(), certificates(), channels()].concat()
}

fn core() -> Vec<Recipe> {
    let reverse_maps = || TEXT.map_to(TEXT.set());
    let version_node =
        || Kind::object(&["VersionNodeEdge", "VersionNodeChange", "VersionNodeMerge"]);
    let version = |first: Option<Rule>| {
        let rest = [
            due("data", object()),
            due("depth", NUMBER),
            due("creationTime", NUMBER),
        ];
        first.into_iter().chain(rest).collect::<Vec<_>>()
    };
    let persons = || due("person", person().bag());
    let groups = || due("group", Kind::id(&["Group"]).bag());
    vec![
        Recipe::new("Person", [id("email", PLAIN), opt("name", PLAIN)]),
        Recipe::new(
            "Instance",
            [
                id("name", PLAIN),
                id("owner", person()),
                due("recipe", Kind::object(&["Recipe"]).set()),
                due("enabledReverseMapTypes", reverse_maps()),
                due("enabledReverseMapTypesForIdObjects", reverse_maps()),
            ],
        ),
        Recipe::new(
            "Keys",
            [
                due("owner", Kind::id(&["Instance", "Person"])),
                due("publicKey", KEY),
                due("publicSignKey", KEY),
            ],
        ),
        Recipe::new("Group", [id("name", PLAIN), persons()]),
        Recipe::new("Access", [id("object", object()), persons(), groups()]),
        Recipe::new("IdAccess", [id("id", Kind::id(&[])), persons(), groups()]),
        Recipe::new("VersionNodeEdge", version(None)),
        Recipe::new(
            "VersionNodeChange",
            version(Some(opt("prev", version_node()))),
        ),
        Recipe::new(
            "VersionNodeMerge",
            version(Some(due("nodes", version_node().set()))),
        ),
        Recipe::new(
            "Chum",
            [
                id("name", PLAIN),
                id("instance", TEXT.array()),
                id("person", Kind::String(TextRule::HashOrUndefined).array()),
                due("highestRemoteTimestamp", INTEGER),
                due("AtoBObjects", object().bag()),
                due("AtoBIdObjects", Kind::id(&[]).bag()),
                due("AtoBBlob", Kind::BLOB.bag()),
                due("AtoBClob", Kind::CLOB.bag()),
                due("BtoAObjects", object().bag()),
                due("BtoAIdObjects", Kind::id(&[]).bag()),
                due("BtoABlob", Kind::BLOB.bag()),
                due("BtoAClob", Kind::CLOB.bag()),
                due("BtoAExists", INTEGER),
                opt("statistics", JSON),
                opt("errors", JSON),
            ],
        ),
        Recipe::new(
            "Recipe",
            [
                id("name", PLAIN),
                opt("crdtConfig", TEXT.map_to(TEXT)),
                due(
                    "rule",
                    Kind::Object(vec![
                        due("itemprop", PLAIN),
                        opt("optional", BOOLEAN),
                        opt("isId", BOOLEAN),
                        opt("itemtype", JSON),
                        opt("inheritFrom", JSON),
                    ])
                    .array(),
                ),
            ],
        ),
    ]
}

fn contacts() -> Vec<Recipe> {
    let profile = || Kind::id(&["Profile"]);
    let endpoints = &["OneInstanceEndpoint", "Email", "PhoneNumber"];
    let descriptions = &[
        "PersonName",
        "ProfileImage",
        "PersonStatus",
        "PersonImage",
        "SignKey",
        "EncryptionKey",
        "OrganisationName",
    ];
    vec![
        Recipe::new(
            "Leute",
            [
                id("appId", exactly("one.leute")),
                due("me", Kind::id(&["Someone"])),
                due("other", Kind::id(&["Someone"]).bag()),
                due("group", Kind::id(&["GroupProfile"]).bag()),
            ],
        ),
        Recipe::new(
            "Someone",
            [
                id("someoneId", TEXT),
                due("mainProfile", profile()),
                due("identities", person().map_to(profile().set())),
            ],
        ),
        Recipe::new(
            "Profile",
            [
                id("profileId", TEXT),
                id("personId", person()),
                id("owner", person()),
                due("communicationEndpoint", Kind::object(endpoints).bag()),
                due("personDescription", Kind::object(descriptions).bag()),
            ],
        ),
        Recipe::new(
            "OneInstanceEndpoint",
            [
                due("personId", person()),
                due("instanceId", Kind::id(&["Instance"])),
                due("personKeys", Kind::object(&["Keys"])),
                due("instanceKeys", Kind::object(&["Keys"])),
                opt("url", TEXT),
            ],
        ),
        Recipe::new("Email", [due("email", TEXT)]),
        Recipe::new("PhoneNumber", [due("number", TEXT)]),
        Recipe::new("SignKey", [due("key", KEY)]),
        Recipe::new("EncryptionKey", [due("key", KEY)]),
        Recipe::new("PersonName", [due("name", TEXT)]),
        Recipe::new("OrganisationName", [due("name", TEXT)]),
        Recipe::new("ProfileImage", [due("image", Kind::BLOB)]),
        Recipe::new(
            "PersonImage",
            [
                due("image", Kind::BLOB),
                due("timestamp", NUMBER),
                due("location", TEXT),
            ],
        ),
        Recipe::new(
            "PersonStatus",
            [
                due("value", TEXT),
                due("timestamp", NUMBER),
                due("location", TEXT),
            ],
        ),
        Recipe::new(
            "GroupProfile",
            [
                id("group", Kind::id(&["Group"])),
                due("name", TEXT),
                due("picture", Kind::BLOB),
            ],
        ),
    ]
}

fn certificates() -> Vec<Recipe> {
    let beneficiary = |name| Recipe::new(name, [due("beneficiary", person()), license()]);
    vec![
        Recipe::new(
            "Signature",
            [
                due("issuer", person()),
                due("data", object()),
                due("signature", Kind::String(TextRule::HexPairs)),
            ],
        ),
        Recipe::new("License", [due("name", TEXT), due("description", TEXT)]),
        Recipe::new(
            "TrustKeysCertificate",
            [due("profile", Kind::object(&["Profile"])), license()],
        ),
        Recipe::new("AffirmationCertificate", [due("data", object()), license()]),
        beneficiary("RightToDeclareTrustedKeysForEverybodyCertificate"),
        beneficiary("RightToDeclareTrustedKeysForSelfCertificate"),
        Recipe::new(
            "RelationCertificate",
            [
                due("app", PLAIN),
                due("relation", PLAIN),
                due("person1", person()),
                due("person2", person()),
                license(),
            ],
        ),
        Recipe::new(
            "AccessUnversionedObjectCertificate",
            [due("person", person()), due("data", object()), license()],
        ),
        Recipe::new(
            "AccessVersionedObjectCertificate",
            [
                due("person", person()),
                due("data", Kind::id(&[])),
                license(),
            ],
        ),
    ]
}

fn channels() -> Vec<Recipe> {
    let entry = || Kind::object(&["LinkedListEntry"]);
    vec![
        Recipe::new(
            "ChannelInfo",
            [
                id("id", TEXT),
                id("owner", person()).optional(),
                opt("head", entry()),
            ],
        ),
        Recipe::new(
            "LinkedListEntry",
            [
                due("data", Kind::object(&["CreationTime"])),
                opt("metadata", object().bag()),
                opt("previous", entry()),
            ],
        ),
        Recipe::new(
            "CreationTime",
            [due("timestamp", NUMBER), due("data", object())],
        ),
        Recipe::new(
            "Topic",
            [
                opt("name", TEXT),
                due("id", TEXT),
                due("channel", Kind::id(&["ChannelInfo"])),
            ],
        ),
        Recipe::new(
            "ChatMessage",
            [
                due("text", TEXT),
                opt("attachments", object().array()),
                due("sender", person()),
                opt("thumbnails", object().array()),
            ],
        ),
        Recipe::new(
            "TopicAppRegistry",
            [
                id("id", exactly("TopicAppRegistry")),
                due("topics", TEXT.map_to(Kind::object(&["Topic"]))),
            ],
        ),
        Recipe::new(
            "ChannelRegistry",
            [
                id("id", exactly("ChannelRegistry")),
                due("channels", Kind::id(&["ChannelInfo"]).set()),
            ],
        ),
        Recipe::new(
            "BlobDescriptor",
            [
                due("data", Kind::BLOB),
                due("lastModified", NUMBER),
                due("name", TEXT),
                due("size", NUMBER),
                due("type", TEXT),
            ],
        ),
    ]
}
