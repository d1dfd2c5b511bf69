//! The worked examples of spec 12: length, hash and id hash of each.

use chumwire::crypto::Secret;
use chumwire::objects::signature::{self, sign, verify};
use chumwire::objects::{
    IdHash, Instance, License, Object, ObjectHash, Person, PersonId, ReadLimits, Recipes,
    Reference, SignKey, Value,
};
use serde_json::json;

use crate::types::recipes;

/// Checks an object, and gives its text.
fn holds(recipes: &Recipes, object: &Object, bytes: usize, hash: &str, id: Option<&str>) -> String {
    let name = &object.type_name;
    let text = recipes.write(object).expect(name);
    assert_eq!(text.len(), bytes, "{name}: {text}");
    assert_eq!(ObjectHash::of(&text).to_string(), hash, "{name}");
    let id_hash = recipes.id_hash(object).ok().map(|id| id.to_string());
    assert_eq!(id_hash.as_deref(), id, "{name}");
    let read = recipes.read(&text, &ReadLimits::default()).expect(name);
    assert_eq!(recipes.write(&read).as_ref(), Ok(&text), "{name}");
    text
}

fn hash(object: &Object) -> ObjectHash {
    ObjectHash::of(&recipes().write(object).expect("an object"))
}

fn id(object: &Object) -> IdHash {
    recipes().id_hash(object).expect("a versioned object")
}

fn alice() -> PersonId {
    Person {
        email: "alice@example.com".into(),
    }
    .id()
}

fn bob() -> PersonId {
    Person {
        email: "bob@example.com".into(),
    }
    .id()
}

fn keys(owner: impl Into<Value>, public: &str, sign: &str) -> Object {
    Object::new("Keys")
        .with("publicSignKey", sign)
        .with("publicKey", public)
        .with("owner", owner)
}

fn person_keys() -> Object {
    keys(
        alice(),
        "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209",
        "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
    )
}

fn instance_keys() -> Object {
    keys(
        laptop().id(),
        "5dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22",
        "ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c",
    )
}

fn laptop() -> Instance {
    Instance {
        name: "alice-laptop".into(),
        owner: alice(),
    }
}

fn endpoint() -> Object {
    Object::new("OneInstanceEndpoint")
        .with("personId", alice())
        .with("instanceId", laptop().id())
        .with("personKeys", hash(&person_keys()))
        .with("instanceKeys", hash(&instance_keys()))
}

fn sign_key() -> Object {
    Object::new("SignKey").with(
        "key",
        "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
    )
}

fn profile_of(endpoints: Value, descriptions: Value) -> Object {
    Object::new("Profile")
        .with("profileId", "default")
        .with("personId", alice())
        .with("owner", alice())
        .with("communicationEndpoint", endpoints)
        .with("personDescription", descriptions)
}

fn profile() -> Object {
    profile_of(
        Value::list([hash(&endpoint().with("url", "wss://comm.example.com"))]),
        Value::list([hash(&sign_key())]),
    )
}

fn certificate() -> Object {
    Object::new("TrustKeysCertificate")
        .with("profile", hash(&profile()))
        .with("license", License::TrustKeys.hash())
}

fn me() -> Object {
    let profiles = Value::list([id(&profile())]);
    Object::new("Someone")
        .with("someoneId", "me")
        .with("mainProfile", id(&profile()))
        .with("identities", Value::map([(alice(), profiles)]))
}

const NONE: Value = Value::List(Vec::new());

