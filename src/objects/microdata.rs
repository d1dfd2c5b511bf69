//! Writing microdata: properties in the order of the calls, which has to be the recipe's (spec 12, "Text format").

use alloc::string::String;

use crate::hex;

/// One object's text in the making.
pub(super) struct Microdata(String);

impl Microdata {
    pub(super) fn object(type_name: &str) -> Self {
        Self::start("<div", type_name)
    }

    pub(super) fn id_object(type_name: &str) -> Self {
        Self::start("<div data-id-object=\"true\"", type_name)
    }

    fn start(tag: &str, type_name: &str) -> Self {
        let mut text = String::from(tag);
        text.push_str(" itemscope itemtype=\"//refin.io/");
        text.push_str(type_name);
        text.push_str("\">");
        Self(text)
    }

    pub(super) fn text(mut self, property: &str, value: &str) -> Self {
        self.0.push_str("<span itemprop=\"");
        self.0.push_str(property);
        self.0.push_str("\">");
        for character in value.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                other => self.0.push(other),
            }
        }
        self.0.push_str("</span>");
        self
    }

    pub(super) fn reference(mut self, property: &str, kind: &str, hash: &[u8; 32]) -> Self {
        self.0.push_str("<a itemprop=\"");
        self.0.push_str(property);
        self.0.push_str("\" data-type=\"");
        self.0.push_str(kind);
        self.0.push_str("\">");
        hex::push(&mut self.0, hash);
        self.0.push_str("</a>");
        self
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</div>");
        self.0
    }
}
