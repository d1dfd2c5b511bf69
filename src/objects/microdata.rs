//! The tags and the escaping of microdata, each written in one place, for writer and reader (spec 12, "Text format").

use alloc::borrow::Cow;
use alloc::string::String;

use super::ids::RefKind;
use super::recipe::Kind;
use crate::hex;

/// What the first tag of an object begins with; the type and [`NAMED`] follow.
pub(super) const OBJECT: &str = "<div itemscope itemtype=\"//refin.io/";
/// What the first tag of an id object begins with.
pub(super) const ID_OBJECT: &str = "<div data-id-object=\"true\" itemscope itemtype=\"//refin.io/";
/// What ends a tag behind a name.
pub(super) const NAMED: &str = "\">";
/// The end of an object.
pub(super) const END: &str = "</div>";

/// Around an item, a map key, a map value.
pub(super) const ITEM: (&str, &str) = ("<li>", "</li>");
/// Around a map key.
pub(super) const KEY: (&str, &str) = ("<dt>", "</dt>");
/// Around a map value.
pub(super) const ENTRY: (&str, &str) = ("<dd>", "</dd>");

/// The element that a property or an item of some kind is.
#[derive(Clone, Copy)]
pub(super) enum Element {
    Value,
    Reference(RefKind),
    Ordered,
    Unordered,
    Pairs,
    Group,
}

impl Element {
    pub(super) const fn of(kind: &Kind) -> Self {
        match kind {
            Kind::String(_)
            | Kind::Integer
            | Kind::Number
            | Kind::Boolean
            | Kind::Stringifiable => Self::Value,
            Kind::Reference { kind, .. } => Self::Reference(*kind),
            Kind::Array(_) => Self::Ordered,
            Kind::Bag(_) | Kind::Set(_) => Self::Unordered,
            Kind::Map { .. } => Self::Pairs,
            Kind::Object(_) => Self::Group,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Value => "span",
            Self::Reference(_) => "a",
            Self::Ordered => "ol",
            Self::Unordered => "ul",
            Self::Pairs => "dl",
            Self::Group => "div",
        }
    }

    /// Its first tag. Without a property it is an item, and a simple value has no tags then.
    pub(super) fn open(self, out: &mut String, property: Option<&str>) {
        if matches!((self, property), (Self::Value, None)) {
            return;
        }
        out.push('<');
        out.push_str(self.name());
        if let Some(property) = property {
            out.push_str(" itemprop=\"");
            out.push_str(property);
            out.push('"');
        }
        if let Self::Reference(kind) = self {
            out.push_str(" data-type=\"");
            out.push_str(kind.tag());
            out.push('"');
        }
        out.push('>');
    }

    /// Its last tag.
    pub(super) fn close(self, out: &mut String, property: Option<&str>) {
        if matches!((self, property), (Self::Value, None)) {
            return;
        }
        out.push_str("</");
        out.push_str(self.name());
        out.push('>');
    }
}

/// The first tag of an object.
pub(super) fn open_object(out: &mut String, type_name: &str, id_only: bool) {
    out.push_str(if id_only { ID_OBJECT } else { OBJECT });
    out.push_str(type_name);
    out.push_str(NAMED);
}

/// Appends a value, escaped.
pub(super) fn escape(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
}

/// The value that this is the escaped form of; `None` if it is not the escaped form of any.
pub(super) fn unescape(escaped: &str) -> Option<Cow<'_, str>> {
    if !escaped.contains(['&', '<', '>']) {
        return Some(Cow::Borrowed(escaped));
    }
    let mut pieces = escaped.split('&');
    let mut value = String::with_capacity(escaped.len());
    value.push_str(pieces.next()?);
    for piece in pieces {
        let (name, rest) = piece.split_once(';')?;
        value.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            _ => return None,
        });
        value.push_str(rest);
    }
    (!escaped.contains(['<', '>'])).then_some(Cow::Owned(value))
}

/// The text of an object whose properties are known when the program is written, in the order of the calls.
pub(crate) struct Microdata(String);

impl Microdata {
    pub(crate) fn object(type_name: &str) -> Self {
        Self::start(type_name, false)
    }

    pub(crate) fn id_object(type_name: &str) -> Self {
        Self::start(type_name, true)
    }

    fn start(type_name: &str, id_only: bool) -> Self {
        let mut text = String::new();
        open_object(&mut text, type_name, id_only);
        Self(text)
    }

    pub(crate) fn text(mut self, property: &str, value: &str) -> Self {
        Element::Value.open(&mut self.0, Some(property));
        escape(&mut self.0, value);
        Element::Value.close(&mut self.0, Some(property));
        self
    }

    pub(crate) fn reference(mut self, property: &str, kind: RefKind, hash: &[u8; 32]) -> Self {
        let element = Element::Reference(kind);
        element.open(&mut self.0, Some(property));
        hex::push(&mut self.0, hash);
        element.close(&mut self.0, Some(property));
        self
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push_str(END);
        self.0
    }
}