#[test]
fn persons_and_their_contacts() {
    let recipes = recipes();
    let person = Object::new("Person").with("email", "alice@example.com");
    let alice = "0f69db43a925bc5509c37143ffe18e9c11895ad6ec7c50386bcd4c87100b7152";
    let first = "d7fcc04f9a1a74cc6ff70b700d9af6671c5fcaca0937129474ad8ba840d60f9a";
    holds(&recipes, &person, 97, first, Some(alice));
    let named = "04cf557ffbf2f128a7f61cbb28ba7a42cc22bb59f2f6793f81feff0a64b8ff41";
    let person = person.with("name", "Alice");
    holds(&recipes, &person, 131, named, Some(alice));
    assert_eq!(
        bob().to_string(),
        "58c379901b18278fa72f55f57d15f041b524655e2bbe55bef73383e35c2eae0a"
    );
    let hash = "fe50db7104055016a1be3146c7d1a68eaed7155d463f017587a54b2e9c185365";
    holds(&recipes, &person_keys(), 351, hash, None);
    let hash = "41582ae7b02c1a4b7648e484fd51a2a2a1535e7cdd04c4231c52d774e3285d6a";
    holds(&recipes, &instance_keys(), 351, hash, None);
    let hash = "49157c245847cc0b3ae7a8b00fdb88e1bcb103f0a153e98ad215954d43cedeec";
    holds(&recipes, &endpoint(), 497, hash, None);
    let hash = "9e0d4f462bb8e3b384f47a968a6ba66a4713cbfb76bf162120d2916db3bed507";
    let url = endpoint().with("url", "wss://comm.example.com");
    holds(&recipes, &url, 547, hash, None);
    let hash = "75b12b43fb21ae7740bdf08b49068de6bbd8784fe3fdc02a3e81e83d5112b6fd";
    holds(&recipes, &sign_key(), 143, hash, None);
    let id = Some("94308e71256c7e2b7ae71821c2c7b5d35182e7f70d0d22b3ebb6ac6515f337fa");
    let hash = "b5a4c96c653e20efc8ef3739144ed57dea583f85923f831011fdd17e95284a3e";
    holds(&recipes, &profile(), 573, hash, id);
    let hash = "a9431ccaf1afd2ade1534df92ffffd686d86646e165f1c0b17e2b7c74d7f9234";
    holds(&recipes, &profile_of(NONE, NONE), 381, hash, id);
    let hash = "7efa116675d634e2f535ac813b1481f56dd76ea268f8706d31d9ee8614a8b4d7";
    let id = Some("36d7288c7375b3adc64eb50659d94e38eca187905e047551a99ded280b8243b9");
    holds(&recipes, &me(), 435, hash, id);
    let leute = Object::new("Leute")
        .with("appId", "one.leute")
        .with("me", recipes.id_hash(&me()).expect("an id"))
        .with("other", NONE)
        .with("group", NONE);
    let hash = "6652d5470ce51f37edda9c16d214d257cfea1bc0b5c16b95bc376989e81df203";
    let id = Some("54ad88a5a3adc4196feee1a28db540d8f5af750f076fb928457a73c455da7f2e");
    holds(&recipes, &leute, 240, hash, id);
}

#[test]
fn a_certificate_and_its_signature() {
    let recipes = recipes();
    let hash = "0529a6a97e9bce495f20dfa98b282592a010b52ddbb184d43ce9f792a203e85c";
    let text = holds(&recipes, &certificate(), 276, hash, None);
    let data = ObjectHash::of(&text);
    let made = sign(&Secret::take(&mut [0x0c; 32]), data);
    let signature = signature::object(bob(), data, &made);
    let hash = "58d19df4c9f94fef999f677d987e57130ea1e62d12d9f0afdd2b6ab47d45ef06";
    holds(&recipes, &signature, 422, hash, None);
    let key = "0b513ad9b4924015ca0902ed079044d3ac5dbec2306f06948c10da8eb6e39f2d";
    let key = SignKey(chumwire::hex::decode(key).expect("a key"));
    let digits = signature.get("signature").and_then(Value::as_text);
    assert!(verify(&key, &data, digits.expect("a signature")));
}

