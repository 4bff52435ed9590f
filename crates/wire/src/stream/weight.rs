//! Weighs generated text without keeping it: the bytes of every string inside a piece of JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Members that describe a delta and are no part of what the model wrote.
const DESCRIPTIONS: [&str; 7] = ["type", "id", "role", "signature", "citation", "format", "audio"];

/// The bytes of text in a value; zero for whatever holds none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight(pub(super) u64);

impl Weight {
    /// Weighs a raw value; one that can't be read weighs nothing.
    pub(super) fn of(value: Option<&RawValue>) -> u64 {
        value.and_then(|value| serde_json::from_str::<Weight>(value.get()).ok()).unwrap_or_default().0
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scale).map(Weight)
    }
}

struct Scale;

impl<'de> Visitor<'de> for Scale {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(text.len() as u64)
    }

    fn visit_bool<E>(self, _: bool) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut sum = 0_u64;
        while let Some(Weight(weight)) = items.next_element()? {
            sum = sum.saturating_add(weight);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let mut sum = 0_u64;
        while let Some(Key { describes }) = members.next_key()? {
            if describes {
                members.next_value::<IgnoredAny>()?;
            } else {
                sum = sum.saturating_add(members.next_value::<Weight>()?.0);
            }
        }
        Ok(sum)
    }
}

struct Key {
    describes: bool,
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
                Ok(Key { describes: DESCRIPTIONS.contains(&name) })
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_what_the_model_wrote() {
        let cases = [
            (r#""Here""#, 4),
            (r#""\u00e9\n""#, 3),
            (r#"{"type":"text_delta","text":"Here"}"#, 4),
            (r#"{"role":"assistant","content":"","refusal":null}"#, 0),
            (r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]}"#, 2),
            (r#"{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":"{}"}}]}"#, 3),
            (r#"{"type":"signature_delta","signature":"EqQBCg"}"#, 0),
            ("null", 0),
            ("[1,2.5,-3,true,{}]", 0),
            ("{torn", 0),
        ];
        for (json, want) in cases {
            let weight = serde_json::from_str::<Weight>(json).unwrap_or_default();
            assert_eq!(weight, Weight(want), "{json}");
        }
    }

    #[test]
    fn deep_values_weigh_nothing_instead_of_overflowing_the_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(serde_json::from_str::<Weight>(&deep).is_err());
    }
}
