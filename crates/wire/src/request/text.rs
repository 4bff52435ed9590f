//! Counts the text in a part of a body, whatever its shape: what becomes tokens, as opposed to images and plumbing.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What [`count`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// Characters of text.
    pub(super) chars: u64,
    /// The same text in bytes.
    pub(super) bytes: u64,
    /// Images and other files, whose bytes are not counted.
    pub(super) images: u64,
    /// Numbers, which may be tokens already and else cost about one each.
    pub(super) numbers: u64,
}

/// Adds the text in `value`, which is known to be JSON. Text that breaks off in the middle (a lone surrogate) counts
/// as far as it was read.
///
/// Returns how many items `value` has, if it is a list: it may be long, so it is read just once.
pub(super) fn count(value: &str, into: &mut Text) -> u64 {
    let mut items = 0;
    let mut deserializer = serde_json::Deserializer::from_str(value);
    // An error leaves what was counted so far: an estimate, which the provider's refusal makes irrelevant.
    let _ = Walk { text: into, items: &mut items }.deserialize(&mut deserializer);
    items
}

/// Keys whose strings never become tokens of text.
const PLUMBING: [&str; 10] = [
    "role",
    "type",
    "id",
    "tool_use_id",
    "tool_call_id",
    "call_id",
    "cache_control",
    "media_type",
    "detail",
    "signature",
];
/// Keys that hold, or point to, an image or another file.
const MEDIA: [&str; 7] = ["source", "image_url", "input_audio", "file", "file_data", "data", "image"];

/// Counts a value while it is parsed.
pub(super) struct Walk<'t> {
    pub(super) text: &'t mut Text,
    /// Of the outermost list.
    pub(super) items: &'t mut u64,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text.bytes += text.len() as u64;
        self.text.chars += if text.is_ascii() { text.len() } else { text.chars().count() } as u64;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Walk { text: self.text, items: &mut 0 })?.is_some() {
            *self.items += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Text => map.next_value_seed(Walk { text: self.text, items: &mut 0 })?,
                Key::Plumbing => {
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Media => media(map.next_value::<&RawValue>()?.get(), self.text),
            }
        }
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.text.numbers += 1;
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.text.numbers += 1;
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.text.numbers += 1;
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A member that may be an image or a document: text only when it says so itself.
fn media(value: &str, text: &mut Text) {
    // An Anthropic document can be plain text, or content blocks, under the key of images.
    if value.starts_with('{') {
        let source: Result<Source<'_>, _> = serde_json::from_str(value);
        if let Ok(Source { kind: Some("text" | "content"), data, content }) = source {
            for part in [data, content].into_iter().flatten() {
                count(part.get(), text);
            }
            return;
        }
    }
    text.images += 1;
}

#[derive(serde::Deserialize)]
struct Source<'a> {
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

enum Key {
    Text,
    Plumbing,
    Media,
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(if PLUMBING.contains(&key) {
                    Key::Plumbing
                } else if MEDIA.contains(&key) {
                    Key::Media
                } else {
                    Key::Text
                })
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(value: &str) -> (u64, u64, u64, u64) {
        let mut text = Text::default();
        count(value, &mut text);
        (text.chars, text.bytes, text.images, text.numbers)
    }

    #[test]
    fn text_counts_and_files_do_not() {
        let cases = [
            (r#""hello""#, (5, 5, 0, 0)),
            (r#""hé\n\u00e9""#, (4, 6, 0, 0)),
            (r#"[{"role":"user","content":"hello"}]"#, (5, 5, 0, 0)),
            (
                r#"[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"text","text":"you"}]}]"#,
                (5, 5, 0, 0),
            ),
            (
                r#"[{"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]"#,
                (0, 0, 1, 0),
            ),
            (
                r#"[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]"#,
                (0, 0, 1, 0),
            ),
            (r#"[{"content":[{"type":"input_image","image_url":"https://x/y.png"}]}]"#, (0, 0, 1, 0)),
            (
                r#"[{"content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"abc"}}]}]"#,
                (3, 3, 0, 0),
            ),
            (
                r#"[{"content":[{"type":"tool_use","id":"t","name":"f","input":{"q":"abcd","n":3,"x":null,"b":true,"y":-1.5}}]}]"#,
                (5, 5, 0, 2),
            ),
            (r#"[1,2,[3]]"#, (0, 0, 0, 3)),
            (r#""a\ud800""#, (0, 0, 0, 0)),
        ];
        for (value, want) in cases {
            assert_eq!(counted(value), want, "{value}");
        }
    }
}