#[test]
fn version_nodes() {
    let recipes = recipes();
    let node = |name: &str, depth: u32, time: f64| {
        Object::new(name)
            .with("data", hash(&profile()))
            .with("depth", depth)
            .with("creationTime", time)
    };
    let edge = node("VersionNodeEdge", 0, 1_700_000_000_000.0);
    let due = "07cb3b75472bcaeb042a845078a15831d9df48e1f35be90e92950b5aaedeb3a8";
    holds(&recipes, &edge, 243, due, None);
    let change =
        node("VersionNodeChange", 1, 1_700_000_000_001.0).with("prev", ObjectHash([0; 32]));
    let due = "080c0af6d0f2a1d38e3d7e4a8d1d658b7cf5616f6ea8495b06e3fddccdbde6ac";
    holds(&recipes, &change, 348, due, None);
    let nodes = vec![ObjectHash([255; 32]), ObjectHash([0; 32])];
    let merge = node("VersionNodeMerge", 2, 1_700_000_000_002.0).with("nodes", nodes);
    let due = "4f3910f202b184a92ee83784d757f30103c7eae1c511db3dac7599248dcc8a46";
    holds(&recipes, &merge, 462, due, None);
}

#[test]
fn access_and_groups() {
    let recipes = recipes();
    let rights = |object: Object| {
        object
            .with("person", vec![bob(), alice()])
            .with("group", NONE)
    };
    let access = rights(Object::new("Access").with("object", hash(&profile())));
    let due = "6ee639969c3248571939bad49b3c22d8029b6c548bab68aadb6d8ac3b8504d48";
    let id_due = Some("ea947c0a5e35342a006d3d5d5cf2cc1d655a62a74eeb04d187cb9b1549724e25");
    holds(&recipes, &access, 398, due, id_due);
    let access = rights(Object::new("IdAccess").with("id", id(&profile())));
    let due = "f3a76a067fb0038c1b4a0d40c6c2aec7a6cbafbc946c83ab64aff8b0a358b40d";
    let id_due = Some("9fd451b6500532d2d03debef3329f1b77b233cf87f276fc944ae58fb23094240");
    holds(&recipes, &access, 395, due, id_due);
    let group = Object::new("Group")
        .with("name", "everyone")
        .with("person", vec![alice()]);
    let due = "8d79d8451f3b4235eab8ee06d4ba034430c65bdc88f19ce84c262f7c9dfc05bf";
    let id_due = Some("bf06aaea8080afd76bfabefc631f53c55006e96b020cd1b96f7a01215d2fc06c");
    holds(&recipes, &group, 208, due, id_due);
}

#[test]
fn channels_and_topics() {
    let recipes = recipes();
    let name = format!("{}<->{}", alice(), bob());
    let channel = Object::new("ChannelInfo").with("id", name.as_str());
    let due = "c106f5278f8c0913a259a12da089221b69b0f9755e1f06f2d396330b228c05cf";
    let id_due = Some("a6c681afd72de71113cbb69d829df72cf5f976b4ef70415d1c6a95d5d18638ab");
    holds(&recipes, &channel, 219, due, id_due);
    let topic = Object::new("Topic")
        .with("name", name.as_str())
        .with("id", name.as_str())
        .with("channel", id(&channel));
    let due = "924a3d4b47716ecc91bc6d2e94869af51eec79a4eb10437641c988395da41ffa";
    holds(&recipes, &topic, 484, due, None);
    let channel = Object::new("ChannelInfo")
        .with("id", "x")
        .with("owner", alice());
    let due = "1dabe0bff2cf886572aecde95485f1eee02f22f85d4adecab068cb7c9c362cf3";
    let id_due = Some("c7bc7d824e34bfca978b7a7a011f775f313d34f6b7205dee01bda87479aef8d7");
    holds(&recipes, &channel, 186, due, id_due);
    let descriptor = Object::new("BlobDescriptor")
        .with(
            "data",
            Reference::Blob(chumwire::objects::FileHash::of(b"x")),
        )
        .with("lastModified", 0)
        .with("name", "py.bin")
        .with("size", 150_000)
        .with("type", "x/y");
    let text = recipes.write(&descriptor).expect("a descriptor");
    let blob = chumwire::objects::FileHash::of(b"x");
    assert_eq!(
        text,
        format!(
            "<div itemscope itemtype=\"//refin.io/BlobDescriptor\"><a itemprop=\"data\" \
             data-type=\"blob\">{blob}</a><span itemprop=\"lastModified\">0</span><span \
             itemprop=\"name\">py.bin</span><span itemprop=\"size\">150000</span><span \
             itemprop=\"type\">x/y</span></div>"
        )
    );
}

