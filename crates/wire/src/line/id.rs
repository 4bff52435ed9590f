//! The id of a line, found without reading the rest of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{LineError, trim};

/// The longest id, in bytes.
pub const ID_CAP: usize = 512;

/// The id of a line that has none of its own, by its number in the file, counted from 1.
pub fn default_id(number: u64) -> String {
    format!("line-{number}")
}

/// The id that a line gives itself: its `custom_id`, else its `id`; `None` when it has neither or they can't be read.
///
/// Stops at the `custom_id`, so what comes behind it is neither read nor checked.
pub fn id(line: &[u8]) -> Option<Cow<'_, str>> {
    let mut found = Found::default();
    // That it ends in an error after stopping early is how it stops early.
    let _stopped = serde_json::Deserializer::from_slice(trim(line)).deserialize_map(Scan(&mut found));
    let (key, id) = match (found.custom_id, found.id) {
        (Some(custom_id), _) => ("custom_id", custom_id),
        (None, Some(id)) => ("id", id),
        (None, None) => return None,
    };
    read_id(key, id).ok()
}

/// Reads the value of an id: a string, or a whole number, which is taken for its digits.
pub(super) fn read_id<'a>(key: &'static str, id: &'a RawValue) -> Result<Cow<'a, str>, LineError> {
    let wrong = LineError::Type { key, expected: "a string that is not empty, or a whole number" };
    let text = id.get();
    let id = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        Some(_) => Cow::Owned(serde_json::from_str(text).map_err(|_| wrong.clone())?),
        None if text
            .bytes()
            .enumerate()
            .all(|(at, byte)| byte.is_ascii_digit() || (at == 0 && byte == b'-')) =>
        {
            Cow::Borrowed(text)
        }
        None => return Err(wrong),
    };
    match id.len() {
        0 => Err(wrong),
        1..=ID_CAP => Ok(id),
        length => Err(LineError::IdTooLong { length }),
    }
}

#[derive(Default)]
struct Found<'a> {
    custom_id: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
}

struct Scan<'f, 'a>(&'f mut Found<'a>);

impl<'de> Visitor<'de> for Scan<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key()? {
            match key {
                Key::CustomId => {
                    self.0.custom_id = members.next_value()?;
                    if self.0.custom_id.is_some() {
                        return Err(A::Error::custom("found"));
                    }
                }
                Key::Id => self.0.id = members.next_value()?,
                Key::Other => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

enum Key {
    CustomId,
    Id,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "custom_id" => Key::CustomId,
                    "id" => Key::Id,
                    _ => Key::Other,
                })
            }
        }

        deserializer.deserialize_str(Name)
    }
}