#[test]
fn an_idle_chum() {
    let persons = vec![alice().to_string(), bob().to_string()];
    let mut chum = Object::new("Chum")
        .with("name", "chum")
        .with("instance", vec!["alice-laptop", "bob-laptop"])
        .with("person", persons)
        .with("highestRemoteTimestamp", 0)
        .with("BtoAExists", 0)
        .with("errors", json!([]))
        .with(
            "statistics",
            json!({"requestsSentTotal": 3, "requestsReceivedTotal": 2, "requestsReceivedInvalid": 0}),
        );
    for way in ["AtoB", "BtoA"] {
        for what in ["Objects", "IdObjects", "Blob", "Clob"] {
            chum = chum.with(&format!("{way}{what}"), NONE);
        }
    }
    let due = "45904d8528c98eb93eea29e7fc8d99dcb0dd2f165c60a760e0285255379574e6";
    let id_due = Some("bd84fc4449de680bc17b430b8bf0f615edb16f395fcc1651208aa80e84544037");
    holds(&recipes(), &chum, 800, due, id_due);
}

#[test]
fn format_cases() {
    let recipes = recipes();
    let t1 = |s: &str, i: f64, n: f64, b: bool, j: serde_json::Value| {
        Object::new("T1")
            .with("j", j)
            .with("b", b)
            .with("n", n)
            .with("i", i)
            .with("s", s)
    };
    let json = json!({"b": 1, "a": [true, null, "<&>"]});
    let object = t1("Hello & <b>\"quoted\"</b> 'x' Ünï", -5.0, 0.1, true, json);
    let due = "871d767f25c7cabc1b179655651a417c1caf313abead35edc440de1633c0c585";
    holds(&recipes, &object, 273, due, None);
    let object = t1("", 1e21, 1e-7, false, json!("str"));
    let due = "95ec7a5a0b5038b169f6f2ae24b3c38fd2fda3f0e0dc83944276ef9302606e61";
    holds(&recipes, &object, 195, due, None);
    let object = t1("&amp;lt;", 1.0, 1.0, true, json!(1));
    let due = "ea3b1bf701cdd12099908150b57a5775c154f186142c361a3edb6947c25cc014";
    holds(&recipes, &object, 195, due, None);

    let texts = |items: &[&str]| Value::list(items.iter().copied());
    let object = Object::new("T3")
        .with("a", texts(&["b", "a", "a"]))
        .with("g", vec![9, 10, -1, 9])
        .with("s", texts(&["é", "b", "a", "Z", "B", "<"]))
        .with("m", Value::map([("z", 1), ("a", 2)]));
    let due = "03a4bca7449e4ed1561a6da71ad93e822e2674a32d003635dea7d3e6e9381086";
    holds(&recipes, &object, 310, due, None);
    let object = Object::new("T3")
        .with("a", NONE)
        .with("g", NONE)
        .with("s", NONE)
        .with("m", Value::Map(vec![]));
    let due = "257a08e9db67a2650c59cb8e81056209838fb389005758d588d55233a518f501";
    holds(&recipes, &object, 134, due, None);

    let nested = |name: &str, value: &str| (name.to_owned(), Value::from(value));
    let object = Object::new("T4")
        .with("o", Value::Object(vec![nested("y", "2"), nested("x", "1")]))
        .with(
            "l",
            vec![
                Value::Object(vec![nested("x", "1")]),
                Value::Object(vec![("z".to_owned(), false.into()), nested("x", "2")]),
            ],
        )
        .with("aa", vec![texts(&["a"]), texts(&[]), texts(&["b", "c"])])
        .with(
            "ms",
            Value::map([("k", texts(&["2", "1"])), ("e", texts(&[]))]),
        );
    let due = "020a69d6f81cffc8bd92c7c25f7c8b98993d315e6c02bb539802dc3968ac75c7";
    holds(&recipes, &object, 477, due, None);
}
